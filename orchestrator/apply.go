package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// Apply folds one event into the state and returns it. It is the only way a
// state changes. It takes ownership of s, which must not be used afterwards;
// s is nil for [Created], the first event, and for no other. An event of a
// type that it does not know panics: decoding would have refused it.
func Apply(s *State, e Event) *State {
	if body, ok := e.Body.(Created); ok {
		s = create(e, body)
	} else {
		s.apply(e)
	}
	s.Version, s.At = e.Seq, e.At
	return s
}

// Fold applies the events in order to s, which is nil to begin with [Created].
// It returns nil for no events and no state.
func Fold(s *State, events []Event) *State {
	for _, e := range events {
		s = Apply(s, e)
	}
	return s
}

func create(e Event, c Created) *State {
	s := &State{
		ID: e.Rollout, Kind: c.Kind, Of: c.Of, Release: c.Release, Train: c.Train, Left: c.Left, Scope: c.Scope, Plan: c.Plan, Settings: c.Settings, Options: c.Options,
		Phase:     Pending,
		Over:      c.Over,
		StartedBy: e.Actor, Link: c.Link, StartedAt: e.At,
	}
	for _, n := range c.Rings {
		s.Rings = append(s.Rings, &RingState{Name: n.Name, Policy: n.Policy, Named: n.Named, Upstream: n.Upstream, Phase: RingWaiting})
	}
	s.addSteps(c.Steps)
	return s
}

func (s *State) addSteps(steps []NewStep) {
	for _, n := range steps {
		s.Steps = append(s.Steps, &StepState{
			Ring: n.Ring, Target: n.Target, Needs: n.Needs, Wave: n.Wave, Policy: s.ring(n.Ring).Policy, Undo: n.Undo, Observed: n.Observed,
			To: n.To, Settings: n.Settings, Keep: n.Keep, Known: n.Known, Floor: n.Floor, Phase: StepWaiting,
		})
	}
}

// ring returns the ring, or nil.
func (s *State) ring(name rings.RingName) *RingState {
	for _, r := range s.Rings {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (s *State) apply(e Event) {
	switch b := e.Body.(type) {
	case Observed:
		s.observed(b.Fact, e.At)
	case Answered:
		s.answered(b.Outcome, e.At)
	case Commanded:
		s.commanded(b.Command)
	case Driven:
		s.Engine = b.Engine
		s.driven(e.At)
	case Halted:
		s.Halt = b.Halt
	case Barred:
		s.barred(b, e.At)
	case ClockJumped:
		s.jumped(e.At)
	case Started:
		s.Phase = Running
	case Asked:
		s.asked(b.Action, e.At)
	case Dropped:
		s.dropped(b.Action)
	case StepStarted:
		s.step(b.Ref).started(e.At)
	case StepHeld:
		s.step(b.Ref).held()
	case AttemptDecided:
		s.step(b.Ref).decided(b.Attempt, e.At)
	case Proposed:
		s.step(b.Ref).proposed(b.Proposal, e.At)
	case Withdrawn:
		s.step(b.Ref).withdrawn(e.At)
	case Published:
		s.step(b.Ref).published(b.Commit, e.At)
	case TakenUp:
		s.step(b.Ref).TakenUpAt = e.At
	case ClusterTurned:
		s.step(b.Ref).turned(b, e.At)
	case StepEnded:
		s.stepEnded(b, e.At)
	case Warned:
		s.Warnings = append(s.Warnings, b.Words)
	case Held:
		s.Pause, s.Phase = &b.Word, Paused
	case Resumed:
		s.resumed(e.At)
	case RollbackStarted:
		s.rollbackStarted(b, e.At)
	case RollbackRing:
		s.Current, s.Rollback.Ring = b.Ring, b.Ring
	case Ended:
		s.Phase, s.FinishedAt = b.Phase, e.At
		if b.Failure != nil {
			s.Failure = b.Failure
		}
	default:
		s.applyRing(e)
	}
}

// applyRing folds what is about a ring.
func (s *State) applyRing(e Event) {
	switch b := e.Body.(type) {
	case RingVerified:
		s.ring(b.Ring).Verified = true
	case RingStarted:
		r := s.ring(b.Ring)
		s.Current, r.Phase, r.StartedAt = b.Ring, RingRunning, e.At
	case RingCounted:
		s.ring(b.Ring).Counted = b.Clusters
		s.placeAll()
	case RingConverged:
		r := s.ring(b.Ring)
		r.Phase, r.ConvergedAt, r.TimedFrom, r.SoakedAt, r.Checks = RingSoaking, e.At, e.At, time.Time{}, nil
	case SoakRestarted:
		s.ring(b.Ring).SoakFrom = b.From
	case RingSoaked:
		s.ring(b.Ring).SoakedAt = e.At
	case RingEnded:
		r := s.ring(b.Ring)
		r.Phase, r.Reason, r.Failure, r.FinishedAt = b.Phase, b.Reason, b.Failure, e.At
		if b.Phase == RingFailed && s.Failure == nil {
			s.Failure = b.Failure
		}
	case Approved:
		s.ring(b.Ring).setApproval(b.Gate, &b.Approval)
	case ApprovalFell:
		s.ring(b.Ring).setApproval(b.Gate, nil)
	default:
		panic(fmt.Sprintf("orchestrator: event of unknown type %T", e.Body))
	}
}

// placeAll is place for all steps.
func (s *State) placeAll() {
	for _, st := range s.Steps {
		s.place(st)
	}
}

// step returns the step, or nil.
func (s *State) step(r Ref) *StepState {
	for _, st := range s.Steps {
		if st.Ring == r.Ring && st.Target.Service == r.Service && st.Undo == r.Undo {
			return st
		}
	}
	return nil
}

// ref names the step.
func (st *StepState) ref() Ref {
	return Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}
}

func (s *State) observed(f Fact, at time.Time) {
	for _, st := range s.Steps {
		if s.hears(st, f.Service) {
			st.observed(f, at)
			if f.Members != nil {
				s.place(st)
			}
		}
	}
}

func (s *State) asked(a Action, at time.Time) {
	a.AskedAt, a.Items = at, slices.Clone(a.Items)
	if a.Kind != ActVerify {
		for i, ref := range a.steps() {
			a.Items[i].Labels = s.step(ref).shown()
		}
	}
	if s.Pending == nil {
		s.Pending = map[string]Action{}
	}
	s.Pending[a.ID] = a
	s.Actions++
	switch a.Kind {
	case ActNudge:
		s.step(a.steps()[0]).Nudge = NudgeAsked
	case ActTag:
		s.tagging(a, at)
	}
}

func (s *State) answered(o Outcome, at time.Time) {
	a, ok := s.Pending[o.Action]
	if !ok {
		return
	}
	delete(s.Pending, o.Action)
	if a.Kind == ActClaim {
		r := s.ring(a.Ring)
		r.Claimed = o.Result == OK
		r.ClaimTries++
	}
	switch a.Kind {
	case ActCheck:
		s.sampled(a, o)
	case ActVerify:
		s.verifyAnswered(a, o)
	case ActTag:
		s.tagAnswered(a, o, at)
	default:
		for i, ref := range a.steps() {
			s.step(ref).answered(a, a.Items[i], o)
			s.place(s.step(ref))
		}
	}
}

// verifyAnswered notes what a ring's upstream says.
func (s *State) verifyAnswered(a Action, o Outcome) {
	r := s.ring(a.For)
	if r.Words = o.Words; o.Result != OK {
		r.Tries++
		return
	}
	r.Tries = 0
	for _, ref := range a.steps() {
		st := s.step(ref)
		switch v := o.survey(ref.Service); {
		case v == nil:
		case a.Ring == r.Name:
			r.Peopled = len(v.Expected)+len(v.Excluded) > 0
		case v.agreesWith(st):
			st.UpstreamSame = true
		}
	}
}

func (s *State) commanded(c Command) {
	switch {
	case c.Kind == CommandCancel && s.Cancel == nil:
		s.Cancel = &Word{By: c.By, Reason: c.Reason, At: c.At}
	case c.Kind == CommandSkip:
		s.skip(c)
		s.placeAll()
	}
}

// dropped gives an action up. Whether a push took effect is not known then.
func (s *State) dropped(id string) {
	a := s.Pending[id]
	delete(s.Pending, id)
	if a.Kind != ActPublish {
		return
	}
	for _, ref := range a.steps() {
		st := s.step(ref)
		st.Pushes, st.Doubt = st.Pushes+1, true
	}
}

// driven forgets what was seen: it may be long ago, and what has gone since
// is not reported. The new driver's watch says it all again.
func (s *State) driven(at time.Time) {
	s.DrivenAt = at
	for id, a := range s.Pending {
		a.AskedAt = at // it is begun again
		s.Pending[id] = a
	}
	for _, r := range s.Rings {
		r.Claimed, r.ClaimTries = false, 0
	}
	for _, st := range s.Steps {
		if s.current(st) {
			st.forget()
		}
	}
}

// jumped times again what was timed by a clock that has moved by itself.
func (s *State) jumped(at time.Time) {
	s.DrivenAt = at
	for id, a := range s.Pending {
		a.AskedAt = time.Time{} // whether it is newer than something is not known
		s.Pending[id] = a
	}
	for _, r := range s.Rings {
		if r.Phase == RingSoaking {
			r.SoakFrom, r.ConvergedAt, r.TimedFrom = at, at, at
		}
	}
	for _, st := range s.Steps {
		if s.hears(st, st.Target.Service) {
			st.jumped(at)
		}
	}
}

// resumed lets the rollout go on. What had failed is tried again, where the
// ring's policy is to wait for a person's word on that.
func (s *State) resumed(at time.Time) {
	s.Pause, s.Phase = nil, Running
	if s.Rollback != nil {
		s.Phase = RollingBack
		return
	}
	for _, r := range s.Rings {
		r.TimedFrom = at
		for _, cs := range r.Checks {
			cs.Silent = 0
		}
	}
	if r := s.failed(); r != nil && r.Policy.OnFailure == rings.FailurePause {
		s.retry(r)
	}
}

func (s *State) retry(r *RingState) {
	s.Failure, r.Failure, r.Reason, r.FinishedAt = nil, nil, "", time.Time{}
	s.Epoch++ // a ring that failed was not watched
	if r.Phase = RingRunning; r.StartedAt.IsZero() {
		r.Phase = RingWaiting
	}
	for _, st := range s.Steps {
		if st.Ring != r.Name {
			continue
		}
		st.UpstreamSame = false
		if st.Phase == StepFailed {
			st.reset()
		}
		st.forget()
	}
}

// rollbackStarted adds the steps that take others back. What the others saw
// may be old: the ring is watched anew.
func (s *State) rollbackStarted(b RollbackStarted, at time.Time) {
	s.Rollback, s.Phase = &Rollback{Reason: b.Reason, At: at}, RollingBack
	s.Epoch++
	s.addSteps(b.Steps)
	for _, undo := range b.Steps {
		s.step(Ref{undo.Ring, undo.Target.Service, false}).Phase = StepRollingBack
	}
}
