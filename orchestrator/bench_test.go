package orchestrator_test

import (
	"fmt"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// converging is a rollout of one service whose commit is on the branch, on a
// ring of n clusters that wait for it.
func converging(tb testing.TB, n int) (*orchestrator.State, time.Time) {
	tb.Helper()
	app := &rings.Application{Name: "shop", RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}},
		Services: []rings.Service{{Name: "db", Repo: "db", Branch: "main", GitRepo: "db"}}, Plan: rings.Plan{"db": {Version: "v2"}}}
	created, err := orchestrator.New(app, orchestrator.Request{Rings: []rings.RingName{"ring-1"}})
	if err != nil {
		tb.Fatal(err)
	}
	now := epoch
	s := orchestrator.Apply(nil, orchestrator.Event{Rollout: "shop-1", Seq: 1, At: now, Actor: "ann", Body: created})
	members := make([]rings.ClusterName, n)
	var facts []orchestrator.Fact
	for i := range members {
		members[i] = rings.ClusterName(fmt.Sprintf("eu-%05d", i))
		facts = append(facts, fact(members[i], base, 1, 1, true, now))
	}
	facts = append(facts, orchestrator.Fact{Service: "db", Members: &orchestrator.Members{Clusters: members}}, orchestrator.Fact{Service: "db", Synced: true})
	v := orchestrator.Survey{Service: "db", Tip: base, Version: "v1", Nonce: 1, Commit: base, Lineage: []string{base}, Expected: members}
	answer := func(id string, o orchestrator.Outcome) {
		now = now.Add(time.Second)
		o.Action, o.Result = id, orchestrator.OK
		orchestrator.Step(s, orchestrator.Input{Now: now, Outcomes: []orchestrator.Outcome{o}}, "driver")
	}
	orchestrator.Step(s, orchestrator.Input{Now: now, Taken: true}, "driver")
	now = now.Add(time.Second)
	orchestrator.Step(s, orchestrator.Input{Now: now, Facts: facts}, "driver")
	answer("1-claim", orchestrator.Outcome{})
	answer("2-survey", orchestrator.Outcome{Surveys: []orchestrator.Survey{v}})
	v.Version, v.Nonce, v.Tip, v.Commit, v.Lineage = "v2", 2, ours, ours, []string{ours}
	answer("3-publish", orchestrator.Outcome{Surveys: []orchestrator.Survey{v}})
	answer("4-hint", orchestrator.Outcome{})
	if got := s.Steps[0].Phase; got != orchestrator.StepConverging {
		tb.Fatalf("phase %s", got)
	}
	return s, now
}

const (
	base = "1111111111111111111111111111111111111111"
	ours = "54f86c59227e05583f751e6708e0c1211c25de2d"
)

func fact(name rings.ClusterName, commit string, spec, status int64, ready bool, heard time.Time) orchestrator.Fact {
	return orchestrator.Fact{Service: "db", Deployment: &orchestrator.Deployment{Cluster: name, Commit: commit, SpecNonce: spec, StatusNonce: status,
		Staged: true, Applied: spec == status, Ready: ready, NonModified: true, Heard: heard}}
}

// turnOf are the facts that a cluster shows from the push to Ready.
func turnOf(name rings.ClusterName, now time.Time) []orchestrator.Fact {
	taken := fact(name, ours, 2, 1, true, now)
	applied := fact(name, ours, 2, 2, false, now)
	applied.Deployment.Words = "Deployment shop/db 0/1 replicas"
	return []orchestrator.Fact{taken, applied, fact(name, ours, 2, 2, true, now)}
}

// BenchmarkStep_fact is one fact about one cluster: the time must not grow
// with the ring. Half of the ring is being applied meanwhile, and a tenth has
// been silent for longer than it should.
func BenchmarkStep_fact(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("clusters=%d", n), func(b *testing.B) {
			s, now := converging(b, n)
			for i := range n / 10 {
				now = now.Add(time.Microsecond)
				name := s.Steps[0].Members[n-1-i]
				orchestrator.Step(s, orchestrator.Input{Now: now, Facts: turnOf(name, now)[:1]}, "driver")
			}
			now = now.Add(2 * time.Minute)
			orchestrator.Step(s, orchestrator.Input{Now: now}, "driver")
			for i := range n / 2 {
				now = now.Add(time.Microsecond)
				orchestrator.Step(s, orchestrator.Input{Now: now, Facts: turnOf(s.Steps[0].Members[i], now)[:1]}, "driver")
			}
			name := s.Steps[0].Members[0]
			turns := turnOf(name, now)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Microsecond)
				orchestrator.Step(s, orchestrator.Input{Now: now, Facts: turns[1+i%2 : 2+i%2]}, "driver")
			}
		})
	}
}

// journalPerCluster is what is written for a cluster on its way from the push
// to Ready.
func journalPerCluster(tb testing.TB, n int) (bytes int) {
	s, now := converging(tb, n)
	count := func(facts []orchestrator.Fact) (size int) {
		now = now.Add(time.Second)
		d := orchestrator.Step(s, orchestrator.Input{Now: now, Facts: facts}, "host/4711/8d1c")
		for _, e := range d.Events {
			b, err := orchestrator.EncodeEvent(e)
			if err != nil {
				tb.Fatal(err)
			}
			size += len(b)
		}
		return size
	}
	count(turnOf(s.Steps[0].Members[0], now)[:1]) // the first one also takes the step up
	for _, f := range turnOf(s.Steps[0].Members[1], now) {
		bytes += count([]orchestrator.Fact{f})
	}
	return bytes
}

// TestStep_journalSize: what is written for a changed cluster does not grow
// with the ring.
func TestStep_journalSize(t *testing.T) {
	small, large := journalPerCluster(t, 100), journalPerCluster(t, 10_000)
	if small != large {
		t.Errorf("%d bytes per changed cluster in a ring of 100, %d in one of 10,000", small, large)
	}
	t.Logf("%d bytes per changed cluster", large)
}

// BenchmarkStep_services is one fact in a rollout of many services, of which
// the first is converging and each of the others waits for the one before.
func BenchmarkStep_services(b *testing.B) {
	for _, n := range []int{50, 1000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			s, now := converging(b, 10)
			for i := range n - 1 {
				more := *s.Steps[0]
				more.Target.Service, more.Needs = rings.ServiceName(fmt.Sprintf("s-%04d", i)), []rings.ServiceName{s.Steps[i].Target.Service}
				more.Phase, more.Clusters, more.Counts = orchestrator.StepWaiting, nil, nil
				s.Steps = append(s.Steps, &more)
			}
			turns := turnOf(s.Steps[0].Members[0], now)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Microsecond)
				orchestrator.Step(s, orchestrator.Input{Now: now, Facts: turns[1+i%2 : 2+i%2]}, "driver")
			}
		})
	}
}
