package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// testSession is about the rollout shop-1, which process 7 drives at the start.
func testSession(t *testing.T, out *bytes.Buffer, phase orchestrator.Phase) *session {
	t.Helper()
	t.Setenv("ROLLOUT_STORE", filepath.Join(t.TempDir(), "rollout.db"))
	t.Setenv("TEST_NOW", started.Format(time.RFC3339))
	db, err := store.Open(t.Context(), os.Getenv("ROLLOUT_STORE"), store.Options{NoSync: true, NoWait: true})
	if err != nil {
		t.Fatal(err)
	}
	app := &rings.Application{Name: "shop", Manager: "5f2c", RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}}, Plan: rings.Plan{"db": {Version: "v2"}},
		Services: []rings.Service{{Name: "db", Repo: "https://git.example.com/db.git"}}}
	if err := db.CreateApp(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if err := seedRollout(t.Context(), db, []string{"shop", "ring-1", string(phase), "0"}); err != nil {
		t.Fatal(err)
	}
	p := &program{environment: environment{stdout: out, stderr: out, getenv: os.Getenv, now: testNow, running: func(int) bool { return true }}, flags: globalFlags{output: "text"}}
	return &session{program: p, db: db}
}

func (s *session) follower1(t *testing.T) *follower {
	t.Helper()
	f, err := s.follower(t.Context(), s.db, "shop-1")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What another process drives is followed by its journal, to the end.
func TestFollow_DrivenElsewhere(t *testing.T) {
	var out bytes.Buffer
	s := testSession(t, &out, orchestrator.Running)
	f := s.follower1(t)
	if err := f.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.follow(t.Context(), f) }()
	cancelled(t, s.db)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := ending(f.state); classify(err).exit != exitCancelled {
		t.Errorf("it ends with %v, want cancelled", err)
	}
	for _, want := range []string{"shop-1 db: eu-1 Ready", "cancel asked for by eve: enough", "Cancelled: cancelled by eve: enough"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q is not printed once:\n%s", want, out.String())
		}
	}
}

// cancelled ends the rollout as its driver would, through another handle.
func cancelled(t *testing.T, db *store.DB) {
	t.Helper()
	other, err := store.Open(t.Context(), db.Path(), store.Options{NoSync: true, NoWait: true})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := other.LeaseOf(t.Context(), "shop-1")
	if err != nil {
		t.Fatal(err)
	}
	state, err := other.Rollout(t.Context(), "shop-1")
	if err != nil {
		t.Fatal(err)
	}
	wish := orchestrator.Command{Kind: orchestrator.CommandCancel, By: "eve", Reason: "enough", At: started}
	var events []orchestrator.Event
	for i, b := range []orchestrator.Body{orchestrator.Commanded{Command: wish}, orchestrator.Ended{Phase: orchestrator.Cancelled}} {
		events = append(events, orchestrator.Event{Rollout: "shop-1", Seq: state.Version + uint64(i) + 1, At: started, Actor: "host/7", Body: b})
	}
	err = other.Append(t.Context(), []orchestrator.Batch{{Lease: *lease, Events: events, State: orchestrator.Fold(state, events)}})
	if err != nil {
		t.Error(err)
	}
}

func TestFollow_Timeout(t *testing.T) {
	var out bytes.Buffer
	s := testSession(t, &out, orchestrator.Running)
	s.timeout = time.Millisecond
	if err := s.follow(t.Context(), s.follower1(t)); !errors.Is(err, errTimeout) {
		t.Errorf("followed to %v, want the timeout", err)
	}
}

// Who leaves a rollout says who drives it now.
func TestWatch_Leaves(t *testing.T) {
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	tests := []struct {
		name    string
		ctx     context.Context
		timeout time.Duration
		exit    int
		want    string
	}{
		{"timeout", t.Context(), time.Millisecond, exitTimeout, "rollout shop-1 has not ended after 0s; shop-1 goes on in the background: process 7 on host"},
		{"interrupted", interrupted, 0, exitInterrupted, "interrupted; shop-1 goes on in the background: process 7 on host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := testSession(t, &out, orchestrator.Running)
			s.timeout = tt.timeout
			err := s.watch(tt.ctx, s.follower1(t), true)
			if got := classify(err).exit; got != tt.exit || err.Error() != tt.want {
				t.Errorf("left with %d %v, want %d %s", got, err, tt.exit, tt.want)
			}
		})
	}
}

func TestHandOver(t *testing.T) {
	var out bytes.Buffer
	s := testSession(t, &out, orchestrator.Succeeded)
	words, err := s.handOver(t.Context(), "shop-1", true)
	if want := "shop-1 has ended: Succeeded"; err != nil || words != want {
		t.Errorf("handed over with %q, %v, want %q", words, err, want)
	}

	s = testSession(t, &out, orchestrator.Running)
	s.now = func() time.Time { return started.Add(time.Hour) } // the lease has run out
	words, err = s.handOver(t.Context(), "shop-1", false)
	if want := `nobody drives shop-1; "rollout watch shop-1" or "rollout run" goes on with it`; err != nil || words != want {
		t.Errorf("handed over with %q, %v, want %q", words, err, want)
	}
}

// `run` drives only what belongs to the manager that it is connected to.
func TestHold_Live(t *testing.T) {
	var out bytes.Buffer
	s := testSession(t, &out, orchestrator.Running)
	for manager, want := range map[string]int{"5f2c": 1, "other": 0} {
		h := &hold{DB: s.db, manager: manager, foreign: map[orchestrator.ID]bool{}}
		for range 2 {
			if live, err := h.Live(t.Context()); err != nil || len(live) != want {
				t.Errorf("manager %s has the live rollouts %v, %v, want %d", manager, live, err, want)
			}
		}
	}
}
