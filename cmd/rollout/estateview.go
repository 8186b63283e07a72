package main

import (
	"time"

	"rollout/rings"
)

// leavingView is a cluster that something is taken off. phase is deployed,
// taken-away or uninstalled.
type leavingView struct {
	Name        rings.ClusterName `json:"name"`
	Phase       string            `json:"phase"`
	TakenAwayAt *time.Time        `json:"takenAwayAt"` // when it was seen that Fleet had
	HeardAt     *time.Time        `json:"heardAt"`     // the agent's last check-in, by its own clock
}

// undeployView is a service that is taken off a ring. confirm is what --confirm
// takes; "" when nothing is to be done any more.
type undeployView struct {
	App           rings.AppName     `json:"app"`
	Service       rings.ServiceName `json:"service"`
	Ring          rings.RingName    `json:"ring"`
	Version       rings.Version     `json:"version"` // what the ring runs; "" when nothing, or several
	KeepResources bool              `json:"keepResources"`
	Diff          string            `json:"diff"`
	Confirm       string            `json:"confirm"`
	Commit        string            `json:"commit"`             // that says so; "" before it was pushed
	Done          bool              `json:"done"`               // all clusters have it uninstalled
	Proposal      *proposalView     `json:"proposal,omitempty"` // the branch that is to be merged first
	Clusters      []leavingView     `json:"clusters"`
}

// remainsView is what stays when something is forgotten here; both are null when
// it could not be seen.
type remainsView struct {
	Stays  []staysView  `json:"stays"`
	Labels []labelsView `json:"labels"`
}

type forgottenAppView struct {
	appView
	remainsView
}

type forgottenClusterView struct {
	clusterView
	remainsView
}

// takenOffView is a cluster whose labels of an application are taken off.
type takenOffView struct {
	moveView
	Confirm string `json:"confirm"` // "" when it is done
}

type forgottenServiceView struct {
	serviceView
	remainsView
}

// staysView is a service that stays deployed.
type staysView struct {
	Service  rings.ServiceName   `json:"service"`
	Ring     rings.RingName      `json:"ring"` // "" for clusters on no ring
	Clusters []rings.ClusterName `json:"clusters"`
}

// labelsView is a cluster that stays where its labels put it.
type labelsView struct {
	Cluster rings.ClusterName `json:"cluster"`
	Ring    rings.RingName    `json:"ring"`
}

// noteView is something that happened to an application beside its rollouts.
type noteView struct {
	App     rings.AppName     `json:"app"`
	Number  uint64            `json:"number"`
	At      *time.Time        `json:"at"`
	Kind    rings.NoteKind    `json:"kind"`
	By      string            `json:"by"` // "" for what nobody here did
	Reason  string            `json:"reason"`
	Link    string            `json:"link"`
	Service rings.ServiceName `json:"service"`
	Ring    rings.RingName    `json:"ring"`
	Version rings.Version     `json:"version"`
	Commit  string            `json:"commit"`
	Cluster rings.ClusterName `json:"cluster"`
	From    rings.RingName    `json:"from"`
	To      rings.RingName    `json:"to"`
	Moment  *time.Time        `json:"moment"`  // of a schedule; null for none
	Release int               `json:"release"` // 0 for none
	Over    []string          `json:"over"`    // locks and closed windows that were gone over
}

func viewNote(n rings.Note) noteView {
	return noteView{App: n.App, Number: n.Number, At: instant(n.At), Kind: n.Kind, By: n.By, Reason: n.Reason, Link: n.Link, Service: n.Service,
		Ring: n.Ring, Version: n.Version, Commit: n.Commit, Cluster: n.Cluster, From: n.From, To: n.To, Moment: instant(n.Moment), Release: n.Release, Over: append([]string{}, n.Over...)}
}
