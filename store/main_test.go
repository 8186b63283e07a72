package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// TestMain runs a test binary that was started by a test as that test's child.
func TestMain(m *testing.M) {
	if name := os.Getenv("STORE_TEST_CHILD"); name != "" {
		if err := children[name](os.Getenv("STORE_TEST_FILE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// open opens the store at path; when the test is over, it must be sound and
// nothing else may lie beside it.
func open(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range db.Check(context.Background()) {
			t.Errorf("check: %v", err)
		}
		if left, _ := filepath.Glob(path + ".?*"); len(left) != 1 || left[0] != path+".lock" {
			t.Errorf("beside the store: %q, want only its lock", left)
		}
	})
	return db
}

// openNew opens a new store in a folder of its own.
func openNew(t testing.TB) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "data", "rollout.db"))
}

// openShop opens a new store with the application shop.
func openShop(t testing.TB) *store.DB {
	t.Helper()
	db := openNew(t)
	must(t, db.CreateApp(t.Context(), storetest.App("shop")))
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a rollout of the application on the ring and takes its lease.
func start(t testing.TB, db *store.DB, app rings.AppName, ring rings.RingName, now time.Time) (*storetest.Tape, orchestrator.Lease) {
	t.Helper()
	var first orchestrator.Created
	id, err := db.CreateRollout(t.Context(), app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		first = storetest.Created(a, ring)
		return first, nil
	}, "ada", now)
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, now, time.Hour)
	must(t, err)
	return storetest.NewTape(id, first, "ada", now), lease
}

var driver = orchestrator.Driver{Name: "host/1/a", Host: "host", PID: 1}

func appendAll(t testing.TB, db *store.DB, batches ...orchestrator.Batch) {
	t.Helper()
	must(t, db.Append(t.Context(), batches))
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		db := openShop(t)
		return storetest.Subject{
			Store: db,
			Other: open(t, db.Path()),
			Begin: func(t *testing.T, first orchestrator.Created, actor string, now time.Time) orchestrator.ID {
				id, err := db.CreateRollout(t.Context(), "shop", func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) {
					return first, nil
				}, actor, now)
				must(t, err)
				return id
			},
			Send: func(t *testing.T, id orchestrator.ID, c orchestrator.Command) { must(t, db.Send(t.Context(), id, c)) },
			Halt: func(t *testing.T, h rings.Halt) { must(t, db.Halt(t.Context(), h)) },
		}
	})
}
