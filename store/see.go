package store

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// Placement is what a ring had of a service from a moment on.
type Placement struct {
	StepSummary              // with its clusters
	Next        *StepSummary // what was put in its place; nil when nothing was
}

// Placed returns, for every service that was ever put on a ring of the
// application, what was put there last until at, with a zero at until now:
// sorted by service and ring. Services and rings that are gone are among them;
// nothing is no error, and neither is an application that is gone.
func (db *DB) Placed(ctx context.Context, app rings.AppName, at time.Time) ([]Placement, error) {
	var out []Placement
	err := db.view(ctx, func(tx *bolt.Tx) error {
		r := recorder{tx}
		return eachGroup(tx.Bucket(bucketPlaced), placePrefix(app, "", ""), 3, func(prefix []byte) error {
			var end []byte
			if !at.IsZero() {
				end = append(bytes.Clone(prefix), timeKey(at.Add(1), nil)...)
			}
			row, key, err := r.newest(prefix, end)
			if err != nil || key == nil {
				return err
			}
			p, err := r.placement(row, prefix, key)
			out = append(out, p)
			return err
		})
	})
	return out, err
}

// placement is the step with that key in placed.
func (r recorder) placement(row StepSummary, prefix, key []byte) (Placement, error) {
	p := Placement{StepSummary: row}
	var err error
	if p.Clusters, err = r.timings(key[len(prefix)+timeSize:]); err == nil {
		p.Next, err = r.after(prefix, key)
	}
	return p, err
}

// eachGroup calls fn once for every beginning, up to and with so many zero
// bytes, of keys that begin with the prefix.
func eachGroup(b *bolt.Bucket, prefix []byte, zeros int, fn func([]byte) error) error {
	c := b.Cursor()
	for key, _ := c.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix); {
		end := 0
		for range zeros {
			end += bytes.IndexByte(key[end:], 0) + 1
		}
		group := bytes.Clone(key[:end])
		if err := fn(group); err != nil {
			return err
		}
		next := bytes.Clone(group)
		next[end-1]++ // a zero byte
		key, _ = c.Seek(next)
	}
	return nil
}

// Sighting is the last time that a version or a commit was put on a ring.
type Sighting struct {
	Placement
	Word string // the version or the commit, in full
}

// Sought returns, for every service and ring that a version or a commit was
// put on, the last time: sorted by word, application, service and ring. A word
// of at least 7 characters also stands for the commits that begin with it.
// Nothing is no error.
func (db *DB) Sought(ctx context.Context, word string) ([]Sighting, error) {
	var out []Sighting
	prefix := pair(word, "")
	if isCommitLike(word) {
		prefix = []byte(word)
	}
	err := db.view(ctx, func(tx *bolt.Tx) error {
		r, b := recorder{tx}, tx.Bucket(bucketWords)
		return eachGroup(b, prefix, 4, func(group []byte) error {
			c := b.Cursor()
			key := lastWithPrefix(c, group)
			row, err := r.stepAt(key[len(group):])
			if err != nil {
				return err
			}
			found, _, _ := bytes.Cut(group, []byte{0})
			if string(found) != word && string(row.To) == string(found) {
				return nil // a version is looked for in full
			}
			p, err := r.sighting(row, key[len(group):])
			out = append(out, Sighting{p, string(found)})
			return err
		})
	})
	return out, err
}

// sighting finds the step with that key where it was placed.
func (r recorder) sighting(row StepSummary, step []byte) (Placement, error) {
	prefix := placePrefix(row.App, row.Service, row.Ring)
	c := r.tx.Bucket(bucketPlaced).Cursor()
	from := append(bytes.Clone(prefix), timeKey(row.PublishedAt, nil)...)
	for key, _ := c.Seek(from); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
		if bytes.HasSuffix(key, step) {
			return r.placement(row, prefix, bytes.Clone(key))
		}
	}
	return Placement{StepSummary: row}, nil
}

// isCommitLike reports whether the word may be the beginning of a commit.
func isCommitLike(word string) bool {
	if len(word) < 7 {
		return false
	}
	for _, c := range word {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Steps returns the summaries of a rollout's steps in their order, with their
// clusters: those that have begun or ended. The error is that of
// [DB.Summary] when there is no such rollout.
func (db *DB) Steps(ctx context.Context, id orchestrator.ID) ([]StepSummary, error) {
	var out []StepSummary
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if _, err := getRow(tx, id); err != nil {
			return err
		}
		var err error
		out, err = recorder{tx}.stepsOf(id, true)
		return err
	})
	return out, err
}

// stepsOf reads the summaries of the rollout's steps, with or without their
// clusters.
func (r recorder) stepsOf(id orchestrator.ID, clusters bool) ([]StepSummary, error) {
	key, ok := rolloutKey(id)
	if !ok {
		return nil, nil
	}
	var out []StepSummary
	b := r.tx.Bucket(bucketSteps)
	c := b.Cursor()
	for k, v := c.Seek(key); bytes.HasPrefix(k, key); k, v = c.Next() {
		var row StepSummary
		err := decode(b, k, v, &row)
		if err == nil && clusters {
			row.Clusters, err = r.timings(k)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// Durations returns how long the latest steps of the application have taken
// that ended well and changed something, at the first try, by ring and service,
// at most limit of each; none is no error.
func (db *DB) Durations(ctx context.Context, app rings.AppName, limit int) (map[orchestrator.Ref][]time.Duration, error) {
	out := map[orchestrator.Ref][]time.Duration{}
	err := db.view(ctx, func(tx *bolt.Tx) error {
		r, b := recorder{tx}, tx.Bucket(bucketPlaced)
		return eachGroup(b, placePrefix(app, "", ""), 3, func(prefix []byte) error {
			c := b.Cursor()
			n := 0
			for key := lastWithPrefix(c, prefix); bytes.HasPrefix(key, prefix) && n < limit; key, _ = c.Prev() {
				n++
				row, err := r.stepAt(key[len(prefix)+timeSize:])
				if err != nil {
					return err
				}
				if row.Phase == orchestrator.StepDone && row.Changed && !row.Undo && len(row.Commits) == 1 && row.FinishedAt.After(row.StartedAt) {
					ref := orchestrator.Ref{Ring: row.Ring, Service: row.Service}
					out[ref] = append(out[ref], row.FinishedAt.Sub(row.StartedAt))
				}
			}
			return nil
		})
	})
	return out, err
}
