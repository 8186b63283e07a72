package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// ErrHalted is wrapped by [HaltedError].
var ErrHalted = errors.New("the line is stopped")

// HaltedError says which halt keeps a rollout from starting.
type HaltedError struct{ Halt rings.Halt }

// Error says who halted what, since when, why and until when.
func (e *HaltedError) Error() string {
	what, until := "all applications", "until it is lifted"
	if e.Halt.App != "" {
		what = fmt.Sprintf("application %q", e.Halt.App)
	}
	if !e.Halt.Until.IsZero() {
		until = "until " + e.Halt.Until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s: %v by %s since %s, %s: %s", what, ErrHalted, e.Halt.By,
		e.Halt.At.UTC().Format(time.RFC3339), until, e.Halt.Reason)
}

// Unwrap returns ErrHalted.
func (e *HaltedError) Unwrap() error { return ErrHalted }

// Halt stops the line of the application, or of all with an empty App. A halt
// of the same scope takes the place of the older one.
func (db *DB) Halt(ctx context.Context, h rings.Halt) error {
	h.At, h.Until = h.At.UTC(), h.Until.UTC()
	return db.update(ctx, func(tx *bolt.Tx) error {
		if err := knownScope(tx, h.App); err != nil {
			return err
		}
		wrote, err := put(tx.Bucket(bucketHalts), haltKey(h.App), h)
		if err == nil && !wrote {
			err = errUnchanged
		}
		return err
	})
}

// Unhalt lifts the halt of the application, or with an empty name that of all,
// and returns it, also one that has run out. It is a [rings.UnknownError] when
// there is none: the halt of an application is not lifted with that of all, nor
// the other way round.
func (db *DB) Unhalt(ctx context.Context, app rings.AppName) (rings.Halt, error) {
	var lifted rings.Halt
	err := db.update(ctx, func(tx *bolt.Tx) error {
		if err := knownScope(tx, app); err != nil {
			return err
		}
		b, key := tx.Bucket(bucketHalts), haltKey(app)
		ok, err := get(b, key, &lifted)
		if err != nil {
			return err
		}
		if !ok {
			return unknownHalt(app)
		}
		return b.Delete(key)
	})
	if err != nil {
		return rings.Halt{}, err
	}
	return lifted, nil
}

// Halts returns the halts that stand at now: that of all applications first,
// the others sorted by application. None is no error.
func (db *DB) Halts(ctx context.Context, now time.Time) ([]rings.Halt, error) {
	var all []rings.Halt
	err := db.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketHalts)
		return b.ForEach(func(key, data []byte) error {
			var h rings.Halt
			if err := decode(b, key, data, &h); err != nil {
				return err
			}
			if h.Stands(now) {
				all = append(all, h)
			}
			return nil
		})
	})
	return all, err
}

// standing returns the halt that keeps the application's rollouts from
// starting; nil when there is none.
func standing(tx *bolt.Tx, app rings.AppName, now time.Time) (*rings.Halt, error) {
	for _, key := range [][]byte{haltKey(app), keyAll} {
		h := new(rings.Halt)
		if ok, err := get(tx.Bucket(bucketHalts), key, h); err != nil {
			return nil, err
		} else if ok && h.Stands(now) {
			return h, nil
		}
	}
	return nil, nil
}

// checkHalts is a HaltedError while a halt of the application stands.
func checkHalts(tx *bolt.Tx, app rings.AppName, now time.Time) error {
	h, err := standing(tx, app, now)
	if err != nil || h == nil {
		return err
	}
	return &HaltedError{Halt: *h}
}

// knownScope is an UnknownError for an application that is not there.
func knownScope(tx *bolt.Tx, app rings.AppName) error {
	if app == "" {
		return nil
	}
	_, err := getApp(tx, app)
	return err
}

func unknownHalt(app rings.AppName) error {
	if app == "" {
		return &rings.UnknownError{Kind: "halt", Name: "all applications"}
	}
	return &rings.UnknownError{Kind: "halt", Name: string(app)}
}

// haltKey is the key of the application's halt, or of the one of all.
func haltKey(app rings.AppName) []byte {
	if app == "" {
		return keyAll
	}
	return []byte(app)
}
