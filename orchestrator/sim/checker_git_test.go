package sim

// In the package, because only the World makes commits with a rollout's
// trailers, and none that is wrong.

import (
	"strings"
	"testing"

	"rollout/orchestrator"
	"rollout/rings"
)

// TestChecker_history: what is wrong on a branch is found.
func TestChecker_history(t *testing.T) {
	const trailers = "shop ring-1\n\nRollout: shop-1\nRing: ring-1\nService: db\n"
	edit := func(old, new string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, new, 1) }
	}
	tests := []struct {
		name, want string
		edit       func(string) string
		decided    entry
	}{
		{"as decided", "", edit("tag: v1", "tag: v2"), entry{version: "v2", nonce: 7}},
		{"not decided", "invariant 8", edit("tag: v1", "tag: v2"), entry{version: "v2", nonce: 8}},
		{"empty for the ring", "invariant 8", edit("# db", "# the db"), entry{version: "v2", nonce: 7}},
		{"more than that", "invariant 9", func(text string) string { return edit("# db", "# the db")(edit("tag: v1", "tag: v2")(text)) }, entry{version: "v2", nonce: 7}},
		{"another ring", "invariant 9", func(text string) string { return strings.ReplaceAll(text, "tag: v1", "tag: v2") }, entry{version: "v2", nonce: 7}},
		{"over a foreign version", "invariant 12", edit("tag: v1", "tag: v3"), entry{version: "v3", nonce: 7}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app := &rings.Application{Name: "shop", RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}}}
			service := rings.Service{Name: "db", Repo: "r", Branch: "main", Path: "db", Fields: []string{rings.DefaultField}}
			app.Services = []rings.Service{service}
			text := fileOf(app, "db", map[rings.RingName]entry{"ring-1": {version: "v1", nonce: 7}, "ring-2": {version: "v1", nonce: 3}})
			w := NewWorld(1)
			w.AddRepo("r", "main")
			w.AddService(service, []byte(text))
			k := NewChecker(w, 1)
			k.Follow("shop-1", app)
			known := rings.Known{Version: "v1"}
			if test.decided.version == "v3" {
				known = rings.Known{Version: "v0"}
			}
			at := orchestrator.Ref{Ring: "ring-1", Service: "db"}
			k.Stored("shop-1", "", []orchestrator.Event{
				{Rollout: "shop-1", Body: orchestrator.Created{Rings: []orchestrator.NewRing{{Name: "ring-1"}},
					Steps: []orchestrator.NewStep{{Ring: "ring-1", Target: orchestrator.TargetOf(service), To: test.decided.version, Known: known}}}},
				{Rollout: "shop-1", Body: orchestrator.AttemptDecided{Ref: at, Attempt: orchestrator.Attempt{Number: 1, Version: test.decided.version, Nonce: test.decided.nonce, Ours: true}}},
			})
			w.commit(w.repo("r"), map[string][]byte{"db/fleet.yaml": []byte(test.edit(text))}, us, trailers, w.Now())
			k.Watch()
			found := strings.Join(k.Sentences(), "\n")
			if test.want == "" && found != "" || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

// TestChecker_rewritten: a commit that goes is somebody's doing, and if nobody
// said that he does it, ours.
func TestChecker_rewritten(t *testing.T) {
	for _, told := range []bool{true, false} {
		w := NewWorld(1)
		w.AddRepo("r", "main")
		service := rings.Service{Name: "db", Repo: "r", Branch: "main"}
		w.AddService(service, []byte("name: db\n"))
		k := NewChecker(w, 1)
		k.Follow("shop-1", &rings.Application{Services: []rings.Service{service}})
		if told {
			k.Rewritten()
		}
		w.Rewrite("r", 1, eve)
		k.Watch()
		if found := strings.Contains(strings.Join(k.Sentences(), "\n"), "invariant 9, history"); found == told {
			t.Errorf("told %t: found %q", told, k.Sentences())
		}
	}
}
