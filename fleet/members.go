package fleet

import (
	"slices"

	"rollout/orchestrator"
	"rollout/rings"
)

// setMember takes a Cluster that carries the ring's labels. A sign of its agent
// is not taken back: Fleet's cluster controller writes a whole status that it had
// read before (updateStatus in its cluster_controller.go), and loses signs so.
func (t *tracker) setMember(m member) {
	old, known := t.members[m.name]
	m.lastSeen = max(m.lastSeen, old.lastSeen)
	if known && old == m {
		return
	}
	t.members[m.name] = m
	if !known || old.left {
		t.dirty.members = true
		t.touchMember(m.name, true)
	} else if m.lastSeen > old.lastSeen {
		t.touchMember(m.name, false)
	}
}

// deleteMember takes a Cluster that does not carry them any more, or is gone.
// Its deployments stay of interest.
func (t *tracker) deleteMember(name text) {
	if m, known := t.members[name]; known && !m.left {
		m.left = true
		t.members[name] = m
		t.dirty.members = true
	}
}

func (t *tracker) touchMember(name text, more bool) {
	for i, s := range t.services {
		if _, there := t.deployments[key{s.bundle, name}]; there {
			t.dirty.deployment(i, name, more)
		}
	}
}

func (t *tracker) memberFact() *orchestrator.Members {
	out := &orchestrator.Members{Clusters: []rings.ClusterName{}}
	for name, m := range t.members {
		if !m.left {
			out.Clusters = append(out.Clusters, rings.ClusterName(name.String()))
		}
	}
	slices.Sort(out.Clusters)
	return out
}
