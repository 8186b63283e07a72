package main

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// whereView is what an application runs: what `where -o json` prints.
type whereView struct {
	App rings.AppName `json:"app"`
	At  *time.Time    `json:"at"`
	// Source is where it was looked: clusters, which are asked through Fleet,
	// or record, which is what was seen from here.
	Source string           `json:"source"`
	Rings  []rings.RingName `json:"rings"`
	Places []placeView      `json:"places"` // services in their order, and of each the rings
}

// What a whereView can come from.
const (
	sourceClusters = "clusters"
	sourceRecord   = "record"
)

// placeView is a service on a ring.
type placeView struct {
	Service rings.ServiceName `json:"service"`
	Ring    rings.RingName    `json:"ring"`
	// Desired is what the branch gives the ring, as read or as recorded; ""
	// when it gives nothing, several versions, or is not known: Reason says
	// which.
	Desired  rings.Version `json:"desired"`
	Settings rings.Values  `json:"settings,omitempty"` // that the branch gives the ring, or is recorded to
	Observed rings.Version `json:"observed"`           // of all its clusters; "" when they differ or one is not known
	State    string        `json:"state"`
	Reason   string        `json:"reason"`
	Drift    []string      `json:"drift"` // what is not as it was left here, in words
	// Since is since when the branch has said Desired, and Rollout what put it
	// there; null and "" when that is not recorded.
	Since    *time.Time         `json:"since"`
	Rollout  orchestrator.ID    `json:"rollout"`
	Clusters []placeClusterView `json:"clusters"` // that are to have it, or have it
}

// States of a placeView.
const (
	placeSame    = "same"    // every cluster runs what is desired
	placeDiffers = "differs" // one runs something else, or is not well
	placeUnknown = "unknown" // of one it is not known what it runs
	placeAbsent  = "absent"  // no cluster of the ring is to have it
)

// placeClusterView is a cluster that a service is deployed to.
type placeClusterView struct {
	Name     rings.ClusterName `json:"name"`
	Observed rings.Version     `json:"observed"` // "" when it is not known
	Reason   string            `json:"reason"`   // why it is not known, or what is wrong there; "" when all is well
}

// differs reports whether a person should look at the cluster.
func (c placeClusterView) differs(desired rings.Version) bool {
	return c.Observed != desired || c.Reason != ""
}

// judge draws the conclusion from the clusters. What is not known is never
// the same.
func (v *placeView) judge() {
	v.State = placeSame
	if len(v.Clusters) == 0 {
		if v.State = placeAbsent; v.Reason != "" || v.Desired != "" {
			v.State = placeUnknown
		}
		return
	}
	v.Observed = v.Clusters[0].Observed
	for _, c := range v.Clusters {
		if c.Observed != v.Observed {
			v.Observed = ""
		}
		switch {
		case c.Observed == "" || v.Desired == "":
			v.State = placeUnknown
		case c.differs(v.Desired) && v.State == placeSame:
			v.State = placeDiffers
		}
	}
}

// only leaves the places out that the cluster has nothing to do with, and of
// the others all other clusters.
func (v *whereView) only(cluster rings.ClusterName) {
	v.Places = slices.DeleteFunc(v.Places, func(p placeView) bool {
		return !slices.ContainsFunc(p.Clusters, func(c placeClusterView) bool { return c.Name == cluster })
	})
	v.Rings = slices.DeleteFunc(slices.Clone(v.Rings), func(r rings.RingName) bool {
		return !slices.ContainsFunc(v.Places, func(p placeView) bool { return p.Ring == r })
	})
	for i := range v.Places {
		p := &v.Places[i]
		p.Clusters = slices.DeleteFunc(p.Clusters, func(c placeClusterView) bool { return c.Name != cluster })
		p.judge()
	}
}

// cell is the place in a table.
func (v placeView) cell(s style) string {
	mark := ""
	if len(v.Drift) > 0 {
		mark = s.bad(" !")
	}
	desired := cmpHint(string(v.Desired), "?")
	right := 0
	for _, c := range v.Clusters {
		if !c.differs(v.Desired) {
			right++
		}
	}
	switch {
	case v.State == placeAbsent:
		return s.dim("-")
	case v.State == placeSame:
		return desired + mark
	case len(v.Clusters) == 0:
		return desired + s.warn(" unknown") + mark
	case v.State == placeUnknown:
		return fmt.Sprintf("%s %s%s", desired, s.warn(fmt.Sprintf("%d/%d, unknown", right, len(v.Clusters))), mark)
	}
	return fmt.Sprintf("%s %s%s", desired, s.warn(fmt.Sprintf("%d/%d", right, len(v.Clusters))), mark)
}

// remarks are what a person should know of the place: drift, why it is not
// known, and the clusters that differ.
func (v placeView) remarks(s style) []string {
	var out []string
	say := func(words string) { out = append(out, fmt.Sprintf("%s %s: %s", v.Ring, v.Service, words)) }
	for _, d := range v.Drift {
		say(s.bad("drift: ") + d)
	}
	if len(v.Settings) > 0 {
		say("settings " + v.Settings.String())
	}
	if v.Reason != "" {
		say(v.Reason)
	}
	for _, group := range v.differing() {
		say(group)
	}
	return out
}

// differing are the clusters that differ, those alike together.
func (v placeView) differing() []string {
	var alike []untouchedView
	for _, c := range v.Clusters {
		if c.differs(v.Desired) {
			alike = keep(alike, untouchedView{Why: c.words()}, c.Name)
		}
	}
	var out []string
	for _, u := range alike {
		out = append(out, shortNames(u.Clusters)+": "+u.Why)
	}
	return out
}

func (c placeClusterView) words() string {
	switch {
	case c.Observed == "":
		return "unknown: " + cmpHint(c.Reason, "nothing was ever seen of it")
	case c.Reason == "":
		return "runs " + string(c.Observed)
	}
	return fmt.Sprintf("runs %s, %s", c.Observed, c.Reason)
}

// rows are the places for a pipe.
func (v whereView) rows(p *program) [][]string {
	var out [][]string
	for _, x := range v.Places {
		out = append(out, []string{string(x.Service), string(x.Ring), string(x.Desired), string(x.Observed), x.State, p.whenPtr(x.Since), string(x.Rollout), v.Source})
	}
	return out
}

// table is services by rings.
func (v whereView) table(s style) (header []string, rows [][]string) {
	header = []string{"SERVICE"}
	for _, r := range v.Rings {
		header = append(header, string(r))
	}
	for _, x := range v.Places {
		if len(rows) == 0 || rows[len(rows)-1][0] != string(x.Service) {
			rows = append(rows, append([]string{string(x.Service)}, make([]string, len(v.Rings))...))
		}
		rows[len(rows)-1][1+slices.Index(v.Rings, x.Ring)] = x.cell(s)
	}
	return header, rows
}

// whereHeader names the columns of csv.
var whereHeader = []string{"app", "service", "ring", "cluster", "desired", "observed", "state", "since", "rollout", "reason", "drift", "at", "source", "settings"}

// csv is a row for each cluster, and one for a place without any.
func (v whereView) csv() [][]string {
	var out [][]string
	for _, x := range v.Places {
		clusters := x.Clusters
		if len(clusters) == 0 {
			clusters = []placeClusterView{{Reason: x.Reason}}
		}
		for _, c := range clusters {
			state := x.State
			if len(x.Clusters) > 0 {
				one := placeView{Desired: x.Desired, Clusters: []placeClusterView{c}}
				one.judge()
				state = one.State
			}
			out = append(out, []string{string(v.App), string(x.Service), string(x.Ring), string(c.Name), string(x.Desired), string(c.Observed), state,
				stampOf(x.Since), string(x.Rollout), c.Reason, joinWords(x.Drift), stampOf(v.At), v.Source, x.Settings.String()})
		}
	}
	return out
}
