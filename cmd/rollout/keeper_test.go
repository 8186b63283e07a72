package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// dial is a clock that a test moves.
type dial struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	slept  chan time.Duration // receives how long somebody wants to sleep
}

func (d *dial) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *dial) After(span time.Duration) (<-chan time.Time, func()) {
	c := make(chan time.Time, 1)
	d.mu.Lock()
	d.timers[c] = d.now.Add(span)
	d.mu.Unlock()
	d.slept <- span
	return c, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.timers, c)
	}
}

// turn moves the clock, and wakes who has slept for long enough.
func (d *dial) turn(span time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(span)
	for c, at := range d.timers {
		if !at.After(d.now) {
			c <- d.now
			delete(d.timers, c)
		}
	}
}

// keeperWorld is a keeper on a store of its own, of an application whose ring-1
// starts releases and whose ring-2 has a train every day at 13:00; it is noon.
type keeperWorld struct {
	*keeper
	out    *bytes.Buffer
	clock  *dial
	began  []string
	caught []rings.Note
	fails  error // what to begin fails with; nil: it does not
}

func newKeeperWorld(t *testing.T) *keeperWorld {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rollout.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	verified := rings.Known{Version: "v2", At: now.Add(-time.Hour), Verified: "shop-0", VerifiedAt: now.Add(-time.Hour)}
	a := &rings.Application{Name: "shop", Workspace: "fleet-default", RingLabel: "ring", Rings: []rings.Ring{
		{Name: "ring-1", Starts: rings.Starts{OnRelease: rings.ReleaseStart}},
		{Name: "ring-2", Starts: rings.Starts{Train: rings.Schedule{Cron: "0 13 * * *", Zone: "UTC"}}, Kept: rings.Kept{Until: now}},
	}, Services: []rings.Service{{Name: "web", Repo: "https://git.example.com/web.git", Branch: "main", GitRepo: "web", Known: map[rings.RingName]rings.Known{"ring-1": verified}}}}
	if err := db.CreateApp(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w := &keeperWorld{out: new(bytes.Buffer), clock: &dial{now: now, timers: map[chan time.Time]time.Time{}, slept: make(chan time.Duration, 10)}}
	p := &program{environment: environment{stdout: w.out, stderr: io.Discard, now: w.clock.Now, getenv: func(string) string { return "" }}, flags: globalFlags{store: db.Path()}}
	w.keeper = &keeper{program: p, db: db, clock: w.clock, changed: make(chan struct{}, 1), begin: w.begins,
		ours: func(*rings.Application) bool { return true }, catchUp: func(context.Context, *rings.Application) ([]rings.Note, error) { return w.caught, nil }, tried: map[rings.AppName]map[orchestrator.Due]orchestrator.Try{}, told: map[string]string{}}
	return w
}

// begins is what newKeeper's does, without a Fleet.
func (w *keeperWorld) begins(ctx context.Context, a *rings.Application, d orchestrator.Due) (orchestrator.ID, error) {
	w.began = append(w.began, d.String())
	if w.fails != nil {
		return "", w.fails
	}
	first, err := w.firstOf(ctx, w.db, a.Name, d)
	if err != nil {
		return "", err
	}
	return w.db.CreateDue(ctx, a.Name, d, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) { return first(a, ground{}) }, d.Actor(a), w.clock.Now())
}

// rounds plays one, and returns what it printed and when it wants to look again.
func (w *keeperWorld) rounds(t *testing.T, after time.Duration) (string, string) {
	t.Helper()
	w.clock.turn(after)
	w.out.Reset()
	wake := w.round(t.Context())
	asks := ""
	if !wake.IsZero() {
		asks = wake.Format("02 15:04")
	}
	return w.out.String(), asks
}

func (w *keeperWorld) want(t *testing.T, after time.Duration, lines, wake string) {
	t.Helper()
	out, asks := w.rounds(t, after)
	if lines != "" {
		lines += "\n"
	}
	if out != lines || asks != wake {
		t.Errorf("got %q, asks at %s; want %q, %s", out, asks, lines, wake)
	}
}

func (w *keeperWorld) lock(t *testing.T, ring rings.RingName) rings.Lock {
	t.Helper()
	l := rings.Lock{App: "shop", Ring: ring, Holder: "ann", By: "ann", Reason: "stocktaking", At: w.clock.Now()}
	if err := w.db.Lock(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *keeperWorld) release(t *testing.T, v rings.Version) {
	t.Helper()
	_, _, err := w.db.CreateRelease(t.Context(), "shop", func(*rings.Application) (rings.Release, error) {
		return rings.Release{Versions: map[rings.ServiceName]rings.Version{"web": v}, From: "plan", By: "ci", At: w.clock.Now()}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A train that is due waits for a lock, says so once, and starts when it is gone,
// once.
func TestKeeper_lock(t *testing.T) {
	w := newKeeperWorld(t)
	w.want(t, 0, "", "20 13:00")
	l := w.lock(t, "ring-2")
	const waits = "2026-11-20T13:00:00Z shop train of 2026-11-20 13:00:00Z to ring-2: waits: ring-2 is locked by ann since 2026-11-20T12:00:00Z, until it is released: stocktaking"
	w.want(t, time.Hour, waits, "20 14:00")
	w.want(t, time.Minute, "", "20 14:00")
	if _, err := w.db.Unlock(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	w.want(t, time.Minute, "2026-11-20T13:02:00Z shop train of 2026-11-20 13:00:00Z to ring-2: started shop-1", "20 14:00")
	w.want(t, time.Minute, "", "21 13:00")
	row, err := w.db.Summary(t.Context(), "shop-1")
	if err != nil || row.Kind != orchestrator.KindTrain || row.StartedBy != "keeper (train ring-2, 0 13 * * * UTC)" || row.Versions["web"] != "v2" {
		t.Errorf("it started %+v, %v", row, err)
	}
}

// What is in the way for too long makes the start be skipped, on the record.
func TestKeeper_skip(t *testing.T) {
	w := newKeeperWorld(t)
	w.lock(t, "ring-2")
	w.rounds(t, time.Hour)
	const why = "ring-2 is locked by ann since 2026-11-20T12:00:00Z, until it is released: stocktaking"
	w.want(t, 61*time.Minute, "2026-11-20T14:01:00Z shop train of 2026-11-20 13:00:00Z to ring-2: skipped: "+why, "21 13:00")
	notes, _, err := w.db.Notes(t.Context(), store.NoteFilter{App: "shop"})
	if err != nil || len(notes) != 1 || notes[0].Kind != rings.NoteStartSkipped || notes[0].Reason != why {
		t.Errorf("noted: %+v, %v", notes, err)
	}
}

// A train with nothing to take is over, and no fault.
func TestKeeper_nothing(t *testing.T) {
	w := newKeeperWorld(t)
	err := w.db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error { a.Services[0].Known = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.want(t, time.Hour, "2026-11-20T13:00:00Z shop train of 2026-11-20 13:00:00Z to ring-2: none: ring \"ring-2\": there is nothing to take from ring \"ring-1\"; web: nothing is recorded on ring-1", "20 14:00")
	w.want(t, time.Minute, "", "21 13:00")
	if notes, _, err := w.db.Notes(t.Context(), store.NoteFilter{App: "shop"}); err != nil || len(notes) != 0 {
		t.Errorf("noted: %+v, %v", notes, err)
	}
}

// What fails for a while is tried again; what fails for good is skipped.
func TestKeeper_fails(t *testing.T) {
	w := newKeeperWorld(t)
	w.fails = errors.New("git is away")
	w.want(t, time.Hour, "2026-11-20T13:00:00Z shop train of 2026-11-20 13:00:00Z to ring-2: waits: git is away", "20 13:01")
	w.want(t, 30*time.Second, "", "20 13:01")
	w.want(t, 30*time.Second, "", "20 13:02")
	if len(w.began) != 2 {
		t.Errorf("tried %d times, want 2", len(w.began))
	}
	w.fails = invalid("", "it can never finish")
	w.want(t, time.Minute, "2026-11-20T13:02:00Z shop train of 2026-11-20 13:00:00Z to ring-2: skipped: it can never finish", "20 14:00")
}

// Of releases the newest starts, once; one that a person has begun does not,
// nor one that the ring was verified with.
func TestKeeper_release(t *testing.T) {
	w := newKeeperWorld(t)
	w.release(t, "v3")
	w.release(t, "v4")
	w.want(t, 0, "2026-11-20T12:00:00Z shop release 2 on ring-1: started shop-1", "20 13:00")
	w.release(t, "v5")
	w.want(t, time.Minute, "2026-11-20T12:01:00Z shop release 3 on ring-1: waits: rollout shop-1 is live on ring-1", "20 13:00")
	end(t, w.db, "shop-1")
	r, err := w.db.ReleaseNumber(t.Context(), "shop", 3)
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{"ring-1"}, Release: &r})
	}, "ann", w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	end(t, w.db, id)
	w.want(t, time.Minute, "", "20 13:00")
	w.release(t, "v2")
	w.want(t, time.Minute, "2026-11-20T12:03:00Z shop release 4 on ring-1: none: there is nothing to take: ring-1 was verified with all of it already", "20 13:00")
}

// end cancels the rollout.
func end(t *testing.T, db *store.DB, id orchestrator.ID) {
	t.Helper()
	lease, err := db.Acquire(t.Context(), id, orchestrator.Driver{Name: "x"}, noon, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Rollout(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	e := orchestrator.Event{Rollout: id, Seq: s.Version + 1, At: noon, Actor: "x", Body: orchestrator.Ended{Phase: orchestrator.Cancelled}}
	if err := db.Append(t.Context(), []orchestrator.Batch{{Lease: lease, Events: []orchestrator.Event{e}}}); err != nil {
		t.Fatal(err)
	}
}

// The loop sleeps until something is due, at most a minute, wakes when others or
// this process change something, and ends with its context.
func TestKeeper_keep(t *testing.T) {
	w := newKeeperWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.keep(ctx)
	}()
	sleeps := func(want ...time.Duration) {
		t.Helper()
		for _, span := range want {
			if got := <-w.clock.slept; got != span {
				t.Errorf("sleeps for %s, want %s", got, span)
			}
			if span == keeperRest {
				w.clock.turn(span)
			}
		}
	}
	sleeps(keeperRest, keeperLook)
	w.clock.turn(keeperLook)
	sleeps(keeperRest, keeperLook)
	w.heard([]orchestrator.Event{{Body: orchestrator.Warned{}}, {Body: orchestrator.RingEnded{}}})
	sleeps(keeperRest, keeperLook)
	other, err := store.Open(t.Context(), w.db.Path(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Halt(t.Context(), rings.Halt{By: "ann", Reason: "an incident", At: noon}); err != nil {
		t.Fatal(err)
	}
	sleeps(keeperRest, keeperLook)
	w.clock.turn(55 * time.Minute)
	sleeps(keeperRest, keeperLook)
	stop()
	<-ended
	if out := w.out.String(); out != "" {
		t.Errorf("printed before anything was due: %s", out)
	}
}

// Exit codes say what no waiting changes.
func TestIsFinal(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("x: %w", context.DeadlineExceeded), false},
		{&store.RingBusyError{ID: "shop-1", Ring: "ring-1"}, false},
		{&orchestrator.BarredError{Barriers: rings.Barriers{Locks: []rings.Lock{{}}}}, false},
		{conflict("", "somebody else's version"), false},
		{&orchestrator.HeldError{Faults: []string{"v2 was withdrawn"}}, true},
		{&rings.InvalidError{What: "x", Faults: []string{"y"}}, true},
		{&rings.UnknownError{Kind: "release", Name: "7"}, true},
	} {
		if got := isFinal(test.err); got != test.want {
			t.Errorf("%v: %t, want %t", test.err, got, test.want)
		}
	}
}
