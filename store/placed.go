package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// The order in which things were put on a ring is kept in two buckets: placed,
// of a service on a ring, and words, the same after the version or the commit.
// Both have only keys; these end with the key of the step.

// place enters a step whose version is on the branch for the first time behind
// all that was placed there before, whatever the clock says, and finds out
// since when the ring has had that version.
func (r recorder) place(row *StepSummary, step []byte, now time.Time) error {
	if row.PublishedAt.IsZero() { // found on the branch after the step had failed
		row.PublishedAt = now
	}
	at, prefix := row.PublishedAt, placePrefix(row.App, row.Service, row.Ring)
	before, last, err := r.newest(prefix, nil)
	if err != nil {
		return err
	}
	if last != nil && timeOf(last[len(prefix):]).After(at) {
		at = timeOf(last[len(prefix):])
	}
	switch {
	case row.Changed && row.From != row.To:
		row.Since, row.By = row.PublishedAt, row.Rollout
	case last != nil && before.To == row.To:
		row.Since, row.By = before.Since, before.By
	}
	return r.tx.Bucket(bucketPlaced).Put(append(append(prefix, timeKey(at, nil)...), step...), nil)
}

// note enters the step under its version and its commits.
func (r recorder) note(row StepSummary, step []byte) error {
	if !row.isListed() {
		return nil
	}
	var errs []error
	for _, word := range row.words() {
		if key, ok := wordKey(word, row, step); ok && !has(r.tx.Bucket(bucketWords), key) {
			errs = append(errs, r.tx.Bucket(bucketWords).Put(key, nil))
		}
	}
	return errors.Join(errs...)
}

// has reports whether the bucket has the key, whose value is empty.
func has(b *bolt.Bucket, key []byte) bool {
	k, _ := b.Cursor().Seek(key)
	return bytes.Equal(k, key)
}

// wordKey is the key of the step under the word; false for a word that is too
// long for a key, or has a zero byte in it.
func wordKey(word string, row StepSummary, step []byte) ([]byte, bool) {
	if word == "" || len(word) > maxWord || strings.IndexByte(word, 0) >= 0 {
		return nil, false
	}
	return append(append(pair(word, ""), placePrefix(row.App, row.Service, row.Ring)...), step...), true
}

// maxWord is the longest version or commit that can be looked for.
const maxWord = 4096

// newest is the step that was placed last, or last before end, with its key;
// nil when there is none.
func (r recorder) newest(prefix, end []byte) (StepSummary, []byte, error) {
	c := r.tx.Bucket(bucketPlaced).Cursor()
	var key []byte
	if end == nil {
		key = lastWithPrefix(c, prefix)
	} else if key = seekBefore(c, end); !bytes.HasPrefix(key, prefix) {
		key = nil
	}
	if key == nil {
		return StepSummary{}, nil, nil
	}
	row, err := r.stepAt(key[len(prefix)+timeSize:])
	return row, key, err
}

// after is the step that was placed next after the one with that key in placed;
// nil when there is none.
func (r recorder) after(prefix, key []byte) (*StepSummary, error) {
	c := r.tx.Bucket(bucketPlaced).Cursor()
	c.Seek(key)
	next, _ := c.Next()
	if !bytes.HasPrefix(next, prefix) {
		return nil, nil
	}
	row, err := r.stepAt(next[len(prefix)+timeSize:])
	return &row, err
}

// stepAt reads the step with that key. One that is listed must be there.
func (r recorder) stepAt(key []byte) (StepSummary, error) {
	var row StepSummary
	there, err := get(r.tx.Bucket(bucketSteps), key, &row)
	if err == nil && !there {
		err = fmt.Errorf("%w: step %q is listed and not there", ErrCorrupt, key)
	}
	return row, err
}

// listed takes a key apart that ends with a step's, with so many bytes between
// that and the place, and reads the step, which must be of that place.
func (r recorder) listed(key []byte, between int) (StepSummary, []byte, error) {
	end, rest := 0, key
	for range 3 { // application, service, ring
		n := bytes.IndexByte(rest, 0) + 1
		end, rest = end+n, rest[n:]
	}
	if end+between > len(key) {
		return StepSummary{}, nil, fmt.Errorf("%w: key %q", ErrCorrupt, key)
	}
	step := key[end+between:]
	row, err := r.stepAt(step)
	if err == nil && !bytes.HasPrefix(key, placePrefix(row.App, row.Service, row.Ring)) {
		err = fmt.Errorf("%w: step %q is listed in another place", ErrCorrupt, step)
	}
	return row, step, err
}

// words are what the step is found by: its version and its commits.
func (row StepSummary) words() []string { return append([]string{string(row.To)}, row.Commits...) }

// timings reads the clusters of the step.
func (r recorder) timings(key []byte) ([]ClusterSummary, error) {
	var out []ClusterSummary
	_, err := get(r.tx.Bucket(bucketTimings), key, &out)
	return out, err
}

// placePrefix is what the keys of placed begin with; an empty ring, and an
// empty service, mean those of all.
func placePrefix(app rings.AppName, service rings.ServiceName, ring rings.RingName) []byte {
	key := pair(app, "")
	if service != "" {
		key = append(key, pair(service, "")...)
	}
	if ring != "" {
		key = append(key, pair(ring, "")...)
	}
	return key
}

// timeOf is the reverse of timeKey.
func timeOf(key []byte) time.Time {
	seconds := numberOf(key[:8]) ^ (1 << 63)
	nanos := uint64(key[8])<<24 | uint64(key[9])<<16 | uint64(key[10])<<8 | uint64(key[11])
	return time.Unix(int64(seconds), int64(nanos)).UTC()
}

// addRecord makes the summaries of all steps, and the log, from the journals. A
// journal that does not fold is left out: Check names it.
func addRecord(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketSteps, bucketTimings, bucketPlaced, bucketWords, bucketLog} {
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return fmt.Errorf("bucket %s: %w", name, err)
			}
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	if err := tx.Bucket(bucketMeta).Delete(keyEvents); err != nil {
		return err
	}
	return tx.Bucket(bucketTimes).ForEach(func(key, _ []byte) error {
		id := rolloutOf(key[timeSize:])
		return errors.Join(recordAll(tx, id), logged(tx, id, 1, int(lastSeq(tx, id))))
	})
}

// recordAll records the rollout event by event, and its row as it is now.
func recordAll(tx *bolt.Tx, id orchestrator.ID) error {
	var s *orchestrator.State
	var failed error
	damaged := eachEvent(tx, id, 1, func(e orchestrator.Event) (_ bool, err error) {
		if s == nil && e.Seq != 1 {
			return false, ErrCorrupt
		}
		if s, err = apply(s, e); err != nil {
			return false, err
		}
		failed = recorder{tx}.record(s, []orchestrator.Event{e})
		return failed == nil, failed
	})
	if failed != nil || errors.Is(damaged, orchestrator.ErrNewerJournal) {
		return errors.Join(failed, damaged)
	}
	if s == nil || damaged != nil {
		return nil
	}
	key, _ := rolloutKey(id)
	_, err := put(tx.Bucket(bucketRollouts), key, summarize(s))
	return err
}
