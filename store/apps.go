package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// CreateApp adds the application. It returns a [rings.InvalidError] or
// [rings.CycleError] when it is not valid, and wraps [rings.ErrExists] when the
// name is taken.
func (db *DB) CreateApp(ctx context.Context, app *rings.Application) error {
	if err := cmp.Or(app.Validate(), app.CheckZones(time.LoadLocation)); err != nil {
		return err
	}
	return db.update(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(bucketApps).Get([]byte(app.Name)) != nil {
			return fmt.Errorf("application %q: %w", app.Name, rings.ErrExists)
		}
		return putApp(tx, app)
	})
}

// App returns the application; the caller owns it.
func (db *DB) App(ctx context.Context, name rings.AppName) (*rings.Application, error) {
	var app *rings.Application
	err := db.view(ctx, func(tx *bolt.Tx) (err error) {
		app, err = getApp(tx, name)
		return err
	})
	return app, err
}

// Apps returns all applications, sorted by name; none is no error. The caller
// owns them.
func (db *DB) Apps(ctx context.Context) ([]*rings.Application, error) {
	var apps []*rings.Application
	err := db.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketApps)
		return b.ForEach(func(key, data []byte) error {
			app := new(rings.Application)
			apps = append(apps, app)
			return decode(b, key, data, app)
		})
	})
	return apps, err
}

// UpdateApp lets change alter the application and writes it, unless change
// returns an error or the result is not valid: that error is returned, and
// nothing is written. The name cannot be changed. change runs with the file
// locked: it must be quick, must not use the store, and is called once.
func (db *DB) UpdateApp(ctx context.Context, name rings.AppName, change func(*rings.Application) error) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		app, err := getApp(tx, name)
		if err != nil {
			return err
		}
		if err := change(app); err != nil {
			return err
		}
		app.Name = name
		if err := cmp.Or(app.Validate(), app.CheckZones(time.LoadLocation)); err != nil {
			return err
		}
		return putApp(tx, app)
	})
}

func getApp(tx *bolt.Tx, name rings.AppName) (*rings.Application, error) {
	b, app := tx.Bucket(bucketApps), new(rings.Application)
	ok, err := get(b, []byte(name), app)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &rings.UnknownError{Kind: "application", Name: string(name),
			Nearest: rings.Nearest(string(name), keysOf(b))}
	}
	return app, nil
}

// putApp writes the application; errUnchanged when it is stored like that.
func putApp(tx *bolt.Tx, app *rings.Application) error {
	wrote, err := put(tx.Bucket(bucketApps), []byte(app.Name), app)
	if err == nil && !wrote {
		err = errUnchanged
	}
	return err
}

// keysOf returns the bucket's keys as text.
func keysOf(b *bolt.Bucket) []string {
	var keys []string
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		keys = append(keys, string(k))
	}
	return keys
}

// deletePrefix removes all keys that begin with the prefix.
func deletePrefix(b *bolt.Bucket, prefix []byte) error {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
