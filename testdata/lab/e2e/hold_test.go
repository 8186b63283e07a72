package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A closed window and a lock hold a rollout that runs over three rings: what
// runs finishes, nothing new starts, and when they are gone it goes on by
// itself. A new rollout is refused, until a person goes over it on the record.
func TestHold(t *testing.T) {
	s := play(t, "holds", 8)
	s.rings = threeRings
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.ok("lock", s.app, "--ring", "ring-3", "--reason", "stocktaking")
	refused := s.ends(4, "create", s.app, "ring-1", "ring-2", "ring-3", "--no-background")
	s.says(refused, "ring-3 is locked by e2e@holds", "stocktaking", "rollout unlock holds --ring ring-3", "--override")
	s.ok("unlock", s.app, "--ring", "ring-3")

	at := time.Now().UTC()
	s.ok("window", "add", s.app, "freeze", "--deny", "--ring", "ring-2", "--from", at.Add(-time.Minute).Format(time.RFC3339), "--to", at.Add(24*time.Hour).Format(time.RFC3339), "--reason", "a fair")
	s.says(s.ok("create", s.app, "ring-1", "ring-2", "ring-3", "--dry-run"), "freeze", "a fair", "opens at")
	create := s.begin("create", s.app, "ring-1", "ring-2", "ring-3", "--no-background")
	s.phase("db", "Converging", time.Minute)
	s.ok("lock", s.app, "--ring", "ring-3", "--reason", "stocktaking", "--holder", "store-9")

	s.awaits(2*time.Minute, "ring-2 waits for its window", func(r rollout) bool { return r.ring("ring-1") == "Done" && strings.Contains(r.Reason, "freeze") })
	s.says(s.ok("explain", s.app), "ring-2", "a fair", "opens at")
	during := time.Now().UTC()
	s.runs("v2", pair, "c1", "c2")
	if n := s.commitsFor("db", "ring-2"); n != 0 {
		t.Errorf("db has %d commits for ring-2 while it is closed", n)
	}
	s.says(s.ok("window", "list", s.app), "ring-2 is closed by freeze")
	s.ok("window", "remove", s.app, "freeze")

	s.awaits(2*time.Minute, "ring-3 waits for its lock", func(r rollout) bool { return r.ring("ring-2") == "Done" && strings.Contains(r.Reason, "store-9") })
	s.says(s.ok("explain", s.app), "ring-3", "stocktaking", "rollout unlock holds --ring ring-3 --holder store-9")
	if n := s.commitsFor("db", "ring-3"); n != 0 {
		t.Errorf("db has %d commits for ring-3 while it is locked", n)
	}
	s.images("db", map[string]string{"c3": "v2", "c4": "v1"})
	s.says(s.ends(3, "unlock", s.app, "--ring", "ring-3"), "--holder store-9")
	s.ok("unlock", s.app, "--ring", "ring-3", "--holder", "store-9")
	if code := create.code(long); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.runs("v2", pair, "c1", "c2", "c3", "c4")
	s.says(s.ok("explain", s.app, "--at", during.Format(time.RFC3339Nano)), "ring-2", "a fair")
	s.says(s.ok("replay", s.app), "every decision the same")
	s.goOver()
}

// goOver goes over a lock on a cluster, which only who looks at Fleet can know
// to be of the ring.
func (s *scenario) goOver() {
	s.Helper()
	s.ok("lock", s.app, "--cluster", "c2", "--reason", "in repair")
	s.ok("plan", "set", s.app, "db=v3")
	s.says(s.ends(4, "create", s.app, "ring-1", "--only", "db", "--no-background"), "cluster c2 is locked by e2e@holds")
	s.ends(2, "create", s.app, "ring-1", "--only", "db", "--no-background", "--override")
	s.ok("create", s.app, "ring-1", "--only", "db", "--no-background", "--override", "--reason", "it is the repair")
	s.images("db", map[string]string{"c1": "v3", "c2": "v3", "c3": "v2"})
	var shown struct {
		Over struct {
			Locks []struct{ Cluster, Reason string }
		}
	}
	s.must(json.Unmarshal([]byte(s.ok("show", s.app, "-o", "json").stdout), &shown))
	if len(shown.Over.Locks) != 1 || shown.Over.Locks[0].Cluster != "c2" {
		s.Errorf("gone over: %+v", shown.Over)
	}
	s.says(s.ends(4, "rollback", s.app, "--reason", "it was not", "--no-background"), "cluster c2 is locked")
	s.ok("rollback", s.app, "--reason", "it was not", "--override", "--no-background")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
}
