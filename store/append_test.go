package store_test

import (
	"errors"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/store"
	"rollout/store/storetest"
)

// transactions is how many transactions the file has seen.
func transactions(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	inspect(t, db.Path(), func(tx *bolt.Tx) error {
		n = tx.ID()
		return nil
	})
	return n
}

// TestAppendTogether appends from many goroutines at once, some of which must
// fail: they share transactions, and not each other's errors.
func TestAppendTogether(t *testing.T) {
	const n = 40
	db := openShop(t)
	good, lease := start(t, db, "shop", "ring-1", storetest.Start)
	other, stale := start(t, db, "shop", "ring-2", storetest.Start)
	stale.Epoch++
	appendAll(t, db, good.Batch(lease, orchestrator.Started{})) // opens the window
	before := transactions(t, db)
	strange := other.Batch(stale, orchestrator.Started{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := db.Append(t.Context(), []orchestrator.Batch{strange}); !errors.Is(err, orchestrator.ErrFenced) {
				t.Errorf("got %v, want ErrFenced", err)
			}
		})
		wg.Go(func() {
			if err := db.Append(t.Context(), []orchestrator.Batch{{Lease: lease}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := transactions(t, db) - before; took > n/2 {
		t.Errorf("%d appends took %d transactions", n, took)
	}
	appendAll(t, db, good.Batch(lease, orchestrator.Warned{Words: "still here"}))
	wantIs(t, db.Append(t.Context(), []orchestrator.Batch{{Lease: lease,
		Events: []orchestrator.Event{{Rollout: "shop-2", Seq: 4, Body: orchestrator.Started{}}}}}), orchestrator.ErrOutOfOrder)
}

// TestAppendWithoutState lets the store fold what it needs by itself.
func TestAppendWithoutState(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	for range 3 {
		b := tape.Batch(lease, storetest.Whole(storetest.App("shop"), "ring-1", 100)[:450]...)
		b.State = nil
		appendAll(t, db, b)
	}
	s, err := db.Rollout(t.Context(), tape.ID)
	must(t, err)
	if s.Version != tape.State.Version || s.Phase != orchestrator.Running {
		t.Errorf("got %d events, %s", s.Version, s.Phase)
	}
}
