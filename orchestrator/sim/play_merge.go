package sim

import (
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// proposes reports whether a branch takes no direct pushes.
func (s *stage) proposes() bool {
	return slices.ContainsFunc(s.App.Services, func(v rings.Service) bool { return v.Publish == rings.PublishBranch })
}

// mergeIn is how long a step may wait for a merge: it may be proposed anew while
// there are faults, and once more after them.
func (s *stage) mergeIn(p rings.Policy) time.Duration {
	if !s.proposes() {
		return 0
	}
	return 2 * p.Merge
}

// mergeLater has a person look at what is proposed again and again, whether
// anybody drives the rollout or not.
func (s *stage) mergeLater() {
	if !s.proposes() {
		return
	}
	id := s.id
	s.world.After(s.Patience/2+s.upTo(s.Patience), func() {
		if s.id != id || !s.live {
			return
		}
		if s.saved != nil {
			for _, st := range s.saved.Unmerged() {
				s.merge(st)
			}
		}
		s.mergeLater()
	})
}

// merge merges what a step proposes, in one of the ways; some branches are deleted,
// and some are left until their deadline.
func (s *stage) merge(st *orchestrator.StepState) {
	name := st.Proposal.Branch
	if s.ignored == nil {
		s.ignored = map[string]bool{}
	}
	if _, known := s.ignored[name]; !known {
		s.ignored[name] = s.rand.IntN(8) == 0
	}
	switch {
	case s.ignored[name]:
	case s.Fickle && !s.calm && s.rand.IntN(10) == 0:
		s.world.Close(st.Target.Repo, name)
	default:
		s.world.Merge(st.Target.Repo, name, Mergings[s.rand.IntN(len(Mergings))])
	}
}

// branchTrouble is what a person does with a branch of ours that may not be wanted
// any more.
func (s *stage) branchTrouble(t Trouble) bool {
	if t.Kind != PersonMerges && t.Kind != PersonDeletes {
		return false
	}
	repo := s.App.Services[t.N%len(s.App.Services)].Repo
	open := s.world.Proposals(repo)
	if len(open) == 0 {
		return true
	}
	if name := open[t.N/7%len(open)]; t.Kind == PersonDeletes {
		s.world.Close(repo, name)
	} else {
		s.world.Merge(repo, name, Mergings[t.N/11%len(Mergings)])
	}
	return true
}
