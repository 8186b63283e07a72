package store

import (
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
)

// Acquire implements [orchestrator.Store]. A rollout that is not there is a
// [rings.UnknownError] that also wraps [orchestrator.ErrNotFound].
func (db *DB) Acquire(ctx context.Context, id orchestrator.ID, d orchestrator.Driver,
	now time.Time, ttl time.Duration) (orchestrator.Lease, error) {
	var lease orchestrator.Lease
	err := db.update(ctx, func(tx *bolt.Tx) error {
		if _, err := getRow(tx, id); err != nil {
			return err
		}
		old, err := getLease(tx, id)
		if err != nil {
			return err
		}
		if old == nil {
			old = new(orchestrator.Lease)
		}
		if old.Driver.Name != d.Name && old.Expires.After(now) {
			return &orchestrator.LeasedError{Lease: *old}
		}
		lease = orchestrator.Lease{Rollout: id, Driver: d, Epoch: old.Epoch + 1,
			Expires: now.Add(ttl).UTC(), Seen: now.UTC()}
		return putLease(tx, lease)
	})
	if err != nil {
		return orchestrator.Lease{}, err
	}
	return lease, nil
}

// Renew implements [orchestrator.Store].
func (db *DB) Renew(ctx context.Context, held []orchestrator.Lease,
	now time.Time, ttl time.Duration) ([]orchestrator.Lease, error) {
	var renewed []orchestrator.Lease
	err := db.update(ctx, func(tx *bolt.Tx) error {
		for _, l := range held {
			if ok, err := holds(tx, l); err != nil {
				return err
			} else if !ok {
				continue
			}
			l.Expires, l.Seen = now.Add(ttl).UTC(), now.UTC()
			if err := putLease(tx, l); err != nil {
				return err
			}
			renewed = append(renewed, l)
		}
		return unchangedIf(len(renewed) == 0)
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

// Release implements [orchestrator.Store]. The lease of a live rollout stays
// on record, run out, with who drove it last: epochs only ever grow.
func (db *DB) Release(ctx context.Context, l orchestrator.Lease) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		if ok, err := holds(tx, l); err != nil || !ok {
			return orUnchanged(err)
		}
		row, err := getRow(tx, l.Rollout)
		if err != nil {
			return err
		}
		if row.Phase.Ended() {
			key, _ := rolloutKey(l.Rollout)
			return tx.Bucket(bucketLeases).Delete(key)
		}
		old, err := getLease(tx, l.Rollout)
		if err != nil {
			return err
		}
		old.Expires = time.Time{}
		return putLease(tx, *old)
	})
}

// LeaseOf returns the rollout's lease, which may have run out; its driver is
// then who drove it last. It is nil when nobody ever did, or when the rollout
// has ended and was let go.
func (db *DB) LeaseOf(ctx context.Context, id orchestrator.ID) (*orchestrator.Lease, error) {
	var lease *orchestrator.Lease
	err := db.view(ctx, func(tx *bolt.Tx) (err error) {
		if _, err = getRow(tx, id); err == nil {
			lease, err = getLease(tx, id)
		}
		return err
	})
	return lease, err
}

// getLease returns nil when there is none.
func getLease(tx *bolt.Tx, id orchestrator.ID) (*orchestrator.Lease, error) {
	key, ok := rolloutKey(id)
	if !ok {
		return nil, nil
	}
	lease := new(orchestrator.Lease)
	if ok, err := get(tx.Bucket(bucketLeases), key, lease); err != nil || !ok {
		return nil, err
	}
	return lease, nil
}

func putLease(tx *bolt.Tx, l orchestrator.Lease) error {
	key, _ := rolloutKey(l.Rollout)
	_, err := put(tx.Bucket(bucketLeases), key, l)
	return err
}

// holds reports whether the lease is the present one. One that has run out
// still is, until somebody takes it; one that was released is not.
func holds(tx *bolt.Tx, l orchestrator.Lease) (bool, error) {
	now, err := getLease(tx, l.Rollout)
	return now != nil && now.Epoch == l.Epoch && now.Driver.Name == l.Driver.Name && !now.Expires.IsZero(), err
}

func unchangedIf(nothing bool) error {
	if nothing {
		return errUnchanged
	}
	return nil
}

func orUnchanged(err error) error {
	if err == nil {
		return errUnchanged
	}
	return err
}
