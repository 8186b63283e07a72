package main

import (
	"context"
	"fmt"
	"time"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// startWithin bounds how long it may take to look at everything before a start.
const startWithin = 5 * time.Minute

// newKeeper is the keeper of the applications of the manager's workspace.
func (p *program) newKeeper(db *store.DB, m *fleet.Manager, manager string) *keeper {
	return &keeper{program: p, db: db, clock: wallClock{p.now}, changed: make(chan struct{}, 1),
		ours: func(a *rings.Application) bool { return a.Manager == manager && a.Workspace == m.Workspace() },
		begin: func(ctx context.Context, a *rings.Application, d orchestrator.Due) (orchestrator.ID, error) {
			return p.beginDue(ctx, db, m, a, d)
		},
		catchUp: func(ctx context.Context, a *rings.Application) ([]rings.Note, error) {
			ctx, cancel := context.WithTimeout(ctx, startWithin)
			defer cancel()
			return p.noteCaughtUp(ctx, db, m, a)
		}}
}

// beginDue begins the rollout that is due, with the checks of `create` and
// `train`.
func (p *program) beginDue(ctx context.Context, db *store.DB, m *fleet.Manager, a *rings.Application, d orchestrator.Due) (orchestrator.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	held, err := p.holdingNow(ctx, db, a)
	if err != nil {
		return "", err
	}
	if locks := held.on(d.Ring, "").Locks; len(locks) > 0 { // a train would find nothing to take, and not wait
		return "", &orchestrator.BarredError{Barriers: rings.Barriers{Locks: locks}}
	}
	first, err := p.firstOf(ctx, db, a.Name, d)
	if err != nil {
		return "", err
	}
	_, on, err := p.prepare(ctx, db, m, a, shipment{app: a.Name, first: first})
	if err != nil {
		return "", err
	}
	return db.CreateDue(ctx, a.Name, d, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return first(a, on)
	}, d.Actor(a), p.now().UTC())
}

// firstOf makes the first event of the rollout that is due.
func (p *program) firstOf(ctx context.Context, db *store.DB, app rings.AppName, d orchestrator.Due) (func(*rings.Application, ground) (orchestrator.Created, error), error) {
	if d.Release == 0 {
		return func(a *rings.Application, on ground) (orchestrator.Created, error) {
			return orchestrator.NewTrain(a, orchestrator.Train{Ring: d.Ring, Empty: on.empty, Locked: on.lockedOn(a, d.Ring), Changed: on.changed})
		}, nil
	}
	r, err := db.ReleaseNumber(ctx, app, d.Release)
	return func(a *rings.Application, on ground) (orchestrator.Created, error) {
		if verifiedOn(a, d.Ring, r) {
			return orchestrator.Created{}, fmt.Errorf("%w: %s was verified with all of it already", orchestrator.ErrNothing, d.Ring)
		}
		return orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{d.Ring}, Release: &r, Empty: on.empty})
	}, err
}

// verifiedOn reports whether rollouts ended well on the ring with all that the
// release says.
func verifiedOn(a *rings.Application, ring rings.RingName, r rings.Release) bool {
	for name, v := range r.Versions {
		s, err := a.Service(name)
		if err != nil || s.Known[ring].Version != v || s.Known[ring].Verified == "" {
			return false
		}
	}
	return true
}
