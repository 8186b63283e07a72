package main

import (
	"context"
	"slices"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
	"rollout/store"
)

// holding is what lets nothing new start on an application at a time, with the
// places of its clusters as they are recorded.
type holding struct {
	barriers rings.Barriers
	clusters []rings.Cluster
}

// holdingOn is as it is recorded, for who only looks.
func holdingOn(ctx context.Context, db *store.DB, app rings.AppName, now time.Time) (holding, error) {
	barriers, err := db.Barriers(ctx, app, now)
	if err != nil {
		return holding{}, err
	}
	clusters, err := db.Clusters(ctx, app)
	return holding{barriers.At(now), clusters}, err
}

// there are the clusters of the ring.
func (s holding) there(ring rings.RingName) []rings.ClusterName {
	var out []rings.ClusterName
	for _, c := range s.clusters {
		if c.Ring == ring {
			out = append(out, c.Name)
		}
	}
	return out
}

// anywhere is the holding without what depends on where clusters are.
func (s holding) anywhere() holding {
	s.barriers.Locks = slices.DeleteFunc(slices.Clone(s.barriers.Locks), func(l rings.Lock) bool { return l.Cluster != "" || l.Group != "" })
	return s
}

// reaching are the locks that reach each ring of the application.
func (s holding) reaching(a *rings.Application) map[rings.RingName][]rings.Lock {
	return s.barriers.Reaching(a.RingNames(), s.there)
}

// on returns what holds the service on the ring. A lock on a group whose clusters
// are not known counts: it may hold it.
func (s holding) on(ring rings.RingName, service rings.ServiceName) rings.Barriers {
	held := s.barriers.On(ring, service, s.there(ring))
	for _, l := range s.barriers.Locks {
		if l.Group != "" && l.Cluster == "" && l.Reaches(ring, service) {
			held.Locks = append(held.Locks, l)
		}
	}
	return held
}

// holdingNow is with the places where the clusters' labels put them now, for who
// acts. The manager is asked only when a lock is on clusters.
func (p *program) holdingNow(ctx context.Context, db *store.DB, a *rings.Application) (holding, error) {
	held, err := holdingOn(ctx, db, a.Name, p.now())
	if err != nil || !held.onClusters() {
		return held, err
	}
	m, err := p.managerOf(ctx, scopeOf(a))
	if err != nil {
		return held, err
	}
	clusters, err := m.Reachable(ctx)
	return held.placed(a, clusters), err
}

// onClusters reports whether a lock holds clusters, wherever they are.
func (s holding) onClusters() bool {
	return slices.ContainsFunc(s.barriers.Locks, func(l rings.Lock) bool { return l.Cluster != "" || l.Group != "" })
}

// placed is the holding of clusters that are where their labels put them.
func (s holding) placed(a *rings.Application, clusters []fleetyaml.Cluster) holding {
	s.clusters, s.barriers = nil, s.barriers.Spread(membersOf(clusters))
	for _, c := range clusters {
		if ring, ours := a.Owns(c.Labels); ours {
			s.clusters = append(s.clusters, rings.Cluster{Name: rings.ClusterName(c.Name), App: a.Name, Ring: ring})
		}
	}
	return s
}

// membersOf says which clusters are in a group.
func membersOf(clusters []fleetyaml.Cluster) func(group string) []rings.ClusterName {
	return func(group string) []rings.ClusterName {
		var out []rings.ClusterName
		for _, c := range clusters {
			if slices.ContainsFunc(c.Groups, func(g fleetyaml.Group) bool { return g.Name == group }) {
				out = append(out, rings.ClusterName(c.Name))
			}
		}
		return out
	}
}
