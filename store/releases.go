package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// ErrReleaseDiffers is wrapped by [ReleaseDiffersError].
var ErrReleaseDiffers = errors.New("the key is taken by a release with other content")

// ReleaseDiffersError says in what a release differs from the one that has its
// key already.
type ReleaseDiffersError struct {
	Release    rings.Release // that has the key
	Difference []string
}

// Error names the release, the key and all differences.
func (e *ReleaseDiffersError) Error() string {
	return fmt.Sprintf("release %d of application %q has the key %q, with other content:\n  %s", e.Release.Number, e.Release.App, e.Release.Key, strings.Join(e.Difference, "\n  "))
}

// Unwrap returns ErrReleaseDiffers.
func (e *ReleaseDiffersError) Unwrap() error { return ErrReleaseDiffers }

// CreateRelease gives a release the application's next number, writes it, and
// returns it and true. With the same content under the same key, or without a
// key in the newest release, that one is returned, and false; other content
// under the key is a [ReleaseDiffersError]. content gets the application as it
// is now; its error is returned and nothing is written. It runs with the file
// locked: it must be quick, must not use the store, and is called once.
func (db *DB) CreateRelease(ctx context.Context, app rings.AppName, content func(*rings.Application) (rings.Release, error)) (rings.Release, bool, error) {
	var out rings.Release
	created := false
	err := db.update(ctx, func(tx *bolt.Tx) error {
		a, err := getApp(tx, app)
		if err != nil {
			return err
		}
		r, err := content(a)
		if err != nil {
			return err
		}
		r.App, r.At = app, r.At.UTC()
		if err := r.Validate(); err != nil {
			return err
		}
		last := lastRelease(tx, app)
		old, err := releaseLike(tx, r, last)
		if old != nil || err != nil {
			if old != nil {
				out = *old
			}
			return cmp.Or(err, errUnchanged)
		}
		r.Number = last + 1
		out, created = r, true
		return putRelease(tx, r)
	})
	return out, created, err
}

// releaseLike returns the release that says what r says already; nil when there
// is none.
func releaseLike(tx *bolt.Tx, r rings.Release, last int) (*rings.Release, error) {
	number := last
	if r.Key != "" {
		number = int(numberOf(tx.Bucket(bucketReleaseKeys).Get(pair(r.App, r.Key))))
	}
	if number == 0 {
		return nil, nil
	}
	old, err := getRelease(tx, r.App, number)
	if err != nil {
		return nil, err
	}
	d := old.Difference(r)
	switch {
	case len(d) == 0:
		return &old, nil
	case r.Key != "":
		return nil, &ReleaseDiffersError{Release: old, Difference: d}
	}
	return nil, nil
}

func putRelease(tx *bolt.Tx, r rings.Release) error {
	_, err := put(tx.Bucket(bucketReleases), releaseKey(r.App, r.Number), r)
	if r.Key != "" {
		err = errors.Join(err, tx.Bucket(bucketReleaseKeys).Put(pair(r.App, r.Key), number(uint64(r.Number))))
	}
	return err
}

// ReleaseNumber returns the application's release of that number, or a
// [rings.UnknownError].
func (db *DB) ReleaseNumber(ctx context.Context, app rings.AppName, number int) (rings.Release, error) {
	var r rings.Release
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if _, err := getApp(tx, app); err != nil {
			return err
		}
		var err error
		r, err = getRelease(tx, app, number)
		return err
	})
	return r, err
}

// ReleasePage is a part of a list of releases.
type ReleasePage struct {
	Releases []rings.Release
	// Next is the before of the next page; 0 when there is none.
	Next int
}

// Releases returns the application's releases before the numbered one, or with
// 0 all, newest first, and at most limit, or with 0 all of them. None is no error.
func (db *DB) Releases(ctx context.Context, app rings.AppName, before, limit int) (ReleasePage, error) {
	var page ReleasePage
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if _, err := getApp(tx, app); err != nil {
			return err
		}
		last := lastRelease(tx, app)
		if before > 0 {
			last = min(last, before-1)
		}
		b := tx.Bucket(bucketReleases)
		for n := last; n > 0; n-- {
			if limit > 0 && len(page.Releases) == limit {
				page.Next = n + 1
				return nil
			}
			var r rings.Release
			if ok, err := get(b, releaseKey(app, n), &r); err != nil {
				return err
			} else if ok {
				page.Releases = append(page.Releases, r)
			}
		}
		return nil
	})
	return page, err
}

func getRelease(tx *bolt.Tx, app rings.AppName, number int) (rings.Release, error) {
	var r rings.Release
	ok, err := get(tx.Bucket(bucketReleases), releaseKey(app, number), &r)
	if err == nil && !ok {
		err = &rings.UnknownError{Kind: "release", Name: fmt.Sprint(number), Where: fmt.Sprintf("application %q", app)}
	}
	return r, err
}

// lastRelease returns the largest number that a release of the application has.
func lastRelease(tx *bolt.Tx, app rings.AppName) int {
	key := lastWithPrefix(tx.Bucket(bucketReleases).Cursor(), pair(app, ""))
	if key == nil {
		return 0
	}
	return int(numberOf(key[len(app)+1:]))
}

func releaseKey(app rings.AppName, n int) []byte {
	return append(pair(app, ""), number(uint64(n))...)
}

// releases checks the releases and the list of their keys.
func (c *checker) releases() {
	b, keyed := c.tx.Bucket(bucketReleases), 0
	for _, key := range keysOf(b) {
		var r rings.Release
		if _, err := get(b, []byte(key), &r); err != nil {
			c.fault("release %q: %w", key, err)
			continue
		}
		if string(releaseKey(r.App, r.Number)) != key {
			c.fault("release %d of application %q is stored as %q", r.Number, r.App, key)
		}
		if r.Key == "" {
			continue
		}
		if keyed++; numberOf(c.tx.Bucket(bucketReleaseKeys).Get(pair(r.App, r.Key))) != uint64(r.Number) {
			c.fault("release %d of application %q is not found by its key %q", r.Number, r.App, r.Key)
		}
	}
	if extra := len(keysOf(c.tx.Bucket(bucketReleaseKeys))) - keyed; extra > 0 {
		c.fault("%d keys of releases too many", extra)
	}
}
