package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// leaveOut is a rollout of db v1 to ring-1 that left c2 out as offline.
func (w *shopWorld) leaveOut(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var first orchestrator.Created
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (_ orchestrator.Created, err error) {
		first, err = orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{"ring-1"}, Options: orchestrator.Options{Reason: "x"}, Deploy: rings.Plan{"db": {Version: "v1"}}})
		return first, err
	}, "ann", storetest.Start)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := db.Acquire(t.Context(), id, orchestrator.Driver{Name: "x"}, storetest.Start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	bodies := append([]orchestrator.Body{orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-1"}, orchestrator.StepStarted{Ref: ref}}, storetest.Publishing(ref, "v1", 5, 2)...)
	bodies = append(bodies, storetest.Turning(ref, "c1", 5, true)...)
	bodies = append(bodies, orchestrator.ClusterTurned{Ref: ref, Cluster: "c2", Expected: true, Phase: orchestrator.ClusterOffline, Reason: "no sign of its agent"},
		orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepDone, Reason: "1 left out"}, orchestrator.RingEnded{Ring: "ring-1", Phase: orchestrator.RingDone}, orchestrator.Ended{Phase: orchestrator.Succeeded})
	tape := storetest.NewTape(id, first, "ann", storetest.Start)
	if err := db.Append(t.Context(), []orchestrator.Batch{tape.Batch(lease, bodies...)}); err != nil {
		t.Fatal(err)
	}
	return db
}

// connected is the program in this world, with its Fleet.
func (w *shopWorld) connected(t *testing.T) (*program, *fleet.Manager) {
	t.Helper()
	p := testProgram()
	p.flags.store, p.flags.kubeconfig = w.store, filepath.Join(w.home, "kubeconfig")
	p.getenv = func(name string) string {
		return map[string]string{"HOME": w.home, "XDG_CACHE_HOME": filepath.Join(w.home, "cache")}[name]
	}
	m, err := p.connect(t.Context(), "fleet-default")
	if err != nil {
		t.Fatal(err)
	}
	return p, m
}

// looksForCaughtUp is what the keeper does now and then.
func (w *shopWorld) looksForCaughtUp(t *testing.T, db *store.DB) []rings.Note {
	t.Helper()
	p, m := w.connected(t)
	a, err := db.App(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	noted, err := p.noteCaughtUp(t.Context(), db, m, a)
	if err != nil {
		t.Fatal(err)
	}
	return noted
}

// A cluster that was left out is looked at when it is back: until it runs what
// its ring does, doctor names it; then that is noted, once. Nothing is written
// to Fleet or git.
func TestCaughtUp(t *testing.T) {
	w := newShopWorld(t)
	db := w.leaveOut(t)
	if noted := w.looksForCaughtUp(t, db); len(noted) != 0 {
		t.Errorf("noted while it is away: %+v", noted)
	}
	w.heal()
	if noted := w.looksForCaughtUp(t, db); len(noted) != 0 {
		t.Errorf("noted while it is behind: %+v", noted)
	}
	found, code := w.doctor(t)
	want := "clusters warning ring-1 db [c2]: left out by shop-1 as offline, it is back and has not caught up: it runs v0, and v1 is wanted"
	if code == exitDone || !strings.Contains(strings.Join(found, "\n"), want) {
		t.Errorf("exit %d, doctor finds %s, want %s", code, strings.Join(found, "\n"), want)
	}

	w.runs("shop-db-deploy", "shop-db", "c2", w.now, 5)
	noted := w.looksForCaughtUp(t, db)
	if len(noted) != 1 || noted[0].Cluster != "c2" || noted[0].Ring != "ring-1" || noted[0].Reason != "left out by shop-1 as offline" {
		t.Errorf("noted %+v", noted)
	}
	if noted := w.looksForCaughtUp(t, db); len(noted) != 0 {
		t.Errorf("noted again: %+v", noted)
	}
	if found, _ := w.doctor(t); strings.Contains(strings.Join(found, "\n"), "caught up") {
		t.Errorf("doctor still finds %s", strings.Join(found, "\n"))
	}
	w.unchanged(t)
}

// A lock on a cluster whose label puts it on the ring, whatever is recorded, is
// waited for: else the train would be over with nothing to take.
func TestBeginDue_lockedCluster(t *testing.T) {
	w := newShopWorld(t)
	db, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Lock(t.Context(), rings.Lock{App: "shop", Cluster: "c3", Holder: "ann", By: "ann", Reason: "a disk", At: storetest.Start}); err != nil {
		t.Fatal(err)
	}
	a, err := db.App(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	p, m := w.connected(t)
	_, err = p.beginDue(t.Context(), db, m, a, orchestrator.Due{Ring: "ring-2", Moment: storetest.Start})
	if !errors.Is(err, orchestrator.ErrBarred) || isFinal(err) {
		t.Errorf("got %v", err)
	}
}
