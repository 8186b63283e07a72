package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
