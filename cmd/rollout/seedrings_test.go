package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// seedRings puts a rollout over all rings of an application into the store.
func seedRings(ctx context.Context, db *store.DB, args []string) error {
	ago, err := time.ParseDuration(args[2] + "m")
	if err != nil {
		return err
	}
	start := testNow().Add(-ago)
	id, err := db.CreateRollout(ctx, rings.AppName(args[0]), func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, orchestrator.Request{Rings: a.RingNames()})
	}, "bob@example.com", start)
	if err != nil {
		return err
	}
	s, err := db.Rollout(ctx, id)
	if err != nil {
		return err
	}
	if args[1] == "new" {
		return nil
	}
	lease, err := db.Acquire(ctx, id, orchestrator.Driver{Name: "host/7", Host: "host", PID: 7}, start, 20*time.Second)
	if err != nil {
		return err
	}
	events := playRings(s, start, args[1])
	return db.Append(ctx, []orchestrator.Batch{{Lease: lease, Events: events, State: orchestrator.Fold(s, events)}})
}

// obey takes the rollout's lease and hands it the next command.
func obey(ctx context.Context, db *store.DB, id orchestrator.ID) error {
	lease, err := db.Acquire(ctx, id, orchestrator.Driver{Name: "host/8", Host: "host", PID: 8}, testNow(), time.Minute)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	changes := db.Changes(ctx)
	for {
		commands, err := db.Commands(ctx, id)
		if err != nil {
			return err
		}
		if len(commands) > 0 {
			return give(ctx, db, lease, commands)
		}
		<-changes
	}
}

func give(ctx context.Context, db *store.DB, lease orchestrator.Lease, commands []orchestrator.Command) error {
	s, err := db.Rollout(ctx, lease.Rollout)
	if err != nil {
		return err
	}
	batch := orchestrator.Batch{Lease: lease, State: s}
	for _, c := range commands {
		batch.Consumed = append(batch.Consumed, c.Seq)
	}
	batch.Events = orchestrator.Step(s, orchestrator.Input{Now: testNow(), Taken: true, Commands: commands}, "host/8").Events
	return db.Append(ctx, []orchestrator.Batch{batch})
}

// teller writes a journal, a second an event.
type teller struct {
	state  *orchestrator.State
	at     time.Time
	events []orchestrator.Event
}

func (t *teller) say(bodies ...orchestrator.Body) {
	for _, b := range bodies {
		t.at = t.at.Add(time.Second)
		t.events = append(t.events, orchestrator.Event{Rollout: t.state.ID, Seq: t.state.Version + uint64(len(t.events)) + 1, At: t.at, Actor: "host/7", Body: b})
	}
}

// playRings makes the events of a rollout that has come to the named state: its
// first ring is done, unless it soaks.
func playRings(s *orchestrator.State, start time.Time, to string) []orchestrator.Event {
	t := &teller{state: s, at: start}
	if to == "old" {
		t.say(orchestrator.Driven{Engine: 1}, orchestrator.Started{})
		return t.events
	}
	t.say(orchestrator.Driven{Engine: orchestrator.Engine}, orchestrator.Started{})
	first, second := s.Rings[0].Name, s.Rings[1].Name
	t.begin(first)
	for _, st := range s.Steps {
		switch {
		case st.Ring != first:
		case st.Observed:
			t.look(refOf(st), "v1")
			t.done(refOf(st))
		default:
			t.publish(refOf(st), "v1", st.To)
			t.done(refOf(st))
		}
	}
	t.say(orchestrator.RingConverged{Ring: first})
	if to == "soaking" {
		return t.events
	}
	t.say(orchestrator.RingEnded{Ring: first, Phase: orchestrator.RingDone, Reason: "2 services are live"})
	if to == "awaiting" {
		return t.events
	}
	t.say(orchestrator.Approved{Ring: second, Gate: orchestrator.GateBefore, Approval: orchestrator.Approval{Word: orchestrator.Word{By: "eve@example.com", Reason: "looks good", At: t.at}, Content: s.Content(second)}})
	t.begin(second)
	i := slices.IndexFunc(s.Steps, func(st *orchestrator.StepState) bool { return st.Ring == second && !st.Observed })
	db := refOf(s.Steps[i])
	if to == "proposed" {
		t.propose(db, "v1", s.Steps[i].To)
		return t.events
	}
	t.publish(db, "v1", s.Steps[i].To)
	t.say(orchestrator.ClusterTurned{Ref: db, Cluster: "eu-3", Expected: true, Phase: orchestrator.ClusterNotReady, Reason: "deployment shop/db 0/1 replicas"})
	switch to {
	case "paused":
		word := orchestrator.Word{By: "eve@example.com", Reason: "not today", At: t.at}
		t.say(orchestrator.Commanded{Command: orchestrator.Command{Kind: orchestrator.CommandPause, By: word.By, Reason: word.Reason, At: word.At}}, orchestrator.Held{Word: word})
	case "stuck", "rolledback":
		t.fail(db)
		if to == "rolledback" {
			t.rollBack(db, s)
		}
	}
	return t.events
}

func refOf(st *orchestrator.StepState) orchestrator.Ref {
	return orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}
}

// begin starts the ring, with its claim.
func (t *teller) begin(ring rings.RingName) {
	t.say(orchestrator.RingStarted{Ring: ring})
	t.act(orchestrator.Action{Kind: orchestrator.ActClaim, Ring: ring})
}

// members are the clusters of the rings.
var members = map[rings.RingName][]rings.ClusterName{"ring-1": {"eu-1", "eu-2"}, "ring-2": {"eu-3", "eu-4"}}

// publish brings the step to where Fleet has taken its commit up.
func (t *teller) publish(ref orchestrator.Ref, from, to rings.Version) {
	t.look(ref, from)
	commit := fmt.Sprintf("c0ffee%034d", len(t.events))
	item := orchestrator.Item{Service: ref.Service, Version: to, Nonce: 2, From: from}
	tip := orchestrator.Survey{Service: ref.Service, Tip: commit, Version: to, Nonce: 2, Commit: commit, Lineage: []string{commit}, Expected: members[ref.Ring]}
	t.say(orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: to, From: from, Nonce: 2, Ours: true}})
	t.act(orchestrator.Action{Kind: orchestrator.ActPublish, Ring: ref.Ring, Undo: ref.Undo, Items: []orchestrator.Item{item}}, tip)
	t.say(orchestrator.Published{Ref: ref, Commit: commit}, orchestrator.TakenUp{Ref: ref})
}

// look starts the step and reads what the branch and Fleet say.
func (t *teller) look(ref orchestrator.Ref, version rings.Version) {
	base := orchestrator.Survey{Service: ref.Service, Tip: "ba5e", Version: version, Expected: members[ref.Ring]}
	t.say(orchestrator.StepStarted{Ref: ref})
	t.act(orchestrator.Action{Kind: orchestrator.ActSurvey, Ring: ref.Ring, Undo: ref.Undo, Items: []orchestrator.Item{{Service: ref.Service}}}, base)
	t.say(orchestrator.Observed{Fact: orchestrator.Fact{Service: ref.Service, Members: &orchestrator.Members{Clusters: members[ref.Ring]}}},
		orchestrator.Observed{Fact: orchestrator.Fact{Service: ref.Service, Synced: true}})
}

// act asks for the action, which is answered well.
func (t *teller) act(a orchestrator.Action, surveys ...orchestrator.Survey) {
	a.ID = fmt.Sprintf("%d-%s", len(t.events), a.Kind)
	t.say(orchestrator.Asked{Action: a}, orchestrator.Answered{Outcome: orchestrator.Outcome{Action: a.ID, Result: orchestrator.OK, Surveys: surveys}})
}

// done makes the step's clusters ready.
func (t *teller) done(ref orchestrator.Ref) {
	for _, name := range members[ref.Ring] {
		t.say(orchestrator.ClusterTurned{Ref: ref, Cluster: name, Expected: true, Phase: orchestrator.ClusterReady})
	}
	t.say(orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepDone, Reason: "acknowledged by 2 of 2 clusters"})
}

func (t *teller) fail(ref orchestrator.Ref) {
	f := orchestrator.Failure{Code: orchestrator.CodeNotReady, Words: "cluster \"eu-3\": deployment shop/db 0/1 replicas for longer than 15m", Service: ref.Service, Cluster: "eu-3"}
	t.say(orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepFailed, Reason: f.Words, Failure: &f},
		orchestrator.RingEnded{Ring: ref.Ring, Phase: orchestrator.RingFailed, Reason: f.Words, Failure: &f})
}

// rollBack takes the step back.
func (t *teller) rollBack(ref orchestrator.Ref, s *orchestrator.State) {
	undo := orchestrator.NewStep{Ring: ref.Ring, Target: orchestrator.Target{Service: ref.Service}, Wave: 1, Undo: true, To: "v1", Known: rings.Known{Version: "v2"}}
	back := orchestrator.Ref{Ring: ref.Ring, Service: ref.Service, Undo: true}
	t.say(orchestrator.RollbackStarted{Reason: "db: not ready", Steps: []orchestrator.NewStep{undo}}, orchestrator.RollbackRing{Ring: ref.Ring})
	t.publish(back, "v2", "v1")
	t.done(back)
	t.say(orchestrator.Ended{Phase: orchestrator.RolledBack})
}

// propose brings the step to where its branch waits for a merge.
func (t *teller) propose(ref orchestrator.Ref, from, to rings.Version) {
	t.look(ref, from)
	item := orchestrator.Item{Service: ref.Service, Version: to, Nonce: 2, From: from, Base: "ba5e"}
	proposal := orchestrator.Proposal{Branch: fmt.Sprintf("rollout/shop/%s/%s", ref.Ring, t.state.ID), Commit: "c0ffee", Tip: "ba5e",
		URL: "https://git.example.com/shop/db/-/merge_requests/new", Words: "To create a merge request visit: https://git.example.com/shop/db/-/merge_requests/new"}
	a := orchestrator.Action{ID: "publish", Kind: orchestrator.ActPublish, Ring: ref.Ring, Items: []orchestrator.Item{item}}
	survey := orchestrator.Survey{Service: ref.Service, Tip: "ba5e", Version: from, Expected: members[ref.Ring]}
	t.say(orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: to, From: from, Nonce: 2, Base: "ba5e", Ours: true}},
		orchestrator.Asked{Action: a},
		orchestrator.Answered{Outcome: orchestrator.Outcome{Action: a.ID, Result: orchestrator.OK, Surveys: []orchestrator.Survey{survey}, Proposal: &proposal}},
		orchestrator.Proposed{Ref: ref, Proposal: proposal})
}
