package orchestrator

import (
	"fmt"
	"strings"
	"time"

	"rollout/rings"
)

// Wait is one thing that a live rollout waits for.
type Wait struct {
	Ring    rings.RingName    `json:"ring,omitempty"`
	Service rings.ServiceName `json:"service,omitempty"`
	// Gate names what holds: "cancel", "pause", "halt", "failure", "claim",
	// "lock", "window", "upstream", "approval", "step", "merge", "soak", "check", "tag".
	Gate  string    `json:"gate"`
	Words string    `json:"words"` // with the numbers
	Since time.Time `json:"since,omitzero"`
	// Until is when it ends by itself, one way or the other; zero with
	// Unbounded when it never does, zero without when it is not known yet.
	Until     time.Time `json:"until,omitzero"`
	Unbounded bool      `json:"unbounded,omitempty"`
	Help      string    `json:"help,omitempty"` // what would let it go on
}

// line is the wait as a part of a line.
func (w Wait) line(now time.Time) string {
	words := w.Words
	if w.Service != "" {
		words = string(w.Service) + ": " + words
	}
	if w.Gate != "step" && w.Gate != GateMerge && !w.Until.IsZero() {
		words += ", " + Duration(w.Until.Sub(now)) + " left"
	}
	return words
}

// Why returns all that a live rollout waits for, what holds the most first. It
// is never empty before the rollout has ended, and empty after.
func (s *State) Why(now time.Time) []Wait {
	if s.Phase.Ended() {
		return nil
	}
	out := s.holds()
	if s.Failure != nil && s.Rollback == nil {
		out = append(out, Wait{Gate: "failure", Words: "nothing new starts: " + s.failureWords(), Since: s.At, Help: s.Failure.Hint})
	}
	if s.Rollback != nil {
		out = append(out, s.rollbackWait())
	}
	if r := s.ring(s.Current); r != nil {
		out = append(out, s.barWaits(r, now)...)
		out = append(out, s.ringWaits(r, now)...)
	}
	if r := s.next(); r != nil && s.Rollback == nil && s.Failure == nil && s.idle() {
		out = append(out, s.barWaits(r, now)...)
	}
	if r := s.next(); r != nil && s.Rollback == nil && s.idle() {
		out = append(out, s.gateWaits(r)...)
	}
	out = append(out, s.tagWaits()...)
	if len(out) == 0 {
		out = append(out, Wait{Gate: "step", Words: "deciding what comes next", Since: s.At, Unbounded: true})
	}
	return out
}

// idle reports whether no ring is under way.
func (s *State) idle() bool {
	r := s.ring(s.Current)
	return r == nil || r.Phase.Ended()
}

// holds are the words of people, and of what stops on their behalf.
func (s *State) holds() []Wait {
	var out []Wait
	if s.Cancel != nil {
		out = append(out, Wait{Gate: "cancel", Words: s.cancelling(), Since: s.Cancel.At})
	}
	if h := s.Halt; h != nil {
		scope := "rollout unhalt"
		if h.App != "" {
			scope += " " + string(h.App)
		}
		out = append(out, Wait{Gate: "halt", Words: fmt.Sprintf("the line is stopped by %s: %s", h.By, h.Reason), Since: h.At, Until: h.Until, Unbounded: h.Until.IsZero(), Help: scope})
	}
	if p := s.Pause; p != nil {
		words := "paused by " + p.By
		if p.Reason != "" {
			words += ": " + p.Reason
		}
		out = append(out, Wait{Gate: "pause", Words: words, Since: p.At, Unbounded: true, Help: fmt.Sprintf("rollout resume %s", s.ID)})
	}
	return out
}

func (s *State) rollbackWait() Wait {
	done, all := 0, 0
	for _, st := range s.Steps {
		if st.Undo {
			all++
		}
		if st.Undo && st.Phase.Ended() {
			done++
		}
	}
	return Wait{Gate: "failure", Since: s.Rollback.At, Words: fmt.Sprintf("rolling back, %d of %d services done: %s", done, all, s.Rollback.Reason)}
}

// ringWaits are those of the ring under way.
func (s *State) ringWaits(r *RingState, now time.Time) []Wait {
	var out []Wait
	undo := s.Rollback != nil
	if !r.Claimed && (undo || !r.Phase.Ended()) {
		out = append(out, Wait{Ring: r.Name, Gate: "claim", Words: "waiting for the claim on " + string(r.Name), Since: later(r.StartedAt, s.DrivenAt)})
	}
	for _, st := range s.Steps {
		if st.Ring == r.Name && st.Undo == undo && !st.Phase.Ended() && st.Phase != StepWaiting {
			out = append(out, s.stepWait(st, now))
		}
	}
	if r.Phase == RingSoaking && !undo {
		out = append(out, s.soakWaits(r, now)...)
	}
	return out
}

func (s *State) stepWait(st *StepState, now time.Time) Wait {
	if st.Phase == StepProposed {
		return st.mergeWait(now)
	}
	w := Wait{Ring: st.Ring, Service: st.Target.Service, Gate: "step", Words: st.Explain(now), Since: st.StartedAt, Until: st.deadline(), Help: st.Hint}
	if st.Phase != StepConverging {
		w.Until = later(st.StartedAt, s.DrivenAt).Add(st.uptake())
	}
	if st.Observed {
		w.Words += "; it is not in the plan, and its dependents wait for it"
	}
	w.Unbounded = w.Until.IsZero()
	return w
}

// soakWaits are what a ring that is live still waits for.
func (s *State) soakWaits(r *RingState, now time.Time) []Wait {
	if len(s.soaking(r)) == 0 {
		return []Wait{s.approvalWait(r, GateAfter)}
	}
	var out []Wait
	since := s.healthySince(r)
	until := since.Add(r.Policy.Soak)
	switch {
	case since.IsZero():
		out = append(out, Wait{Ring: r.Name, Gate: "soak", Words: fmt.Sprintf("%s is not healthy: %s", r.Name, s.soakWords(r, now)), Since: r.ConvergedAt, Until: s.soakBy(r), Unbounded: s.soakBy(r).IsZero()})
	case now.Before(until):
		out = append(out, Wait{Ring: r.Name, Gate: "soak", Words: fmt.Sprintf("%s soaks: healthy for %s of %s", r.Name, Duration(now.Sub(since)), Duration(r.Policy.Soak)), Since: since, Until: until,
			Help: fmt.Sprintf("rollout skip %s --ring %s --reason ... ends it early", s.ID, r.Name)})
	case r.Policy.Soak > 0 && s.unheard(r, until) > 0:
		out = append(out, Wait{Ring: r.Name, Gate: "soak", Words: fmt.Sprintf("%s was healthy for %s; waiting for a sign of the agents of %d clusters after that", r.Name, Duration(r.Policy.Soak), s.unheard(r, until)),
			Since: until, Until: later(until, s.DrivenAt).Add(heardWithin)})
	}
	for _, c := range r.Policy.Checks {
		if words := r.checkWords(c); words != "" {
			out = append(out, Wait{Ring: r.Name, Gate: "check", Words: words, Since: r.ConvergedAt, Until: s.soakBy(r), Unbounded: s.soakBy(r).IsZero()})
		}
	}
	if len(out) == 0 && r.asksFor(GateAfter) {
		out = append(out, s.approvalWait(r, GateAfter))
	}
	return out
}

// checkWords says what a check still owes; "" when nothing.
func (r *RingState) checkWords(c rings.Check) string {
	cs := r.Checks[c.Name]
	if cs == nil {
		return fmt.Sprintf("check %q has not answered yet", c.Name)
	}
	if cs.Last == OK && cs.Good >= max(c.Samples, 1) {
		return ""
	}
	return fmt.Sprintf("check %q: %d of %d good answers, %d bad (%d allowed): %s", c.Name, cs.Good, max(c.Samples, 1), cs.Bad, c.FailureLimit, cs.Words)
}

// gateWaits are those of a ring that is to begin.
func (s *State) gateWaits(r *RingState) []Wait {
	if s.probes(r) {
		return []Wait{{Ring: r.Name, Gate: "upstream", Words: fmt.Sprintf("reading whether %s has clusters%s", r.Name, r.trouble()), Since: s.At}}
	}
	if up := s.upstream(r); up != "" && !r.Verified {
		words := fmt.Sprintf("%s: reading whether %s still says what was verified there%s", r.Name, up, r.trouble())
		return []Wait{{Ring: r.Name, Gate: "upstream", Words: words, Since: s.At}}
	}
	if r.asksFor(GateBefore) && r.Before == nil {
		return []Wait{s.approvalWait(r, GateBefore)}
	}
	return nil
}

// trouble is what went wrong with reading, for people.
func (r *RingState) trouble() string {
	if r.Words == "" {
		return ""
	}
	return fmt.Sprintf(" (try %d: %s)", r.Tries+1, r.Words)
}

func (s *State) approvalWait(r *RingState, g Gate) Wait {
	since := s.StartedAt
	for _, other := range s.Rings {
		since = later(since, later(other.FinishedAt, other.SoakedAt))
	}
	verb := map[Gate]string{GateBefore: "begins", GateAfter: "counts as done"}[g]
	return Wait{Ring: r.Name, Gate: "approval", Words: fmt.Sprintf("waiting for a person's approval before %s %s", r.Name, verb), Since: since, Unbounded: true,
		Help: strings.TrimSpace(fmt.Sprintf("rollout approve %s", s.ID))}
}
