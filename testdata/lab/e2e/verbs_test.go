package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// A pause lets what runs finish and starts nothing new; it ends with the code
// that says who is waited for. After resume it goes on to the end.
func TestPause(t *testing.T) {
	s := play(t, "pauses", 2)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2-slow", "api=v2")
	create := s.begin("create", s.app, "ring-1", "--no-background")
	s.phase("db", "Converging", time.Minute)
	s.ok("pause", s.app, "--reason", "lunch")
	if code := create.code(long); code != 8 {
		t.Errorf("exit code %d, want 8", code)
	}
	s.runs("v2-slow", pair[:1], "c1", "c2")
	if n := s.commits("api"); n != 0 {
		t.Errorf("api was published %d times during the pause", n)
	}
	s.says(s.ok("explain", s.app), "paused by e2e@pauses: lunch", "rollout resume pauses-1")
	s.ok("resume", s.app, "--reason", "back")
	s.ok("run", "--until-idle")
	s.runs("v2", pair[1:], "c1", "c2")
	s.says(s.ok("replay", s.app), "every decision the same")
}

// What a person leaves out does not hold the rollout: a cluster, a service, a
// ring. Each needs a reason.
func TestSkip(t *testing.T) {
	s := play(t, "skips", 1)
	docs := service{name: "docs"}
	s.setUp(service{name: "db"}, docs)
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "100s")
	s.scaleByHand("c2", "db", 3)
	s.ok("plan", "set", s.app, "db=v2", "docs=v2")
	s.ends(2, "skip", s.app, "--ring", "ring-2")
	s.ok("ring", "update", s.app, "ring-1", "--approve-before")
	s.says(s.ok("create", s.app, "ring-1", "ring-2", "--detach"), "background")
	s.awaits(time.Minute, "it waits for a person", func(r rollout) bool { return strings.Contains(r.Reason, "approval") })
	s.ok("skip", s.app, "--service", "docs", "--reason", "the writers are on holiday")
	s.ok("skip", s.app, "--ring", "ring-2", "--reason", "not before Monday")
	s.ok("approve", s.app)
	s.awaits(time.Minute, "c1 Ready", func(r rollout) bool {
		phase, _ := r.step("ring-1", "db").cluster("c1")
		return phase == "Ready"
	})
	s.ok("skip", s.app, "--cluster", "c2", "--reason", "its disk is broken")
	s.awaits(time.Minute, "Succeeded", func(r rollout) bool { return r.Phase == "Succeeded" })
	s.images("db", map[string]string{"c1": "v2", "c3": "v1", "c4": "v1"})
	s.runs("v1", []service{docs}, "c1", "c2", "c3", "c4")
	got := s.show()
	if phase, reason := got.step("ring-1", "db").cluster("c2"); phase != "Skipped" || !strings.Contains(reason, "its disk is broken") {
		t.Errorf("c2 is %q: %s", phase, reason)
	}
	if st := got.step("ring-1", "docs"); st.Phase != "Skipped" || !strings.Contains(st.Reason, "the writers are on holiday") {
		t.Errorf("docs is %s: %s", st.Phase, st.Reason)
	}
	if got.ring("ring-2") != "Skipped" || s.commitsFor("db", "ring-2") != 0 {
		t.Errorf("ring-2 is %s with %d commits", got.ring("ring-2"), s.commitsFor("db", "ring-2"))
	}
}

// Cancel says what stays changed, and the command that it prints takes that
// back.
func TestCancel(t *testing.T) {
	s := play(t, "cancels", 3)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2-slow")
	create := s.begin("create", s.app, "ring-1")
	s.phase("api", "Converging", 2*time.Minute)
	r := s.ok("cancel", s.app, "--reason", "wrong day")
	if code := create.code(time.Minute); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	s.says(r, "what was published stays", "db v1 -> v2", "api v1 -> v2-slow")
	printed := regexp.MustCompile(`"rollout (rollback [^"]+)"`).FindStringSubmatch(r.stdout)
	if printed == nil {
		t.Fatalf("it prints no command:\n%s", r.stdout)
	}
	s.ok(strings.Fields(printed[1])...)
	s.runs("v1", pair, "c1", "c2", "c3", "c4")

	// One that waits for a person, and that nobody drives, is cancelled as well.
	s.ok("ring", "update", s.app, "ring-1", "--approve-before")
	s.ok("plan", "set", s.app, "db=v3", "api=v3")
	s.ends(8, "create", s.app, "ring-1", "--no-background")
	s.says(s.ok("cancel", s.app, "--reason", "not today"), "it had changed nothing")
	if got := s.show(); got.Phase != "Cancelled" {
		t.Errorf("show says %s: %s", got.Phase, got.Reason)
	}
}

// A halt stops the line: no live rollout starts anything, and none can be
// created; what runs finishes. When it is lifted, all go on by themselves.
func TestHalt(t *testing.T) {
	s := play(t, "halts-a", 2)
	b := s.beside("halts-b")
	s.setUp(pair...)
	b.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2-slow", "api=v2")
	b.ok("plan", "set", b.app, "db=v2-slow")
	one := s.begin("create", s.app, "ring-1")
	two := b.begin("create", b.app, "ring-1", "ring-2")
	s.phase("db", "Converging", time.Minute)
	b.phase("db", "Converging", time.Minute)
	s.ok("halt", "--reason", "the pager rings")
	live := func(r rollout) bool { return r.step("ring-1", "db").Phase == "Done" }
	s.awaits(2*time.Minute, "db on ring-1 Done", live)
	b.awaits(2*time.Minute, "db on ring-1 Done", live)
	s.steadily(3*time.Second, "nothing starts", func() bool { return s.commits("api") == 0 && b.commitsFor("db", "ring-2") == 0 })
	s.says(s.ok("explain", s.app), "the line is stopped by e2e@halts-a: the pager rings", "rollout unhalt")
	s.ok("plan", "set", s.app, "api=v3")
	s.says(s.ends(4, "create", s.app, "ring-2", "--override", "--reason", "in a hurry"), "the pager rings", "hint:", "rollout unhalt")
	s.ok("unhalt")
	for _, create := range []*running{one, two} {
		if code := create.code(long); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	s.runs("v2", pair[1:], "c1", "c2")
	b.runs("v2-slow", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
}
