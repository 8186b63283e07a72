package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// The agent of one of two clusters is away while four applications are rolled
// out, each under another policy.
func TestOffline(t *testing.T) {
	fails := play(t, "off-fails", 1)
	fails.rings = []ring{{"ring-1", []string{"c1", "c5"}}}
	skips, waits, soaks := fails.beside("off-skips"), fails.beside("off-waits"), fails.beside("off-soaks")
	for _, s := range []*scenario{fails, skips, waits, soaks} {
		s.setUp(service{name: "db"})
		s.ok("ring", "update", s.app, "ring-1", "--deadline", "30s")
		s.ok("plan", "set", s.app, "db=v2")
	}
	skips.ok("ring", "update", skips.app, "ring-1", "--on-offline", "skip", "--max-offline", "1")
	waits.ok("ring", "update", waits.app, "ring-1", "--on-offline", "wait")
	soaks.ok("ring", "update", soaks.app, "ring-1", "--soak", "12s")

	soak := soaks.begin("create", soaks.app, "ring-1")
	soaks.awaits(time.Minute, "it soaks", func(r rollout) bool { return r.ring("ring-1") == "Soaking" })
	back := fails.stopAgent("c5")
	fail := fails.begin("create", fails.app, "ring-1")
	skip := skips.begin("create", skips.app, "ring-1")
	wait := waits.begin("create", waits.app, "ring-1")

	// By default a ring with a cluster that cannot be reached fails.
	if code := fail.code(long); code != 6 {
		t.Errorf("fail: exit code %d, want 6", code)
	}
	fails.says(result{stdout: fail.out.String()}, "c5", "no sign of its agent")
	fails.offline("v2", "c1")

	// One may be left out: the rollout ends well without it.
	if code := skip.code(long); code != 0 {
		t.Errorf("skip: exit code %d, want 0", code)
	}
	skips.offline("v2", "c1")

	// Or it is waited for, without a deadline.
	waits.awaits(time.Minute, "c5 Offline", func(r rollout) bool {
		phase, _ := r.step("ring-1", "db").cluster("c5")
		return phase == "Offline"
	})
	waits.says(waits.ok("explain", waits.app), "c5 Offline", "no deadline")
	waits.offline("v2", "c1")

	// A soak does not end on the word of a dead agent.
	soaks.eventuallyBy(aLook, 2*time.Minute, "a sign of the agents is missing", func() bool {
		return strings.Contains(soaks.look("explain", soaks.app).stdout, "waiting for a sign of the agents of 1 clusters")
	})
	fails.readyOfTheDead("c5")

	back()
	if code := wait.code(long); code != 0 {
		t.Errorf("wait: exit code %d, want 0", code)
	}
	if code := soak.code(long); code != 0 {
		t.Errorf("soak: exit code %d, want 0", code)
	}
	waits.runs("v2", []service{{name: "db"}}, "c1", "c5")
	// What was left out catches up by itself, and who keeps watch notes it.
	skips.eventually(time.Minute, "db on c5 at v2", func() bool { return skips.live("c5", "db") == "v2" })
	keeper := skips.begin("run")
	skips.eventuallyBy(aLook, 2*time.Minute, "c5 has caught up", func() bool {
		return strings.Contains(skips.look("app", "history", skips.app).stdout, "cluster c5 caught up with ring-1")
	})
	skips.must(keeper.Process.Signal(syscall.SIGINT))
	if code := keeper.code(long); code != 130 {
		t.Errorf("the keeper's exit code is %d, want 130", code)
	}

	waits.ok("ring", "update", waits.app, "ring-1", "--deadline", "2m")
	waits.heldBack("v3", "c5 Waiting", waits.pauseCluster)
	waits.heldBack("v4", "outside its Fleet schedule", waits.offSchedule)
}

// heldBack rolls a version out while Fleet holds c5 back: it carries the new
// label, is ready with the old content, and is waited for.
func (s *scenario) heldBack(version, words string, hold func(string) (release func())) {
	s.Helper()
	s.ok("plan", "set", s.app, "db="+version)
	release := hold("c5")
	old := s.image("c5", "db")
	create := s.begin("create", s.app, "ring-1")
	var why string
	defer func() {
		if s.Failed() {
			s.Logf("the last explanation:\n%s", why)
		}
	}()
	s.eventuallyBy(aLook, time.Minute, "it waits for c5: "+words, func() bool {
		why = s.look("explain", s.app).stdout
		return strings.Contains(why, words)
	})
	head := s.head("db")
	s.steadily(3*time.Second, "c5 is ready under the new label with the old content", func() bool {
		bd := s.bundleDeployment("c5", "db")
		return bd.Labels[commitLabel] == head && bd.Status.Ready && s.image("c5", "db") == old
	})
	release()
	if code := create.code(long); code != 0 {
		s.Errorf("%s: exit code %d", words, code)
	}
	s.runs(version, []service{{name: "db"}}, "c1", "c5")
}

// pauseCluster pauses a Cluster until the returned function is called, or the
// scenario ends.
func (s *scenario) pauseCluster(cluster string) (release func()) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	pause := func(paused bool) {
		object := &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: cluster, Namespace: lab.Namespace}}
		patch := fmt.Sprintf(`{"spec": {"paused": %t}}`, paused)
		s.must(c.Patch(context.WithoutCancel(s.ctx), object, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
	pause(true)
	release = func() { pause(false) }
	s.Cleanup(release)
	return release
}

// offSchedule gives a Cluster a Schedule that begins half a year from now, until
// the returned function is called, or the scenario ends.
func (s *scenario) offSchedule(cluster string) (release func()) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	next := &fleetv1.Schedule{ObjectMeta: metav1.ObjectMeta{Name: s.app, Namespace: lab.Namespace}}
	next.Spec.Schedule = fmt.Sprintf("0 0 0 1 %d ?", (time.Now().Month()+5)%12+1)
	next.Spec.Duration = metav1.Duration{Duration: time.Hour}
	next.Spec.Targets.Clusters = []fleetv1.ScheduleTarget{{ClusterName: cluster}}
	s.must(c.Create(s.ctx, next))
	s.eventually(30*time.Second, cluster+" is off schedule", func() bool {
		status := s.object(&fleetv1.Cluster{}, cluster).(*fleetv1.Cluster).Status
		return status.Scheduled && !status.ActiveSchedule
	})
	release = func() {
		s.must(client.IgnoreNotFound(c.Delete(context.WithoutCancel(s.ctx), next)))
	}
	s.Cleanup(release)
	return release
}

// beside is another application in the same store, with the same rings.
func (s *scenario) beside(app string) *scenario {
	other := *s
	other.app = app
	return &other
}

// stopAgent stops a cluster's agent until the returned function is called, or
// the scenario ends.
func (s *scenario) stopAgent(cluster string) (start func()) {
	s.Helper()
	part := "agent-" + cluster
	s.must(s.lab.Stop(s.ctx, part))
	start = func() { s.must(s.lab.Start(context.WithoutCancel(s.ctx), part)) }
	s.Cleanup(start)
	return start
}

// offline wants the version on one cluster, and c5 to be named as offline and
// to run what it ran.
func (s *scenario) offline(version, cluster string) {
	s.Helper()
	s.images("db", map[string]string{cluster: version, "c5": "v1"})
	if phase, reason := s.show().step("ring-1", "db").cluster("c5"); phase != "Offline" {
		s.Errorf("c5 is %q: %s, want Offline", phase, reason)
	}
}

// readyOfTheDead breaks what runs on a cluster whose agent is away, and wants
// Fleet to call it ready all the same.
func (s *scenario) readyOfTheDead(cluster string) {
	s.Helper()
	s.imageByHand(cluster, "db", "v1-bad")
	s.eventually(30*time.Second, "db on "+cluster+" is broken", func() bool { return s.live(cluster, "db") == "" })
	s.steadily(8*time.Second, "Fleet calls it ready", func() bool { return s.bundleDeployment(cluster, "db").Status.Ready })
}
