package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// service returns the service db of shop.
func service(t *testing.T, db *store.DB) rings.Service {
	t.Helper()
	app, err := db.App(t.Context(), "shop")
	must(t, err)
	return app.Services[0]
}

// TestPublishedKeepsVerified: what was verified stays so while it is what is on
// the branch, and no longer.
func TestPublishedKeepsVerified(t *testing.T) {
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	found := func(v rings.Version, commit string) []orchestrator.Body {
		return []orchestrator.Body{
			orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: v, Nonce: 1, Commit: commit}},
			orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepDone},
		}
	}
	for name, test := range map[string]struct {
		bodies []orchestrator.Body
		want   string
	}{
		"found again":        {found("v1", "c1"), "shop-0"},
		"same version later": {found("v1", "c2"), ""},
		"other version":      {found("v2", "c1"), ""},
		"about to be written": {[]orchestrator.Body{
			orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: "v1", From: "v1", Nonce: 1, Ours: true}},
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			db := openShop(t)
			must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
				a.Services[0].Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v1", Commit: "c1", Verified: "shop-0"}}
				return nil
			}))
			tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
			appendAll(t, db, tape.Batch(lease, test.bodies...))
			if got := service(t, db).Known["ring-1"].Verified; got != test.want {
				t.Errorf("verified by %q, want %q", got, test.want)
			}
		})
	}
}

// startKind starts a rollout of that kind on the rings and takes its lease.
func startKind(t *testing.T, db *store.DB, kind orchestrator.Kind, names ...rings.RingName) (*storetest.Tape, orchestrator.Lease) {
	t.Helper()
	app, err := db.App(t.Context(), "shop")
	must(t, err)
	first := storetest.Created(app, names...)
	first.Kind, first.Options.Reason = kind, "it sells nothing"
	id, err := db.CreateRollout(t.Context(), "shop", func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) {
		return first, nil
	}, "bob", storetest.Start)
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
	must(t, err)
	return storetest.NewTape(id, first, "bob", storetest.Start), lease
}

// TestRollbackHolds: what a person's rollback withdraws is held, and nothing
// else is.
func TestRollbackHolds(t *testing.T) {
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	hold := map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": {"v2": {Rollout: "shop-1", By: "bob",
		Reason: "it sells nothing", At: storetest.Start.Add(3 * time.Second)}}}
	for name, test := range map[string]struct {
		kind    orchestrator.Kind
		attempt orchestrator.Attempt
		phase   orchestrator.StepPhase
		want    map[rings.RingName]map[rings.Version]rings.Hold
	}{
		"rollback":         {orchestrator.KindRollback, orchestrator.Attempt{From: "v2", Version: "v1", Ours: true}, orchestrator.StepDone, hold},
		"failed":           {orchestrator.KindRollback, orchestrator.Attempt{From: "v2", Version: "v1", Ours: true}, orchestrator.StepFailed, nil},
		"found":            {orchestrator.KindRollback, orchestrator.Attempt{From: "v2", Version: "v1", Commit: "c1"}, orchestrator.StepDone, nil},
		"same version":     {orchestrator.KindRollback, orchestrator.Attempt{From: "v1", Version: "v1", Ours: true}, orchestrator.StepDone, nil},
		"several versions": {orchestrator.KindRollback, orchestrator.Attempt{Version: "v1", Ours: true}, orchestrator.StepDone, nil},
		"settings": {orchestrator.KindRollback, orchestrator.Attempt{From: "v1", Version: "v1", Settings: rings.Values{"n": "3", "m": "1"}, Had: rings.Values{"n": "5", "m": "1"}, Ours: true},
			orchestrator.StepDone, map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": {"n=5": hold["ring-1"]["v2"]}}},
		"forward": {orchestrator.KindForward, orchestrator.Attempt{From: "v2", Version: "v3", Ours: true}, orchestrator.StepDone, nil},
		"retry":   {orchestrator.KindRetry, orchestrator.Attempt{From: "v2", Version: "v3", Ours: true}, orchestrator.StepDone, nil},
	} {
		t.Run(name, func(t *testing.T) {
			db := openShop(t)
			tape, lease := startKind(t, db, test.kind, "ring-1")
			appendAll(t, db, tape.Batch(lease, orchestrator.AttemptDecided{Ref: ref, Attempt: test.attempt}))
			appendAll(t, db, tape.Batch(lease, orchestrator.Published{Ref: ref, Commit: "c1"},
				orchestrator.StepEnded{Ref: ref, Phase: test.phase}))
			if diff := cmp.Diff(test.want, service(t, db).Held); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
		})
	}
}

// rolled returns what happens when the step puts the version on its ring.
func rolled(ref orchestrator.Ref, from, to rings.Version, commit string) []orchestrator.Body {
	return []orchestrator.Body{
		orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: to, From: from, Nonce: 1, Ours: true}},
		orchestrator.Published{Ref: ref, Commit: commit}, done(ref),
	}
}

func ringDone(name rings.RingName) orchestrator.Body {
	return orchestrator.RingEnded{Ring: name, Phase: orchestrator.RingDone}
}

// TestRollbackHoldsOnce: what a step withdraws is what was there before its
// first attempt, also when a later one finds its own version.
func TestRollbackHoldsOnce(t *testing.T) {
	db := openShop(t)
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	tape, lease := startKind(t, db, orchestrator.KindRollback, "ring-1")
	bodies := append(rolled(ref, "v2", "v1", "c1")[:2], rolled(ref, "v1", "v1", "c2")...)
	for _, b := range bodies {
		appendAll(t, db, tape.Batch(lease, b))
	}
	held := service(t, db).Held["ring-1"]
	if _, ok := held["v2"]; !ok || len(held) != 1 {
		t.Errorf("held: %v, want v2 alone", held)
	}
}

// TestVerified: a ring that ended well verifies the versions that its steps put
// there, and lifts the holds on them, but not those of other rings.
func TestVerified(t *testing.T) {
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	for name, test := range map[string]struct {
		bodies []orchestrator.Body
		want   string
		held   int
	}{
		"done":                   {append(rolled(ref, "v1", "v2", "c1"), ringDone("ring-1")), "shop-1", 0},
		"ring fails":             {append(rolled(ref, "v1", "v2", "c1"), orchestrator.RingEnded{Ring: "ring-1", Phase: orchestrator.RingFailed}), "", 1},
		"other ring":             {append(rolled(ref, "v1", "v2", "c1"), ringDone("ring-2")), "", 1},
		"not the step's version": {append(rolled(ref, "v1", "v3", "c1"), ringDone("ring-1")), "", 1},
		"skipped":                {[]orchestrator.Body{orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepSkipped}, ringDone("ring-1")}, "shop-0", 1},
		"found": {[]orchestrator.Body{
			orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: "v2", Nonce: 1, Commit: "c1"}},
			done(ref), ringDone("ring-1")}, "shop-1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			db := openShop(t)
			held := map[rings.Version]rings.Hold{"v2": {Rollout: "shop-0"}}
			must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
				a.Services[0].Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v1", Commit: "c0", Verified: "shop-0"}}
				a.Services[0].Held = map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": held, "ring-2": held}
				return nil
			}))
			tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1", "ring-2")
			for _, b := range test.bodies {
				appendAll(t, db, tape.Batch(lease, b))
			}
			svc := service(t, db)
			if got := svc.Known["ring-1"].Verified; got != test.want {
				t.Errorf("verified by %q, want %q", got, test.want)
			}
			if len(svc.Held["ring-1"]) != test.held || len(svc.Held["ring-2"]) != 1 {
				t.Errorf("held: %v, want %d on ring-1 and 1 on ring-2", svc.Held, test.held)
			}
		})
	}
}

// TestVerifiedLeavesOut: what is taken back, or only watched, is not verified.
func TestVerifiedLeavesOut(t *testing.T) {
	db := openShop(t)
	var first orchestrator.Created
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		a.Services[0].Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v2"}}
		first = storetest.Created(a, "ring-1")
		first.Steps[0].Observed, first.Steps[0].Wave = true, 0
		return first, nil
	}, "bob", storetest.Start)
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
	must(t, err)
	must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Services[0].Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v2"}}
		return nil
	}))
	tape := storetest.NewTape(id, first, "bob", storetest.Start)
	appendAll(t, db, tape.Batch(lease, done(orchestrator.Ref{Ring: "ring-1", Service: "db"}), ringDone("ring-1")))
	if got := service(t, db).Known["ring-1"]; !reflect.DeepEqual(got, rings.Known{Version: "v2"}) {
		t.Errorf("known: %+v, want v2 as before", got)
	}
}

// TestUndoHolds: what an automatic rollback withdraws is held, with the reason
// of the rollback.
func TestUndoHolds(t *testing.T) {
	db := openShop(t)
	forward, undo := orchestrator.Ref{Ring: "ring-1", Service: "db"}, orchestrator.Ref{Ring: "ring-1", Service: "db", Undo: true}
	tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1", "ring-2")
	for _, b := range append(rolled(forward, "v1", "v2", "c1"), rollback(undo), orchestrator.RollbackRing{Ring: "ring-1"}) {
		appendAll(t, db, tape.Batch(lease, b))
	}
	if held := service(t, db).Held; held != nil {
		t.Errorf("before the rollback: held %v", held)
	}
	appendAll(t, db, tape.Batch(lease, append(rolled(undo, "v2", "v1", "c2"), ringDone("ring-1"))...))
	svc := service(t, db)
	want := map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": {"v2": {Rollout: "shop-1", By: "bob",
		Reason: broken.Words, At: tape.State.At.Add(-time.Second)}}}
	if diff := cmp.Diff(want, svc.Held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if got := svc.Known["ring-1"]; got.Version != "v1" || got.Commit != "c2" || got.Verified != "" {
		t.Errorf("known: %+v, want v1 at c2, not verified", got)
	}
}

// TestUnmerged: what was proposed and not merged is held on its ring, and what
// failed otherwise is not.
func TestUnmerged(t *testing.T) {
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	for code, want := range map[orchestrator.Code]bool{orchestrator.CodeDeclined: true, orchestrator.CodeUnmerged: true, orchestrator.CodeNotReady: false} {
		db := openShop(t)
		tape, lease := startKind(t, db, orchestrator.KindTrain, "ring-1")
		appendAll(t, db, tape.Batch(lease,
			orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: "v2", From: "v1", Nonce: 1, Ours: true}},
			orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepFailed, Reason: "no", Failure: &orchestrator.Failure{Code: code, Words: "nobody wants it"}}))
		h, held := service(t, db).Held["ring-1"]["v2"]
		if held != want || held && (h.Rollout != "shop-1" || h.Reason != "nobody wants it") {
			t.Errorf("%s: held %v, %+v", code, held, h)
		}
	}
}
