package e2e

import (
	"strings"
	"testing"
	"time"

	"rollout/testdata/lab"
)

// Somebody pushes between our read and our push, and again right after ours:
// both commits survive, and the rollout completes.
func TestOthersPush(t *testing.T) {
	s := play(t, "others", 1)
	s.setUp(service{name: "db"})
	s.must(s.lab.SetGitFault(s.ctx, "others-db", lab.GitFault{Only: lab.Push, Delay: 3 * time.Second, Times: 1}))
	s.ok("plan", "set", s.app, "db=v2")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Publishing", 30*time.Second)
	first := s.commitFile("db", "README", "before\n")
	s.eventually(30*time.Second, "our commit", func() bool { return s.commits("db") == 1 })
	second := s.commitFile("db", "NOTES", "after\n")
	if code := create.code(long); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, hash := range []string{first, second} {
		if _, err := s.lab.Git(s.ctx, "others-db", "merge-base", "--is-ancestor", hash, "main"); err != nil {
			t.Errorf("commit %s is gone: %v", hash, err)
		}
	}
	s.images("db", map[string]string{"c1": "v2", "c2": "v2", "c3": "v1"})
}

// Somebody sets another version for the ring while the rollout converges:
// noticed, stopped, said.
func TestManualChangeMeanwhile(t *testing.T) {
	s := play(t, "meanwhile", 1)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2-slow", "api=v2")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Converging", time.Minute)
	hash := s.byHand("db", "v2-slow", "v9")
	if code := create.code(long); code != 6 {
		t.Errorf("exit code %d, want 6", code)
	}
	got := s.show()
	if got.Phase != "Failed" || !strings.Contains(got.Reason, hash[:7]) || !strings.Contains(got.Reason, "v9") {
		t.Errorf("show says %s: %s", got.Phase, got.Reason)
	}
	if s.commits("db") != 1 || s.commits("api") != 0 {
		t.Errorf("%d commits on db, %d on api", s.commits("db"), s.commits("api"))
	}
}

// Somebody set another version before the start: refused, and goes with
// --override and a reason.
func TestManualChangeBefore(t *testing.T) {
	s := play(t, "before", 1)
	s.setUp(service{name: "db"})
	hash := s.byHand("db", "v1", "v9")
	s.ok("plan", "set", s.app, "db=v2")
	r := s.ends(4, "create", s.app, "ring-1")
	s.says(r, "v9", hash[:7], "hint:")
	if n := s.commits("db"); n != 0 {
		t.Errorf("%d commits", n)
	}
	s.ok("create", s.app, "ring-1", "--override", "--reason", "v9 was a try")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2", "c3": "v1"})
}

// A push whose answer is lost is looked for, not repeated.
func TestLostAnswer(t *testing.T) {
	s := play(t, "lost", 1)
	s.setUp(service{name: "db"})
	s.must(s.lab.SetGitFault(s.ctx, "lost-db", lab.GitFault{Cut: true, Times: 1}))
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	if n := s.commits("db"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	s.images("db", map[string]string{"c1": "v2", "c2": "v2", "c3": "v1"})
}

// A plan that changes nothing is a success without a commit, and says since
// when it is live.
func TestNothingToDo(t *testing.T) {
	s := play(t, "nothing", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	r := s.ok("create", s.app, "ring-1")
	s.says(r, "already live since")
	if n := s.commits("db"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	s.ok("create", s.app, "ring-1", "--redeploy")
	if n := s.commits("db"); n != 2 {
		t.Errorf("%d commits after --redeploy, want 2", n)
	}
}

// Somebody sets another nonce for the ring, the version left as it is: what
// runs is acknowledged under theirs, and the rollout stops and says by whom.
func TestNonceByHand(t *testing.T) {
	s := play(t, "nonce", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2-slow")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Converging", time.Minute)
	file := s.fleetYAML("db")
	before, after, found := strings.Cut(file, "forceSyncGeneration: ")
	if !found {
		t.Fatalf("no nonce in\n%s", file)
	}
	_, rest, _ := strings.Cut(after, "\n")
	hash := s.commitFile("db", "deploy/fleet.yaml", before+"forceSyncGeneration: 4711\n"+rest)
	if code := create.code(long); code != 6 {
		t.Errorf("exit code %d, want 6", code)
	}
	s.says(s.ok("explain", s.app), hash[:7], "4711")
}

// Somebody force-pushes our commit away: it is said, and not pushed again.
func TestRewritten(t *testing.T) {
	s := play(t, "rewritten", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2-slow")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Converging", time.Minute)
	_, err := s.lab.Git(s.ctx, "rewritten-db", "update-ref", "refs/heads/main", "main~1")
	s.must(err)
	s.commitFile("db", "NOTES", "instead\n")
	if code := create.code(long); code != 6 {
		t.Errorf("exit code %d, want 6", code)
	}
	s.says(s.ok("explain", s.app), "its history was rewritten")
	if n := s.commits("db"); n != 0 {
		t.Errorf("%d commits, want none: ours was taken away", n)
	}
}
