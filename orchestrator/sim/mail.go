package sim

import (
	"rollout/orchestrator"
	"rollout/rings"
)

// letters is what came in since the last turn. Facts of a kind are coalesced:
// the latest wins.
type letters struct {
	input orchestrator.Input
	slots map[slot]int // where in input.Facts the latest of its kind lies
}

// slot names what a fact is about: a later one with the same slot replaces it.
type slot struct {
	service rings.ServiceName
	kind    byte
	cluster rings.ClusterName
}

func slotOf(f orchestrator.Fact) slot {
	switch {
	case f.Deployment != nil:
		return slot{f.Service, 'd', f.Deployment.Cluster}
	case f.Bundle != nil:
		return slot{f.Service, 'b', ""}
	case f.GitRepo != nil:
		return slot{f.Service, 'g', ""}
	case f.Members != nil:
		return slot{f.Service, 'm', ""}
	}
	return slot{f.Service, 's', ""}
}

func (l *letters) facts(facts []orchestrator.Fact) {
	if l.slots == nil {
		l.slots = map[slot]int{}
	}
	for _, f := range facts {
		if i, ok := l.slots[slotOf(f)]; ok && !f.Synced {
			l.input.Facts[i] = f
			continue
		}
		l.slots[slotOf(f)] = len(l.input.Facts)
		l.input.Facts = append(l.input.Facts, f)
	}
}

// take empties the letters.
func (l *letters) take() orchestrator.Input {
	in := l.input
	*l = letters{}
	return in
}
