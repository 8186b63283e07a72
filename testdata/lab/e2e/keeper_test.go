package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nobody starts anything: a release arrives, and `rollout run` starts it on
// ring-1; the train of the next minute waits for a lock, the keeper is killed
// and started again, the lock is released, and the train takes to ring-2 what
// ring-1 has proved. Every start is there once.
func TestKeeper(t *testing.T) {
	s := play(t, "keeps", 2)
	s.rings = []ring{{"ring-1", []string{"c1"}}, {"ring-2", []string{"c2"}}}
	s.setUp(pair...)
	s.ok("ring", "update", s.app, "ring-1", "--on-release", "start")
	s.ok("ring", "update", s.app, "ring-2", "--train", "* * * * *", "--time-zone", "Europe/Berlin")
	s.ok("lock", s.app, "--ring", "ring-2", "--reason", "stocktaking")
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.ok("release", "create", s.app)
	keeper := s.begin("run")
	s.awaits(2*time.Minute, "the release is live on ring-1", func(r rollout) bool { return r.Kind == "release" && r.Phase == "Succeeded" })
	s.runs("v2", pair, "c1")
	s.says(s.ok("history", s.app), "keeps-1", "keeper (release 1 on ring-1)")
	s.eventuallyBy(aLook, 2*time.Minute, "the train waits for the lock", func() bool {
		return strings.Contains(keeper.out.String(), "to ring-2: waits: ring-2 is locked by e2e@keeps")
	})
	s.must(keeper.Process.Signal(syscall.SIGKILL))
	keeper.code(long)

	again := s.begin("run")
	s.eventuallyBy(aLook, 2*time.Minute, "the next keeper waits for the lock", func() bool {
		return strings.Contains(again.out.String(), "to ring-2: waits: ring-2 is locked by e2e@keeps")
	})
	s.images("db", map[string]string{"c1": "v2", "c2": "v1"})
	s.ok("unlock", s.app, "--ring", "ring-2")
	s.awaits(3*time.Minute, "the train is on ring-2", func(r rollout) bool { return r.Kind == "train" && r.Phase == "Succeeded" })
	s.runs("v2", pair, "c1", "c2")
	s.eventuallyBy(aLook, 2*time.Minute, "the train after it has nothing to take", func() bool {
		return strings.Contains(again.out.String(), "to ring-2: none: ")
	})
	s.says(s.ok("ring", "show", s.app, "ring-2"), "next train", "Europe/Berlin", "last start", "there is nothing to take")
	s.says(s.ok("history", s.app), "keeps-2", "keeper (train ring-2, * * * * * Europe/Berlin)")
	if more := s.ok("history", s.app); strings.Contains(more.stdout, "keeps-3") {
		t.Errorf("something was promoted twice:\n%s", more.stdout)
	}
	for _, v := range pair {
		if n := s.commitsFor(v.name, "ring-2"); n != 1 {
			t.Errorf("%s has %d commits for ring-2, want 1", v.name, n)
		}
	}
	s.must(again.Process.Signal(syscall.SIGINT))
	if code := again.code(long); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}
