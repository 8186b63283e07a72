package storetest

import (
	"fmt"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Start is the time at which all tapes begin.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Tape makes the events of one rollout, a second apart, and keeps their fold.
// It is not safe for concurrent use.
type Tape struct {
	ID    orchestrator.ID
	State *orchestrator.State // after all events so far
	Actor string
	now   time.Time
}

// NewTape begins a tape with the first event, made at now.
func NewTape(id orchestrator.ID, first orchestrator.Created, actor string, now time.Time) *Tape {
	t := &Tape{ID: id, Actor: actor, now: now}
	e := orchestrator.Event{Rollout: id, Seq: 1, At: now, Actor: actor, Body: first}
	t.State = orchestrator.Apply(nil, e)
	return t
}

// Resume goes on with a tape after a state that was stored; it takes
// ownership of the state.
func Resume(s *orchestrator.State, actor string) *Tape {
	return &Tape{ID: s.ID, State: s, Actor: actor, now: s.StartedAt.Add(time.Duration(s.Version) * time.Second)}
}

// Add returns the next events, one for each body.
func (t *Tape) Add(bodies ...orchestrator.Body) []orchestrator.Event {
	events := make([]orchestrator.Event, len(bodies))
	for i, b := range bodies {
		t.now = t.now.Add(time.Second)
		events[i] = orchestrator.Event{Rollout: t.ID, Seq: t.State.Version + 1, At: t.now, Actor: t.Actor, Body: b}
		t.State = orchestrator.Apply(t.State, events[i])
	}
	return events
}

// Batch returns a batch of the next events.
func (t *Tape) Batch(l orchestrator.Lease, bodies ...orchestrator.Body) orchestrator.Batch {
	return orchestrator.Batch{Lease: l, Events: t.Add(bodies...), State: t.State}
}

// App returns an application with the rings ring-1 and ring-2 and the services
// db and api, of which api depends on db.
func App(name rings.AppName) *rings.Application {
	svc := func(name rings.ServiceName, needs ...rings.ServiceName) rings.Service {
		return rings.Service{Name: name, Repo: "https://git.example/" + string(name), Branch: "main",
			GitRepo: string(name), Fields: []string{rings.DefaultField}, DependsOn: needs}
	}
	return &rings.Application{
		Name: name, Workspace: "fleet-default", Manager: "2f8e", RingLabel: "ring",
		Selector:  map[string]string{"app": string(name)},
		Rings:     []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}},
		Services:  []rings.Service{svc("db"), svc("api", "db")},
		Plan:      rings.Plan{"db": {Version: "v2", By: "ci", At: Start}, "api": {Version: "v7", By: "ci", At: Start}},
		CreatedBy: "ada", CreatedAt: Start,
	}
}

// Created returns the first event of a rollout of the application's plan on
// the rings: on each a step for each service.
func Created(a *rings.Application, names ...rings.RingName) orchestrator.Created {
	c := orchestrator.Created{
		Scope: orchestrator.Scope{App: a.Name, Workspace: a.Workspace, Manager: a.Manager,
			RingLabel: a.RingLabel, Selector: a.Selector},
		Plan: a.Plan.Versions(),
	}
	var upstream rings.RingName
	for _, ring := range names {
		c.Rings = append(c.Rings, orchestrator.NewRing{Name: ring, Named: true, Upstream: upstream})
		upstream = ring
		for i, svc := range a.Services {
			c.Steps = append(c.Steps, orchestrator.NewStep{Ring: ring, Target: orchestrator.TargetOf(svc),
				Needs: svc.DependsOn, Wave: i + 1, To: a.Plan[svc.Name].Version,
				Known: svc.Known[ring], Floor: svc.LastNonce})
		}
	}
	return c
}

// Commit is a commit's name.
func Commit(n int) string { return fmt.Sprintf("%040x", 0xc0ffee+n) }

// Cluster is a cluster's name.
func Cluster(n int) rings.ClusterName { return rings.ClusterName(fmt.Sprintf("eu-%05d", n)) }

// Publishing returns what happens from a step's start until Fleet has taken
// its commit up, on so many clusters.
func Publishing(ref orchestrator.Ref, version rings.Version, nonce int64, clusters int) []orchestrator.Body {
	survey := orchestrator.Survey{Service: ref.Service, Tip: Commit(1), Version: "v1", MaxNonce: nonce - 1}
	for n := range clusters {
		survey.Expected = append(survey.Expected, Cluster(n))
	}
	action := string(ref.Service) + "/survey"
	return []orchestrator.Body{
		orchestrator.StepStarted{Ref: ref},
		orchestrator.Observed{Fact: orchestrator.Fact{Service: ref.Service, Members: &orchestrator.Members{Clusters: survey.Expected}}},
		orchestrator.Asked{Action: orchestrator.Action{ID: action, Kind: orchestrator.ActSurvey, Ring: ref.Ring, Undo: ref.Undo,
			Items: []orchestrator.Item{{Service: ref.Service}}, Reason: "the step begins"}},
		orchestrator.Answered{Outcome: orchestrator.Outcome{Action: action, Result: orchestrator.OK, Surveys: []orchestrator.Survey{survey}}},
		orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: version, From: "v1",
			Nonce: nonce, Base: Commit(1), Ours: true}},
		orchestrator.Published{Ref: ref, Commit: Commit(2)},
		orchestrator.TakenUp{Ref: ref},
	}
}

// Turning returns what is written when a cluster becomes ready: what was seen,
// and what it means.
func Turning(ref orchestrator.Ref, cluster rings.ClusterName, nonce int64, ready bool) []orchestrator.Body {
	d := &orchestrator.Deployment{Cluster: cluster, Commit: Commit(2), SpecNonce: nonce, StatusNonce: nonce,
		Staged: true, Applied: true, Ready: ready, NonModified: true, Heard: Start.Add(time.Minute)}
	turned := orchestrator.ClusterTurned{Ref: ref, Cluster: cluster, Expected: true, Phase: orchestrator.ClusterReady}
	if !ready {
		turned.Phase, turned.Reason = orchestrator.ClusterNotReady, "deployment shop/db 0/1 replicas"
	}
	return []orchestrator.Body{orchestrator.Observed{Fact: orchestrator.Fact{Service: ref.Service, Deployment: d}}, turned}
}

// Whole returns all that happens after the first event of a rollout of the
// application on the ring until it has succeeded.
func Whole(a *rings.Application, ring rings.RingName, clusters int) []orchestrator.Body {
	bodies := []orchestrator.Body{orchestrator.Driven{}, orchestrator.Started{}, orchestrator.RingStarted{Ring: ring}}
	for _, svc := range a.Services {
		ref := orchestrator.Ref{Ring: ring, Service: svc.Name}
		nonce := svc.LastNonce + 1
		bodies = append(bodies, Publishing(ref, a.Plan[svc.Name].Version, nonce, clusters)...)
		for n := range clusters {
			bodies = append(bodies, Turning(ref, Cluster(n), nonce, false)...)
			bodies = append(bodies, Turning(ref, Cluster(n), nonce, true)...)
		}
		bodies = append(bodies, orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepDone, Reason: "all clusters are ready"})
	}
	return append(bodies, orchestrator.RingConverged{Ring: ring},
		orchestrator.RingEnded{Ring: ring, Phase: orchestrator.RingDone, Reason: "all clusters are ready"},
		orchestrator.Ended{Phase: orchestrator.Succeeded})
}
