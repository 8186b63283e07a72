package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
	"rollout/store"
)

// where asks for the whole answer and says it in short.
func (w *shopWorld) where(t *testing.T, args ...string) []string {
	t.Helper()
	if code := w.rollout(t, append([]string{"where", "shop", "-o", "json"}, args...)...); code != exitDone {
		t.Fatalf("exit %d: %s", code, w.complaints.String())
	}
	var v whereView
	if err := json.Unmarshal(w.out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range v.Places {
		line := fmt.Sprintf("%s %s: %s %s", p.Service, p.Ring, cmpHint(string(p.Desired), "?"), p.State)
		for _, c := range p.Clusters {
			line += fmt.Sprintf(", %s %s", c.Name, cmpHint(string(c.Observed), "unknown: "+c.Reason))
		}
		out = append(out, strings.TrimSpace(line+" "+strings.Join(p.Drift, "; ")))
	}
	return out
}

// What is desired is read from the branches, what is observed from what the
// clusters acknowledged, and nothing is written.
func TestWhere(t *testing.T) {
	w := newShopWorld(t)
	got := w.where(t)
	want := []string{
		"db ring-1: v1 differs, c1 v1, c2 v0",
		"db ring-2: v1 same, c3 v1",
		"db ring-3: v1 unknown, c4 unknown: Fleet has not deployed it there yet",
		"web ring-1: v1 unknown, c1 v1, c2 unknown: Fleet has not deployed it there yet",
		"web ring-2: v1 unknown, c3 unknown: Fleet has not deployed it there yet",
		"web ring-3: v1 unknown, c4 unknown: Fleet has not deployed it there yet",
		"docs ring-1: v1 unknown, c1 unknown: Fleet has not deployed it there yet, c2 unknown: Fleet has not deployed it there yet",
		"docs ring-2: v1 unknown, c3 unknown: Fleet has not deployed it there yet",
		"docs ring-3: v1 unknown, c4 unknown: Fleet has not deployed it there yet",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"db ring-2: v1 same, c3 v1"}, w.where(t, "--cluster", "c3")[:1]); diff != "" {
		t.Errorf("on c3 (-want +got):\n%s", diff)
	}
	w.unchanged(t)
}

// A version that somebody else has written is drift, and so is a repository
// that cannot be read: unknown, not fine.
func TestWhere_Drift(t *testing.T) {
	w := newShopWorld(t)
	db, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Services[0].Known = map[rings.RingName]rings.Known{"ring-2": {Version: "v9"}}
		a.Services[1].Repo = w.URL + "/gone.git"
		a.Services = a.Services[:2]
		delete(a.Plan, "docs")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.where(t)
	if !strings.HasPrefix(got[1], "db ring-2: v1 same, c3 v1 its fleet.yaml says v1 for ring-2, last recorded here is v9: commit "+short(w.now)+" by Eve") {
		t.Errorf("drift: %s", got[1])
	}
	if !strings.HasPrefix(got[3], "web ring-1: ? unknown, c1 unknown: the branch could not be read") {
		t.Errorf("not to be read: %s", got[3])
	}
	if code := w.rollout(t, "where", "shop", "--cluster", "c5"); code != exitNotFound {
		t.Errorf("exit %d for a cluster that is not there", code)
	}
}
