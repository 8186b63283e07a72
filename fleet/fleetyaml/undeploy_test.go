package fleetyaml_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/fleetyaml"
)

// offLine is all that Undeploy may add.
var offLine = regexp.MustCompile(`(?m)^ *doNotDeploy: true\r?(\n|\z)|"?doNotDeploy"?: true, |doNotDeploy: true\r?\n? *`)

// TestUndeploy shows what is written where, and what is refused.
func TestUndeploy(t *testing.T) {
	for _, tc := range []struct {
		name, input, want string
		fault             fleetyaml.Code
	}{
		{"before the options", `
targetCustomizations:
# canary
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  # do not touch
  forceSyncGeneration: 7
  helm: {values: {image: {tag: v1}}}
- name: ring-2
  clusterSelector: {matchLabels: {ring: ring-2}}
`, `
targetCustomizations:
# canary
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  doNotDeploy: true
  # do not touch
  forceSyncGeneration: 7
  helm: {values: {image: {tag: v1}}}
- name: ring-2
  clusterSelector: {matchLabels: {ring: ring-2}}
`, ""},
		{"in place of false, in flow style and after the first key", `
targetCustomizations:
- {name: c1, clusterName: c1, doNotDeploy: false, helm: {values: {}}}
- clusterSelector: {matchLabels: {ring: ring-1}}
`, `
targetCustomizations:
- {name: c1, clusterName: c1, doNotDeploy: true, helm: {values: {}}}
- doNotDeploy: true
  clusterSelector: {matchLabels: {ring: ring-1}}
`, ""},
		{"already", `
targetCustomizations:
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  doNotDeploy: true
`, `
targetCustomizations:
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  doNotDeploy: true
`, ""},
		{"all matches: in the last one", `
targetCustomizationMode: AllMatches
targetCustomizations:
- clusterSelector: {}
  helm: {values: {a: b}}
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  helm: {values: {image: {tag: v1}}}
`, `
targetCustomizationMode: AllMatches
targetCustomizations:
- clusterSelector: {}
  helm: {values: {a: b}}
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  doNotDeploy: true
  helm: {values: {image: {tag: v1}}}
`, ""},
		{"no entry", "helm: {values: {image: {tag: v1}}}\n", "", fleetyaml.CodeNoEntry},
		{"an entry of others", `
targetCustomizations:
- name: everybody
  clusterSelector: {}
`, "", fleetyaml.CodeOutsideRing},
		{"an alias", `
targetCustomizations:
- &ring
  name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
- *ring
`, "", fleetyaml.CodeShared},
		{"images are scanned", `
imageScans: [{image: x}]
targetCustomizations:
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
`, "", fleetyaml.CodeImageScan},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newTestCase(t, nil)
			f, err := c.parse([]byte(tc.input))
			if err != nil {
				t.Fatal(err)
			}
			edit, err := f.Undeploy(c.change())
			if tc.fault != "" {
				if fs := fleetyaml.FaultsOf(err); len(fs) != 1 || fs[0].Code != tc.fault || fs[0].Hint == "" {
					t.Fatalf("got %v, want %s", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(edit.Bytes)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
			if edit.Changed != (tc.want != tc.input) {
				t.Errorf("changed: %t", edit.Changed)
			}
		})
	}
}

// TestUndeployCorpus: whatever the file looks like, the ring loses the bundle, nobody else changes, and nothing is written
// but doNotDeploy; or it is refused.
func TestUndeployCorpus(t *testing.T) {
	edits := 0
	for _, name := range corpus(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := readArchive(name)
			if err != nil {
				t.Fatal(err)
			}
			tc := newTestCase(t, section(ar, "change"))
			src := tc.encode(section(ar, "input"))
			f, err := tc.parse(src)
			if err != nil {
				return
			}
			edit, err := f.Undeploy(tc.change())
			if err != nil {
				if fleetyaml.FaultsOf(err) == nil {
					t.Errorf("not a fault: %v", err)
				}
				return
			}
			if edit.Changed {
				edits++
			}
			checkUndeployed(t, tc, f, edit, src)
		})
	}
	if edits < 20 {
		t.Errorf("only %d files of the corpus could be edited", edits)
	}
}

func checkUndeployed(t *testing.T, tc testCase, f *fleetyaml.File, edit *fleetyaml.Edit, src []byte) {
	t.Helper()
	after, err := f.WithBytes(edit.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tc.change().All {
		was, _ := f.Effect(c, tc.Targets, tc.Fields)
		is, _ := after.Effect(c, tc.Targets, tc.Fields)
		switch {
		case slices.Contains(tc.Ring, c.Name) && was.Deployed:
			if is.Deployed {
				t.Errorf("%s of the ring still gets it: %s", c.Name, is.Why)
			}
		case was.Deployed != is.Deployed || was.Version != is.Version || was.Nonce != is.Nonce || was.Digest != is.Digest:
			t.Errorf("%s changes: %+v to %+v", c.Name, was, is)
		}
	}
	if f.MaxNonce() != after.MaxNonce() {
		t.Errorf("the largest nonce was %d, is %d", f.MaxNonce(), after.MaxNonce())
	}
	bare := func(b []byte) string {
		return offLine.ReplaceAllString(strings.ReplaceAll(string(b), "doNotDeploy: false", "doNotDeploy: true"), "")
	}
	if diff := cmp.Diff(bare(src), bare(edit.Bytes)); diff != "" {
		t.Errorf("more than doNotDeploy was written (-before +after):\n%s", diff)
	}
}
