package sim_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

// sample is the sample application with a plan, and the options to roll it out
// to so many clusters.
func sample(clusters int) (*rings.Application, sim.RehearseOptions) {
	a := sim.Sample()
	a.Plan = rings.Plan{"db": {Version: "next"}, "api": {Version: "next"}, "web": {Version: "next"}}
	return a, sim.RehearseOptions{Seed: 1, Clusters: sim.ClusterNames(a, nil, clusters), Request: orchestrator.Request{Rings: a.RingNames()},
		Uptake: 5 * time.Second, Apply: 20 * time.Second, Ready: 40 * time.Second}
}

func rehearse(t *testing.T, a *rings.Application, o sim.RehearseOptions) sim.Rehearsal {
	t.Helper()
	r, err := sim.Rehearse(a, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRehearse(t *testing.T) {
	a, o := sample(70)
	r := rehearse(t, a, o)
	if r.Phase != orchestrator.Succeeded || r.Commits != 9 || len(r.RolledBack)+len(r.Faults) > 0 || r.Refusal != "" {
		t.Errorf("%+v", r)
	}
	var last time.Duration
	for i, ring := range r.Rings {
		if ring.Clusters != []int{10, 20, 40}[i] || ring.Hit != ring.Clusters || ring.Failed+ring.Offline > 0 {
			t.Errorf("%+v", ring)
		}
		if ring.Start < last || ring.Converged-ring.Start < time.Minute || ring.Soaked-ring.Converged < time.Hour || ring.End != ring.Soaked {
			t.Errorf("%s: %s, %s, %s, %s", ring.Name, ring.Start, ring.Converged, ring.Soaked, ring.End)
		}
		last = ring.End
	}
	if r.Took != last {
		t.Errorf("it took %s, the last ring ended after %s", r.Took, last)
	}
}

// A bad version reaches the first ring, and no cluster of the others.
func TestRehearse_badVersion(t *testing.T) {
	a, o := sample(70)
	o.Bad = map[rings.ServiceName]sim.Behaviour{"api": {Kind: sim.NeverReady}}
	r := rehearse(t, a, o)
	if r.Phase != orchestrator.RolledBack || r.Rings[0].Hit != 10 || r.Rings[1].Hit+r.Rings[2].Hit != 0 || r.Rings[1].Start >= 0 {
		t.Errorf("%+v", r)
	}
	f := r.Faults[0]
	if f.Service != "api" || f.End != sim.FaultStopped || f.Gate != sim.FailsDeadline || f.Ring != "ring-1" || f.Hit != 10 || f.Of != 70 {
		t.Errorf("%+v", f)
	}
	if f.At < 15*time.Minute || f.At > 25*time.Minute || f.At > r.Took {
		t.Errorf("stopped after %s of %s", f.At, r.Took)
	}
	want := []sim.RehearsedUndo{{"ring-1", "api", "previous", orchestrator.StepDone}, {"ring-1", "db", "previous", orchestrator.StepDone}}
	if !reflect.DeepEqual(r.RolledBack, want) || r.Commits != 4 {
		t.Errorf("%d commits, rolled back: %+v", r.Commits, r.RolledBack)
	}
}

// What was pushed when a rollout stops reaches the rest of the ring all the
// same, unless it is taken back in time.
func TestRehearse_pushed(t *testing.T) {
	a, o := sample(70)
	o.Bad = map[rings.ServiceName]sim.Behaviour{"db": {Kind: sim.InstallFails}}
	for _, policy := range []rings.OnFailure{rings.FailureStop, rings.FailurePause, rings.FailureRollback} {
		a.Rings[0].Policy.OnFailure = policy
		r := rehearse(t, a, o)
		if f := r.Faults[0]; f.Hit == 0 || f.Hit >= 10 || f.InAll < f.Hit || f.InAll != r.Rings[0].Hit || policy != rings.FailureRollback && f.InAll != 10 {
			t.Errorf("%s: %+v\n%+v", policy, f, r.Rings[0])
		}
		if r.Took > time.Hour {
			t.Errorf("%s: it took %s", policy, r.Took)
		}
	}
}

func TestRehearse_gates(t *testing.T) {
	policies := map[string]func(*rings.Policy){
		"":       func(*rings.Policy) {},
		"budget": func(p *rings.Policy) { p.MaxFailed = rings.Amount{N: 60, Percent: true} },
		"check": func(p *rings.Policy) {
			p.Checks = []rings.Check{{Name: "errors", Kind: rings.CheckCommand, Command: "true"}}
		},
		"skip": func(p *rings.Policy) {
			p.OnOffline, p.MaxOffline = rings.OfflineSkip, rings.Amount{N: 60, Percent: true}
		},
		"few":  func(p *rings.Policy) { p.OnOffline, p.MaxOffline = rings.OfflineSkip, rings.Amount{N: 1} },
		"wait": func(p *rings.Policy) { p.OnOffline = rings.OfflineWait },
	}
	for _, test := range []struct {
		name, policy string
		bad          sim.Behaviour
		rate, away   float64
		phase        orchestrator.Phase
		end          sim.FaultEnd
		gate         sim.FaultGate
	}{
		{name: "install fails", bad: sim.Behaviour{Kind: sim.InstallFails}, phase: orchestrator.RolledBack, end: sim.FaultStopped, gate: sim.FailsBudget},
		{name: "deploy fails", bad: sim.Behaviour{Kind: sim.DeployFails}, phase: orchestrator.RolledBack, end: sim.FaultStopped, gate: sim.FailsBudget},
		{name: "fails in the soak", bad: sim.Behaviour{Kind: sim.ReadyThenFails, After: 20 * time.Minute}, phase: orchestrator.RolledBack, end: sim.FaultStopped, gate: sim.FailsSoak},
		{name: "fails after all soaks", bad: sim.Behaviour{Kind: sim.ReadyThenFails, After: 9 * time.Hour}, phase: orchestrator.Succeeded, end: sim.FaultUnnoticed},
		{name: "fails checks that are not", bad: sim.Behaviour{Kind: sim.FailsChecks}, phase: orchestrator.Succeeded, end: sim.FaultUnnoticed},
		{name: "fails checks", policy: "check", bad: sim.Behaviour{Kind: sim.FailsChecks}, phase: orchestrator.RolledBack, end: sim.FaultStopped, gate: sim.FailsCheck},
		{name: "some fail", rate: 0.1, phase: orchestrator.RolledBack, end: sim.FaultStopped, gate: sim.FailsDeadline},
		{name: "some may fail", policy: "budget", rate: 0.1, phase: orchestrator.Succeeded, end: sim.FaultTolerated},
		{name: "offline fails", away: 0.3, phase: orchestrator.Failed, end: sim.FaultStopped, gate: sim.FailsOffline},
		{name: "offline is skipped", policy: "skip", away: 0.3, phase: orchestrator.Succeeded, end: sim.FaultTolerated},
		{name: "too many offline", policy: "few", away: 0.3, phase: orchestrator.Failed, end: sim.FaultStopped, gate: sim.FailsOffline},
		{name: "offline is waited for", policy: "wait", away: 0.3, phase: orchestrator.Running, end: sim.FaultHolds},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, o := sample(70)
			for i := range a.Rings {
				policies[test.policy](&a.Rings[i].Policy)
			}
			if o.FailureRate, o.Offline = test.rate, test.away; test.bad.Kind != sim.Good {
				o.Bad = map[rings.ServiceName]sim.Behaviour{"web": test.bad}
			}
			r := rehearse(t, a, o)
			if f := r.Faults[0]; r.Phase != test.phase || len(r.Faults) != 1 || f.End != test.end || f.Gate != test.gate || f.Hit == 0 || f.Hit > f.Of {
				t.Errorf("%s: %s\n%+v", r.Phase, r.Reason, f)
			}
		})
	}
}

// Only one fault stops a rollout; the others may not even be met.
func TestRehearse_severalFaults(t *testing.T) {
	a, o := sample(70)
	o.Bad = map[rings.ServiceName]sim.Behaviour{"db": {Kind: sim.InstallFails}, "web": {Kind: sim.NeverReady}}
	r := rehearse(t, a, o)
	if db, web := r.Faults[0], r.Faults[1]; db.End != sim.FaultStopped || web.End != sim.FaultNotMet || web.Hit != 0 {
		t.Errorf("%+v", r.Faults)
	}
}

func TestRehearse_seed(t *testing.T) {
	a, o := sample(70)
	o.FailureRate = 0.02
	text := func(seed uint64) string {
		o.Seed = seed
		out, err := json.Marshal(rehearse(t, a, o))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	one := text(1)
	if again := text(1); again != one {
		t.Errorf("one seed, two rehearsals:\n%s\n%s", one, again)
	}
	if other := text(2); other == one {
		t.Errorf("two seeds, one rehearsal: %s", one)
	}
}

func TestRehearse_approvals(t *testing.T) {
	a, o := sample(14)
	a.Rings[1].Policy.ApproveBefore, a.Rings[1].Policy.ApproveAfter = true, true
	at := func(wait time.Duration) sim.Rehearsal {
		o.ApproveAfter = wait
		return rehearse(t, a, o)
	}
	slow := at(30 * time.Minute)
	if wait := slow.Rings[1].Start - slow.Rings[0].End; wait < 30*time.Minute || wait > 31*time.Minute {
		t.Errorf("ring-2 began %s after ring-1 ended", wait)
	}
	if wait := slow.Rings[1].End - slow.Rings[1].Soaked; wait < 30*time.Minute || wait > 31*time.Minute {
		t.Errorf("ring-2 ended %s after its soak", wait)
	}
	if quick := at(0); slow.Phase != orchestrator.Succeeded || quick.Phase != slow.Phase || slow.Took-quick.Took < 45*time.Minute {
		t.Errorf("%s %s, %s %s", slow.Phase, slow.Took, quick.Phase, quick.Took)
	}
}

// What is proposed is merged by a person, and waited for.
func TestRehearse_proposals(t *testing.T) {
	a, o := sample(14)
	for i := range a.Services {
		a.Services[i].Publish = rings.PublishBranch
	}
	o.ApproveAfter = 30 * time.Minute
	slow := rehearse(t, a, o)
	if slow.Phase != orchestrator.Succeeded || slow.Rings[0].Converged-slow.Rings[0].Start < time.Hour {
		t.Errorf("%s (%s): the services of ring-1 were live %s after it began", slow.Phase, slow.Reason, slow.Rings[0].Converged-slow.Rings[0].Start)
	}
	o.ApproveAfter = 25 * time.Hour
	if never := rehearse(t, a, o); never.Phase != orchestrator.Failed || !strings.Contains(never.Reason, "nobody merged rollout/") {
		t.Errorf("nobody merges in time: %s, %s", never.Phase, never.Reason)
	}
}

// A rollout that a person would have to decide on ends there.
func TestRehearse_pause(t *testing.T) {
	a, o := sample(14)
	a.Rings[0].Policy.OnFailure = rings.FailurePause
	o.Bad = map[rings.ServiceName]sim.Behaviour{"db": {Kind: sim.InstallFails}}
	if r := rehearse(t, a, o); r.Phase != orchestrator.Paused || r.Faults[0].End != sim.FaultStopped || r.Took > time.Hour || !strings.HasPrefix(r.Reason, "db: cluster ") {
		t.Errorf("%+v", r)
	}
}

// What would be refused is rehearsed nevertheless, and said.
func TestRehearse_refusal(t *testing.T) {
	a, o := sample(14)
	o.Request.Rings = []rings.RingName{"ring-2"}
	if r := rehearse(t, a, o); r.Refusal == "" || r.Phase != orchestrator.Succeeded || len(r.Rings) != 1 || r.Rings[0].Hit != 4 {
		t.Errorf("%+v", r)
	}
	a.Services[0].Held = map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": {"next": {Rollout: "sample-7"}}}
	o.Request.Rings = a.RingNames()
	if r := rehearse(t, a, o); r.Refusal == "" || r.Phase != orchestrator.Succeeded {
		t.Errorf("%+v", r)
	}
}

func TestRehearse_impossible(t *testing.T) {
	a, o := sample(14)
	o.Request.Rings = []rings.RingName{"ring-9"}
	if _, err := sim.Rehearse(a, o); !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

// Names, versions and repositories are as people have them.
func TestRehearse_shapes(t *testing.T) {
	a := &rings.Application{Name: "shop", RingLabel: "stage", Plan: rings.Plan{"db": {Version: "1.10"}, "api": {Version: "007"}, "web": {Version: "true"}}}
	a.Rings = []rings.Ring{{Name: "1"}, {Name: "empty"}, {Name: "true"}}
	for i, name := range []rings.ServiceName{"db", "api", "web"} {
		s := rings.Service{Name: name, Repo: "https://git.example.com/r", Branch: []string{"main", "main", "next"}[i], Path: "deploy",
			Fields: []string{"helm.version"}, AcceptRedeploy: true, LastNonce: 41, Known: map[rings.RingName]rings.Known{"1": {Version: "1.9"}, "true": {Version: "1e3"}}}
		a.Services = append(a.Services, s)
	}
	o := sim.RehearseOptions{Seed: 1, Clusters: sim.ClusterNames(a, map[rings.RingName]int{"1": 2, "true": 6}, 8),
		Request: orchestrator.Request{Rings: []rings.RingName{"true"}, Through: true}}
	before, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	r := rehearse(t, a, o)
	if r.Phase != orchestrator.Succeeded || r.Rings[0].Hit != 2 || r.Rings[1].Phase != orchestrator.RingSkipped || r.Rings[2].Hit != 6 || r.Commits != 4 {
		t.Errorf("%+v", r)
	}
	if after, _ := json.Marshal(a); string(after) != string(before) {
		t.Errorf("the application was changed:\n%s\n%s", before, after)
	}
}

func TestClusterNames(t *testing.T) {
	a := sim.Sample()
	for _, test := range []struct {
		there map[rings.RingName]int
		n     int
		want  [3]int
	}{
		{nil, 1000, [3]int{143, 286, 571}},
		{nil, 0, [3]int{}},
		{nil, 2, [3]int{1, 1, 0}},
		{map[rings.RingName]int{"ring-1": 5, "ring-2": 20, "ring-3": 75}, 1000, [3]int{50, 200, 750}},
		{map[rings.RingName]int{"ring-1": 1, "ring-3": 999}, 10, [3]int{1, 0, 9}},
	} {
		got := sim.ClusterNames(a, test.there, test.n)
		if sizes := [3]int{len(got["ring-1"]), len(got["ring-2"]), len(got["ring-3"])}; sizes != test.want {
			t.Errorf("%d of %v: %v, want %v", test.n, test.there, sizes, test.want)
		}
	}
}

func TestRehearse_stopped(t *testing.T) {
	a, o := sample(14)
	steps := 0
	o.Stop = func() error {
		if steps++; steps == 100 {
			return errors.ErrUnsupported
		}
		return nil
	}
	if _, err := sim.Rehearse(a, o); !errors.Is(err, errors.ErrUnsupported) || steps != 100 {
		t.Errorf("%v after %d steps", err, steps)
	}
}

func TestDistribute(t *testing.T) {
	all := []sim.Rehearsal{
		{Seed: 7, Phase: orchestrator.Succeeded, Took: 3 * time.Hour, Struck: 2},
		{Seed: 8, Phase: orchestrator.RolledBack, Took: time.Hour, Struck: 9},
		{Seed: 9, Phase: orchestrator.Succeeded, Took: 2 * time.Hour, Struck: 9},
	}
	want := sim.Distribution{Runs: 3, Ends: map[orchestrator.Phase]int{orchestrator.Succeeded: 2, orchestrator.RolledBack: 1},
		Took: sim.Spread[time.Duration]{Median: 2 * time.Hour, Worst: 3 * time.Hour, Seed: 7}, Struck: sim.Spread[int]{Median: 9, Worst: 9, Seed: 8}}
	if got := sim.Distribute(all); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
