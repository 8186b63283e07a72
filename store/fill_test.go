package store_test

import (
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// oneRing returns what happens after the first event of a rollout on ring-1
// until a person cancels it.
func oneRing() []orchestrator.Body {
	db, api := orchestrator.Ref{Ring: "ring-1", Service: "db"}, orchestrator.Ref{Ring: "ring-1", Service: "api"}
	out := []orchestrator.Body{orchestrator.Driven{Engine: 1}, orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-1"},
		orchestrator.StepStarted{Ref: db}, orchestrator.StepHeld{Ref: db}}
	out = append(out, storetest.Publishing(db, "v2", 1, 2)...)
	out = append(out, hint(db), orchestrator.Dropped{Action: "hint"}, orchestrator.Warned{Words: "no permission for leases"})
	for n := range 2 {
		out = append(out, storetest.Turning(db, storetest.Cluster(n), 1, true)...)
	}
	return append(out, done(db),
		orchestrator.Commanded{Command: orchestrator.Command{Seq: 1, Kind: orchestrator.CommandCancel, By: "bob", Reason: "lunch", At: storetest.Start}},
		orchestrator.StepEnded{Ref: api, Phase: orchestrator.StepSkipped, Reason: "cancelled"},
		orchestrator.Ended{Phase: orchestrator.Cancelled})
}

func hint(ref orchestrator.Ref) orchestrator.Body {
	return orchestrator.Asked{Action: orchestrator.Action{ID: "hint", Kind: orchestrator.ActHint, Ring: ref.Ring,
		Items: []orchestrator.Item{{Service: ref.Service}}, Commit: storetest.Commit(2), Reason: "pushed"}}
}

func done(ref orchestrator.Ref) orchestrator.Body {
	return orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepDone, Reason: "all clusters are ready"}
}

var broken = &orchestrator.Failure{Code: orchestrator.CodeNotReady, Words: "eu-00001: NotReady", Service: "db", Cluster: "eu-00001"}

func failed(ref orchestrator.Ref) orchestrator.Body {
	return orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepFailed, Reason: broken.Words, Failure: broken}
}

// everything returns a journal that has every type of event at least once: a
// rollout that waits for a person on its first ring, fails on its second, fails
// again when it is resumed, and cannot take all of it back.
func everything() []orchestrator.Event {
	first := storetest.Created(storetest.App("shop"), "ring-1", "ring-2")
	first.Options = orchestrator.Options{Override: true, GoOver: true, Reason: "sale"}
	first.Over = &rings.Barriers{Locks: []rings.Lock{lock}}
	first.Kind, first.Release = orchestrator.KindTrain, 1
	first.Train = &orchestrator.Taken{Ring: "ring-0", At: storetest.Start, Left: []orchestrator.Left{{Service: "web", Version: "v2", Cause: orchestrator.LeftLocked, Words: "web is locked"}}}
	first.Rings[0].Upstream = "ring-0"
	first.Rings[0].Policy = rings.Policy{ApproveBefore: true, Soak: 10 * time.Minute, OnJoin: rings.JoinLater}
	first.Rings[1].Policy = rings.Policy{OnFailure: rings.FailurePause}
	bodies := []orchestrator.Body{first, orchestrator.Driven{Engine: 1}}
	bodies = append(bodies, waiting()...)
	bodies = append(bodies, firstRing()...)
	bodies = append(bodies, secondRing()...)
	bodies = append(bodies, takingBack()...)
	bodies = append(bodies, orchestrator.Ended{Phase: orchestrator.Failed, Failure: broken})
	out := make([]orchestrator.Event, len(bodies))
	for i, b := range bodies {
		out[i] = orchestrator.Event{Rollout: "shop-1", Seq: uint64(i + 1), At: storetest.Start.Add(time.Duration(i) * time.Second), Actor: "ada", Body: b}
	}
	return out
}

var (
	proposal = orchestrator.Proposal{Branch: "rollout/shop/ring-1/shop-1", Commit: "c1", Tip: "c0", URL: "https://git.example.com/merge", Words: "merge it", For: []rings.ServiceName{"db"}}

	lock   = rings.Lock{App: "shop", Ring: "ring-1", Holder: "ann", By: "bob", Reason: "sale", At: storetest.Start}
	closed = rings.Closure{Ring: "ring-1", Kind: rings.WindowDeny, Windows: []rings.WindowName{"weekend"}, Made: storetest.Start,
		From: storetest.Start.Add(time.Hour), Until: storetest.Start.Add(2 * time.Hour), Opens: storetest.Start.Add(2 * time.Hour), Words: "closed"}
)

// waiting is what happens before the first ring begins.
func waiting() []orchestrator.Body {
	word := orchestrator.Word{By: "bob", Reason: "looks good", At: storetest.Start}
	approve := orchestrator.Commanded{Command: orchestrator.Command{Seq: 1, Kind: orchestrator.CommandApprove, By: "bob",
		Reason: "looks good", At: storetest.Start, Ring: "ring-1", Gate: orchestrator.GateBefore, Content: "2f8e"}}
	approved := orchestrator.Approved{Ring: "ring-1", Gate: orchestrator.GateBefore, Approval: orchestrator.Approval{Word: word, Content: "2f8e"}}
	return []orchestrator.Body{
		orchestrator.RingVerified{Ring: "ring-1"}, approve, approved,
		orchestrator.ApprovalFell{Ring: "ring-1", Gate: orchestrator.GateBefore, Words: "it expired after 1h"}, approve, approved,
		orchestrator.Halted{Halt: &rings.Halt{App: "shop", By: "bob", Reason: "sale", At: storetest.Start}}, orchestrator.Halted{},
		orchestrator.Barred{Locks: []rings.Lock{lock}, Closed: []rings.Closure{closed}}, orchestrator.Barred{Closed: []rings.Closure{closed}, Frozen: []rings.Freeze{{Ring: "ring-1", By: "ring-2", Rollout: "shop-0", Since: storetest.Start}}},
		orchestrator.Started{},
	}
}

func firstRing() []orchestrator.Body {
	db, api := orchestrator.Ref{Ring: "ring-1", Service: "db"}, orchestrator.Ref{Ring: "ring-1", Service: "api"}
	out := []orchestrator.Body{orchestrator.RingStarted{Ring: "ring-1"},
		orchestrator.RingCounted{Ring: "ring-1", Clusters: []rings.ClusterName{storetest.Cluster(0), storetest.Cluster(1)}},
		orchestrator.StepStarted{Ref: db}, orchestrator.Proposed{Ref: db, Proposal: proposal}, orchestrator.Withdrawn{Ref: db, Reason: "halted"}, orchestrator.StepHeld{Ref: db}}
	out = append(out, storetest.Publishing(db, "v2", 1, 2)...)
	out = append(out, hint(db), orchestrator.Dropped{Action: "hint"}, orchestrator.Warned{Words: "no permission for leases"})
	for n := range 2 {
		out = append(out, storetest.Turning(db, storetest.Cluster(n), 1, true)...)
	}
	return append(out, done(db),
		orchestrator.Commanded{Command: orchestrator.Command{Seq: 2, Kind: orchestrator.CommandSkip, By: "bob", Reason: "in repair",
			At: storetest.Start, Ring: "ring-1", Service: "api"}},
		orchestrator.StepEnded{Ref: api, Phase: orchestrator.StepSkipped, Reason: "in repair"},
		orchestrator.RingConverged{Ring: "ring-1"}, orchestrator.ClockJumped{},
		orchestrator.SoakRestarted{Ring: "ring-1", From: storetest.Start.Add(time.Hour)}, orchestrator.RingSoaked{Ring: "ring-1"},
		orchestrator.RingEnded{Ring: "ring-1", Phase: orchestrator.RingDone, Reason: "all clusters are ready"})
}

// secondRing fails, and fails again.
func secondRing() []orchestrator.Body {
	db := orchestrator.Ref{Ring: "ring-2", Service: "db"}
	ended := orchestrator.RingEnded{Ring: "ring-2", Phase: orchestrator.RingFailed, Reason: broken.Words, Failure: broken}
	out := append([]orchestrator.Body{orchestrator.RingStarted{Ring: "ring-2"}}, storetest.Publishing(db, "v2", 2, 2)...)
	out = append(out, storetest.Turning(db, storetest.Cluster(1), 2, false)...)
	out = append(out, failed(db), ended,
		orchestrator.Held{Word: orchestrator.Word{By: "ada", Reason: broken.Words, At: storetest.Start}},
		orchestrator.Commanded{Command: orchestrator.Command{Seq: 3, Kind: orchestrator.CommandResume, By: "bob", At: storetest.Start}},
		orchestrator.Resumed{})
	out = append(out, storetest.Publishing(db, "v2", 3, 2)...)
	out = append(out, storetest.Turning(db, storetest.Cluster(0), 3, true)...)
	return append(out, failed(db), ended)
}

// takingBack works on one ring, and calls for a person on the other.
func takingBack() []orchestrator.Body {
	first, second := orchestrator.Ref{Ring: "ring-1", Service: "db", Undo: true}, orchestrator.Ref{Ring: "ring-2", Service: "db", Undo: true}
	out := []orchestrator.Body{rollback(second, first), orchestrator.RollbackRing{Ring: "ring-2"}}
	out = append(out, storetest.Publishing(second, "v1", 4, 2)...)
	for n := range 2 {
		out = append(out, storetest.Turning(second, storetest.Cluster(n), 4, true)...)
	}
	return append(out, done(second), orchestrator.RollbackRing{Ring: "ring-1"}, orchestrator.StepStarted{Ref: first}, failed(first))
}

// rollback takes the steps back, to v1.
func rollback(steps ...orchestrator.Ref) orchestrator.Body {
	app := storetest.App("shop")
	out := orchestrator.RollbackStarted{Reason: broken.Words}
	for _, ref := range steps {
		for _, svc := range app.Services {
			if svc.Name == ref.Service {
				out.Steps = append(out.Steps, orchestrator.NewStep{Ring: ref.Ring, Target: orchestrator.TargetOf(svc), Wave: 1, Undo: true, To: "v1"})
			}
		}
	}
	return out
}

// fillRings rolls out over two rings, which does not end well.
func fillRings(t testing.TB, db *store.DB) {
	t.Helper()
	must(t, db.CreateApp(t.Context(), storetest.App("web")))
	events := everything()
	id, err := db.CreateRollout(t.Context(), "web", func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) {
		first := events[0].Body.(orchestrator.Created)
		first.Scope.App = "web"
		return first, nil
	}, "ada", storetest.Start)
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
	must(t, err)
	s, err := db.Rollout(t.Context(), id)
	must(t, err)
	tape := storetest.Resume(s, "ada")
	for _, e := range events[1 : len(events)-1] {
		appendAll(t, db, tape.Batch(lease, e.Body))
	}
	appendAll(t, db, tape.Batch(lease, longTail...))
	appendAll(t, db, tape.Batch(lease, events[len(events)-1].Body))
	must(t, db.Release(t.Context(), lease))
}

// fill puts something into every bucket: an application with clusters, a
// rollout that has ended and, with commands waiting, one that is live and old
// enough for a snapshot, one of another application over two rings, halts and a release.
func fill(t testing.TB, db *store.DB) *storetest.Tape {
	t.Helper()
	must(t, db.CreateApp(t.Context(), storetest.App("shop")))
	for n := range 3 {
		must(t, db.PutCluster(t.Context(), rings.Cluster{Name: storetest.Cluster(n), App: "shop", Ring: "ring-1", AddedBy: "ada", AddedAt: storetest.Start}))
	}
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	for _, body := range oneRing() {
		appendAll(t, db, tape.Batch(lease, body))
	}
	must(t, db.Release(t.Context(), lease))
	live, lease := start(t, db, "shop", "ring-2", storetest.Start.Add(time.Hour))
	ref := orchestrator.Ref{Ring: "ring-2", Service: "db"}
	bodies := append([]orchestrator.Body{orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-2"}}, storetest.Publishing(ref, "v2", 2, 5)...)
	for n := range 600 {
		bodies = append(bodies, storetest.Turning(ref, storetest.Cluster(n%5), 2, n/5%2 == 0)...)
	}
	appendAll(t, db, live.Batch(lease, bodies[:1150]...))
	appendAll(t, db, live.Batch(lease, bodies[1150:]...))
	fillRings(t, db)
	must(t, db.Send(t.Context(), live.ID, orchestrator.Command{Kind: orchestrator.CommandCancel, By: "bob", At: storetest.Start}))
	must(t, db.Halt(t.Context(), rings.Halt{By: "ada", Reason: "the network is down", At: storetest.Start, Until: storetest.Start.Add(time.Hour)}))
	must(t, db.MoveCluster(t.Context(), rings.Cluster{Name: storetest.Cluster(3), App: "shop", Ring: "ring-2", AddedBy: "ada", AddedAt: storetest.Start}, rings.Note{By: "ada", At: storetest.Start}))
	must(t, db.Halt(t.Context(), rings.Halt{App: "shop", By: "bob", Reason: "sale", At: storetest.Start}))
	must(t, db.Lock(t.Context(), rings.Lock{App: "shop", Ring: "ring-1", Holder: "ann@example.com", By: "bob", Reason: "sale", At: storetest.Start}))
	must(t, db.SetWindow(t.Context(), rings.Window{App: "shop", Name: "weekend", Kind: rings.WindowDeny, Cron: "0 18 * * 5", Lasts: 62 * time.Hour, Zone: "Europe/Berlin", By: "bob", At: storetest.Start}))
	_, _, err := db.CreateRelease(t.Context(), "shop", func(a *rings.Application) (rings.Release, error) {
		return rings.Release{Key: "build/1", Versions: map[rings.ServiceName]rings.Version{"db": "v2"}, From: "plan", By: "ada", At: storetest.Start}, nil
	})
	must(t, err)
	return live
}
