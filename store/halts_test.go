package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// create starts a rollout of shop on the rings.
func create(t *testing.T, db *store.DB, now time.Time, names ...rings.RingName) error {
	t.Helper()
	_, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return storetest.Created(a, names...), nil
	}, "bob", now)
	return err
}

func TestHalts(t *testing.T) {
	db := openShop(t)
	must(t, db.CreateApp(t.Context(), storetest.App("blog")))
	want := func(now time.Time, halts ...rings.Halt) {
		t.Helper()
		got, err := db.Halts(t.Context(), now)
		must(t, err)
		if diff := cmp.Diff(halts, got); diff != "" {
			t.Errorf("halts (-want +got):\n%s", diff)
		}
	}
	want(storetest.Start)
	shop := rings.Halt{App: "shop", By: "bob", Reason: "sale", At: storetest.Start, Until: storetest.Start.Add(time.Hour)}
	blog := rings.Halt{App: "blog", By: "bob", Reason: "moving", At: storetest.Start}
	all := rings.Halt{By: "ada", Reason: "the network is down", At: storetest.Start}
	for _, h := range []rings.Halt{{App: "shop", Reason: "an older one"}, shop, blog, all} {
		must(t, db.Halt(t.Context(), h))
	}
	want(storetest.Start, all, blog, shop)
	want(shop.Until, all, blog)
	wantUnknown(t, db.Halt(t.Context(), rings.Halt{App: "shoq"}), "application", "shop")

	lifted, err := db.Unhalt(t.Context(), "")
	must(t, err)
	if diff := cmp.Diff(all, lifted); diff != "" {
		t.Errorf("lifted (-want +got):\n%s", diff)
	}
	want(storetest.Start, blog, shop)
	_, err = db.Unhalt(t.Context(), "")
	wantUnknown(t, err, "halt", "")
	_, err = db.Unhalt(t.Context(), "shoq")
	wantUnknown(t, err, "application", "shop")
	lifted, err = db.Unhalt(t.Context(), "shop")
	must(t, err)
	if diff := cmp.Diff(shop, lifted); diff != "" {
		t.Errorf("lifted (-want +got):\n%s", diff)
	}
	_, err = db.Unhalt(t.Context(), "shop")
	wantUnknown(t, err, "halt", "")
	must(t, db.DeleteApp(t.Context(), "blog", rings.Note{}))
	want(storetest.Start)
}

// TestHaltedCreate starts nothing while a halt stands.
func TestHaltedCreate(t *testing.T) {
	db := openShop(t)
	until := storetest.Start.Add(2 * time.Hour)
	all := rings.Halt{By: "ada", Reason: "the network is down", At: storetest.Start, Until: until}
	shop := rings.Halt{App: "shop", By: "bob", Reason: "sale", At: storetest.Start}
	for _, test := range []struct {
		halt rings.Halt
		want string
	}{
		{all, "all applications: the line is stopped by ada since 2026-03-01T12:00:00Z, until 2026-03-01T14:00:00Z: the network is down"},
		{shop, `application "shop": the line is stopped by bob since 2026-03-01T12:00:00Z, until it is lifted: sale`},
	} {
		must(t, db.Halt(t.Context(), test.halt))
		err := create(t, db, storetest.Start, "ring-1")
		halted, ok := errors.AsType[*store.HaltedError](err)
		if !ok || halted.Halt != test.halt || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
		wantIs(t, err, store.ErrHalted)
	}
	wantIs(t, create(t, db, until, "ring-1"), store.ErrHalted)
	_, err := db.Unhalt(t.Context(), "shop")
	must(t, err)
	must(t, create(t, db, until, "ring-1"))
	live, err := db.Live(t.Context())
	must(t, err)
	if len(live) != 1 || live[0] != "shop-1" {
		t.Errorf("live: %v, want shop-1 alone", live)
	}
}

// TestHaltIsTold tells drivers of other processes that the line is stopped and
// that it is free again.
func TestHaltIsTold(t *testing.T) {
	db := openShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := open(t, db.Path()).Changes(ctx)
	for i, write := range []func() error{
		func() error { return db.Halt(t.Context(), rings.Halt{App: "shop", By: "bob", At: storetest.Start}) },
		func() error {
			_, err := db.Unhalt(t.Context(), "shop")
			return err
		},
	} {
		must(t, write())
		select {
		case <-changes:
		case <-time.After(5 * time.Second):
			t.Fatalf("the other process was not told of write %d", i+1)
		}
	}
}
