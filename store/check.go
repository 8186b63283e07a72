package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// Check reads the whole store and returns everything that is wrong with it:
// pages, journals that do not fold, snapshots that differ from the fold, lists
// that do not agree with the rollouts, and what belongs to nothing. It is nil
// for a sound store. When the file cannot be used at all, that is the one
// error.
func (db *DB) Check(ctx context.Context) []error {
	var c checker
	err := db.view(ctx, func(tx *bolt.Tx) error {
		c.tx = tx
		c.pages()
		if len(c.faults) == 0 {
			c.apps()
			c.clusters()
			c.rollouts()
			c.orders(bucketTimes, func(Summary) bool { return true })
			c.orders(bucketLive, func(row Summary) bool { return !row.Phase.Ended() })
			c.orphans(bucketJournal)
			c.orphans(bucketSnapshots)
			c.orphans(bucketLeases)
			c.inbox()
			c.halts()
			c.locks()
			c.windows()
			c.placed()
			c.words()
			c.log()
			c.releases()
			c.notes()
		}
		return nil
	})
	if err != nil {
		c.faults = append(c.faults, err)
	}
	return c.faults
}

type checker struct {
	tx     *bolt.Tx
	rows   map[string]Summary // by rollout key
	faults []error
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

// pages checks what bbolt itself knows, after a walk through everything that
// would end in a fault here, where it is recovered, and not in the goroutine
// of bbolt's check. The channel must be read to its end.
func (c *checker) pages() {
	err := c.tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return walk(b) })
	if err != nil {
		c.fault("%w: %w", ErrCorrupt, err)
		return
	}
	for err := range c.tx.Check() {
		c.fault("%w: %w", ErrCorrupt, err)
	}
}

// walk reads all keys and values below the bucket.
func walk(b *bolt.Bucket) error {
	return b.ForEach(func(key, value []byte) error {
		if value == nil {
			return walk(b.Bucket(key))
		}
		return nil
	})
}

func (c *checker) apps() {
	for _, name := range keysOf(c.tx.Bucket(bucketApps)) {
		app, err := getApp(c.tx, rings.AppName(name))
		if err == nil {
			err = app.Validate()
		}
		if err != nil {
			c.fault("application %q: %w", name, err)
		} else if string(app.Name) != name {
			c.fault("application %q is stored as %q", app.Name, name)
		}
	}
}

func (c *checker) clusters() {
	b := c.tx.Bucket(bucketClusters)
	for _, key := range keysOf(b) {
		var record rings.Cluster
		if _, err := get(b, []byte(key), &record); err != nil {
			c.fault("cluster %q: %w", key, err)
		} else if string(pair(record.App, record.Name)) != key {
			c.fault("cluster %q is stored as %q", record.Name, key)
		} else if _, err := getApp(c.tx, record.App); err != nil {
			c.fault("cluster %q: %w", record.Name, err)
		}
	}
}

func (c *checker) notes() {
	b := c.tx.Bucket(bucketNotes)
	for _, key := range keysOf(b) {
		var n rings.Note
		if _, err := get(b, []byte(key), &n); err != nil {
			c.fault("note %q: %w", key, err)
		} else if string(noteKey(n)) != key {
			c.fault("note %d of application %q is stored as %q", n.Number, n.App, key)
		}
	}
}

func (c *checker) rollouts() {
	b := c.tx.Bucket(bucketRollouts)
	c.rows = map[string]Summary{}
	for _, key := range keysOf(b) {
		var row Summary
		if _, err := get(b, []byte(key), &row); err != nil {
			c.fault("rollout %q: %w", rolloutOf([]byte(key)), err)
			continue
		}
		c.rows[key] = row
		if err := c.rollout(key, row); err != nil {
			c.fault("rollout %q: %w", rolloutOf([]byte(key)), err)
		}
	}
}

// rollout compares the row, the journal and the snapshot of one rollout.
func (c *checker) rollout(key string, row Summary) error {
	if id := rolloutOf([]byte(key)); id != row.ID {
		return fmt.Errorf("listed as %q", row.ID)
	}
	if err := c.sequence(row.ID); err != nil {
		return err
	}
	whole, err := foldFrom(c.tx, row.ID, nil, 0)
	if err != nil {
		return err
	}
	short, err := load(c.tx, row.ID)
	if err != nil {
		return err
	}
	if !same(whole, short) {
		return errors.New("the snapshot differs from the journal")
	}
	if !same(summarize(whole), row) {
		return errors.New("the list differs from the journal")
	}
	return c.steps(whole)
}

// sequence checks that events are numbered from 1 without gaps.
func (c *checker) sequence(id orchestrator.ID) error {
	next := uint64(1)
	return eachEvent(c.tx, id, 0, func(e orchestrator.Event) (bool, error) {
		if e.Seq != next {
			return false, fmt.Errorf("event %d is missing", next)
		}
		next++
		return true, nil
	})
}

// orders checks a bucket of <time-rollout>: it holds exactly those rollouts
// that are wanted.
func (c *checker) orders(bucket []byte, wanted func(Summary) bool) {
	b, n := c.tx.Bucket(bucket), 0
	for key, row := range c.rows {
		if !wanted(row) {
			continue
		}
		n++
		if b.Get(timeKey(row.StartedAt, []byte(key))) == nil {
			c.fault("rollout %q is missing in %s", row.ID, bucket)
		}
	}
	if extra := len(keysOf(b)) - n; extra > 0 {
		c.fault("%s lists %d rollouts too many", bucket, extra)
	}
}

// orphans checks that a bucket with rollouts for keys has only known ones.
func (c *checker) orphans(bucket []byte) {
	for _, key := range keysOf(c.tx.Bucket(bucket)) {
		if _, ok := c.rows[key]; !ok {
			c.fault("%s has a rollout %q that is not listed", bucket, rolloutOf([]byte(key)))
		}
	}
}

func (c *checker) inbox() {
	for _, key := range keysOf(c.tx.Bucket(bucketInbox)) {
		if len(key) < 8 {
			c.fault("inbox has a key %q", key)
		} else if row, ok := c.rows[key[:len(key)-8]]; !ok || row.Phase.Ended() {
			c.fault("inbox has a command for %q, which is not live", rolloutOf([]byte(key[:len(key)-8])))
		}
	}
}

func (c *checker) halts() {
	b := c.tx.Bucket(bucketHalts)
	for _, key := range keysOf(b) {
		var h rings.Halt
		if _, err := get(b, []byte(key), &h); err != nil {
			c.fault("halt %q: %w", key, err)
		} else if string(haltKey(h.App)) != key {
			c.fault("halt %q is stored as %q", haltKey(h.App), key)
		} else if err := knownScope(c.tx, h.App); err != nil {
			c.fault("halt %q: %w", key, err)
		}
	}
}

func (c *checker) locks() {
	b := c.tx.Bucket(bucketLocks)
	for _, key := range keysOf(b) {
		var l rings.Lock
		if _, err := get(b, []byte(key), &l); err != nil {
			c.fault("lock %q: %w", key, err)
		} else if string(lockKey(l)) != key {
			c.fault("lock %q is stored as %q", lockKey(l), key)
		} else if _, err := getApp(c.tx, l.App); err != nil {
			c.fault("lock %q: %w", key, err)
		}
	}
}

func (c *checker) windows() {
	b := c.tx.Bucket(bucketWindows)
	for _, key := range keysOf(b) {
		var w rings.Window
		if _, err := get(b, []byte(key), &w); err != nil {
			c.fault("window %q: %w", key, err)
		} else if string(pair(w.App, w.Name)) != key {
			c.fault("window %q is stored as %q", pair(w.App, w.Name), key)
		} else if _, err := getApp(c.tx, w.App); err != nil {
			c.fault("window %q: %w", key, err)
		} else if err := w.Validate(time.LoadLocation); err != nil {
			c.fault("window %q: %w", key, err)
		}
	}
}

// same compares what the values look like when they are stored. Times are the
// same in every zone.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	if err1 != nil || err2 != nil {
		return false
	}
	return bytes.Equal(x, y) || reflect.DeepEqual(inUTC(x), inUTC(y))
}

// inUTC decodes the JSON with all its times in UTC.
func inUTC(data []byte) any {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	return toUTC(v)
}

func toUTC(v any) any {
	switch v := v.(type) {
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
	case map[string]any:
		for k := range v {
			v[k] = toUTC(v[k])
		}
	case []any:
		for i := range v {
			v[i] = toUTC(v[i])
		}
	}
	return v
}
