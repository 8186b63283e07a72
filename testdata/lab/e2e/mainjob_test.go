package e2e

import (
	"encoding/json"
	"strings"
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

// The main job: v1 to v2 on ring-1, in waves. The gate is real: at the moment
// a commit is made, everything that it depends on is live on the ring.
func TestMainJob(t *testing.T) {
	s := play(t, "shop", 3)
	s.setUp(shop...)
	before := map[string]string{"c3": s.release("c3", "db"), "c4": s.release("c4", "db")}
	s.ok("plan", "set", s.app, "db=v2", "api=v2", "worker=v2", "web=v2", "docs=v2")
	gates := s.watchGates()
	r := s.ok("create", s.app, "ring-1", "-o", "jsonl")
	gates()

	for _, v := range shop {
		s.images(v.name, map[string]string{"c1": "v2", "c2": "v2", "c3": "v1", "c4": "v1"})
	}
	for c, release := range before {
		if got := s.release(c, "db"); got != release {
			t.Errorf("ring-2's release moved on %s: %s, was %s", c, got, release)
		}
	}
	got := s.show()
	if got.Phase != "Succeeded" || len(got.Steps) != 5 {
		t.Errorf("show says %+v", got)
	}
	for _, repo := range []string{"db", "api", "worker"} {
		if n := s.commits(repo); n != 1 {
			t.Errorf("%s has %d commits of rollout, want 1", repo, n)
		}
	}
	s.agrees(got)
	s.ordered(got)
	s.cost(eventsOf(s, r))
}

// watchGates looks at the repositories of what has dependencies, and wants
// these to be live on ring-1 when a commit appears. The returned function waits
// for all of them.
func (s *scenario) watchGates() (wait func()) {
	done := make(chan struct{})
	left := 0
	for _, v := range shop {
		if len(v.needs) > 0 {
			left++
			go func() {
				defer func() { done <- struct{}{} }()
				s.watchGate(v)
			}()
		}
	}
	return func() {
		for range left {
			<-done
		}
	}
}

func (s *scenario) watchGate(v service) {
	log := func() string {
		out, err := s.lab.Git(s.ctx, s.repoOf(v), "log", "--format=%s", "main")
		if err != nil {
			s.Errorf("look at %s: %v", s.repoOf(v), err)
		}
		return out
	}
	for !strings.Contains(log(), s.app+" ring-1: "+v.name) {
		if s.ctx.Err() != nil {
			s.Errorf("%s was never published", v.name)
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
	for _, need := range v.needs {
		for _, c := range []string{"c1", "c2"} {
			if got := s.live(c, need); got != "v2" {
				s.Errorf("%s was published while %s on %s was at %q", v.name, need, c, got)
			}
		}
	}
}

// agrees wants the rollout's steps to say what git says.
func (s *scenario) agrees(r rollout) {
	s.Helper()
	for _, st := range r.Steps {
		for _, v := range shop {
			if v.name != st.Service {
				continue
			}
			out, err := s.lab.Git(s.ctx, s.repoOf(v), "log", "-1", "--format=%H", "--grep=^Service: "+v.name, "main")
			if err != nil || strings.TrimSpace(out) != st.Commit {
				s.Errorf("%s: show says commit %s, git %s %v", v.name, st.Commit, out, err)
			}
		}
		if st.From != "v1" || st.To != "v2" || st.Phase != "Done" || len(st.Clusters) != 2 {
			s.Errorf("show says %+v", st)
		}
	}
	s.says(s.ok("history", s.app), r.ID, "Succeeded")
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

// event is a line of `-o jsonl`.
type event struct {
	At   time.Time
	Type string
	Data struct{ Service, Cluster, Phase string }
}

func eventsOf(s *scenario, r result) []event {
	s.Helper()
	var out []event
	for line := range strings.Lines(r.stdout) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.Fatalf("%v in %s", err, line)
		}
		out = append(out, e)
	}
	return out
}

// cost logs how long the whole took, beside what Fleet itself took for the
// longest chain, on this machine and under this load: from each commit until the
// last of its clusters was ready. The mark, on a machine that has nothing else to
// do, is 1.15 times that.
func (s *scenario) cost(events []event) {
	s.Helper()
	published, ready := map[string]time.Time{}, map[string]time.Time{}
	for _, e := range events {
		switch {
		case e.Type == "published":
			published[e.Data.Service] = e.At
		case e.Type == "cluster-turned" && e.Data.Phase == "Ready":
			ready[e.Data.Service] = e.At
		}
	}
	var fleet time.Duration
	for _, service := range []string{"db", "api", "web"} {
		fleet += ready[service].Sub(published[service])
	}
	whole := events[len(events)-1].At.Sub(events[0].At)
	s.Logf("the whole took %.1f s: %.2f times Fleet's own %.1f s, %.2f times the floor of 3 waves",
		whole.Seconds(), whole.Seconds()/fleet.Seconds(), fleet.Seconds(), whole.Seconds()/(3*floor).Seconds())
}
