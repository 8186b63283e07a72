package e2e

import (
	"strings"
	"testing"
	"time"
)

// A dependency that is not in the plan and not healthy holds what depends on
// it back, until it is healthy, or until a person says that it does not matter.
func TestUnplannedDependency(t *testing.T) {
	s := play(t, "needs", 2)
	s.setUp(pair...)
	for _, c := range []string{"c1", "c2"} {
		s.breaks(c, "db")
	}
	s.ok("plan", "set", s.app, "api=v2")
	create := s.begin("create", s.app, "ring-1")
	s.eventuallyBy(aLook, time.Minute, "api is held back", func() bool {
		why := s.look("explain", s.app).stdout
		return strings.Contains(why, "it is not in the plan, and its dependents wait for it") && strings.Contains(why, "c1 NotReady")
	})
	if n := s.commits("api"); n != 0 {
		t.Errorf("api was published %d times", n)
	}
	for _, c := range []string{"c1", "c2"} {
		s.imageByHand(c, "db", "v1")
	}
	if code := create.code(long); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.runs("v2", pair[1:], "c1", "c2")

	for _, c := range []string{"c1", "c2"} {
		s.breaks(c, "db")
	}
	s.ok("plan", "set", s.app, "api=v3")
	s.ends(2, "create", s.app, "ring-1", "--allow-unhealthy-dependency")
	s.ok("create", s.app, "ring-1", "--allow-unhealthy-dependency", "--reason", "api v3 does without db")
	s.runs("v3", pair[1:], "c1", "c2")
	s.says(s.ok("show", s.app), "api v3 does without db")
}

// One cluster of the ring may fail: the rollout ends well and names it. Without
// the policy the ring fails with it.
func TestMaxFailed(t *testing.T) {
	s := play(t, "budget", 2)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "30s", "--max-failed", "1")
	s.ok("ring", "update", s.app, "ring-2", "--deadline", "30s")
	s.scaleByHand("c2", "db", 3)
	s.scaleByHand("c4", "db", 3)
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ends(6, "create", s.app, "ring-1", "ring-2"), "c4")
	got := s.show()
	if got.ring("ring-1") != "Done" || got.ring("ring-2") != "Failed" {
		t.Errorf("ring-1 is %s, ring-2 is %s: %s", got.ring("ring-1"), got.ring("ring-2"), got.Reason)
	}
	for cluster, ring := range map[string]string{"c2": "ring-1", "c4": "ring-2"} {
		if phase, reason := got.step(ring, "db").cluster(cluster); phase != "Failed" {
			t.Errorf("%s is %q: %s, want Failed", cluster, phase, reason)
		}
	}
	s.runs("v2", []service{{name: "db"}}, "c1", "c3")
	s.images("db", map[string]string{"c2": "v1", "c4": "v1"})
}

// A cluster that loses its health in the middle of the soak, which Fleet sees
// late, holds the ring; the soak begins again when it is well.
func TestSoakBeginsAgain(t *testing.T) {
	const soak = 20 * time.Second
	s := play(t, "health", 1)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--soak", soak.String())
	s.ok("plan", "set", s.app, "db=v1-slow")
	create := s.begin("create", s.app, "ring-1")
	s.awaits(2*time.Minute, "ring-1 soaks", func(r rollout) bool { return r.ring("ring-1") == "Soaking" })
	s.steadily(7*time.Second, "Fleet calls db on c1 ready", func() bool { return s.bundleDeployment("c1", "db").Status.Ready })
	if late := s.breaks("c1", "db"); late < 2*time.Second {
		t.Errorf("Fleet saw %s after it that db on c1 is broken", late)
	}
	s.eventuallyBy(aLook, 30*time.Second, "the loss is said", func() bool {
		return strings.Contains(s.look("explain", s.app).stdout, "ring-1: is not healthy: db: c1 NotReady")
	})
	s.imageByHand("c1", "db", "v1-slow")
	s.eventually(time.Minute, "db on c1 is well again", func() bool { return s.live("c1", "db") == "v1-slow" })
	well := time.Now()
	if code := create.code(long); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if soaked := s.show().FinishedAt.Sub(well); soaked < soak {
		t.Errorf("it ended %s after c1 was well again, want at least %s", soaked, soak)
	}
	s.says(s.ok("replay", s.app), "every decision the same")
}

// inTurns is db with a strategy of Fleet's own.
func inTurns(maxUnavailable string) service {
	return service{name: "db", tail: "rolloutStrategy:\n  maxUnavailable: " + maxUnavailable + "\n"}
}

// Under maxUnavailable: 1 the clusters take turns, and each has the whole
// deadline from its own turn on: both together need longer.
func TestMaxUnavailable(t *testing.T) {
	const deadline = 35 * time.Second
	s := play(t, "turns", 2)
	s.setUp(inTurns("1"))
	s.ok("ring", "update", s.app, "ring-1", "--deadline", deadline.String())
	s.ok("plan", "set", s.app, "db=v2-slow")
	create := s.begin("create", s.app, "ring-1")
	held := false // a cluster carried our commit, and its old content was ready
	for live := true; live; {
		select {
		case <-create.exited:
			live = false
		case <-time.After(100 * time.Millisecond):
		}
		if s.live("c1", "db") == "" && s.live("c2", "db") == "" {
			t.Error("both clusters are down at once")
		}
		for _, c := range []string{"c1", "c2"} {
			bd := s.bundleDeployment(c, "db")
			held = held || s.image(c, "db") == "v1" && bd.Status.Ready && s.commits("db") == 1 && bd.Labels["fleet.cattle.io/commit"] == s.head("db")
		}
	}
	if code := create.code(time.Minute); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	st := s.show().step("ring-1", "db")
	if whole := st.FinishedAt.Sub(st.StartedAt); whole <= deadline {
		t.Errorf("the whole took %s, no longer than one cluster's deadline", whole)
	}
	if !held {
		t.Error("no cluster was held back under the new label")
	}
	s.runs("v2-slow", []service{{name: "db"}}, "c1", "c2")
}

// head is the newest commit of a repository.
func (s *scenario) head(repo string) string {
	s.Helper()
	hash, err := s.lab.Head(s.ctx, s.app+"-"+repo)
	s.must(err)
	return hash
}

// A strategy under which no cluster would ever be updated is refused before
// the start, with what to write instead.
func TestNeverFinishes(t *testing.T) {
	s := play(t, "never", 0)
	s.setUp(service{name: "db"})
	s.commitFile("db", "deploy/fleet.yaml", s.fleetYAML("db")+inTurns("0").tail)
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ends(5, "create", s.app, "ring-1"), "maxUnavailable 0 never lets a healthy cluster be updated", "write `maxUnavailable: 1`")
	if n := s.commits("db"); n != 0 {
		t.Errorf("%d commits", n)
	}
}
