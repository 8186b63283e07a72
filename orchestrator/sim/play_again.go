package sim

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// again may begin a second rollout, which tries the first one again or takes it
// back; false when there is none.
func (s *stage) again() bool {
	if len(s.ends) != 1 || s.tried || s.days.begun || len(s.checker.broken) > 0 {
		return false
	}
	if s.tried = true; s.rand.IntN(2) == 0 {
		return false
	}
	s.settle()
	s.drivers = nil
	old := orchestrator.Fold(nil, rereadAll(s.journal.Events(s.id)))
	learn(s.App, old)
	r := orchestrator.Again{Of: old, Reason: "once more", Empty: s.empty(), Failed: s.rand.IntN(2) == 0}
	begin, kind := orchestrator.NewRollback, orchestrator.KindRollback
	if old.Phase != orchestrator.Succeeded && s.rand.IntN(2) == 0 {
		begin, kind = orchestrator.NewRetry, orchestrator.KindRetry
	}
	c, err := begin(s.App, r)
	if err != nil {
		s.story.Tell(s.world.Now(), "          . no %s: %v", kind, err)
		return false
	}
	s.Used = append(s.Used, string(kind))
	s.create("shop-2", c)
	return true
}

// empty are the rings without clusters.
func (s *stage) empty() []rings.RingName {
	var out []rings.RingName
	for _, ring := range s.App.Rings {
		if len(s.world.Members(s.App.RingLabels(ring.Name))) == 0 {
			out = append(out, ring.Name)
		}
	}
	return out
}

// learn takes down what a rollout left behind, as the store does.
func learn(a *rings.Application, s *orchestrator.State) {
	for _, st := range s.Steps {
		service, err := a.Service(st.Target.Service)
		if err != nil || st.Observed {
			continue
		}
		known := service.Known[st.Ring]
		switch at := st.Attempt; {
		case at.Number == 0:
			continue
		case st.Phase == orchestrator.StepDone || at.Commit != "":
			known = rings.Known{Version: at.Version, Settings: known.Settings.With(at.Settings), Commit: at.Commit, At: st.FinishedAt, DecidedAt: s.StartedAt}
		case at.Ours:
			known.Attempted, known.Tried, known.Verified, known.VerifiedAt = at.Version, at.Settings, "", time.Time{}
		}
		if s.Phase == orchestrator.Succeeded && st.Phase == orchestrator.StepDone {
			known.Verified, known.VerifiedAt = string(s.ID), s.FinishedAt
		}
		service.Known[st.Ring] = known
		service.LastNonce = max(service.LastNonce, st.Attempt.Nonce)
	}
}

// settle looks at what is left behind for a while after the end.
func (s *stage) settle() {
	for _, d := range slices.Clone(s.drivers) {
		d.Kill()
	}
	until := s.world.Now().Add(20 * time.Second)
	for {
		if next, ok := s.world.Next(); !ok || next.After(until) || !s.world.Step() {
			return
		}
		s.checker.Watch()
	}
}

// stuck is a rollout that has not ended in time.
func (s *stage) stuck() {
	words := "nobody drives it"
	s.live = false
	if d := s.driving(); d != nil {
		words = d.State().Explain(s.world.Wall())
	}
	s.checker.found("progress", fmt.Sprintf("the rollout has not ended %s after the faults have, and %d steps: %s",
		s.world.Now().Sub(s.until().Add(-s.bound())), s.steps, words))
}
