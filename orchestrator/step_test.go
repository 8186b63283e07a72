package orchestrator_test

import (
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

func TestStep_smoke(t *testing.T) {
	app := &rings.Application{Name: "shop", RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}},
		Services: []rings.Service{
			{Name: "db", Repo: "r/db", Branch: "main", GitRepo: "db", Known: map[rings.RingName]rings.Known{"ring-1": {Version: "v1"}}},
			{Name: "api", Repo: "r/api", Branch: "main", GitRepo: "api", DependsOn: []rings.ServiceName{"db"}},
		},
		Plan: rings.Plan{"db": {Version: "v2"}, "api": {Version: "v2"}}}
	created, err := orchestrator.New(app, orchestrator.Request{Ring: "ring-1"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := orchestrator.Apply(nil, orchestrator.Event{Rollout: "shop-1", Seq: 1, At: now, Actor: "me", Body: created})
	step := func(in orchestrator.Input) orchestrator.Decision {
		now = now.Add(time.Second)
		in.Now = now
		d := orchestrator.Step(s, in, "driver")
		for _, e := range d.Events {
			b, err := orchestrator.EncodeEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s", b)
		}
		t.Logf("   => %s | wake %v", s.Explain(now), d.Wake)
		return d
	}
	members := func(svc rings.ServiceName) []orchestrator.Fact {
		return []orchestrator.Fact{{Service: svc, Members: &orchestrator.Members{Clusters: []rings.ClusterName{"c1", "c2"}}}, {Service: svc, Synced: true}}
	}
	step(orchestrator.Input{Taken: true})
	step(orchestrator.Input{Outcomes: []orchestrator.Outcome{{Action: "1-claim", Result: orchestrator.OK}}, Facts: append(members("db"), members("api")...)})
	sv := orchestrator.Survey{Service: "db", Tip: "t0", Version: "v1", Commit: "t0", Expected: []rings.ClusterName{"c1", "c2"}}
	step(orchestrator.Input{Outcomes: []orchestrator.Outcome{{Action: "2-survey", Result: orchestrator.OK, Surveys: []orchestrator.Survey{sv}}}})
	sv.Tip, sv.Commit, sv.Lineage, sv.Nonce, sv.Version = "C", "C", []string{"C"}, 1, "v2"
	step(orchestrator.Input{Outcomes: []orchestrator.Outcome{{Action: "3-publish", Result: orchestrator.OK, Surveys: []orchestrator.Survey{sv}}}})
	dep := func(c rings.ClusterName, ready bool) orchestrator.Fact {
		return orchestrator.Fact{Service: "db", Deployment: &orchestrator.Deployment{Cluster: c, Commit: "C", SpecNonce: 1, StatusNonce: 1, Staged: true, Applied: true, Ready: ready, NonModified: true}}
	}
	step(orchestrator.Input{Facts: []orchestrator.Fact{dep("c1", true), dep("c2", false)}})
	step(orchestrator.Input{Facts: []orchestrator.Fact{dep("c2", true)}})
	step(orchestrator.Input{Outcomes: []orchestrator.Outcome{{Action: "5-survey", Result: orchestrator.OK, Surveys: []orchestrator.Survey{sv}}}})
}
