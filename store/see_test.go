package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// put rolls db out on the ring, from a version to another, and releases it. It
// ends as the rollout ends.
func put(t testing.TB, db *store.DB, ring rings.RingName, from, to rings.Version, nonce int64, now time.Time, ends ...orchestrator.Body) *storetest.Tape {
	t.Helper()
	must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Plan = rings.Plan{"db": {Version: to}, "api": {Version: "v7"}}
		return nil
	}))
	tape, lease := start(t, db, "shop", ring, now)
	ref := orchestrator.Ref{Ring: ring, Service: "db"}
	bodies := append([]orchestrator.Body{orchestrator.Driven{}, orchestrator.Started{}, orchestrator.RingStarted{Ring: ring}, orchestrator.StepStarted{Ref: ref}},
		orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: to, From: from, Nonce: nonce, Ours: true}},
		orchestrator.Published{Ref: ref, Commit: storetest.Commit(int(nonce))})
	for n := range 2 {
		bodies = append(bodies, storetest.Turning(ref, storetest.Cluster(n), nonce, true)...)
	}
	for _, b := range append(append(bodies, done(ref)), ends...) {
		appendAll(t, db, tape.Batch(lease, b))
	}
	must(t, db.Release(t.Context(), lease))
	return tape
}

var succeeded = orchestrator.Ended{Phase: orchestrator.Succeeded}

// placements are what is placed, in short.
func placements(t *testing.T, db *store.DB, at time.Time) []string {
	t.Helper()
	all, err := db.Placed(t.Context(), "shop", at)
	must(t, err)
	out := []string{}
	for _, p := range all {
		next := "-"
		if p.Next != nil {
			next = string(p.Next.Rollout)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s, since %s by %s, then %s", p.Service, p.Ring, p.To, p.Rollout,
			p.Since.Sub(storetest.Start).Truncate(time.Hour), p.By, next))
	}
	return out
}

func hours(n int) time.Time { return storetest.Start.Add(time.Duration(n) * time.Hour) }

func TestPlaced(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	put(t, db, "ring-2", "v1", "v2", 2, hours(2), succeeded)
	put(t, db, "ring-1", "v2", "v2", 3, hours(3), succeeded) // deployed again
	put(t, db, "ring-1", "v2", "v3", 4, hours(4), succeeded)
	for name, test := range map[string]struct {
		at   time.Time
		want []string
	}{
		"before all": {hours(1), []string{}},
		"first":      {hours(2), []string{"db ring-1 v2 shop-1, since 1h0m0s by shop-1, then shop-3"}},
		"again":      {hours(4), []string{"db ring-1 v2 shop-3, since 1h0m0s by shop-1, then shop-4", "db ring-2 v2 shop-2, since 2h0m0s by shop-2, then -"}},
		"now":        {time.Time{}, []string{"db ring-1 v3 shop-4, since 4h0m0s by shop-4, then -", "db ring-2 v2 shop-2, since 2h0m0s by shop-2, then -"}},
	} {
		if diff := cmp.Diff(test.want, placements(t, db, test.at)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestPlaced_ClockBack: what came later stays later when the clock was put back.
func TestPlaced_ClockBack(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(5), succeeded)
	put(t, db, "ring-1", "v2", "v3", 2, hours(1), succeeded)
	want := []string{"db ring-1 v3 shop-2, since 1h0m0s by shop-2, then -"}
	if diff := cmp.Diff(want, placements(t, db, time.Time{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPlaced_NeverPublished: an attempt that never came to the branch is
// nowhere, and the version before it stays.
func TestPlaced_NeverPublished(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	tape, lease := start(t, db, "shop", "ring-1", hours(2))
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	appendAll(t, db, tape.Batch(lease, orchestrator.StepStarted{Ref: ref},
		orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: "v3", From: "v2", Nonce: 2, Ours: true}}, failed(ref)))
	want := []string{"db ring-1 v2 shop-1, since 1h0m0s by shop-1, then -"}
	if diff := cmp.Diff(want, placements(t, db, time.Time{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	steps, err := db.Steps(t.Context(), tape.ID)
	must(t, err)
	if len(steps) != 1 || steps[0].Phase != orchestrator.StepFailed || !steps[0].PublishedAt.IsZero() {
		t.Errorf("got %+v", steps)
	}
}

// TestPlaced_TriedAgain: a step that is tried again keeps when it was published
// first, and all its commits.
func TestPlaced_TriedAgain(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", hours(1))
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	attempt := orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: "v2", From: "v1", Nonce: 1, Ours: true}}
	appendAll(t, db, tape.Batch(lease, orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-1"}, orchestrator.StepStarted{Ref: ref}, attempt, orchestrator.Published{Ref: ref, Commit: "one"}, failed(ref)))
	first, err := db.Steps(t.Context(), tape.ID)
	must(t, err)
	attempt.Attempt.Number, attempt.Attempt.Nonce, attempt.Attempt.From = 2, 2, "v2"
	appendAll(t, db, tape.Batch(lease, orchestrator.Resumed{}))
	appendAll(t, db, tape.Batch(lease, orchestrator.StepStarted{Ref: ref}, attempt, orchestrator.Published{Ref: ref, Commit: "two"}))
	steps, err := db.Steps(t.Context(), tape.ID)
	must(t, err)
	if len(steps) != 1 || !steps[0].PublishedAt.Equal(first[0].PublishedAt) || fmt.Sprint(steps[0].Commits) != "[one two]" || steps[0].From != "v1" {
		t.Errorf("got %+v, before %+v", steps, first)
	}
}

func TestSteps(t *testing.T) {
	db := openShop(t)
	tape := put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	steps, err := db.Steps(t.Context(), tape.ID)
	must(t, err)
	if len(steps) != 1 {
		t.Fatalf("got %d steps", len(steps))
	}
	got := steps[0]
	if got.From != "v1" || got.To != "v2" || !got.Changed || got.Phase != orchestrator.StepDone || got.FinishedAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if len(got.Clusters) != 2 || got.Clusters[0].Phase != orchestrator.ClusterReady || got.Clusters[0].Since.IsZero() {
		t.Errorf("clusters: %+v", got.Clusters)
	}
	_, err = db.Steps(t.Context(), "shop-9")
	wantUnknown(t, err, "rollout", "shop-1")
}

func TestSought(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	put(t, db, "ring-2", "v1", "v2", 2, hours(2), succeeded)
	put(t, db, "ring-1", "v2", "v3", 3, hours(3), succeeded)
	put(t, db, "ring-1", "v3", "v2", 4, hours(4), succeeded)
	put(t, db, "ring-1", "v2", "abcdef0123", 5, hours(5), succeeded)
	for word, want := range map[string]string{
		"v1":                     "[]", // nothing is known of who put it there
		"v2":                     "[ring-1 shop-4 then shop-5 ring-2 shop-2]",
		"v3":                     "[ring-1 shop-3 then shop-4]",
		"v":                      "[]",
		storetest.Commit(2):      "[ring-2 shop-2]",
		storetest.Commit(2)[:39]: "[ring-2 shop-2 ring-1 shop-3 then shop-4 ring-1 shop-4 then shop-5 ring-1 shop-5]",
		"abcdef0123":             "[ring-1 shop-5]",
		"abcdef0":                "[]",
	} {
		found, err := db.Sought(t.Context(), word)
		must(t, err)
		got := []string{}
		for _, s := range found {
			got = append(got, string(s.Ring), string(s.Rollout))
			if s.Next != nil {
				got = append(got, "then", string(s.Next.Rollout))
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%q: got %v, want %s", word, got, want)
		}
	}
}

// TestRecordIsRebuilt: what is recorded step by step is what a store of before
// gets from its journals.
func TestRecordIsRebuilt(t *testing.T) {
	db := openNew(t)
	fill(t, db)
	want := dump(t, db.Path())
	alter(t, db.Path(), func(tx *bolt.Tx) error {
		for _, name := range []string{"steps", "timings", "placed", "words"} {
			must(t, tx.DeleteBucket([]byte(name)))
		}
		return nil
	})
	setSchema(t, db.Path(), beforeRecord)
	open(t, db.Path())
	if diff := cmp.Diff(want, dump(t, db.Path())); diff != "" {
		t.Errorf("(-recorded +rebuilt):\n%s", diff)
	}
}

// dump is what the record of steps holds.
func dump(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	inspect(t, path, func(tx *bolt.Tx) error {
		for _, name := range []string{"steps", "timings", "placed", "words"} {
			must(t, tx.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
				out[fmt.Sprintf("%s/%q", name, k)] = string(v)
				return nil
			}))
		}
		return nil
	})
	return out
}

// TestCopyFirst: what the benchmarks look at is a sound store but for the
// journals of its copies, and they are found where they were put.
func TestCopyFirst(t *testing.T) {
	db := openUnsynced(t)
	fillHistory(t, db, 250)
	found, err := db.Sought(t.Context(), storetest.CopiedVersion(250, 100))
	must(t, err)
	if len(found) != 50 || found[0].Next != nil || len(found[0].Clusters) != 5 {
		t.Errorf("%d found, the first of them %+v", len(found), found[0])
	}
	placed, err := db.Placed(t.Context(), "shop", time.Time{})
	must(t, err)
	if len(placed) != 200 || placed[0].Rollout != "shop-201" {
		t.Errorf("%d placed, the first of them %+v", len(placed), placed[0])
	}
}

// TestDurations counts what ended well, latest first, and what failed not.
func TestDurations(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	put(t, db, "ring-1", "v2", "v2", 2, hours(2), succeeded) // changed nothing
	put(t, db, "ring-1", "v2", "v3", 3, hours(3), succeeded)
	put(t, db, "ring-2", "v1", "v3", 4, hours(4), succeeded)
	got, err := db.Durations(t.Context(), "shop", 2)
	must(t, err)
	one := []time.Duration{7 * time.Second} // of db's step on the tape
	want := map[orchestrator.Ref][]time.Duration{{Ring: "ring-1", Service: "db"}: one, {Ring: "ring-2", Service: "db"}: one}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecorded: what was known of a place before a rollout wrote over it, at
// first and at any time.
func TestRecorded(t *testing.T) {
	db := openShop(t)
	adopt := func(version rings.Version, at time.Time) {
		must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
			s, err := a.Service("db")
			if err == nil {
				s.Known = map[rings.RingName]rings.Known{"ring-1": {Version: version, Commit: "c" + string(version), At: at}}
			}
			return err
		}))
	}
	check := func(name string, at time.Time, want string) {
		t.Helper()
		all, err := db.Recorded(t.Context(), "shop", at)
		must(t, err)
		got := ""
		for ref, r := range all {
			got += fmt.Sprintf("%s %s %s, then %s", ref.Service, ref.Ring, r.Version, r.Next.Rollout)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	adopt("v1", hours(1))
	check("nothing was rolled out", time.Time{}, "")
	put(t, db, "ring-1", "v1", "v2", 1, hours(2), succeeded)
	put(t, db, "ring-2", "", "v2", 2, hours(3), succeeded)
	adopt("v9", hours(4))
	put(t, db, "ring-1", "v9", "v3", 3, hours(5), succeeded)
	check("first", time.Time{}, "db ring-1 v1, then shop-1")
	check("before all", hours(1), "db ring-1 v1, then shop-1")
	check("after the second adoption", hours(4), "db ring-1 v9, then shop-3")
	check("after all", hours(9), "")
}
