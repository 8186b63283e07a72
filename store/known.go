package store

import (
	"errors"

	"rollout/orchestrator"
	"rollout/rings"
)

// learn records in the application what the events say of its services: which
// version an attempt is about to write, and which one is on the branch. s is
// the state after the events.
func (a *appender) learn(s *orchestrator.State, events []orchestrator.Event) error {
	decided := map[orchestrator.Ref]orchestrator.Attempt{}
	for _, e := range events {
		var err error
		switch b := e.Body.(type) {
		case orchestrator.AttemptDecided:
			decided[b.Ref] = b.Attempt
			err = a.attempted(s.Scope.App, b)
		case orchestrator.Published:
			err = a.published(s.Scope.App, b.Ref, attemptOf(s, decided, b.Ref), b.Commit, e)
		case orchestrator.StepEnded:
			at := attemptOf(s, decided, b.Ref)
			if b.Phase == orchestrator.StepDone && !at.Ours {
				err = a.published(s.Scope.App, b.Ref, at, at.Commit, e)
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
	for _, st := range s.Steps {
		if st.Ring == ref.Ring && st.Target.Service == ref.Service {
			return st.Attempt
		}
	}
	return orchestrator.Attempt{}
}

// attempted notes the nonce, and the version when we are about to write it: one
// that was found on the branch is not explained by us.
func (a *appender) attempted(app rings.AppName, b orchestrator.AttemptDecided) error {
	svc, err := a.service(app, b.Service)
	if svc == nil {
		return err
	}
	svc.LastNonce = max(svc.LastNonce, b.Attempt.Nonce)
	if b.Attempt.Ours {
		known := svc.Known[b.Ring]
		known.Attempted = b.Attempt.Version
		know(svc, b.Ring, known)
	}
	return nil
}

func (a *appender) published(app rings.AppName, ref orchestrator.Ref, at orchestrator.Attempt, commit string, e orchestrator.Event) error {
	svc, err := a.service(app, ref.Service)
	if svc == nil || at.Version == "" {
		return err
	}
	know(svc, ref.Ring, rings.Known{Version: at.Version, Commit: commit, At: e.At.UTC()})
	return nil
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
