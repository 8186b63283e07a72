package orchestrator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explain says in one line why the rollout stands where it stands, with the
// numbers, as of now.
func (s *State) Explain(now time.Time) string {
	switch s.Phase {
	case Succeeded:
		return s.successWords()
	case Failed:
		return s.failureWords()
	case RolledBack:
		return "rolled back: " + s.failureWords()
	case Cancelled:
		return s.cancelWords()
	}
	if s.Cancel != nil {
		return s.cancelling()
	}
	var parts []string
	for _, w := range s.Why(now) {
		parts = append(parts, w.line(now))
	}
	return strings.Join(parts, "; ")
}

func (s *State) successWords() string {
	changed, all := 0, 0
	for _, st := range s.Steps {
		if st.Observed {
			continue
		}
		all++
		if st.Phase == StepDone && st.Attempt.Ours {
			changed++
		}
	}
	if changed == 0 {
		return "nothing to change"
	}
	if len(s.Rings) > 1 {
		return fmt.Sprintf("%d of %d steps changed on %s", changed, all, joinNames(s.RingNames()))
	}
	return fmt.Sprintf("%d of %d services changed on %s", changed, all, s.Rings[0].Name)
}

func (s *State) failureWords() string {
	if s.Failure == nil {
		return ""
	}
	if s.Failure.Service == "" {
		return s.Failure.Words
	}
	return string(s.Failure.Service) + ": " + s.Failure.Words
}

// cancelling is what a cancelled rollout still waits for.
func (s *State) cancelling() string {
	if len(s.Unmerged()) > 0 {
		return "cancelled; looking whether what is proposed was merged before"
	}
	return "cancelled; waiting for the answer of a push that is under way"
}

func (s *State) cancelWords() string {
	if s.Cancel == nil {
		return "cancelled"
	}
	if s.Cancel.Reason == "" {
		return "cancelled by " + s.Cancel.By
	}
	return fmt.Sprintf("cancelled by %s: %s", s.Cancel.By, s.Cancel.Reason)
}

// Explain says in one line why the step stands where it stands, as of now.
func (st *StepState) Explain(now time.Time) string {
	switch st.Phase {
	case StepWaiting:
		return "waiting for " + joinNames(slices.Sorted(slices.Values(st.Needs)))
	case StepSurveying:
		return st.reading()
	case StepPublishing:
		return fmt.Sprintf("publishing %s%s", st.wants(), st.trouble())
	case StepProposed:
		return st.proposing(now)
	case StepConverging:
		return st.converging(now)
	}
	return st.Reason
}

func (st *StepState) reading() string {
	if st.Survey != nil {
		return "waiting for Fleet's present state"
	}
	return "reading " + st.Target.Repo + st.trouble()
}

func (st *StepState) trouble() string {
	if st.Words == "" {
		return ""
	}
	return fmt.Sprintf(" (try %d: %s)", st.Tries+st.Pushes+1, st.Words)
}

func (st *StepState) converging(now time.Time) string {
	left := "no deadline"
	if by := st.deadline(); !by.IsZero() {
		left = "deadline in " + Duration(by.Sub(now))
	}
	switch {
	case !st.Synced:
		return "waiting for Fleet's present state"
	case st.TakenUpAt.IsZero():
		return fmt.Sprintf("waiting for Fleet to take up commit %s%s, %s", short(st.Attempt.Commit), st.fleetWords(), left)
	case !st.ReadySince.IsZero():
		return "all clusters are ready, reading the branch once more" + st.trouble()
	}
	if st.expected() == 0 {
		return "waiting to know which clusters count" + st.trouble()
	}
	return fmt.Sprintf("waiting for %d of %d clusters: %s, %s", st.expected()-st.Counts[ClusterReady], st.expected(), st.worst(now), left)
}

// worst names the clusters that are not ready, at most three.
func (st *StepState) worst(now time.Time) string {
	var out []string
	for _, name := range st.everyCluster() {
		c := st.Clusters[name]
		if c == nil || !c.Expected || c.Phase == ClusterReady {
			continue
		}
		if len(out) == 3 {
			return strings.Join(append(out, "..."), "; ")
		}
		out = append(out, fmt.Sprintf("%s %s for %s: %s", name, c.Phase, Duration(now.Sub(c.Since)), c.Reason))
	}
	return strings.Join(out, "; ")
}

// Duration is how durations are shown to people: whole seconds, no zero parts.
func Duration(d time.Duration) string {
	s := max(d, 0).Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func joinNames[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}
