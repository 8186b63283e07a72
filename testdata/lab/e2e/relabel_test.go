package e2e

import (
	"strings"
	"testing"
	"time"
)

// A cluster moves from the first ring to the second while the first is rolled
// out: it does not count there any more, and gets its new ring's content at
// once, and that ring's rollout later.
func TestRelabelOut(t *testing.T) {
	s := play(t, "moves", 2)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2-slow")
	create := s.begin("create", s.app, "ring-1", "ring-2")
	s.eventually(time.Minute, "db on c2 at v2-slow", func() bool {
		bd := s.bundleDeployment("c2", "db")
		return bd.Spec.Options.ForceSyncGeneration != 0 && bd.Status.AppliedDeploymentID == bd.Spec.DeploymentID
	})
	s.label("c2", s.ringLabel(), "ring-2")
	s.eventually(time.Minute, "db on c2 at ring-2's v1", func() bool { return s.image("c2", "db") == "v1" })
	if code := create.code(long); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.runs("v2-slow", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
	got := s.show()
	if phase, reason := got.step("ring-1", "db").cluster("c2"); phase != "Left" {
		t.Errorf("on ring-1 c2 is %q: %s, want Left", phase, reason)
	}
	if phase, reason := got.step("ring-2", "db").cluster("c2"); phase != "Ready" {
		t.Errorf("on ring-2 c2 is %q: %s, want Ready", phase, reason)
	}
}

// A cluster moves into the ring that is rolled out: it is included, or left for
// another rollout, as the ring's policy says. Fleet moves it either way.
func TestRelabelIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ onJoin, phase, reason string }{
		{"include", "Ready", ""},
		{"later", "Skipped", "joined later"},
	} {
		t.Run(c.onJoin, func(t *testing.T) {
			s := play(t, "joins-"+c.onJoin, 1)
			s.setUp(service{name: "db"})
			s.ok("ring", "update", s.app, "ring-1", "--on-join", c.onJoin)
			s.ok("plan", "set", s.app, "db=v2-slow")
			create := s.begin("create", s.app, "ring-1")
			s.phase("db", "Converging", time.Minute)
			s.label("c3", s.ringLabel(), "ring-1")
			if code := create.code(long); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			s.images("db", map[string]string{"c1": "v2-slow", "c2": "v2-slow", "c4": "v1"})
			if phase, reason := s.show().step("ring-1", "db").cluster("c3"); phase != c.phase || !strings.Contains(reason, c.reason) {
				t.Errorf("c3 is %q: %s, want %s", phase, reason, c.phase)
			}
			if c.onJoin == "include" {
				s.runs("v2-slow", []service{{name: "db"}}, "c3")
			}
			s.eventually(time.Minute, "db on c3 at v2-slow", func() bool { return s.live("c3", "db") == "v2-slow" })
		})
	}
}
