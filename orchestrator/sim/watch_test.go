package sim_test

import (
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
)

// All there is comes first, in the order of the services, then Synced for each.
func TestWatch_first(t *testing.T) {
	p := newPlay(t, "web")
	p.watch("web")
	p.run(time.Second)
	var got []string
	for _, f := range p.facts {
		kind := "synced"
		switch {
		case f.Members != nil:
			kind = "members"
		case f.GitRepo != nil:
			kind = "gitrepo"
		case f.Bundle != nil:
			kind = "bundle"
		case f.Deployment != nil:
			kind = string(f.Deployment.Cluster)
		}
		if f.Ring != "ring-1" {
			t.Errorf("fact of ring %q", f.Ring)
		}
		got = append(got, string(f.Service)+" "+kind)
	}
	want := []string{"db members", "db gitrepo", "db bundle", "db c1", "db c2", "web members", "web gitrepo", "web bundle", "web c1", "web c2",
		"db synced", "web synced"}
	if len(got) != len(want) {
		t.Fatalf("facts %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("fact %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestWatch_stop(t *testing.T) {
	p := newPlay(t)
	stop := p.watch()
	p.run(time.Second)
	n := len(p.facts)
	p.ship("v2", 3)
	stop()
	p.run(time.Hour)
	if len(p.facts) != n {
		t.Errorf("%d facts after the stop", len(p.facts)-n)
	}
	if at, ok := p.Next(); ok && at.Sub(p.Now()) < time.Hour {
		t.Errorf("something is due at %s in a world at rest", at)
	}
}

// Two watchers of two rings see their own.
func TestWatch_two(t *testing.T) {
	p := newPlay(t)
	p.watch()
	var other []orchestrator.Fact
	p.Watch(orchestrator.Watch{Scope: scope, Ring: "ring-2", Targets: []orchestrator.Target{orchestrator.TargetOf(service("db"))}},
		func(f []orchestrator.Fact) { other = append(other, f...) })
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(settled)
	for _, f := range other {
		if f.Deployment != nil && f.Deployment.Cluster != "c3" || f.Ring != "ring-2" {
			t.Errorf("the other ring's watcher was told %+v", f)
		}
	}
	if last := other[len(other)-1].Deployment; last == nil || last.Commit != p.Tip(repo) || last.SpecNonce != 2 {
		t.Errorf("the last it was told: %+v", last)
	}
}

func TestFaults_watchDoubled(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	n := len(p.facts)
	p.Faults.WatchDoubled = 1
	p.ship("v2", 3)
	p.run(4 * time.Second)
	twice := 0
	for i := n + 1; i < len(p.facts); i++ {
		a, b := p.facts[i-1], p.facts[i]
		if a.GitRepo != nil && b.GitRepo != nil && *a.GitRepo == *b.GitRepo && p.at[i].Equal(p.at[i-1]) {
			twice++
		}
	}
	if twice == 0 {
		t.Errorf("nothing came twice: %+v", p.facts[n:])
	}
}

func TestFaults_watchLate(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.Faults.WatchLate = 1
	p.EditByHand("db", "c1", false)
	p.run(5500 * time.Millisecond)
	p.want("c1", "tip N=1/1 ready nonmod")
	p.run(25 * time.Second)
	p.want("c1", "tip N=1/1 ready")
}

// What was heard before is heard no more by who looks anew, until the agent checks
// in again; who watches has heard it.
func TestFaults_checkInLost(t *testing.T) {
	p := newPlay(t)
	heard := func() time.Time {
		defer p.watch()()
		p.run(time.Second)
		return p.latest["db/c1"].Heard
	}
	first := heard()
	p.run(15 * time.Minute)
	second := heard()
	p.Faults.CheckInLost = 1
	p.EditByHand("db", "c1", false)
	p.run(settled)
	p.Faults.CheckInLost = 0
	if got := heard(); second.Sub(first) != 15*time.Minute || !got.Equal(first) {
		t.Errorf("heard at %s and %s, and then at %s", first, second, got)
	}
	p.run(15 * time.Minute)
	if got := heard(); got.Sub(second) != 15*time.Minute {
		t.Errorf("heard at %s, and then at %s", second, got)
	}
}

// Events that were lost come with the resync, as things are by then.
func TestFaults_watchLost(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.Faults.WatchLost = 1
	p.EditByHand("db", "c1", false)
	p.run(10 * time.Second)
	p.want("c1", "tip N=1/1 ready nonmod")
	p.Faults.WatchLost = 0
	p.run(settled)
	p.want("c1", "tip N=1/1 ready")
}

// An older read arrives after the newer one; the resync puts it right.
func TestFaults_watchStale(t *testing.T) {
	p := newPlay(t)
	p.Faults.WatchStale = 1
	p.watch()
	p.run(time.Second)
	n := len(p.facts)
	p.EditByHand("db", "c1", false)
	p.run(6 * time.Second)
	p.Faults.WatchStale = 0
	if len(p.facts) != n+2 || p.facts[n].Deployment.NonModified || !p.facts[n+1].Deployment.NonModified {
		t.Fatalf("facts %+v", p.facts[n:])
	}
	p.want("c1", "tip N=1/1 ready nonmod")
	p.run(settled)
	p.want("c1", "tip N=1/1 ready")
}

// A fleet that does all at once.
func TestInstantDelays(t *testing.T) {
	p := newPlay(t)
	p.Delays = sim.InstantDelays()
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(time.Millisecond)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// A check-in is news of every service on the cluster, also when a change of one
// of them told of it before.
func TestWatch_checkInOfEveryService(t *testing.T) {
	p := newPlay(t, "web")
	p.Delays.CheckIn = 7 * time.Second
	p.watch("web")
	p.run(time.Second)
	for n := range 300 {
		p.EditByHand("db", "c1", n%2 == 1)
		p.run(time.Second)
		if late := p.Now().Sub(p.latest["web/c1"].Heard); late > 13*time.Second {
			t.Fatalf("web on c1 was heard of %s ago", late)
		}
	}
}

// What moved before the watch began was not seen to move: only the check-in is
// a sign.
func TestWatch_heardBefore(t *testing.T) {
	p := newPlay(t)
	p.Happen(sim.PushFolder)
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(settled)
	p.watch()
	p.run(time.Second)
	listed := p.latest["db/c1"].Heard
	p.run(15 * time.Minute)
	if first := p.latest["db/c1"].Heard; first.Sub(listed) != 15*time.Minute {
		t.Errorf("heard at %s, then at %s: that is no check-in", listed, first)
	}
}
