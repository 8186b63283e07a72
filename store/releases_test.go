package store_test

import (
	"errors"
	"fmt"
	"testing"

	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// release returns the content of one, under the key.
func release(key, db string) func(*rings.Application) (rings.Release, error) {
	return func(*rings.Application) (rings.Release, error) {
		return rings.Release{Key: key, Versions: map[rings.ServiceName]rings.Version{"db": rings.Version(db)}, From: "plan", By: "ada", At: storetest.Start}, nil
	}
}

// The same content again is the same release; other content under its key is
// refused.
func TestCreateRelease(t *testing.T) {
	db := openShop(t)
	for i, c := range []struct {
		key, version string
		number       int
		created      bool
	}{
		{"build/1", "v1", 1, true},
		{"build/1", "v1", 1, false},
		{"build/2", "v2", 2, true},
		{"build/1", "v1", 1, false}, // a job that is run again, late
		{"", "v2", 2, false},
		{"", "v1", 3, true}, // what is old has become new again
		{"", "v1", 3, false},
		{"build/3", "v1", 4, true},
	} {
		r, created, err := db.CreateRelease(t.Context(), "shop", release(c.key, c.version))
		if err != nil || r.Number != c.number || created != c.created {
			t.Errorf("step %d: release %d, created %v, %v; want %d, %v", i, r.Number, created, err, c.number, c.created)
		}
	}
	_, _, err := db.CreateRelease(t.Context(), "shop", release("build/1", "v9"))
	differs, ok := errors.AsType[*store.ReleaseDiffersError](err)
	if !ok || differs.Release.Number != 1 || fmt.Sprint(differs.Difference) != `[db: "v1" there, "v9" here]` {
		t.Errorf("other content under the key: %v", err)
	}
	if _, _, err := db.CreateRelease(t.Context(), "shop", release("", "-")); !errors.As(err, new(*rings.InvalidError)) {
		t.Errorf("a version that cannot be one: %v", err)
	}
	_, _, err = db.CreateRelease(t.Context(), "shoq", release("", "v1"))
	wantUnknown(t, err, "application", "shop")
	for _, err := range db.Check(t.Context()) {
		t.Error(err)
	}
}

func TestReleases(t *testing.T) {
	db := openShop(t)
	for n := range 5 {
		_, _, err := db.CreateRelease(t.Context(), "shop", release("", fmt.Sprint("v", n)))
		must(t, err)
	}
	page, err := db.Releases(t.Context(), "shop", 0, 2)
	must(t, err)
	if numbers(page) != "[5 4]" || page.Next != 4 {
		t.Errorf("first page %s, next %d", numbers(page), page.Next)
	}
	page, err = db.Releases(t.Context(), "shop", page.Next, 3)
	must(t, err)
	if numbers(page) != "[3 2 1]" || page.Next != 0 {
		t.Errorf("second page %s, next %d", numbers(page), page.Next)
	}
	r, err := db.ReleaseNumber(t.Context(), "shop", 2)
	must(t, err)
	if r.Versions["db"] != "v1" || !r.At.Equal(storetest.Start) {
		t.Errorf("release 2: %+v", r)
	}
	_, err = db.ReleaseNumber(t.Context(), "shop", 6)
	wantUnknown(t, err, "release", "")
	_, err = db.Releases(t.Context(), "web", 0, 0)
	wantUnknown(t, err, "application", "")
}

func numbers(page store.ReleasePage) string {
	var out []int
	for _, r := range page.Releases {
		out = append(out, r.Number)
	}
	return fmt.Sprint(out)
}
