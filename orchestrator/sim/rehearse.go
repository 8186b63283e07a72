package sim

import (
	"cmp"
	"errors"
	"maps"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// RehearseOptions are what a rehearsal is given. Rates are from 0 to 1.
type RehearseOptions struct {
	// Request is what a person would ask for; Empty is known from Clusters.
	Request  orchestrator.Request
	Clusters map[rings.RingName][]rings.ClusterName

	// Bad are the services whose new version is bad on every cluster.
	Bad map[rings.ServiceName]Behaviour
	// FailureRate is how often a new version never gets ready, for each cluster
	// and service; Offline is the share of clusters whose agent is away.
	FailureRate, Offline float64

	// Uptake is from a push to the end of Fleet's git job, Apply until an agent
	// has applied what it was told, Ready from then until the workload runs. Each
	// takes from half to one and a half of that time.
	Uptake, Apply, Ready time.Duration
	// ApproveAfter is how long persons take to approve.
	ApproveAfter time.Duration
	Seed         uint64

	// Stop, if set, is asked again and again: an error ends the rehearsal, and is
	// what it returns.
	Stop func() error
}

// Rehearsal is what came of a rollout that was rehearsed. Moments are counted
// from its start; a negative one has not come.
type Rehearsal struct {
	Seed uint64
	Plan map[rings.ServiceName]rings.Version
	// Refusal is why such a rollout would not be created without an override and
	// a reason, which the rehearsal has; "" when it would.
	Refusal    string
	Phase      orchestrator.Phase
	Reason     string // why it ended, or where it stands
	Took       time.Duration
	Rings      []RehearsedRing
	Faults     []RehearsedFault
	Struck     int // clusters that a fault struck, each once
	Commits    int
	RolledBack []RehearsedUndo
}

// RehearsedRing is one ring of a rehearsal.
type RehearsedRing struct {
	Name   rings.RingName
	Policy rings.Policy
	Phase  orchestrator.RingPhase
	// Start is when its gates were open, Converged when all services were ready,
	// Soaked when soak and checks had passed, End when it was over.
	Start, Converged, Soaked, End time.Duration
	Clusters                      int
	// Hit are the clusters whose agents acted on a new version, whatever came of
	// it; Failed and Offline are those that were given up.
	Hit, Failed, Offline int
}

// RehearsedUndo is a step that was taken back.
type RehearsedUndo struct {
	Ring    rings.RingName
	Service rings.ServiceName
	To      rings.Version
	Phase   orchestrator.StepPhase
}

// Rehearse rolls the application out in a simulated fleet of its shape, with
// the real engine, editor and policies, in virtual time. The same application
// and options give the same rehearsal. It returns an error for what a rollout
// cannot begin with, as [orchestrator.New] does. The application is not changed.
func Rehearse(a *rings.Application, o RehearseOptions) (Rehearsal, error) {
	a = modelOf(a)
	created, refusal, err := request(a, o)
	if err != nil {
		return Rehearsal{}, err
	}
	r := newRehearsing(a, o, created)
	if err := r.play(); err != nil {
		return Rehearsal{}, err
	}
	out := r.report()
	out.Refusal = refusal
	return out, nil
}

// request begins the rollout as a person would. What protects is gone over, and
// said.
func request(a *rings.Application, o RehearseOptions) (c orchestrator.Created, refusal string, err error) {
	q := o.Request
	q.Empty = nil
	for _, name := range a.RingNames() {
		if len(o.Clusters[name]) == 0 {
			q.Empty = append(q.Empty, name)
		}
	}
	c, err = orchestrator.New(a, q)
	if errors.Is(err, orchestrator.ErrUnverified) || errors.Is(err, orchestrator.ErrHeld) {
		refusal = err.Error()
		q.Options.Override, q.Options.Reason = true, cmp.Or(q.Options.Reason, "a rehearsal")
		c, err = orchestrator.New(a, q)
	}
	return c, refusal, err
}

// report is what came of it.
func (r *rehearsing) report() Rehearsal {
	s := r.last
	out := Rehearsal{Seed: r.Seed, Plan: r.created.Plan, Phase: s.Phase, Reason: s.Explain(r.ended), Took: r.ended.Sub(r.began), Commits: r.commits()}
	if s.Pause != nil {
		out.Reason = s.Pause.Reason
	}
	for _, ring := range s.Rings {
		out.Rings = append(out.Rings, r.ring(ring))
	}
	r.meetOffline(s)
	all := clusterSet{}
	for _, f := range r.faults {
		r.settle(f)
		out.Faults = append(out.Faults, f.RehearsedFault)
		maps.Copy(all, f.hit)
	}
	out.Struck = len(all)
	for _, st := range s.Steps {
		if st.Undo {
			out.RolledBack = append(out.RolledBack, RehearsedUndo{st.Ring, st.Target.Service, st.To, st.Phase})
		}
	}
	return out
}

func (r *rehearsing) ring(s *orchestrator.RingState) RehearsedRing {
	hits, converged, soaked := r.struck[s.Name], s.ConvergedAt, s.SoakedAt
	if s.Phase == orchestrator.RingDone {
		soaked = noted(soaked, s.FinishedAt)
		converged = noted(converged, soaked)
	}
	return RehearsedRing{Name: s.Name, Policy: s.Policy, Phase: s.Phase, Start: r.moment(s.StartedAt), Converged: r.moment(converged),
		Soaked: r.moment(soaked), End: r.moment(s.FinishedAt), Clusters: len(r.Clusters[s.Name]),
		Hit: len(hits.hit), Failed: len(hits.failed), Offline: len(hits.offline)}
}

// noted is the time, or the other one when it was not noted down.
func noted(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// moment is a time from the start; -1 when it has not come.
func (r *rehearsing) moment(t time.Time) time.Duration {
	if t.IsZero() {
		return -1
	}
	return t.Sub(r.began)
}

// commits counts what was pushed.
func (r *rehearsing) commits() int {
	n := 0
	for _, repo := range r.world.repos {
		for _, c := range repo.commits {
			if c.author == us {
				n++
			}
		}
	}
	return n
}
