package orchestrator

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollout/rings"
)

// Request is what a person asks for with `rollout create` and `deploy`.
type Request struct {
	Rings []rings.RingName // by name or group, in the application's order
	// Through: the rings before the last one are passed through, too, and may
	// be empty.
	Through bool
	Only    []rings.ServiceName // a part of the plan; empty means all of it
	// Release is rolled out in the place of the application's plan; nil for that.
	Release *rings.Release
	// Deploy is rolled out past the plan, and the ring before need not have
	// verified it; nil for none. It needs a reason.
	Deploy rings.Plan
	// Empty are the rings that no cluster carries the label of.
	Empty []rings.RingName
	// Locked are the locks that reach each ring with the clusters that it has. A
	// ring that only a group names, and that one of them holds, is left out.
	Locked  map[rings.RingName][]rings.Lock
	Options Options
	Link    string
}

var (
	// ErrUnverified is wrapped by [UnverifiedError].
	ErrUnverified = errors.New("the ring before it was not verified")
	// ErrHeld is wrapped by [HeldError].
	ErrHeld = errors.New("withdrawn by a rollback")
)

// UnverifiedError says what was not verified on the ring before one that is to
// be rolled out.
type UnverifiedError struct {
	Ring     rings.RingName
	Upstream rings.RingName
	Faults   []string // a service each
}

// Error names the rings and the services.
func (e *UnverifiedError) Error() string {
	return fmt.Sprintf("ring %q: ring %q comes before it and was not verified at these versions: %s", e.Ring, e.Upstream, strings.Join(e.Faults, "; "))
}

// Unwrap returns ErrUnverified.
func (e *UnverifiedError) Unwrap() error { return ErrUnverified }

// HeldError says which versions of the plan a rollback withdrew.
type HeldError struct{ Faults []string }

// Error names the versions, the rings and the rollbacks.
func (e *HeldError) Error() string { return strings.Join(e.Faults, "\n  ") }

// Unwrap returns ErrHeld.
func (e *HeldError) Unwrap() error { return ErrHeld }

// New makes the first event of a rollout from the application as it is now:
// the snapshot of its plan, or of what is rolled out in its place, and for each ring a step for each planned service,
// in waves. It returns an *rings.UnknownError for a ring that is not there, an
// *rings.InvalidError for rings out of order and for a plan that is empty or
// names services that are not, an *UnverifiedError when the ring before one of
// them is not of the rollout and was not verified at these versions, and a
// *HeldError for versions that a rollback withdrew. Of a group of rings the
// locked ones are left out; it is a *BarredError when that are all. What the
// repositories say is not looked at here.
func New(a *rings.Application, r Request) (Created, error) {
	asked := r.Rings
	var err error
	if r.Rings, err = a.Expand(asked); err != nil {
		return Created{}, err
	}
	named, err := ringsOfRequest(a, r)
	if err != nil {
		return Created{}, err
	}
	c := Created{Scope: scopeOf(a), Options: r.Options, Link: r.Link}
	plan := a.Plan
	switch {
	case r.Release != nil:
		plan, c.Kind, c.Release = r.Release.Plan(), KindRelease, r.Release.Number
	case r.Deploy != nil:
		plan, c.Kind, c.Options.Direct = r.Deploy, KindDeploy, true
	}
	if plan, err = plan.Only(r.Only); err != nil {
		return Created{}, err
	}
	if c.Plan, c.Settings = plan.Versions(), plan.Settings(); len(plan) == 0 {
		return Created{}, &rings.InvalidError{What: fmt.Sprintf("plan of application %q", a.Name), Faults: []string{"it is empty: there is nothing to roll out"}}
	}
	for _, ring := range named {
		c.addRing(a, ring, slices.Contains(r.Rings, ring.Name), r.Empty)
	}
	if c.Steps, err = newSteps(a, named, c.wanted(), c.Options); err != nil {
		return Created{}, err
	}
	if !r.Through && !c.Options.GoOver {
		if err := c.leaveLocked(a, asked, r.Locked); err != nil {
			return Created{}, err
		}
	}
	return c, permitted(a, c)
}

// addRing adds a ring, with today's policy.
func (c *Created) addRing(a *rings.Application, ring rings.Ring, named bool, empty []rings.RingName) {
	n := NewRing{Name: ring.Name, Policy: ring.Policy, Named: named}
	if !c.Options.Direct {
		n.Upstream = Upstream(a, ring.Name, empty)
	}
	c.Rings = append(c.Rings, n)
}

func scopeOf(a *rings.Application) Scope {
	return Scope{App: a.Name, Workspace: a.Workspace, Manager: a.Manager, RingLabel: a.RingLabel, Selector: a.Selector}
}

// permitted looks whether the application's settings and history allow the rollout.
func permitted(a *rings.Application, c Created) error {
	if err := c.checkSettings(a); err != nil {
		return err
	}
	if c.Options.Reason == "" {
		if faults := heldVersions(a, c); len(faults) > 0 {
			return &HeldError{Faults: faults}
		}
	}
	if c.Options.Override {
		return nil
	}
	for _, ring := range c.Rings {
		if err := c.follows(a, ring); err != nil {
			return err
		}
	}
	return nil
}

// follows is an *UnverifiedError when the ring before is neither of the rollout
// nor verified at its versions.
func (c *Created) follows(a *rings.Application, ring NewRing) error {
	if ring.Upstream == "" || slices.Contains(c.RingNames(), ring.Upstream) {
		return nil
	}
	if faults := unverified(a, ring, c.Steps); len(faults) > 0 {
		return &UnverifiedError{Ring: ring.Name, Upstream: ring.Upstream, Faults: faults}
	}
	return nil
}

// ringsOfRequest returns the rings that are to be rolled out, in order.
func ringsOfRequest(a *rings.Application, r Request) ([]rings.Ring, error) {
	at := -1
	for _, name := range r.Rings {
		i := slices.Index(a.RingNames(), name)
		if i <= at {
			return nil, &rings.InvalidError{What: fmt.Sprintf("rings of application %q", a.Name),
				Faults: []string{fmt.Sprintf("%q is named after %q, but goes before it", name, a.Rings[at].Name)}}
		}
		at = i
	}
	var out []rings.Ring
	for i, ring := range a.Rings {
		if slices.Contains(r.Rings, ring.Name) || r.Through && i < at {
			out = append(out, ring)
		}
	}
	return out, nil
}

// Upstream returns the nearest ring before the named one that has clusters; ""
// when there is none.
func Upstream(a *rings.Application, ring rings.RingName, empty []rings.RingName) rings.RingName {
	names := a.RingNames()
	for i := slices.Index(names, ring) - 1; i >= 0; i-- {
		if !slices.Contains(empty, names[i]) {
			return names[i]
		}
	}
	return ""
}

// unverified says which services were not verified on the ring's upstream at
// the version that is to be rolled out.
func unverified(a *rings.Application, ring NewRing, steps []NewStep) []string {
	var faults []string
	for _, st := range steps {
		if st.Ring != ring.Name || st.Observed {
			continue
		}
		s, err := a.Service(st.Target.Service)
		if err != nil {
			continue
		}
		k := s.Known[ring.Upstream]
		other := otherSettings(s.Name, st.Settings, k.Settings)
		if !st.Keep && k.Version != st.To {
			other = append([]string{fmt.Sprintf("%s: %s is wanted, %s is recorded there", s.Name, st.To, orNothing(k.Version))}, other...)
		}
		if faults = append(faults, other...); len(other) == 0 && k.Verified == "" {
			faults = append(faults, fmt.Sprintf("%s %s: no rollout ended well with it there, or it was changed since", s.Name, st.Wants()))
		}
	}
	return faults
}

// otherSettings says which values are not recorded on the ring before.
func otherSettings(service rings.ServiceName, want, have rings.Values) []string {
	var faults []string
	for _, name := range want.Names() {
		if v := have[name]; v != want[name] {
			faults = append(faults, fmt.Sprintf("%s: %s=%s is wanted, %s is recorded there", service, name, want[name], orNothing(rings.Version(v))))
		}
	}
	return faults
}

func orNothing(v rings.Version) string {
	if v == "" {
		return "nothing"
	}
	return string(v)
}

// heldVersions says which of the versions a rollback withdrew on their rings.
func heldVersions(a *rings.Application, c Created) []string {
	var faults []string
	for _, st := range c.Steps {
		s, err := a.Service(st.Target.Service)
		if err != nil || st.Observed {
			continue
		}
		for _, v := range st.holdable() {
			if h, held := s.Held[st.Ring][v]; held {
				faults = append(faults, fmt.Sprintf("%s %s was withdrawn from %s by rollout %s on %s: %s", s.Name, v, st.Ring, h.Rollout, h.At.UTC().Format("2006-01-02 15:04"), h.Reason))
			}
		}
	}
	return faults
}

// holdable is what of the step a rollback may have withdrawn.
func (n NewStep) holdable() []rings.Version {
	var out []rings.Version
	if n.To != "" {
		out = append(out, n.To)
	}
	for _, name := range n.Settings.Names() {
		out = append(out, rings.HoldOf(name, n.Settings[name]))
	}
	return out
}

// newSteps makes the steps, ring by ring, wave by wave. Before them come, for
// each ring, the services outside the plan that planned ones depend on: they
// are only observed.
func newSteps(a *rings.Application, named []rings.Ring, want wanted, o Options) ([]NewStep, error) {
	g, err := a.Graph()
	if err != nil {
		return nil, err
	}
	names := want.services()
	needs, outside := g.Needs(names), unplanned(a, names, o)
	before := g.Needs(slices.Concat(names, outside.all)) // health is looked at when what may change it is done
	var steps []NewStep
	for _, ring := range named {
		for _, name := range outside.all {
			s, err := a.Service(name)
			if err != nil {
				return nil, err
			}
			steps = append(steps, NewStep{Ring: ring.Name, Target: TargetOf(*s), Needs: slices.Clone(before[name]), Observed: true})
		}
		for i, wave := range g.Waves(names) {
			for _, name := range wave {
				s, err := a.Service(name)
				if err != nil {
					return nil, err
				}
				steps = append(steps, want.of(NewStep{
					Ring: ring.Name, Target: TargetOf(*s), Needs: slices.Concat(needs[name], outside.of[name]), Wave: i + 1,
					Known: s.Known[ring.Name], Floor: s.LastNonce,
				}))
			}
		}
	}
	return steps, nil
}

// outsiders are dependencies that are not planned: all of them, sorted, and
// those of each service.
type outsiders struct {
	all []rings.ServiceName
	of  map[rings.ServiceName][]rings.ServiceName
}

func unplanned(a *rings.Application, planned []rings.ServiceName, o Options) outsiders {
	out := outsiders{of: map[rings.ServiceName][]rings.ServiceName{}}
	if o.AllowUnhealthy {
		return out
	}
	for _, name := range planned {
		s, err := a.Service(name)
		if err != nil {
			continue
		}
		for _, dep := range s.DependsOn {
			if slices.Contains(planned, dep) {
				continue
			}
			out.of[name] = append(out.of[name], dep)
			if !slices.Contains(out.all, dep) {
				out.all = append(out.all, dep)
			}
		}
	}
	slices.Sort(out.all)
	return out
}

func sortedServices[V any](m map[rings.ServiceName]V) []rings.ServiceName {
	out := make([]rings.ServiceName, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
