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
		ID: e.Rollout, Kind: c.Kind, Of: c.Of, Scope: c.Scope, Plan: c.Plan, Options: c.Options,
		Phase:     Pending,
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
			To: n.To, Known: n.Known, Floor: n.Floor, Phase: StepWaiting,
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
		s.answered(b.Outcome)
	case Commanded:
		s.commanded(b.Command)
	case Driven:
		s.Engine = b.Engine
		s.driven(e.At)
	case Halted:
		s.Halt = b.Halt
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
		st := s.step(b.Ref)
		st.Phase, st.Survey, st.StartedAt = StepWaiting, nil, time.Time{}
	case AttemptDecided:
		s.step(b.Ref).decided(b.Attempt, e.At)
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
		}
	}
}

func (st *StepState) observed(f Fact, at time.Time) {
	switch {
	case f.Deployment != nil:
		c := st.cluster(f.Deployment.Cluster, at)
		if c.Seen = f.Deployment; c.Seen.Heard.After(c.Heard) {
			c.Heard, c.HeardAt = c.Seen.Heard, at
		}
	case f.Bundle != nil:
		if f.Bundle.Error == "" {
			st.BundleErrorSince = time.Time{}
		} else if st.Bundle == nil || st.Bundle.Error == "" || st.Bundle.Commit != f.Bundle.Commit {
			st.BundleErrorSince = at
		}
		st.Bundle = f.Bundle
	case f.GitRepo != nil:
		if st.Nudge == NudgeAsked && !f.GitRepo.JobFailed {
			st.Nudge = NudgeTaken
		}
		if f.GitRepo.JobFailed && (st.GitRepo == nil || !st.GitRepo.JobFailed) {
			st.JobFailedAt = at
		}
		st.GitRepo = f.GitRepo
	case f.Members != nil:
		st.Members = f.Members.Clusters
	}
	st.Synced = st.Synced || f.Synced
}

// cluster returns the cluster's state, made when it is new.
func (st *StepState) cluster(name rings.ClusterName, at time.Time) *ClusterState {
	if st.Clusters == nil {
		st.Clusters = map[rings.ClusterName]*ClusterState{}
	}
	c := st.Clusters[name]
	if c == nil {
		c = &ClusterState{Phase: ClusterWaiting, Since: at}
		st.Clusters[name] = c
	}
	return c
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
	if a.Kind == ActNudge {
		s.step(a.steps()[0]).Nudge = NudgeAsked
	}
}

func (s *State) answered(o Outcome) {
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
	default:
		for i, ref := range a.steps() {
			s.step(ref).answered(a, a.Items[i], o)
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
		case v.agrees(st.To):
			st.UpstreamSame = true
		}
	}
}

func (st *StepState) answered(a Action, item Item, o Outcome) {
	if a.Kind == ActNudge && (o.Result == Unreachable || o.Result == Unknown) {
		st.Nudge = NudgeNone
		st.Tries++
	}
	if a.Kind != ActSurvey && a.Kind != ActPublish {
		return
	}
	if o.Result != OK {
		st.missed(a.Kind, o)
		return
	}
	st.Tries, st.Doubt, st.Words, st.Hint = 0, false, "", ""
	for i := range o.Surveys {
		if o.Surveys[i].Service == item.Service {
			st.surveyed(&o.Surveys[i], a.AskedAt, item.Labels)
		}
	}
}

// missed counts an action that did not reach its goal.
func (st *StepState) missed(kind ActionKind, o Outcome) {
	st.Words, st.Hint = o.Words, o.Hint
	if kind == ActSurvey {
		st.Tries++
		return
	}
	st.Pushes++
	st.Doubt = o.Result != Refused
}

// surveyed takes the survey in. Labels that were there when it was asked for,
// and that it does not place after the attempt's commit, are older.
func (st *StepState) surveyed(v *Survey, asked time.Time, labels []string) {
	st.Survey, st.SurveyedAt = v, asked
	for _, l := range labels {
		if !slices.Contains(v.Lineage, l) && !slices.Contains(st.Strange, l) {
			st.Strange = append(st.Strange, l)
		}
	}
}

func (s *State) commanded(c Command) {
	switch {
	case c.Kind == CommandCancel && s.Cancel == nil:
		s.Cancel = &Word{By: c.By, Reason: c.Reason, At: c.At}
	case c.Kind == CommandSkip:
		s.skip(c)
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

// forget drops what was seen: whoever watches next says it all again.
func (st *StepState) forget() {
	st.Synced = false
	for _, c := range st.Clusters {
		c.Seen = nil
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

func (st *StepState) jumped(at time.Time) {
	for _, t := range []*time.Time{&st.StartedAt, &st.PublishedAt, &st.TakenUpAt, &st.MovedAt, &st.ReadySince, &st.BundleErrorSince, &st.JobFailedAt} {
		if !t.IsZero() {
			*t = at
		}
	}
	st.SurveyedAt = time.Time{}
	for i, s := range st.Suspicions {
		if c := st.Clusters[s.Cluster]; c.Suspect.Equal(s.Since) {
			c.Suspect, st.Suspicions[i].Since = at, at
		}
	}
	for _, c := range st.Clusters {
		c.HeardAt = time.Time{} // a sign of before counts no more
		if c.Since.After(at) {
			c.Since = at
		}
	}
	for i, t := range st.Trials {
		if c := st.Clusters[t.Cluster]; c.Trying.Equal(t.Since) {
			c.Trying, st.Trials[i].Since = at, at
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

// reset makes a step wait again, as one that has not begun; what it was seen
// to be is kept.
func (st *StepState) reset() {
	st.Phase, st.Failure, st.Reason, st.FinishedAt = StepWaiting, nil, "", time.Time{}
	st.StartedAt, st.PublishedAt, st.TakenUpAt, st.ReadySince, st.MovedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	st.Survey, st.Nudge, st.Tries, st.Words, st.Hint = nil, NudgeNone, 0, "", ""
	st.Counts, st.Suspicions, st.Trials = nil, nil, nil
	for _, c := range st.Clusters {
		*c = ClusterState{Phase: ClusterWaiting, Since: c.Since, Seen: c.Seen, Heard: c.Heard, HeardAt: c.HeardAt}
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

func (st *StepState) started(at time.Time) {
	st.Phase, st.Survey = StepSurveying, nil
	if st.StartedAt.IsZero() {
		st.StartedAt = at
	}
}

// decided begins an attempt, which may be one that was found on the branch.
func (st *StepState) decided(a Attempt, at time.Time) {
	st.Attempt, st.Phase, st.Pushes, st.Doubt = a, StepPublishing, 0, false
	if !a.Ours {
		st.published(a.Commit, at)
	}
}

func (st *StepState) published(commit string, at time.Time) {
	st.Attempt.Commit, st.Phase, st.PublishedAt = commit, StepConverging, at
	if st.Attempt.Ours && !st.Changed && st.Attempt.From != st.Attempt.Version {
		st.Changed, st.Was = true, st.Attempt.From
	}
}

func (st *StepState) turned(t ClusterTurned, at time.Time) {
	c := st.cluster(t.Cluster, at)
	nowReady := t.Expected && t.Phase == ClusterReady && (!c.Expected || c.Phase != ClusterReady)
	if c.Expected {
		st.count(c.Phase, -1)
	}
	if t.Expected {
		st.count(t.Phase, 1)
	}
	if !t.Suspect.IsZero() && !t.Suspect.Equal(c.Suspect) {
		st.Suspicions = append(st.Suspicions, Suspicion{t.Cluster, t.Suspect})
	}
	st.tried(t, c, at)
	if c.Phase != t.Phase || t.Expected && !c.Expected {
		c.Since = at
	}
	c.Expected, c.Phase, c.Reason, c.Code, c.Suspect = t.Expected, t.Phase, t.Reason, t.Code, t.Suspect
	st.dismiss(at)
	st.noteReady(at, nowReady)
}

// tried keeps since when the cluster has had its turn without being ready.
// One that is given up as failed keeps its time, one that cannot be reached
// begins anew when it is back.
func (st *StepState) tried(t ClusterTurned, c *ClusterState, at time.Time) {
	wasReady, isReady := c.Expected && c.Phase == ClusterReady, t.Expected && t.Phase == ClusterReady
	switch has := t.Phase == ClusterApplying || t.Phase == ClusterNotReady; {
	case t.Expected && has && c.Trying.IsZero():
		c.Trying, st.MovedAt = at, at
		st.Trials = append(st.Trials, Trial{t.Cluster, at})
	case !has && t.Phase != ClusterFailed:
		c.Trying = time.Time{}
	}
	if wasReady != isReady {
		st.MovedAt = at
	}
}

// dismiss takes away the first suspicions that are over or have come due: a
// turn judges all that are due before it says what turned.
func (st *StepState) dismiss(at time.Time) {
	n := slices.IndexFunc(st.Suspicions, func(s Suspicion) bool {
		return st.Clusters[s.Cluster].Suspect.Equal(s.Since) && !s.due(at)
	})
	if n < 0 {
		n = len(st.Suspicions)
	}
	st.Suspicions = st.Suspicions[n:]
	n = slices.IndexFunc(st.Trials, func(s Trial) bool {
		return st.Clusters[s.Cluster].Trying.Equal(s.Since) && at.Before(s.Since.Add(st.convergeIn()))
	})
	if n < 0 {
		n = len(st.Trials)
	}
	st.Trials = st.Trials[n:]
}

// due reports whether the suspicion has stood for suspectGrace.
func (s Suspicion) due(at time.Time) bool { return at.Sub(s.Since) >= suspectGrace }

func (st *StepState) count(p ClusterPhase, n int) {
	if st.Counts == nil {
		st.Counts = map[ClusterPhase]int{}
	}
	if st.Counts[p] += n; st.Counts[p] == 0 {
		delete(st.Counts, p)
	}
}

// noteReady keeps ReadySince: when the last expected cluster became ready or
// was given up, so that the branch is read after that.
func (st *StepState) noteReady(at time.Time, nowReady bool) {
	switch {
	case st.waiting() > 0 || st.Counts[ClusterReady] == 0:
		st.ReadySince = time.Time{}
	case st.ReadySince.IsZero() || nowReady:
		st.ReadySince = at
	}
}

// waiting is the number of expected clusters that are neither ready nor given
// up.
func (st *StepState) waiting() int {
	given := st.Counts[ClusterReady] + st.Counts[ClusterFailed]
	if st.Policy.OnOffline != rings.OfflineWait {
		given += st.Counts[ClusterOffline]
	}
	return st.expected() - given
}

func (s *State) stepEnded(b StepEnded, at time.Time) {
	st := s.step(b.Ref)
	st.Phase, st.Reason, st.Failure, st.FinishedAt = b.Phase, b.Reason, b.Failure, at
	if st.Undo {
		s.undone(st, b)
		return
	}
	if b.Phase == StepFailed && s.Failure == nil {
		s.Failure = b.Failure
	}
}

// undone says of a step how the taking back of it ended.
func (s *State) undone(undo *StepState, b StepEnded) {
	st := s.step(Ref{undo.Ring, undo.Target.Service, false})
	if b.Phase != StepFailed {
		st.Phase = StepRolledBack
		return
	}
	st.Phase = StepFailed
	if s.Rollback.Failure == nil {
		s.Rollback.Failure = b.Failure
	}
}
