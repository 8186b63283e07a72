package sim

import (
	"fmt"

	"rollout/orchestrator"
	"rollout/rings"
)

// proof is the rollout that ended well on a ring with a version of a service,
// after which nothing changed there.
type proof struct {
	by      orchestrator.ID
	version rings.Version
}

// verified works out from all journals what is verified of the service on the
// ring; false when nothing is.
func (k *Checker) verified(ring rings.RingName, service rings.ServiceName) (proof, bool) {
	out, ok := k.before[orchestrator.Ref{Ring: ring, Service: service}]
	for _, id := range k.order {
		r := k.runs[id]
		for _, undo := range []bool{false, true} {
			st := r.steps[orchestrator.Ref{Ring: ring, Service: service, Undo: undo}]
			if st == nil || st.Observed || len(st.attempts) == 0 {
				continue
			}
			well := r.ended != nil && r.ended.Phase == orchestrator.Succeeded && st.phase == orchestrator.StepDone && !undo
			out, ok = proof{id, st.attempt().Version}, well
		}
	}
	return out, ok
}

// invariant15Train: a train takes nothing that is not verified on the ring that
// it takes from.
func (k *Checker) invariant15Train(_ *run, _ *view, e orchestrator.Event) string {
	c, ok := e.Body.(orchestrator.Created)
	if !ok || c.Train == nil {
		return ""
	}
	for service, version := range c.Plan {
		if p, ok := k.verified(c.Train.Ring, service); !ok || p.version != version {
			return fmt.Sprintf("%s takes %s %s from %s, where %s by %q is verified (%t)", e.Rollout, service, version, c.Train.Ring, p.version, p.by, ok)
		}
	}
	return ""
}

// invariant16Once: nothing is promoted twice: no moment and no release starts
// two rollouts, and no two trains put on a branch what was verified by one
// rollout. What never came to be there may be tried again.
func (k *Checker) invariant16Once(_ *run, _ *view, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.Created:
		k.takes[e.Rollout] = map[orchestrator.Ref]string{}
		for service := range b.Plan {
			if b.Train != nil {
				p, _ := k.verified(b.Train.Ring, service)
				ref := orchestrator.Ref{Ring: b.Rings[0].Name, Service: service}
				k.takes[e.Rollout][ref] = fmt.Sprintf("%s %s of %q to %s", service, p.version, p.by, ref.Ring)
			}
		}
		return k.promotes(e.Rollout, b.Link) // what it was due for
	case orchestrator.Published:
		return k.promotes(e.Rollout, k.takes[e.Rollout][b.Ref])
	}
	return ""
}

// promotes notes what a rollout promotes; "" is nothing.
func (k *Checker) promotes(id orchestrator.ID, what string) string {
	if by, ok := k.promoted[what]; ok && by != id && what != "" {
		return fmt.Sprintf("%s promotes %s, and %s has done so", id, what, by)
	}
	k.promoted[what] = id
	return ""
}

// began remembers a rollout, and before the first what was verified already.
func (k *Checker) began(id orchestrator.ID, app *rings.Application) {
	k.order = append(k.order, id)
	if k.before != nil {
		return
	}
	k.before = map[orchestrator.Ref]proof{}
	for _, s := range app.Services {
		for ring, known := range s.Known {
			if known.Verified != "" {
				k.before[orchestrator.Ref{Ring: ring, Service: s.Name}] = proof{orchestrator.ID(known.Verified), known.Version}
			}
		}
	}
}
