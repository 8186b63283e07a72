package orchestrator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// Train is what a person asks for with `rollout train`.
type Train struct {
	Ring rings.RingName // to which versions are taken
	From rings.RingName // the ring they are taken from; "" for the one before Ring
	// At is the time at which From ran what is taken, and Then what the rings ran
	// at that time; zero and nil for what is recorded now.
	At    time.Time
	Then  map[rings.RingName]map[rings.ServiceName]rings.Known
	Empty []rings.RingName // that no cluster carries the label of
	// Locked are the services that are kept as they are, each with who keeps it
	// and why.
	Locked map[rings.ServiceName]string
	// Changed are the services whose files say something else now than what is
	// recorded, on Ring or on the ring before it, each with who changed it to what.
	Changed map[rings.ServiceName]string
	Options Options
	Link    string
}

// Taken says where a train took its versions from, and what it left there.
type Taken struct {
	Ring rings.RingName `json:"ring"`
	At   time.Time      `json:"at,omitzero"` // when Ring ran them; zero: when the rollout was created
	// Left are the services that were not taken; without those that Ring had
	// already, where others were taken.
	Left []Left `json:"left,omitempty"`
}

// Left is a service that a train did not take, and why.
type Left struct {
	Service rings.ServiceName `json:"service"`
	Version rings.Version     `json:"version,omitempty"` // that could have been taken; "" when none is recorded
	Cause   LeftCause         `json:"cause"`
	Words   string            `json:"words"`
}

// LeftCause is why a train leaves a service out.
type LeftCause string

// Causes, in the order in which they count. The list only grows.
const (
	LeftUnrecorded LeftCause = "unrecorded" // nothing is recorded there
	LeftUnverified LeftCause = "unverified" // no rollout ended well with it there, or it was changed since
	LeftCurrent    LeftCause = "current"    // the ring was verified with it already
	LeftUnfinished LeftCause = "unfinished" // it was taken there already, and no rollout ended well with it
	LeftNewer      LeftCause = "newer"      // what the ring runs was decided on after it had been verified
	LeftHeld       LeftCause = "held"       // a rollback withdrew it from the ring
	LeftLocked     LeftCause = "locked"     // somebody keeps the service as it is
	LeftChanged    LeftCause = "changed"    // somebody changed its file by hand
	LeftDependency LeftCause = "dependency" // what it depends on would be another version than the one it was verified with
)

// ErrNothing is wrapped by [NothingError].
var ErrNothing = errors.New("there is nothing to take")

// NothingError says that a train has nothing to take, and why.
type NothingError struct {
	Ring rings.RingName
	Taken
}

// Error names the rings.
func (e *NothingError) Error() string {
	return fmt.Sprintf("ring %q: %v from ring %q", e.Ring, ErrNothing, e.Taken.Ring)
}

// Words say it in one line, with what was left and why; what the ring has
// already is not named.
func (e *NothingError) Words() string {
	words := e.Error()
	for _, l := range e.Left {
		if l.Cause != LeftCurrent {
			words += fmt.Sprintf("; %s: %s", l.Service, l.Words)
		}
	}
	return words
}

// Unwrap returns ErrNothing.
func (e *NothingError) Unwrap() error { return ErrNothing }

// NewTrain makes the first event of a rollout that takes to a ring what is
// verified on the one before, or on the one that is named: service by service,
// and none without what it depends on. It takes versions and no settings, which
// often differ from ring to ring: those are rolled out by a plan. It is a *NothingError when nothing is to
// be taken, an *rings.UnknownError for a ring that is not there and an
// *rings.InvalidError for one that nothing can be taken from.
func NewTrain(a *rings.Application, t Train) (Created, error) {
	if err := t.aim(a); err != nil {
		return Created{}, err
	}
	plan, left, err := t.choose(a)
	if err != nil {
		return Created{}, err
	}
	taken := Taken{Ring: t.From, At: t.At, Left: left}
	if len(plan) == 0 {
		return Created{}, &NothingError{Ring: t.Ring, Taken: taken}
	}
	taken.Left = slices.DeleteFunc(left, func(l Left) bool { return l.Cause == LeftCurrent })
	c := Created{Kind: KindTrain, Scope: scopeOf(a), Plan: plan, Options: t.Options, Link: t.Link, Train: &taken}
	c.Options.Direct = !t.At.IsZero() // it was verified then, and need not be so now
	ring, err := a.Ring(t.Ring)
	if err != nil {
		return Created{}, err
	}
	c.addRing(a, *ring, true, t.Empty)
	if c.Steps, err = newSteps(a, []rings.Ring{*ring}, c.wanted(), c.Options); err != nil {
		return Created{}, err
	}
	return c, permitted(a, c)
}

// aim finds the ring to take from, and refuses one that comes too late.
func (t *Train) aim(a *rings.Application) error {
	if _, err := a.Ring(t.Ring); err != nil {
		return err
	}
	if t.From == "" {
		t.From = Upstream(a, t.Ring, t.Empty)
	}
	if t.From == "" {
		return &rings.InvalidError{What: fmt.Sprintf("ring %q", t.Ring), Faults: []string{"no ring with clusters comes before it, from which something could be taken"}}
	}
	if _, err := a.Ring(t.From); err != nil {
		return err
	}
	names := a.RingNames()
	from, to := slices.Index(names, t.From), slices.Index(names, t.Ring)
	switch {
	case from > to:
		return &rings.InvalidError{What: fmt.Sprintf("ring %q", t.Ring), Faults: []string{fmt.Sprintf("ring %q comes after it", t.From)}}
	case from == to && t.At.IsZero():
		return &rings.InvalidError{What: fmt.Sprintf("ring %q", t.Ring), Faults: []string{"it can take from itself only what it ran at an earlier time"}}
	}
	return nil
}

// choose says which versions are taken, and what is left. It follows the graph:
// a service is taken only when everything that it depends on, directly or not,
// is on the ring what it was verified with.
func (t Train) choose(a *rings.Application) (map[rings.ServiceName]rings.Version, []Left, error) {
	g, err := a.Graph()
	if err != nil {
		return nil, nil, err
	}
	plan, left := map[rings.ServiceName]rings.Version{}, []Left{}
	differs := map[rings.ServiceName]string{} // what would differ from where it was verified, and why
	for _, name := range slices.Concat(g.Waves(a.ServiceNames())...) {
		s, err := a.Service(name)
		if err != nil {
			return nil, nil, err
		}
		there, here := t.source(s), s.Known[t.Ring]
		cause, words := t.verdict(a, s, differs)
		if cause == "" {
			plan[name] = there.Version
			continue
		}
		left = append(left, Left{Service: name, Version: there.Version, Cause: cause, Words: words})
		if below := t.below(s, differs); below != "" {
			differs[name] = below
		} else if there.Version != "" && there.Version != here.Version {
			differs[name] = fmt.Sprintf("%s stays at %s: %s", name, orNothing(here.Version), words)
		}
	}
	return plan, left, nil
}

// source is what is known of the service where it is taken from.
func (t Train) source(s *rings.Service) rings.Known {
	if t.At.IsZero() {
		return s.Known[t.From]
	}
	return t.Then[t.From][s.Name]
}

// verdict is why the service is left; "" when it is taken.
func (t Train) verdict(a *rings.Application, s *rings.Service, differs map[rings.ServiceName]string) (LeftCause, string) {
	there, here := t.source(s), s.Known[t.Ring]
	if there.Version == "" {
		return LeftUnrecorded, fmt.Sprintf("nothing is recorded on %s", t.From)
	}
	if ring := t.unverifiedOn(a, s); ring != "" {
		return LeftUnverified, fmt.Sprintf("%s is not verified on %s", there.Version, ring)
	}
	if here.Version == there.Version && here.Verified != "" {
		return LeftCurrent, fmt.Sprintf("%s is there since %s", here.Version, here.Verified)
	}
	if cause, words := t.decided(there, here); cause != "" {
		return cause, words
	}
	if h, held := s.Held[t.Ring][there.Version]; held {
		return LeftHeld, fmt.Sprintf("%s was withdrawn by rollout %s: %s", there.Version, h.Rollout, h.Reason)
	}
	if words, locked := t.Locked[s.Name]; locked {
		return LeftLocked, words
	}
	if words, changed := t.Changed[s.Name]; changed {
		return LeftChanged, words
	}
	if below := t.below(s, differs); below != "" {
		return LeftDependency, below
	}
	return "", ""
}

// decided is why a ring keeps what somebody decided on for it since the version
// was verified there: a train that failed is not repeated by the next one, and
// what a person put there is not undone.
func (t Train) decided(there, here rings.Known) (LeftCause, string) {
	switch since := here.DecidedSince(); {
	case !t.At.IsZero() || there.VerifiedSince().After(since):
		return "", ""
	case here.Version == there.Version:
		return LeftUnfinished, fmt.Sprintf("%s was begun on %s at %s, and no rollout has ended well with it there: retry that one", there.Version, t.Ring, stamp(since))
	default:
		return LeftNewer, fmt.Sprintf("%s was decided on for %s at %s, after %s had been verified", orNothing(here.Version), t.Ring, stamp(since), there.Version)
	}
}

// unverifiedOn is the ring that has not verified what would be taken: the one it
// is taken from, or one that lies between; "" when all have.
func (t Train) unverifiedOn(a *rings.Application, s *rings.Service) rings.RingName {
	there := t.source(s)
	if there.Verified == "" {
		return t.From
	}
	above := Upstream(a, t.Ring, t.Empty)
	if k := s.Known[above]; t.At.IsZero() && (k.Version != there.Version || k.Verified == "") {
		return above
	}
	return ""
}

// below says which of the services that this one depends on would not be what
// it was verified with; "" when all would.
func (t Train) below(s *rings.Service, differs map[rings.ServiceName]string) string {
	for _, dep := range s.DependsOn {
		if words := differs[dep]; words != "" {
			return words
		}
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
