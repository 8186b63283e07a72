package sim

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// passed reports whether the dependents of a step in the phase may go.
func passed(p orchestrator.StepPhase) bool {
	return p == orchestrator.StepDone || p == orchestrator.StepSkipped
}

// invariant1Order: no step starts before every step it depends on in the same
// ring is done at this rollout's version.
func invariant1Order(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.StepStarted)
	if !ok || b.Undo || r.steps[b.Ref].Observed {
		return "" // who only looks may look at once
	}
	before := r.needs(b.Service)
	if r.created.Kind == orchestrator.KindRollback {
		before = r.dependents(b.Service)
	}
	for _, need := range before {
		st := r.steps[orchestrator.Ref{Ring: b.Ring, Service: need}]
		if st != nil && !passed(st.phase) {
			return fmt.Sprintf("%s starts while %s, which must be before it, is %s", ref(b.Ref), need, st.phase)
		}
		if st != nil && st.phase == orchestrator.StepDone && !st.Observed && st.attempt().Version != st.to() {
			return fmt.Sprintf("%s starts on %s at %s, the rollout's version is %s", ref(b.Ref), need, st.attempt().Version, st.to())
		}
	}
	return ""
}

// invariant2Gates: no ring starts before those before it are done, what is
// before it and outside of the rollout was verified, and a person let it begin.
func invariant2Gates(r *run, _ *view, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.RingStarted:
		return r.mayStart(b.Ring, e.At)
	case orchestrator.StepStarted:
		if phase := r.ring(b.Ring).phase; !b.Undo && phase != orchestrator.RingRunning {
			return fmt.Sprintf("%s starts while its ring is %s", ref(b.Ref), phase)
		}
	case orchestrator.RingEnded:
		ring := r.ring(b.Ring)
		if b.Phase == orchestrator.RingDone && ring.Policy.ApproveAfter {
			return ring.opened(orchestrator.GateAfter, e.At)
		}
	}
	return ""
}

func (r *run) mayStart(name rings.RingName, at time.Time) string {
	verified := false // a ring before it that is of the rollout was done
	for _, n := range r.created.Rings {
		if n.Name == name {
			break
		}
		before := r.ring(n.Name)
		if before.phase != orchestrator.RingDone && before.phase != orchestrator.RingSkipped {
			return fmt.Sprintf("%s starts while %s is %s", name, n.Name, before.phase)
		}
		verified = verified || before.phase == orchestrator.RingDone || before.skipped
	}
	ring := r.ring(name)
	if ring.Upstream != "" && !verified && !ring.verified && !r.created.Options.Override {
		return fmt.Sprintf("%s starts, and nothing was verified before it: not even %s", name, ring.Upstream)
	}
	if ring.Policy.ApproveBefore {
		return ring.opened(orchestrator.GateBefore, at)
	}
	return ""
}

// opened says what is wrong with the approval of a gate that is passed.
func (r *ringRun) opened(g orchestrator.Gate, at time.Time) string {
	a, ok := r.approvals[g]
	switch expires := r.Policy.ApprovalExpires; {
	case !ok:
		return fmt.Sprintf("%s passes the gate %q, which nobody opened", r.Name, g)
	case expires > 0 && at.Sub(a.At) > expires:
		return fmt.Sprintf("%s passes the gate %q with an approval of %s ago, which expires after %s", r.Name, g, at.Sub(a.At), expires)
	}
	return ""
}

// invariant4Stopped: a failed, paused, halted or cancelled rollout starts
// nothing: no ring, no step, no attempt, no first push of one.
func invariant4Stopped(r *run, _ *view, e orchestrator.Event) string {
	what, undo := r.begins(e.Body)
	if what == "" {
		return ""
	}
	for _, stop := range []struct {
		on   bool
		word string
	}{{r.ended != nil, "after the rollout's end"}, {r.cancelled, "after a cancel"}, {r.paused, "while the rollout is paused"}, {r.halted, "while the line is halted"},
		{r.failed && !undo, "after a failure"}, {r.ringLeftOut(e.Body) && !undo, "after a person left its ring out"}, {r.undoing && !undo, "while the rollout is rolled back"}, {r.undoLost && undo, "after the rollback failed"}} {
		if stop.on {
			return fmt.Sprintf("%s %s", what, stop.word)
		}
	}
	return ""
}

// ringLeftOut reports whether the event is of a ring that a person left out.
func (r *run) ringLeftOut(b orchestrator.Body) bool {
	ring := rings.RingName("")
	switch b := b.(type) {
	case orchestrator.RingStarted:
		ring = b.Ring
	case orchestrator.StepStarted:
		ring = b.Ring
	case orchestrator.AttemptDecided:
		ring = b.Ring
	case orchestrator.Asked:
		ring = b.Action.Ring
	}
	return ring != "" && r.ring(ring).skipped
}

// begins says what new thing the event begins, "" for none, and whether it
// takes something back.
func (r *run) begins(b orchestrator.Body) (what string, undo bool) {
	switch b := b.(type) {
	case orchestrator.RingStarted:
		return fmt.Sprintf("ring %s starts", b.Ring), false
	case orchestrator.StepStarted:
		if r.steps[b.Ref].phase == orchestrator.StepWaiting {
			return fmt.Sprintf("%s starts", ref(b.Ref)), b.Undo
		}
	case orchestrator.AttemptDecided:
		if b.Attempt.Ours {
			return fmt.Sprintf("attempt %d of %s is decided", b.Attempt.Number, ref(b.Ref)), b.Undo
		}
	case orchestrator.RollbackRing:
		return fmt.Sprintf("the rollback of %s starts", b.Ring), true
	case orchestrator.RollbackStarted:
		return "a rollback starts", true
	case orchestrator.Asked:
		return r.pushesFirst(b.Action), b.Undo
	}
	return "", false
}

// pushesFirst names an attempt that the action pushes for the first time.
func (r *run) pushesFirst(a orchestrator.Action) string {
	if a.Kind != orchestrator.ActPublish {
		return ""
	}
	for _, i := range a.Items {
		at := orchestrator.Ref{Ring: a.Ring, Service: i.Service, Undo: a.Undo}
		if !r.steps[at].pushes[i.Nonce] {
			return fmt.Sprintf("%s nonce %d is pushed for the first time", ref(at), i.Nonce)
		}
		if r.steps[at].phase == orchestrator.StepProposed {
			return fmt.Sprintf("%s nonce %d is proposed anew", ref(at), i.Nonce)
		}
	}
	return ""
}

// invariant4Budget: once more clusters of the ring have failed than its policy
// allows, no step of it starts. Those of a service that was left out do not count.
func invariant4Budget(r *run, v *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.StepStarted)
	if !ok || b.Undo || r.steps[b.Ref].phase != orchestrator.StepWaiting {
		return ""
	}
	failed := map[rings.ClusterName]bool{}
	for _, at := range r.order {
		st := r.steps[at]
		if at.Ring != b.Ring || at.Undo || st.phase == orchestrator.StepWaiting || st.phase == orchestrator.StepSkipped {
			continue
		}
		for name, phase := range st.turned {
			if (phase == orchestrator.ClusterFailed || r.broken(v, at, name)) && !r.skips[name] && slices.Contains(v.members(at.Service), name) {
				failed[name] = true
			}
		}
	}
	if n, most := len(failed), r.budget(b.Ring, v, b.Service); n > most {
		return fmt.Sprintf("%s starts, %d clusters of %s have failed and %d may", ref(b.Ref), n, b.Ring, most)
	}
	return ""
}

// broken reports whether Helm refused the attempt's own deployment for good.
func (r *run) broken(v *view, at orchestrator.Ref, name rings.ClusterName) bool {
	d, a := v.sighting(at.Service, name).d, r.steps[at].attempt()
	return v.ring == at.Ring && a.Nonce > 0 && d.SpecNonce == a.Nonce && d.InstallError != "" && d.Applied && !d.Gone
}

// budget is how many clusters of the ring may fail.
func (r *run) budget(ring rings.RingName, v *view, service rings.ServiceName) int {
	total := max(len(v.members(service)), len(r.ring(ring).counted))
	return r.ring(ring).Policy.MaxFailed.Of(total)
}

// invariant6Deadline: every wait has an end: an action, which is bounded, a
// moment that is named, or a person who is waited for on purpose.
func invariant6Deadline(s *orchestrator.State, d orchestrator.Decision, now time.Time) string {
	if s.Phase.Ended() {
		return ""
	}
	if !d.Wake.IsZero() && !d.Wake.After(now) {
		return fmt.Sprintf("to be woken at %s, which is not after now", d.Wake)
	}
	if d.Wake.IsZero() && len(s.Pending) == 0 && !patient(s) {
		return fmt.Sprintf("nothing is pending and nothing wakes it: %s", s.Explain(now))
	}
	if h := s.Halt; h != nil && !h.Until.IsZero() && len(s.Pending) == 0 && (d.Wake.IsZero() || d.Wake.After(h.Until.Add(time.Second))) {
		return fmt.Sprintf("the halt ends at %s, and it wakes at %s", h.Until, d.Wake)
	}
	for _, st := range s.Steps {
		waits := st.Phase == orchestrator.StepProposed || st.Phase == orchestrator.StepSurveying || st.Phase == orchestrator.StepConverging || st.Phase == orchestrator.StepPublishing
		if waits && d.Wake.IsZero() && !pushed(s, st) && st.Policy.OnOffline != rings.OfflineWait {
			return fmt.Sprintf("%s is %s without a deadline: %s", st.Target.Service, st.Phase, s.Explain(now))
		}
	}
	return ""
}

// pushed reports whether a push is under way for the step, or a look at what is
// proposed: that is waited for, and bounded by who carries it out.
func pushed(s *orchestrator.State, st *orchestrator.StepState) bool {
	for _, a := range s.Pending {
		waited := a.Kind == orchestrator.ActPublish || a.Kind == orchestrator.ActSurvey && st.Phase == orchestrator.StepProposed
		if waited && slices.ContainsFunc(a.Items, func(i orchestrator.Item) bool { return i.Service == st.Target.Service }) {
			return true
		}
	}
	return false
}

// patient reports whether the rollout waits for a person, for another rollout, or
// for an agent that is waited for on purpose.
func patient(s *orchestrator.State) bool {
	if s.Pause != nil || len(s.Frozen) > 0 || s.Halt != nil && s.Halt.Until.IsZero() {
		return true
	}
	if slices.ContainsFunc(s.Locks, func(l rings.Lock) bool { return l.Until.IsZero() }) || slices.ContainsFunc(s.Closed, func(c rings.Closure) bool { return c.Until.IsZero() }) {
		return true
	}
	for _, r := range s.Rings {
		before := r.Phase == orchestrator.RingWaiting && r.Policy.ApproveBefore && r.Before == nil
		after := r.Phase == orchestrator.RingSoaking && r.Policy.ApproveAfter && r.After == nil
		offline := r.Name == s.Current && r.Policy.OnOffline == rings.OfflineWait
		if before || after || offline {
			return true
		}
	}
	return false
}

// invariant6Explain: a rollout that is live can say why it stands where it does.
func invariant6Explain(s *orchestrator.State, now time.Time) string {
	if s.Explain(now) == "" {
		return fmt.Sprintf("nothing is said at event %d, the rollout is %s", s.Version, s.Phase)
	}
	return ""
}

// invariant6Outcome: what ends has a name, and ends as its parts did.
func invariant6Outcome(r *run, _ *view, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.StepEnded:
		if b.Phase == orchestrator.StepFailed && unnamed(b.Failure) {
			return fmt.Sprintf("%s fails without a name", ref(b.Ref))
		}
	case orchestrator.RingEnded:
		if b.Phase == orchestrator.RingFailed && unnamed(b.Failure) {
			return fmt.Sprintf("%s fails without a name", b.Ring)
		}
	case orchestrator.Ended:
		return r.endsAs(b)
	}
	return ""
}

func unnamed(f *orchestrator.Failure) bool { return f == nil || f.Code == "" || f.Words == "" }

// endsAs holds the rollout's end against its steps and rings.
func (r *run) endsAs(b orchestrator.Ended) string {
	if len(r.pending) > 0 {
		return fmt.Sprintf("the rollout is %s with %d actions pending", b.Phase, len(r.pending))
	}
	switch b.Phase {
	case orchestrator.Failed:
		if unnamed(b.Failure) {
			return "the rollout fails without a name"
		}
	case orchestrator.Succeeded:
		for _, at := range r.order {
			if !passed(r.steps[at].phase) {
				return fmt.Sprintf("the rollout succeeded, %s is %s", ref(at), r.steps[at].phase)
			}
		}
		for _, name := range sortedKeys(r.rings) {
			ring := r.rings[name]
			if r.manyRings() && ring.phase != orchestrator.RingDone && ring.phase != orchestrator.RingSkipped {
				return fmt.Sprintf("the rollout succeeded, %s is %s", ring.Name, ring.phase)
			}
		}
	case orchestrator.RolledBack:
		for _, at := range r.order {
			if at.Undo && !passed(r.steps[at].phase) {
				return fmt.Sprintf("the rollout is rolled back, %s is %s", ref(at), r.steps[at].phase)
			}
		}
	case orchestrator.Cancelled:
		if !r.cancelled {
			return "the rollout is cancelled, and nobody said so"
		}
	}
	return ""
}

// manyRings reports whether rings have phases of their own.
func (r *run) manyRings() bool { return r.current != "" }

// invariant7Claim: the claim on the ring is held before anything is published
// there, and no two rollouts publish on one ring at a time.
func (k *Checker) invariant7Claim(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.Asked)
	if !ok || b.Kind != orchestrator.ActPublish {
		return ""
	}
	if !r.claims[b.Ring] {
		return fmt.Sprintf("%s asks for a push on %s, whose claim its driver was not granted", r.id, b.Ring)
	}
	for _, id := range sortedKeys(k.runs) {
		other := k.runs[id]
		if id == r.id || !other.live() || other.created.Scope.App != r.created.Scope.App {
			continue
		}
		if o := other.ring(b.Ring); o.published && (!o.phase.Ended() || other.undoRing == b.Ring) {
			return fmt.Sprintf("%s asks for a push on %s, where %s is under way", r.id, b.Ring, id)
		}
	}
	return ""
}

// invariant8Attempts: attempts follow each other with other nonces, and a push
// is of the last one on record.
func invariant8Attempts(r *run, _ *view, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.AttemptDecided:
		for _, a := range r.steps[b.Ref].attempts {
			if a.Nonce >= b.Attempt.Nonce && b.Attempt.Ours || a.Number >= b.Attempt.Number {
				return fmt.Sprintf("attempt %d nonce %d of %s follows attempt %d nonce %d", b.Attempt.Number, b.Attempt.Nonce, ref(b.Ref), a.Number, a.Nonce)
			}
		}
	case orchestrator.Asked:
		if b.Kind != orchestrator.ActPublish {
			return ""
		}
		for _, i := range b.Items {
			at := orchestrator.Ref{Ring: b.Ring, Service: i.Service, Undo: b.Undo}
			if a := r.steps[at].attempt(); !a.Ours || a.Nonce != i.Nonce || a.Version != i.Version {
				return fmt.Sprintf("a push of %s %s/%d is asked for, on record is %s/%d", ref(at), i.Version, i.Nonce, a.Version, a.Nonce)
			}
		}
	}
	return ""
}

// invariant10Members: a cluster that left, that joined for later, or that a
// person left out fails nothing.
func invariant10Members(r *run, v *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.StepEnded)
	if !ok || b.Phase != orchestrator.StepFailed || b.Failure == nil || b.Failure.Cluster == "" || v.ring != b.Ring {
		return ""
	}
	name, counted := b.Failure.Cluster, r.ring(b.Ring).counted
	switch {
	case !slices.Contains(v.members(b.Service), name):
		return fmt.Sprintf("%s fails for %s, which is not of the ring", ref(b.Ref), name)
	case counted != nil && !slices.Contains(counted, name):
		return fmt.Sprintf("%s fails for %s, which joined for later", ref(b.Ref), name)
	case r.skips[name]:
		return fmt.Sprintf("%s fails for %s, which a person left out", ref(b.Ref), name)
	}
	return ""
}
