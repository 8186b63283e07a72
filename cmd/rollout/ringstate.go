package main

import (
	"fmt"
	"strings"

	"rollout/orchestrator"
	"rollout/rings"
)

// ringReason is why the ring stands where it stands.
func ringReason(s *orchestrator.State, r *orchestrator.RingState, waits []orchestrator.Wait) string {
	if r.Reason != "" || r.Phase.Ended() {
		return r.Reason
	}
	var words []string
	for _, w := range waits {
		if w.Ring == r.Name && w.Service == "" {
			words = append(words, trimRing(r.Name, w.Words))
		}
	}
	if len(words) > 0 {
		return strings.Join(words, "; ")
	}
	if r.Phase == orchestrator.RingRunning {
		return liveWords(s, r)
	}
	if before := ringBefore(s, r); before != "" {
		return fmt.Sprintf("waiting for %s", before)
	}
	return ""
}

// liveWords are how many of the ring's services are live.
func liveWords(s *orchestrator.State, r *orchestrator.RingState) string {
	done, all := 0, 0
	for _, st := range s.Steps {
		if st.Ring != r.Name || st.Undo || st.Observed {
			continue
		}
		all++
		if st.Phase == orchestrator.StepDone {
			done++
		}
	}
	return fmt.Sprintf("%d of %d services live", done, all)
}

// ringBefore is the ring that must end before this one begins; "" when none.
func ringBefore(s *orchestrator.State, r *orchestrator.RingState) rings.RingName {
	var before rings.RingName
	for _, other := range s.Rings {
		if other == r {
			break
		}
		if !other.Phase.Ended() {
			before = other.Name
		}
	}
	return before
}

// trimRing takes the ring's name away from words that begin with it.
func trimRing(ring rings.RingName, words string) string {
	return strings.TrimPrefix(strings.TrimPrefix(words, string(ring)+": "), string(ring)+" ")
}
