package store_test

import (
	"errors"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

func TestLocks(t *testing.T) {
	db := openShop(t)
	must(t, db.CreateApp(t.Context(), storetest.App("blog")))
	whole := rings.Lock{App: "shop", Holder: "ann", By: "ann", Reason: "a fair", At: storetest.Start}
	ring, theirs, blog := whole, whole, whole
	ring.Ring, ring.Until = "ring-1", storetest.Start.Add(time.Hour)
	theirs.Holder, blog.App = "bob", "blog"
	must(t, db.Lock(t.Context(), whole, ring, theirs, blog))
	want := func(app rings.AppName, now time.Time, n int) []rings.Lock {
		t.Helper()
		locks, err := db.Locks(t.Context(), app, now)
		must(t, err)
		if len(locks) != n {
			t.Errorf("locks of %q: %+v, want %d", app, locks, n)
		}
		return locks
	}
	want("", storetest.Start, 4)
	want("shop", storetest.Start, 3)
	want("shop", storetest.Start.Add(time.Hour), 2)
	again := whole
	again.Reason, again.At = "a longer fair", storetest.Start.Add(time.Minute)
	must(t, db.Lock(t.Context(), again))
	if locks := want("shop", storetest.Start, 3); locks[0].Reason != again.Reason {
		t.Errorf("a second lock of one holder does not take the place of the first: %+v", locks)
	}
	wrong, lost := rings.Lock{App: "shop", Holder: "ann", At: storetest.Start}, whole
	lost.Ring, lost.Reason = "ring-9", "x"
	blog.Holder = "eve"
	if err := db.Lock(t.Context(), blog, wrong); !isInvalid(err) {
		t.Errorf("a lock without a reason: %v", err)
	}
	if err := db.Lock(t.Context(), blog, lost); !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("a lock on a ring that is not there: %v", err)
	}
	want("blog", storetest.Start, 1)
	if _, err := db.Unlock(t.Context(), whole, lost); !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("unlock what is not locked: %v", err)
	}
	want("shop", storetest.Start, 3)
	released, err := db.Unlock(t.Context(), whole, ring)
	must(t, err)
	if len(released) != 2 || released[0].Reason != again.Reason {
		t.Errorf("released %+v", released)
	}
	want("shop", storetest.Start, 1)
	must(t, db.DeleteApp(t.Context(), "shop", rings.Note{By: "ann", At: storetest.Start}))
	want("", storetest.Start, 1)
}

// TestLocks_group tells a cluster group from a cluster of its name.
func TestLocks_group(t *testing.T) {
	db := openShop(t)
	cluster := rings.Lock{App: "shop", Cluster: "north", Holder: "ann", By: "ann", Reason: "a fair", At: storetest.Start}
	group := cluster
	group.Cluster, group.Group = "", "north"
	must(t, db.Lock(t.Context(), cluster, group))
	released, err := db.Unlock(t.Context(), group)
	must(t, err)
	left, err := db.Locks(t.Context(), "shop", storetest.Start)
	must(t, err)
	if len(released) != 1 || released[0].Group != "north" || len(left) != 1 || left[0].Cluster != "north" {
		t.Errorf("released %+v, left %+v", released, left)
	}
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*rings.InvalidError](err)
	return ok
}

func TestWindows(t *testing.T) {
	db := openShop(t)
	w := rings.Window{App: "shop", Name: "weekend", Ring: "ring-1", Kind: rings.WindowDeny, Cron: "0 18 * * 5", Lasts: 62 * time.Hour, Zone: "Europe/Berlin", By: "ann", At: storetest.Start}
	must(t, db.SetWindow(t.Context(), w))
	lost, wrong := w, w
	lost.Ring, wrong.Zone = "ring-9", "Mars/Base"
	if err := db.SetWindow(t.Context(), lost); !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("a window of a ring that is not there: %v", err)
	}
	if err := db.SetWindow(t.Context(), wrong); !isInvalid(err) {
		t.Errorf("a window in no zone: %v", err)
	}
	saturday := time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)
	b, err := db.Barriers(t.Context(), "shop", saturday)
	must(t, err)
	// The night in which the clocks go back has an hour more.
	if len(b.Closed) != 1 || !b.At(saturday).Closed[0].Opens.Equal(time.Date(2026, 10, 26, 7, 0, 0, 0, time.UTC)) {
		t.Errorf("closed: %+v", b.Closed)
	}
	if b, err := db.Barriers(t.Context(), "nothing", saturday); err != nil || !b.Empty() {
		t.Errorf("barriers of an application that is not there: %+v, %v", b, err)
	}
	if _, err := db.RemoveWindow(t.Context(), "shop", "weekends"); err == nil || err.Error() != `window "weekends": not found in application "shop"; did you mean "weekend"?` {
		t.Errorf("remove what is not there: %v", err)
	}
	if was, err := db.RemoveWindow(t.Context(), "shop", "weekend"); err != nil || was.Lasts != w.Lasts {
		t.Errorf("removed %+v, %v", was, err)
	}
	if left, err := db.Windows(t.Context(), "shop"); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

// Nothing is created through a lock or into a closed window, unless a person
// goes over it: over exactly what stands then.
func TestCreateRollout_barred(t *testing.T) {
	db := openShop(t)
	lock := rings.Lock{App: "shop", Ring: "ring-2", Holder: "ann", By: "ann", Reason: "a fair", At: storetest.Start}
	must(t, db.Lock(t.Context(), lock))
	day := rings.Window{App: "shop", Name: "day", Ring: "ring-1", Kind: rings.WindowDeny, From: storetest.Start.Add(time.Hour), To: storetest.Start.Add(2 * time.Hour), Zone: "UTC", At: storetest.Start}
	must(t, db.SetWindow(t.Context(), day))
	refused := func(now time.Time, want bool, names ...rings.RingName) {
		t.Helper()
		err := create(t, db, now, names...)
		if errors.Is(err, orchestrator.ErrBarred) != want || err != nil && !want {
			t.Errorf("on %v at %s: %v, want refused %t", names, now, err, want)
		}
	}
	refused(storetest.Start, true, "ring-2")
	refused(storetest.Start, true, "ring-1", "ring-2")
	refused(storetest.Start.Add(time.Hour), true, "ring-1")
	if rows, err := db.Rollouts(t.Context(), store.Filter{}); err != nil || len(rows.Rollouts) != 0 {
		t.Errorf("rollouts: %+v, %v", rows, err)
	}
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		c := storetest.Created(a, "ring-1", "ring-2")
		c.Options.GoOver, c.Options.Reason = true, "it burns"
		return c, nil
	}, "bob", storetest.Start.Add(time.Hour))
	must(t, err)
	s, err := db.Rollout(t.Context(), id)
	must(t, err)
	if s.Over == nil || len(s.Over.Locks) != 1 || !s.Over.Locks[0].Same(lock) || len(s.Over.Closed) != 1 || s.Over.Closed[0].Ring != "ring-1" {
		t.Errorf("gone over: %+v", s.Over)
	}
}

// TestCreateRollout_locks: what is set with a rollout does not hold that one,
// and everything else; a rollout that is refused sets nothing.
func TestCreateRollout_locks(t *testing.T) {
	db := openShop(t)
	lock := rings.Lock{App: "shop", Ring: "ring-1", Service: "db", Holder: "ann", By: "ann", Reason: "incident", At: storetest.Start}
	create := func(change func(*orchestrator.Created)) (orchestrator.ID, error) {
		return db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
			c := storetest.Created(a, "ring-1")
			change(&c)
			return c, nil
		}, "ann", storetest.Start)
	}
	held := func() int {
		locks, err := db.Locks(t.Context(), "shop", storetest.Start)
		must(t, err)
		return len(locks)
	}
	bad := lock
	bad.Service = "nothing"
	if _, err := create(func(c *orchestrator.Created) { c.Locks = []rings.Lock{lock, bad} }); !errors.Is(err, rings.ErrUnknown) || held() != 0 {
		t.Fatalf("a lock on nothing: %v, %d locks", err, held())
	}
	id, err := create(func(c *orchestrator.Created) { c.Locks = []rings.Lock{lock} })
	must(t, err)
	s, err := db.Rollout(t.Context(), id)
	must(t, err)
	b, err := db.Barriers(t.Context(), "shop", storetest.Start)
	must(t, err)
	if len(b.Locks) != 1 || !b.Without(*s.Over).Empty() {
		t.Errorf("locks %+v, over %+v", b.Locks, s.Over)
	}
	tape := storetest.Resume(s, "ada")
	lease, err := db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
	must(t, err)
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Succeeded}))
	if _, err := create(func(*orchestrator.Created) {}); !errors.Is(err, orchestrator.ErrBarred) {
		t.Errorf("the next one: %v", err)
	}
}
