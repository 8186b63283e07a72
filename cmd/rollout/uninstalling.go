package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// uninstallGrace is how long after Fleet took a deployment away a sign of the
// cluster's agent says that it had the time to uninstall it: the sign may have
// been on its way, and Helm takes a moment.
const uninstallGrace = 10 * time.Second

// The phases of a cluster that something is taken off.
const (
	phaseDeployed    = "deployed"    // its BundleDeployment is there
	phaseTakenAway   = "taken-away"  // Fleet has deleted it; its agent was not heard from since
	phaseUninstalled = "uninstalled" // and its agent was heard from after that, some time later
)

// uninstalling follows deployments that go. Nothing in the manager says what an
// agent has uninstalled; what counts is that Fleet took the deployment away and
// that the agent was there afterwards. It is pure: it is told what is seen, and
// when.
type uninstalling struct {
	taken    bool // Fleet knows of the commit
	synced   bool // all deployments that there are have been told of
	clusters map[rings.ClusterName]*leaving
}

// leaving is one cluster.
type leaving struct {
	there bool      // a deployment was told of
	gone  time.Time // since when there is none; zero while there is, or it is not known
	heard time.Time // the agent's last sign, by its own clock
	after time.Time // and when it moved, later than the grace: it was there afterwards
}

func newUninstalling(clusters []rings.ClusterName) *uninstalling {
	u := &uninstalling{clusters: map[rings.ClusterName]*leaving{}}
	for _, c := range clusters {
		u.clusters[c] = &leaving{}
	}
	return u
}

// facts takes what was seen of the service. descends says whether a commit
// holds what takes it off.
func (u *uninstalling) facts(facts []orchestrator.Fact, descends func(string) bool, now time.Time) {
	for _, f := range facts {
		switch {
		case f.Bundle != nil:
			u.taken = u.taken || descends(f.Bundle.Commit)
		case f.Synced:
			u.synced = true
		case f.Deployment != nil:
			if c := u.clusters[f.Deployment.Cluster]; c != nil {
				c.there = !f.Deployment.Gone
			}
		}
	}
	for _, c := range u.clusters {
		switch {
		case c.there || !u.taken || !u.synced:
			c.gone, c.after = time.Time{}, time.Time{}
		case c.gone.IsZero():
			c.gone = now
		}
	}
}

// heard takes a cluster's last sign of its agent.
func (u *uninstalling) heard(cluster rings.ClusterName, at, now time.Time) {
	c := u.clusters[cluster]
	if c == nil || !at.After(c.heard) {
		return
	}
	if !c.heard.IsZero() && !c.gone.IsZero() && now.Sub(c.gone) >= uninstallGrace {
		c.after = now
	}
	c.heard = at
}

// done reports whether all clusters have it uninstalled.
func (u *uninstalling) done() bool {
	return len(u.in(phaseDeployed))+len(u.in(phaseTakenAway)) == 0
}

func (c *leaving) phase() string {
	switch {
	case c.gone.IsZero():
		return phaseDeployed
	case c.after.IsZero():
		return phaseTakenAway
	}
	return phaseUninstalled
}

// in are the clusters in the phase, sorted.
func (u *uninstalling) in(phase string) []rings.ClusterName {
	var out []rings.ClusterName
	for name, c := range u.clusters {
		if c.phase() == phase {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// views are the clusters for scripts.
func (u *uninstalling) views() []leavingView {
	out := []leavingView{}
	for name, c := range u.clusters {
		v := leavingView{Name: name, Phase: c.phase(), TakenAwayAt: instant(c.gone), HeardAt: instant(c.heard)}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b leavingView) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// waiting says what is waited for.
func (u *uninstalling) waiting(commit string) string {
	deployed, away := u.in(phaseDeployed), u.in(phaseTakenAway)
	switch {
	case !u.taken:
		return fmt.Sprintf("Fleet has not taken commit %s up", short(commit))
	case len(deployed) > 0 && len(away) > 0:
		return fmt.Sprintf("still deployed on %s; taken away from %s, no sign of the agent since", shortNames(deployed), shortNames(away))
	case len(deployed) > 0:
		return fmt.Sprintf("still deployed on %s", shortNames(deployed))
	}
	return fmt.Sprintf("Fleet has taken it away from %s, but there is no sign of the agent since: whether it has uninstalled it is not known", shortNames(away))
}
