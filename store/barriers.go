package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// Barriers implements [orchestrator.Store]. The application's own halt goes
// before that of all. The closures are those of all its rings.
func (db *DB) Barriers(ctx context.Context, app rings.AppName, now time.Time) (rings.Barriers, error) {
	var b rings.Barriers
	err := db.view(ctx, func(tx *bolt.Tx) (err error) {
		b, err = barriers(tx, app, now)
		return err
	})
	return b, err
}

// barriers returns what lets nothing new start for the application. One that is
// not there has neither locks nor windows.
func barriers(tx *bolt.Tx, app rings.AppName, now time.Time) (rings.Barriers, error) {
	halt, err := standing(tx, app, now)
	if err != nil {
		return rings.Barriers{}, err
	}
	b := rings.Barriers{Halt: halt}
	if b.Locks, err = locksOf(tx, app); err != nil {
		return b, err
	}
	b = b.At(now)
	live, err := liveOf(tx, app)
	if err != nil {
		return b, err
	}
	for _, row := range live {
		b.Frozen = append(b.Frozen, row.Freezes...)
	}
	windows, err := windowsOf(tx, app)
	if err != nil || len(windows) == 0 {
		return b, err
	}
	a, err := getApp(tx, app)
	if err != nil {
		return b, err
	}
	b.Closed, err = rings.Closures(windows, a.RingNames(), now, time.LoadLocation)
	return b, err
}

// Lock sets locks, all or none. A lock of the same holder on the same part is
// replaced. It is a [rings.InvalidError] or a [rings.UnknownError] when a lock is not
// valid, or what it names is not there. Whether a cluster is there is not asked.
func (db *DB) Lock(ctx context.Context, locks ...rings.Lock) error {
	return db.update(ctx, func(tx *bolt.Tx) error { return putLocks(tx, locks) })
}

func putLocks(tx *bolt.Tx, locks []rings.Lock) error {
	for _, l := range locks {
		l.At, l.Until = l.At.UTC(), l.Until.UTC()
		if err := errors.Join(l.Validate(), knownPart(tx, l)); err != nil {
			return err
		}
		if _, err := put(tx.Bucket(bucketLocks), lockKey(l), l); err != nil {
			return err
		}
	}
	return nil
}

// knownPart is an UnknownError for an application, ring or service that is not
// there.
func knownPart(tx *bolt.Tx, l rings.Lock) error {
	a, err := getApp(tx, l.App)
	if err != nil {
		return err
	}
	if l.Ring != "" {
		_, err = a.Ring(l.Ring)
	}
	if l.Service != "" && err == nil {
		_, err = a.Service(l.Service)
	}
	return err
}

// Unlock releases locks, all or none, also those that have run out, and returns
// them. Only App, the part and Holder of each count. It is a
// [rings.UnknownError] when one is not there.
func (db *DB) Unlock(ctx context.Context, locks ...rings.Lock) ([]rings.Lock, error) {
	var released []rings.Lock
	err := db.update(ctx, func(tx *bolt.Tx) error {
		released = nil
		b := tx.Bucket(bucketLocks)
		for _, l := range locks {
			if _, err := getApp(tx, l.App); err != nil {
				return err
			}
			var was rings.Lock
			ok, err := get(b, lockKey(l), &was)
			if err != nil {
				return err
			}
			if !ok {
				return &rings.UnknownError{Kind: "lock", Name: l.Part(), Where: "those of " + l.Holder}
			}
			released = append(released, was)
			if err := b.Delete(lockKey(l)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return released, nil
}

// Locks returns the locks of the application, or with an empty name of all,
// that stand at now, sorted by application and part; none is no error.
func (db *DB) Locks(ctx context.Context, app rings.AppName, now time.Time) ([]rings.Lock, error) {
	var locks []rings.Lock
	err := db.view(ctx, func(tx *bolt.Tx) (err error) {
		if err = knownScope(tx, app); err == nil {
			locks, err = locksOf(tx, app)
		}
		return err
	})
	return rings.Barriers{Locks: locks}.At(now).Locks, err
}

// locksOf returns all locks of the application, or with an empty name of all.
func locksOf(tx *bolt.Tx, app rings.AppName) ([]rings.Lock, error) {
	return under[rings.Lock](tx.Bucket(bucketLocks), app)
}

// SetWindow makes the windows, or replaces those of their names, all or none. It
// is a [rings.InvalidError] or a [rings.UnknownError] when one is not valid, or its
// ring is not there.
func (db *DB) SetWindow(ctx context.Context, windows ...rings.Window) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		for _, w := range windows {
			if err := putWindow(tx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

func putWindow(tx *bolt.Tx, w rings.Window) error {
	w.At, w.From, w.To = w.At.UTC(), w.From.UTC(), w.To.UTC()
	if err := w.Validate(time.LoadLocation); err != nil {
		return err
	}
	a, err := getApp(tx, w.App)
	if err != nil {
		return err
	}
	if w.Ring != "" {
		if _, err := a.Ring(w.Ring); err != nil {
			return err
		}
	}
	_, err = put(tx.Bucket(bucketWindows), pair(w.App, string(w.Name)), w)
	return err
}

// RemoveWindow removes the window and returns it. It is a [rings.UnknownError] when
// it is not there.
func (db *DB) RemoveWindow(ctx context.Context, app rings.AppName, name rings.WindowName) (rings.Window, error) {
	var was rings.Window
	err := db.update(ctx, func(tx *bolt.Tx) error {
		if _, err := getApp(tx, app); err != nil {
			return err
		}
		b, key := tx.Bucket(bucketWindows), pair(app, string(name))
		ok, err := get(b, key, &was)
		if err != nil {
			return err
		}
		if !ok {
			return unknownWindow(tx, app, name)
		}
		return b.Delete(key)
	})
	return was, err
}

func unknownWindow(tx *bolt.Tx, app rings.AppName, name rings.WindowName) error {
	all, err := windowsOf(tx, app)
	if err != nil {
		return err
	}
	var names []string
	for _, w := range all {
		names = append(names, string(w.Name))
	}
	return &rings.UnknownError{Kind: "window", Name: string(name), Where: fmt.Sprintf("application %q", app), Nearest: rings.Nearest(string(name), names)}
}

// Windows returns the windows of the application, sorted by name; none is no
// error.
func (db *DB) Windows(ctx context.Context, app rings.AppName) ([]rings.Window, error) {
	var windows []rings.Window
	err := db.view(ctx, func(tx *bolt.Tx) (err error) {
		if _, err = getApp(tx, app); err == nil {
			windows, err = windowsOf(tx, app)
		}
		return err
	})
	return windows, err
}

func windowsOf(tx *bolt.Tx, app rings.AppName) ([]rings.Window, error) {
	return under[rings.Window](tx.Bucket(bucketWindows), app)
}

// under returns what the bucket holds of the application, or with an empty name
// of all, in the order of the keys.
func under[T any](b *bolt.Bucket, app rings.AppName) ([]T, error) {
	var out []T
	prefix := prefixOf(app)
	c := b.Cursor()
	for k, data := c.Seek(prefix); k != nil && slices.Equal(k[:min(len(k), len(prefix))], prefix); k, data = c.Next() {
		var one T
		if err := decode(b, k, data, &one); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// lockKey is the application, the part and the holder of the lock. No cluster's
// name has a space in it.
func lockKey(l rings.Lock) []byte {
	cluster := string(l.Cluster)
	if l.Group != "" {
		cluster = "group " + l.Group
	}
	return pair(l.App, fmt.Sprintf("%s\x00%s\x00%s\x00%s", l.Ring, l.Service, cluster, l.Holder))
}
