package fleetyaml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/fleetyaml"
)

// ringEntry is a new entry for the clusters of one ring.
func ringEntry(ring string, all []fleetyaml.Cluster) fleetyaml.NewEntry {
	n := fleetyaml.NewEntry{Target: fleetyaml.Target{Name: ring, ClusterSelector: labels("ring", ring)}}
	for _, c := range all {
		if c.Labels["ring"] == ring {
			n.Ring = append(n.Ring, c)
		}
	}
	return n
}

func TestFile_AddEntries(t *testing.T) {
	const head = "name: web\nhelm:\n  values:\n    image:\n      tag: v1\n"
	const one = "name: ring-1\n    clusterSelector:\n      matchLabels:\n        ring: ring-1\n    helm:\n      values:\n        image:\n          tag: v1\n"
	const atMargin = "- name: ring-1\n  clusterSelector:\n    matchLabels:\n      ring: ring-1\n  helm:\n    values:\n      image:\n        tag: v1\n"
	for _, tt := range []struct{ name, src, want string }{
		{"no key", head, head + "targetCustomizations:\n" + atMargin},
		{"no key, no newline", strings.TrimSuffix(head, "\n"), head + "targetCustomizations:\n" + strings.TrimSuffix(atMargin, "\n")},
		{"no key, marker", "---\n" + head + "...\n", "---\n" + head + "targetCustomizations:\n" + atMargin + "...\n"},
		{"after the last entry", head + "targetCustomizations:\n  - clusterName: c0\n\n# next\npaused: false\n",
			head + "targetCustomizations:\n  - clusterName: c0\n  - " + one + "\n# next\npaused: false\n"},
		{"at the end", head + "targetCustomizations:\n- clusterName: c0\n# end\n", head + "targetCustomizations:\n- clusterName: c0\n" + atMargin + "# end\n"},
		{"crlf", strings.ReplaceAll(head, "\n", "\r\n"), strings.ReplaceAll(head+"targetCustomizations:\n"+atMargin, "\n", "\r\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := clusters(9, 3)
			got, err := mustParse(t, tt.src).AddEntries([]fleetyaml.NewEntry{ringEntry("ring-1", all)}, fleetyaml.Change{All: all, Targets: everything})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got.Bytes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFile_AddEntries_thenEdit asserts that what AddEntries writes is what Edit needs.
func TestFile_AddEntries_thenEdit(t *testing.T) {
	all := clusters(9, 3)
	f := mustParse(t, "{helm: {values: {image: {tag: 1.10}, worker: {tag: \"1.1\"}}}}\n")
	c := fleetyaml.Change{All: all, Targets: everything, Version: "1.2", Nonce: 5, Fields: []fleetyaml.Field{"helm.values.image.tag", "helm.values.worker.tag"}}
	if _, err := f.AddEntries([]fleetyaml.NewEntry{ringEntry("ring-1", all)}, c); err == nil {
		t.Fatal("a file in flow style was extended")
	}
	f = mustParse(t, "helm:\n  values: {image: {tag: 1.10}, worker: {tag: \"1.1\"}}\n")
	added, err := f.AddEntries([]fleetyaml.NewEntry{ringEntry("ring-1", all), ringEntry("ring-2", all)}, c)
	if err != nil {
		t.Fatal(err)
	}
	c.Ring = ringEntry("ring-1", all).Ring
	edit, err := mustParse(t, string(added.Bytes)).Edit(c)
	if err != nil {
		t.Fatalf("%v\n%s", err, added.Bytes)
	}
	if len(edit.Entries) != 1 || edit.Entries[0].Name != "ring-1" {
		t.Errorf("got %+v", edit.Entries)
	}
}

func TestFile_AddEntries_refused(t *testing.T) {
	all := clusters(9, 3)
	for _, tt := range []struct {
		name, src string
		entry     fleetyaml.NewEntry
		want      fleetyaml.Code
	}{
		{"flow list", "helm:\n  values: {image: {tag: v1}}\ntargetCustomizations: []\n", ringEntry("ring-1", all), fleetyaml.CodeScalar},
		{"no version", "name: web\n", ringEntry("ring-1", all), fleetyaml.CodeVersion},
		{"other version", "helm:\n  values: {image: {tag: v1}}\n", fleetyaml.NewEntry{Target: ringEntry("ring-1", all).Target, Ring: all, Version: "v2"}, fleetyaml.CodeDisagree},
		{"shadowed", "helm:\n  values: {image: {tag: v1}}\ntargetCustomizations:\n- clusterSelector: {}\n", ringEntry("ring-1", all), fleetyaml.CodeOverridden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustParse(t, tt.src).AddEntries([]fleetyaml.NewEntry{tt.entry}, fleetyaml.Change{All: all, Targets: everything})
			if fs := fleetyaml.FaultsOf(err); len(fs) == 0 || fs[0].Code != tt.want {
				t.Errorf("got %v, want a %q", err, tt.want)
			}
		})
	}
}
