package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// seeded makes a store with an application of two rings and a rollout over
// them that has come to the state.
func seeded(t *testing.T, state string) {
	t.Helper()
	t.Setenv("TEST_NOW", "2026-11-20T12:00:00Z")
	t.Setenv("ROLLOUT_STORE", filepath.Join(t.TempDir(), "rollout.db"))
	t.Setenv("ROLLOUT_ACTOR", "ann@example.com")
	db, err := store.Open(t.Context(), os.Getenv("ROLLOUT_STORE"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	a := rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2", Policy: rings.Policy{ApproveBefore: true}}},
		Services: []rings.Service{{Name: "db", Repo: "https://git.example.com/db.git", Branch: "main", Fields: []string{"helm.values.image.tag"}}},
		Plan:     rings.Plan{"db": {Version: "v2"}}}
	if err := db.CreateApp(t.Context(), &a); err != nil {
		t.Fatal(err)
	}
	if err := seedRings(t.Context(), db, []string{"shop", state, "10"}); err != nil {
		t.Fatal(err)
	}
}

// The exit codes of the verbs are a contract.
func TestVerbs_ExitCodes(t *testing.T) {
	tests := []struct {
		state, args string
		want        int
	}{
		{"running", "resume shop", exitConflict},
		{"running", "approve shop", exitConflict},
		{"running", "approve shop --ring ring-9", exitNotFound},
		{"awaiting", "approve shop --ring ring-1", exitConflict},
		{"awaiting", "approve shop", exitDone},
		{"paused", "pause shop", exitConflict},
		{"paused", "resume shop", exitDone},
		{"rolledback", "pause shop-1", exitConflict},
		{"rolledback", "pause shop", exitNotFound},
		{"rolledback", "watch shop-1", exitFailed},
		{"running", "skip shop --ring ring-2", exitUsage},
		{"running", "skip shop --reason x", exitUsage},
		{"running", "skip shop --ring ring-1 --reason x", exitConflict},
		{"running", "skip shop --service dbb --reason x", exitNotFound},
		{"running", "stop shop", exitUsage},
		{"running", "halt shop", exitUsage},
		{"running", "halt shop --reason x --for 1h", exitDone},
		{"running", "unhalt shop", exitNotFound},
		{"running", "explain shop --at 1h", exitInvalid},
		{"running", "explain shop --at soon", exitUsage},
		{"running", "replay shop", exitUnexpected},
		{"old", "replay shop", exitDone},
	}
	for _, tt := range tests {
		t.Run(tt.state+" "+tt.args, func(t *testing.T) {
			seeded(t, tt.state)
			var out bytes.Buffer
			env := testEnvironment()
			env.stdout, env.stderr = &out, &out
			if got := run(t.Context(), strings.Fields(tt.args), env); got != tt.want {
				t.Errorf("ends with %d, want %d: %s", got, tt.want, out.String())
			}
		})
	}
}

// What is said of a command follows from what became of it.
func TestTold(t *testing.T) {
	t.Setenv("TEST_NOW", "2026-11-20T12:00:00Z")
	alive := &orchestrator.Lease{Driver: orchestrator.Driver{Host: "host", PID: 7}, Expires: testNow().Add(time.Minute)}
	const void = "approval by ann is void: what is to be rolled out has changed since"
	ended := twoRings()
	ended.Phase = orchestrator.Failed
	tests := []struct {
		name          string
		state         *orchestrator.State
		lease         *orchestrator.Lease
		taken, obeyed bool
		warned        string
		want          int
		words         string
	}{
		{"obeyed", twoRings(), alive, true, true, "", exitDone, "done\n"},
		{"nobody drives", twoRings(), nil, false, false, "", exitDone, "hint: nobody drives shop-3; \"rollout watch shop-3\" or \"rollout run\" goes on with it\nwish\n"},
		{"a driver is slow", twoRings(), alive, false, false, "", exitTimeout, "wish, but process 7 on host has not taken that up after 10s"},
		{"void", twoRings(), alive, true, false, void, exitConflict, "rollout shop-3: " + void},
		{"of no use", twoRings(), alive, true, false, "", exitConflict, "rollout shop-3 has gone on: the command changes nothing"},
		{"too late", ended, nil, false, false, "", exitConflict, "rollout shop-3 ended before it could be told: Failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			p := &program{environment: testEnvironment(), flags: globalFlags{output: "text"}}
			p.stdout, p.stderr = &out, &out
			o := order{wish: "wish", done: "done", obeyed: func(*orchestrator.State) bool { return tt.obeyed }}
			got, words := exitDone, ""
			if err := p.told(&follower{state: tt.state, lease: tt.lease}, &watchman{taken: tt.taken, warned: tt.warned}, o); err != nil {
				got, words = classify(err).exit, err.Error()
			}
			if got != tt.want || words+out.String() != tt.words {
				t.Errorf("got %d %q, want %d %q", got, words+out.String(), tt.want, tt.words)
			}
		})
	}
}
