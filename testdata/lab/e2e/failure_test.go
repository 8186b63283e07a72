package e2e

import (
	"strings"
	"testing"
	"time"

	"rollout/testdata/lab"
)

var pair = []service{{name: "db"}, {name: "api", needs: []string{"db"}}}

// A version that never becomes ready ends at its deadline, and stops what
// comes after it.
func TestNeverReady(t *testing.T) {
	s := play(t, "bad", 2)
	s.setUp(pair...)
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "20s")
	s.ok("plan", "set", s.app, "db=v3-bad", "api=v2")
	r := s.ends(6, "create", s.app, "ring-1")
	s.says(r, "c1", "NotReady")
	s.images("api", map[string]string{"c1": "v1", "c2": "v1"})
	if n := s.commits("api"); n != 0 {
		t.Errorf("api was published %d times", n)
	}
	got := s.show()
	if got.Phase != "Failed" || !strings.Contains(got.Reason, "c1") {
		t.Errorf("show says %s: %s", got.Phase, got.Reason)
	}
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "2m")
	s.ok("plan", "set", s.app, "db=v3")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v3", "c2": "v3", "c3": "v1"})
	s.images("api", map[string]string{"c1": "v2", "c2": "v2"})
}

// A version that Helm refuses; the repair is in the chart, fleet.yaml is not
// touched, and create says the same version again.
func TestHelmRefuses(t *testing.T) {
	s := play(t, "refused", 1)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "100s")
	s.ok("plan", "set", s.app, "db=v3-refused")
	r := s.ends(6, "create", s.app, "ring-1")
	s.says(r, "c1", "refused")
	template, err := s.lab.ReadFile(s.ctx, "refused-db", "deploy/templates/deployment.yaml")
	s.must(err)
	if !strings.Contains(template, "-refused") {
		t.Fatalf("the chart does not refuse by itself:\n%s", template)
	}
	s.commitFile("db", "deploy/templates/deployment.yaml", strings.ReplaceAll(template, "-refused", "-forbidden"))
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v3-refused", "c2": "v3-refused", "c3": "v1"})
}

// A fleet.yaml that Fleet refuses: a template that has no value.
func TestFleetRefuses(t *testing.T) {
	s := play(t, "template", 1)
	s.setUp(service{name: "db"})
	file := s.fleetYAML("db")
	s.commitFile("db", "deploy/fleet.yaml", strings.Replace(file, "  values:\n", "  values:\n    nope: ${ .ClusterLabels.nope }\n", 1))
	s.ok("plan", "set", s.app, "db=v2")
	r := s.ends(6, "create", s.app, "ring-1")
	s.says(r, "nope", "Bundle")
	s.images("db", map[string]string{"c1": "v1", "c2": "v1"})
	file = s.fleetYAML("db")
	s.commitFile("db", "deploy/fleet.yaml", strings.Replace(file, "    nope: ${ .ClusterLabels.nope }\n", "", 1))
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
}

// A git job that fails once is started again, since the GitRepo is ours; one
// that fails always is reported in Fleet's words, and after the repair the
// same plan succeeds.
func TestGitJobFails(t *testing.T) {
	s := play(t, "gitjob", 2)
	s.setUp(service{name: "db"})
	s.must(s.lab.SetJobFault(s.ctx, "gitjob-db", lab.JobFault{Times: 1, Fail: "the registry did not answer"}))
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})

	s.must(s.lab.SetJobFault(s.ctx, "gitjob-db", lab.JobFault{Fail: "the registry is gone"}))
	s.ok("plan", "set", s.app, "db=v3")
	r := s.ends(6, "create", s.app, "ring-1")
	s.says(r, "the registry is gone", "gitjob-db")
	s.must(s.lab.SetJobFault(s.ctx, "gitjob-db", lab.JobFault{}))
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v3", "c2": "v3"})
}

// What a git server may answer: each a clear error, nothing half-done, and
// create again succeeds.
func TestGitServer(t *testing.T) {
	s := play(t, "gitserver", 1)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--uptake-deadline", "8s")
	s.ok("plan", "set", s.app, "db=v2")
	for _, c := range []struct {
		name  string
		fault lab.GitFault
		words []string
	}{
		{"401", lab.GitFault{Only: lab.Push, Status: 401}, []string{"asks for credentials", "hint:"}},
		{"403", lab.GitFault{Only: lab.Push, Status: 403}, []string{"does not allow this", "hint:"}},
		{"hook", lab.GitFault{Refuse: "only on weekdays"}, []string{"only on weekdays"}},
		{"nothing", lab.GitFault{Hang: true}, []string{"gitserver-db"}},
	} {
		s.must(s.lab.SetGitFault(s.ctx, "gitserver-db", c.fault))
		r := s.run("create", s.app, "ring-1")
		if r.code != 6 {
			t.Errorf("%s: exit code %d, want 6", c.name, r.code)
		}
		s.says(r, c.words...)
		if n := s.commits("db"); n != 0 {
			t.Errorf("%s: %d commits", c.name, n)
		}
		s.must(s.lab.SetGitFault(s.ctx, "gitserver-db", lab.GitFault{}))
	}
	s.ok("ring", "update", s.app, "ring-1", "--uptake-deadline", "90s")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
}

// commitFile is somebody else's push of one file.
func (s *scenario) commitFile(repo, path, content string) string {
	s.Helper()
	hash, err := s.lab.Commit(s.ctx, s.app+"-"+repo, "by hand", map[string]string{path: content})
	s.must(err)
	return hash
}

func (s *scenario) fleetYAML(repo string) string {
	s.Helper()
	content, err := s.lab.ReadFile(s.ctx, s.app+"-"+repo, "deploy/fleet.yaml")
	s.must(err)
	return content
}

// byHand sets ring-1's version in fleet.yaml as a person would, the nonce left
// as it is.
func (s *scenario) byHand(repo, from, to string) string {
	s.Helper()
	file := s.fleetYAML(repo)
	_, entries, found := strings.Cut(file, "targetCustomizations:")
	if !found || !strings.Contains(entries, "tag: "+from) {
		s.Fatalf("ring-1 does not say %s:\n%s", from, file)
	}
	return s.commitFile(repo, "deploy/fleet.yaml", strings.Replace(file, entries, strings.Replace(entries, "tag: "+from, "tag: "+to, 1), 1))
}

// steadily waits and wants it to be so all the time.
func (s *scenario) steadily(d time.Duration, what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if !is() {
			s.Fatalf("not any more: %s", what)
		}
	}
}
