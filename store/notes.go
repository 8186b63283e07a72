package store

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// NoteFilter says which notes to list.
type NoteFilter struct {
	App    rings.AppName // of which; it may have been deleted
	Limit  int           // at most so many; 0 for all
	Before uint64        // only those with a smaller number; 0 for all
}

// Notes returns what was noted of an application beside its rollouts, the
// latest first; none is no error. more says that there are older ones.
func (db *DB) Notes(ctx context.Context, f NoteFilter) (notes []rings.Note, more bool, err error) {
	err = db.view(ctx, func(tx *bolt.Tx) error {
		notes, more = nil, false
		return eachNote(tx, f.App, func(n rings.Note) bool {
			if f.Before > 0 && n.Number >= f.Before {
				return true
			}
			if more = f.Limit > 0 && len(notes) == f.Limit; !more {
				notes = append(notes, n)
			}
			return !more
		})
	})
	return notes, more, err
}

// Notice compares where clusters are with what is recorded here, notes those
// that were moved by somebody else, and records where they are now. It returns
// what it noted. Clusters that are not recorded are not looked at; one without
// a ring is "" there. While a rollout is live on a ring its own events tell.
func (db *DB) Notice(ctx context.Context, app rings.AppName, on map[rings.ClusterName]rings.RingName, n rings.Note) ([]rings.Note, error) {
	var noted []rings.Note
	n.App, n.Kind, n.By = app, rings.NoteLabelChanged, ""
	err := db.update(ctx, func(tx *bolt.Tx) error {
		noted = nil
		all, err := clustersOf(tx, app)
		if err != nil {
			return err
		}
		for _, c := range all {
			now, seen := on[c.Name]
			if !seen || now == c.Ring {
				continue
			}
			n.Cluster, n.From, n.To = c.Name, c.Ring, now
			c.Ring = now
			if _, err := put(tx.Bucket(bucketClusters), pair(c.App, c.Name), c); err != nil {
				return err
			}
			if err := addNote(tx, n); err != nil {
				return err
			}
			noted = append(noted, n)
		}
		if len(noted) == 0 {
			return errUnchanged
		}
		return nil
	})
	return noted, err
}

// CaughtUp notes that a cluster which was left out of rollouts has caught up,
// unless another process has noted so after since. It reports whether it was noted.
func (db *DB) CaughtUp(ctx context.Context, n rings.Note, since time.Time) (bool, error) {
	noted := false
	err := db.update(ctx, func(tx *bolt.Tx) error {
		if _, err := getApp(tx, n.App); err != nil {
			return err
		}
		last, err := lastNote(tx, n.App, func(o rings.Note) bool { return o.Kind == n.Kind && o.Cluster == n.Cluster && o.Ring == n.Ring })
		if err != nil {
			return err
		}
		if last != nil && last.At.After(since) {
			return errUnchanged
		}
		noted = true
		return addNote(tx, n)
	})
	return noted && err == nil, err
}

// addNote writes the note under the application's next number.
func addNote(tx *bolt.Tx, n rings.Note) error {
	b := tx.Bucket(bucketNotes)
	n.Number = 1
	if key := lastWithPrefix(b.Cursor(), pair(n.App, "")); key != nil {
		n.Number = numberOf(key[len(n.App)+1:]) + 1
	}
	n.At = n.At.UTC()
	_, err := put(b, noteKey(n), n)
	return err
}

func noteKey(n rings.Note) []byte { return append(pair(n.App, ""), number(n.Number)...) }

// eachNote visits the application's notes, the latest first, until visit
// returns false.
func eachNote(tx *bolt.Tx, app rings.AppName, visit func(rings.Note) bool) error {
	b := tx.Bucket(bucketNotes)
	c, prefix := b.Cursor(), pair(app, "")
	for key := lastWithPrefix(c, prefix); bytes.HasPrefix(key, prefix); key, _ = c.Prev() {
		var n rings.Note
		if _, err := get(b, key, &n); err != nil {
			return err
		}
		if !visit(n) {
			return nil
		}
	}
	return nil
}

// lastNote returns the latest note that is meant; nil when there is none.
func lastNote(tx *bolt.Tx, app rings.AppName, meant func(rings.Note) bool) (*rings.Note, error) {
	var last *rings.Note
	err := eachNote(tx, app, func(n rings.Note) bool {
		if meant(n) {
			last = &n
		}
		return last == nil
	})
	return last, err
}
