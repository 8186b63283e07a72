package orchestrator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// scaled is an application whose web has a setting that is planned: with a
// version, or with "" alone.
func scaled(version rings.Version, replicas string) *rings.Application {
	planned := rings.PlanEntry{Version: version, Settings: map[rings.SettingName]rings.PlanValue{"replicas": {Value: replicas}}}
	most := 9.0
	known := rings.Known{Version: "v1", Settings: rings.Values{"replicas": "2"}, Verified: "shop-0"}
	return &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}}, Plan: rings.Plan{"web": planned},
		Services: []rings.Service{{Name: "web", Known: map[rings.RingName]rings.Known{"ring-1": known, "ring-2": known},
			Settings: []rings.Setting{{Name: "replicas", Field: "helm.values.replicas", Type: rings.SettingInt, Max: &most}}}}}
}

func on(ring rings.RingName) orchestrator.Request {
	return orchestrator.Request{Rings: []rings.RingName{ring}}
}

// TestNew_settings: a plan's settings are rolled out with its version or alone,
// and like a version only when the ring before was verified at them, and no
// rollback withdrew them.
func TestNew_settings(t *testing.T) {
	c, err := orchestrator.New(scaled("v2", "3"), on("ring-1"))
	if err != nil {
		t.Fatal(err)
	}
	if st := c.Steps[0]; st.Keep || st.To != "v2" || st.Settings.String() != "replicas=3" || c.Settings["web"].String() != "replicas=3" {
		t.Errorf("step %+v", st)
	}
	c, err = orchestrator.New(scaled("", "3"), on("ring-1"))
	if err != nil {
		t.Fatal(err)
	}
	if st := c.Steps[0]; !st.Keep || st.To != "" || len(c.Plan) != 0 {
		t.Errorf("step %+v of plan %v", st, c.Plan)
	}
	for name, test := range map[string]struct {
		app  *rings.Application
		ring rings.RingName
		want string
	}{
		"not verified before":   {scaled("", "3"), "ring-2", "web: replicas=3 is wanted, 2 is recorded there"},
		"both are told":         {scaled("v2", "3"), "ring-2", "web: v2 is wanted, v1 is recorded there; web: replicas=3 is wanted"},
		"above the maximum now": {scaled("", "10"), "ring-1", "setting web.replicas: 10 is above the maximum 9"},
		"held": {func() *rings.Application {
			a := scaled("", "3")
			a.Services[0].Held = map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": {rings.HoldOf("replicas", "3"): {Rollout: "shop-4", Reason: "too many"}}}
			return a
		}(), "ring-1", "web replicas=3 was withdrawn from ring-1 by rollout shop-4"},
		"no setting any more": {func() *rings.Application {
			a := scaled("", "3")
			a.Services[0].Settings[0].Name = "replica"
			return a
		}(), "ring-1", `setting "replicas": not found in service "web"; did you mean "replica"?`},
	} {
		if _, err := orchestrator.New(test.app, on(test.ring)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if _, err := orchestrator.New(scaled("", "2"), on("ring-2")); err != nil {
		t.Errorf("what ring-1 was verified at: %v", err)
	}
	deploy := orchestrator.Request{Rings: []rings.RingName{"ring-2"}, Deploy: scaled("", "7").Plan, Options: orchestrator.Options{Reason: "the fair"}}
	if c, err := orchestrator.New(scaled("", "3"), deploy); err != nil || c.Steps[0].Settings["replicas"] != "7" {
		t.Errorf("deploy: %+v, %v", c.Steps, err)
	}
}

// TestNewTrain_settings: a train takes versions, and leaves settings as they are
// on its ring.
func TestNewTrain_settings(t *testing.T) {
	a := scaled("v2", "3")
	a.Services[0].Known["ring-1"] = rings.Known{Version: "v2", Settings: rings.Values{"replicas": "3"}, Verified: "shop-1", At: time.Unix(9, 0)}
	c, err := orchestrator.NewTrain(a, orchestrator.Train{Ring: "ring-2"})
	if err != nil || len(c.Steps) != 1 || c.Steps[0].To != "v2" || len(c.Steps[0].Settings)+len(c.Settings) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// ended is a rollout of the plan that ended after its attempt had been
// published: from v1 with two replicas.
func ended(a *rings.Application) *orchestrator.State {
	c, err := orchestrator.New(a, on("ring-1"))
	if err != nil {
		panic(err)
	}
	at := orchestrator.Ref{Ring: "ring-1", Service: "web"}
	version := c.Steps[0].To
	if version == "" {
		version = "v1"
	}
	attempt := orchestrator.Attempt{Number: 1, Version: version, From: "v1", Settings: c.Steps[0].Settings, Had: rings.Values{"replicas": "2"}, Nonce: 7, Ours: true}
	var s *orchestrator.State
	for i, b := range []orchestrator.Body{c, orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-1"}, orchestrator.StepStarted{Ref: at},
		orchestrator.AttemptDecided{Ref: at, Attempt: attempt}, orchestrator.Published{Ref: at, Commit: "c1"},
		orchestrator.StepEnded{Ref: at, Phase: orchestrator.StepDone}, orchestrator.Ended{Phase: orchestrator.Failed, Failure: &orchestrator.Failure{}}} {
		s = orchestrator.Apply(s, orchestrator.Event{Rollout: "shop-1", Seq: uint64(i + 1), At: time.Unix(int64(i), 0), Body: b})
	}
	return s
}

// TestNewRollback_settings: what was changed is restored, and no more: a
// version that was kept is kept.
func TestNewRollback_settings(t *testing.T) {
	for _, version := range []rings.Version{"", "v2"} {
		a := scaled(version, "3")
		c, err := orchestrator.NewRollback(a, orchestrator.Again{Of: ended(a), Reason: "too many"})
		if err != nil {
			t.Fatal(err)
		}
		st := c.Steps[0]
		if st.Settings.String() != "replicas=2" || st.Keep != (version == "") || !st.Keep && st.To != "v1" {
			t.Errorf("after %q: step %+v", version, st)
		}
		if again, err := orchestrator.NewRetry(a, orchestrator.Again{Of: ended(a), Reason: "again"}); err != nil || again.Steps[0].Settings.String() != "replicas=3" || again.Steps[0].Keep != (version == "") {
			t.Errorf("retry of %q: %+v, %v", version, again.Steps, err)
		}
		a.Services[0].Settings = nil
		if _, err := orchestrator.NewRollback(a, orchestrator.Again{Of: ended(scaled(version, "3")), Reason: "too many"}); !errors.Is(err, rings.ErrUnknown) {
			t.Errorf("without the setting: %v", err)
		}
	}
}

// TestRefuse: what one entry could not restore, and what somebody else has set,
// is refused before anything is written.
func TestRefuse(t *testing.T) {
	step := orchestrator.NewStep{Ring: "ring-1", Target: orchestrator.Target{Service: "web", Path: "web"}, Keep: true, Settings: rings.Values{"replicas": "3"},
		Known: rings.Known{Version: "v1", Settings: rings.Values{"replicas": "2"}, Tried: rings.Values{"replicas": "4"}}}
	says := func(replicas string) orchestrator.Survey {
		return orchestrator.Survey{Version: "v1", Settings: rings.Values{"replicas": replicas}, Commit: "c0ffee", Author: "Eve"}
	}
	for name, test := range map[string]struct {
		survey   orchestrator.Survey
		override bool
		want     string
	}{
		"as recorded":      {says("2"), false, ""},
		"as was tried":     {says("4"), false, ""},
		"as wanted":        {says("3"), false, ""},
		"by somebody else": {says("9"), false, "web/fleet.yaml says replicas=9 for ring-1, last recorded here is 2: commit c0ffee by Eve"},
		"gone over":        {says("9"), true, ""},
		"several values":   {orchestrator.Survey{Version: "v1", Unsettled: map[rings.SettingName][]string{"replicas": {"2", "3"}}}, true, "not one value (2, 3) of replicas, which could not be restored"},
		"no value":         {orchestrator.Survey{Version: "v1"}, true, "no value of replicas"},
		"several versions": {orchestrator.Survey{Versions: []rings.Version{"v1", "v2"}}, true, "run different versions of web (v1, v2)"},
	} {
		c := orchestrator.Created{Scope: orchestrator.Scope{App: "shop"}, Options: orchestrator.Options{Override: test.override}}
		f, refused := orchestrator.Refuse(c, step, test.survey)
		if refused != (test.want != "") || !strings.Contains(f.Words, test.want) {
			t.Errorf("%s: %v %q, want %q", name, refused, f.Words, test.want)
		}
	}
}
