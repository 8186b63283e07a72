package store

import (
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// RemoveService forgets a service of the application, with the locks on it, and
// returns it; n says who does it, and why. It is a [rings.InUseError] while other
// services depend on it, and a [RingBusyError] while any rollout of the application is live.
func (db *DB) RemoveService(ctx context.Context, app rings.AppName, name rings.ServiceName, n rings.Note) (rings.Service, error) {
	var removed rings.Service
	n.App, n.Kind, n.Service = app, rings.NoteServiceRemoved, name
	err := db.update(ctx, func(tx *bolt.Tx) error {
		a, err := idleApp(tx, app, "")
		if err != nil {
			return err
		}
		if removed, err = a.RemoveService(name); err != nil {
			return err
		}
		locks := forgetLocks(tx, app, func(l rings.Lock) bool { return l.Service == name })
		return errors.Join(putApp(tx, a), locks, addNote(tx, n))
	})
	return removed, err
}

// RemoveRing forgets a ring of the application, with its locks and windows, and
// returns it; n says who does it, and why. It is a [rings.InUseError] while
// clusters are recorded on it or a group has it, and a [RingBusyError] while a
// rollout is live there.
func (db *DB) RemoveRing(ctx context.Context, app rings.AppName, name rings.RingName, n rings.Note) (rings.Ring, error) {
	var removed rings.Ring
	n.App, n.Kind, n.Ring = app, rings.NoteRingDeleted, name
	err := db.update(ctx, func(tx *bolt.Tx) error {
		a, err := idleApp(tx, app, name)
		if err != nil {
			return err
		}
		if removed, err = a.RemoveRing(name); err != nil {
			return err
		}
		if err := unclustered(tx, app, name); err != nil {
			return err
		}
		locks := forgetLocks(tx, app, func(l rings.Lock) bool { return l.Ring == name })
		return errors.Join(putApp(tx, a), locks, forgetWindows(tx, app, name), addNote(tx, n))
	})
	return removed, err
}

// forgetLocks releases the application's locks that are meant.
func forgetLocks(tx *bolt.Tx, app rings.AppName, meant func(rings.Lock) bool) error {
	locks, err := locksOf(tx, app)
	if err != nil {
		return err
	}
	for _, l := range locks {
		if meant(l) {
			err = errors.Join(err, tx.Bucket(bucketLocks).Delete(lockKey(l)))
		}
	}
	return err
}

// forgetWindows removes the windows of the ring alone.
func forgetWindows(tx *bolt.Tx, app rings.AppName, ring rings.RingName) error {
	windows, err := windowsOf(tx, app)
	if err != nil {
		return err
	}
	for _, w := range windows {
		if w.Ring == ring {
			err = errors.Join(err, tx.Bucket(bucketWindows).Delete(pair(app, w.Name)))
		}
	}
	return err
}

// DeleteApp forgets the application, its cluster records, halt, locks and
// windows; what it rolled out, its releases and what was noted of it stay. n says who does it, and why. It is
// a [RingBusyError] while a rollout of it is live.
func (db *DB) DeleteApp(ctx context.Context, name rings.AppName, n rings.Note) error {
	n.App, n.Kind = name, rings.NoteAppDeleted
	return db.update(ctx, func(tx *bolt.Tx) error {
		if _, err := idleApp(tx, name, ""); err != nil {
			return err
		}
		for _, bucket := range [][]byte{bucketClusters, bucketLocks, bucketWindows} {
			if err := deletePrefix(tx.Bucket(bucket), pair(name, "")); err != nil {
				return err
			}
		}
		return errors.Join(tx.Bucket(bucketHalts).Delete(haltKey(name)), tx.Bucket(bucketApps).Delete([]byte(name)), addNote(tx, n))
	})
}

// RemoveCluster forgets the application's record of the cluster and returns it;
// n says who does it, and why, and where its labels put it still. It is a
// [RingBusyError] while a rollout is live on its ring.
func (db *DB) RemoveCluster(ctx context.Context, app rings.AppName, name rings.ClusterName, n rings.Note) (rings.Cluster, error) {
	var removed rings.Cluster
	n.App, n.Kind, n.Cluster = app, rings.NoteClusterRemoved, name
	err := db.update(ctx, func(tx *bolt.Tx) error {
		b, key := tx.Bucket(bucketClusters), pair(app, name)
		there, err := get(b, key, &removed)
		if err != nil {
			return err
		}
		if !there {
			return unknownCluster(tx, app, name)
		}
		if _, err := idleApp(tx, app, removed.Ring); err != nil {
			return err
		}
		n.From = removed.Ring
		return errors.Join(b.Delete(key), addNote(tx, n))
	})
	return removed, err
}

// Undeployed notes that a service's fleet.yaml takes it off a ring: n names the
// service, the ring, the version that it was, the commit, and who did it. What
// was verified there is not any more. Noting the same commit again changes
// nothing.
func (db *DB) Undeployed(ctx context.Context, app rings.AppName, n rings.Note) error {
	n.App, n.Kind = app, rings.NoteServiceUndeployed
	return db.update(ctx, func(tx *bolt.Tx) error {
		a, err := getApp(tx, app)
		if err != nil {
			return err
		}
		s, err := a.Service(n.Service)
		if err != nil {
			return err
		}
		last, err := lastNote(tx, app, func(m rings.Note) bool { return m.Kind == n.Kind && m.Service == n.Service && m.Ring == n.Ring })
		if err != nil || last != nil && last.Commit == n.Commit {
			return err
		}
		if known, ok := s.Known[n.Ring]; ok {
			known.Verified = ""
			s.Known[n.Ring] = known
		}
		if err := putApp(tx, a); err != nil && !errors.Is(err, errUnchanged) {
			return err
		}
		return addNote(tx, n)
	})
}

// idleApp returns the application, unless a rollout of it is live: on the ring,
// or with "" on any.
func idleApp(tx *bolt.Tx, app rings.AppName, ring rings.RingName) (*rings.Application, error) {
	a, err := getApp(tx, app)
	if err != nil {
		return nil, err
	}
	if ring != "" {
		return a, checkRings(tx, app, []rings.RingName{ring})
	}
	live, err := liveOf(tx, app)
	if err == nil && len(live) > 0 {
		err = &RingBusyError{ID: live[0].ID, Ring: live[0].Rings[0]}
	}
	return a, err
}

// unclustered refuses while clusters are recorded on the ring.
func unclustered(tx *bolt.Tx, app rings.AppName, ring rings.RingName) error {
	all, err := clustersOf(tx, app)
	if err != nil {
		return err
	}
	var on []string
	for _, c := range all {
		if c.Ring == ring {
			on = append(on, string(c.Name))
		}
	}
	if len(on) == 0 {
		return nil
	}
	return &rings.InUseError{Kind: "ring", Name: string(ring), App: app, ByKind: "cluster", By: on}
}
