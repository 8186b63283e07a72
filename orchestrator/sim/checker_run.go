package sim

import (
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// run is what the events on disk say of a rollout, as far as the invariants
// need it: a second fold, of its own.
type run struct {
	app     *rings.Application
	id      orchestrator.ID
	created orchestrator.Created
	rings   map[rings.RingName]*ringRun
	steps   map[orchestrator.Ref]*stepRun
	order   []orchestrator.Ref
	pending map[string]orchestrator.Action
	asked   map[string]time.Time // in true time
	now     time.Time            // in true time

	current   rings.RingName
	paused    bool
	halted    bool
	cancelled bool
	failed    bool // a step or ring failed, and nobody resumed
	undoing   bool
	undoRing  rings.RingName
	undoLost  bool
	claims    map[rings.RingName]bool // granted to the present driver
	skips     map[rings.ClusterName]bool
	ended     *orchestrator.Ended
	warnings  []string
}

// ringRun is one ring of a run.
type ringRun struct {
	orchestrator.NewRing
	phase     orchestrator.RingPhase
	verified  bool
	skipped   bool // by a person
	approvals map[orchestrator.Gate]orchestrator.Approval
	counted   []rings.ClusterName // nil: all count
	checks    []sample
	begun     bool
	published bool // a push was asked for
}

// sample is an answer of a check.
type sample struct {
	name   string
	result orchestrator.Result
	asked  time.Time
}

// stepRun is one step of a run.
type stepRun struct {
	orchestrator.NewStep
	phase    orchestrator.StepPhase
	attempts []orchestrator.Attempt
	survey   *orchestrator.Survey
	surveyed time.Time      // when the survey was asked for
	pushes   map[int64]bool // nonces whose push was asked for
	sure     map[int64]bool // nonces whose pushes were all answered, and refused or not begun
	turned   map[rings.ClusterName]orchestrator.ClusterPhase
	at       time.Time      // published
	commit   string         // the last one
	merged   map[int64]bool // nonces that were seen on the branch
}

// to is the version that the step is to end at: of one that keeps what the ring
// has, the one that its attempt found.
func (st *stepRun) to() rings.Version {
	if st.Keep {
		return st.attempt().From
	}
	return st.To
}

func newRun(app *rings.Application) *run {
	return &run{app: app, rings: map[rings.RingName]*ringRun{}, steps: map[orchestrator.Ref]*stepRun{}, pending: map[string]orchestrator.Action{},
		asked: map[string]time.Time{}, claims: map[rings.RingName]bool{}, skips: map[rings.ClusterName]bool{}}
}

// live reports whether the rollout has begun and not ended.
func (r *run) live() bool { return r.id != "" && r.ended == nil }

// attempt is the last one of the step; the zero value when there is none.
func (st *stepRun) attempt() orchestrator.Attempt {
	if len(st.attempts) == 0 {
		return orchestrator.Attempt{}
	}
	return st.attempts[len(st.attempts)-1]
}

func (r *run) add(steps []orchestrator.NewStep) {
	for _, n := range steps {
		ref := orchestrator.Ref{Ring: n.Ring, Service: n.Target.Service, Undo: n.Undo}
		r.steps[ref] = &stepRun{NewStep: n, phase: orchestrator.StepWaiting, pushes: map[int64]bool{}, sure: map[int64]bool{}, merged: map[int64]bool{},
			turned: map[rings.ClusterName]orchestrator.ClusterPhase{}}
		r.order = append(r.order, ref)
	}
}

// ring is the policy and more of the ring; the zero value for one that is not of
// the rollout.
func (r *run) ring(name rings.RingName) *ringRun {
	if out := r.rings[name]; out != nil {
		return out
	}
	return &ringRun{}
}

// fold takes an event in.
func (r *run) fold(e orchestrator.Event) {
	switch b := e.Body.(type) {
	case orchestrator.Created:
		r.id, r.created = e.Rollout, b
		for _, n := range b.Rings {
			r.rings[n.Name] = &ringRun{NewRing: n, phase: orchestrator.RingWaiting, approvals: map[orchestrator.Gate]orchestrator.Approval{}}
		}
		r.add(b.Steps)
	case orchestrator.Driven:
		clear(r.claims)
		for id := range r.pending {
			r.asked[id] = r.now // what is pending is begun again
		}
	case orchestrator.Commanded:
		r.commanded(b.Command)
	case orchestrator.Halted:
		r.halted = b.Halt != nil
	case orchestrator.Asked:
		r.ask(b.Action)
	case orchestrator.Dropped:
		delete(r.pending, b.Action)
	case orchestrator.Answered:
		r.answered(b.Outcome)
	case orchestrator.Ended:
		r.ended = &b
	default:
		r.foldStep(e)
		r.foldRing(e)
	}
}

func (r *run) foldStep(e orchestrator.Event) {
	switch b := e.Body.(type) {
	case orchestrator.StepStarted:
		r.steps[b.Ref].phase = orchestrator.StepSurveying
	case orchestrator.StepHeld:
		r.steps[b.Ref].phase = orchestrator.StepWaiting
	case orchestrator.AttemptDecided:
		st := r.steps[b.Ref]
		st.attempts, st.phase = append(st.attempts, b.Attempt), orchestrator.StepPublishing
		if !b.Attempt.Ours {
			st.phase, st.at, st.commit = orchestrator.StepConverging, r.now, b.Attempt.Commit
		}
	case orchestrator.Proposed:
		r.steps[b.Ref].phase = orchestrator.StepProposed
	case orchestrator.Warned:
		r.warnings = append(r.warnings, b.Words)
	case orchestrator.Published:
		st := r.steps[b.Ref]
		st.phase, st.at, st.merged[st.attempt().Nonce], st.commit = orchestrator.StepConverging, r.now, true, b.Commit
	case orchestrator.ClusterTurned:
		r.steps[b.Ref].turned[b.Cluster] = b.Phase
	case orchestrator.StepEnded:
		r.steps[b.Ref].phase = b.Phase
		switch {
		case b.Phase != orchestrator.StepFailed:
		case b.Undo:
			r.undoLost = true
		default:
			r.failed = true
		}
	case orchestrator.RollbackStarted:
		r.undoing = true
		r.add(b.Steps)
	case orchestrator.RollbackRing:
		r.undoRing = b.Ring
	}
}

func (r *run) foldRing(e orchestrator.Event) {
	switch b := e.Body.(type) {
	case orchestrator.RingVerified:
		r.ring(b.Ring).verified = true
	case orchestrator.RingStarted:
		r.current, r.ring(b.Ring).phase, r.ring(b.Ring).begun = b.Ring, orchestrator.RingRunning, true
	case orchestrator.RingCounted:
		r.ring(b.Ring).counted = b.Clusters
	case orchestrator.RingConverged:
		r.ring(b.Ring).phase = orchestrator.RingSoaking
	case orchestrator.RingEnded:
		r.ring(b.Ring).phase = b.Phase
		r.failed = r.failed || b.Phase == orchestrator.RingFailed
	case orchestrator.Approved:
		r.ring(b.Ring).approvals[b.Gate] = b.Approval
	case orchestrator.ApprovalFell:
		delete(r.ring(b.Ring).approvals, b.Gate)
	case orchestrator.Held:
		r.paused = true
	case orchestrator.Resumed:
		r.resumed()
	}
}

// resumed lets a ring that failed be tried again, if its policy was to pause.
func (r *run) resumed() {
	r.paused = false
	for _, ring := range r.rings {
		if ring.phase != orchestrator.RingFailed || ring.Policy.OnFailure != rings.FailurePause {
			continue
		}
		r.failed = false
		for _, at := range r.order {
			if st := r.steps[at]; at.Ring == ring.Name && !at.Undo && st.phase == orchestrator.StepFailed {
				st.phase = orchestrator.StepWaiting
				clear(st.turned) // what it was found to be was of the attempt before
			}
		}
		if ring.begun {
			ring.phase = orchestrator.RingRunning
		} else {
			ring.phase = orchestrator.RingWaiting
		}
	}
}

func (r *run) commanded(c orchestrator.Command) {
	switch c.Kind {
	case orchestrator.CommandCancel:
		r.cancelled = true
	case orchestrator.CommandPause:
		r.paused = true
	case orchestrator.CommandSkip:
		if c.Cluster != "" {
			r.skips[c.Cluster] = true
		}
		if c.Ring != "" && c.Service == "" && c.Cluster == "" {
			r.ring(c.Ring).skipped = true
		}
	}
}

func (r *run) ask(a orchestrator.Action) {
	r.pending[a.ID], r.asked[a.ID] = a, r.now
	if a.Kind != orchestrator.ActPublish {
		return
	}
	r.ring(a.Ring).published = true
	for _, i := range a.Items {
		st := r.steps[orchestrator.Ref{Ring: a.Ring, Service: i.Service, Undo: a.Undo}]
		st.pushes[i.Nonce] = true
		st.sure[i.Nonce] = false
	}
}

func (r *run) answered(o orchestrator.Outcome) {
	a, ok := r.pending[o.Action]
	delete(r.pending, o.Action)
	if !ok {
		return
	}
	switch a.Kind {
	case orchestrator.ActClaim:
		r.claims[a.Ring] = o.Result == orchestrator.OK
	case orchestrator.ActCheck:
		r.ring(a.Ring).checks = append(r.ring(a.Ring).checks, sample{a.Check.Name, o.Result, r.asked[a.ID]})
	case orchestrator.ActSurvey, orchestrator.ActPublish:
		r.surveyed(a, o)
	}
}

func (r *run) surveyed(a orchestrator.Action, o orchestrator.Outcome) {
	for _, i := range a.Items {
		st := r.steps[orchestrator.Ref{Ring: a.Ring, Service: i.Service, Undo: a.Undo}]
		if a.Kind == orchestrator.ActPublish && o.Result == orchestrator.Refused {
			st.sure[i.Nonce] = true
		}
		n := slices.IndexFunc(o.Surveys, func(v orchestrator.Survey) bool { return v.Service == i.Service })
		if o.Result == orchestrator.OK && n >= 0 {
			st.survey, st.surveyed = &o.Surveys[n], r.asked[a.ID]
		}
	}
}

// needs are the services that the named one depends on, also through others.
func (r *run) needs(name rings.ServiceName) []rings.ServiceName {
	var out []rings.ServiceName
	var walk func(rings.ServiceName)
	walk = func(n rings.ServiceName) {
		for _, s := range r.app.Services {
			if s.Name != n {
				continue
			}
			for _, d := range s.DependsOn {
				if !slices.Contains(out, d) {
					out = append(out, d)
					walk(d)
				}
			}
		}
	}
	walk(name)
	return out
}

// dependents are the services that depend on the named one, also through
// others.
func (r *run) dependents(name rings.ServiceName) []rings.ServiceName {
	var out []rings.ServiceName
	for _, s := range r.app.Services {
		if slices.Contains(r.needs(s.Name), name) {
			out = append(out, s.Name)
		}
	}
	return out
}
