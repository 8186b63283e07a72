package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"

	"rollout/testdata/lab"
)

// The manager's API server, an agent and the git server go away for 20 s, one
// after the other, in a lab of their own: the rollout completes each time.
func TestOutages(t *testing.T) {
	t.Parallel()
	own, err := up(t.Context(), "outages", 4)
	if err != nil {
		t.Fatal(err)
	}
	s := playIn(t, own, "outages", 3)
	s.setUp(service{name: "db"})
	// Fleet's controllers and agents back off while their API server is away,
	// and need up to a minute after it is back: the default deadlines are made
	// for that, those of the other scenarios are not.
	s.ok("ring", "update", s.app, "ring-1", "--uptake-deadline", "5m", "--deadline", "5m")
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
		stop := s.kubelet(own)
		if code := create.code(long); code != 0 {
			t.Errorf("%s away: exit code %d\n%s", part, code, create.out.String())
		}
		stop()
		s.images("db", map[string]string{"c1": version, "c2": version, "c3": "v1"})
		if n := s.commits("db"); n < 1 {
			t.Errorf("%s away: %d commits", part, n)
		}
	}
	s.clusterGoes("c2")
}

// clusterGoes deletes a Cluster object in the middle of a rollout: it does not
// count any more, and the rollout ends well without it.
func (s *scenario) clusterGoes(cluster string) {
	s.Helper()
	s.ok("plan", "set", s.app, "db=v5-slow")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Converging", time.Minute)
	c, err := s.lab.Client()
	s.must(err)
	s.must(c.Delete(s.ctx, s.object(&fleetv1.Cluster{}, cluster)))
	if code := create.code(long); code != 0 {
		s.Errorf("exit code %d", code)
	}
	s.runs("v5-slow", []service{{name: "db"}}, "c1")
	if phase, reason := s.show().step("ring-1", "db").cluster(cluster); phase != "Left" {
		s.Errorf("%s is %q: %s, want Left", cluster, phase, reason)
	}
}

// kubelet starts parts of Fleet that end by themselves, as it would: some of
// Fleet's controllers give up when their API server is away for long. The
// caller stops it.
func (s *scenario) kubelet(l *lab.Lab) (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			parts, err := l.Status()
			for _, p := range parts {
				if !p.Running && p.PID != 0 {
					s.Logf("%s ended by itself, and is started again", p.Part)
					err = errors.Join(err, l.Start(ctx, p.Part))
				}
			}
			if err != nil && ctx.Err() == nil {
				s.Errorf("start what ended: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return func() { cancel(); <-done }
}
