package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store/storetest"
)

// TestVerifiedAt: when somebody decided on a version, and when it was verified,
// are taken down with it, and change with it.
func TestVerifiedAt(t *testing.T) {
	db := openShop(t)
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1")
	for _, b := range append(rolled(ref, "v1", "v2", "c1"), ringDone("ring-1")) {
		appendAll(t, db, tape.Batch(lease, b))
	}
	k := service(t, db).Known["ring-1"]
	if k.Verified != "shop-1" || !k.VerifiedAt.Equal(tape.State.At) || !k.DecidedAt.Equal(storetest.Start) || !k.At.Before(k.VerifiedAt) {
		t.Errorf("verified: %+v", k)
	}
	appendAll(t, db, tape.Batch(lease, orchestrator.Ended{Phase: orchestrator.Succeeded}))
	tape, lease = startKind(t, db, orchestrator.KindForward, "ring-1")
	appendAll(t, db, tape.Batch(lease, rolled(ref, "v2", "v3", "c2")[0]))
	if k := service(t, db).Known["ring-1"]; k.Verified != "" || !k.VerifiedAt.IsZero() {
		t.Errorf("about to be changed: %+v", k)
	}
}

// TestAbsent: that a service is on none of a ring's clusters is taken down, and
// not that a person left it out, or that the ring has no clusters.
func TestAbsent(t *testing.T) {
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	seen := func(excluded ...orchestrator.Excluded) []orchestrator.Body {
		return []orchestrator.Body{orchestrator.StepStarted{Ref: ref},
			orchestrator.Asked{Action: orchestrator.Action{ID: "1", Kind: orchestrator.ActSurvey, Ring: "ring-1", Items: []orchestrator.Item{{Service: "db"}}}},
			orchestrator.Answered{Outcome: orchestrator.Outcome{Action: "1", Result: orchestrator.OK, Surveys: []orchestrator.Survey{{Service: "db", Excluded: excluded}}}}}
	}
	skip := orchestrator.Commanded{Command: orchestrator.Command{Kind: orchestrator.CommandSkip, Service: "db", By: "bob", Reason: "not today"}}
	for name, test := range map[string]struct {
		bodies []orchestrator.Body
		noted  bool
	}{
		"on none of the clusters": {seen(orchestrator.Excluded{Cluster: "eu-1"}), true},
		"no clusters":             {seen(), false},
		"left out":                {append(seen(orchestrator.Excluded{Cluster: "eu-1"}), skip), false},
		"never looked at":         {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			db := openShop(t)
			must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error { a.Services[0].Known = nil; return nil }))
			tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1")
			for _, b := range append(test.bodies, orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepSkipped, Reason: "not there"}) {
				appendAll(t, db, tape.Batch(lease, b))
			}
			if k := service(t, db).Known["ring-1"]; k.DecidedAt.Equal(storetest.Start) != test.noted || k.Version != "" || k.Verified != "" {
				t.Errorf("known: %+v", k)
			}
		})
	}
}

// TestAsOf tells what a ring ran at any time: verified, changed since, and
// taken back.
func TestAsOf(t *testing.T) {
	db := openShop(t)
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	var times []time.Time
	run := func(kind orchestrator.Kind, bodies ...orchestrator.Body) {
		tape, lease := startKind(t, db, kind, "ring-1")
		for _, b := range bodies {
			appendAll(t, db, tape.Batch(lease, b))
			times = append(times, tape.State.At)
		}
		must(t, db.Release(t.Context(), lease))
	}
	run(orchestrator.KindForward, append(rolled(ref, "v1", "v2", "c1"), ringDone("ring-1"), orchestrator.Ended{Phase: orchestrator.Succeeded})...)
	asOf := func(at time.Time) map[rings.ServiceName]rings.Known {
		known, err := db.AsOf(t.Context(), "shop", "ring-1", at)
		must(t, err)
		for name, k := range known {
			k.At, k.DecidedAt = time.Time{}, time.Time{}
			known[name] = k
		}
		return known
	}
	begun, unverified := map[rings.ServiceName]rings.Known{"db": {Version: "v2"}}, map[rings.ServiceName]rings.Known{"db": {Version: "v2", Commit: "c1"}}
	verified := map[rings.ServiceName]rings.Known{"db": {Version: "v2", Commit: "c1", Verified: "shop-1"}}
	for i, want := range []map[rings.ServiceName]rings.Known{begun, unverified, unverified, verified, verified} {
		if diff := cmp.Diff(want, asOf(times[i])); diff != "" {
			t.Errorf("after event %d (-want +got):\n%s", i+2, diff)
		}
	}
	if known := asOf(storetest.Start.Add(-time.Hour)); len(known) > 0 {
		t.Errorf("before the first rollout: %+v", known)
	}
	_, err := db.AsOf(t.Context(), "shop", "ring-7", times[0])
	wantUnknown(t, err, "ring", "ring-1")
}

// TestStatesAt tells how rollouts stood at any time, also when a driver's clock
// was behind that of the one before it.
func TestStatesAt(t *testing.T) {
	db := openShop(t)
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1")
	first, err := db.Rollout(t.Context(), tape.ID)
	must(t, err)
	states := []*orchestrator.State{first}
	for i, b := range append(rolled(ref, "v1", "v2", "c1"), ringDone("ring-1")) {
		batch := tape.Batch(lease, b)
		if i == 1 {
			batch.Events[0].At = batch.Events[0].At.Add(time.Hour)
		}
		appendAll(t, db, batch)
		s, err := db.Rollout(t.Context(), tape.ID)
		must(t, err)
		states = append(states, s)
	}
	at := func(at time.Time) *orchestrator.State {
		out, err := db.StatesAt(t.Context(), at, tape.ID, tape.ID)
		must(t, err)
		return out[tape.ID]
	}
	for seconds, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 3, 4: 4, 5: 4, 7200: 4} {
		if diff := cmp.Diff(states[want], at(storetest.Start.Add(time.Duration(seconds)*time.Second))); diff != "" {
			t.Errorf("after %d s, wanted that after event %d (-want +got):\n%s", seconds, want+1, diff)
		}
	}
	if diff := cmp.Diff(states[4], at(time.Time{})); diff != "" {
		t.Errorf("now (-want +got):\n%s", diff)
	}
	if s := at(storetest.Start.Add(-time.Second)); s != nil {
		t.Errorf("before it began: %+v", s)
	}
	_, err = db.StatesAt(t.Context(), storetest.Start, "shop-7")
	wantUnknown(t, err, "rollout", "shop-1")
}

// TestObservedKeepsVerified: to look at a service whose file was changed for
// another ring takes nothing away; another version on the ring does.
func TestObservedKeepsVerified(t *testing.T) {
	for version, kept := range map[rings.Version]bool{"v2": true, "v3": false} {
		db := openShop(t)
		ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
		tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1")
		for _, b := range append(rolled(ref, "v1", "v2", "c1"), ringDone("ring-1"), orchestrator.Ended{Phase: orchestrator.Succeeded}) {
			appendAll(t, db, tape.Batch(lease, b))
		}
		before := service(t, db).Known["ring-1"]
		app, err := db.App(t.Context(), "shop")
		must(t, err)
		first := storetest.Created(app, "ring-1")
		for i := range first.Steps {
			first.Steps[i].Observed = first.Steps[i].Target.Service == "db"
		}
		id, err := db.CreateRollout(t.Context(), "shop", func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) { return first, nil }, "bob", storetest.Start.Add(time.Hour))
		must(t, err)
		lease, err = db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
		must(t, err)
		tape = storetest.NewTape(id, first, "bob", storetest.Start.Add(time.Hour))
		appendAll(t, db, tape.Batch(lease, orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: version, From: version, Commit: "c9"}}, done(ref)))
		if after := service(t, db).Known["ring-1"]; reflect.DeepEqual(after, before) != kept || (after.Verified != "") != kept {
			t.Errorf("%s: %+v, before it was looked at %+v", version, after, before)
		}
	}
}
