package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/rings"
	"rollout/store"
)

// sharing names the services of other applications that are the same file on
// clusters of both: what one application locks, the other one moves. labels are
// those of the clusters, by name.
func sharing(apps []*rings.Application, a *rings.Application, s rings.Service, labels map[rings.ClusterName]map[string]string) []string {
	var out []string
	for _, other := range apps {
		if other.Name == a.Name || other.Manager != a.Manager || other.Workspace != a.Workspace {
			continue
		}
		var both []rings.ClusterName
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			_, theirs := other.Owns(labels[name])
			if _, ours := a.Owns(labels[name]); ours && theirs {
				both = append(both, name)
			}
		}
		for _, o := range other.Services {
			if len(both) > 0 && fleet.SameRepository(o.Repo, s.Repo) && o.Branch == s.Branch && o.File() == s.File() {
				out = append(out, fmt.Sprintf("service %q of application %q is the same file, on %s, too: locks, windows and gates of one do not hold the other", o.Name, other.Name, shortNames(both)))
			}
		}
	}
	return out
}

// warnShared warns of a service that another application has, too.
func (p *program) warnShared(ctx context.Context, db *store.DB, d *addition) error {
	apps, err := db.Apps(ctx)
	if err != nil {
		return err
	}
	labels := map[rings.ClusterName]map[string]string{}
	for _, c := range d.reach.Clusters {
		labels[rings.ClusterName(c.Name)] = c.Labels
	}
	for _, words := range sharing(apps, d.app, d.service, labels) {
		p.say("warning: %s", words)
	}
	return nil
}

// shared finds them for all services of the application.
func (d *doctor) shared(ctx context.Context, db *store.DB, a *rings.Application, clusters []fleet.Cluster) error {
	apps, err := db.Apps(ctx)
	if err != nil {
		return err
	}
	labels := map[rings.ClusterName]map[string]string{}
	for _, c := range clusters {
		labels[c.Name] = c.Labels
	}
	for _, s := range a.Services {
		for _, words := range sharing(apps, a, s, labels) {
			d.say(ailmentView{Area: areaFile, Severity: fleetyaml.Warning, App: a.Name, Service: s.Name, Message: words,
				Repair: fmt.Sprintf("have it in one application: \"rollout service remove %s %s\" forgets it here, and uninstalls nothing", a.Name, s.Name)})
		}
	}
	return nil
}
