package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// backoff is how long to wait before the next try of something that could not
// be reached: 1, 2, 4 ... 30 s.
func backoff(tries int) time.Duration {
	if tries > 4 {
		return 30 * time.Second
	}
	return time.Second << max(tries-1, 0)
}

// outcome takes an action's answer in. One that is not pending (any more)
// says nothing.
func (t *turn) outcome(o Outcome) {
	a, ok := t.s.Pending[o.Action]
	if !ok {
		return
	}
	t.emit(Answered{o})
	switch a.Kind {
	case ActClaim:
		t.claimed(t.s.ring(a.Ring), o)
	case ActSurvey:
		t.each(a, o, t.surveyed)
	case ActPublish:
		t.each(a, o, func(st *StepState, _ Item, o Outcome) { t.published(a, st, o) })
	case ActNudge:
		t.each(a, o, t.nudged)
	case ActHint:
		t.each(a, o, t.hinted)
	case ActTag:
		t.tagGivenUp(a, o)
	case ActVerify:
		t.each(a, o, func(st *StepState, _ Item, o Outcome) { t.upstreamRead(a, st, o) })
	}
}

// each calls f for the action's steps that have not ended.
func (t *turn) each(a Action, o Outcome, f func(*StepState, Item, Outcome)) {
	for i, ref := range a.steps() {
		st := t.s.step(ref)
		if !st.Phase.Ended() || t.s.hears(st, ref.Service) {
			f(st, a.Items[i], o)
		}
	}
}

// claimed acts on the answer about the claim; one that could not be had for
// now is asked for again.
func (t *turn) claimed(r *RingState, o Outcome) {
	f := Failure{Code: o.Code, Words: o.Words, Hint: o.Hint}
	switch {
	case o.Result == OK && o.Words != "":
		t.emit(Warned{Words: o.Words})
	case o.Result == Refused:
		t.end(Failed, &f)
	case o.Result != OK && !t.now.Before(t.claimBy(r)):
		f.Code, f.Words = CodeUnreach, "the claim on the ring could not be taken: "+o.Words
		t.end(Failed, &f)
	}
}

// claimBy is until when the claim on the ring must have been taken.
func (t *turn) claimBy(r *RingState) time.Time {
	uptake := r.Policy.Uptake
	if uptake == 0 {
		uptake = rings.DefaultUptake
	}
	return later(r.StartedAt, t.s.DrivenAt).Add(uptake)
}

func (t *turn) surveyed(st *StepState, _ Item, o Outcome) {
	t.all[st] = true
	if o.Result == Refused && st.Phase == StepDone {
		t.failRing(t.s.ring(st.Ring), Failure{Code: o.Code, Service: st.Target.Service, Words: o.Words, Hint: o.Hint})
		return
	}
	if o.Result == Refused {
		t.fail(st, Failure{Code: o.Code, Words: o.Words, Hint: o.Hint})
	}
}

// published acts on the answer of a push. OK is seen on the branch by the
// survey that comes with it.
func (t *turn) published(a Action, st *StepState, o Outcome) {
	switch {
	case o.Result == OK:
		t.wasProposed(a, st, o.Proposal)
	case o.Result != Refused:
		return
	case o.Code == CodeNonceTaken:
		t.leave(st)
		t.emit(StepStarted{st.ref()})
	case len(o.Services) > 0 && !slices.Contains(o.Services, st.Target.Service):
		t.fail(st, Failure{Code: o.Code, Words: fmt.Sprintf("not published: it shares a commit with %s, which was refused", o.Services[0]), Hint: o.Hint})
	default:
		t.fail(st, Failure{Code: o.Code, Words: o.Words, Hint: o.Hint})
	}
}

// hinted asks for the hint again when it did not arrive: Fleet polls by itself,
// but perhaps only once an hour. Nothing depends on it.
func (t *turn) hinted(st *StepState, item Item, o Outcome) {
	if o.Result == Refused || o.Result == OK || !st.TakenUpAt.IsZero() {
		return
	}
	t.request(Action{Kind: ActHint, Ring: st.Ring, Undo: st.Undo, Items: []Item{item}, Commit: st.Survey.Tip, Reason: "again: " + o.Words, After: t.now.Add(5 * time.Second)})
}

func (t *turn) nudged(st *StepState, _ Item, o Outcome) {
	if o.Result == Refused {
		t.fail(st, Failure{Code: CodeGitJob, Words: st.jobWords() + "; it could not be started again: " + o.Words, Hint: o.Hint})
	}
}
