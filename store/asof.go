package store

import (
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// AsOf returns what rollouts had put on the ring at the time: for each of the
// application's services that they had, the last version, and the rollout by
// which it was verified there by then, if one had ended well with it. It is
// empty for a time before the first of them.
func (db *DB) AsOf(ctx context.Context, app rings.AppName, ring rings.RingName, at time.Time) (map[rings.ServiceName]rings.Known, error) {
	out := map[rings.ServiceName]rings.Known{}
	err := db.view(ctx, func(tx *bolt.Tx) error {
		a, err := getApp(tx, app)
		if err != nil {
			return err
		}
		if _, err := a.Ring(ring); err != nil {
			return err
		}
		return eachNewest(tx, Filter{App: app, Ring: ring}, func(row Summary) (bool, error) {
			if row.StartedAt.After(at) {
				return true, nil
			}
			s, err := stateAt(tx, row, at)
			if err != nil {
				return false, err
			}
			known, err := left(tx, s, ring)
			if err != nil {
				return false, err
			}
			for name, k := range known {
				if _, seen := out[name]; !seen {
					out[name] = k
				}
			}
			return len(out) < len(a.Services), nil
		})
	})
	return out, err
}

// StatesAt returns the rollouts as they were at the time, with a zero at as they
// are. Those that had not begun by then are not among them. An id that is not
// there is a [rings.UnknownError] that also wraps [orchestrator.ErrNotFound].
func (db *DB) StatesAt(ctx context.Context, at time.Time, ids ...orchestrator.ID) (map[orchestrator.ID]*orchestrator.State, error) {
	out := map[orchestrator.ID]*orchestrator.State{}
	err := db.view(ctx, func(tx *bolt.Tx) error {
		for _, id := range ids {
			if out[id] != nil {
				continue
			}
			row, err := getRow(tx, id)
			if err != nil {
				return err
			}
			s, err := stateAt(tx, row, at)
			if err != nil {
				return err
			}
			if s != nil {
				out[id] = s
			}
		}
		return nil
	})
	return out, err
}

// stateAt returns the rollout as it was at the time, with a zero at as it is;
// nil when it had not begun.
func stateAt(tx *bolt.Tx, row Summary, at time.Time) (*orchestrator.State, error) {
	if at.IsZero() || row.Phase.Ended() && !row.FinishedAt.After(at) {
		return load(tx, row.ID)
	}
	last, err := lastUntil(tx, row.ID, at)
	if err != nil || last == 0 {
		return nil, err
	}
	var s *orchestrator.State
	err = eachEvent(tx, row.ID, 0, func(e orchestrator.Event) (_ bool, err error) {
		s, err = apply(s, e)
		return e.Seq < last, err
	})
	return s, err
}

// lastUntil is the number of the rollout's last event that is not later than at;
// 0 when all are. Events before it may be later: drivers' clocks differ.
func lastUntil(tx *bolt.Tx, id orchestrator.ID, at time.Time) (uint64, error) {
	j := journalOf(tx, id)
	if j == nil {
		return 0, nil
	}
	c := j.Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		lines, err := decodeChunk(v)
		for i := len(lines) - 1; i >= 0 && err == nil; i-- {
			var t time.Time
			if t, err = orchestrator.EventTime(lines[i]); err == nil && !t.After(at) {
				return numberOf(k) + uint64(i), nil
			}
		}
		if err != nil {
			return 0, fmt.Errorf("rollout %q: event %d: %w", id, numberOf(k), err)
		}
	}
	return 0, nil
}

// left is what the rollout left behind on the ring. Of the steps of a service,
// the last one that may have put something on the branch counts; one after which
// something was pruned says nothing.
func left(tx *bolt.Tx, s *orchestrator.State, ring rings.RingName) (map[rings.ServiceName]rings.Known, error) {
	out := map[rings.ServiceName]rings.Known{}
	for i, st := range s.Steps {
		if st.Ring != ring || st.Observed || st.Attempt.Number == 0 {
			continue
		}
		var row StepSummary
		if _, err := get(tx.Bucket(bucketSteps), stepKey(s.ID, i), &row); err != nil {
			return nil, err
		}
		if row.Unlisted {
			continue
		}
		k := rings.Known{Version: st.Attempt.Version, Settings: st.Attempt.Settings, Commit: st.Attempt.Commit, At: st.PublishedAt, DecidedAt: s.StartedAt}
		if !st.Undo && st.Phase == orchestrator.StepDone && ended(s, ring) {
			k.Verified = string(s.ID)
		}
		out[st.Target.Service] = k
	}
	return out, nil
}

// ended reports whether the rollout ended well on the ring.
func ended(s *orchestrator.State, ring rings.RingName) bool {
	for _, r := range s.Rings {
		if r.Name == ring {
			return r.Phase == orchestrator.RingDone
		}
	}
	return false
}
