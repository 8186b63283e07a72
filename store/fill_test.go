package store_test

import (
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// everything returns a journal that has every type of event at least once.
func everything() (*storetest.Tape, []orchestrator.Event) {
	first := storetest.Created(storetest.App("shop"), "ring-1")
	tape := storetest.NewTape("shop-1", first, "ada", storetest.Start)
	events := []orchestrator.Event{{Rollout: tape.ID, Seq: 1, At: storetest.Start, Actor: "ada", Body: first}}
	db, api := orchestrator.Ref{Ring: "ring-1", Service: "db"}, orchestrator.Ref{Ring: "ring-1", Service: "api"}
	add := func(bodies ...orchestrator.Body) { events = append(events, tape.Add(bodies...)...) }
	add(orchestrator.Driven{}, orchestrator.Started{}, orchestrator.StepStarted{Ref: db}, orchestrator.StepHeld{Ref: db})
	add(storetest.Publishing(db, "v2", 1, 2)...)
	add(orchestrator.Asked{Action: orchestrator.Action{ID: "hint", Kind: orchestrator.ActHint, Ring: "ring-1",
		Items: []orchestrator.Item{{Service: "db"}}, Commit: storetest.Commit(2), Reason: "pushed"}},
		orchestrator.Dropped{Action: "hint"}, orchestrator.Warned{Words: "no permission for leases"})
	for n := range 2 {
		add(storetest.Turning(db, storetest.Cluster(n), 1, true)...)
	}
	add(orchestrator.StepEnded{Ref: db, Phase: orchestrator.StepDone, Reason: "all clusters are ready"},
		orchestrator.Commanded{Command: orchestrator.Command{Seq: 1, Kind: orchestrator.CommandCancel, By: "bob", Reason: "lunch", At: storetest.Start}},
		orchestrator.StepEnded{Ref: api, Phase: orchestrator.StepSkipped, Reason: "cancelled"},
		orchestrator.Ended{Phase: orchestrator.Cancelled})
	return tape, events
}

// fill puts something into every bucket: an application with clusters, a
// rollout that has ended and, with commands waiting, one that is live and old
// enough for a snapshot.
func fill(t testing.TB, db *store.DB) *storetest.Tape {
	t.Helper()
	must(t, db.CreateApp(t.Context(), storetest.App("shop")))
	for n := range 3 {
		must(t, db.PutCluster(t.Context(), rings.Cluster{Name: storetest.Cluster(n), App: "shop", Ring: "ring-1", AddedBy: "ada", AddedAt: storetest.Start}))
	}
	_, events := everything()
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	for _, e := range events[1:] {
		appendAll(t, db, tape.Batch(lease, e.Body))
	}
	must(t, db.Release(t.Context(), lease))
	live, lease := start(t, db, "shop", "ring-2", storetest.Start.Add(time.Hour))
	ref := orchestrator.Ref{Ring: "ring-2", Service: "db"}
	bodies := append([]orchestrator.Body{orchestrator.Started{}}, storetest.Publishing(ref, "v2", 2, 5)...)
	for n := range 600 {
		bodies = append(bodies, storetest.Turning(ref, storetest.Cluster(n%5), 2, n/5%2 == 0)...)
	}
	appendAll(t, db, live.Batch(lease, bodies[:1150]...))
	appendAll(t, db, live.Batch(lease, bodies[1150:]...))
	must(t, db.Send(t.Context(), live.ID, orchestrator.Command{Kind: orchestrator.CommandCancel, By: "bob", At: storetest.Start}))
	return live
}
