package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Scenario is what is to be played: a fleet, an application with its rings and
// their policies, a plan, and all that goes wrong until Calm. It is data; the
// seed that it was drawn from makes the same one again.
type Scenario struct {
	App      *rings.Application
	Files    map[rings.ServiceName]string
	Clusters []Placed
	Request  orchestrator.Request
	Delays   Delays
	Faults   Faults
	Bad      []Bad // versions that are not good
	Troubles []Trouble
	// Windows are there from the beginning. Their zone is UTC, and those with a
	// cron begin every so many minutes of the hour.
	Windows []rings.Window
	// HoldBack are services whose Bundle changes one cluster at a time.
	HoldBack []rings.ServiceName

	Crashes   float64 // at a boundary of a driver
	Writes    float64 // of a write of the journal
	MaxDeaths int     // of drivers
	Patience  time.Duration
	Fickle    bool // the persons do more than answer
	Calm      time.Duration
	Days      Days
	// Used are the policies and faults that it has, for the record.
	Used []string
}

// Placed is a cluster with its labels.
type Placed struct {
	Name   rings.ClusterName
	Labels map[string]string
}

// Bad is a version that behaves badly: on all clusters, or on one.
type Bad struct {
	Service   rings.ServiceName
	Cluster   rings.ClusterName // "" for all
	Version   rings.Version
	Behaviour Behaviour
}

// Trouble is one thing that goes wrong, or that somebody does.
type Trouble struct {
	At   time.Duration
	Kind TroubleKind
	N    int // chooses whom it concerns, and how long it lasts
}

// TroubleKind is a kind of trouble: a [Happening] of the world, or one of these.
type TroubleKind string

// Troubles beyond the world's happenings.
const (
	SecondDriver TroubleKind = "second-driver" // another driver starts, and waits for the lease
	DriverDies   TroubleKind = "driver-dies"   // between two turns
	DriverSleeps TroubleKind = "driver-sleeps" // longer than its lease runs
	DriverLeaves TroubleKind = "driver-leaves" // in order
	HostCrashes  TroubleKind = "host-crashes"  // what is not on disk is lost, and all drivers die
	LineHalted   TroubleKind = "line-halted"   // for a while
	PersonLocks  TroubleKind = "person-locks"  // a part of the application, for a while
	PersonCloses TroubleKind = "person-closes" // a ring or all, by a window that is made now
	ClaimTaken   TroubleKind = "claim-taken"   // another store holds a ring for a while
	JobsBroken   TroubleKind = "jobs-broken"   // git jobs fail for a while
	TargetsBreak TroubleKind = "targets-break" // Fleet cannot compute a Bundle's targets for a while
	GitRepoHeld  TroubleKind = "gitrepo-held"  // a GitRepo is paused for a while
	PersonPauses TroubleKind = "person-pauses"
	PersonSkips  TroubleKind = "person-skips" // a cluster, a service or a ring
	PersonEnds   TroubleKind = "person-cancels"
	// What persons do with branches of ours, also with those that nobody wants.
	PersonMerges  TroubleKind = "person-merges"
	PersonDeletes TroubleKind = "person-deletes"
	// RingJudged: another rollout begins on the ring that freezes the one before it.
	RingJudged TroubleKind = "ring-judged"
)

// troubles are all kinds beyond the world's happenings.
var troubles = []TroubleKind{SecondDriver, DriverDies, DriverSleeps, DriverLeaves, HostCrashes, LineHalted, ClaimTaken, JobsBroken, TargetsBreak,
	GitRepoHeld, PersonPauses, PersonSkips, PersonEnds, PersonLocks, PersonCloses}

// drawing is a scenario that is being drawn.
type drawing struct {
	*rand.Rand
	*Scenario
}

// Draw makes the scenario of a seed. Its versions are "v1" before, and "v2".
func Draw(seed uint64) *Scenario {
	d := drawing{rand.New(rand.NewPCG(seed, 0xd4a3)), &Scenario{Files: map[rings.ServiceName]string{}, Delays: DefaultDelays()}}
	d.Delays.CheckIn, d.Delays.Resync = d.between(20*time.Second, 3*time.Minute), time.Minute
	d.Calm, d.Patience = d.between(2*time.Minute, 25*time.Minute), d.between(2*time.Second, 4*time.Minute)
	d.application()
	d.versions()
	if d.one(4) > 0 {
		d.misfortune()
	}
	drawing{rand.New(rand.NewPCG(seed, 0xb4a7)), d.Scenario}.proposals()
	if d.chance(4) {
		d.Request.Options.Tag = "shop-2"
		d.use("tag")
	}
	drawing{rand.New(rand.NewPCG(seed, 0xda75)), d.Scenario}.days()
	drawing{rand.New(rand.NewPCG(seed, 0x5e77)), d.Scenario}.settings()
	drawing{rand.New(rand.NewPCG(seed, 0xf4ee)), d.Scenario}.freezes()
	return d.Scenario
}

// one draws one of n.
func (d drawing) one(n int) int { return d.IntN(n) }

// chance is true once in n times.
func (d drawing) chance(n int) bool { return d.IntN(n) == 0 }

func (d drawing) between(a, b time.Duration) time.Duration {
	return (a + time.Duration(d.Int64N(int64(b-a)))).Round(time.Millisecond)
}

func (d drawing) use(what string) {
	if !slices.Contains(d.Used, what) {
		d.Used = append(d.Used, what)
	}
}

// application draws the application, its clusters, and what is asked for.
func (d drawing) application() {
	d.App = &rings.Application{Name: "shop", Workspace: "fleet-default", RingLabel: "ring", Plan: rings.Plan{}}
	if d.chance(2) {
		d.App.Selector = map[string]string{"app": "shop"}
	}
	for i := range 1 + d.one(3) {
		name := rings.RingName(fmt.Sprintf("ring-%d", i+1))
		d.App.Rings = append(d.App.Rings, rings.Ring{Name: name, Policy: d.policy()})
		for j := range 1 + d.one(3) {
			d.Clusters = append(d.Clusters, Placed{rings.ClusterName(fmt.Sprintf("%s-%c", name, 'a'+j)), d.App.RingLabels(name)})
		}
	}
	for i := range 2 + d.one(3) {
		d.service(i)
	}
	d.plan()
	d.request()
	d.windows()
}

// service draws a service that may depend on those before it.
func (d drawing) service(i int) {
	s := rings.Service{Name: rings.ServiceName([]string{"db", "api", "web", "mail"}[i]), Repo: fmt.Sprintf("https://git.example/r%d", d.one(min(i+1, 3))), Branch: "main",
		Fields: []string{rings.DefaultField}, Managed: d.chance(2), Known: map[rings.RingName]rings.Known{}}
	s.Path, s.GitRepo, s.Bundle = string(s.Name), string(s.Name), string(s.Name)
	for _, before := range d.App.Services {
		if d.chance(3) {
			s.DependsOn = append(s.DependsOn, before.Name)
		}
	}
	known := !d.chance(6)
	entries := map[rings.RingName]entry{}
	for _, ring := range d.App.Rings {
		entries[ring.Name] = entry{version: "v1", nonce: int64(d.one(3))}
		if known {
			s.Known[ring.Name] = rings.Known{Version: "v1"}
		}
	}
	d.App.Services = append(d.App.Services, s)
	d.Files[s.Name] = fileOf(d.App, s.Name, entries)
	if d.chance(8) {
		d.HoldBack = append(d.HoldBack, s.Name)
		d.use("rollout-strategy")
	}
}

// proposals draws whose branches take no direct pushes, in most scenarios none.
// All that is drawn here is drawn apart from the rest.
func (d drawing) proposals() {
	if d.one(4) > 0 {
		return
	}
	protected := map[string]bool{}
	for i, s := range d.App.Services {
		if _, drawn := protected[s.Repo]; !drawn {
			protected[s.Repo] = d.chance(2)
		}
		if protected[s.Repo] {
			d.App.Services[i].Publish = rings.PublishBranch
			d.use("proposed")
		}
	}
	for i := range d.App.Rings {
		d.App.Rings[i].Policy.Merge = d.between(time.Minute, 15*time.Minute).Truncate(time.Second)
	}
	if len(d.Troubles) == 0 {
		return
	}
	for range d.one(4) {
		t := Trouble{At: d.between(0, d.Calm), Kind: []TroubleKind{PersonMerges, PersonDeletes, TroubleKind(PushVersion), TroubleKind(PushNonce), TroubleKind(PushFile), PersonPauses}[d.one(6)], N: d.Int()}
		d.Troubles = append(d.Troubles, t)
		d.use(string(t.Kind))
	}
}

// plan draws what should run: "v2" of most services.
func (d drawing) plan() {
	for i, s := range d.App.Services {
		if i == 0 || d.one(8) > 0 {
			d.App.Plan[s.Name] = rings.PlanEntry{Version: "v2"}
		}
	}
}

// request draws which rings are asked for, and how. Those before the first are
// as an earlier rollout left them.
func (d drawing) request() {
	names := d.App.RingNames()
	first := 0
	if len(names) > 1 && d.chance(4) {
		first = 1
		d.use("verified-upstream")
		d.verify(names[0])
	}
	d.Request = orchestrator.Request{Rings: names[first:]}
	d.Request.Options = orchestrator.Options{Redeploy: d.chance(8), Override: d.chance(8), AllowUnhealthy: d.chance(8), Reason: "because"}
}

// windows draws when rings are open and closed, in most scenarios always.
func (d drawing) windows() {
	if d.one(4) > 0 {
		return
	}
	for i := range 1 + d.one(3) {
		every := []int{5, 10, 15, 20}[d.one(4)]
		w := rings.Window{App: d.App.Name, Name: rings.WindowName(fmt.Sprintf("w%d", i)), Kind: rings.WindowDeny, Cron: fmt.Sprintf("*/%d * * * *", every), Zone: "UTC", By: "ann"}
		w.Lasts = time.Duration(1+d.one(every-1)) * time.Minute
		if d.chance(2) {
			w.Kind = rings.WindowAllow
		}
		if d.chance(2) {
			w.Ring = d.App.Rings[d.one(len(d.App.Rings))].Name
		}
		d.use("window-" + string(w.Kind))
		d.Windows = append(d.Windows, w)
	}
	d.Request.Options.GoOver = d.chance(3)
}

// verify makes the ring look as after a rollout of the plan that ended well.
func (d drawing) verify(ring rings.RingName) {
	for i := range d.App.Services {
		s := &d.App.Services[i]
		if _, planned := d.App.Plan[s.Name]; !planned {
			continue
		}
		s.Known[ring] = rings.Known{Version: "v2", Verified: "shop-0"}
		entries := entries([]byte(d.Files[s.Name]))
		entries[ring] = entry{version: "v2", nonce: entries[ring].nonce}
		d.Files[s.Name] = fileOf(d.App, s.Name, entries)
	}
}

// policy draws one of every kind, with small times.
func (d drawing) policy() rings.Policy {
	p := rings.Policy{Uptake: d.between(time.Minute, 4*time.Minute).Truncate(time.Second), Converge: d.between(90*time.Second, 5*time.Minute).Truncate(time.Second)}
	if d.chance(6) {
		p.ApproveBefore = true
		d.use("approve-before")
	}
	if d.chance(6) {
		p.ApproveAfter = true
		d.use("approve-after")
	}
	if (p.ApproveBefore || p.ApproveAfter) && d.chance(3) {
		p.ApprovalExpires = d.between(20*time.Second, 3*time.Minute).Truncate(time.Second)
		d.use("approval-expires")
	}
	if d.chance(2) {
		p.Soak = d.between(10*time.Second, 4*time.Minute).Truncate(time.Second)
		d.use("soak")
	}
	d.tolerance(&p)
	d.checks(&p)
	return p
}

// tolerance draws what the ring puts up with, and what follows when it does not.
func (d drawing) tolerance(p *rings.Policy) {
	switch d.one(6) {
	case 0:
		p.MaxFailed = rings.Amount{N: 1}
		d.use("max-failed")
	case 1:
		p.MaxFailed = rings.Amount{N: 34 + d.one(40), Percent: true}
		d.use("max-failed-percent")
	}
	switch d.one(5) {
	case 0:
		p.OnOffline, p.MaxOffline = rings.OfflineSkip, rings.Amount{N: 1 + d.one(2)}
		d.use("offline-skip")
	case 1:
		p.OnOffline = rings.OfflineWait
		d.use("offline-wait")
	}
	p.OnFailure = []rings.OnFailure{rings.FailureStop, rings.FailureStop, rings.FailurePause, rings.FailureRollbackRing, rings.FailureRollback}[d.one(5)]
	d.use("failure-" + string(p.OnFailure))
	if d.chance(3) {
		p.OnJoin = rings.JoinLater
		d.use("join-later")
	}
}

func (d drawing) checks(p *rings.Policy) {
	if d.one(5) > 0 {
		return
	}
	d.use("check")
	p.Checks = append(p.Checks, rings.Check{Name: "errors", Kind: rings.CheckCommand, Command: "true", Interval: d.between(5*time.Second, 30*time.Second),
		Timeout: 10 * time.Second, Samples: d.one(4), FailureLimit: d.one(2)})
}

// versions draws how "v2" behaves.
func (d drawing) versions() {
	if d.one(5) > 1 {
		return
	}
	kinds := []BehaviourKind{NeverReady, InstallFails, DeployFails, WaitsForOthers, HiddenConflict, ReadyThenFails, FailsChecks}
	b := Bad{Service: d.App.Services[d.one(len(d.App.Services))].Name, Version: "v2", Behaviour: Behaviour{Kind: kinds[d.one(len(kinds))]}}
	if d.chance(2) {
		b.Cluster = d.Clusters[d.one(len(d.Clusters))].Name
	}
	if d.chance(3) {
		b.Behaviour.Heals = d.between(10*time.Second, 3*time.Minute)
	}
	if b.Behaviour.Kind == ReadyThenFails {
		b.Behaviour.After = d.between(time.Second, 2*time.Minute)
	}
	d.use("bad-" + string(b.Behaviour.Kind))
	d.Bad = append(d.Bad, b)
}

// misfortune draws what goes wrong: rates, and single troubles.
func (d drawing) misfortune() {
	d.Fickle = d.chance(3)
	d.rates()
	if d.chance(2) {
		d.Crashes, d.MaxDeaths = 1/float64(10+d.one(60)), 1+d.one(5)
		d.use("crashes")
	}
	if d.chance(4) {
		d.Writes = 1 / float64(8+d.one(40))
		d.use("journal-fails")
	}
	kinds := slices.Clone(troubles)
	for _, h := range Happenings {
		kinds = append(kinds, TroubleKind(h))
	}
	for range d.one(5) {
		t := Trouble{At: d.between(0, d.Calm), Kind: kinds[d.one(len(kinds))], N: d.Int()}
		if d.chance(2) {
			t.At = d.between(0, min(d.Calm, 2*time.Minute)) // while there is much going on
		}
		d.Troubles = append(d.Troubles, t)
		d.use(string(t.Kind))
	}
}

// rates draws how often each fault strikes; most never do in one run.
func (d drawing) rates() {
	for _, f := range []struct {
		name string
		rate *float64
		most float64
	}{
		{"unreachable", &d.Faults.Unreachable, 0.3}, {"push-raced", &d.Faults.PushRaced, 0.5}, {"push-refused", &d.Faults.PushRefused, 0.1},
		{"push-lost", &d.Faults.PushLost, 0.3}, {"push-dropped", &d.Faults.PushDropped, 0.3}, {"outlives", &d.Faults.Outlives, 1},
		{"claim-refused", &d.Faults.ClaimRefused, 0.1}, {"claim-unreachable", &d.Faults.ClaimUnreachable, 0.3}, {"hint-refused", &d.Faults.HintRefused, 0.5},
		{"hint-lost", &d.Faults.HintLost, 0.5}, {"nudge-unreachable", &d.Faults.NudgeUnreachable, 0.5}, {"check-bad", &d.Faults.CheckBad, 0.3},
		{"check-silent", &d.Faults.CheckSilent, 0.5}, {"job-fails", &d.Faults.JobFails, 0.2}, {"job-slow", &d.Faults.JobSlow, 0.3},
		{"soft-failures", &d.Faults.SoftFailures, 0.3}, {"status-lags", &d.Faults.StatusLags, 0.3}, {"watch-late", &d.Faults.WatchLate, 0.3},
		{"watch-doubled", &d.Faults.WatchDoubled, 0.3}, {"watch-stale", &d.Faults.WatchStale, 0.2}, {"watch-lost", &d.Faults.WatchLost, 0.1},
		{"check-in-lost", &d.Faults.CheckInLost, 0.5},
	} {
		if d.chance(8) {
			*f.rate = f.most * d.Float64()
			d.use(f.name)
		}
	}
}

// fileOf is a fleet.yaml as people write them, with an entry for every ring.
func fileOf(a *rings.Application, service rings.ServiceName, entries map[rings.RingName]entry) string {
	var s strings.Builder
	fmt.Fprintf(&s, "# %s of the shop\nname: %s\nnamespace: shop\nhelm:\n  chart: ./chart   # ours\n  values:\n    image: {repository: registry.example/%s}\n", service, service, service)
	s.WriteString("targetCustomizations:\n")
	for _, ring := range a.Rings {
		e := entries[ring.Name]
		fmt.Fprintf(&s, "- name: %s\n  clusterSelector:\n    matchLabels:\n", ring.Name)
		labels := a.RingLabels(ring.Name)
		for _, k := range sortedKeys(labels) {
			fmt.Fprintf(&s, "      %s: %q\n", k, labels[k])
		}
		fmt.Fprintf(&s, "  helm:\n    values:\n      image:\n        tag: %s\n", e.version)
		if e.replicas != "" {
			fmt.Fprintf(&s, "      replicas: %s\n", e.replicas)
		}
		if e.nonce > 0 {
			fmt.Fprintf(&s, "  forceSyncGeneration: %d\n", e.nonce)
		}
	}
	return s.String()
}
