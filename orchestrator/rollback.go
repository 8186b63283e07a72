package orchestrator

import (
	"fmt"
	"slices"

	"rollout/rings"
)

// changed returns the steps whose version the rollout changed, or may have
// changed, as far as the failed ring's policy takes them back: those of the
// ring, or of all rings.
func (s *State) changed(failed *RingState) []*StepState {
	var out []*StepState
	for _, st := range s.Steps {
		if st.changed() && (st.Ring == failed.Name || failed.Policy.OnFailure == rings.FailureRollback) {
			out = append(out, st)
		}
	}
	return out
}

// changed reports whether what the branch says is something else by this step,
// or may be.
func (st *StepState) changed() bool {
	maybe := st.Attempt.Ours && st.Doubt && st.Attempt.Commit == "" && st.Attempt.changes()
	return !st.Undo && !st.Observed && (st.Changed || maybe)
}

// before is the version that the step's ring had before the rollout changed
// it; "" when its clusters had several.
func (st *StepState) before() rings.Version {
	if st.Changed {
		return st.Was
	}
	return st.Attempt.From
}

// rollBack begins to take back what was changed (invariant 11).
func (t *turn) rollBack(failed *RingState) {
	changed := t.s.changed(failed)
	t.emit(RollbackStarted{Reason: t.s.failureWords(), Steps: undoSteps(t.s.Steps, changed)})
	t.judgeAll()
}

// undoSteps are the steps that take these back: ring by ring from the last to
// the first, in each the dependents first, and exactly to what was there.
func undoSteps(all, changed []*StepState) []NewStep {
	var out []NewStep
	for _, ring := range ringsOf(changed) {
		var here []*StepState
		for _, st := range changed {
			if st.Ring == ring {
				here = append(here, st)
			}
		}
		out = append(out, undoRing(all, here)...)
	}
	return out
}

// ringsOf returns the steps' rings, the last one first.
func ringsOf(steps []*StepState) []rings.RingName {
	var out []rings.RingName
	for _, st := range steps {
		if !slices.Contains(out, st.Ring) {
			out = append(out, st.Ring)
		}
	}
	slices.Reverse(out)
	return out
}

// undoRing makes the steps that take these of one ring back, wave by wave.
func undoRing(all, steps []*StepState) []NewStep {
	needs := dependents(all, steps)
	waves := map[rings.ServiceName]int{}
	var out []NewStep
	for wave := 1; len(out) < len(steps); wave++ {
		for _, st := range steps {
			name := st.Target.Service
			if waves[name] > 0 || !allBefore(needs[name], waves, wave) {
				continue
			}
			waves[name] = wave
			out = append(out, NewStep{Ring: st.Ring, Target: st.Target, Needs: needs[name], Wave: wave, Undo: true,
				To: st.before(), Settings: st.WasSettings(), Keep: st.Keep, Floor: max(st.Floor, st.Attempt.Nonce),
				Known: rings.Known{Version: st.To, Attempted: st.before(), Settings: st.Settings, Tried: st.WasSettings()}})
		}
	}
	return out
}

// allBefore reports whether all of the names have a wave before this one.
func allBefore(names []rings.ServiceName, waves map[rings.ServiceName]int, wave int) bool {
	return !slices.ContainsFunc(names, func(n rings.ServiceName) bool { return waves[n] == 0 || waves[n] >= wave })
}

// dependents returns, for each of the steps, those of them that depend on it,
// also through others: they must be taken back before.
func dependents(all, steps []*StepState) map[rings.ServiceName][]rings.ServiceName {
	out := map[rings.ServiceName][]rings.ServiceName{}
	for _, st := range steps {
		for need := range reaches(all, st) {
			if slices.ContainsFunc(steps, func(o *StepState) bool { return o.Target.Service == need }) {
				out[need] = append(out[need], st.Target.Service)
			}
		}
	}
	return out
}

// reaches returns the services that the step needs, directly or through
// others, as far as its ring has steps for them.
func reaches(all []*StepState, from *StepState) map[rings.ServiceName]bool {
	out := map[rings.ServiceName]bool{}
	open := slices.Clone(from.Needs)
	for len(open) > 0 {
		name := open[0]
		open = open[1:]
		if out[name] {
			continue
		}
		out[name] = true
		for _, st := range all {
			if st.Ring == from.Ring && st.Target.Service == name && !st.Undo {
				open = append(open, st.Needs...)
			}
		}
	}
	return out
}

// moveRollback goes from ring to ring, and ends the rollout when all is taken
// back, or when something could not be: then a person is needed, for a
// rollback is never rolled back.
func (t *turn) moveRollback() {
	next, moving := t.nextUndo()
	switch {
	case t.s.Rollback.Failure != nil && !moving:
		f := *t.s.Rollback.Failure
		t.end(Failed, &Failure{Code: CodeRollback, Service: f.Service, Cluster: f.Cluster,
			Words: fmt.Sprintf("the rollback failed: %s; it followed: %s", f.Words, t.s.Rollback.Reason),
			Hint:  fmt.Sprintf("look at it, then \"rollout rollback %s\" takes back what is left", t.s.ID)})
	case t.s.Rollback.Failure == nil && next == nil:
		t.end(RolledBack, t.s.Failure)
	case next != nil && !moving && next.Ring != t.s.Rollback.Ring && !t.stopped(true) && !t.locked(next.Ring):
		t.emit(RollbackRing{next.Ring})
	}
}

// nextUndo returns the first step of the rollback that has not ended, and
// whether any is under way.
func (t *turn) nextUndo() (next *StepState, moving bool) {
	for _, st := range t.s.Steps {
		if !st.Undo || st.Phase.Ended() {
			continue
		}
		if next == nil {
			next = st
		}
		moving = moving || st.Phase != StepWaiting
	}
	return next, moving
}
