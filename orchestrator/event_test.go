package orchestrator_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// bodies is one event of every type, filled.
func bodies() []orchestrator.Body {
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	survey := orchestrator.Survey{Service: "db", Tip: "t", Version: "v2", Versions: []rings.Version{"v1", "v2"}, Nonce: 3, MaxNonce: 4, Commit: "c", Author: "ann",
		At: epoch, Lineage: []string{"c", "t"}, Superseded: &orchestrator.Foreign{Commit: "f", Author: "eve", At: epoch, Version: "v9", Nonce: 9}, Rewritten: true,
		Expected: []rings.ClusterName{"c1"}, Excluded: []orchestrator.Excluded{{Cluster: "c2", Why: "doNotDeploy"}}}
	failure := &orchestrator.Failure{Code: orchestrator.CodeHook, Words: "no", Hint: "ask", Service: "db", Cluster: "c1"}
	return []orchestrator.Body{
		orchestrator.Created{Scope: orchestrator.Scope{App: "shop", Workspace: "w", Manager: "m", RingLabel: "ring", Selector: map[string]string{"app": "shop"}},
			Rings: []orchestrator.NewRing{{Name: "ring-1", Policy: rings.Policy{Uptake: time.Minute, Converge: time.Hour}, Named: true, Upstream: "ring-0"}}, Plan: map[rings.ServiceName]rings.Version{"db": "v2"}, Options: orchestrator.Options{Redeploy: true, Override: true, GoOver: true, Reason: "r"}, Link: "l", Over: &rings.Barriers{Locks: []rings.Lock{{App: "shop", Holder: "h", At: epoch}}},
			Steps: []orchestrator.NewStep{{Ring: "ring-1", Target: orchestrator.Target{Service: "db", Repo: "r", Branch: "main", Path: "p", GitRepo: "g", Fields: []string{"f"}, Managed: true, AcceptRedeploy: true},
				Needs: []rings.ServiceName{"base"}, Wave: 2, To: "v2", Known: rings.Known{Version: "v1", Attempted: "v0", Commit: "k", At: epoch}, Floor: 7}}},
		orchestrator.Observed{Fact: orchestrator.Fact{Service: "db", Deployment: &orchestrator.Deployment{Cluster: "c1", Gone: true, Commit: "c", SpecNonce: 3, StatusNonce: 2, Staged: true, Applied: true, Ready: true,
			NonModified: true, InstallError: "i", DeployError: "d", Paused: true, OffSchedule: true, AwaitsValues: true, Deleting: true, Words: "w", Heard: epoch}}},
		orchestrator.Observed{Fact: orchestrator.Fact{Service: "db", Bundle: &orchestrator.Bundle{Name: "b", Commit: "c", Error: "e", MaxNonce: 3}}},
		orchestrator.Observed{Fact: orchestrator.Fact{Service: "db", GitRepo: &orchestrator.GitRepo{Commit: "c", JobFailed: true, JobError: "j", PollError: "p", Paused: true, Generation: 2, Polling: time.Minute, Gone: true}}},
		orchestrator.Observed{Fact: orchestrator.Fact{Service: "db", Members: &orchestrator.Members{Clusters: []rings.ClusterName{"c1"}}, Synced: true}},
		orchestrator.Answered{Outcome: orchestrator.Outcome{Action: "1-survey", Result: orchestrator.Refused, Code: orchestrator.CodeHook, Words: "w", Hint: "h", Services: []rings.ServiceName{"db"}, Surveys: []orchestrator.Survey{survey}}},
		orchestrator.Commanded{Command: orchestrator.Command{Seq: 1, Kind: orchestrator.CommandCancel, By: "bob", Reason: "r", At: epoch}},
		orchestrator.Driven{},
		orchestrator.Started{},
		orchestrator.Asked{Action: orchestrator.Action{ID: "1-publish", Kind: orchestrator.ActPublish, Ring: "ring-1", Commit: "c", Reason: "r", After: epoch, AskedAt: epoch,
			Items: []orchestrator.Item{{Service: "db", Version: "v2", Nonce: 3, From: "v1", Base: "b", Commit: "c", Labels: []string{"l"}}}}},
		orchestrator.Dropped{Action: "1-publish"},
		orchestrator.StepStarted{Ref: ref},
		orchestrator.StepHeld{Ref: ref},
		orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: 1, Version: "v2", From: "v1", Nonce: 3, Base: "b", Commit: "c", Ours: true}},
		orchestrator.Published{Ref: ref, Commit: "c"},
		orchestrator.TakenUp{Ref: ref},
		orchestrator.ClusterTurned{Ref: ref, Cluster: "c1", Expected: true, Phase: orchestrator.ClusterFailed, Reason: "r", Code: orchestrator.CodeDeploy, Suspect: epoch},
		orchestrator.StepEnded{Ref: ref, Phase: orchestrator.StepFailed, Reason: "r", Failure: failure},
		orchestrator.Warned{Words: "w"},
		orchestrator.Ended{Phase: orchestrator.Failed, Failure: failure},
		orchestrator.Halted{Halt: &rings.Halt{App: "shop", By: "ann", Reason: "r", At: epoch, Until: epoch}},
		orchestrator.Barred{Locks: []rings.Lock{{App: "shop", Ring: "ring-1", Service: "db", Cluster: "c1", Holder: "h", By: "ann", Reason: "r", Link: "l", At: epoch, Until: epoch}},
			Closed: []rings.Closure{{Ring: "ring-1", Kind: rings.WindowDeny, Windows: []rings.WindowName{"w"}, Made: epoch, From: epoch, Until: epoch, Opens: epoch, Words: "w"}}},
		orchestrator.ClockJumped{},
		orchestrator.RingVerified{Ring: "ring-1"},
		orchestrator.RingStarted{Ring: "ring-1"},
		orchestrator.RingCounted{Ring: "ring-1", Clusters: []rings.ClusterName{"c1"}},
		orchestrator.RingConverged{Ring: "ring-1"},
		orchestrator.SoakRestarted{Ring: "ring-1", From: epoch},
		orchestrator.RingSoaked{Ring: "ring-1"},
		orchestrator.RingEnded{Ring: "ring-1", Phase: orchestrator.RingFailed, Reason: "r", Failure: failure},
		orchestrator.Approved{Ring: "ring-1", Gate: orchestrator.GateBefore, Approval: orchestrator.Approval{Word: orchestrator.Word{By: "ann", Reason: "r", At: epoch}, Content: "c"}},
		orchestrator.ApprovalFell{Ring: "ring-1", Gate: orchestrator.GateAfter, Words: "w"},
		orchestrator.Held{Word: orchestrator.Word{By: "ann", Reason: "r", At: epoch}},
		orchestrator.Resumed{},
		orchestrator.RollbackStarted{Reason: "r", Steps: []orchestrator.NewStep{{Ring: "ring-1", Undo: true, Observed: true, To: "v1"}}},
		orchestrator.RollbackRing{Ring: "ring-1"},
	}
}

// Every type of event comes back from the journal as it was written, and has a
// name of its own there.
func TestEncodeEvent_everyType(t *testing.T) {
	for _, b := range bodies() {
		e := orchestrator.Event{Rollout: "shop-1", Seq: 7, At: epoch.Add(time.Nanosecond), Actor: "ann", Body: b}
		if e.Type() == "" {
			t.Errorf("%T has no name", b)
		}
		roundTrip(t, e)
	}
}

func TestDecodeEvent_errors(t *testing.T) {
	tests := []struct {
		name, in, want string
		newer          bool
	}{
		{"newer type", `{"t":"teleported","at":"2026-01-01T00:00:00Z"}`, `event type "teleported": written by a newer version of rollout`, true},
		{"newer version", `{"t":"published","v":2,"at":"2026-01-01T00:00:00Z","d":{}}`, `event type "published" version 2: written by a newer version of rollout`, true},
		{"no JSON", `{`, `decode event: unexpected end of JSON input`, false},
		{"another shape", `{"t":"dropped","at":"2026-01-01T00:00:00Z","d":{"action":7}}`, `decode event dropped: json: cannot unmarshal number into Go struct field Dropped.action of type string`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := orchestrator.DecodeEvent([]byte(test.in))
			if err == nil || err.Error() != test.want || errors.Is(err, orchestrator.ErrNewerJournal) != test.newer {
				t.Errorf("err = %v, want %s", err, test.want)
			}
		})
	}
}

func TestNew_errors(t *testing.T) {
	app := &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}}, Services: []rings.Service{{Name: "db"}}}
	planned := *app
	planned.Plan = rings.Plan{"db": {Version: "v2"}}
	removed := *app
	removed.Plan = rings.Plan{"gone": {Version: "v2"}}
	tests := []struct {
		name string
		app  *rings.Application
		req  orchestrator.Request
		want string
	}{
		{"unknown ring", &planned, orchestrator.Request{Rings: []rings.RingName{"ring-2"}}, `ring "ring-2": not found in application "shop"; did you mean "ring-1"?`},
		{"empty plan", app, orchestrator.Request{Rings: []rings.RingName{"ring-1"}}, `plan of application "shop": it is empty: there is nothing to roll out`},
		{"not planned", &planned, orchestrator.Request{Rings: []rings.RingName{"ring-1"}, Only: []rings.ServiceName{"api"}}, `plan: service "api" has no version in the plan`},
		{"planned, but no service any more", &removed, orchestrator.Request{Rings: []rings.RingName{"ring-1"}}, `service "gone": not found in application "shop"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := orchestrator.New(test.app, test.req)
			if err == nil || err.Error() != test.want {
				t.Errorf("err = %v, want %s", err, test.want)
			}
		})
	}
}

// What a rollout ships comes from the plan, from a release, or from a person:
// only the person goes past the ring before.
func TestNew_source(t *testing.T) {
	app := &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}}, Services: []rings.Service{
		{Name: "db", Known: map[rings.RingName]rings.Known{"ring-1": {Version: "v2", Verified: "shop-1"}}}, {Name: "web"}},
		Plan: rings.Plan{"db": {Version: "v2"}}}
	second := []rings.RingName{"ring-2"}
	release := func(db string) *rings.Release {
		return &rings.Release{Number: 3, Versions: map[rings.ServiceName]rings.Version{"db": rings.Version(db)}}
	}
	tests := []struct {
		name  string
		req   orchestrator.Request
		kind  orchestrator.Kind
		plan  string
		above rings.RingName
		err   error
	}{
		{"plan", orchestrator.Request{Rings: second}, orchestrator.KindForward, "map[db:v2]", "ring-1", nil},
		{"release", orchestrator.Request{Rings: second, Release: release("v2")}, orchestrator.KindRelease, "map[db:v2]", "ring-1", nil},
		{"release that is not verified", orchestrator.Request{Rings: second, Release: release("v3")}, "", "", "", orchestrator.ErrUnverified},
		{"deploy", orchestrator.Request{Rings: second, Deploy: rings.Plan{"web": {Version: "v9"}}, Options: orchestrator.Options{Reason: "now"}}, orchestrator.KindDeploy, "map[web:v9]", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := orchestrator.New(app, test.req)
			if !errors.Is(err, test.err) {
				t.Fatalf("err = %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			if c.Kind != test.kind || fmt.Sprint(c.Plan) != test.plan || c.Rings[0].Upstream != test.above || len(c.Steps) != 1 {
				t.Errorf("created %q %v after %q, %d steps", c.Kind, c.Plan, c.Rings[0].Upstream, len(c.Steps))
			}
			if s := orchestrator.Apply(nil, orchestrator.Event{Rollout: "shop-2", Seq: 1, Body: c}); s.Kind != c.Kind || s.Release != c.Release {
				t.Errorf("the state is of kind %q, release %d", s.Kind, s.Release)
			} else if again := retried(t, app, s); again.Rings[0].Upstream != test.above || again.Kind != orchestrator.KindRetry {
				t.Errorf("its retry is %q after %q", again.Kind, again.Rings[0].Upstream)
			}
		})
	}
	if app.Plan["db"].Version != "v2" || len(app.Plan) != 1 {
		t.Errorf("the plan was changed: %v", app.Plan)
	}
}

// retried is a retry of the rollout, which has failed.
func retried(t *testing.T, a *rings.Application, s *orchestrator.State) orchestrator.Created {
	t.Helper()
	s = orchestrator.Apply(s, orchestrator.Event{Rollout: s.ID, Seq: 2, Body: orchestrator.Ended{Phase: orchestrator.Failed}})
	c, err := orchestrator.NewRetry(a, orchestrator.Again{Of: s})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
