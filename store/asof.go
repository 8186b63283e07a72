package store

import (
	"context"
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

// stateAt returns the rollout as it was at the time.
func stateAt(tx *bolt.Tx, row Summary, at time.Time) (*orchestrator.State, error) {
	if row.Phase.Ended() && !row.FinishedAt.After(at) {
		return load(tx, row.ID)
	}
	var s *orchestrator.State
	err := eachEvent(tx, row.ID, 0, func(e orchestrator.Event) (bool, error) {
		if e.At.After(at) {
			return false, nil
		}
		s = orchestrator.Apply(s, e)
		return true, nil
	})
	return s, err
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
