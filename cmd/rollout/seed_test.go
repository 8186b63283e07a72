package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// seed puts into the store what needs a Fleet otherwise:
//
//	seed app FILE           an application, as JSON
//	seed cluster APP RING NAME...
//	seed rollout APP RING PHASE [MINUTES]   started so long before TEST_NOW
//	seed release APP RING NUMBER            a rollout of the release, just created
//	seed deploy APP RING SERVICE=VERSION REASON   just created
//	seed train APP RING                     just created
//	seed skip APP RING MOMENT WORDS   what was to start by itself, and did not
//	seed rings APP STATE MINUTES            over all rings: new, old (by an older engine), running,
//	                        soaking, awaiting, proposed, paused, stuck or rolledback
//	seed obey ID            drives it, as the engine decides, until it has taken a command
func seed(args []string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, os.Getenv("ROLLOUT_STORE"), store.Options{NoSync: true, NoWait: true})
	if err != nil {
		return err
	}
	switch args[0] {
	case "app":
		return seedApp(ctx, db, args[1])
	case "cluster":
		for _, name := range args[3:] {
			c := rings.Cluster{Name: rings.ClusterName(name), App: rings.AppName(args[1]), Ring: rings.RingName(args[2]), AddedBy: "bob@example.com", AddedAt: testNow().Add(-time.Hour)}
			if err := db.PutCluster(ctx, c); err != nil {
				return err
			}
		}
		return nil
	case "rollout":
		return seedRollout(ctx, db, args[1:])
	case "release":
		return seedRelease(ctx, db, rings.AppName(args[1]), rings.RingName(args[2]), args[3])
	case "deploy":
		return seedDeploy(ctx, db, args[1:])
	case "train":
		return seedTrain(ctx, db, rings.AppName(args[1]), rings.RingName(args[2]))
	case "skip":
		at, err := time.Parse(time.RFC3339, args[3])
		if err != nil {
			return err
		}
		return seedSkip(ctx, db, rings.AppName(args[1]), orchestrator.Due{Ring: rings.RingName(args[2]), Moment: at}, args[4])
	case "rings":
		return seedRings(ctx, db, args[1:])
	case "obey":
		return obey(ctx, db, orchestrator.ID(args[1]))
	}
	return fmt.Errorf("seed %q", args[0])
}

func seedApp(ctx context.Context, db *store.DB, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var a rings.Application
	if err := json.Unmarshal(b, &a); err != nil {
		return err
	}
	return db.CreateApp(ctx, &a)
}

// seedSkip has all before the moment handled.
func seedSkip(ctx context.Context, db *store.DB, app rings.AppName, d orchestrator.Due, why string) error {
	err := db.UpdateApp(ctx, app, func(a *rings.Application) error {
		r, err := a.Ring(d.Ring)
		if err == nil {
			r.Kept.Until = d.Moment.Add(-1)
		}
		return err
	})
	if err != nil {
		return err
	}
	return db.PassDue(ctx, app, d, why, true, testNow())
}

func seedRollout(ctx context.Context, db *store.DB, args []string) error {
	minutes := 10
	if len(args) > 3 {
		minutes, _ = strconv.Atoi(args[3])
	}
	start := testNow().Add(-time.Duration(minutes) * time.Minute)
	ring := rings.RingName(args[1])
	id, err := db.CreateRollout(ctx, rings.AppName(args[0]), func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{ring}, Empty: a.RingNames()})
	}, "bob@example.com", start)
	if err != nil {
		return err
	}
	s, err := db.Rollout(ctx, id)
	if err != nil {
		return err
	}
	driver := orchestrator.Driver{Name: "host/7", Host: "host", PID: 7}
	lease, err := db.Acquire(ctx, id, driver, start, 20*time.Second)
	if err != nil {
		return err
	}
	events := play(s, start, orchestrator.Phase(args[2]))
	if err := db.Append(ctx, []orchestrator.Batch{{Lease: lease, Events: events, State: orchestrator.Fold(s, events)}}); err != nil {
		return err
	}
	if orchestrator.Phase(args[2]).Ended() {
		return db.Release(ctx, lease)
	}
	return nil
}

func seedRelease(ctx context.Context, db *store.DB, app rings.AppName, ring rings.RingName, word string) error {
	number, err := strconv.Atoi(word)
	if err != nil {
		return err
	}
	r, err := db.ReleaseNumber(ctx, app, number)
	if err != nil {
		return err
	}
	_, err = db.CreateRollout(ctx, app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{ring}, Release: &r})
	}, "bob@example.com", testNow())
	return err
}

func seedDeploy(ctx context.Context, db *store.DB, args []string) error {
	wanted, err := assignments(args[2:3])
	if err != nil {
		return err
	}
	r := orchestrator.Request{Rings: []rings.RingName{rings.RingName(args[1])}, Options: orchestrator.Options{Reason: args[3]},
		Deploy: rings.Plan{wanted[0].service: {Version: wanted[0].version}}}
	_, err = db.CreateRollout(ctx, rings.AppName(args[0]), func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, r)
	}, "bob@example.com", testNow())
	return err
}

func seedTrain(ctx context.Context, db *store.DB, app rings.AppName, ring rings.RingName) error {
	_, err := db.CreateRollout(ctx, app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.NewTrain(a, orchestrator.Train{Ring: ring})
	}, "bob@example.com", testNow())
	return err
}

// play makes the events of a rollout whose first service is being converged
// on eu-1 and eu-2, or, with a final phase, ended so.
func play(s *orchestrator.State, start time.Time, phase orchestrator.Phase) []orchestrator.Event {
	at := start
	var events []orchestrator.Event
	say := func(b orchestrator.Body) {
		at = at.Add(time.Second)
		events = append(events, orchestrator.Event{Rollout: s.ID, Seq: s.Version + uint64(len(events)) + 1, At: at, Actor: "host/7", Body: b})
	}
	say(orchestrator.Driven{Engine: orchestrator.Engine})
	say(orchestrator.Started{})
	say(orchestrator.RingStarted{Ring: s.Rings[0].Name})
	claim := orchestrator.Action{ID: "1", Kind: orchestrator.ActClaim, Ring: s.Rings[0].Name}
	say(orchestrator.Asked{Action: claim})
	say(orchestrator.Answered{Outcome: orchestrator.Outcome{Action: claim.ID, Result: orchestrator.OK}})
	for i, st := range s.Steps {
		ref := orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service}
		commit := fmt.Sprintf("c0ffee%034d", i+1)
		say(orchestrator.StepStarted{Ref: ref})
		say(orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: st.To, From: "v1", Nonce: 2, Ours: true}})
		say(orchestrator.Observed{Fact: orchestrator.Fact{Service: ref.Service, Synced: true}})
		say(orchestrator.Published{Ref: ref, Commit: commit})
		say(orchestrator.TakenUp{Ref: ref})
		say(orchestrator.ClusterTurned{Ref: ref, Cluster: "eu-1", Expected: true, Phase: orchestrator.ClusterReady})
		if phase != orchestrator.Succeeded {
			say(orchestrator.ClusterTurned{Ref: ref, Cluster: "eu-2", Expected: true, Phase: orchestrator.ClusterNotReady, Reason: "deployment shop/db 0/1 replicas"})
			break
		}
		say(orchestrator.ClusterTurned{Ref: ref, Cluster: "eu-2", Expected: true, Phase: orchestrator.ClusterReady})
		say(orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepDone, Reason: fmt.Sprintf("%s acknowledged by 2 of 2 clusters", st.To)})
	}
	first := orchestrator.Ref{Ring: s.Steps[0].Ring, Service: s.Steps[0].Target.Service}
	switch phase {
	case orchestrator.Succeeded:
		say(orchestrator.RingEnded{Ring: first.Ring, Phase: orchestrator.RingDone, Reason: fmt.Sprintf("%d services are live", len(s.Steps))})
		say(orchestrator.Ended{Phase: phase})
	case orchestrator.Failed:
		f := orchestrator.Failure{Code: orchestrator.CodeNotReady, Words: "cluster \"eu-2\": deployment shop/db 0/1 replicas for longer than 15m", Service: first.Service, Cluster: "eu-2"}
		say(orchestrator.StepEnded{Ref: first, Phase: orchestrator.StepFailed, Reason: f.Words, Failure: &f})
		say(orchestrator.RingEnded{Ring: first.Ring, Phase: orchestrator.RingFailed, Reason: f.Words, Failure: &f})
		say(orchestrator.Ended{Phase: phase, Failure: &f})
	case orchestrator.Cancelled:
		say(orchestrator.Commanded{Command: orchestrator.Command{Kind: orchestrator.CommandCancel, By: "eve@example.com", Reason: "not today", At: at}})
		say(orchestrator.Ended{Phase: phase})
	}
	return events
}
