package store_test

import (
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
		"forward":          {orchestrator.KindForward, orchestrator.Attempt{From: "v2", Version: "v3", Ours: true}, orchestrator.StepDone, nil},
		"retry":            {orchestrator.KindRetry, orchestrator.Attempt{From: "v2", Version: "v3", Ours: true}, orchestrator.StepDone, nil},
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
