package main

import (
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
)

// proposing is a rollout that waits for a merge, and for nothing else.
func proposing(t *testing.T) (*orchestrator.State, *teller) {
	t.Helper()
	s := shopState(t, orchestrator.Pending)
	y := &teller{state: s, at: started}
	y.say(orchestrator.Driven{Engine: orchestrator.Engine}, orchestrator.Started{})
	y.begin("ring-1")
	y.propose(orchestrator.Ref{Ring: "ring-1", Service: "db"}, "v1", "v2")
	return orchestrator.Fold(s, y.events), y
}

// Who follows a rollout is let go while only a person is waited for.
func TestWaitsForPerson_merge(t *testing.T) {
	s, y := proposing(t)
	if !waitsForPerson(s) {
		t.Errorf("it does not wait for a person: %s", s.Explain(s.At))
	}
	if help := helpOf(s); !strings.HasPrefix(help, "merge branch rollout/shop/ring-1/shop-12 of ") {
		t.Errorf("help %q", help)
	}
	if v := viewAwaits(s); v == nil || v.What != "merge" || len(v.Proposals) != 1 || v.Proposals[0].Branch != "rollout/shop/ring-1/shop-12" {
		t.Errorf("awaits %+v", v)
	}
	y.events = nil
	y.look(orchestrator.Ref{Ring: "ring-1", Service: "api"}, "v1")
	if s = orchestrator.Fold(s, y.events); waitsForPerson(s) {
		t.Errorf("it waits for a person while api moves: %s", s.Explain(s.At))
	}
}

func TestFrame_proposed(t *testing.T) {
	s, _ := proposing(t)
	got := strings.Join(frame{now: s.At.Add(12 * time.Minute)}.render(s), "\n")
	for _, want := range []string{"Proposed", "waits for a merge of rollout/shop/ring-1/shop-12 into", "12m, deadline 24h: https://git.example.com/shop/db/-/merge_requests/new"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not shown:\n%s", want, got)
		}
	}
}
