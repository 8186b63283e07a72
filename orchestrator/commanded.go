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
