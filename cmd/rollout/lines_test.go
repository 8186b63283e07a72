package main

import (
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// twoRings is a rollout of db over two rings; what a step has left to say is
// in the first one.
func twoRings() *orchestrator.State {
	step := func(ring rings.RingName, undo bool) *orchestrator.StepState {
		return &orchestrator.StepState{Ring: ring, Target: orchestrator.Target{Service: "db"}, Undo: undo, To: "v2"}
	}
	return &orchestrator.State{ID: "shop-3", Phase: orchestrator.Running, Plan: map[rings.ServiceName]rings.Version{"db": "v2"},
		Rings: []*orchestrator.RingState{{Name: "ring-1", Policy: rings.Policy{Soak: time.Hour}}, {Name: "ring-2", Upstream: "ring-1"}},
		Steps: []*orchestrator.StepState{step("ring-1", false), step("ring-2", false), step("ring-1", true)}}
}

// Every event that people should see has words, with the ring where there are
// several.
func TestEventWords(t *testing.T) {
	word := orchestrator.Word{By: "ann", Reason: "not today"}
	back := orchestrator.Ref{Ring: "ring-1", Service: "db", Undo: true}
	here := orchestrator.Ref{Ring: "ring-2", Service: "db"}
	tests := []struct {
		body orchestrator.Body
		want string
	}{
		{orchestrator.Created{Kind: orchestrator.KindRetry, Of: "shop-2", Rings: []orchestrator.NewRing{{Name: "ring-1"}, {Name: "ring-2"}}, Plan: map[rings.ServiceName]rings.Version{"db": "v2"}},
			"ring-1, ring-2: retry of shop-2 created by ann: db=v2"},
		{orchestrator.Commanded{Command: orchestrator.Command{Kind: orchestrator.CommandSkip, By: "ann", Reason: "broken", Service: "db", Ring: "ring-2"}}, "skip db ring-2 asked for by ann: broken"},
		{orchestrator.Commanded{Command: orchestrator.Command{Kind: orchestrator.CommandResume, By: "ann"}}, "resume asked for by ann"},
		{orchestrator.Halted{Halt: &rings.Halt{By: "ann", Reason: "not today", At: started, Until: started.Add(time.Hour)}},
			"halted: all applications by ann since 2026-11-20T12:00:00Z, until 2026-11-20T13:00:00Z: not today"},
		{orchestrator.Halted{}, "not halted any more"},
		{orchestrator.Barred{Locks: []rings.Lock{{App: "shop", Ring: "ring-2", Holder: "ann", By: "bob", Reason: "not today", At: started}},
			Closed: []rings.Closure{{Ring: "ring-2", Words: "closed by the window \"night\"", From: started.Add(time.Hour)}}},
			"ring-2 is locked by ann (set by bob) since 2026-11-20T12:00:00Z, until it is released: not today"},
		{orchestrator.Barred{}, "no lock stands, no window is closed, and nothing is frozen"},
		{orchestrator.ClockJumped{}, "the clock jumped: what was timed with it is timed again"},
		{orchestrator.Held{Word: word}, "paused by ann: not today"},
		{orchestrator.Resumed{}, "goes on"},
		{orchestrator.RingVerified{Ring: "ring-2"}, "ring-2: ring-1 still says what was verified there"},
		{orchestrator.RingStarted{Ring: "ring-1"}, "ring-1: started"},
		{orchestrator.RingCounted{Ring: "ring-1", Clusters: []rings.ClusterName{"a", "b"}}, "ring-1: 2 clusters count, and none that joins later"},
		{orchestrator.RingConverged{Ring: "ring-1"}, "ring-1: its steps are done; soaking for 1h"},
		{orchestrator.RingConverged{Ring: "ring-2"}, "ring-2: its steps are done"},
		{orchestrator.SoakRestarted{Ring: "ring-1", From: started}, "ring-1: the soak counts from 2026-11-20T12:00:00Z, when a cluster last turned"},
		{orchestrator.RingSoaked{Ring: "ring-1"}, "ring-1: waits for approval: rollout approve shop-3"},
		{orchestrator.RingEnded{Ring: "ring-2", Phase: orchestrator.RingSkipped, Reason: "it has no clusters"}, "ring-2: Skipped: it has no clusters"},
		{orchestrator.Approved{Ring: "ring-2", Gate: orchestrator.GateBefore, Approval: orchestrator.Approval{Word: orchestrator.Word{By: "ann"}}}, "ring-2: approved (before) by ann"},
		{orchestrator.ApprovalFell{Ring: "ring-2", Gate: orchestrator.GateAfter, Words: "it expired"}, "ring-2: the approval (after) fell: it expired"},
		{orchestrator.RollbackStarted{Reason: "db: not ready", Steps: make([]orchestrator.NewStep, 2)}, "rolling back: db: not ready"},
		{orchestrator.RollbackRing{Ring: "ring-1"}, "ring-1: rolling back"},
		{orchestrator.StepStarted{Ref: here}, "ring-2 db: started"},
		{orchestrator.StepStarted{Ref: back}, "ring-1 db: is being taken back"},
		{orchestrator.AttemptDecided{Ref: back, Attempt: orchestrator.Attempt{From: "v2", Version: "v1", Ours: true}}, "ring-1 db: publishing v2 -> v1"},
		{orchestrator.ClusterTurned{Ref: here, Cluster: "eu-1", Phase: orchestrator.ClusterSkipped, Reason: "left out by ann: broken"}, "ring-2 db: eu-1 Skipped: left out by ann: broken"},
		{orchestrator.Dropped{Action: "1"}, ""},
	}
	for _, tt := range tests {
		if got := eventWords(twoRings(), orchestrator.Event{At: started, Actor: "ann", Body: tt.body}); got != tt.want {
			t.Errorf("%T: %q, want %q", tt.body, got, tt.want)
		}
	}
}

// What was written and not taken back is said, with the way to take it back.
func TestCancelledLines(t *testing.T) {
	s := twoRings()
	check := func(want ...string) {
		t.Helper()
		got := cancelledLines(s)
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("line %d is %q, want %q", i, got[i], want[i])
			}
		}
	}
	check("rollout shop-3 is cancelled; it had changed nothing")
	s.Steps[0].Changed, s.Steps[0].Was = true, "v1"
	s.Steps[0].Attempt = orchestrator.Attempt{From: "v1", Version: "v2", Ours: true, Commit: "c0ffee"}
	s.Steps[1].Attempt = orchestrator.Attempt{From: "v2", Version: "v2", Ours: true, Commit: "c0ffee"}
	check("rollout shop-3 is cancelled; what was published stays:", "  ring-1: db v1 -> v2", "  ring-2: db v2 again", `"rollout rollback shop-3" takes it back`)
	s.Steps[0].Phase = orchestrator.StepRolledBack
	check("rollout shop-3 is cancelled; what was published stays:", "  ring-2: db v2 again", `"rollout rollback shop-3" takes it back`)
}
