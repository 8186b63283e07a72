package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// wantUnknown checks that err names what is not there and the nearest.
func wantUnknown(t *testing.T, err error, kind, nearest string) {
	t.Helper()
	unknown, ok := errors.AsType[*rings.UnknownError](err)
	if !ok || unknown.Kind != kind || unknown.Nearest != nearest {
		t.Errorf("got %v, want an unknown %s near %q", err, kind, nearest)
	}
}

func wantIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestApps(t *testing.T) {
	db := openShop(t)
	got, err := db.App(t.Context(), "shop")
	must(t, err)
	if diff := cmp.Diff(storetest.App("shop"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantIs(t, db.CreateApp(t.Context(), storetest.App("shop")), rings.ErrExists)
	if _, ok := errors.AsType[*rings.InvalidError](db.CreateApp(t.Context(), storetest.App("Not A Name"))); !ok {
		t.Error("an invalid application was accepted")
	}
	_, err = db.App(t.Context(), "nowhere")
	wantUnknown(t, err, "application", "")
	_, err = db.App(t.Context(), "shoq")
	wantUnknown(t, err, "application", "shop")
	must(t, db.CreateApp(t.Context(), storetest.App("blog")))
	apps, err := db.Apps(t.Context())
	must(t, err)
	if len(apps) != 2 || apps[0].Name != "blog" || apps[1].Name != "shop" {
		t.Errorf("got %v", apps)
	}
}

func TestUpdateApp(t *testing.T) {
	db := openShop(t)
	refusal := errors.New("no")
	wantIs(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Workspace = "altered"
		return refusal
	}), refusal)
	wantIs(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Workspace = "altered"
		a.Services[0].DependsOn = []rings.ServiceName{"api"}
		return nil
	}), rings.ErrCycle)
	got, err := db.App(t.Context(), "shop")
	must(t, err)
	if diff := cmp.Diff(storetest.App("shop"), got); diff != "" {
		t.Errorf("after refused changes (-want +got):\n%s", diff)
	}
	must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Plan["db"] = rings.PlanEntry{Version: "v3"}
		return nil
	}))
	got, err = db.App(t.Context(), "shop")
	must(t, err)
	if got.Plan["db"].Version != "v3" {
		t.Errorf("plan: %v", got.Plan)
	}
	wantUnknown(t, db.UpdateApp(t.Context(), "blog", nil), "application", "")
}

func TestDeleteApp(t *testing.T) {
	db := openShop(t)
	must(t, db.PutCluster(t.Context(), rings.Cluster{App: "shop", Name: "eu-1"}))
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	wantIs(t, db.DeleteApp(t.Context(), "shop", rings.Note{}), store.ErrRingBusy)
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Failed}))
	must(t, db.DeleteApp(t.Context(), "shop", rings.Note{}))
	wantUnknown(t, db.DeleteApp(t.Context(), "shop", rings.Note{}), "application", "")
	clusters, err := db.Clusters(t.Context(), "")
	must(t, err)
	if len(clusters) > 0 {
		t.Errorf("clusters left: %v", clusters)
	}
	must(t, db.CreateApp(t.Context(), storetest.App("shop")))
	if again, _ := start(t, db, "shop", "ring-1", storetest.Start); again.ID != "shop-2" {
		t.Errorf("the application of the same name goes on with %s, want shop-2", again.ID)
	}
}

func TestClusters(t *testing.T) {
	db := openShop(t)
	must(t, db.CreateApp(t.Context(), storetest.App("blog")))
	want := []rings.Cluster{
		{App: "blog", Name: "eu-1", Ring: "ring-2", AddedAt: storetest.Start},
		{App: "shop", Name: "eu-1", Ring: "ring-1", AddedAt: storetest.Start},
		{App: "shop", Name: "eu-2", Ring: "ring-1", AddedAt: storetest.Start},
	}
	for _, c := range want {
		must(t, db.PutCluster(t.Context(), c))
	}
	all, err := db.Clusters(t.Context(), "")
	must(t, err)
	shop, err := db.Clusters(t.Context(), "shop")
	must(t, err)
	if diff := cmp.Diff([][]rings.Cluster{want, want[1:]}, [][]rings.Cluster{all, shop}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = db.RemoveCluster(t.Context(), "shop", "eu-2", rings.Note{})
	must(t, err)
	_, err = db.Cluster(t.Context(), "shop", "eu-2")
	wantUnknown(t, err, "cluster", "eu-1")
	_, err = db.RemoveCluster(t.Context(), "shop", "us-9", rings.Note{})
	wantUnknown(t, err, "cluster", "")
	wantUnknown(t, db.PutCluster(t.Context(), rings.Cluster{App: "shoq", Name: "eu-1"}), "application", "shop")
	one, err := db.Cluster(t.Context(), "shop", "eu-1")
	must(t, err)
	if diff := cmp.Diff(want[1], one); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRingBusy(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	for _, names := range [][]rings.RingName{{"ring-1"}, {"ring-0", "ring-1"}} {
		busy, ok := errors.AsType[*store.RingBusyError](create(t, db, storetest.Start, names...))
		if !ok || *busy != (store.RingBusyError{ID: "shop-1", Ring: "ring-1"}) || !errors.Is(busy, store.ErrRingBusy) {
			t.Errorf("%s: got %v, want shop-1 on ring-1", names, busy)
		}
	}
	start(t, db, "shop", "ring-2", storetest.Start)
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Cancelled}))
	must(t, create(t, db, storetest.Start, "ring-1"))
	wantIs(t, create(t, db, storetest.Start, "ring-0", "ring-2"), store.ErrRingBusy)
}

// TestSummaryKind lists what a rollout is for, and of which one.
func TestSummaryKind(t *testing.T) {
	db := openShop(t)
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		c := storetest.Created(a, "ring-1", "ring-2")
		c.Kind, c.Of = orchestrator.KindRetry, "shop-0"
		return c, nil
	}, "bob", storetest.Start)
	must(t, err)
	row, err := db.Summary(t.Context(), id)
	must(t, err)
	if row.Kind != orchestrator.KindRetry || row.Of != "shop-0" || fmt.Sprint(row.Rings) != "[ring-1 ring-2]" {
		t.Errorf("got %+v", row)
	}
}

// TestRollouts lists three applications' rollouts in pages.
func TestRollouts(t *testing.T) {
	db := openShop(t)
	must(t, db.CreateApp(t.Context(), storetest.App("shop-x")))
	for n := range 12 {
		app := rings.AppName([]string{"shop", "shop-x"}[n%2])
		tape, lease := start(t, db, app, "ring-1", storetest.Start.Add(time.Duration(n)*time.Minute))
		if n < 10 {
			appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Failed,
				Failure: &orchestrator.Failure{Words: "it broke"}}))
		}
	}
	for name, test := range map[string]struct {
		filter store.Filter
		want   string
		next   orchestrator.ID
	}{
		"all":         {store.Filter{Limit: 3}, "[shop-x-6 shop-6 shop-x-5]", "shop-x-5"},
		"second page": {store.Filter{Limit: 3, Before: "shop-x-5"}, "[shop-5 shop-x-4 shop-4]", "shop-4"},
		"last page":   {store.Filter{Limit: 3, Before: "shop-2"}, "[shop-x-1 shop-1]", ""},
		"exact page":  {store.Filter{Limit: 2, Before: "shop-2"}, "[shop-x-1 shop-1]", ""},
		"app":         {store.Filter{App: "shop", Limit: 2}, "[shop-6 shop-5]", "shop-5"},
		"app page":    {store.Filter{App: "shop", Limit: 2, Before: "shop-2"}, "[shop-1]", ""},
		"live":        {store.Filter{Live: true}, "[shop-x-6 shop-6]", ""},
		"live of app": {store.Filter{Live: true, App: "shop"}, "[shop-6]", ""},
		"ring":        {store.Filter{Ring: "ring-2"}, "[]", ""},
		"no app":      {store.Filter{App: "blog"}, "[]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := db.Rollouts(t.Context(), test.filter)
			must(t, err)
			ids := []orchestrator.ID{}
			for _, row := range page.Rollouts {
				ids = append(ids, row.ID)
			}
			if fmt.Sprint(ids) != test.want || page.Next != test.next {
				t.Errorf("got %v, next %q; want %v, next %q", ids, page.Next, test.want, test.next)
			}
		})
	}
	_, err := db.Rollouts(t.Context(), store.Filter{Before: "shop-7"})
	wantUnknown(t, err, "rollout", "shop-6")
	row, err := db.Summary(t.Context(), "shop-5")
	must(t, err)
	if row.Phase != orchestrator.Failed || row.Reason != "it broke" || row.FinishedAt.IsZero() || row.Lease != nil {
		t.Errorf("got %+v", row)
	}
	row, err = db.Summary(t.Context(), "shop-6")
	must(t, err)
	if row.Phase != orchestrator.Pending || row.Lease == nil || row.Lease.Driver != driver {
		t.Errorf("got %+v", row)
	}
}

// TestSummaryReason says why a rollout stands still, and no longer when it goes
// on.
func TestSummaryReason(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	for _, test := range []struct {
		body   orchestrator.Body
		phase  orchestrator.Phase
		reason string
	}{
		{orchestrator.Held{Word: orchestrator.Word{By: "bob", Reason: "lunch"}}, orchestrator.Paused, "lunch"},
		{orchestrator.Resumed{}, orchestrator.Running, ""},
		{rollback(orchestrator.Ref{Ring: "ring-1", Service: "db", Undo: true}), orchestrator.RollingBack, ""},
		{orchestrator.Ended{Phase: orchestrator.RolledBack, Failure: broken}, orchestrator.RolledBack, broken.Words},
	} {
		appendAll(t, db, tape.Batch(lease, test.body))
		row, err := db.Summary(t.Context(), tape.ID)
		must(t, err)
		if row.Phase != test.phase || row.Reason != test.reason {
			t.Errorf("after %T: %s, %q; want %s, %q", test.body, row.Phase, row.Reason, test.phase, test.reason)
		}
	}
}

func TestEvents(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	bodies := storetest.Whole(storetest.App("shop"), "ring-1", 50)
	for i := 0; i < len(bodies); i += 70 {
		appendAll(t, db, tape.Batch(lease, bodies[i:min(i+70, len(bodies))]...))
	}
	for _, test := range []struct{ from, limit, first, n int }{
		{0, 0, 1, len(bodies) + 1}, {1, 1, 1, 1}, {2, 3, 2, 3}, {66, 5, 66, 5}, {65, 100, 65, 100},
		{len(bodies), 10, len(bodies), 2}, {len(bodies) + 2, 0, 0, 0},
	} {
		got, err := db.Events(t.Context(), tape.ID, uint64(test.from), test.limit)
		must(t, err)
		if len(got) != test.n || test.n > 0 && got[0].Seq != uint64(test.first) {
			t.Errorf("from %d, at most %d: got %d, first %+v", test.from, test.limit, len(got), got[:min(1, len(got))])
		}
		for i, e := range got {
			if e.Seq != uint64(test.first+i) || e.Rollout != tape.ID || e.Type() == "" {
				t.Errorf("event %d is %+v", test.first+i, e)
			}
		}
	}
}

func TestSend(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	must(t, db.Send(t.Context(), tape.ID, orchestrator.Command{Kind: orchestrator.CommandCancel}))
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Succeeded}))
	wantIs(t, db.Send(t.Context(), tape.ID, orchestrator.Command{Kind: orchestrator.CommandCancel}), store.ErrEnded)
	wantUnknown(t, db.Send(t.Context(), "shop-9", orchestrator.Command{}), "rollout", "shop-1")
}

func TestLeaseOf(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	must(t, db.Release(t.Context(), lease))
	got, err := db.LeaseOf(t.Context(), tape.ID)
	must(t, err)
	if got == nil || got.Driver != driver || !got.Seen.Equal(storetest.Start) || !got.Expires.IsZero() {
		t.Errorf("released: %+v", got)
	}
	lease, err = db.Acquire(t.Context(), tape.ID, driver, storetest.Start, time.Minute)
	must(t, err)
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Succeeded}))
	must(t, db.Release(t.Context(), lease))
	if got, err = db.LeaseOf(t.Context(), tape.ID); err != nil || got != nil {
		t.Errorf("ended: %+v, %v", got, err)
	}
}

// TestKnown follows what the application knows of its services through a
// rollout.
func TestKnown(t *testing.T) {
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	dbRef, apiRef := orchestrator.Ref{Ring: "ring-1", Service: "db"}, orchestrator.Ref{Ring: "ring-1", Service: "api"}
	want := func(svc int, nonce int64, known rings.Known) {
		t.Helper()
		app, err := db.App(t.Context(), "shop")
		must(t, err)
		got := app.Services[svc]
		if known.At = got.Known["ring-1"].At; known.Version != "" {
			known.DecidedAt = storetest.Start
		}
		if got.LastNonce != nonce || !reflect.DeepEqual(got.Known["ring-1"], known) {
			t.Errorf("service %s: nonce %d, %+v; want %d, %+v", got.Name, got.LastNonce, got.Known["ring-1"], nonce, known)
		}
	}
	decide := func(ref orchestrator.Ref, a orchestrator.Attempt) {
		appendAll(t, db, tape.Batch(lease, orchestrator.AttemptDecided{Ref: ref, Attempt: a}))
	}
	decide(dbRef, orchestrator.Attempt{Number: 1, Version: "v2", Nonce: 7, Ours: true})
	want(0, 7, rings.Known{Attempted: "v2"})
	appendAll(t, db, tape.Batch(lease, orchestrator.Published{Ref: dbRef, Commit: "c1"}))
	want(0, 7, rings.Known{Version: "v2", Commit: "c1"})
	decide(dbRef, orchestrator.Attempt{Number: 2, Version: "v3", Nonce: 6, Ours: true})
	want(0, 7, rings.Known{Version: "v2", Commit: "c1", Attempted: "v3"})

	decide(apiRef, orchestrator.Attempt{Number: 1, Version: "v7", Nonce: 3, Commit: "c2"})
	want(1, 3, rings.Known{})
	appendAll(t, db, tape.Batch(lease, orchestrator.StepEnded{Ref: apiRef, Phase: orchestrator.StepDone}))
	want(1, 3, rings.Known{Version: "v7", Commit: "c2"})

	both := []orchestrator.Body{
		orchestrator.AttemptDecided{Ref: dbRef, Attempt: orchestrator.Attempt{Number: 3, Version: "v4", Nonce: 9, Ours: true}},
		orchestrator.Published{Ref: dbRef, Commit: "c3"},
	}
	appendAll(t, db, tape.Batch(lease, both...))
	want(0, 9, rings.Known{Version: "v4", Commit: "c3"})
}
