package e2e

import (
	"strings"
	"testing"
	"time"

	"rollout/testdata/lab"
)

// EXPERIMENTS 0.1: Fleet chooses the commit, then clones the branch. A foreign
// edit in between runs under our label and our nonce.
func TestLieForeignContent(t *testing.T) {
	s := play(t, "lie-clone", 1)
	s.setUp(service{name: "db"})
	s.must(s.lab.SetJobFault(s.ctx, "lie-clone-db", lab.JobFault{Delay: 5 * time.Second, Times: 1}))
	s.ok("plan", "set", s.app, "db=v2")
	create := s.begin("create", s.app, "ring-1")
	s.eventually(time.Minute, "our commit", func() bool { return s.commits("db") == 1 })
	time.Sleep(time.Second) // Fleet's job has begun and not cloned yet: there is no event for that
	s.byHand("db", "v2", "v9")
	if code := create.code(long); code != 6 {
		t.Errorf("exit code %d, want 6: what runs is not ours", code)
	}
	s.says(s.run("explain", s.app), "v9")
}

// EXPERIMENTS 0.2: a cluster that changes ring in the middle reads Ready at the
// old ring's content until Fleet has acted.
func TestLieRelabelled(t *testing.T) {
	s := play(t, "lie-label", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	s.ok("plan", "set", s.app, "db=v3-slow")
	create := s.begin("create", s.app, "ring-2", "--override", "--reason", "ring-1 stays at v2")
	s.phase("db", "Converging", time.Minute)
	s.label("c1", s.ringLabel(), "ring-2")
	if code := create.code(long); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	// Done means that c1, too, runs what ring-2 runs.
	s.images("db", map[string]string{"c1": "v3-slow", "c3": "v3-slow", "c4": "v3-slow", "c2": "v2"})
}

// EXPERIMENTS 3: after a broken upgrade the exact revert is skipped by Fleet;
// the way back needs a new nonce.
func TestLieRevert(t *testing.T) {
	s := play(t, "lie-revert", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "15s")
	s.ok("plan", "set", s.app, "db=v3-bad")
	s.ends(6, "create", s.app, "ring-1")
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "2m")
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	for _, c := range []string{"c1", "c2"} {
		if got := s.live(c, "db"); got != "v2" {
			t.Errorf("%s runs %q, want v2", c, got)
		}
	}
}

// EXPERIMENTS 4: the words of the last failure stand under our label for a
// while; they are not ours.
func TestLieStaleWords(t *testing.T) {
	s := play(t, "lie-words", 1)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "100s")
	s.ok("plan", "set", s.app, "db=v3-refused")
	s.ends(6, "create", s.app, "ring-1")
	s.ok("plan", "set", s.app, "db=v4")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v4", "c2": "v4"})
}

// EXPERIMENTS 4b: an object that was changed by hand makes Fleet stop in
// silence. It is named, and never passed.
func TestLieChangedByHand(t *testing.T) {
	s := play(t, "lie-hand", 1)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "75s")
	s.scaleByHand("c1", "db", 3)
	s.eventually(30*time.Second, "Fleet sees the change", func() bool {
		bd := s.bundleDeployment("c1", "db")
		return bd != nil && !bd.Status.NonModified
	})
	s.ok("plan", "set", s.app, "db=v2")
	r := s.run("create", s.app, "ring-1")
	got := s.show()
	switch {
	case r.code == 0 && s.live("c1", "db") == "v2":
		// Fleet overwrote the change: then done is the truth.
	case r.code == 6:
		s.says(r, "c1")
		if !strings.Contains(got.Reason+r.stderr, "by hand") && !strings.Contains(got.Reason+r.stderr, "modified") {
			t.Errorf("the change is not named: %s\n%s", got.Reason, r.stderr)
		}
	default:
		t.Errorf("exit code %d with %q on c1", r.code, s.live("c1", "db"))
	}
}
