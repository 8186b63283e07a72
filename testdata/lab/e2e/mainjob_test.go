package e2e

import (
	"testing"
	"time"
)

// shop is the sample application's shape.
var shop = []service{
	{name: "db"},
	{name: "api", needs: []string{"db"}},
	{name: "worker", needs: []string{"db"}},
	{name: "web", needs: []string{"api"}, repo: "site", path: "web"},
	{name: "docs", repo: "site", path: "docs"},
}

// The main job: v1 to v2 on ring-1, in waves.
func TestMainJob(t *testing.T) {
	s := play(t, "shop", 3)
	s.setUp(shop...)
	before := map[string]string{}
	for _, c := range []string{"c3", "c4"} {
		before[c] = s.release(c, "db")
	}
	s.ok("plan", "set", s.app, "db=v2", "api=v2", "worker=v2", "web=v2", "docs=v2")
	began := time.Now()
	s.ok("create", s.app, "ring-1")
	took := time.Since(began)
	s.Logf("%.1f s, %.2f times Fleet's floor of 3 waves", took.Seconds(), took.Seconds()/(3*floor).Seconds())

	for _, v := range shop {
		s.images(v.name, map[string]string{"c1": "v2", "c2": "v2", "c3": "v1", "c4": "v1"})
	}
	for c, release := range before {
		if got := s.release(c, "db"); got != release {
			s.Errorf("ring-2's release moved on %s: %s, was %s", c, got, release)
		}
	}
	got := s.show()
	if got.Phase != "Succeeded" || len(got.Steps) != 5 {
		s.Errorf("show says %+v", got)
	}
	for _, repo := range []string{"db", "api", "worker"} {
		if n := s.commits(repo); n != 1 {
			s.Errorf("%s has %d commits of rollout, want 1", repo, n)
		}
	}
	s.ordered(got)
}

// ordered wants every step to begin after those it needs have ended.
func (s *scenario) ordered(r rollout) {
	s.Helper()
	ended := map[string]time.Time{}
	for _, st := range r.Steps {
		ended[st.Service] = st.FinishedAt
	}
	for _, v := range shop {
		for _, st := range r.Steps {
			for _, need := range v.needs {
				if st.Service == v.name && st.StartedAt.Before(ended[need]) {
					s.Errorf("%s started %s, before %s was done %s", v.name, st.StartedAt, need, ended[need])
				}
			}
		}
	}
}
