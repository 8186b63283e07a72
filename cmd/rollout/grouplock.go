package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
	"rollout/store"
)

// groupLook is how often a driver looks which clusters are in a group that is
// locked, which nobody tells it.
const groupLook = 10 * time.Second

// groupLocks is the store as a driver sees it: a lock on a cluster group is one on
// each of the clusters that are in it now.
type groupLocks struct {
	*store.DB
	clusters func(context.Context) ([]fleetyaml.Cluster, error) // of the workspace, with their groups
	stand    *atomic.Bool                                       // such a lock
	every    time.Duration
}

func (p *program) groupLocks(db *store.DB, clusters func(context.Context) ([]fleetyaml.Cluster, error)) groupLocks {
	return groupLocks{db, clusters, &atomic.Bool{}, groupLook}
}

// Barriers implements orchestrator.Store. When it cannot be seen who is in a
// group, its lock holds the whole application: what is not known is not free.
func (g groupLocks) Barriers(ctx context.Context, app rings.AppName, now time.Time) (rings.Barriers, error) {
	b, err := g.DB.Barriers(ctx, app, now)
	g.stand.Store(err == nil && b.Grouped())
	if err != nil || !b.Grouped() {
		return b, err
	}
	clusters, err := g.clusters(ctx)
	if err == nil {
		return b.Spread(membersOf(clusters)), nil
	}
	for i := range b.Locks {
		if l := &b.Locks[i]; l.Group != "" {
			l.Reason = fmt.Sprintf("%s (which clusters are in cluster group %s cannot be seen)", l.Reason, l.Group)
			l.Group = ""
		}
	}
	return b, nil
}

// Changes implements orchestrator.Store. While a group is locked it also tells
// now and then, so that its clusters are looked at again.
func (g groupLocks) Changes(ctx context.Context) <-chan struct{} {
	changes, out := g.DB.Changes(ctx), make(chan struct{}, 1)
	go func() {
		tick := time.NewTicker(g.every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if !g.stand.Load() {
					continue
				}
			case <-changes:
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}
