package orchestrator

import (
	"fmt"

	"rollout/rings"
)

// Request is what a person asks for with `rollout create`.
type Request struct {
	Ring    rings.RingName
	Only    []rings.ServiceName // a part of the plan; empty means all of it
	Options Options
	Link    string
}

// New makes the first event of a rollout from the application as it is now:
// the snapshot of its plan, and a step for each planned service, in waves. It
// returns an *rings.UnknownError for a ring that is not there and an
// *rings.InvalidError for a plan that is empty or names services that are not.
// Whether clusters carry the ring, and what the repositories say, is not
// looked at here.
func New(a *rings.Application, r Request) (Created, error) {
	ring, err := a.Ring(r.Ring)
	if err != nil {
		return Created{}, err
	}
	plan, err := a.Plan.Only(r.Only)
	if err != nil {
		return Created{}, err
	}
	if len(plan) == 0 {
		return Created{}, &rings.InvalidError{What: fmt.Sprintf("plan of application %q", a.Name), Faults: []string{"it is empty: there is nothing to roll out"}}
	}
	steps, err := newSteps(a, ring, plan)
	if err != nil {
		return Created{}, err
	}
	return Created{
		Scope: Scope{App: a.Name, Workspace: a.Workspace, Manager: a.Manager, RingLabel: a.RingLabel, Selector: a.Selector},
		Rings: []NewRing{{Name: ring.Name, Policy: ring.Policy, Named: true}}, Plan: plan.Versions(), Options: r.Options, Link: r.Link, Steps: steps,
	}, nil
}

func newSteps(a *rings.Application, ring *rings.Ring, plan rings.Plan) ([]NewStep, error) {
	g, err := a.Graph()
	if err != nil {
		return nil, err
	}
	names := plan.Names()
	needs := g.Needs(names)
	var steps []NewStep
	for i, wave := range g.Waves(names) {
		for _, name := range wave {
			service, err := a.Service(name)
			if err != nil {
				return nil, err
			}
			steps = append(steps, NewStep{
				Ring: ring.Name, Target: TargetOf(*service), Needs: append([]rings.ServiceName(nil), needs[name]...), Wave: i + 1,
				To: plan[name].Version, Known: service.Known[ring.Name], Floor: service.LastNonce,
			})
		}
	}
	return steps, nil
}
