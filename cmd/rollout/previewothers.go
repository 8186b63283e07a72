package main

import (
	"fmt"
	"slices"
	"strings"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
)

// others are the live rollouts of other applications that move what a step
// here moves, too, on a cluster of its ring.
func (l *prospect) others() []otherView {
	out := []otherView{}
	for _, r := range l.live {
		for _, theirs := range r.app.Services {
			if _, planned := r.Versions[theirs.Name]; planned {
				out = append(out, l.meets(r, theirs)...)
			}
		}
	}
	return out
}

// meets are the services here that share something with one of theirs.
func (l *prospect) meets(r liveRollout, theirs rings.Service) []otherView {
	var out []otherView
	for _, n := range l.created.Steps {
		shares := shared(n.Target, theirs)
		if shares == "" {
			continue
		}
		clusters := l.overlap(r, n.Ring)
		if len(clusters) == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(o otherView) bool { return o.Service == n.Target.Service })
		if i < 0 {
			i, out = len(out), append(out, otherView{Rollout: r.ID, App: r.App, Phase: r.Phase, StartedBy: r.StartedBy, StartedAt: instant(r.StartedAt),
				Theirs: theirs.Name, Service: n.Target.Service, Shares: shares})
		}
		out[i].Clusters = append(out[i].Clusters, clusters...)
	}
	return out
}

// shared says what a step and a service of another application have in common;
// "" when nothing.
func shared(t orchestrator.Target, s rings.Service) string {
	switch {
	case fleet.SameRepository(t.Repo, s.Repo) && t.Branch == s.Branch && strings.Trim(t.Path, "/") == strings.Trim(s.Path, "/"):
		return sharesFile
	case t.GitRepo == s.GitRepo:
		return sharesGitRepo
	}
	return ""
}

// overlap are the clusters of the ring that are on a ring of the other rollout.
func (l *prospect) overlap(r liveRollout, ring rings.RingName) []rings.ClusterName {
	var out []rings.ClusterName
	for _, c := range l.clusters {
		here, ours := l.app.Owns(c.Labels)
		there, also := r.app.Owns(c.Labels)
		if ours && also && here == ring && slices.Contains(r.Rings, there) {
			out = append(out, c.Name)
		}
	}
	return out
}

// words say who else moves what.
func (o otherView) words() string {
	what := "by the same fleet.yaml"
	if o.Shares == sharesGitRepo {
		what = "by the same GitRepo"
	}
	return fmt.Sprintf("rollout %s of application %q (%s, by %s) moves %s %s as %s here, on %s", o.Rollout, o.App, o.Phase, o.StartedBy, o.Theirs, what, o.Service, shortNames(o.Clusters))
}
