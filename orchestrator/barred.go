package orchestrator

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"rollout/rings"
)

// ErrBarred is wrapped by [BarredError].
var ErrBarred = errors.New("nothing may start there now")

// BarredError says which locks, closed windows and frozen rings keep a rollout
// from starting.
type BarredError struct{ Barriers rings.Barriers }

// Error says who or what holds which part, since when, until when and why.
func (e *BarredError) Error() string { return strings.Join(e.Barriers.Words(), "\n  ") }

// Unwrap returns ErrBarred.
func (e *BarredError) Unwrap() error { return ErrBarred }

// Pass holds a rollout that is to begin against the barriers. It is refused
// with a *BarredError when a lock stands on anything that it would change, or
// when its first ring is closed or frozen: a later one is waited for. With the option
// GoOver nothing is refused, and what stood is noted in Over, with the locks of
// all clusters, which may come to its rings. Its own locks are always noted
// there. The clusters of a ring are asked of on; nil where they are not known,
// and a lock on a cluster is not met.
func (c *Created) Pass(b rings.Barriers, on func(rings.RingName) []rings.ClusterName, now time.Time) error {
	if on == nil {
		on = func(rings.RingName) []rings.ClusterName { return nil }
	}
	b = b.At(now)
	var refused, over rings.Barriers
	for _, l := range b.Locks {
		if c.meets(func(r rings.RingName, s rings.ServiceName) bool { return l.Covers(r, s, on(r)) }) {
			refused.Locks = append(refused.Locks, l)
		}
		if c.meets(l.Reaches) {
			over.Locks = append(over.Locks, l)
		}
	}
	for i, ring := range c.Rings {
		on := b.On(ring.Name, "", nil)
		over.Closed, over.Frozen = append(over.Closed, on.Closed...), append(over.Frozen, on.Frozen...)
		if i == 0 {
			refused.Closed, refused.Frozen = on.Closed, on.Frozen
		}
	}
	if !c.Options.GoOver {
		over = rings.Barriers{}
	}
	if over.Locks = append(over.Locks, c.Locks...); !over.Empty() {
		c.Over = &over
	}
	if !c.Options.GoOver && !refused.Empty() {
		return &BarredError{refused}
	}
	return nil
}

// meets reports whether a lock is on a step that writes.
func (c *Created) meets(is func(rings.RingName, rings.ServiceName) bool) bool {
	for _, st := range c.Steps {
		if !st.Observed && is(st.Ring, st.Target.Service) {
			return true
		}
	}
	return false
}

// Tell makes the state what it is when the rollout is told of the barriers, for
// who only shows it. The freezes of its own are none.
func (s *State) Tell(b rings.Barriers) {
	s.Halt, s.Locks, s.Closed, s.Frozen = b.Halt, b.Locks, b.Closed, s.others(b.Frozen)
}

// others are the freezes of other rollouts.
func (s *State) others(all []rings.Freeze) []rings.Freeze {
	var out []rings.Freeze
	for _, f := range all {
		if f.Rollout != string(s.ID) {
			out = append(out, f)
		}
	}
	return out
}

// Freezes are the rings that must not begin because of the rollout: those that
// its rings under way take from, where their policy says so.
func (s *State) Freezes() []rings.Freeze {
	var out []rings.Freeze
	for _, r := range s.Rings {
		if up := s.takesFrom(r); r.Policy.FreezeUpstream && up != "" && (r.Phase == RingRunning || r.Phase == RingSoaking) && !s.Phase.Ended() {
			out = append(out, rings.Freeze{Ring: up, By: r.Name, Rollout: string(s.ID), Since: r.StartedAt})
		}
	}
	return out
}

// takesFrom is the ring before r that has clusters, whether it is of the rollout
// or not; "" when there is none.
func (s *State) takesFrom(r *RingState) rings.RingName {
	up := r.Upstream
	for u := s.ring(up); u != nil && u.Phase == RingSkipped && u.Skip == nil; u = s.ring(up) {
		up = u.Upstream
	}
	return up
}

// barriers are the locks, closures and freezes that the rollout was told of.
func (s *State) barriers() rings.Barriers {
	return rings.Barriers{Locks: s.Locks, Closed: s.Closed, Frozen: s.Frozen}
}

// bars are the locks, closures and freezes that stand at the time and hold the service
// on the ring, or with an empty service the ring as a whole, and that the
// rollout does not go over.
func (s *State) bars(ring rings.RingName, service rings.ServiceName, clusters []rings.ClusterName, now time.Time) rings.Barriers {
	b := s.barriers()
	if b.Empty() {
		return b
	}
	b = b.At(now).On(ring, service, clusters)
	if s.Over != nil {
		b = b.Without(*s.Over)
	}
	return b
}

// barsStep is bars for the step. Who only looks is not held. What takes back is
// held by locks and not by windows: a person who locks means everybody, and a
// bad version must not stay until the next opening.
func (s *State) barsStep(st *StepState, now time.Time) rings.Barriers {
	if st.Observed {
		return rings.Barriers{}
	}
	b := s.bars(st.Ring, st.Target.Service, st.Members, now)
	if st.Undo {
		b.Closed = nil
	}
	return b
}

// barred reports whether a lock or a closed window lets the step not start.
func (t *turn) barred(st *StepState) bool { return !t.s.barsStep(st, t.now).Empty() }

// holds reports whether the step may begin nothing new: the rollout is stopped,
// something bars it, or a person wants its ring left out.
func (t *turn) holds(st *StepState) bool {
	return t.stopped(st.Undo) || t.barred(st) || !st.Undo && t.s.ring(st.Ring).Skip != nil
}

// barredRing reports whether a lock or a closed window lets the ring not begin.
func (t *turn) barredRing(ring rings.RingName) bool {
	return !t.s.bars(ring, "", nil, t.now).Empty()
}

// locked reports whether a lock on the ring as a whole stands.
func (t *turn) locked(ring rings.RingName) bool {
	return len(t.s.bars(ring, "", nil, t.now).Locks) > 0
}

// bar takes in what the store says of locks and windows, and forgets what is
// over.
func (t *turn) bar(told *rings.Barriers) {
	was := t.s.barriers()
	is := was
	if told != nil {
		is = rings.Barriers{Locks: told.Locks, Closed: told.Closed, Frozen: t.s.others(told.Frozen)}
	}
	if is = is.Left(t.now); !is.Equal(was) {
		t.emit(Barred{is.Locks, is.Closed, is.Frozen})
	}
}

// barred folds what lets nothing new start from now on. FreedAt is when
// something ceased to.
func (s *State) barred(b Barred, at time.Time) {
	was := s.barriers()
	s.Locks, s.Closed, s.Frozen = b.Locks, b.Closed, b.Frozen
	if gone := was.Without(s.barriers()); !gone.At(at.Add(-1)).Empty() {
		s.FreedAt = at
	}
}

// barTimers names the moments at which locks end, and windows open and close.
func (s *State) barTimers(note func(time.Time)) {
	for _, l := range s.Locks {
		note(l.Until)
	}
	for _, c := range s.Closed {
		note(c.From)
		note(c.Until)
	}
}

// barWaits are what the ring waits for, if it could begin, or one of its steps
// could.
func (s *State) barWaits(r *RingState, now time.Time) []Wait {
	if r.Phase == RingWaiting {
		return s.waitsFor(r.Name, "", s.bars(r.Name, "", nil, now))
	}
	whole := s.bars(r.Name, "", nil, now)
	held, waits := s.Failure != nil && s.Rollback == nil && r.Phase == RingFailed, []Wait(nil) // its rollback
	if held || s.Rollback != nil {
		whole.Closed = nil
	}
	for _, st := range s.Steps {
		if st.Ring != r.Name || st.Phase != StepWaiting || st.Undo != (s.Rollback != nil) {
			continue
		}
		b := s.barsStep(st, now)
		held = held || !b.Empty()
		waits = append(waits, s.waitsFor(r.Name, st.Target.Service, b.Without(whole))...)
	}
	if held {
		waits = append(s.waitsFor(r.Name, "", whole), waits...)
	}
	return waits
}

func (s *State) waitsFor(ring rings.RingName, service rings.ServiceName, b rings.Barriers) []Wait {
	var out []Wait
	for _, l := range b.Locks {
		out = append(out, Wait{Ring: ring, Service: service, Gate: "lock", Words: l.Words(), Since: l.At, Until: l.Until, Unbounded: l.Until.IsZero(), Help: l.Release()})
	}
	for _, c := range b.Closed {
		out = append(out, Wait{Ring: ring, Service: service, Gate: "window", Words: c.Told(), Since: c.From, Until: c.Opens, Unbounded: c.Opens.IsZero(),
			Help: fmt.Sprintf("\"rollout window list %s\" shows the windows", s.Scope.App)})
	}
	for _, f := range b.Frozen {
		out = append(out, Wait{Ring: ring, Service: service, Gate: "freeze", Words: f.Words(), Since: f.Since, Unbounded: true, Help: fmt.Sprintf("\"rollout watch %s\" follows it", f.Rollout)})
	}
	return out
}
