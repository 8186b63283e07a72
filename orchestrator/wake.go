package orchestrator

import "time"

// wake is the next moment at which time alone changes something; zero when
// only an input helps.
func (t *turn) wake() time.Time {
	if t.s.Phase.Ended() {
		return time.Time{}
	}
	var next time.Time
	note := func(at time.Time) {
		if at.After(t.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if t.s.Halt != nil {
		note(t.s.Halt.Until)
	}
	t.s.barTimers(note)
	t.ringTimers(note)
	for _, st := range t.s.Steps {
		if st.Ring == t.s.Current {
			t.stepTimers(st, note)
		}
	}
	return next
}

// ringTimers names the moments of the ring that waits or soaks.
func (t *turn) ringTimers(note func(time.Time)) {
	r := t.s.ring(t.s.Current)
	if r != nil && r.Phase == RingSoaking {
		t.soakTimers(r, note)
	}
	if r := t.s.next(); r != nil && t.s.Rollback == nil {
		if a := r.Before; a != nil && r.Policy.ApprovalExpires > 0 {
			note(a.At.Add(r.Policy.ApprovalExpires))
		}
		if t.s.upstream(r) != "" && !r.Verified || t.s.probes(r) {
			note(t.verifyBy(r))
		}
	}
}

func (t *turn) soakTimers(r *RingState, note func(time.Time)) {
	note(t.s.soakBy(r))
	if a := r.After; a != nil && r.Policy.ApprovalExpires > 0 {
		note(a.At.Add(r.Policy.ApprovalExpires))
	}
	since := t.s.healthySince(r)
	if since.IsZero() {
		return
	}
	note(since.Add(r.Policy.Soak))
	note(later(since.Add(r.Policy.Soak), t.s.DrivenAt).Add(heardWithin))
	for _, c := range r.Policy.Checks {
		if !r.inconclusive(c) {
			note(t.s.checkAt(r, c))
		}
	}
}

// stepTimers names the moments of a step that moves, or is watched on.
func (t *turn) stepTimers(st *StepState, note func(time.Time)) {
	switch {
	case st.Phase == StepSurveying || st.Phase == StepPublishing:
		note(t.publishBy(st))
	case st.Phase == StepProposed:
		note(st.lookAt())
		note(st.MergeBy())
		note(t.lookedBy(st))
		return
	case st.Phase == StepConverging:
		note(t.deadline(st))
		st.timers(note)
	case st.Phase == StepDone && t.s.ring(st.Ring).Phase == RingSoaking:
		st.timers(note)
		return
	default:
		return
	}
	if !st.Synced {
		note(t.seenBy(st))
	}
}

// timers names the moments at which what was seen begins to count.
func (st *StepState) timers(note func(time.Time)) {
	note(st.clusterDue())
	if !st.BundleErrorSince.IsZero() {
		note(st.BundleErrorSince.Add(bundleGrace))
	}
	if len(st.Suspicions) > 0 {
		note(st.Suspicions[0].Since.Add(suspectGrace))
	}
}
