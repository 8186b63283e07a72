package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"rollout/testdata/lab"
)

// The manager's API server, an agent and the git server go away for 20 s, one
// after the other, in a lab of their own: the rollout completes each time.
func TestOutages(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(scratch, "outages-")
	if err != nil {
		t.Fatal(err)
	}
	own, err := lab.Up(t.Context(), lab.Options{Dir: filepath.Join(dir, "lab"), Clusters: lab.Clusters(4), Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	s := playIn(t, own, "outages", 3)
	t.Cleanup(func() {
		if err := own.Down(s.ctx); err != nil {
			t.Error(err)
		}
	})
	s.setUp(service{name: "db"})
	for part, version := range map[string]string{"manager-api": "v2", "agent-c1": "v3", "git": "v4"} {
		s.ok("plan", "set", s.app, "db="+version)
		create := s.begin("create", s.app, "ring-1")
		s.phase("db", "Converging", time.Minute)
		s.must(own.Stop(s.ctx, part))
		select {
		case <-create.exited:
		case <-time.After(20 * time.Second):
		}
		s.must(own.Start(s.ctx, part))
		if code := create.code(3 * time.Minute); code != 0 {
			t.Errorf("%s away: exit code %d\n%s", part, code, create.out.String())
		}
		s.images("db", map[string]string{"c1": version, "c2": version, "c3": "v1"})
		if n := s.commits("db"); n < 1 {
			t.Errorf("%s away: %d commits", part, n)
		}
	}
}
