// Package forecast says when a rollout will probably have ended. The engine
// cannot import it: no decision is ever made from a forecast.
package forecast

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Past is how long steps have taken that ended well, by ring and service.
type Past map[orchestrator.Ref][]time.Duration

// Forecast is when a rollout will have ended, if what is to come goes as it
// went before. In 80 of 100 cases that is between Earliest and Latest.
type Forecast struct {
	Earliest, Likely, Latest time.Time
	Steps                    int // how many steps of the past it is made from
	// Approvals: a person has to approve before the end, and how long that takes
	// is not in it.
	Approvals bool
	// Signs: a ring soaks before the end, and then waits for a sign of every agent;
	// how long that takes is not in it: agents check in every 15 minutes, if Fleet is
	// not told otherwise.
	Signs bool
}

const (
	// fewest is how many steps of the past a forecast needs at least.
	fewest = 5
	// enough is from how many on nothing is assumed of how they spread.
	enough = 10
	draws  = 400
)

// Of plays the rest of the rollout often, every step with a duration of
// its own past: of the service on the ring; where there is too little of that,
// of the service on all rings, else of all services. It is always the same for
// the same state, past and time. Without a forecast, why says the reason.
func Of(s *orchestrator.State, past Past, now time.Time) (f Forecast, why string) {
	if why := unforeseeable(s, now); why != "" {
		return Forecast{}, why
	}
	p := &prophet{s: s, now: now, past: map[orchestrator.Ref]sample{}, random: rand.New(rand.NewPCG(1, 2))}
	if why := p.learn(past); why != "" {
		return Forecast{}, why
	}
	ends := make([]float64, draws)
	for i := range ends {
		end, late := p.play()
		if late != nil {
			return Forecast{}, fmt.Sprintf("%s on %s takes longer than it ever did", late.Target.Service, late.Ring)
		}
		ends[i] = end
	}
	slices.Sort(ends)
	at := func(share float64) time.Time {
		return now.Add(time.Duration(ends[int(share*draws)] * float64(time.Second)))
	}
	return Forecast{Earliest: at(0.1), Likely: at(0.5), Latest: at(0.9), Steps: p.known, Approvals: willAwait(s), Signs: willSoak(s)}, ""
}

// unforeseeable says why there is nothing to forecast; "" when there is.
func unforeseeable(s *orchestrator.State, now time.Time) string {
	switch {
	case s.Phase.Ended():
		return "it has ended"
	case s.Rollback != nil:
		return "it is being taken back"
	case s.Failure != nil || s.Cancel != nil:
		return "it is about to end"
	case s.Pause != nil:
		return "it is paused"
	case s.Halt != nil && s.Halt.Stands(now):
		return "it is halted"
	}
	return ""
}

// willAwait reports whether a gate that a person opens is ahead.
func willAwait(s *orchestrator.State) bool {
	return slices.ContainsFunc(s.Rings, func(r *orchestrator.RingState) bool {
		return !r.Phase.Ended() && (r.Policy.ApproveAfter && r.After == nil || r.Policy.ApproveBefore && r.Before == nil && r.StartedAt.IsZero())
	})
}

// willSoak reports whether a soak is ahead.
func willSoak(s *orchestrator.State) bool {
	return slices.ContainsFunc(s.Rings, func(r *orchestrator.RingState) bool { return !r.Phase.Ended() && r.Policy.Soak > 0 })
}

// prophet plays what is left of a rollout.
type prophet struct {
	s      *orchestrator.State
	now    time.Time
	past   map[orchestrator.Ref]sample // for each step that is left
	known  int
	random *rand.Rand
}

// learn finds the past of every step that is left, or says why there is none.
func (p *prophet) learn(past Past) string {
	for _, st := range p.s.Steps {
		if !p.isLeft(st) {
			continue
		}
		ref := orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service}
		own := like(past, func(r orchestrator.Ref) bool { return r == ref })
		if len(own) < fewest {
			own = like(past, func(r orchestrator.Ref) bool { return r.Service == ref.Service })
		}
		if len(own) < fewest {
			own = like(past, func(orchestrator.Ref) bool { return true })
		}
		if len(own) < fewest {
			return "no history"
		}
		p.past[ref] = newSample(own)
		p.known += len(own)
	}
	return ""
}

// sample are durations as logarithms of seconds, sorted, with their mean and
// standard deviation.
type sample struct {
	sorted          []float64
	mean, deviation float64
}

func newSample(sorted []float64) sample {
	s := sample{sorted: sorted}
	for _, v := range sorted {
		s.mean += v / float64(len(sorted))
	}
	for _, v := range sorted {
		s.deviation += (v - s.mean) * (v - s.mean) / float64(len(sorted)-1)
	}
	s.deviation = math.Sqrt(s.deviation)
	return s
}

// like are the durations that are chosen, as logarithms, sorted.
func like(past Past, chosen func(orchestrator.Ref) bool) []float64 {
	var out []float64
	for ref, durations := range past {
		if !chosen(ref) {
			continue
		}
		for _, d := range durations {
			out = append(out, math.Log(max(d.Seconds(), 0.001)))
		}
	}
	slices.Sort(out)
	return out
}

// isLeft reports whether the step takes time from now on.
func (p *prophet) isLeft(st *orchestrator.StepState) bool {
	return !st.Phase.Ended() && !st.Observed && !st.Undo
}

// play returns how many seconds from now the rollout ends this time; late is a
// step that has taken longer already than any that is known.
func (p *prophet) play() (end float64, late *orchestrator.StepState) {
	for _, r := range p.s.Rings {
		if r.Phase.Ended() {
			continue
		}
		converged, late := p.converge(r.Name, end)
		if late != nil {
			return 0, late
		}
		end = converged + p.tail(r)
	}
	return end, nil
}

// converge returns when all steps of the ring are done, which may start at from.
func (p *prophet) converge(ring rings.RingName, from float64) (end float64, late *orchestrator.StepState) {
	done := map[rings.ServiceName]float64{}
	end = from
	for _, st := range p.s.Steps {
		if st.Ring != ring || !p.isLeft(st) {
			continue
		}
		start := from
		for _, need := range st.Needs {
			start = max(start, done[need])
		}
		took, ok := p.takes(st)
		if !ok {
			return 0, st
		}
		done[st.Target.Service] = start + took
		end = max(end, start+took)
	}
	return end, nil
}

// takes is how long the step still takes this time; false when it has taken
// longer than it ever did.
func (p *prophet) takes(st *orchestrator.StepState) (float64, bool) {
	own := p.past[orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service}]
	if st.StartedAt.IsZero() {
		return math.Exp(own.draw(p.random)), true
	}
	elapsed := p.now.Sub(st.StartedAt).Seconds()
	for range 200 {
		if took := math.Exp(own.draw(p.random)); took > elapsed {
			return took - elapsed, true
		}
	}
	return 0, false
}

// draw is the logarithm of a duration like those. Of many, the next one falls
// with the same chance between any two neighbours, or outside; few are taken for
// log-normal, with what is not known of that.
func (s sample) draw(random *rand.Rand) float64 {
	n := len(s.sorted)
	if n < enough {
		chi := 0.0
		for range n - 1 {
			x := random.NormFloat64()
			chi += x * x
		}
		t := random.NormFloat64() / math.Sqrt(chi/float64(n-1))
		return s.mean + t*s.deviation*math.Sqrt(1+1/float64(n))
	}
	at := random.Float64()*float64(n+1) - 1
	beyond := random.ExpFloat64() * s.deviation / 3
	switch i := int(math.Floor(at)); {
	case i < 0:
		return s.sorted[0] - beyond
	case i+1 >= n:
		return s.sorted[n-1] + beyond
	default:
		return s.sorted[i] + (at-float64(i))*(s.sorted[i+1]-s.sorted[i])
	}
}

// tail is how long the ring soaks, and its checks sample, after its services
// are live.
func (p *prophet) tail(r *orchestrator.RingState) float64 {
	tail := r.Policy.Soak
	for _, c := range r.Policy.Checks {
		tail = max(tail, time.Duration(c.Samples-1)*c.Every())
	}
	if since := cmp.Or(r.SoakFrom, r.ConvergedAt); !since.IsZero() {
		tail -= p.now.Sub(since)
	}
	return max(tail, 0).Seconds()
}
