package main

import (
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// going is an uninstalling on c1 and c2 of which c1 and c2 were deployed.
func going(now time.Time) (*uninstalling, func(string) bool) {
	descends := func(commit string) bool { return commit == "ours" || commit == "later" }
	u := newUninstalling([]rings.ClusterName{"c1", "c2"})
	u.facts([]orchestrator.Fact{{Bundle: &orchestrator.Bundle{Commit: "before"}}, there("c1"), there("c2"), {Synced: true}}, descends, now)
	return u, descends
}

func there(c rings.ClusterName) orchestrator.Fact {
	return orchestrator.Fact{Deployment: &orchestrator.Deployment{Cluster: c}}
}

func gone(c rings.ClusterName) orchestrator.Fact {
	return orchestrator.Fact{Deployment: &orchestrator.Deployment{Cluster: c, Gone: true}}
}

func wantPhases(t *testing.T, u *uninstalling, c1, c2, words string) {
	t.Helper()
	if got := []string{u.clusters["c1"].phase(), u.clusters["c2"].phase()}; got[0] != c1 || got[1] != c2 {
		t.Errorf("c1 %s, c2 %s, want %s and %s", got[0], got[1], c1, c2)
	}
	if got := u.waiting("ours"); !strings.Contains(got, words) {
		t.Errorf("it waits: %q, want %q", got, words)
	}
}

// A deployment that Fleet took away is uninstalled only when the agent was
// heard from later.
func TestUninstalling(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	u, descends := going(now)
	wantPhases(t, u, phaseDeployed, phaseDeployed, "has not taken commit ours up")
	u.heard("c1", now, now)
	u.heard("c2", now, now)

	u.facts([]orchestrator.Fact{{Bundle: &orchestrator.Bundle{Commit: "later"}}, gone("c1")}, descends, now)
	wantPhases(t, u, phaseTakenAway, phaseDeployed, "still deployed on c2; taken away from c1")
	u.heard("c1", now.Add(time.Second), now.Add(time.Second))
	wantPhases(t, u, phaseTakenAway, phaseDeployed, "taken away from c1")
	u.heard("c1", now.Add(time.Second), now.Add(time.Minute))
	wantPhases(t, u, phaseTakenAway, phaseDeployed, "taken away from c1")
	u.heard("c1", now.Add(20*time.Second), now.Add(20*time.Second))
	wantPhases(t, u, phaseUninstalled, phaseDeployed, "still deployed on c2")

	u.facts([]orchestrator.Fact{gone("c2")}, descends, now.Add(30*time.Second))
	wantPhases(t, u, phaseUninstalled, phaseTakenAway, "not known")
	if u.done() {
		t.Error("done without a sign of c2's agent")
	}
	u.heard("c2", now.Add(41*time.Second), now.Add(41*time.Second))
	if !u.done() {
		t.Error("not done")
	}
}

// What is not there before Fleet knows of the commit proves nothing, and what
// comes back is deployed again.
func TestUninstalling_comesBack(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	u, descends := going(now)
	u.facts([]orchestrator.Fact{gone("c1"), gone("c2")}, descends, now)
	wantPhases(t, u, phaseDeployed, phaseDeployed, "has not taken commit ours up")
	u.facts([]orchestrator.Fact{{Bundle: &orchestrator.Bundle{Commit: "ours"}}}, descends, now)
	wantPhases(t, u, phaseTakenAway, phaseTakenAway, "not known")
	u.heard("c1", now, now)
	u.heard("c1", now.Add(time.Minute), now.Add(time.Minute))
	u.facts([]orchestrator.Fact{there("c1")}, descends, now.Add(2*time.Minute))
	wantPhases(t, u, phaseDeployed, phaseTakenAway, "still deployed on c1")
}

// --yes agrees to nothing that was not shown.
func TestTwoSteps(t *testing.T) {
	var said strings.Builder
	p := &program{environment: environment{stderr: &said, stdin: strings.NewReader("y\n")}}
	p.flags.yes = true
	for _, tc := range []struct {
		confirm   string
		questions bool
		want      int
	}{{"", false, exitUsage}, {"other", false, exitConflict}, {"other", true, exitConflict}, {"shown", false, 0}, {"", true, 0}, {"", true, exitUsage}} {
		p.questions = tc.questions
		err := p.twoSteps(t.Context(), tc.confirm, "shown", "uninstall?", "rollout again")
		if got := classify(err).exit; err == nil && tc.want != 0 || err != nil && got != tc.want {
			t.Errorf("--confirm %q, questions %t: %v", tc.confirm, tc.questions, err)
		}
		if tc.confirm == "" && !tc.questions && classify(err).hint != "rollout again --confirm shown" {
			t.Errorf("hint %q", classify(err).hint)
		}
	}
}
