package gitrepo_test

import (
	"net/http"
	"strings"
	"testing"

	"rollout/orchestrator"
)

// tagging is the job that puts a tag on a commit.
func (s *site) tagging(name, commit string) orchestrator.Job {
	j := s.job(item("db", "", 0, ""))
	j.Action.Kind, j.Action.Tag, j.Action.Commit, j.Action.Ring = orchestrator.ActTag, name, commit, "ring-2"
	return j
}

func TestPublisher_Tag(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, commit := s.publisher(), s.tip()
	for _, try := range []string{"first", "again"} {
		if o := p.Tag(t.Context(), s.tagging("shop/2026-11", commit)); o.Result != orchestrator.OK {
			t.Fatalf("%s: %s %s: %s", try, o.Result, o.Code, o.Words)
		}
	}
	if kind, on := s.run(s.bare, "cat-file", "-t", "shop/2026-11"), s.run(s.bare, "rev-parse", "shop/2026-11^{commit}"); kind != "tag" || on != commit {
		t.Errorf("a %s on %s, want an annotated tag on %s", kind, on, commit)
	}
	if text := s.run(s.bare, "for-each-ref", "--format=%(contents)", "refs/tags"); !strings.Contains(text, "Rollout: shop-12") {
		t.Errorf("the tag says %q", text)
	}
	s.run(s.bare, "fsck", "--strict")

	s.run(s.bare, "tag", "light", commit)
	if o := p.Tag(t.Context(), s.tagging("light", commit)); o.Result != orchestrator.OK {
		t.Errorf("a lightweight tag on the same commit: %s: %s", o.Result, o.Words)
	}
	next := s.commit("next", "fleet.yaml", fleetYAML+"# more\n")
	o := p.Tag(t.Context(), s.tagging("shop/2026-11", next))
	if want := `tag "shop/2026-11" is there already, on commit ` + commit[:8]; o.Result != orchestrator.Refused || o.Code != orchestrator.CodeConflict || !strings.Contains(o.Words, want) {
		t.Errorf("another commit: %s %s: %s", o.Result, o.Code, o.Words)
	}
	if on := s.run(s.bare, "rev-parse", "shop/2026-11^{commit}"); on != commit {
		t.Errorf("the tag was moved to %s", on)
	}
}

// A tag that the server does not take is refused in its words; one whose answer
// was lost is there at the next look.
func TestPublisher_Tag_refused(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, commit := s.publisher(), s.tip()
	s.hook("pre-receive", `echo "no tags on Fridays" >&2; exit 1`)
	if o := p.Tag(t.Context(), s.tagging("v1", commit)); o.Result != orchestrator.Refused || !strings.Contains(o.Words, "no tags on Fridays") {
		t.Errorf("%s %s: %s", o.Result, o.Code, o.Words)
	}
	s.hook("pre-receive", "exit 0")
	lost := false
	s.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if lost || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.Method != http.MethodPost {
			return false
		}
		lost = true
		s.forward(r)
		panic(http.ErrAbortHandler)
	})
	if o := p.Tag(t.Context(), s.tagging("v1", commit)); o.Result != orchestrator.Unknown {
		t.Errorf("a lost answer: %s %s: %s", o.Result, o.Code, o.Words)
	}
	if o := p.Tag(t.Context(), s.tagging("v1", commit)); o.Result != orchestrator.OK {
		t.Errorf("after a lost answer: %s: %s", o.Result, o.Words)
	}
}
