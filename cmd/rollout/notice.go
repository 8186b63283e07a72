package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"rollout/fleet"
	"rollout/rings"
	"rollout/store"
)

// A cluster's ring is a label that anybody can change. Whoever looks at the
// clusters compares it with what is recorded, and notes what nobody here did.

// notice notes clusters of the application that somebody else has moved.
func (p *program) notice(ctx context.Context, db *store.DB, m *fleet.Manager, a *rings.Application) error {
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return err
	}
	return p.noticeAmong(ctx, db, a, clusters)
}

func (p *program) noticeAmong(ctx context.Context, db *store.DB, a *rings.Application, clusters []fleet.Cluster) error {
	on := map[rings.ClusterName]rings.RingName{}
	for _, c := range clusters {
		ring, _ := a.Owns(c.Labels) // "" when it is not the application's
		on[c.Name] = ring
	}
	noted, err := db.Notice(ctx, a.Name, on, rings.Note{At: p.now().UTC()})
	if err != nil {
		return err
	}
	for _, n := range noted {
		p.say("warning: %s, by somebody else who changed its labels", noteWords(viewNote(n))+fmt.Sprintf(" of application %q", a.Name))
	}
	return nil
}

// settling is how long a command of ours may take from changing a label to
// writing it down.
const settling = 15 * time.Second

// keepNoticing does so for all applications of the manager's workspace, as long
// as ctx goes on: settling after a change was seen, so that a command of ours
// has written down what it did.
func (p *program) keepNoticing(ctx context.Context, db *store.DB, m *fleet.Manager, manager string) {
	changed := make(chan struct{}, 1)
	var running sync.WaitGroup
	defer running.Wait()
	seen := map[rings.ClusterName]string{}
	running.Go(func() {
		err := m.WatchClusters(ctx, fleet.ClusterWatch{}, func(c fleet.Cluster) {
			if labels := labelWords(c.Labels); seen[c.Name] != labels {
				seen[c.Name] = labels
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
		if err != nil {
			p.say("warning: labels that others change are not noticed: %v", err)
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settling):
		}
		if err := p.noticeAll(ctx, db, m, manager); err != nil && ctx.Err() == nil {
			p.say("warning: whether others changed labels could not be seen: %v", err)
		}
	}
}

func (p *program) noticeAll(ctx context.Context, db *store.DB, m *fleet.Manager, manager string) error {
	apps, err := db.Apps(ctx)
	if err != nil {
		return err
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return err
	}
	for _, a := range apps {
		if a.Manager != manager || a.Workspace != m.Workspace() {
			continue
		}
		if err := p.noticeAmong(ctx, db, a, clusters); err != nil {
			return err
		}
	}
	return nil
}
