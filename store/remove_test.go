package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// by is who does it.
func by(reason string) rings.Note {
	return rings.Note{By: "ada", Reason: reason, At: storetest.Start}
}

func notesOf(t *testing.T, db *store.DB, app rings.AppName) []rings.Note {
	t.Helper()
	notes, _, err := db.Notes(t.Context(), store.NoteFilter{App: app})
	must(t, err)
	return notes
}

func TestRemoveService(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	_, err := db.RemoveService(t.Context(), "shop", "api", by("gone"))
	wantIs(t, err, store.ErrRingBusy)
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Failed}))
	_, err = db.RemoveService(t.Context(), "shop", "db", by("gone"))
	wantIs(t, err, rings.ErrInUse)
	if notes := notesOf(t, db, "shop"); len(notes) != 0 {
		t.Errorf("what was refused is noted: %+v", notes)
	}
	removed, err := db.RemoveService(t.Context(), "shop", "api", by("gone"))
	must(t, err)
	a, err := db.App(t.Context(), "shop")
	must(t, err)
	if removed.Name != "api" || slices.Contains(a.ServiceNames(), "api") {
		t.Errorf("removed %q, left %v", removed.Name, a.ServiceNames())
	}
	if notes := notesOf(t, db, "shop"); len(notes) != 1 || notes[0].Service != "api" || notes[0].By != "ada" || notes[0].Reason != "gone" || notes[0].Kind != rings.NoteServiceRemoved {
		t.Errorf("notes: %+v", notes)
	}
}

func TestRemoveRing(t *testing.T) {
	db := openShop(t)
	must(t, db.PutCluster(t.Context(), rings.Cluster{App: "shop", Name: "eu-1", Ring: "ring-2"}))
	_, err := db.RemoveRing(t.Context(), "shop", "ring-2", by(""))
	var used *rings.InUseError
	if !errors.As(err, &used) || !slices.Equal(used.By, []string{"eu-1"}) {
		t.Errorf("with a cluster: %v", err)
	}
	_, err = db.RemoveCluster(t.Context(), "shop", "eu-1", by(""))
	must(t, err)
	tape, lease := start(t, db, "shop", "ring-2", storetest.Start)
	_, err = db.RemoveRing(t.Context(), "shop", "ring-2", by(""))
	wantIs(t, err, store.ErrRingBusy)
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Failed}))
	_, err = db.RemoveRing(t.Context(), "shop", "ring-2", by(""))
	must(t, err)
	_, err = db.RemoveRing(t.Context(), "shop", "ring-2", by(""))
	wantUnknown(t, err, "ring", "ring-1")
}

// TestNotesStay: what was noted outlives the application, and one of the same
// name goes on after it.
func TestNotesStay(t *testing.T) {
	db := openShop(t)
	must(t, db.DeleteApp(t.Context(), "shop", by("sold")))
	must(t, db.CreateApp(t.Context(), storetest.App("shop")))
	must(t, db.MoveCluster(t.Context(), rings.Cluster{App: "shop", Name: "eu-1", Ring: "ring-1"}, by("new")))
	must(t, db.MoveCluster(t.Context(), rings.Cluster{App: "shop", Name: "eu-1", Ring: "ring-1"}, by("again")))
	must(t, db.MoveCluster(t.Context(), rings.Cluster{App: "shop", Name: "eu-1", Ring: "ring-2"}, by("moved")))
	notes := notesOf(t, db, "shop")
	if len(notes) != 3 || notes[0].From != "ring-1" || notes[0].To != "ring-2" || notes[2].Kind != rings.NoteAppDeleted || notes[0].Number != 3 {
		t.Fatalf("notes: %+v", notes)
	}
	page, more, err := db.Notes(t.Context(), store.NoteFilter{App: "shop", Limit: 1, Before: 3})
	must(t, err)
	if len(page) != 1 || page[0].Number != 2 || !more {
		t.Errorf("page: %+v, more %t", page, more)
	}
	if faults := db.Check(t.Context()); len(faults) > 0 {
		t.Errorf("check: %v", faults)
	}
}

// TestNotice notes what somebody else moved, once.
func TestNotice(t *testing.T) {
	db := openShop(t)
	for _, name := range []rings.ClusterName{"eu-1", "eu-2", "eu-3"} {
		must(t, db.PutCluster(t.Context(), rings.Cluster{App: "shop", Name: name, Ring: "ring-1"}))
	}
	on := map[rings.ClusterName]rings.RingName{"eu-1": "ring-2", "eu-2": "ring-1", "us-1": "ring-1"}
	noted, err := db.Notice(t.Context(), "shop", on, rings.Note{At: storetest.Start.Add(time.Hour)})
	must(t, err)
	if len(noted) != 1 || noted[0].Cluster != "eu-1" || noted[0].From != "ring-1" || noted[0].To != "ring-2" || noted[0].By != "" {
		t.Errorf("noted: %+v", noted)
	}
	c, err := db.Cluster(t.Context(), "shop", "eu-1")
	must(t, err)
	if c.Ring != "ring-2" {
		t.Errorf("recorded on %q", c.Ring)
	}
	noted, err = db.Notice(t.Context(), "shop", on, rings.Note{At: storetest.Start})
	must(t, err)
	if len(noted) != 0 || len(notesOf(t, db, "shop")) != 1 {
		t.Errorf("noted again: %+v", noted)
	}
}

// TestUndeployed: what is taken off a ring is not verified there any more.
func TestUndeployed(t *testing.T) {
	db := openShop(t)
	must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Services[0].Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v1", Verified: "shop-1"}, "ring-2": {Version: "v1", Verified: "shop-1"}}
		return nil
	}))
	n := by("not here")
	n.Service, n.Ring, n.Version, n.Commit = "db", "ring-1", "v1", "c1"
	must(t, db.Undeployed(t.Context(), "shop", n))
	must(t, db.Undeployed(t.Context(), "shop", n))
	a, err := db.App(t.Context(), "shop")
	must(t, err)
	known := a.Services[0].Known
	if known["ring-1"].Verified != "" || known["ring-1"].Version != "v1" || known["ring-2"].Verified == "" {
		t.Errorf("known: %+v", known)
	}
	if notes := notesOf(t, db, "shop"); len(notes) != 1 || notes[0].Commit != "c1" {
		t.Errorf("notes: %+v", notes)
	}
}
