package sim

import (
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// rehearsed is the id of the only rollout of a rehearsal.
const rehearsed orchestrator.ID = "rehearsal-1"

// arrival is how long the fleet is looked at after the end of a rollout: what was
// pushed still arrives.
const arrival = 10 * time.Minute

// rehearsing is a rehearsal under way.
type rehearsing struct {
	RehearseOptions
	app     *rings.Application
	created orchestrator.Created
	world   *World
	journal *Memory
	driver  *Driver
	began   time.Time
	ended   time.Time // or nothing comes any more

	places map[rings.ClusterName]rings.RingName
	struck map[rings.RingName]*struck
	faults []*fault
	last   *orchestrator.State
	judged bool               // the rollout has failed, and it is known what of
	asked  map[[2]string]bool // the gates and branches that a person was asked about
}

// clusterSet are clusters that something happened to.
type clusterSet map[rings.ClusterName]bool

// struck are the clusters of a ring that were hit, and those that were given up.
type struck struct{ hit, failed, offline clusterSet }

func newRehearsing(a *rings.Application, o RehearseOptions, c orchestrator.Created) *rehearsing {
	r := &rehearsing{RehearseOptions: o, app: a, created: c, world: NewWorld(o.Seed), journal: NewMemory(), faults: drawFaults(o, c),
		places: map[rings.ClusterName]rings.RingName{}, struck: map[rings.RingName]*struck{}, asked: map[[2]string]bool{}}
	for _, ring := range c.RingNames() {
		r.struck[ring] = &struck{clusterSet{}, clusterSet{}, clusterSet{}}
		for _, name := range o.Clusters[ring] {
			r.places[name] = ring
		}
	}
	r.fleet()
	return r
}

// fleet makes the world. It is at rest at what is known to run; its clusters and
// its versions are as good as they are told to be.
func (r *rehearsing) fleet() {
	w := r.world
	w.Delays.Hint, w.Delays.JobStart, w.Delays.JobRun = Delay{}, around(r.Uptake), Delay{}
	w.Delays.Apply, w.Delays.Ready = around(r.Apply), around(r.Ready)
	w.Behave, w.Upgrading = r.behave, r.upgrading
	// What is seen comes together, so that there are fewer decisions to make; it
	// costs a rollout some seconds of hours.
	w.Delays.Watch, w.Delays.Heard = Exactly(time.Second), 30*time.Second
	r.repositories()
	for _, ring := range r.app.RingNames() {
		labels := r.app.RingLabels(ring)
		for _, name := range r.Clusters[ring] {
			w.AddCluster(name, labels)
		}
	}
	w.begin()
	for _, f := range r.faults {
		if f.Kind == FaultOffline {
			for _, name := range sortedKeys(f.away) {
				w.KillAgent(name)
			}
		}
	}
}

// around is from half to one and a half of the time.
func around(d time.Duration) Delay { return Delay{d / 2, d + d/2} }

// play lets time pass until the rollout has ended, waits for a person who would
// have to decide, or has taken longer than it may; and then for what arrives
// all the same.
func (r *rehearsing) play() error {
	r.began = r.world.Now()
	r.journal.Create(rehearsed, r.began, "rehearsal", r.created)
	r.driver = &Driver{World: r.world, Journal: r.journal, Self: orchestrator.Driver{Name: "rehearsal", Host: "host", PID: 1}, Saved: r.saved}
	r.journal.Changed = r.driver.Notice
	r.driver.Drive(rehearsed)
	if err := r.pass(r.began.Add(r.bound()), r.over); err != nil {
		return err
	}
	r.ended = r.world.Now()
	return r.pass(r.ended.Add(arrival), func() bool { return false })
}

// pass lets time pass until then, or until it is over.
func (r *rehearsing) pass(until time.Time, over func() bool) error {
	for !over() && r.world.Now().Before(until) && r.world.Step() {
		if r.Stop == nil {
			continue
		}
		if err := r.Stop(); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsing) over() bool {
	return r.driver.Over() || r.last != nil && r.last.Phase == orchestrator.Paused && !moving(r.last)
}

// moving reports whether a step is under way.
func moving(s *orchestrator.State) bool {
	for _, st := range s.Steps {
		if st.Phase == orchestrator.StepSurveying || st.Phase == orchestrator.StepPublishing || st.Phase == orchestrator.StepProposed || st.Phase == orchestrator.StepConverging {
			return true
		}
	}
	return false
}

// saved looks at what was decided.
func (r *rehearsing) saved(s *orchestrator.State, events []orchestrator.Event) {
	r.last = s
	for _, e := range events {
		if turned, ok := e.Body.(orchestrator.ClusterTurned); ok && !turned.Undo {
			r.turned(turned)
		}
	}
	if s.Failure != nil && !r.judged {
		r.judged = true
		r.judge(s)
	}
	r.ask(s)
	r.askMerge(s)
}

// turned notes a cluster that is given up.
func (r *rehearsing) turned(b orchestrator.ClusterTurned) {
	switch b.Phase {
	case orchestrator.ClusterFailed:
		r.struck[b.Ring].failed[b.Cluster] = true
	case orchestrator.ClusterOffline:
		r.struck[b.Ring].offline[b.Cluster] = true
	}
}

// ask has a person open the gate that the rollout waits at, once: one after a
// ring when its soak is over.
func (r *rehearsing) ask(s *orchestrator.State) {
	ring, gate, ok := s.Awaiting()
	key := [2]string{string(ring), string(gate)}
	if !ok || r.asked[key] || gate == orchestrator.GateAfter && ringOf(s, ring).SoakedAt.IsZero() {
		return
	}
	r.asked[key] = true
	r.world.After(r.ApproveAfter, func() {
		r.journal.Command(rehearsed, orchestrator.Command{Kind: orchestrator.CommandApprove, By: "somebody", At: r.world.Wall(), Reason: "a rehearsal",
			Ring: ring, Gate: gate, Content: r.last.Content(ring)})
	})
}

// askMerge has a person merge what is proposed, once, as long after as an approval
// takes.
func (r *rehearsing) askMerge(s *orchestrator.State) {
	for _, st := range s.Unmerged() {
		repo, name := st.Target.Repo, st.Proposal.Branch
		if key := [2]string{repo, name + st.Proposal.At.String()}; !r.asked[key] { // a name is free again once it was merged
			r.asked[key] = true
			r.world.After(r.ApproveAfter, func() { r.world.Merge(repo, name, MergeCommit) })
		}
	}
}

// bound is how long a rollout may take by its policies, there and back again.
// What is longer waits for something that does not come by itself.
func (r *rehearsing) bound() time.Duration {
	total := time.Hour
	for _, ring := range r.created.Rings {
		p := ring.Policy
		step := max(p.Uptake, rings.DefaultUptake) + max(p.Converge, rings.DefaultConverge) + time.Minute
		total += 4*time.Duration(len(r.app.Services)+1)*step + 4*p.Soak + 2*r.ApproveAfter + time.Hour + 2*r.merges()*r.ApproveAfter
		for _, c := range p.Checks {
			total += 2 * time.Duration(max(c.Samples, 1)+c.FailureLimit) * (c.Every() + c.Within())
		}
	}
	return total
}

// merges is the number of services whose versions a person merges.
func (r *rehearsing) merges() time.Duration {
	n := time.Duration(0)
	for _, s := range r.app.Services {
		if s.Publish == rings.PublishBranch {
			n++
		}
	}
	return n
}

// behave says how versions behave: only new ones are bad.
func (r *rehearsing) behave(service rings.ServiceName, cluster rings.ClusterName, v rings.Version) (Behaviour, bool) {
	if v != r.created.Plan[service] {
		return Behaviour{}, false
	}
	for _, f := range r.faults {
		if f.strikes(service, cluster) {
			return f.behaviour, true
		}
	}
	return Behaviour{}, false
}

// upgrading notes whom a new version reaches.
func (r *rehearsing) upgrading(service rings.ServiceName, cluster rings.ClusterName, v rings.Version) {
	ring, rolled := r.places[cluster]
	if !rolled || v != r.created.Plan[service] {
		return
	}
	r.struck[ring].hit[cluster] = true
	for _, f := range r.faults {
		if f.strikes(service, cluster) {
			f.hit[cluster] = true
		}
	}
}
