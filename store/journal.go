package store

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
)

// Rollout implements [orchestrator.Store]. A rollout that is not there is a
// [rings.UnknownError] that also wraps [orchestrator.ErrNotFound].
func (db *DB) Rollout(ctx context.Context, id orchestrator.ID) (*orchestrator.State, error) {
	var s *orchestrator.State
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if _, err := getRow(tx, id); err != nil {
			return err
		}
		var err error
		s, err = load(tx, id)
		return err
	})
	return s, err
}

// load folds the newest snapshot and the events after it.
func load(tx *bolt.Tx, id orchestrator.ID) (*orchestrator.State, error) {
	s, seq, err := loadSnapshot(tx, id)
	if err != nil {
		return nil, err
	}
	return foldFrom(tx, id, s, seq)
}

// foldFrom applies the events after seq to s.
func foldFrom(tx *bolt.Tx, id orchestrator.ID, s *orchestrator.State, seq uint64) (*orchestrator.State, error) {
	err := eachEvent(tx, id, seq+1, func(e orchestrator.Event) (_ bool, err error) {
		if (e.Seq == 1) != (s == nil) {
			return false, fmt.Errorf("%w: rollout %q does not begin with its first event", ErrCorrupt, id)
		}
		s, err = apply(s, e)
		return true, err
	})
	if err == nil && s == nil {
		err = fmt.Errorf("%w: rollout %q has no journal", ErrCorrupt, id)
	}
	return s, err
}

// apply folds the event. The fold trusts its journal: of one that was damaged
// it may panic, which must not end a process that drives other rollouts.
func apply(s *orchestrator.State, e orchestrator.Event) (_ *orchestrator.State, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: rollout %q: event %d (%s) does not fold: %v", ErrCorrupt, e.Rollout, e.Seq, e.Type(), p)
		}
	}()
	return orchestrator.Apply(s, e), nil
}

// Events returns the rollout's events from the sequence number on, at most
// limit of them, 0 for all; none is no error.
func (db *DB) Events(ctx context.Context, id orchestrator.ID, from uint64, limit int) ([]orchestrator.Event, error) {
	var all []orchestrator.Event
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if _, err := getRow(tx, id); err != nil {
			return err
		}
		return eachEvent(tx, id, from, func(e orchestrator.Event) (bool, error) {
			all = append(all, e)
			return limit <= 0 || len(all) < limit, nil
		})
	})
	return all, err
}

// journalOf returns the rollout's events, by number; nil when there are none.
func journalOf(tx *bolt.Tx, id orchestrator.ID) *bolt.Bucket {
	key, ok := rolloutKey(id)
	if !ok {
		return nil
	}
	return tx.Bucket(bucketJournal).Bucket(key)
}

// eachEvent calls fn with the events from the sequence number on, until it
// returns false.
func eachEvent(tx *bolt.Tx, id orchestrator.ID, from uint64, fn func(orchestrator.Event) (bool, error)) error {
	j := journalOf(tx, id)
	if j == nil {
		return nil
	}
	c := j.Cursor()
	for k, v := seekChunk(c, from); k != nil; k, v = c.Next() {
		first := numberOf(k)
		lines, err := decodeChunk(v)
		if err != nil {
			return fmt.Errorf("rollout %q: event %d: %w", id, first, err)
		}
		skip := min(max(from, first)-first, uint64(len(lines)))
		more, err := eachLine(id, first+skip, lines[skip:], fn)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// eachLine calls fn with the events of the lines, numbered from first.
func eachLine(id orchestrator.ID, first uint64, lines [][]byte, fn func(orchestrator.Event) (bool, error)) (bool, error) {
	for i, line := range lines {
		e, err := orchestrator.DecodeEvent(line)
		if err != nil {
			return false, fmt.Errorf("rollout %q: event %d: %w", id, first+uint64(i), err)
		}
		e.Rollout, e.Seq = id, first+uint64(i)
		if more, err := fn(e); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// seekChunk moves to the chunk that holds the event, or else to the first
// after it.
func seekChunk(c *bolt.Cursor, seq uint64) (key, data []byte) {
	if key, data = c.Seek(number(seq)); numberOf(key) == seq && key != nil {
		return key, data
	}
	if key == nil {
		key, data = c.Last()
	} else {
		key, data = c.Prev()
	}
	if key == nil {
		return c.First()
	}
	return key, data
}

// lastSeq returns the number of the rollout's last event; 0 when it has none.
func lastSeq(tx *bolt.Tx, id orchestrator.ID) uint64 {
	j := journalOf(tx, id)
	if j == nil {
		return 0
	}
	key, data := j.Cursor().Last()
	if key == nil {
		return 0
	}
	return numberOf(key) + uint64(chunkLen(data)) - 1
}
