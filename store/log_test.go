package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// entries reads the log in short.
func entries(t *testing.T, db *store.DB, f store.LogFilter) (lines []string, read uint64) {
	t.Helper()
	events, read, err := db.Log(t.Context(), f)
	must(t, err)
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%d: %s/%d %s", e.Number, e.Rollout, e.Seq, e.Type()))
	}
	return lines, read
}

// TestLog numbers what two rollouts write by turns, and reads it in parts.
func TestLog(t *testing.T) {
	db := openShop(t)
	must(t, db.CreateApp(t.Context(), storetest.App("shop-2")))
	shop, lease := start(t, db, "shop", "ring-1", hours(1))
	other, otherLease := start(t, db, "shop-2", "ring-1", hours(2))
	appendAll(t, db, shop.Batch(lease, orchestrator.Driven{}), shop.Batch(lease, orchestrator.Started{}))
	appendAll(t, db, other.Batch(otherLease, orchestrator.Driven{}), shop.Batch(lease, orchestrator.Ended{Phase: orchestrator.Failed, Failure: broken}))
	want := []string{"1: shop-1/1 created", "2: shop-2-1/1 created", "3: shop-1/2 driven", "4: shop-1/3 started", "5: shop-2-1/2 driven", "6: shop-1/4 ended"}

	got, read := entries(t, db, store.LogFilter{})
	if diff := cmp.Diff(want, got); diff != "" || read != 6 {
		t.Errorf("read up to %d (-want +got):\n%s", read, diff)
	}
	var parts []string
	for after := uint64(0); ; {
		part, read := entries(t, db, store.LogFilter{After: after, Limit: 2})
		if read == after {
			break
		}
		parts, after = append(parts, part...), read
	}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("in parts (-want +got):\n%s", diff)
	}
	if got, read = entries(t, db, store.LogFilter{App: "shop", After: 1}); fmt.Sprint(got) != fmt.Sprint([]string{want[2], want[3], want[5]}) || read != 6 {
		t.Errorf("of shop after 1: %v, read up to %d", got, read)
	}
	if got, read = entries(t, db, store.LogFilter{Rollout: "shop-2-1", After: 2}); fmt.Sprint(got) != fmt.Sprint(want[4:5]) || read != 6 {
		t.Errorf("of shop-2-1 after 2: %v, read up to %d", got, read)
	}
	if got, read = entries(t, db, store.LogFilter{After: 6}); len(got) != 0 || read != 6 {
		t.Errorf("after the last: %v, read up to %d", got, read)
	}
	_, _, err := db.Log(t.Context(), store.LogFilter{After: 7})
	wantUnknown(t, err, "event", "")
}

// TestLog_Older: what was there before the log is numbered, and goes on.
func TestLog_Older(t *testing.T) {
	db := openNew(t)
	live := fill(t, db)
	alter(t, db.Path(), func(tx *bolt.Tx) error {
		must(t, tx.Bucket([]byte("meta")).Delete([]byte("events")))
		return tx.DeleteBucket([]byte("log"))
	})
	setSchema(t, db.Path(), beforeRecord)
	db = open(t, db.Path())
	before, read := entries(t, db, store.LogFilter{})
	if uint64(len(before)) != read || read < live.State.Version {
		t.Fatalf("%d events, read up to %d", len(before), read)
	}
	id, err := db.CreateRollout(t.Context(), "web", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return storetest.Created(a, "ring-1"), nil
	}, "ada", hours(9))
	must(t, err)
	after, _ := entries(t, db, store.LogFilter{After: read})
	if want := fmt.Sprintf("[%d: %s/1 created]", read+1, id); fmt.Sprint(after) != want {
		t.Errorf("got %v, want %s", after, want)
	}
}
