package sim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// notebook is a journal with one rollout, whose lease the first driver holds.
type notebook struct {
	*sim.Memory
	t      *testing.T
	lease  orchestrator.Lease
	mishap sim.Mishap // of the next write
}

func newNotebook(t *testing.T) *notebook {
	t.Helper()
	n := &notebook{Memory: sim.NewMemory(), t: t}
	n.Mishap = func(string) sim.Mishap {
		m := n.mishap
		n.mishap = sim.NoMishap
		return m
	}
	n.Create("shop-1", day, "ann", orchestrator.Created{Plan: map[rings.ServiceName]rings.Version{"db": "v2"}})
	lease, err := n.Acquire(context.Background(), "shop-1", orchestrator.Driver{Name: "one"}, day, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	n.lease = lease
	return n
}

// append appends a warning with the words.
func (n *notebook) append(words string) error {
	e := orchestrator.Event{Rollout: "shop-1", Seq: uint64(len(n.Events("shop-1")) + 1), At: day, Body: orchestrator.Warned{Words: words}}
	return n.Append(context.Background(), []orchestrator.Batch{{Lease: n.lease, Events: []orchestrator.Event{e}, State: &orchestrator.State{}}})
}

// warnings are what the rollout's fold says was warned of.
func (n *notebook) warnings() []string {
	n.t.Helper()
	s, err := n.Rollout(context.Background(), "shop-1")
	if err != nil {
		n.t.Fatal(err)
	}
	return s.Warnings
}

func TestMemory_mishaps(t *testing.T) {
	n := newNotebook(t)
	var stored int
	n.Stored = func(_ orchestrator.ID, _ string, events []orchestrator.Event) { stored += len(events) }
	for _, step := range []struct {
		what   string
		mishap sim.Mishap
		fails  bool
		read   []string
		stored int
	}{
		{"a write", sim.NoMishap, false, []string{"a write"}, 1},
		{"fails", sim.WriteFails, true, []string{"a write"}, 1},
		{"hides", sim.WriteHides, true, []string{"a write", "hides"}, 1},
		{"syncs", sim.NoMishap, false, []string{"a write", "hides", "syncs"}, 3},
		{"is lost", sim.WriteHides, true, []string{"a write", "hides", "syncs", "is lost"}, 3},
	} {
		n.mishap = step.mishap
		if err := n.append(step.what); (err != nil) != step.fails {
			t.Errorf("%s: err = %v", step.what, err)
		}
		if got := n.warnings(); !slices.Equal(got, step.read) || stored != step.stored {
			t.Errorf("after %q: %q, %d events on disk; want %q, %d", step.what, got, stored, step.read, step.stored)
		}
	}
	n.Crash()
	if got := n.warnings(); !slices.Equal(got, []string{"a write", "hides", "syncs"}) {
		t.Errorf("after a crash: %q", got)
	}
	if err := n.append("goes on"); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}

func TestMemory_leases(t *testing.T) {
	n, ctx := newNotebook(t), context.Background()
	other := orchestrator.Driver{Name: "two"}
	if _, err := n.Acquire(ctx, "shop-1", other, day.Add(time.Second), time.Minute); !errors.Is(err, orchestrator.ErrLeased) {
		t.Errorf("a lease that runs: err = %v", err)
	}
	taken, err := n.Acquire(ctx, "shop-1", other, day.Add(time.Minute), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.append("late"); !errors.Is(err, orchestrator.ErrFenced) {
		t.Errorf("append of the driver that was fenced: err = %v", err)
	}
	if kept, err := n.Renew(ctx, []orchestrator.Lease{n.lease, taken}, day.Add(time.Minute), time.Minute); err != nil || len(kept) != 1 || kept[0].Epoch != taken.Epoch {
		t.Errorf("Renew = %v, %v; want the second driver's alone", kept, err)
	}
	if err := n.Release(ctx, n.lease); err != nil {
		t.Error(err)
	}
	if _, err := n.Acquire(ctx, "shop-1", orchestrator.Driver{Name: "three"}, day.Add(time.Minute), time.Minute); !errors.Is(err, orchestrator.ErrLeased) {
		t.Errorf("a release by who does not hold it freed the lease: %v", err)
	}
	if _, err := n.Acquire(ctx, "shop-9", other, day, time.Minute); !errors.Is(err, orchestrator.ErrNotFound) {
		t.Errorf("no such rollout: err = %v", err)
	}
}

func TestMemory_inbox(t *testing.T) {
	n, ctx := newNotebook(t), context.Background()
	n.Command("shop-1", orchestrator.Command{Kind: orchestrator.CommandPause, By: "bob"})
	n.Command("shop-1", orchestrator.Command{Kind: orchestrator.CommandResume, By: "bob"})
	waiting, err := n.Commands(ctx, "shop-1")
	if err != nil || len(waiting) != 2 {
		t.Fatalf("Commands = %v, %v", waiting, err)
	}
	if err := n.Append(ctx, []orchestrator.Batch{{Lease: n.lease, Consumed: []uint64{waiting[0].Seq}, State: &orchestrator.State{}}}); err != nil {
		t.Fatal(err)
	}
	if left, _ := n.Commands(ctx, "shop-1"); len(left) != 1 || left[0].Kind != orchestrator.CommandResume {
		t.Errorf("after the first was consumed: %v", left)
	}
	n.Halt(rings.Halt{App: "shop", Until: day.Add(time.Hour)})
	for _, test := range []struct {
		app   rings.AppName
		at    time.Time
		halts bool
	}{{"shop", day, true}, {"other", day, false}, {"shop", day.Add(time.Hour), false}} {
		if b, err := n.Barriers(ctx, test.app, test.at); err != nil || (b.Halt != nil) != test.halts {
			t.Errorf("Barriers(%s, %s) = %v, %v", test.app, test.at, b, err)
		}
	}
	if live, _ := n.Live(ctx); !slices.Equal(live, []orchestrator.ID{"shop-1"}) {
		t.Errorf("Live = %v", live)
	}
}
