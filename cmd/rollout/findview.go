package main

import (
	"fmt"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// foundView is a version or a commit on a ring, as it was seen from here: what
// `find -o json` lists.
type foundView struct {
	App     rings.AppName     `json:"app"`
	Service rings.ServiceName `json:"service"`
	Ring    rings.RingName    `json:"ring"`
	Version rings.Version     `json:"version"`
	Commit  string            `json:"commit"` // that put it there; "" when that is not recorded
	Source  string            `json:"source"` // record
	Current bool              `json:"current"`
	// Since is since when the ring's branch has said it, Until and ReplacedBy
	// until when and because of which rollout; null and "" while it does, or
	// when it is not recorded.
	Since      *time.Time         `json:"since"`
	Until      *time.Time         `json:"until"`
	Rollout    orchestrator.ID    `json:"rollout"`
	ReplacedBy orchestrator.ID    `json:"replacedBy"`
	State      string             `json:"state"`    // while it is current: as of a placeView
	Clusters   []placeClusterView `json:"clusters"` // while it is current; else those of then
	Next       *nextRingView      `json:"next"`     // null when it is not current, or is on all rings after it
}

// nextRingView is the next ring that does not have it.
type nextRingView struct {
	Ring     rings.RingName `json:"ring"`
	InTheWay []string       `json:"inTheWay"` // as far as that can be told from here; empty when nothing is
	Command  string         `json:"command"`  // that takes it there when nothing is in the way
}

func (n *nextRingView) words() string {
	switch {
	case n == nil:
		return ""
	case len(n.InTheWay) == 0:
		return fmt.Sprintf("%s: nothing in the way: %s", n.Ring, n.Command)
	}
	return fmt.Sprintf("%s: %s", n.Ring, joinWords(n.InTheWay))
}

// clustersWords are how many of the clusters run it.
func (v foundView) clustersWords() string {
	if len(v.Clusters) == 0 {
		return "unknown"
	}
	right := 0
	for _, c := range v.Clusters {
		if !c.differs(v.Version) {
			right++
		}
	}
	return fmt.Sprintf("%d/%d", right, len(v.Clusters))
}

var foundHeader = []string{"APP", "SERVICE", "RING", "VERSION", "NOW", "CLUSTERS", "SINCE", "ROLLOUT", "UNTIL", "REPLACED BY", "NEXT RING"}

func (p *program) foundRow(v foundView) []string {
	now := "no"
	if v.Current {
		now = v.State
	}
	return []string{string(v.App), string(v.Service), string(v.Ring), string(v.Version), now, v.clustersWords(), p.whenPtr(v.Since), string(v.Rollout),
		p.whenPtr(v.Until), string(v.ReplacedBy), v.Next.words()}
}

var foundCSVHeader = []string{"app", "service", "ring", "version", "commit", "current", "cluster", "observed", "reason", "since", "rollout", "until", "replacedBy", "nextRing", "inTheWay", "source"}

func (v foundView) csv() [][]string {
	clusters, next, way := v.Clusters, "", ""
	if len(clusters) == 0 {
		clusters = []placeClusterView{{}}
	}
	if v.Next != nil {
		next, way = string(v.Next.Ring), joinWords(v.Next.InTheWay)
	}
	var out [][]string
	for _, c := range clusters {
		out = append(out, []string{string(v.App), string(v.Service), string(v.Ring), string(v.Version), v.Commit, fmt.Sprint(v.Current), string(c.Name), string(c.Observed), c.Reason,
			stampOf(v.Since), string(v.Rollout), stampOf(v.Until), string(v.ReplacedBy), next, way, v.Source})
	}
	return out
}
