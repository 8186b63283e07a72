package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollout/orchestrator"
	"rollout/rings"
)

// Subject is an empty store under test, with what is not part of the port.
type Subject struct {
	orchestrator.Store
	// Begin starts a rollout of the application called "shop"; each call gives
	// a later id.
	Begin func(t *testing.T, first orchestrator.Created, actor string, now time.Time) orchestrator.ID
	// Send puts a command into the rollout's inbox.
	Send func(t *testing.T, id orchestrator.ID, c orchestrator.Command)
	// Halt stops the line of the application called "shop", or of all; a halt
	// of the same scope takes the place of the older one.
	Halt func(t *testing.T, h rings.Halt)
	// Other is the same store as another process sees it; nil when there can
	// be none.
	Other orchestrator.Store
}

var driver = orchestrator.Driver{Name: "host/1/a", Host: "host", PID: 1}
var rival = orchestrator.Driver{Name: "host/2/b", Host: "host", PID: 2}

const ttl = 15 * time.Second

// Run runs the suite; open returns a new store for each test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"unknown":           testUnknown,
		"journal":           testJournal,
		"long-journal":      testLongJournal,
		"owned-by-caller":   testOwned,
		"out-of-order":      testOutOfOrder,
		"all-or-none":       testAllOrNone,
		"live":              testLive,
		"lease-is-held":     testLeaseHeld,
		"lease-is-renewed":  testRenew,
		"lease-is-released": testRelease,
		"fenced":            testFenced,
		"commands":          testCommands,
		"every-command":     testEveryCommand,
		"halted":            testHalted,
		"at-once":           testAtOnce,
		"changes":           testChanges,
		"context":           testContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// begin starts a rollout on ring-1 and takes its lease.
func begin(t *testing.T, s Subject) (*Tape, orchestrator.Lease) {
	t.Helper()
	app := App("shop")
	first := Created(app, "ring-1")
	id := s.Begin(t, first, "ada", Start)
	lease, err := s.Acquire(t.Context(), id, driver, Start, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return NewTape(id, first, "ada", Start), lease
}

func appendBatch(t *testing.T, s Subject, batches ...orchestrator.Batch) {
	t.Helper()
	if err := s.Append(t.Context(), batches); err != nil {
		t.Fatal(err)
	}
}

// equal compares the stored rollout with the tape's.
func equal(t *testing.T, s Subject, want *orchestrator.State) {
	t.Helper()
	got, err := s.Rollout(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rollout %q (-want +got):\n%s", want.ID, diff)
	}
}

func testUnknown(t *testing.T, s Subject) {
	begin(t, s)
	_, err1 := s.Rollout(t.Context(), "shop-99")
	_, err2 := s.Acquire(t.Context(), "nonsense", driver, Start, ttl)
	_, err3 := s.Commands(t.Context(), "shop-99")
	err4 := s.Append(t.Context(), []orchestrator.Batch{{Lease: orchestrator.Lease{Rollout: "shop-99", Driver: driver, Epoch: 1}}})
	for i, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, orchestrator.ErrNotFound) {
			t.Errorf("call %d: got %v, want ErrNotFound", i+1, err)
		}
	}
	if err := s.Release(t.Context(), orchestrator.Lease{Rollout: "shop-99", Driver: driver, Epoch: 1}); err != nil {
		t.Errorf("release of what is not held: %v", err)
	}
}

func testJournal(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	equal(t, s, tape.State)
	for _, b := range Whole(App("shop"), "ring-1", 3) {
		appendBatch(t, s, tape.Batch(lease, b))
	}
	equal(t, s, tape.State)
}

// testLongJournal crosses several snapshots, and looks after each batch.
func testLongJournal(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	bodies := Whole(App("shop"), "ring-1", 500)
	for len(bodies) > 0 {
		n := min(len(bodies), 333)
		appendBatch(t, s, tape.Batch(lease, bodies[:n]...))
		bodies = bodies[n:]
		equal(t, s, tape.State)
	}
}

func testOwned(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	appendBatch(t, s, tape.Batch(lease, orchestrator.Started{}))
	mine, err := s.Rollout(t.Context(), tape.ID)
	if err != nil {
		t.Fatal(err)
	}
	mine.Phase, mine.Steps[0].To, mine.Plan["db"] = "Altered", "altered", "altered"
	equal(t, s, tape.State)
}

func testOutOfOrder(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	gap := orchestrator.Event{Rollout: tape.ID, Seq: 3, At: Start, Body: orchestrator.Started{}}
	again := orchestrator.Event{Rollout: tape.ID, Seq: 1, At: Start, Body: orchestrator.Started{}}
	for _, e := range []orchestrator.Event{gap, again} {
		err := s.Append(t.Context(), []orchestrator.Batch{{Lease: lease, Events: []orchestrator.Event{e}, State: tape.State}})
		if !errors.Is(err, orchestrator.ErrOutOfOrder) {
			t.Errorf("event %d after 1: got %v, want ErrOutOfOrder", e.Seq, err)
		}
	}
	equal(t, s, tape.State)
}

func testAllOrNone(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	first := Created(App("shop"), "ring-2")
	other := NewTape(s.Begin(t, first, "ada", Start), first, "ada", Start)
	foreign := orchestrator.Lease{Rollout: other.ID, Driver: driver, Epoch: 7}
	spare := NewTape(tape.ID, Created(App("shop"), "ring-1"), "ada", Start)
	err := s.Append(t.Context(), []orchestrator.Batch{
		spare.Batch(lease, orchestrator.Started{}),
		NewTape(other.ID, first, "ada", Start).Batch(foreign, orchestrator.Started{}),
	})
	var fenced *orchestrator.FencedError
	if !errors.As(err, &fenced) {
		t.Fatalf("got %v, want a FencedError", err)
	}
	if diff := cmp.Diff([]orchestrator.ID{other.ID}, fenced.Rollouts); diff != "" {
		t.Errorf("fenced (-want +got):\n%s", diff)
	}
	equal(t, s, tape.State)
	equal(t, s, other.State)
}

func testLive(t *testing.T, s Subject) {
	app := App("shop")
	later := s.Begin(t, Created(app, "ring-2"), "ada", Start.Add(time.Hour))
	first := Created(app, "ring-1")
	earlier := NewTape(s.Begin(t, first, "ada", Start), first, "ada", Start)
	wantLive(t, s, earlier.ID, later)
	lease, err := s.Acquire(t.Context(), earlier.ID, driver, Start, ttl)
	if err != nil {
		t.Fatal(err)
	}
	appendBatch(t, s, earlier.Batch(lease, orchestrator.Ended{Phase: orchestrator.Cancelled}))
	wantLive(t, s, later)
	equal(t, s, earlier.State)
	if err := s.Release(t.Context(), lease); err != nil {
		t.Error(err)
	}
}

func wantLive(t *testing.T, s Subject, want ...orchestrator.ID) {
	t.Helper()
	got, err := s.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
}

func testLeaseHeld(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	_, err := s.Acquire(t.Context(), tape.ID, rival, Start.Add(ttl-1), ttl)
	var leased *orchestrator.LeasedError
	if !errors.As(err, &leased) || leased.Lease.Driver != driver {
		t.Errorf("got %v, want a LeasedError that names %v", err, driver)
	}
	again, err := s.Acquire(t.Context(), tape.ID, driver, Start, ttl)
	if err != nil || again.Epoch <= lease.Epoch {
		t.Errorf("the holder again: epoch %d after %d, %v", again.Epoch, lease.Epoch, err)
	}
	taken, err := s.Acquire(t.Context(), tape.ID, rival, Start.Add(ttl), ttl)
	if err != nil || taken.Epoch <= again.Epoch || taken.Driver != rival {
		t.Errorf("after it ran out: %+v, %v", taken, err)
	}
}

func testRenew(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	first := Created(App("shop"), "ring-2")
	lost, err := s.Acquire(t.Context(), s.Begin(t, first, "ada", Start), driver, Start, ttl)
	if err != nil {
		t.Fatal(err)
	}
	now := Start.Add(ttl)
	if _, err := s.Acquire(t.Context(), lost.Rollout, rival, now, ttl); err != nil {
		t.Fatal(err)
	}
	held, err := s.Renew(t.Context(), []orchestrator.Lease{lease, lost}, now, ttl)
	if err != nil {
		t.Fatal(err)
	}
	want := lease
	want.Seen, want.Expires = now, now.Add(ttl)
	if diff := cmp.Diff([]orchestrator.Lease{want}, held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if _, err := s.Acquire(t.Context(), tape.ID, rival, now.Add(ttl-1), ttl); !errors.Is(err, orchestrator.ErrLeased) {
		t.Errorf("after the renewal: %v, want ErrLeased", err)
	}
}

func testRelease(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	if err := s.Release(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), []orchestrator.Batch{tape.Batch(lease, orchestrator.Started{})}); !errors.Is(err, orchestrator.ErrFenced) {
		t.Errorf("append after the release: %v, want ErrFenced", err)
	}
	taken, err := s.Acquire(t.Context(), tape.ID, rival, Start, ttl)
	if err != nil || taken.Epoch <= lease.Epoch {
		t.Errorf("after the release: epoch %d after %d, %v", taken.Epoch, lease.Epoch, err)
	}
	if err := s.Release(t.Context(), lease); err != nil {
		t.Errorf("released twice: %v", err)
	}
	if held, err := s.Renew(t.Context(), []orchestrator.Lease{taken}, Start, ttl); err != nil || len(held) != 1 {
		t.Errorf("the new lease after the old one was released twice: %v, %v", held, err)
	}
}

func testFenced(t *testing.T, s Subject) {
	tape, old := begin(t, s)
	now := Start.Add(ttl)
	lease, err := s.Acquire(t.Context(), tape.ID, rival, now, ttl)
	if err != nil {
		t.Fatal(err)
	}
	late := NewTape(tape.ID, Created(App("shop"), "ring-1"), "ada", Start)
	if err := s.Append(t.Context(), []orchestrator.Batch{late.Batch(old, orchestrator.Started{})}); !errors.Is(err, orchestrator.ErrFenced) {
		t.Errorf("the old driver: %v, want ErrFenced", err)
	}
	appendBatch(t, s, tape.Batch(lease, orchestrator.Started{}))
	equal(t, s, tape.State)
}

func testCommands(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	for _, by := range []string{"ada", "bob"} {
		s.Send(t, tape.ID, orchestrator.Command{Kind: orchestrator.CommandCancel, By: by, At: Start})
	}
	waiting, err := s.Commands(t.Context(), tape.ID)
	if err != nil || len(waiting) != 2 || waiting[0].By != "ada" || waiting[0].Seq == waiting[1].Seq {
		t.Fatalf("got %+v, %v, want ada's and bob's", waiting, err)
	}
	b := tape.Batch(lease, orchestrator.Commanded{Command: waiting[0]})
	b.Consumed = []uint64{waiting[0].Seq}
	appendBatch(t, s, b)
	left, err := s.Commands(t.Context(), tape.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(waiting[1:], left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	equal(t, s, tape.State)
}

// testEveryCommand sends what the kinds of commands carry.
func testEveryCommand(t *testing.T, s Subject) {
	tape, _ := begin(t, s)
	want := []orchestrator.Command{
		{Kind: orchestrator.CommandPause, By: "ada", Reason: "lunch", At: Start},
		{Kind: orchestrator.CommandResume, By: "ada", At: Start},
		{Kind: orchestrator.CommandApprove, By: "bob", Reason: "looks good", At: Start, Ring: "ring-1",
			Gate: orchestrator.GateBefore, Content: "2f8e"},
		{Kind: orchestrator.CommandSkip, By: "bob", Reason: "in repair", At: Start, Ring: "ring-1", Service: "db"},
		{Kind: orchestrator.CommandSkip, By: "bob", Reason: "in repair", At: Start, Cluster: Cluster(1)},
	}
	for _, c := range want {
		s.Send(t, tape.ID, c)
	}
	got, err := s.Commands(t.Context(), tape.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(orchestrator.Command{}, "Seq")); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func testHalted(t *testing.T, s Subject) {
	begin(t, s)
	want := func(app rings.AppName, now time.Time, reason string) {
		t.Helper()
		b, err := s.Barriers(t.Context(), app, now)
		h := b.Halt
		if err != nil {
			t.Fatal(err)
		}
		if h == nil && reason != "" || h != nil && h.Reason != reason {
			t.Errorf("%s at %s: got %+v, want %q", app, now.Format(time.TimeOnly), h, reason)
		}
	}
	want("shop", Start, "")
	everywhere := rings.Halt{By: "ada", Reason: "the network is down", At: Start, Until: Start.Add(2 * time.Hour)}
	s.Halt(t, everywhere)
	want("shop", Start, everywhere.Reason)
	want("blog", Start, everywhere.Reason)
	s.Halt(t, rings.Halt{App: "shop", By: "bob", Reason: "old", At: Start})
	s.Halt(t, rings.Halt{App: "shop", By: "bob", Reason: "sale", At: Start, Until: Start.Add(time.Hour)})
	want("shop", Start, "sale")
	want("shop", Start.Add(time.Hour-1), "sale")
	want("shop", Start.Add(time.Hour), everywhere.Reason)
	want("shop", everywhere.Until, "")
	want("blog", Start, everywhere.Reason)
	b, err := s.Barriers(t.Context(), "blog", Start)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&everywhere, b.Halt); diff != "" {
		t.Errorf("halt (-want +got):\n%s", diff)
	}
}

// testAtOnce appends to several rollouts from as many goroutines.
func testAtOnce(t *testing.T, s Subject) {
	const n, each = 8, 20
	tapes := make([]*Tape, n)
	var wg sync.WaitGroup
	for i := range n {
		first := Created(App("shop"), rings.RingName(fmt.Sprintf("ring-%d", i)))
		tapes[i] = NewTape(s.Begin(t, first, "ada", Start), first, "ada", Start)
		lease, err := s.Acquire(t.Context(), tapes[i].ID, driver, Start, ttl)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for j := range each {
				b := tapes[i].Batch(lease, orchestrator.Warned{Words: fmt.Sprint(j)})
				if err := s.Append(t.Context(), []orchestrator.Batch{b}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, tape := range tapes {
		equal(t, s, tape.State)
	}
}

func testChanges(t *testing.T, s Subject) {
	if s.Other == nil {
		t.Skip("the store belongs to one process")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tape, lease := begin(t, s)
	mine, others := s.Changes(ctx), s.Other.Changes(ctx)
	for range 3 {
		appendBatch(t, s, tape.Batch(lease, orchestrator.Warned{Words: "written here"}))
		select {
		case <-others:
		case <-time.After(5 * time.Second):
			t.Fatal("the other process was not told")
		}
	}
	select {
	case <-mine:
		t.Error("told of its own writes")
	default:
	}
}

func testContext(t *testing.T, s Subject) {
	tape, lease := begin(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Rollout(ctx, tape.ID); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	twin := NewTape(tape.ID, Created(App("shop"), "ring-1"), "ada", Start)
	if err := s.Append(ctx, []orchestrator.Batch{twin.Batch(lease, orchestrator.Started{})}); err == nil {
		tape = twin
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	equal(t, s, tape.State)
}
