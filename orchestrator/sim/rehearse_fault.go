package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// FaultKind is a kind of fault that a rehearsal is given.
type FaultKind string

// Kinds of faults.
const (
	FaultVersion FaultKind = "bad-version"  // a version that is bad everywhere
	FaultCluster FaultKind = "failure-rate" // versions that are bad on some clusters
	FaultOffline FaultKind = "offline"      // clusters whose agent is away
)

// FaultEnd is what became of a fault.
type FaultEnd string

// Ends of a fault.
const (
	FaultStopped   FaultEnd = "stopped"   // a gate stopped the rollout for it
	FaultTolerated FaultEnd = "tolerated" // it was seen, and the policies put up with it
	FaultUnnoticed FaultEnd = "unnoticed" // it hit clusters, and no gate saw it
	FaultNotMet    FaultEnd = "not-met"   // it hit nobody before the rollout ended
	FaultOvertaken FaultEnd = "overtaken" // something else stopped the rollout first
	FaultHolds     FaultEnd = "holds"     // the rollout waits for it, and for no time
)

// FaultGate is what stopped a rollout for a fault.
type FaultGate string

// Gates that stop a rollout.
const (
	FailsBudget   FaultGate = "max-failed"  // a failure that Fleet reported
	FailsDeadline FaultGate = "deadline"    // the ring's time to become ready was up
	FailsOffline  FaultGate = "max-offline" // too many agents gave no sign
	FailsSoak     FaultGate = "soak"        // a cluster lost its health afterwards
	FailsCheck    FaultGate = "check"       // an external check answered badly
)

// RehearsedFault is one fault that a rehearsal was given.
type RehearsedFault struct {
	Kind      FaultKind
	Service   rings.ServiceName // of FaultVersion
	Behaviour BehaviourKind     // "" of FaultOffline
	End       FaultEnd
	// Of the end FaultStopped: which gate of which ring stopped the rollout when,
	// and by which rule of its policy.
	Gate FaultGate
	Ring rings.RingName
	At   time.Duration
	Rule string
	// Hit are the clusters that it had struck by then, or by the end; InAll those
	// that it has struck when all that was pushed has arrived, Of those that it
	// could have struck.
	Hit, InAll, Of int
}

// fault is one of a rehearsal under way.
type fault struct {
	RehearsedFault
	behaviour Behaviour
	bad       map[rings.ClusterName]map[rings.ServiceName]bool // of FaultCluster
	away, hit clusterSet
}

// strikes reports whether the service's new version is bad on the cluster for
// this fault.
func (f *fault) strikes(service rings.ServiceName, cluster rings.ClusterName) bool {
	switch f.Kind {
	case FaultVersion:
		return f.Service == service
	case FaultCluster:
		return f.bad[cluster][service]
	}
	return false
}

// drawFaults draws whom the faults concern. Each is drawn by itself: another
// one does not change it.
func drawFaults(o RehearseOptions, c orchestrator.Created) []*fault {
	var out []*fault
	for _, service := range sortedKeys(o.Bad) {
		f := newFault(FaultVersion, o.Bad[service])
		f.Service, f.Of = service, len(rolled(o, c))
		out = append(out, f)
	}
	if o.FailureRate > 0 {
		out = append(out, drawFailures(o, c))
	}
	if o.Offline > 0 {
		out = append(out, drawOffline(o, c))
	}
	return out
}

func newFault(kind FaultKind, b Behaviour) *fault {
	return &fault{RehearsedFault: RehearsedFault{Kind: kind, Behaviour: b.Kind}, behaviour: b, hit: clusterSet{}, away: clusterSet{},
		bad: map[rings.ClusterName]map[rings.ServiceName]bool{}}
}

// drawFailures draws a lot for every cluster and service.
func drawFailures(o RehearseOptions, c orchestrator.Created) *fault {
	f, r := newFault(FaultCluster, Behaviour{Kind: NeverReady}), rand.New(rand.NewPCG(o.Seed, 0xfa11))
	for _, name := range rolled(o, c) {
		for _, service := range sortedKeys(c.Plan) {
			if r.Float64() >= o.FailureRate {
				continue
			}
			if f.bad[name] == nil {
				f.bad[name] = map[rings.ServiceName]bool{}
			}
			f.bad[name][service] = true
		}
	}
	f.Of = len(f.bad)
	return f
}

// drawOffline draws a lot for every cluster.
func drawOffline(o RehearseOptions, c orchestrator.Created) *fault {
	f, r := newFault(FaultOffline, Behaviour{}), rand.New(rand.NewPCG(o.Seed, 0x0ff1))
	for _, name := range rolled(o, c) {
		if r.Float64() < o.Offline {
			f.away[name] = true
		}
	}
	f.Of = len(f.away)
	return f
}

// judge finds out which fault the rollout has failed for, and notes how far it
// had come.
func (r *rehearsing) judge(s *orchestrator.State) {
	r.meetOffline(s)
	f := r.culprit(s.Failure)
	if f == nil {
		return
	}
	ring := ringOf(s, s.Current)
	f.End, f.Ring, f.At, f.Hit = FaultStopped, s.Current, r.world.Now().Sub(r.began), len(f.hit)
	f.Gate, f.Rule = gateOf(*s.Failure, ring)
}

// meetOffline counts the clusters that are away as hit once their ring begins.
func (r *rehearsing) meetOffline(s *orchestrator.State) {
	for _, f := range r.faults {
		for name := range f.away {
			if ring := ringOf(s, r.places[name]); !ring.StartedAt.IsZero() {
				f.hit[name] = true
			}
		}
	}
}

// culprit is the fault that brought the failure about; nil when none did.
func (r *rehearsing) culprit(why *orchestrator.Failure) *fault {
	for _, f := range r.faults {
		if f.struckWith(why) {
			return f
		}
	}
	return nil
}

func (f *fault) struckWith(why *orchestrator.Failure) bool {
	switch {
	case why.Code == orchestrator.CodeCheck:
		return f.Behaviour == FailsChecks && len(f.hit) > 0
	case why.Code == orchestrator.CodeOffline:
		return f.away[why.Cluster]
	}
	return f.strikes(why.Service, why.Cluster)
}

func ringOf(s *orchestrator.State, name rings.RingName) *orchestrator.RingState {
	for _, r := range s.Rings {
		if r.Name == name {
			return r
		}
	}
	return &orchestrator.RingState{}
}

// gateOf is the gate that a failure of the ring stopped at, and its rule.
func gateOf(why orchestrator.Failure, r *orchestrator.RingState) (FaultGate, string) {
	p := r.Policy
	converge, budget := cmp.Or(p.Converge, rings.DefaultConverge), fmt.Sprintf("max failed %s", p.MaxFailed)
	switch {
	case why.Code == orchestrator.CodeCheck:
		return FailsCheck, why.Words
	case why.Code == orchestrator.CodeOffline && p.OnOffline == rings.OfflineSkip:
		return FailsOffline, fmt.Sprintf("max offline %s", p.MaxOffline)
	case why.Code == orchestrator.CodeOffline:
		return FailsOffline, "on offline fail, " + budget
	case !r.ConvergedAt.IsZero() && p.Soak == 0:
		return FailsSoak, "healthy until it is done, " + budget
	case !r.ConvergedAt.IsZero():
		return FailsSoak, fmt.Sprintf("soak %s, %s", orchestrator.Duration(p.Soak), budget)
	case why.Code == orchestrator.CodeNotReady:
		return FailsDeadline, fmt.Sprintf("deadline %s, %s", orchestrator.Duration(converge), budget)
	}
	return FailsBudget, budget
}

// settle says what became of a fault.
func (r *rehearsing) settle(f *fault) {
	f.InAll = len(f.hit)
	if f.End == FaultStopped {
		return
	}
	f.Hit = f.InAll
	switch {
	case f.Hit == 0:
		f.End = FaultNotMet
	case r.seen(f) && !r.last.Phase.Ended() && r.last.Phase != orchestrator.Paused:
		f.End = FaultHolds
	case r.seen(f):
		f.End = FaultTolerated
	case r.judged:
		f.End = FaultOvertaken
	default:
		f.End = FaultUnnoticed
	}
}

// seen reports whether a cluster was given up for the fault.
func (r *rehearsing) seen(f *fault) bool {
	for name := range f.hit {
		s := r.struck[r.places[name]]
		if f.Kind == FaultOffline && s.offline[name] || f.Kind != FaultOffline && s.failed[name] {
			return true
		}
	}
	return false
}
