package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// The names of all buckets and fixed keys; the package comment draws them.
var (
	bucketMeta      = []byte("meta")
	bucketApps      = []byte("apps")
	bucketClusters  = []byte("clusters")
	bucketRollouts  = []byte("rollouts")
	bucketTimes     = []byte("times")
	bucketLive      = []byte("live")
	bucketJournal   = []byte("journal")
	bucketSnapshots = []byte("snapshots")
	bucketLeases    = []byte("leases")
	bucketInbox     = []byte("inbox")
	bucketHalts     = []byte("halts")
	bucketLocks     = []byte("locks")
	bucketWindows   = []byte("windows")
	bucketSteps     = []byte("steps")
	bucketTimings   = []byte("timings")
	bucketPlaced    = []byte("placed")
	bucketWords     = []byte("words")
	bucketLog       = []byte("log")
	bucketReleases  = []byte("releases")

	bucketReleaseKeys = []byte("release-keys")
	bucketNotes       = []byte("notes")

	keySchema = []byte("schema") // in meta
	keyEvents = []byte("events") // in meta

	keyAll = []byte("*") // in halts; no application has this name

	keySeq     = []byte("seq") // in a snapshot, down to keyCluster
	keyHead    = []byte("head")
	keyCounted = []byte("counted/")
	keyStep    = []byte("step/")
	keyMembers = []byte("members/")
	keySurvey  = []byte("survey/")
	keyCluster = []byte("cluster/")
)

// migrations bring a file from one schema version to the next; the version is
// the number of those it has seen. They are only ever appended to, and
// tolerate what they do not know.
var migrations = []func(*bolt.Tx) error{
	createBuckets,
	addRings,
	addDays,
	addDuties,
}

var (
	errUnmade   = errors.New("not a store yet")
	errOutdated = errors.New("written by an older version of rollout")
)

func createBuckets(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketApps, bucketClusters, bucketRollouts, bucketTimes,
		bucketLive, bucketJournal, bucketSnapshots, bucketLeases, bucketInbox} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return nil
}

// addRings makes room for halts, and throws the snapshots away: those of before
// know nothing of a rollout's rings. They are made anew from the journal.
func addRings(tx *bolt.Tx) error {
	if tx.Bucket(bucketSnapshots) != nil {
		if err := tx.DeleteBucket(bucketSnapshots); err != nil {
			return fmt.Errorf("bucket %s: %w", bucketSnapshots, err)
		}
	}
	for _, name := range [][]byte{bucketSnapshots, bucketHalts} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return nil
}

// addDays makes room for what comes after the first day: locks, windows, releases
// and notes; and for the record of what each ring got, which it makes from the
// journals.
func addDays(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketLocks, bucketWindows, bucketReleases, bucketReleaseKeys, bucketNotes} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("bucket %s: %w", name, err)
		}
	}
	return addRecord(tx)
}

// addDuties changes nothing. It keeps programs away that would lose what
// applications, rings and locks say since then, and cannot read what was pruned.
func addDuties(*bolt.Tx) error { return nil }

// schemaOf returns the file's version; 0 for a file without one.
func schemaOf(tx *bolt.Tx) uint64 {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0
	}
	return numberOf(meta.Get(keySchema))
}

// checkSchema refuses files that this program cannot read. Another process may
// have replaced or migrated the file since the last look.
func checkSchema(tx *bolt.Tx) error {
	ours, theirs := uint64(len(migrations)), schemaOf(tx)
	switch {
	case theirs > ours:
		return fmt.Errorf("%w: schema %d, this one knows %d", ErrTooNew, theirs, ours)
	case theirs == 0 && isForeign(tx):
		return fmt.Errorf("%w: a bbolt file of another program", ErrCorrupt)
	case theirs < ours:
		return errOutdated
	}
	return nil
}

// isForeign reports whether the file has content, but none of ours.
func isForeign(tx *bolt.Tx) bool {
	name, _ := tx.Cursor().First()
	return name != nil && tx.Bucket(bucketMeta) == nil
}

// migrate brings the file up to date within the transaction.
func migrate(tx *bolt.Tx) error {
	err := checkSchema(tx)
	if !errors.Is(err, errOutdated) {
		return err
	}
	for _, m := range migrations[schemaOf(tx):] {
		if err := m(tx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return tx.Bucket(bucketMeta).Put(keySchema, number(uint64(len(migrations))))
}

// create makes the file, unless another process is first: aside and renamed,
// so that there is never half a store under its name.
func (db *DB) create(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(db.path), 0o700); err != nil {
		return db.fault(err)
	}
	line, err := db.acquire(ctx, func() (*os.File, error) { return openLine(db.path, write) })
	if err != nil {
		return db.fault(err)
	}
	defer db.leave()
	defer line.Close()
	if info, err := os.Stat(db.path); err == nil && info.Size() > 0 {
		return nil
	}
	return db.fault(makeFile(db.path))
}

func makeFile(path string) error {
	aside := path + ".new"
	if err := os.Remove(aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer os.Remove(aside)
	b, err := bolt.Open(aside, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := errors.Join(b.Update(migrate), b.Close()); err != nil {
		return err
	}
	if err := os.Rename(aside, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last. File systems that cannot sync a folder are let
// off.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
