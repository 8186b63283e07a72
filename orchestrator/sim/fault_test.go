package sim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

// wild are faults of every kind.
func wild() sim.Faults {
	return sim.Faults{Unreachable: .1, PushRaced: .2, PushRefused: .02, PushLost: .1, PushDropped: .1, Outlives: .5, ClaimRefused: .02,
		ClaimUnreachable: .1, HintRefused: .1, HintLost: .1, NudgeUnreachable: .1, CheckBad: .1, CheckSilent: .1, JobFails: .1, JobSlow: .2,
		SoftFailures: .1, AwaitsValues: .1, StatusLags: .2, CheckInLost: .2, WatchLate: .1, WatchDoubled: .1, WatchStale: .1, WatchLost: .1, Unrest: 2 * time.Minute}
}

// story is all that can be seen of six hours in a wild world.
func story(seed uint64) string {
	var b strings.Builder
	w := sim.NewWorld(seed)
	w.Faults = wild()
	w.Told = func(words string) { fmt.Fprintln(&b, w.Now().Sub(start), words) }
	w.AddRepo(repo, "main")
	for _, s := range []string{"db", "web"} {
		w.AddService(service(s), yaml("ring-1", "ring-2"))
	}
	for i := range 6 {
		w.AddCluster(rings.ClusterName(fmt.Sprintf("c%d", i)), on(fmt.Sprintf("ring-%d", i%2+1)))
	}
	print := func(what any) {
		text, err := json.Marshal(what)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "%s %s\n", w.Now().Sub(start), text)
	}
	w.Watch(orchestrator.Watch{Scope: scope, Ring: "ring-1", Targets: []orchestrator.Target{orchestrator.TargetOf(service("db")), orchestrator.TargetOf(service("web"))}},
		func(f []orchestrator.Fact) { print(f) })
	kinds := []orchestrator.ActionKind{orchestrator.ActClaim, orchestrator.ActSurvey, orchestrator.ActPublish, orchestrator.ActHint, orchestrator.ActNudge, orchestrator.ActCheck}
	n := 0
	var act func()
	act = func() {
		n++
		a := orchestrator.Action{ID: fmt.Sprint(n), Kind: kinds[n%len(kinds)], Ring: "ring-1", Commit: w.Tip(repo)}
		a.Items = []orchestrator.Item{{Service: "db", Version: rings.Version(fmt.Sprintf("v%d", n)), Nonce: int64(10*n + 10), Base: w.Tip(repo)}}
		t := orchestrator.TargetOf(service("db"))
		abandon := w.Do(orchestrator.Job{Action: a, Rollout: "shop-1", Scope: scope, Targets: map[rings.ServiceName]orchestrator.Target{"db": t}},
			func(o orchestrator.Outcome) { print(o) })
		if n%7 == 0 {
			w.After(300*time.Millisecond, abandon)
		}
		w.After(time.Minute, act)
	}
	act()
	for end := start.Add(6 * time.Hour); w.Now().Before(end); {
		w.Step()
	}
	print(w.History(repo))
	return b.String()
}

// One seed decides everything, and another one something else.
func TestWorld_oneSeedReplays(t *testing.T) {
	for seed := range uint64(5) {
		a, b := story(seed), story(seed)
		if a != b {
			x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
			for i := range x {
				if i >= len(y) || x[i] != y[i] {
					t.Fatalf("seed %d: line %d differs:\n%s\n%s", seed, i, x[i], y[min(i, len(y)-1)])
				}
			}
		}
		if a == story(seed+100) {
			t.Errorf("seeds %d and %d tell the same story", seed, seed+100)
		}
	}
}

// Every happening happens, and a world in which it does goes on.
func TestHappen(t *testing.T) {
	for _, h := range sim.Happenings {
		t.Run(string(h), func(t *testing.T) {
			p := newPlay(t)
			var told []string
			p.Told = func(words string) { told = append(told, words) }
			p.watch()
			p.run(time.Second)
			p.Happen(h)
			if len(told) == 0 {
				t.Error("nothing was told")
			}
			p.run(time.Hour)
			p.Calm()
			p.PushFile(repo, "db/fleet.yaml", yaml("ring-1", "ring-2"), "ann <ann@example.com>")
			p.PushFile(repo, "db/note", []byte("all are upgraded\n"), "ann <ann@example.com>")
			p.run(2 * time.Hour)
			for _, c := range p.Members(nil) {
				if v, _, healthy := p.Running("db", c); v != "v1" || !healthy {
					t.Errorf("afterwards %s runs %s, healthy %t", c, v, healthy)
				}
			}
		})
	}
}

// Unrest comes as often as it is asked for, and only what is allowed.
func TestFaults_unrest(t *testing.T) {
	p := newPlay(t)
	p.Faults = sim.Faults{Unrest: time.Minute, May: []sim.Happening{sim.PushElse}}
	before := len(p.History(repo))
	p.run(5 * time.Hour)
	commits := p.History(repo)[before:]
	if n := len(commits); n < 200 || n > 400 {
		t.Errorf("%d commits in 300 minutes", n)
	}
	for _, c := range commits {
		if !slices.Equal(c.Files, []string{"README.md"}) {
			t.Fatalf("commit of %q", c.Files)
		}
	}
	p.Calm()
	p.run(time.Minute)
	before = len(p.History(repo))
	p.run(5 * time.Hour)
	if n := len(p.History(repo)); n != before {
		t.Errorf("%d commits in a calm world", n-before)
	}
}

// A world without faults draws nothing for them: what is not asked for changes
// nothing.
func TestFaults_none(t *testing.T) {
	p := newPlay(t)
	p.run(24 * time.Hour)
	if n := len(p.History(repo)); n != 2 {
		t.Errorf("%d commits", n)
	}
	if p.Step() {
		t.Error("something happens in a world at rest")
	}
}
