package main

import (
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// judge has a rollout under way on ring-2, which freezes ring-1.
func (w *shopWorld) judge(t *testing.T) {
	t.Helper()
	db, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error { a.Rings[1].Policy.FreezeUpstream = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	var first orchestrator.Created
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (_ orchestrator.Created, err error) {
		first, err = orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{"ring-2"}, Options: orchestrator.Options{Override: true, Reason: "x"}})
		return first, err
	}, "ann", storetest.Start)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := db.Acquire(t.Context(), id, orchestrator.Driver{Name: "x"}, storetest.Start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tape := storetest.NewTape(id, first, "ann", storetest.Start)
	if err := db.Append(t.Context(), []orchestrator.Batch{tape.Batch(lease, orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-2"})}); err != nil {
		t.Fatal(err)
	}
}

// A frozen ring is shown before the start, refuses it, and a person may go over
// that.
func TestFreeze(t *testing.T) {
	w := newShopWorld(t)
	w.judge(t)
	const frozen = "ring-1 is frozen by ring-2 since 2026-03-01T12:00:02Z: shop-1 is being judged there"
	if code := w.rollout(t, "create", "shop", "ring-1", "--only", "db", "--dry-run"); code != exitDone || !strings.Contains(w.out.String(), frozen) {
		t.Errorf("exit %d: %s%s", code, w.out.String(), w.complaints.String())
	}
	code := w.rollout(t, "create", "shop", "ring-1", "--only", "db", "--no-background", "--timeout", "1s")
	if said := w.complaints.String(); code != exitConflict || !strings.Contains(said, "error: "+frozen) || !strings.Contains(said, `hint: "rollout watch shop-1" follows it, and --override --reason WORDS goes over that`) {
		t.Errorf("exit %d: %s", code, said)
	}
	code = w.rollout(t, "create", "shop", "ring-1", "--only", "db", "--dry-run", "--override", "--reason", "an incident")
	if code != exitDone || !strings.Contains(w.out.String(), frozen+": gone over: an incident") {
		t.Errorf("exit %d: %s%s", code, w.out.String(), w.complaints.String())
	}
	w.unchanged(t)
}
