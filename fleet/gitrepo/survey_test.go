package gitrepo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
)

// says returns a file that gives ring-1 a version and a nonce.
func says(version string, nonce int) string {
	return strings.Replace(fleetYAML, "          tag: v1\n", fmt.Sprintf("          tag: %s\n    forceSyncGeneration: %d\n", version, nonce), 1)
}

func TestPublisher_Survey_lineage(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	before := s.commit("elsewhere", "docs", "1")
	ours := s.commit("by hand", "fleet.yaml", says("v2", 1))
	after := s.commit("elsewhere", "docs", "2")

	got := ok(t, p.Survey(t.Context(), s.job(item("db", "v2", 1, base))))
	if got.Commit != ours || got.Author != "Eve <eve@example.com>" || got.Superseded != nil || got.Rewritten {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff([]string{ours, after}, got.Lineage); d != "" {
		t.Errorf("lineage:\n%s", d)
	}

	t.Run("not yet", func(t *testing.T) {
		got := ok(t, p.Survey(t.Context(), s.job(item("db", "v3", 2, before))))
		if got.Commit != "" || got.Lineage != nil || got.Rewritten || got.Version != "v2" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("superseded", func(t *testing.T) {
		s.commit("other ring", "fleet.yaml", strings.Replace(says("v2", 1), `"v1"`, `"v7"`, 1))
		theirs := s.commit("theirs", "fleet.yaml", says("v9", 1))
		s.commit("elsewhere", "docs", "3")
		got := ok(t, p.Survey(t.Context(), s.job(item("db", "v2", 1, base))))
		if got.Commit != ours || got.Superseded == nil || got.Superseded.Commit != theirs || got.Superseded.Version != "v9" {
			t.Errorf("%+v, superseded %+v, theirs %s", got, got.Superseded, theirs)
		}
		o := p.Publish(t.Context(), s.job(item("db", "v2", 1, base)))
		if got := ok(t, o); got.Superseded == nil || s.tip() == got.Commit {
			t.Errorf("publish over a later change: %+v", got)
		}
	})
}

func TestPublisher_Survey_merge(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML, "docs", "0")
	old := s.tip()
	for i := range 3 {
		s.commit("on", "docs", fmt.Sprint(i))
	}
	p, base := s.publisher(), s.tip()
	ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"}))) // the mirror begins here
	ours := ok(t, p.Publish(t.Context(), s.job(item("db", "v2", 1, base)))).Commit
	// A branch that left before our mirror began comes in.
	s.run(s.work, "fetch", "-q", "origin")
	s.run(s.work, "checkout", "-q", "-b", "side", old)
	s.write("side/file", "x")
	s.run(s.work, "add", "-A")
	s.run(s.work, "commit", "-q", "-m", "side")
	s.run(s.work, "checkout", "-q", "-B", "main", "origin/main")
	s.run(s.work, "merge", "-q", "--no-ff", "-m", "merge", "side")
	s.run(s.work, "push", "-q", "origin", "main")
	got := ok(t, p.Survey(t.Context(), s.job(item("db", "v2", 1, base))))
	if d := cmp.Diff([]string{ours, s.tip()}, got.Lineage); d != "" || got.Superseded != nil || got.Commit != ours {
		t.Errorf("%+v\nlineage:\n%s", got, d)
	}
	again := ok(t, p.Publish(t.Context(), s.job(item("db", "v3", 2, s.tip()))))
	if again.Commit != s.tip() || s.show("side/file") != "x" {
		t.Errorf("%+v", again)
	}
}

// A rollout asks about its own ring and about the one upstream in turn, by the
// same Publisher, and about one that it may have left.
func TestPublisher_Survey_otherRing(t *testing.T) {
	s := newSite(t, "fleet.yaml", strings.Replace(fleetYAML, `tag: "v1"}}}`, `tag: "v7"}}, yaml: {}}`, 1))
	p, base := s.publisher(), s.tip()
	ok(t, p.Publish(t.Context(), s.job(item("db", "v2", 8, base))))
	for _, kind := range []orchestrator.ActionKind{orchestrator.ActVerify, orchestrator.ActSurvey, ""} {
		for _, tt := range []struct {
			ring     rings.RingName
			version  rings.Version
			nonce    int64
			expected []rings.ClusterName
		}{
			{"ring-2", "v7", 0, []rings.ClusterName{"b1"}},
			{"ring-1", "v2", 8, []rings.ClusterName{"a1", "a2"}},
			{"ring-3", "", 0, nil},
		} {
			j := s.job(orchestrator.Item{Service: "db"})
			j.Action.Kind, j.Action.Ring, j.Action.For = kind, tt.ring, "ring-9"
			got := ok(t, p.Survey(t.Context(), j))
			if got.Version != tt.version || got.Nonce != tt.nonce || !slices.Equal(got.Expected, tt.expected) {
				t.Errorf("%s of %s: got version %q, nonce %d, expected %v, want %q, %d, %v", kind, tt.ring,
					got.Version, got.Nonce, got.Expected, tt.version, tt.nonce, tt.expected)
			}
			if got.MaxNonce != 8 || got.Commit != s.tip() || got.Tip != s.tip() {
				t.Errorf("%s of %s: got %+v, want what the file says for all rings", kind, tt.ring, got)
			}
		}
	}
}

func TestPublisher_Survey_rewritten(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.commit("base", "docs", "1")
	j := s.job(item("db", "v2", 1, base))
	ok(t, p.Publish(t.Context(), j))
	s.run(s.work, "commit", "-q", "--amend", "-m", "other")
	s.run(s.work, "push", "-q", "--force", "origin", "main")
	got := ok(t, p.Survey(t.Context(), j))
	if !got.Rewritten || got.Commit != "" {
		t.Errorf("%+v", got)
	}
	refused(t, p.Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeRewritten, base)

	t.Run("known commit", func(t *testing.T) {
		in := item("db", "v2", 1, base)
		in.Commit = base
		if got := ok(t, p.Survey(t.Context(), s.job(in))); !got.Rewritten {
			t.Errorf("%+v", got)
		}
	})
	t.Run("new mirror", func(t *testing.T) {
		if got := ok(t, s.publisher().Survey(t.Context(), j)); !got.Rewritten {
			t.Errorf("%+v", got)
		}
	})
}

// A mirror that is made after the fact fetches the history that it needs.
func TestPublisher_Survey_firstContact(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	base := s.tip()
	s.commit("elsewhere", "docs", "0")
	ours := s.commit("ours", "fleet.yaml", says("v2", 1))
	for i := range 60 {
		s.write("docs", fmt.Sprint("new ", i))
		s.run(s.work, "commit", "-qam", "elsewhere")
	}
	s.commit("elsewhere")
	for name, in := range map[string]orchestrator.Item{
		"question": item("db", "v2", 1, base), "no question": {Service: "db"},
		"known commit": {Service: "db", Version: "v2", Nonce: 1, Commit: ours, Base: base},
	} {
		t.Run(name, func(t *testing.T) {
			got := ok(t, s.publisher().Survey(t.Context(), s.job(in)))
			if got.Commit != ours || len(got.Lineage) != 62 || got.Lineage[61] != s.tip() || got.Author != "Eve <eve@example.com>" {
				t.Errorf("%+v, want commit %s and 62 of lineage, got %d", got, ours, len(got.Lineage))
			}
		})
	}
}

func TestPublisher_Survey_farBehind(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	for i := range 520 {
		s.run(s.work, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
	}
	s.commit("last")
	got := ok(t, s.publisher().Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
	if got.Author != "unknown" || len(got.Lineage) != 500 || !slices.Contains(got.Lineage, s.tip()) {
		t.Errorf("author %q, %d of lineage", got.Author, len(got.Lineage))
	}
}

func TestPublisher_Survey_expected(t *testing.T) {
	s := newSite(t, "fleet.yaml", strings.Replace(fleetYAML, "  - name: first", `  - name: off
    clusterName: a2
    doNotDeploy: true
  - name: first`, 1))
	p := gitrepo.New(gitrepo.Options{Dir: t.TempDir(), Inventory: inventory{out: "a1"}, Getenv: env(s.home)})
	got := ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
	want := []orchestrator.Excluded{{Cluster: "a1", Why: "not targeted by GitRepo web"}, {Cluster: "a2", Why: `entry "off" says doNotDeploy`}}
	if d := cmp.Diff(want, got.Excluded); d != "" || got.Expected != nil {
		t.Errorf("expected %v, excluded:\n%s", got.Expected, d)
	}
}

func TestPublisher_Survey_valuesFiles(t *testing.T) {
	file := strings.Replace(fleetYAML, "    helm:\n      values:\n        image:\n          tag: v1\n", "    helm:\n      valuesFiles: [ring-1.yaml]\n", 1)
	s := newSite(t, "fleet.yaml", file, "ring-1.yaml", "image: {tag: v5}\n")
	p := s.publisher()
	if got := ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"}))); got.Version != "v5" {
		t.Errorf("%+v", got)
	}
	c := s.commit("theirs", "ring-1.yaml", "image: {tag: v6}\n")
	if got := ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"}))); got.Version != "v6" || got.Commit != c {
		t.Errorf("%+v, want v6 of %s", got, c)
	}
}

func TestPublisher_Survey_notFound(t *testing.T) {
	s := newSite(t, "db/fleet.yaml", fleetYAML, "bad/fleet.yaml", "a: [")
	p := s.publisher()
	ask := func(service, branch, url string) orchestrator.Outcome {
		j := s.job(orchestrator.Item{Service: rings.ServiceName(service)})
		for k, target := range j.Targets {
			target.Branch, target.Repo = branch, url
			j.Targets[k] = target
		}
		return p.Survey(t.Context(), j)
	}
	refused(t, ask("nope", "main", s.url), orchestrator.Refused, orchestrator.CodeNotFound, "nope/fleet.yaml: not found on branch main")
	refused(t, ask("bad", "main", s.url), orchestrator.Refused, orchestrator.CodeFile, "bad/fleet.yaml")
	refused(t, ask("db", "mainn", s.url), orchestrator.Refused, orchestrator.CodeNotFound, `branch "mainn": not found`, `did you mean "main"?`)
	refused(t, ask("db", "main", s.http.URL+"/nope.git"), orchestrator.Refused, orchestrator.CodeNotFound, "repository not found")
	refused(t, ask("db", "main", "git://example.com/x"), orchestrator.Refused, orchestrator.CodeNotFound, "https and ssh only")
}

// Servers that hand out no single objects, or offer no filter, serve as well.
func TestPublisher_servers(t *testing.T) {
	for name, config := range map[string][2]string{
		"filter without objects": {"uploadpack.allowAnySHA1InWant", "false"},
		"no filter":              {"uploadpack.allowFilter", "false"},
		"reachable only":         {"uploadpack.allowReachableSHA1InWant", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "fleet.yaml", fleetYAML)
			s.run(s.bare, "config", config[0], config[1])
			if name == "reachable only" {
				s.run(s.bare, "config", "uploadpack.allowAnySHA1InWant", "false")
			}
			p := s.publisher()
			first := ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
			s.commit("theirs", "fleet.yaml", strings.Replace(fleetYAML, "keep", "KEEP", 1))
			if got := ok(t, p.Publish(t.Context(), s.job(item("db", "v2", 1, first.Tip)))); got.Commit != s.tip() {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A commit on the way to the base whose clock was years behind hides nothing.
func TestPublisher_Survey_wrongClock(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
	s.write("fleet.yaml", says("v2", 1))
	s.date = "2001-01-01T00:00:00Z"
	ours := s.commit("ours", "docs", "1")
	s.commit("elsewhere", "docs", "2")
	s.date = ""
	s.commit("elsewhere", "docs", "3")
	got := ok(t, p.Survey(t.Context(), s.job(item("db", "v2", 1, base))))
	if got.Rewritten || got.Commit != ours || len(got.Lineage) != 3 {
		t.Errorf("%+v", got)
	}
}
