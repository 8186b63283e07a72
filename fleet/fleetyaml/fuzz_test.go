package fleetyaml_test

import (
	"bytes"
	"fmt"
	"testing"

	"rollout/fleet/fleetyaml"
)

// FuzzEdit holds Edit to its promise on arbitrary text: an edit that changes what was asked and nothing else, judged by
// checkOracle, or an error; never a panic, and never a change in the file that was parsed.
func FuzzEdit(f *testing.F) {
	for _, name := range corpus(f) {
		ar, err := readArchive(name)
		if err != nil {
			f.Fatal(err)
		}
		tc := newTestCase(f, section(ar, "change"))
		f.Add(tc.encode(section(ar, "input")), tc.Version, tc.Nonce, uint8(len(ar.comment)))
	}
	f.Fuzz(func(t *testing.T, src []byte, version string, nonce int64, fields uint8) {
		if len(src) > 1<<14 {
			return // size is for the benchmark
		}
		file, err := fleetyaml.Parse("fleet.yaml", src)
		if err != nil {
			mustBeFaults(t, err)
			return
		}
		c := fuzzChange(version, nonce, fields)
		file.Inspect(c)
		fuzzAdd(t, file, c)
		edit, err := file.Edit(c)
		if err != nil {
			mustBeFaults(t, err)
			return
		}
		checkOracle(t, file, c, src, edit)
		checkEffects(t, edit, c)
		checkAgain(t, testCase{File: "fleet.yaml"}, edit, c)
	})
}

// fuzzChange is a ring of two clusters beside two others, with one of a few lists of fields.
func fuzzChange(version string, nonce int64, fields uint8) fleetyaml.Change {
	lists := [][]fleetyaml.Field{
		nil,
		{"helm.values.image.tag", "helm.values.worker.image.tag"},
		{"helm.values.containers.1.tag"},
		{"helm.version"},
	}
	c := fleetyaml.Change{Version: version, Nonce: nonce, Targets: everything[:int(fields)/8%2], Fields: lists[int(fields)%len(lists)], AcceptRedeploy: true}
	for i, ring := range []string{"ring-1", "ring-1", "ring-2", ""} {
		c.All = append(c.All, fleetyaml.Cluster{Name: fmt.Sprintf("c%d", i+1), Labels: map[string]string{"ring": ring},
			Groups: []fleetyaml.Group{{Name: "default"}, {Name: "eu"}}})
	}
	c.Ring = c.All[:2]
	return c
}

// fuzzAdd adds an entry for the ring, where that is possible, and asserts that nobody gets anything else.
func fuzzAdd(t *testing.T, file *fleetyaml.File, c fleetyaml.Change) {
	t.Helper()
	target := fleetyaml.Target{Name: "added", ClusterSelector: labels("ring", "ring-1")}
	added, err := file.AddEntries([]fleetyaml.NewEntry{{Target: target, Ring: c.Ring}}, c)
	if err != nil {
		mustBeFaults(t, err)
		return
	}
	after := mustParse(t, string(added.Bytes))
	for _, cl := range c.All {
		was, err1 := file.Effect(cl, c.Targets, c.Fields)
		is, err2 := after.Effect(cl, c.Targets, c.Fields)
		if was.Version != is.Version || was.Nonce != is.Nonce || was.Deployed != is.Deployed || (err1 == nil) != (err2 == nil) {
			t.Errorf("%s changed from %+v to %+v", cl.Name, was, is)
		}
	}
}

func mustBeFaults(t *testing.T, err error) {
	t.Helper()
	fs := fleetyaml.FaultsOf(err)
	if len(fs) == 0 {
		t.Fatalf("an error without faults: %v", err)
	}
	for _, e := range fs {
		if e.Code == fleetyaml.CodeVerify {
			t.Logf("the last check refused: %v", e)
		}
		if e.File == "" || e.Code == "" || e.Msg == "" {
			t.Errorf("a fault without file, code or words: %#v", e)
		}
	}
}

// checkEffects asserts the promise about clusters on the effects that the edit reports.
func checkEffects(t *testing.T, edit *fleetyaml.Edit, c fleetyaml.Change) {
	t.Helper()
	for _, o := range edit.Effects {
		switch {
		case o.Ring && o.After.Deployed:
			if o.After.Version != c.Version || o.After.Nonce != c.Nonce || o.After.Digest != o.Before.Digest {
				t.Errorf("%s ends at %+v", o.Cluster, o.After)
			}
		case o.Before.Version != o.After.Version || o.Before.Nonce != o.After.Nonce || o.Before.Digest != o.After.Digest:
			t.Errorf("%s is not in the ring and changed from %+v to %+v", o.Cluster, o.Before, o.After)
		}
	}
}

// checkAgain asserts that an edit is idempotent: the edited file already says what was asked for.
func checkAgain(t *testing.T, tc testCase, edit *fleetyaml.Edit, c fleetyaml.Change) {
	t.Helper()
	f, err := tc.parse(edit.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Edit(c)
	if err != nil {
		t.Fatalf("the second edit: %v", err)
	}
	if again.Changed || !bytes.Equal(again.Bytes, edit.Bytes) {
		t.Error("the second edit changed the file again")
	}
}
