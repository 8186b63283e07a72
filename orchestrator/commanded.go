package orchestrator

import (
	"fmt"

	"rollout/rings"
)

// command records what a person asked for, and does what can be done at once.
// One that fits no more changes nothing, and is answered with a warning.
func (t *turn) command(c Command) {
	t.emitBy(c.By, Commanded{c})
	word := Word{By: c.By, Reason: c.Reason, At: c.At}
	switch c.Kind {
	case CommandPause:
		if t.s.Pause == nil {
			t.emit(Held{word})
		}
	case CommandResume:
		if t.s.Pause == nil {
			t.emit(Warned{fmt.Sprintf("resume by %s changes nothing: the rollout is not paused", c.By)})
			return
		}
		t.emit(Resumed{})
		t.judgeAll()
	case CommandApprove:
		t.approve(c, word)
	case CommandSkip:
		t.judgeAll()
	}
}

// approve opens the gate, if what was approved is what waits.
func (t *turn) approve(c Command, word Word) {
	r := t.s.ring(c.Ring)
	switch {
	case r == nil || r.Phase.Ended() || c.Gate == GateBefore && r.Phase != RingWaiting || c.Gate != GateBefore && c.Gate != GateAfter:
		t.emit(Warned{fmt.Sprintf("approval by %s is void: no gate %q of ring %q waits", c.By, c.Gate, c.Ring)})
	case c.Content != t.s.Content(c.Ring):
		t.emit(Warned{fmt.Sprintf("approval by %s is void: what is to be rolled out from %s on has changed since", c.By, c.Ring)})
	default:
		t.emit(Approved{Ring: c.Ring, Gate: c.Gate, Approval: Approval{Word: word, Content: c.Content}})
	}
}

// cancel ends the rollout as soon as no push of this driver is under way, and it
// was looked whether what is proposed was merged: the answer is waited for, so
// that the record says what is on the branch. A push that an earlier driver left
// behind is not repeated, and one that waits for its time is not begun.
func (t *turn) cancel() {
	for _, a := range t.s.Pending {
		if a.Kind == ActPublish && !a.After.After(t.now) {
			return
		}
	}
	if !t.withdrawAll() {
		t.askSurveys()
		return
	}
	for _, st := range t.s.Steps {
		t.arrive(st)
	}
	t.end(Cancelled, nil)
}

// skip remembers what a person wants to be left out of what remains.
func (s *State) skip(c Command) {
	word := Word{By: c.By, Reason: c.Reason, At: c.At}
	switch {
	case c.Cluster != "":
		if s.Skips == nil {
			s.Skips = map[rings.ClusterName]Word{}
		}
		s.Skips[c.Cluster] = word
	case c.Service != "":
		for _, st := range s.Steps {
			if st.Target.Service == c.Service && !st.Undo && (c.Ring == "" || st.Ring == c.Ring) && (!st.Phase.Ended() || st.Phase == StepFailed) {
				st.Skip = &word
			}
		}
	case c.Ring != "":
		if r := s.ring(c.Ring); r != nil && (!r.Phase.Ended() || r.Phase == RingFailed) {
			r.Skip = &word
		}
	}
}

// leftOut says who left something out, and why.
func (w Word) leftOut() string {
	return fmt.Sprintf("left out by %s: %s", w.By, w.Reason)
}
