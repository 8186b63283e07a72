package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// The log numbers the events of all rollouts in the order in which they were
// written, from 1 without gaps. It has a key, the number, only where another
// rollout goes on than before, and keeps the rollout and its event there, so a
// rollout that runs alone costs nothing; it keeps no rollout where what follows was
// pruned. What was written before there was a log
// stands in the order in which the rollouts were started.

// Logged is an event with its number in the log.
type Logged struct {
	Number uint64
	orchestrator.Event
}

// LogFilter says which events to read; the zero value means all.
type LogFilter struct {
	After   uint64          // only those after this number
	App     rings.AppName   // "" for all
	Rollout orchestrator.ID // "" for all
	Limit   int             // read so many at most; 0 for all
}

// Log returns the events that the filter lets through, oldest first, and the
// number up to which it has read: the After of the next look. Nothing new is no
// error; an After that no event has yet is a [rings.UnknownError].
func (db *DB) Log(ctx context.Context, f LogFilter) (events []Logged, read uint64, err error) {
	err = db.view(ctx, func(tx *bolt.Tx) (err error) {
		events, read, err = readLog(tx, f)
		return err
	})
	return events, read, err
}

// logged notes that n events of the rollout were written, the first of which
// has the number seq in it.
func logged(tx *bolt.Tx, id orchestrator.ID, seq uint64, n int) error {
	if n == 0 {
		return nil
	}
	meta, b := tx.Bucket(bucketMeta), tx.Bucket(bucketLog)
	total := numberOf(meta.Get(keyEvents))
	key, _ := rolloutKey(id)
	if _, last := b.Cursor().Last(); len(last) < 8 || !bytes.Equal(last[:len(last)-8], key) {
		if err := b.Put(number(total+1), append(key, number(seq)...)); err != nil {
			return err
		}
	}
	return meta.Put(keyEvents, number(total+uint64(n)))
}

// stretch are events of one rollout that stand together in the log.
type stretch struct {
	rollout     orchestrator.ID // "" for events that were pruned
	first, last uint64          // in the log
	seq         uint64          // of the first, in the rollout
}

// eachStretch calls fn with the stretches from the one that holds the number
// on, until it returns false.
func eachStretch(tx *bolt.Tx, from uint64, fn func(stretch) (bool, error)) error {
	total := numberOf(tx.Bucket(bucketMeta).Get(keyEvents))
	c := tx.Bucket(bucketLog).Cursor()
	k, v := seekChunk(c, from)
	for k != nil {
		if len(v) < 8 {
			return fmt.Errorf("%w: log entry %d", ErrCorrupt, numberOf(k))
		}
		s := stretch{rollout: rolloutOf(v[:len(v)-8]), first: numberOf(k), last: total, seq: numberOf(v[len(v)-8:])}
		if k, v = c.Next(); k != nil {
			s.last = numberOf(k) - 1
		}
		if more, err := fn(s); err != nil || !more {
			return err
		}
	}
	return nil
}

func readLog(tx *bolt.Tx, f LogFilter) (events []Logged, read uint64, err error) {
	if read = f.After; read > numberOf(tx.Bucket(bucketMeta).Get(keyEvents)) {
		return nil, read, &rings.UnknownError{Kind: "event", Name: fmt.Sprint(read)}
	}
	err = eachStretch(tx, f.After+1, func(s stretch) (bool, error) {
		from := max(s.first, f.After+1)
		if s.rollout == "" || f.Rollout != "" && s.rollout != f.Rollout || f.App != "" && !isOf(s.rollout, f.App) {
			read = max(read, s.last)
			return true, nil
		}
		err := eachEvent(tx, s.rollout, s.seq+from-s.first, func(e orchestrator.Event) (bool, error) {
			n := s.first + e.Seq - s.seq
			if n > s.last || f.Limit > 0 && len(events) == f.Limit {
				return false, nil
			}
			events, read = append(events, Logged{n, e}), n
			return true, nil
		})
		if f.Limit > 0 && len(events) == f.Limit {
			return false, err
		}
		read = max(read, s.last)
		return true, err
	})
	return events, read, err
}

// isOf reports whether the rollout is one of the application.
func isOf(id orchestrator.ID, app rings.AppName) bool {
	key, ok := rolloutKey(id)
	return ok && bytes.Equal(key[:len(key)-8], pair(app, ""))
}

// log checks that the stretches of each rollout are its events, in order.
func (c *checker) log() {
	next := map[orchestrator.ID]uint64{}
	number := uint64(1)
	err := eachStretch(c.tx, 1, func(s stretch) (bool, error) {
		if s.rollout == "" && s.first == number && s.last >= s.first {
			number = s.last + 1
			return true, nil
		}
		if s.first != number || s.seq != next[s.rollout]+1 || s.last < s.first {
			return false, fmt.Errorf("event %d of the log, of rollout %q: %d of it stand before that, not %d", s.first, s.rollout, next[s.rollout], s.seq-1)
		}
		next[s.rollout], number = s.seq+s.last-s.first, s.last+1
		return true, nil
	})
	var all []error
	for _, row := range c.rows {
		if n := lastSeq(c.tx, row.ID); n != next[row.ID] && err == nil {
			all = append(all, fmt.Errorf("rollout %q: %d of its %d events are in the log", row.ID, next[row.ID], n))
		}
	}
	if err := errors.Join(append(all, err)...); err != nil {
		c.fault("log: %w", err)
	}
}
