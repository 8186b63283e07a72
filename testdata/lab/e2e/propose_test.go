package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// proposed is where a step of `show -o json` waits for a merge.
type proposed struct {
	Branch, Into, URL string
}

// proposal is the service's on the ring; nil when it waits for no merge.
func (s *scenario) proposal(ring, service string) *proposed {
	s.Helper()
	var v struct {
		Steps []struct {
			Ring, Service, Phase string
			Proposal             *proposed
		}
	}
	r := s.look("show", s.app, "-o", "json")
	if r.code != 0 || json.Unmarshal([]byte(r.stdout), &v) != nil {
		return nil
	}
	for _, st := range v.Steps {
		if st.Ring == ring && st.Service == service && st.Phase == "Proposed" {
			return st.Proposal
		}
	}
	return nil
}

// branches are those of rollout in a repository, with their commits.
func (s *scenario) branches(repo string) []string {
	s.Helper()
	out, err := s.lab.Git(s.ctx, s.app+"-"+repo, "for-each-ref", "--format=%(refname:short) %(objectname:short)", "refs/heads/rollout")
	s.must(err)
	return strings.Split(strings.TrimSpace(out), "\n")
}

// A branch that takes no pushes: the refusal says what to do, the rollout
// proposes its commits on branches of their own and waits, a person merges one
// and squashes the other, and what other people push meanwhile is in nobody's
// way.
func TestPropose(t *testing.T) {
	s := play(t, "propose", 2)
	s.rings = []ring{{"ring-1", []string{"c1"}}, {"ring-2", []string{"c2"}}}
	s.setUp(service{name: "db"})
	repo := s.app + "-db"
	s.must(s.lab.Protect(repo))
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ends(6, "create", s.app, "ring-1"), "protected", "rollout service set-publish propose db branch")
	s.ok("service", "set-publish", s.app, "db", "branch")
	s.says(s.ok("create", s.app, "ring-1", "--dry-run"), "proposed on a branch of its own")

	url := "/propose-db/merge_requests/new?source="
	s.says(s.ends(8, "create", s.app, "ring-1", "ring-2"), "waits for a merge of rollout/propose/ring-1/propose-2 into main", url+"rollout/propose/ring-1/propose-2")
	s.says(s.ok("explain", s.app), "waits for a merge of rollout/propose/ring-1/propose-2 into main", "deadline 24h")
	s.images("db", map[string]string{"c1": "v1", "c2": "v1"})
	if n := s.commits("db"); n != 0 {
		t.Errorf("%d commits of ours on main before anybody merged", n)
	}

	_, err := s.lab.Merge(s.ctx, repo, "rollout/propose/ring-1/propose-2", false)
	s.must(err)
	s.eventually(3*time.Minute, "ring-2 proposed", func() bool { return s.proposal("ring-2", "db") != nil })
	s.images("db", map[string]string{"c1": "v2", "c2": "v1"})
	second := s.proposal("ring-2", "db")
	if second == nil || second.Branch != "rollout/propose/ring-2/propose-2" || second.Into != "main" || !strings.HasSuffix(second.URL, url+second.Branch) {
		t.Fatalf("the second proposal: %+v", second)
	}

	// main moves on, also in the same file: it can still be merged.
	before := s.branches("db")
	s.commitFile("db", "NOTES", "theirs\n")
	s.commitFile("db", "deploy/fleet.yaml", "# theirs\n"+s.fleetYAML("db"))
	seen := 0
	s.eventually(2*time.Minute, "main has been read since", func() bool {
		seen = strings.Count(s.look("log", s.app).stdout, `"type":"proposed"`)
		return seen > 2
	})
	if after := s.branches("db"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("branches %v, before main moved %v", after, before)
	}
	_, err = s.lab.Merge(s.ctx, repo, second.Branch, true)
	s.must(err)
	s.eventually(3*time.Minute, "Succeeded", func() bool { return s.show().Phase == "Succeeded" })
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
	s.undeployProposed()
	s.ok("store", "check")
}

// undeployProposed takes db off ring-2, over a lock and through a branch that a
// person merges.
func (s *scenario) undeployProposed() {
	s.Helper()
	s.ok("lock", s.app, "--ring", "ring-2", "--reason", "sale")
	undeploy := func(more ...string) []string {
		return append([]string{"service", "undeploy", s.app, "db", "ring-2"}, more...)
	}
	s.says(s.ends(4, undeploy()...), "sale", "--override --reason WORDS goes over it")
	shown := s.undeployed(s.ok(undeploy("--override", "--reason", "moved", "--dry-run", "-o", "json")...))
	s.says(s.ends(8, undeploy("--override", "--reason", "moved", "--confirm", shown.Confirm)...),
		"nothing is uninstalled before somebody merges rollout/propose/ring-2/undeploy-db into main", "undeploy propose db ring-2 --override --reason WORDS\" goes on waiting")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
	_, err := s.lab.Merge(s.ctx, s.app+"-db", "rollout/propose/ring-2/undeploy-db", true)
	s.must(err)
	s.says(s.ok(undeploy("--override", "--reason", "moved")...), "is uninstalled from ring", "c2")
	s.images("db", map[string]string{"c1": "v2", "c2": ""})
	s.says(s.ok("app", "history", s.app), "service db", "undeployed from ring-2")
}
