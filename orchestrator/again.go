package orchestrator

import (
	"fmt"
	"slices"

	"rollout/rings"
)

// Again is what a person asks for with `rollout retry` and `rollout rollback`.
type Again struct {
	Of     *State         // an earlier rollout, ended
	Ring   rings.RingName // for a rollback: only this ring or group; "" for all
	Failed bool           // for a retry: only what is not done
	Empty  []rings.RingName
	// Override: go over the locks and closed windows that stand now. That the
	// earlier one went over some does not count.
	Override bool
	Reason   string
	Link     string
}

// NewRetry makes the first event of a rollout to what an earlier one's plan
// said: its snapshot, not today's plan, on its rings with today's policies. It
// fails like [New], and with an *rings.InvalidError when nothing is left to be
// done.
func NewRetry(a *rings.Application, r Again) (Created, error) {
	if err := r.check("retried"); err != nil {
		return Created{}, err
	}
	old := r.Of
	options := old.Options
	options.Reason, options.GoOver = r.Reason, r.Override
	c := Created{Kind: KindRetry, Of: old.ID, Scope: scopeOf(a), Options: options, Link: r.Link}
	c.begin()
	again := map[Ref]bool{}
	for _, st := range old.Steps {
		if !st.Undo && !st.Observed && !(r.Failed && st.Phase == StepDone) {
			again[st.ref()] = true
			c.want(st.Target.Service, st.To, st.Settings, st.Keep)
		}
	}
	var named []rings.Ring
	for _, was := range old.Rings {
		ring, err := a.Ring(was.Name)
		if err != nil {
			return Created{}, err
		}
		if !slices.ContainsFunc(old.Steps, func(st *StepState) bool { return st.Ring == was.Name && again[st.ref()] }) {
			continue
		}
		named = append(named, *ring)
		c.addRing(a, *ring, was.Named, r.Empty)
	}
	if len(again) == 0 {
		return Created{}, &rings.InvalidError{What: fmt.Sprintf("rollout %q", old.ID), Faults: []string{"everything is done: there is nothing to try again"}}
	}
	steps, err := newSteps(a, named, c.wanted(), options)
	if err != nil {
		return Created{}, err
	}
	c.Steps = onlyWanted(steps, again)
	return c, permitted(a, c)
}

// onlyWanted drops the steps that are not wanted, from the needs of others,
// too.
func onlyWanted(steps []NewStep, wanted map[Ref]bool) []NewStep {
	keeps := func(st NewStep) bool { return st.Observed || wanted[Ref{st.Ring, st.Target.Service, false}] }
	here := map[Ref]bool{}
	for _, st := range steps {
		here[Ref{st.Ring, st.Target.Service, false}] = keeps(st)
	}
	var out []NewStep
	for _, st := range steps {
		if !keeps(st) {
			continue
		}
		st.Needs = slices.DeleteFunc(slices.Clone(st.Needs), func(need rings.ServiceName) bool { return !here[Ref{st.Ring, need, false}] })
		out = append(out, st)
	}
	return out
}

// NewRollback makes the first event of a rollout that takes an earlier one
// back (invariant 11): exactly the versions and settings that it changed, the last ring
// first, dependents before what they depend on. Gates, soaks and checks of the
// rings are not asked for on the way back. It is an *rings.InvalidError when
// the earlier one changed nothing, or something that cannot be restored.
func NewRollback(a *rings.Application, r Again) (Created, error) {
	if err := r.check("rolled back"); err != nil {
		return Created{}, err
	}
	changed, err := r.changed(a)
	if err != nil {
		return Created{}, err
	}
	c := Created{Kind: KindRollback, Of: r.Of.ID, Scope: scopeOf(a), Link: r.Link, Options: Options{Reason: r.Reason, GoOver: r.Override}}
	c.begin()
	for _, name := range ringsOf(changed) {
		ring, err := a.Ring(name)
		if err != nil {
			return Created{}, err
		}
		c.Rings = append(c.Rings, NewRing{Name: name, Named: true, Policy: wayBack(ring.Policy)})
	}
	for _, st := range undoSteps(r.Of.Steps, changed) {
		s, err := a.Service(st.Target.Service)
		if err != nil {
			return Created{}, err
		}
		st.Undo, st.Target, st.Floor, st.Known = false, TargetOf(*s), max(st.Floor, s.LastNonce), s.Known[st.Ring]
		c.Steps = append(c.Steps, st)
		c.want(s.Name, st.To, st.Settings, st.Keep)
	}
	return c, c.declares(a)
}

// begin makes the maps of what is to be rolled out.
func (c *Created) begin() { c.Plan = map[rings.ServiceName]rings.Version{} }

// want notes what is to be rolled out of a service.
func (c *Created) want(service rings.ServiceName, v rings.Version, settings rings.Values, keep bool) {
	if !keep {
		c.Plan[service] = v
	}
	if len(settings) == 0 {
		return
	}
	if c.Settings == nil {
		c.Settings = map[rings.ServiceName]rings.Values{}
	}
	c.Settings[service] = settings
}

// wanted is what is to be rolled out.
func (c Created) wanted() wanted { return wanted{c.Plan, c.Settings} }

// wayBack is what remains of a ring's policy for a rollback: how long things
// may take, and how much may fail.
func wayBack(p rings.Policy) rings.Policy {
	return rings.Policy{Uptake: p.Uptake, Converge: p.Converge, Merge: p.Merge, MaxFailed: p.MaxFailed, OnOffline: p.OnOffline, MaxOffline: p.MaxOffline}
}

func (r Again) check(verb string) error {
	if r.Of.Phase.Ended() {
		return nil
	}
	return &rings.InvalidError{What: fmt.Sprintf("rollout %q", r.Of.ID), Faults: []string{fmt.Sprintf("it is %s, and can be %s when it has ended", r.Of.Phase, verb)}}
}

// changed returns the steps that are to be taken back: those of which something
// was changed and has not been taken back.
func (r Again) changed(a *rings.Application) ([]*StepState, error) {
	var out []*StepState
	var faults []string
	only := r.Of.RingNames()
	if r.Ring != "" {
		var err error
		if only, err = a.Expand([]rings.RingName{r.Ring}); err != nil {
			return nil, err
		}
	}
	for _, st := range r.Of.Steps {
		if !st.changed() || st.Phase == StepRolledBack || !slices.Contains(only, st.Ring) {
			continue
		}
		if st.before() == "" && !st.Keep {
			faults = append(faults, fmt.Sprintf("%s on %s: its clusters ran different versions before, which one entry cannot restore", st.Target.Service, st.Ring))
		}
		out = append(out, st)
	}
	if len(out) == 0 {
		faults = append(faults, "it changed nothing that has not been taken back")
	}
	if len(faults) > 0 {
		return nil, &rings.InvalidError{What: fmt.Sprintf("rollout %q", r.Of.ID), Faults: faults}
	}
	return out, nil
}
