package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// BenchmarkRead is the cost of an operation that reads next to nothing: taking
// the lock, opening, looking, closing.
func BenchmarkRead(b *testing.B) {
	db := openShop(b)
	for b.Loop() {
		_, err := db.App(b.Context(), "shop")
		must(b, err)
	}
}

// BenchmarkWrite is the same with a commit, and on disk.
func BenchmarkWrite(b *testing.B) {
	db := openShop(b)
	n := 0
	for b.Loop() {
		n++
		must(b, db.UpdateApp(b.Context(), "shop", func(a *rings.Application) error {
			a.Plan["db"] = rings.PlanEntry{Version: rings.Version(fmt.Sprint(n))}
			return nil
		}))
	}
}

// openUnsynced opens a new store with the application shop, as fast as it goes
// and without a check afterwards.
func openUnsynced(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rollout.db"), store.Options{NoSync: true, NoWait: true})
	must(t, err)
	must(t, db.CreateApp(t.Context(), storetest.App("shop")))
	return db
}

// BenchmarkAppend appends what is written when one cluster turns ready, on
// rings of two sizes: neither the time (without syncing) nor the bytes may
// grow with the ring.
func BenchmarkAppend(b *testing.B) {
	for _, clusters := range []int{100, 10_000} {
		b.Run(fmt.Sprint("clusters=", clusters), func(b *testing.B) { benchmarkAppend(b, clusters) })
	}
}

func benchmarkAppend(b *testing.B, clusters int) {
	db := openUnsynced(b)
	tape, lease := start(b, db, "shop", "ring-1", storetest.Start)
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	appendAll(b, db, tape.Batch(lease, orchestrator.RingStarted{Ring: "ring-1"}))
	appendAll(b, db, tape.Batch(lease, storetest.Publishing(ref, "v2", 1, clusters)...))
	for n := range clusters {
		appendAll(b, db, tape.Batch(lease, storetest.Turning(ref, storetest.Cluster(n), 1, false)...))
	}
	before, n := journalBytes(b, db), 0
	for b.Loop() {
		appendAll(b, db, tape.Batch(lease, storetest.Turning(ref, storetest.Cluster(n%clusters), 1, n/clusters%2 == 0)...))
		n++
	}
	b.ReportMetric(float64(journalBytes(b, db)-before)/float64(n), "bytes/cluster")
}

// journalBytes is the size of all journals' keys and values.
func journalBytes(t testing.TB, db *store.DB) (n int) {
	inspect(t, db.Path(), func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("journal")).ForEachBucket(func(name []byte) error {
			return tx.Bucket([]byte("journal")).Bucket(name).ForEach(func(k, v []byte) error {
				n += len(k) + len(v)
				return nil
			})
		})
	})
	return n
}

// inspect reads the file without the package.
func inspect(t testing.TB, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	b, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	must(t, err)
	defer b.Close()
	must(t, b.View(fn))
}

// alter writes to the file without the package.
func alter(t testing.TB, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	b, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	must(t, err)
	defer b.Close()
	must(t, b.Update(fn))
}

// BenchmarkHistory lists the latest 50 of 100,000 rollouts, of all
// applications and of one.
func BenchmarkHistory(b *testing.B) {
	db := openUnsynced(b)
	fillHistory(b, db, 100_000)
	for name, f := range map[string]store.Filter{
		"all":  {Limit: 50},
		"app":  {App: "shop", Limit: 50},
		"live": {Live: true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := db.Rollouts(b.Context(), f)
				must(b, err)
			}
		})
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			must(b, db.PutCluster(b.Context(), rings.Cluster{App: "shop", Name: "eu-1", AddedAt: time.Now()}))
		}
	})
}

// fillHistory makes one rollout that has succeeded and copies it.
func fillHistory(t testing.TB, db *store.DB, n uint64) {
	t.Helper()
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	appendAll(t, db, tape.Batch(lease, storetest.Whole(storetest.App("shop"), "ring-1", 5)...))
	must(t, db.Release(t.Context(), lease))
	must(t, storetest.CopyFirst(db.Path(), n, 100))
}

// BenchmarkRestart loads 100 live rollouts of 100 clusters, half way, as a
// driver does that begins.
func BenchmarkRestart(b *testing.B) {
	db := openUnsynced(b)
	for i := range 100 {
		app := storetest.App(rings.AppName(fmt.Sprint("app-", i)))
		must(b, db.CreateApp(b.Context(), app))
		tape, lease := start(b, db, app.Name, "ring-1", storetest.Start)
		bodies := storetest.Whole(app, "ring-1", 100)
		appendAll(b, db, tape.Batch(lease, bodies[:len(bodies)-200]...))
	}
	for b.Loop() {
		ids, err := db.Live(b.Context())
		must(b, err)
		for _, id := range ids {
			_, err := db.Rollout(b.Context(), id)
			must(b, err)
		}
	}
}

// BenchmarkSee asks 100,000 rollouts on 100 rings where things are, and lists
// those that fit filters which few fit.
func BenchmarkSee(b *testing.B) {
	db := openUnsynced(b)
	fillHistory(b, db, 100_000)
	see := func(name string, ask func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				must(b, ask())
			}
		})
	}
	list := func(f store.Filter) func() error {
		return func() error { _, err := db.Rollouts(b.Context(), f); return err }
	}
	see("placed", func() error { _, err := db.Placed(b.Context(), "shop", time.Time{}); return err })
	see("placed-at", func() error { _, err := db.Placed(b.Context(), "shop", storetest.Start.Add(10*time.Hour)); return err })
	see("recorded", func() error { _, err := db.Recorded(b.Context(), "shop", time.Time{}); return err })
	see("sought-version", func() error { _, err := db.Sought(b.Context(), storetest.CopiedVersion(100_000, 100)); return err })
	see("sought-everywhere", func() error { _, err := db.Sought(b.Context(), "v7"); return err })
	see("history-page", list(store.Filter{App: "shop", Limit: 50, Steps: true}))
	see("history-none-fits", list(store.Filter{App: "shop", By: "nobody", Limit: 50}))
	see("history-cluster", list(store.Filter{App: "shop", Cluster: "eu-00042", Limit: 50, Steps: true}))
	see("history-between", list(store.Filter{Since: storetest.Start.Add(9 * time.Hour), Until: storetest.Start.Add(10 * time.Hour), Limit: 50, Steps: true}))
}
