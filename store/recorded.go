package store

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// Recorded is what was known of a service on a ring when a rollout was created
// that put something there: what was there before, whoever had put it.
type Recorded struct {
	rings.Known
	Next StepSummary // without its clusters
}

// Recorded returns what was known of each of the application's services on each
// ring before the first rollout that put something there after at, with a zero
// at before the first of all. Where none did nothing is returned: what is known
// there is in the application; and neither where the one before had put just that
// there. An application that is gone has none.
func (db *DB) Recorded(ctx context.Context, app rings.AppName, at time.Time) (map[orchestrator.Ref]Recorded, error) {
	out := map[orchestrator.Ref]Recorded{}
	err := db.view(ctx, func(tx *bolt.Tx) error {
		r, created := recorder{tx}, map[orchestrator.ID]*orchestrator.Created{}
		return eachGroup(tx.Bucket(bucketPlaced), placePrefix(app, "", ""), 3, func(prefix []byte) error {
			from := prefix
			if !at.IsZero() {
				from = append(bytes.Clone(prefix), timeKey(at.Add(1), nil)...)
			}
			c := tx.Bucket(bucketPlaced).Cursor()
			key, _ := c.Seek(from)
			if !bytes.HasPrefix(key, prefix) {
				return nil
			}
			row, err := r.stepAt(key[len(prefix)+timeSize:])
			if err != nil {
				return err
			}
			if last, _ := c.Prev(); bytes.HasPrefix(last, prefix) {
				before, err := r.stepAt(last[len(prefix)+timeSize:])
				if err != nil || before.To == row.From {
					return err
				}
			}
			if created[row.Rollout] == nil {
				if created[row.Rollout], err = createdOf(tx, row.Rollout); err != nil {
					return err
				}
			}
			if known := knownIn(created[row.Rollout], row); known.Version != "" {
				out[orchestrator.Ref{Ring: row.Ring, Service: row.Service}] = Recorded{known, row}
			}
			return nil
		})
	})
	return out, err
}

// createdOf reads the rollout's first event.
func createdOf(tx *bolt.Tx, id orchestrator.ID) (*orchestrator.Created, error) {
	out := &orchestrator.Created{}
	err := eachEvent(tx, id, 1, func(e orchestrator.Event) (bool, error) {
		if c, ok := e.Body.(orchestrator.Created); ok {
			out = &c
		}
		return false, nil
	})
	return out, err
}

// knownIn is what the rollout was created with of the step's service; nothing for
// a step that it made later.
func knownIn(c *orchestrator.Created, row StepSummary) rings.Known {
	for _, n := range c.Steps {
		if n.Ring == row.Ring && n.Target.Service == row.Service && !n.Observed {
			return n.Known
		}
	}
	return rings.Known{}
}
