package store

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// CreateDue is [DB.CreateRollout] for something that starts by itself: the same
// transaction notes that it is handled, so that it is started once, whoever
// tries and whatever dies. It wraps [orchestrator.ErrHandled] when it is handled
// already. first gets the application with that noted.
func (db *DB) CreateDue(ctx context.Context, app rings.AppName, d orchestrator.Due,
	first func(orchestrator.ID, *rings.Application) (orchestrator.Created, error), actor string, now time.Time) (orchestrator.ID, error) {
	return db.createRollout(ctx, app, func(id orchestrator.ID, a *rings.Application) error { return d.Handle(a, now, id, "") }, first, actor, now)
}

// PassDue notes that something which was to start by itself is handled without
// a rollout, and why. With skipped it should have had one, and that is noted in
// the application's history. It wraps [orchestrator.ErrHandled] when it is handled
// already.
func (db *DB) PassDue(ctx context.Context, app rings.AppName, d orchestrator.Due, why string, skipped bool, now time.Time) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		a, err := getApp(tx, app)
		if err != nil {
			return err
		}
		if err := d.Handle(a, now, "", why); err != nil {
			return err
		}
		err = putApp(tx, a)
		if skipped {
			n := rings.Note{App: app, At: now, Kind: rings.NoteStartSkipped, By: d.Actor(a), Ring: d.Ring, Moment: d.Moment, Release: d.Release, Reason: why}
			err = errors.Join(err, addNote(tx, n))
		}
		return err
	})
}
