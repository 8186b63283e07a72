package fleetyaml_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"rollout/fleet/fleetyaml"
)

// TestFile_Effect_asFleet compares with what Fleet's own code says. testdata/fleet-effects.jsonl was recorded from Fleet
// v0.16.0: random files, put together as bundlereader/read.go does, matched by controller/target/matcher and merged by
// controller/options (both internal to Fleet, so that they cannot be called from here). The first line has the clusters
// and the fields; each other line a file, the GitRepo's targets, and for each cluster the nonce and the fields, or "none".
func TestFile_Effect_asFleet(t *testing.T) {
	b, err := os.ReadFile("testdata/fleet-effects.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var head struct {
		Clusters []fleetyaml.Cluster
		Fields   []fleetyaml.Field
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&head); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; dec.More(); n++ {
		var tt struct {
			Src     string
			Targets []fleetyaml.Target
			Want    []string
		}
		if err := dec.Decode(&tt); err != nil {
			t.Fatal(err)
		}
		f := mustParse(t, tt.Src)
		for i, c := range head.Clusters {
			if got := asRecorded(t, f, c, tt.Targets, head.Fields); got != tt.Want[i] {
				t.Errorf("%s\ntargets %+v\ncluster %+v: got %s, Fleet says %s", tt.Src, tt.Targets, c, got, tt.Want[i])
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d cases", n)
	}
}

// asRecorded is an effect in the words of the recording.
func asRecorded(t *testing.T, f *fleetyaml.File, c fleetyaml.Cluster, targets []fleetyaml.Target, fields []fleetyaml.Field) string {
	t.Helper()
	text := ""
	for i, fl := range fields {
		e, err := f.Effect(c, targets, []fleetyaml.Field{fl})
		switch {
		case err != nil:
			t.Fatal(err)
		case !e.Deployed:
			return "none"
		case i == 0:
			text = fmt.Sprint("nonce ", e.Nonce)
		}
		if !e.Found {
			e.Version = "-"
		}
		text += " " + e.Version
	}
	return text
}
