package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// Filter says which rollouts to list; the zero value means all.
type Filter struct {
	App     rings.AppName        // "" for all
	Ring    rings.RingName       // or, with App, a group of rings; "" for all
	Service rings.ServiceName    // in the plan; "" for all
	Cluster rings.ClusterName    // that a step counted; "" for all
	By      string               // who started it; "" for all
	Phases  []orchestrator.Phase // one of these; empty for all
	Since   time.Time            // started then or later; zero for all
	Until   time.Time            // started before; zero for all
	Live    bool                 // only those that have not ended
	Limit   int                  // at most so many; 0 for all
	Before  orchestrator.ID      // only older ones than this: the Next of the page before
	Steps   bool                 // with their steps

	on []rings.RingName // those of Ring, see expand
}

// expand notes which rings the filter lets through: those of a group, else the
// named one.
func (f *Filter) expand(tx *bolt.Tx) error {
	f.on = []rings.RingName{f.Ring}
	if f.App == "" || f.Ring == "" {
		return nil
	}
	a, err := getApp(tx, f.App)
	if errors.Is(err, rings.ErrUnknown) {
		return nil // its rollouts stay in the history
	}
	if err != nil {
		return err
	}
	if g, err := a.Group(f.Ring); err == nil {
		f.on = g.Rings
	}
	return nil
}

// Rollouts returns the rollouts that the filter lets through, newest first: of
// one application by number, of all, or with a time in the filter, by the time
// they were started. An unknown Before is a [rings.UnknownError]; nothing found
// is no error.
func (db *DB) Rollouts(ctx context.Context, f Filter) (Page, error) {
	var page Page
	err := db.view(ctx, func(tx *bolt.Tx) error {
		return eachNewest(tx, f, func(row Summary) (bool, error) {
			if f.Limit > 0 && len(page.Rollouts) == f.Limit {
				page.Next = page.Rollouts[f.Limit-1].ID
				return false, nil
			}
			var err error
			if !row.Phase.Ended() {
				row.Lease, err = getLease(tx, row.ID)
			}
			if err == nil && f.Steps {
				row.Steps, err = wholeSteps(tx, row)
			}
			page.Rollouts = append(page.Rollouts, row)
			return true, err
		})
	})
	return page, err
}

// wholeSteps reads the rollout's steps; the clusters of those that are at work
// are as they are now.
func wholeSteps(tx *bolt.Tx, row Summary) ([]StepSummary, error) {
	steps, err := recorder{tx}.stepsOf(row.ID, true)
	if err != nil || row.Phase.Ended() {
		return steps, err
	}
	s, err := load(tx, row.ID)
	if err != nil {
		return nil, err
	}
	for i := range steps {
		ref := orchestrator.Ref{Ring: steps[i].Ring, Service: steps[i].Service, Undo: steps[i].Undo}
		if st := stepOf(s, ref); st != nil && !steps[i].Phase.Ended() {
			steps[i].Clusters = clusterSummaries(st)
		}
	}
	return steps, nil
}

// eachNewest calls fn with the rows that the filter lets through, whatever its
// limit, newest first, until fn returns false.
func eachNewest(tx *bolt.Tx, f Filter, fn func(Summary) (bool, error)) error {
	if err := f.expand(tx); err != nil {
		return err
	}
	b, skip := f.order()
	c, rows := tx.Bucket(b).Cursor(), tx.Bucket(bucketRollouts)
	s := sieve{f.needles(), f.Cluster, tx.Bucket(bucketTimings).Cursor()}
	key, err := startOf(tx, c, f, skip)
	for data := []byte(nil); err == nil && key != nil; key, data = c.Prev() {
		if !bytes.HasPrefix(key[skip:], prefixOf(f.App)) {
			if skip == 0 {
				return nil
			}
			continue
		}
		if skip > 0 && !f.Since.IsZero() && timeOf(key).Before(f.Since) {
			return nil
		}
		if skip > 0 || data == nil {
			data = rows.Get(key[skip:])
		}
		if !s.passes(key[skip:], data) {
			continue
		}
		row, err := getRow(tx, rolloutOf(key[skip:]))
		if err != nil {
			return err
		}
		if fits, err := f.fits(tx, row); err != nil {
			return err
		} else if !fits {
			continue
		}
		if more, err := fn(row); err != nil || !more {
			return err
		}
	}
	return err
}

// order is the bucket to go through, and how many bytes its keys have before
// the rollout.
func (f Filter) order() (bucket []byte, skip int) {
	switch {
	case f.Live:
		return bucketLive, timeSize
	case f.App != "" && f.Since.IsZero() && f.Until.IsZero():
		return bucketRollouts, 0
	}
	return bucketTimes, timeSize
}

// needles are what the text of every row has that the filter lets through, so
// that most others need not be decoded. A row that is there is never without.
func (f Filter) needles() [][]byte {
	words := []string{string(f.Service), f.By}
	if len(f.on) == 1 {
		words = append(words, string(f.on[0]))
	}
	if len(f.Phases) == 1 {
		words = append(words, string(f.Phases[0]))
	}
	var out [][]byte
	for _, w := range words {
		if w != "" {
			needle, _ := json.Marshal(w) // a string always can be
			out = append(out, needle)
		}
	}
	return out
}

// sieve holds back what a filter does not let through, by the text of the rows,
// so that next to none of them are decoded.
type sieve struct {
	needles [][]byte
	cluster rings.ClusterName
	timings *bolt.Cursor
}

// passes reports whether the row of the rollout may fit. A row that is listed
// and not there passes, to be complained of.
func (s sieve) passes(rollout, data []byte) bool {
	if data == nil {
		return true
	}
	if slices.ContainsFunc(s.needles, func(n []byte) bool { return !bytes.Contains(data, n) }) {
		return false
	}
	ended := bytes.Contains(data, []byte(`"finishedAt":`)) // in a text the quotes would be escaped
	return s.cluster == "" || !ended || timed(s.timings, rollout, s.cluster)
}

// timed reports whether a step of the rollout, which has ended, had the cluster.
func timed(c *bolt.Cursor, rollout []byte, name rings.ClusterName) bool {
	needle, _ := json.Marshal(name) // a string always can be
	needle = append([]byte(`"name":`), needle...)
	for k, v := c.Seek(rollout); bytes.HasPrefix(k, rollout); k, v = c.Next() {
		if bytes.Contains(v, needle) {
			return true
		}
	}
	return false
}

// fits reports whether the filter lets the row through.
func (f Filter) fits(tx *bolt.Tx, row Summary) (bool, error) {
	if f.Ring != "" && !slices.ContainsFunc(row.Rings, f.lets) || f.By != "" && row.StartedBy != f.By ||
		len(f.Phases) > 0 && !slices.Contains(f.Phases, row.Phase) ||
		row.StartedAt.Before(f.Since) || !f.Until.IsZero() && !row.StartedAt.Before(f.Until) {
		return false, nil
	}
	if _, planned := row.Versions[f.Service]; f.Service != "" && !planned {
		return false, nil
	}
	if f.Cluster == "" {
		return true, nil
	}
	return counted(tx, row, f.Cluster)
}

// lets reports whether the ring is one of the filter's.
func (f Filter) lets(r rings.RingName) bool { return slices.Contains(f.on, r) }

// counted reports whether a step of the rollout has or had the cluster.
func counted(tx *bolt.Tx, row Summary, name rings.ClusterName) (bool, error) {
	if !row.Phase.Ended() {
		steps, err := wholeSteps(tx, row)
		return slices.ContainsFunc(steps, func(s StepSummary) bool {
			return slices.ContainsFunc(s.Clusters, func(c ClusterSummary) bool { return c.Name == name })
		}), err
	}
	key, _ := rolloutKey(row.ID)
	return timed(tx.Bucket(bucketTimings).Cursor(), key, name), nil
}

// startOf moves to the newest rollout that the filter may let through.
func startOf(tx *bolt.Tx, c *bolt.Cursor, f Filter, skip int) ([]byte, error) {
	var end []byte
	switch {
	case f.Before != "":
		row, err := getRow(tx, f.Before)
		if err != nil {
			return nil, err
		}
		end, _ = rolloutKey(f.Before)
		if skip > 0 {
			end = timeKey(row.StartedAt, end)
		}
	case skip == 0:
		return lastWithPrefix(c, pair(f.App, "")), nil
	}
	if until := timeKey(f.Until, nil); skip > 0 && !f.Until.IsZero() && (end == nil || bytes.Compare(until, end) < 0) {
		end = until
	}
	return seekBefore(c, end), nil
}
