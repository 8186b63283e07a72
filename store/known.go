package store

import (
	"errors"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// learn records in the application what the events say of its services: which
// version an attempt is about to write, which one is on the branch, which one a
// ring was verified with, and which one was withdrawn. s is the state after the
// events.
func (a *appender) learn(s *orchestrator.State, events []orchestrator.Event) error {
	decided := map[orchestrator.Ref]orchestrator.Attempt{}
	for _, e := range events {
		var err error
		switch b := e.Body.(type) {
		case orchestrator.AttemptDecided:
			decided[b.Ref] = b.Attempt
			err = a.attempted(s.Scope.App, b)
		case orchestrator.Published:
			err = a.published(s, b.Ref, attemptOf(s, decided, b.Ref), b.Commit, e)
		case orchestrator.StepEnded:
			err = a.stepEnded(s, b, attemptOf(s, decided, b.Ref), e)
		case orchestrator.RingEnded:
			if b.Phase == orchestrator.RingDone {
				err = a.verified(s, b.Ring, e.At.UTC())
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attemptOf returns the step's attempt: what the same events decided, else
// what they found.
func attemptOf(s *orchestrator.State, decided map[orchestrator.Ref]orchestrator.Attempt, ref orchestrator.Ref) orchestrator.Attempt {
	if at, ok := decided[ref]; ok {
		return at
	}
	if st := stepOf(s, ref); st != nil {
		return st.Attempt
	}
	return orchestrator.Attempt{}
}

// stepOf returns the step, or nil.
func stepOf(s *orchestrator.State, ref orchestrator.Ref) *orchestrator.StepState {
	for _, st := range s.Steps {
		if refOf(st) == ref {
			return st
		}
	}
	return nil
}

// attempted notes the nonce, and the version when we are about to write it: what
// was verified is about to change then. One that was found on the branch is not
// explained by us.
func (a *appender) attempted(app rings.AppName, b orchestrator.AttemptDecided) error {
	svc, err := a.service(app, b.Service)
	if svc == nil {
		return err
	}
	svc.LastNonce = max(svc.LastNonce, b.Attempt.Nonce)
	if b.Attempt.Ours {
		known := svc.Known[b.Ring]
		known.Attempted, known.Verified, known.VerifiedAt = b.Attempt.Version, "", time.Time{}
		known.Tried = b.Attempt.Settings
		know(svc, b.Ring, known)
	}
	return nil
}

// published notes what is on the branch. It stays verified when it is what was
// there already.
func (a *appender) published(s *orchestrator.State, ref orchestrator.Ref, at orchestrator.Attempt, commit string, e orchestrator.Event) error {
	svc, err := a.service(s.Scope.App, ref.Service)
	if svc == nil || at.Version == "" {
		return err
	}
	old := svc.Known[ref.Ring]
	known := rings.Known{Version: at.Version, Settings: old.Settings.With(at.Settings), Commit: commit, At: e.At.UTC(), DecidedAt: s.StartedAt.UTC()}
	if st := stepOf(s, ref); st != nil && st.Keep && old.Version == known.Version {
		known.DecidedAt = old.DecidedSince() // nobody decided on the version
	}
	if old.Version == known.Version && old.Commit == known.Commit {
		known.Verified, known.VerifiedAt = old.Verified, old.VerifiedAt
	}
	know(svc, ref.Ring, known)
	return nil
}

// stepEnded notes of a step that is done what it found on the branch, or what
// it took back.
func (a *appender) stepEnded(s *orchestrator.State, b orchestrator.StepEnded, at orchestrator.Attempt, e orchestrator.Event) error {
	if b.Phase == orchestrator.StepSkipped {
		return a.absent(s, b.Ref)
	}
	if b.Phase == orchestrator.StepFailed {
		return a.unmerged(s, b, at, e)
	}
	if b.Phase != orchestrator.StepDone {
		return nil
	}
	if st := stepOf(s, b.Ref); st != nil && st.Observed {
		return a.observed(s, b.Ref, at, e)
	}
	if !at.Ours {
		if err := a.published(s, b.Ref, at, at.Commit, e); err != nil {
			return err
		}
	}
	switch {
	case b.Undo && s.Rollback != nil:
		return a.withdrawn(s, b.Ref, rings.Hold{By: e.Actor, Reason: s.Rollback.Reason, At: e.At.UTC()})
	case s.Kind == orchestrator.KindRollback:
		return a.withdrawn(s, b.Ref, rings.Hold{By: s.StartedBy, Reason: s.Options.Reason, At: e.At.UTC()})
	}
	return nil
}

// unmerged puts the hold on a version that was proposed and that nobody merged,
// so that no train proposes it again and again.
func (a *appender) unmerged(s *orchestrator.State, b orchestrator.StepEnded, at orchestrator.Attempt, e orchestrator.Event) error {
	if b.Undo || b.Failure == nil || b.Failure.Code != orchestrator.CodeUnmerged && b.Failure.Code != orchestrator.CodeDeclined || at.Version == at.From {
		return nil
	}
	svc, err := a.service(s.Scope.App, b.Service)
	if svc != nil {
		hold(svc, b.Ring, at.Version, rings.Hold{Rollout: string(s.ID), By: e.Actor, Reason: b.Failure.Words, At: e.At.UTC()})
	}
	return err
}

// observed notes a version that others have put there. What only was looked at
// stays verified, also when a commit for another ring has touched its file.
func (a *appender) observed(s *orchestrator.State, ref orchestrator.Ref, at orchestrator.Attempt, e orchestrator.Event) error {
	svc, err := a.service(s.Scope.App, ref.Service)
	if svc == nil || svc.Known[ref.Ring].Version == at.Version {
		return err
	}
	return a.published(s, ref, at, at.Commit, e)
}

// absent notes of a service that is deployed on none of the ring's clusters
// when that was seen, so that a train does not bring it there again and again.
func (a *appender) absent(s *orchestrator.State, ref orchestrator.Ref) error {
	st := stepOf(s, ref)
	svc, err := a.service(s.Scope.App, ref.Service)
	if st == nil || svc == nil || st.Skip != nil || st.Observed || svc.Known[ref.Ring].Version != "" {
		return err
	}
	if st.Survey == nil || len(st.Survey.Expected) > 0 || len(st.Survey.Excluded) == 0 {
		return nil
	}
	know(svc, ref.Ring, rings.Known{At: s.StartedAt.UTC(), DecidedAt: s.StartedAt.UTC()})
	return nil
}

// withdrawn puts the hold on what the ring had before the step changed it: the
// version, and each value of a setting.
func (a *appender) withdrawn(s *orchestrator.State, ref orchestrator.Ref, h rings.Hold) error {
	st := stepOf(s, ref)
	if st == nil || !st.Changed {
		return nil
	}
	svc, err := a.service(s.Scope.App, ref.Service)
	if svc == nil {
		return err
	}
	h.Rollout = string(s.ID)
	if st.Was != "" && st.Was != st.Attempt.Version {
		hold(svc, ref.Ring, st.Was, h)
	}
	for _, c := range orchestrator.ChangedSettings(st.Before, st.Attempt.Settings) {
		if c.From != c.To {
			hold(svc, ref.Ring, rings.HoldOf(c.Name, c.From), h)
		}
	}
	return nil
}

func hold(svc *rings.Service, ring rings.RingName, v rings.Version, h rings.Hold) {
	if svc.Held == nil {
		svc.Held = map[rings.RingName]map[rings.Version]rings.Hold{}
	}
	if svc.Held[ring] == nil {
		svc.Held[ring] = map[rings.Version]rings.Hold{}
	}
	svc.Held[ring][v] = h
}

// verified notes that the rollout ended well on the ring with what its steps
// put there, and lifts the holds on that. What was skipped, taken back or only
// watched verifies nothing.
func (a *appender) verified(s *orchestrator.State, ring rings.RingName, at time.Time) error {
	for _, st := range s.Steps {
		if st.Ring != ring || st.Undo || st.Observed || st.Phase != orchestrator.StepDone {
			continue
		}
		svc, err := a.service(s.Scope.App, st.Target.Service)
		if err != nil {
			return err
		}
		if svc == nil || svc.Known[ring].Version != st.To || !st.Settings.In(svc.Known[ring].Settings) {
			continue
		}
		known := svc.Known[ring]
		known.Verified, known.VerifiedAt = string(s.ID), at
		know(svc, ring, known)
		release(svc, ring, st.To)
		for _, name := range st.Settings.Names() {
			release(svc, ring, rings.HoldOf(name, st.Settings[name]))
		}
	}
	return nil
}

// release lifts the hold on the version.
func release(svc *rings.Service, ring rings.RingName, v rings.Version) {
	delete(svc.Held[ring], v)
	if len(svc.Held[ring]) == 0 {
		delete(svc.Held, ring)
	}
}

func know(svc *rings.Service, ring rings.RingName, k rings.Known) {
	if svc.Known == nil {
		svc.Known = map[rings.RingName]rings.Known{}
	}
	svc.Known[ring] = k
}

// service returns the service, to be changed; write stores it. It is nil when
// the application does not have it any more.
func (a *appender) service(app rings.AppName, name rings.ServiceName) (*rings.Service, error) {
	if a.apps[app] == nil {
		found, err := getApp(a.tx, app)
		if errors.Is(err, rings.ErrUnknown) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		a.apps[app] = found
	}
	svc, err := a.apps[app].Service(name)
	if err != nil {
		return nil, nil
	}
	return svc, nil
}
