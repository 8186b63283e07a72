package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// A cluster that a rollout left out as offline is caught up by Fleet when it is
// back: the branch says what it is to run. Nothing is deployed again for it. It
// is only seen, and noted, that it has caught up; and doctor names one that is
// back and has not.

// absence is a cluster that was left out of the last step of a service on its
// ring, and has not been seen to catch up since.
type absence struct {
	cluster rings.ClusterName
	ring    rings.RingName
	service rings.ServiceName
	version rings.Version
	rollout orchestrator.ID
	since   time.Time // when that step ended
}

// absences are all of the application, by what is recorded.
func absences(ctx context.Context, db *store.DB, a *rings.Application) ([]absence, error) {
	placed, err := db.Placed(ctx, a.Name, time.Time{})
	if err != nil {
		return nil, err
	}
	var out []absence
	for _, p := range placed {
		for _, c := range p.Clusters {
			if p.Phase == orchestrator.StepDone && c.Phase == orchestrator.ClusterOffline {
				out = append(out, absence{c.Name, p.Ring, p.Service, p.To, p.Rollout, p.FinishedAt})
			}
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	notes, _, err := db.Notes(ctx, store.NoteFilter{App: a.Name})
	return slices.DeleteFunc(out, func(x absence) bool {
		return slices.ContainsFunc(notes, func(n rings.Note) bool {
			return n.Kind == rings.NoteClusterCaughtUp && n.Cluster == x.cluster && n.Ring == x.ring && n.At.After(x.since)
		})
	}), err
}

// back leaves those whose cluster is on the ring still, and whose agent was
// heard from since.
func back(a *rings.Application, all []absence, clusters []fleet.Cluster) []absence {
	return slices.DeleteFunc(slices.Clone(all), func(x absence) bool {
		return !slices.ContainsFunc(clusters, func(c fleet.Cluster) bool {
			ring, ours := a.Owns(c.Labels)
			return c.Name == x.cluster && ours && ring == x.ring && c.LastSeen.After(x.since)
		})
	})
}

// behind is why the cluster does not run what its ring does now; "" when it
// does. A service that it is not to have any more is none.
func (l *prospect) behind(x absence) string {
	for _, n := range l.created.Steps {
		if n.Ring != x.ring || n.Target.Service != x.service {
			continue
		}
		v := l.place(n, placeView{})
		i := slices.IndexFunc(v.Clusters, func(c placeClusterView) bool { return c.Name == x.cluster })
		switch {
		case i < 0 && v.Reason != "":
			return v.Reason
		case i < 0:
			return ""
		case v.Desired == "":
			return cmpHint(v.Reason, "what it is to run is not known")
		case v.Clusters[i].differs(v.Desired):
			return cmpHint(v.Clusters[i].Reason, fmt.Sprintf("it runs %s, and %s is wanted", v.Clusters[i].Observed, v.Desired))
		}
	}
	return ""
}

// noteCaughtUp looks at the clusters that are back, and notes those that have
// caught up with all of their ring. It returns what it noted.
func (p *program) noteCaughtUp(ctx context.Context, db *store.DB, m *fleet.Manager, a *rings.Application) ([]rings.Note, error) {
	all, err := absences(ctx, db, a)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	if all = back(a, all, clusters); len(all) == 0 {
		return nil, nil
	}
	var on []rings.RingName
	for _, x := range all {
		if !slices.Contains(on, x.ring) {
			on = append(on, x.ring)
		}
	}
	look := previewer{manager: m, pub: p.publisher(m), prospect: &prospect{app: a, created: everything(a, on), clusters: clusters}}
	defer look.pub.Close()
	look.all(ctx)
	var noted []rings.Note
	for _, x := range caughtUp(look.prospect, all) {
		n := rings.Note{App: a.Name, At: p.now().UTC(), Kind: rings.NoteClusterCaughtUp, By: "keeper", Cluster: x.cluster, Ring: x.ring,
			Reason: fmt.Sprintf("left out by %s as offline", x.rollout)}
		news, err := db.CaughtUp(ctx, n, x.since)
		if err != nil {
			return noted, err
		}
		if news {
			noted = append(noted, n)
		}
	}
	return noted, nil
}

// caughtUp are the clusters that run all that they were left out of, each once.
func caughtUp(l *prospect, all []absence) []absence {
	var out []absence
	for i, x := range all {
		same := func(y absence) bool { return y.cluster == x.cluster && y.ring == x.ring }
		if slices.IndexFunc(all, same) != i || slices.ContainsFunc(all, func(y absence) bool { return same(y) && l.behind(y) != "" }) {
			continue
		}
		out = append(out, x)
	}
	return out
}

// absent says which clusters are back and have not caught up.
func (d *doctor) absent(a *rings.Application, all []absence, l *prospect) {
	for _, x := range back(a, all, l.clusters) {
		why := l.behind(x)
		if why == "" {
			continue
		}
		d.say(ailmentView{Area: areaClusters, Severity: fleetyaml.Warning, App: a.Name, Ring: x.ring, Service: x.service, Clusters: []rings.ClusterName{x.cluster},
			Message: fmt.Sprintf("left out by %s as offline, it is back and has not caught up: %s", x.rollout, why),
			Repair: fmt.Sprintf("give Fleet time; else \"rollout deploy %s %s %s=%s --redeploy --reason WORDS\" has it deploy %s again on the ring",
				a.Name, x.ring, x.service, x.version, x.service)})
	}
}
