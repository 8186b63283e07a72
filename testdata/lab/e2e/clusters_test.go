package e2e

import (
	"strings"
	"testing"
	"time"
)

// A cluster that changes its ring gets that ring's versions; the preview says
// so before.
func TestSetRing(t *testing.T) {
	s := play(t, "setring", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	r := s.ok("cluster", "set-ring", "c1", "ring-2", "--app", s.app, "--yes")
	s.says(r, "db", "v2", "v1")
	s.eventually(time.Minute, "db on c1 at v1", func() bool { return s.live("c1", "db") == "v1" })
	s.images("db", map[string]string{"c2": "v2", "c3": "v1"})
}

// A cluster that carries two applications in different rings: each is rolled
// out without the other moving.
func TestTwoApplications(t *testing.T) {
	s := play(t, "two-a", 2)
	s.setUp(service{name: "db"})
	b := *s
	b.app = "two-b"
	b.repositories([]service{{name: "db"}})
	b.ok("app", "create", b.app, "--ring-label", b.ringLabel(), "--selector", b.selector()+"=true")
	b.ok("ring", "create", b.app, "ring-1")
	b.ok("ring", "create", b.app, "ring-2")
	for cluster, ring := range map[string]string{"c1": "ring-2", "c2": "ring-2", "c3": "ring-1", "c4": "ring-1"} {
		b.ok("cluster", "add", cluster, "--app", b.app, "--ring", ring, "--yes")
	}
	b.addService(service{name: "db"})
	b.waitLive([]service{{name: "db"}})

	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2", "c3": "v1"})
	b.images("db", map[string]string{"c1": "v1", "c2": "v1", "c3": "v1"})
	b.ok("plan", "set", b.app, "db=v3")
	b.ok("create", b.app, "ring-1")
	b.images("db", map[string]string{"c1": "v1", "c3": "v3", "c4": "v3"})
	s.images("db", map[string]string{"c1": "v2", "c3": "v1"})
	s.says(s.ok("cluster", "show", "c1"), "two-a", "two-b")
	s.says(s.ok("cluster", "siblings", "c1", "--app", s.app), "c2")
}

// A ring cluster that the GitRepo does not target is shown by name, and is no
// error.
func TestUntargeted(t *testing.T) {
	s := play(t, "untargeted", 1)
	v := service{name: "db"}
	made := []service{v}
	s.repositories(made)
	manifest, err := s.lab.ReadFile(s.ctx, "untargeted-db", "repo.yaml")
	s.must(err)
	s.commitFile("db", "repo.yaml", strings.Replace(manifest,
		`clusterSelector: {matchLabels: {`+s.selector()+`: "true"}}`, "clusterName: c1", 1))
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	s.ok("ring", "create", s.app, "ring-1")
	for _, c := range []string{"c1", "c2"} {
		s.ok("cluster", "add", c, "--app", s.app, "--ring", "ring-1", "--yes")
	}
	s.addService(v)
	s.eventually(time.Minute, "db on c1", func() bool { return s.live("c1", "db") == "v1" })
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ok("create", s.app, "ring-1"), "c2", "not targeted")
	s.images("db", map[string]string{"c1": "v2", "c2": ""})
}

// Another path of the same GitRepo is broken: our git job fails through no
// fault of ours, and whose commit it was is said.
func TestBrokenNeighbour(t *testing.T) {
	s := play(t, "neighbour", 1)
	v, w := service{name: "db", repo: "mono", path: "db"}, service{name: "other", repo: "mono", path: "other"}
	s.repositories([]service{v, w})
	manifest, err := s.lab.ReadFile(s.ctx, "neighbour-mono", "repo.yaml")
	s.must(err)
	one, _, _ := strings.Cut(manifest, "---\n")
	s.commitFile("mono", "repo.yaml", strings.Replace(one, "paths: [db]", "paths: [db, other]", 1))
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	s.ok("ring", "create", s.app, "ring-1")
	for _, c := range []string{"c1", "c2"} {
		s.ok("cluster", "add", c, "--app", s.app, "--ring", "ring-1", "--yes")
	}
	s.addService(v)
	s.eventually(time.Minute, "db on c1", func() bool { return s.live("c1", "db") == "v1" })

	broken := s.commitFile("mono", "other/fleet.yaml", "name: [\n")
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ends(6, "create", s.app, "ring-1"), "git job", "fleet.yaml")
	s.images("db", map[string]string{"c1": "v1", "c2": "v1"})
	_, err = s.lab.Git(s.ctx, "neighbour-mono", "merge-base", "--is-ancestor", broken, "main")
	s.must(err)
	s.commitFile("mono", "other/fleet.yaml", "name: neighbour-other\ndefaultNamespace: neighbour\n")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
}

// An entry per cluster before the ring's: all entries that the ring's clusters
// get are edited, in one commit.
func TestEntryPerCluster(t *testing.T) {
	s := play(t, "percluster", 1)
	s.repositories([]service{{name: "db"}})
	file := s.fleetYAML("db")
	entry := "targetCustomizations:\n- name: only-c2\n  clusterName: c2\n  helm: {values: {image: {tag: v1}, special: true}}\n"
	s.commitFile("db", "deploy/fleet.yaml", strings.Replace(file, "targetCustomizations:\n", entry, 1))
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	s.ok("ring", "create", s.app, "ring-1")
	for _, c := range []string{"c1", "c2"} {
		s.ok("cluster", "add", c, "--app", s.app, "--ring", "ring-1", "--yes")
	}
	s.addService(service{name: "db"})
	s.eventually(time.Minute, "db on both", func() bool { return s.live("c1", "db") == "v1" && s.live("c2", "db") == "v1" })
	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
	if n := s.commits("db"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
}
