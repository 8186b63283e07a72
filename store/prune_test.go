package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// putRelease makes one with the versions.
func putRelease(t testing.TB, db *store.DB, key string, now time.Time, versions map[rings.ServiceName]rings.Version) {
	t.Helper()
	_, _, err := db.CreateRelease(t.Context(), "shop", func(*rings.Application) (rings.Release, error) {
		return rings.Release{Key: key, Versions: versions, From: "CI", By: "ada", At: now}, nil
	})
	must(t, err)
}

func ids(t testing.TB, db *store.DB) []string {
	t.Helper()
	page, err := db.Rollouts(t.Context(), store.Filter{App: "shop"})
	must(t, err)
	out := []string{}
	for _, row := range page.Rollouts {
		out = append(out, string(row.ID))
	}
	return out
}

// TestPrune keeps what explains what runs, and what was asked for; and nothing
// that it forgets seems to have been otherwise.
func TestPrune(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	put(t, db, "ring-2", "v1", "v2", 2, hours(2), succeeded) // runs
	put(t, db, "ring-1", "v2", "v3", 3, hours(3), succeeded)
	put(t, db, "ring-1", "v3", "v4", 4, hours(4), succeeded) // runs, deployed again by the next one
	put(t, db, "ring-1", "v4", "v4", 5, hours(5), succeeded)
	for n := range 3 {
		putRelease(t, db, fmt.Sprint("build-", n+2), hours(n), map[rings.ServiceName]rings.Version{"db": rings.Version(fmt.Sprint("v", n+2)), "api": "v0"})
	}
	putRelease(t, db, "", hours(6), map[rings.ServiceName]rings.Version{"db": "v9"})

	want := []store.Pruned{{App: "shop", Rollouts: store.Share{Gone: 2, Kept: 3}, Releases: store.Share{Gone: 1, Kept: 3}}}
	got, err := db.Prunable(t.Context(), store.Keep{Newest: 1})
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("prunable (-want +got):\n%s", diff)
	}
	got, err = db.Prune(t.Context(), store.Keep{Newest: 1})
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pruned (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"shop-5", "shop-4", "shop-2"}, ids(t, db)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	now := []string{"db ring-1 v4 shop-5, since 4h0m0s by shop-4, then -", "db ring-2 v2 shop-2, since 2h0m0s by shop-2, then -"}
	if diff := cmp.Diff(now, placements(t, db, time.Time{})); diff != "" {
		t.Errorf("now (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"db ring-2 v2 shop-2, since 2h0m0s by shop-2, then -"}, placements(t, db, hours(4))); diff != "" {
		t.Errorf("when v3 was there (-want +got):\n%s", diff)
	}
	_, err = db.ReleaseNumber(t.Context(), "shop", 2)
	wantUnknown(t, err, "release", "")
	putRelease(t, db, "build-3", hours(7), map[rings.ServiceName]rings.Version{"db": "v8"}) // the key is free again
}

// TestPrune_Random: whatever is pruned, what is left is as it was, and no
// question about the past gets another answer than before, only none.
func TestPrune_Random(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			db := openUnsynced(t)
			versions := map[rings.RingName]rings.Version{"ring-1": "v0", "ring-2": "v0"}
			for n := range 12 {
				ring := rings.RingName(fmt.Sprint("ring-", 1+r.IntN(2)))
				to := rings.Version(fmt.Sprint("v", r.IntN(4)))
				put(t, db, ring, versions[ring], to, int64(n+1), hours(n+1), succeeded)
				versions[ring] = to
				putRelease(t, db, fmt.Sprint("build-", n), hours(n+1), map[rings.ServiceName]rings.Version{"db": to})
			}
			live, _ := start(t, db, "shop", "ring-1", hours(14))
			before, log := remember(t, db), events(t, db)
			keep := store.Keep{Newest: r.IntN(4)}
			if r.IntN(2) == 0 {
				keep.Since = hours(8 + r.IntN(8))
			}
			_, err := db.Prune(t.Context(), keep)
			must(t, err)
			for _, err := range db.Check(t.Context()) {
				t.Error(err)
			}
			same(t, before, remember(t, db))
			for n, e := range events(t, db) {
				if log[n] != e {
					t.Errorf("event %d was %s, is %s", n, log[n], e)
				}
			}
			if left := ids(t, db); left[0] != string(live.ID) {
				t.Errorf("the live rollout is gone: %v", left)
			}
			if got, err := db.Prune(t.Context(), keep); err != nil || got[0].Rollouts.Gone+got[0].Releases.Gone > 0 {
				t.Errorf("pruned again: %+v, %v", got, err)
			}
		})
	}
}

// same complains of answers that are others than before; some may be missing,
// but those that say "now" may not.
func same(t *testing.T, before, after map[string]string) {
	t.Helper()
	for question, answer := range before {
		got, there := after[question]
		if there && got != answer {
			t.Errorf("%s: was %s, is %s", question, answer, got)
		}
		if !there && question[:3] == "now" {
			t.Errorf("%s: was %s, is forgotten", question, answer)
		}
	}
}

// remember asks the store what runs and ran where, and what its rollouts are.
func remember(t *testing.T, db *store.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, p := range placements(t, db, time.Time{}) {
		out["now "+p[:9]] = p
	}
	for n := range 15 {
		for _, p := range placements(t, db, hours(n)) {
			out[fmt.Sprint("at ", n, " ", p[:9])] = p
		}
		for _, ring := range []rings.RingName{"ring-1", "ring-2"} {
			known, err := db.AsOf(t.Context(), "shop", ring, hours(n))
			must(t, err)
			for name, k := range known {
				out[fmt.Sprint("as of ", n, " ", ring, " ", name)] = fmt.Sprint(k.Version, k.Verified)
			}
		}
		found, err := db.Sought(t.Context(), fmt.Sprint("v", n))
		must(t, err)
		for _, s := range found {
			out[fmt.Sprint("where was v", n, " ", s.Ring)] = fmt.Sprint(s.Rollout, s.Next != nil)
		}
	}
	for _, id := range ids(t, db) {
		s, err := db.Rollout(t.Context(), orchestrator.ID(id))
		must(t, err)
		out["rollout "+id] = fmt.Sprint(s.Version, s.Phase, s.StartedAt, s.Steps[0].Attempt)
	}
	return out
}

// events are the whole log by number.
func events(t *testing.T, db *store.DB) map[uint64]string {
	t.Helper()
	all, _, err := db.Log(t.Context(), store.LogFilter{})
	must(t, err)
	out := map[uint64]string{}
	for _, e := range all {
		out[e.Number] = fmt.Sprint(e.Rollout, e.Seq)
	}
	return out
}

// TestLog_Pruned: one who follows the log goes on behind what was pruned.
func TestLog_Pruned(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	all, _, err := db.Log(t.Context(), store.LogFilter{Limit: 3})
	must(t, err)
	put(t, db, "ring-1", "v2", "v3", 2, hours(2), succeeded)
	_, err = db.Prune(t.Context(), store.Keep{})
	must(t, err)
	rest, _, err := db.Log(t.Context(), store.LogFilter{After: all[2].Number, App: "shop"})
	must(t, err)
	if len(rest) == 0 || rest[0].Rollout != "shop-2" || rest[0].Seq != 1 {
		t.Errorf("got %d events: %+v", len(rest), rest[0])
	}
}

// TestCompact: the file shrinks, keeps its mode, and is the same store, which
// watchers and writers go on with.
func TestCompact(t *testing.T) {
	db := openShop(t)
	for n := range 12 {
		put(t, db, "ring-1", "v1", "v2", int64(n+1), hours(n), succeeded)
	}
	live, _ := start(t, db, "shop", "ring-2", hours(20))
	must(t, os.Chmod(db.Path(), 0o640))
	_, err := db.Prune(t.Context(), store.Keep{Newest: 1})
	must(t, err)
	want, err := db.Rollout(t.Context(), live.ID)
	must(t, err)
	changed := open(t, db.Path()).Changes(t.Context())
	before, after, err := db.Compact(t.Context())
	must(t, err)
	info, err := os.Stat(db.Path())
	must(t, err)
	if after >= before || info.Size() != after || info.Mode().Perm() != 0o640 {
		t.Errorf("from %d to %d bytes, is %d, %v", before, after, info.Size(), info.Mode())
	}
	got, err := db.Rollout(t.Context(), live.ID)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the live rollout (-before +after):\n%s", diff)
	}
	<-changed
	must(t, db.Send(t.Context(), live.ID, orchestrator.Command{Kind: orchestrator.CommandPause, By: "bob", Reason: "x", At: storetest.Start}))
	<-changed
}

// TestCompact_Symlink: the link stays, and leads to the compact file.
func TestCompact_Symlink(t *testing.T) {
	db := openShop(t)
	link := filepath.Join(t.TempDir(), "link.db")
	must(t, os.Symlink(db.Path(), link))
	_, after, err := open(t, link).Compact(t.Context())
	must(t, err)
	info, err := os.Lstat(link)
	must(t, err)
	there, err := os.Stat(db.Path())
	must(t, err)
	if info.Mode()&os.ModeSymlink == 0 || there.Size() != after {
		t.Errorf("link: %v; %d bytes, want %d", info.Mode(), there.Size(), after)
	}
}

// TestCompact_Interrupted: what a process left that died is no hindrance.
func TestCompact_Interrupted(t *testing.T) {
	db := openShop(t)
	must(t, os.WriteFile(db.Path()+".new", []byte("half"), 0o600))
	_, _, err := db.Compact(t.Context())
	must(t, err)
	_, err = db.App(t.Context(), "shop")
	must(t, err)
}
