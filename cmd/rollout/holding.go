package main

import (
	"context"
	"time"

	"rollout/rings"
	"rollout/store"
)

// holding is what lets nothing new start on an application at a time, with the
// places of its clusters as they are recorded.
type holding struct {
	barriers rings.Barriers
	clusters []rings.Cluster
}

func holdingOn(ctx context.Context, db *store.DB, app rings.AppName, now time.Time) (holding, error) {
	barriers, err := db.Barriers(ctx, app, now)
	if err != nil {
		return holding{}, err
	}
	clusters, err := db.Clusters(ctx, app)
	return holding{barriers.At(now), clusters}, err
}

// on returns what holds the service on the ring.
func (s holding) on(ring rings.RingName, service rings.ServiceName) rings.Barriers {
	var there []rings.ClusterName
	for _, c := range s.clusters {
		if c.Ring == ring {
			there = append(there, c.Name)
		}
	}
	return s.barriers.On(ring, service, there)
}
