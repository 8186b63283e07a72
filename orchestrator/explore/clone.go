package explore

import (
	"slices"

	"rollout/orchestrator"
	"rollout/rings"
)

// clone is a copy of the state that Step may own. What Step only ever replaces
// (surveys, deployments, failures, words) is shared.
func clone(s *orchestrator.State) *orchestrator.State {
	c := *s
	ringStates := make([]orchestrator.RingState, len(s.Rings))
	c.Rings = make([]*orchestrator.RingState, len(s.Rings))
	for i, r := range s.Rings {
		ringStates[i] = *r
		c.Rings[i] = &ringStates[i]
	}
	steps := make([]orchestrator.StepState, len(s.Steps))
	c.Steps = make([]*orchestrator.StepState, len(s.Steps), len(s.Steps)+4)
	for i, st := range s.Steps {
		cloneStep(&steps[i], st)
		c.Steps[i] = &steps[i]
	}
	if s.Rollback != nil {
		r := *s.Rollback
		c.Rollback = &r
	}
	if s.Pending != nil {
		c.Pending = make(map[string]orchestrator.Action, len(s.Pending)+1)
		for id, a := range s.Pending {
			c.Pending[id] = a
		}
	}
	c.Warnings = slices.Clip(s.Warnings)
	return &c
}

func cloneStep(c, st *orchestrator.StepState) {
	*c = *st
	c.Strange, c.Suspicions, c.Trials = slices.Clip(st.Strange), slices.Clip(st.Suspicions), slices.Clip(st.Trials)
	if st.Clusters != nil {
		all := make([]orchestrator.ClusterState, 0, len(st.Clusters))
		c.Clusters = make(map[rings.ClusterName]*orchestrator.ClusterState, len(st.Clusters))
		for name, k := range st.Clusters {
			all = append(all, *k)
			c.Clusters[name] = &all[len(all)-1]
		}
	}
	if st.Counts != nil {
		c.Counts = make(map[orchestrator.ClusterPhase]int, len(st.Counts))
		for phase, n := range st.Counts {
			c.Counts[phase] = n
		}
	}
}
