package orchestrator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// moveRings moves the ring under way, or begins the next one.
func (t *turn) moveRings() {
	if t.s.Rollback != nil {
		t.moveRollback()
		return
	}
	r := t.s.ring(t.s.Current)
	switch {
	case r == nil || r.Phase.Ended():
		t.nextRing()
	case r.Phase == RingRunning:
		t.running(r)
	case r.Phase == RingSoaking:
		t.soaking(r)
	}
}

// nextRing begins the next ring when its gates are open (invariant 2).
func (t *turn) nextRing() {
	r := t.s.next()
	if r == nil || t.s.Failure != nil {
		return
	}
	if r.Skip != nil {
		t.skipRing(r, r.Skip.leftOut())
		return
	}
	if t.stopped(false) || t.barredRing(r.Name) {
		return
	}
	if t.s.probes(r) {
		t.unreadable(r, fmt.Sprintf("whether %s has clusters", r.Name))
		return
	}
	if !t.verified(r) || !t.approved(r, GateBefore) {
		return
	}
	t.emit(RingStarted{r.Name})
}

// probes reports whether it must be asked if the ring has clusters before its
// gates hold anything: one that is only passed through and has none is skipped
// with its waits. Without gates its steps find that out.
func (s *State) probes(r *RingState) bool {
	return !r.Named && !r.Peopled && (r.asksFor(GateBefore) || s.upstream(r) != "")
}

// next returns the first ring that waits; nil when none does.
func (s *State) next() *RingState {
	for _, r := range s.Rings {
		if r.Phase == RingWaiting {
			return r
		}
	}
	return nil
}

// skipRing ends a ring and its steps without having verified anything.
func (t *turn) skipRing(r *RingState, reason string) {
	for _, st := range t.s.Steps {
		if st.Ring == r.Name && !st.Undo && !st.Phase.Ended() {
			t.leaveOut(st, reason)
		}
	}
	t.emit(RingEnded{Ring: r.Name, Phase: RingSkipped, Reason: reason})
}

// leaveOut ends a step that is not wanted. What has come onto the branch by then is
// on record.
func (t *turn) leaveOut(st *StepState, reason string) {
	t.arrive(st)
	t.done(st, StepSkipped, reason)
}

// upstream returns the ring outside of the rollout that must have been
// verified before r may begin; "" when the ring before it is of this rollout,
// when a person left that one out, or when there is none.
func (s *State) upstream(r *RingState) rings.RingName {
	if s.Options.Override {
		return ""
	}
	for up := r.Upstream; up != ""; {
		u := s.ring(up)
		if u == nil {
			return up
		}
		if u.Phase != RingSkipped || u.Skip != nil {
			return ""
		}
		up = u.Upstream // it had no clusters, and verified nothing
	}
	return ""
}

// verified reports whether the ring's upstream still says what was verified
// there. That it was verified is known since the rollout was created; what is
// asked now is the branch.
func (t *turn) verified(r *RingState) bool {
	if t.s.upstream(r) == "" || r.Verified {
		return true
	}
	for _, st := range t.s.Steps {
		if st.Ring == r.Name && !st.Observed && !st.UpstreamSame {
			t.unreadable(r, fmt.Sprintf("whether %s still says what was verified there", t.s.upstream(r)))
			return false
		}
	}
	t.emit(RingVerified{r.Name})
	return true
}

// unreadable fails the ring when what opens its gates could not be read in
// time.
func (t *turn) unreadable(r *RingState, what string) {
	if !t.now.Before(t.verifyBy(r)) {
		t.failRing(r, Failure{Code: CodeUnreach, Words: fmt.Sprintf("it could not be read %s: %s", what, r.Words)})
	}
}

// verifyBy is until when the upstream must have been read.
func (t *turn) verifyBy(r *RingState) time.Time {
	since := t.s.StartedAt
	for _, other := range t.s.Rings {
		since = later(since, other.FinishedAt)
	}
	uptake := r.Policy.Uptake
	if uptake == 0 {
		uptake = rings.DefaultUptake
	}
	return slices.MaxFunc([]time.Time{since, t.s.DrivenAt, t.s.FreedAt, r.TimedFrom}, time.Time.Compare).Add(uptake)
}

// askVerify asks, repository by repository, what the upstream of the ring that
// is to begin says.
func (t *turn) askVerify() {
	r := t.s.next()
	if r == nil || t.s.Rollback != nil || t.stopped(false) || t.barredRing(r.Name) || !t.s.idle() {
		return
	}
	if t.s.probes(r) {
		t.askProbe(r)
		return
	}
	if r.Verified || t.s.upstream(r) == "" {
		return
	}
	t.askGroups(ActVerify, func(st *StepState) (string, bool) {
		want := st.Ring == r.Name && !st.Observed && !st.UpstreamSame && !t.isPending(st, ActVerify)
		return fmt.Sprintf("does %s still say what was verified there?", t.s.upstream(r)), want
	})
}

// askProbe asks, by the ring's first service, whether the ring has clusters.
func (t *turn) askProbe(r *RingState) {
	for _, st := range t.s.Steps {
		if st.Ring != r.Name || st.Observed || t.isPending(st, ActVerify) {
			continue
		}
		a := Action{Kind: ActVerify, Ring: r.Name, For: r.Name, Items: []Item{t.item(st)}, Reason: fmt.Sprintf("does %s have clusters?", r.Name)}
		if r.Tries > 0 {
			a.After = t.now.Add(backoff(r.Tries))
		}
		t.request(a)
		return
	}
}

// upstreamRead acts on what the upstream's branch says: a version that is not
// the one that was verified there fails the ring.
func (t *turn) upstreamRead(a Action, st *StepState, o Outcome) {
	r := t.s.ring(st.Ring)
	if r.Phase != RingWaiting {
		return
	}
	if o.Result == Refused {
		t.failRing(r, Failure{Code: o.Code, Service: st.Target.Service, Words: o.Words, Hint: o.Hint})
		return
	}
	v := o.survey(st.Target.Service)
	switch probe := a.Ring == r.Name; {
	case v == nil:
		return
	case probe && len(v.Expected)+len(v.Excluded) == 0:
		t.skipRing(r, "it has no clusters")
		return
	case probe || v.agreesWith(st):
		return
	}
	says, wanted := v.differs(st)
	t.failRing(r, Failure{Code: CodeUpstream, Service: st.Target.Service,
		Words: fmt.Sprintf("%s says %s for %s now, not the %s that was verified there: commit %s by %s", r.Upstream, says, st.Target.Service, wanted, short(v.Commit), v.Author),
		Hint:  fmt.Sprintf("roll %s out on %s again first, or create with --override --reason", wanted, r.Upstream)})
}

// survey returns the service's survey of the answer; nil when there is none.
func (o Outcome) survey(service rings.ServiceName) *Survey {
	for i := range o.Surveys {
		if o.Surveys[i].Service == service {
			return &o.Surveys[i]
		}
	}
	return nil
}

// approved reports whether a person opened the gate, or none is asked for. An
// approval falls when it expired, or when what it was given for has changed.
func (t *turn) approved(r *RingState, g Gate) bool {
	if !r.asksFor(g) {
		return true
	}
	a := r.approval(g)
	switch {
	case a == nil:
		return false
	case a.Content != t.s.Content(r.Name):
		t.emit(ApprovalFell{r.Name, g, "what is to be rolled out has changed since"})
		return false
	case r.Policy.ApprovalExpires > 0 && !t.now.Before(a.At.Add(r.Policy.ApprovalExpires)):
		t.emit(ApprovalFell{r.Name, g, fmt.Sprintf("it was given %s ago, and expires after %s", Duration(t.now.Sub(a.At)), Duration(r.Policy.ApprovalExpires))})
		return false
	}
	return true
}

// asksFor reports whether the policy has the gate.
func (r *RingState) asksFor(g Gate) bool {
	return g == GateBefore && r.Policy.ApproveBefore || g == GateAfter && r.Policy.ApproveAfter
}

// approval returns the one that was given for the gate; nil when none was.
func (r *RingState) approval(g Gate) *Approval {
	if g == GateBefore {
		return r.Before
	}
	return r.After
}

func (r *RingState) setApproval(g Gate, a *Approval) {
	if g == GateBefore {
		r.Before = a
	} else {
		r.After = a
	}
}

// Content names what is to be rolled out from the ring on: an approval is for
// exactly that. It changes when a person leaves something out, and not while
// the rollout runs. It is "" for a ring that is not of the rollout.
func (s *State) Content(ring rings.RingName) string {
	if s.ring(ring) == nil {
		return ""
	}
	sum := sha256.New()
	begun := false
	for _, r := range s.Rings {
		begun = begun || r.Name == ring
		if !begun || r.Skip != nil {
			continue
		}
		for _, st := range s.Steps {
			if st.Ring == r.Name && !st.Undo && !st.Observed && st.Skip == nil {
				fmt.Fprintf(sum, "%s %s %s\n", r.Name, st.Target.Service, st.content())
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// content is what the step is to roll out, the same from its beginning to its
// end.
func (st *StepState) content() string {
	if st.Keep {
		return st.Settings.String()
	}
	return st.wants()
}

// Awaiting returns the gate that waits for a person's approval now.
func (s *State) Awaiting() (ring rings.RingName, gate Gate, ok bool) {
	if s.Phase.Ended() || s.Rollback != nil || s.Failure != nil {
		return "", "", false
	}
	if r := s.ring(s.Current); r != nil && !r.Phase.Ended() {
		wants := r.Phase == RingSoaking && r.asksFor(GateAfter) && r.After == nil
		return r.Name, GateAfter, wants
	}
	if r := s.next(); r != nil && r.asksFor(GateBefore) && r.Before == nil {
		return r.Name, GateBefore, true
	}
	return "", "", false
}

// running looks at a ring whose steps move: is it done, empty, or given up?
func (t *turn) running(r *RingState) {
	if r.Policy.OnJoin == rings.JoinLater && r.Counted == nil {
		t.countClusters(r)
	}
	ended, moving := true, false
	for _, st := range t.s.Steps {
		if st.Ring != r.Name {
			continue
		}
		ended = ended && st.Phase.Ended()
		moving = moving || !st.Phase.Ended() && st.Phase != StepWaiting
	}
	switch {
	case t.s.Failure != nil:
		if !moving || t.cutsShort(r) {
			t.failRing(r, *t.s.Failure)
		}
	case r.Skip != nil && !t.publishingOn(r):
		t.skipRing(r, r.Skip.leftOut())
	case ended && (r.lingers() && len(t.s.soaking(r)) > 0 || r.asksFor(GateAfter) && t.leftOut(r)):
		t.emit(RingConverged{r.Name})
		t.judgeAll()
		t.soaking(r)
	case ended:
		t.ringDone(r)
	}
}

// leftOut reports whether a person left a service of the ring out: that opens no
// gate.
func (t *turn) leftOut(r *RingState) bool {
	return slices.ContainsFunc(t.s.Steps, func(st *StepState) bool { return st.Ring == r.Name && st.Skip != nil && !st.Undo })
}

// countClusters notes which clusters count where those that join later do not.
func (t *turn) countClusters(r *RingState) {
	for _, st := range t.s.Steps {
		if st.Ring == r.Name && st.Synced && len(st.Members) > 0 {
			t.emit(RingCounted{r.Name, st.Members})
			t.judgeAll()
			return
		}
	}
}

// publishingOn reports whether a push for the ring is under way, was and its
// answer is not known, or is proposed.
func (t *turn) publishingOn(r *RingState) bool {
	for _, st := range t.s.Steps {
		if st.Ring == r.Name && (t.isPending(st, ActPublish) || st.Phase == StepPublishing && st.Doubt || st.Phase == StepProposed) {
			return true
		}
	}
	return false
}

// cutsShort reports whether a ring that failed does not wait for its other
// steps to converge, because all of them are going to be taken back.
func (t *turn) cutsShort(r *RingState) bool {
	policy := r.Policy.OnFailure
	return (policy == rings.FailureRollback || policy == rings.FailureRollbackRing) && !t.held() && !t.locked(r.Name) && !t.publishingOn(r)
}

// ringDone ends a ring well.
func (t *turn) ringDone(r *RingState) {
	done := 0
	for _, st := range t.s.Steps {
		if st.Ring == r.Name && st.Phase == StepDone && !st.Observed {
			done++
		}
	}
	t.emit(RingEnded{Ring: r.Name, Phase: RingDone, Reason: fmt.Sprintf("%d services are live", done)})
}

// failRing ends a ring badly.
func (t *turn) failRing(r *RingState, f Failure) {
	t.emit(RingEnded{Ring: r.Name, Phase: RingFailed, Reason: f.Words, Failure: &f})
}

// finish ends the rollout when nothing can move any more, or does what the
// ring's policy asks for after a failure.
func (t *turn) finish() {
	if t.s.Phase.Ended() || t.s.Rollback != nil {
		return
	}
	if t.s.Failure == nil {
		if r := t.s.ring(t.s.Current); t.s.next() == nil && (r == nil || r.Phase.Ended()) && t.tagged() {
			t.end(Succeeded, nil)
		}
		return
	}
	r := t.s.failed()
	if r == nil {
		return // what runs may finish
	}
	switch policy := r.Policy.OnFailure; {
	case policy == rings.FailurePause:
		if t.s.Pause == nil {
			t.emit(Held{Word{By: t.actor, Reason: t.s.failureWords(), At: t.now}})
		}
	case policy == rings.FailureStop || len(t.s.changed(r)) == 0:
		t.end(Failed, t.s.Failure)
	case !t.held() && !t.locked(r.Name):
		t.rollBack(r)
	}
}

// failed returns the ring that failed; nil while none has ended so.
func (s *State) failed() *RingState {
	for _, r := range s.Rings {
		if r.Phase == RingFailed {
			return r
		}
	}
	return nil
}
