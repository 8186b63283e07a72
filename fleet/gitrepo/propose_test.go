package gitrepo_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

// branch is the proposals' name in these tests.
const branch = "rollout/shop/ring-1/shop-12"

// proposing is the job for services whose branch takes no direct pushes.
func (s *site) proposing(items ...orchestrator.Item) orchestrator.Job {
	j := s.job(items...)
	for name, t := range j.Targets {
		t.Publish = rings.PublishBranch
		j.Targets[name] = t
	}
	return j
}

// protect makes the server refuse every push to main, in a forge's words, and
// say what to do about any other branch.
func (s *site) protect() {
	s.hook("pre-receive", `while read old new ref; do
  case $ref in
  refs/heads/main) echo "GL-HOOK-ERR: You are not allowed to push code to protected branches on this project." >&2; exit 1;;
  *) printf '\nTo create a merge request for %s, visit:\n  https://git.example.com/shop/-/merge_requests/new?source=%s\n\n' "${ref#refs/heads/}" "${ref#refs/heads/}" >&2;;
  esac
done`)
}

// merge is what a person does with a branch of ours, in one of the ways of a forge.
func (s *site) merge(how, from string) {
	s.t.Helper()
	s.run(s.work, "fetch", "-q", "origin")
	s.run(s.work, "checkout", "-q", "main")
	s.run(s.work, "reset", "-q", "--hard", "origin/main")
	switch how {
	case "merge":
		s.run(s.work, "merge", "-q", "--no-ff", "-m", "Merge "+from, "origin/"+from)
	case "squash":
		s.run(s.work, "merge", "-q", "--squash", "origin/"+from)
		s.run(s.work, "commit", "-q", "-m", "squashed")
	case "rebase":
		s.run(s.work, "cherry-pick", "origin/"+from)
	case "fast-forward":
		s.run(s.work, "merge", "-q", "--ff-only", "origin/"+from)
	}
	s.hook("pre-receive", "exit 0")
	s.run(s.work, "push", "-q", "origin", "main")
	s.protect()
}

// branches are all that the server has, but for main.
func (s *site) branches() []string {
	return strings.Fields(strings.ReplaceAll(s.run(s.bare, "for-each-ref", "--format=%(refname:short)", "refs/heads/rollout"), "\n", " "))
}

// proposed is the proposal of an answer that must be OK, with nothing on main.
func proposed(t *testing.T, o orchestrator.Outcome) orchestrator.Proposal {
	t.Helper()
	if o.Result != orchestrator.OK || o.Proposal == nil {
		t.Fatalf("%s %s: %s, proposal %+v", o.Result, o.Code, o.Words, o.Proposal)
	}
	for _, v := range o.Surveys {
		if v.Commit != "" {
			t.Fatalf("%s is said to be on the branch: %+v", v.Service, v)
		}
	}
	return *o.Proposal
}

func TestPublisher_Publish_proposes(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML, "other.txt", "x")
	s.protect()
	p, base := s.publisher(), s.tip()
	in := item("db", "v2", 1, base)
	got := proposed(t, p.Publish(t.Context(), s.proposing(in)))
	want := orchestrator.Proposal{Branch: branch, Commit: s.run(s.bare, "rev-parse", branch), Tip: base,
		URL:   "https://git.example.com/shop/-/merge_requests/new?source=" + branch,
		Words: "To create a merge request for " + branch + ", visit: https://git.example.com/shop/-/merge_requests/new?source=" + branch}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("proposal (-want +got):\n%s", d)
	}
	if s.tip() != base || s.run(s.bare, "rev-parse", branch+"^") != base {
		t.Error("main has moved, or the proposal is not on top of it")
	}
	if got := s.run(s.bare, "log", "-1", "--format=%s", branch); got != "shop ring-1: db v1 -> v2" {
		t.Errorf("subject %q", got)
	}
	s.run(s.bare, "fsck", "--strict")

	t.Run("repeat", func(t *testing.T) {
		again := proposed(t, s.publisher().Publish(t.Context(), s.proposing(in)))
		want := orchestrator.Proposal{Branch: branch, Commit: got.Commit, Tip: base}
		if d := cmp.Diff(want, again); d != "" || len(s.branches()) != 1 {
			t.Errorf("%v, (-want +got):\n%s", s.branches(), d)
		}
	})
	t.Run("another attempt", func(t *testing.T) {
		next := proposed(t, p.Publish(t.Context(), s.proposing(item("db", "v2", 2, base))))
		if d := cmp.Diff([]string{branch, branch + "-2"}, s.branches()); next.Branch != branch+"-2" || d != "" {
			t.Errorf("%s (-want +got):\n%s", next.Branch, d)
		}
		if is := s.run(s.bare, "rev-parse", branch); is != got.Commit {
			t.Errorf("the first branch was moved to %s", is)
		}
	})
}

// However a person merges: the first commit of main that says version and nonce
// is the attempt's, and nothing is proposed any more.
func TestPublisher_Publish_merged(t *testing.T) {
	for _, how := range []string{"merge", "squash", "rebase", "fast-forward"} {
		t.Run(how, func(t *testing.T) {
			s := newSite(t, "fleet.yaml", fleetYAML)
			s.protect()
			p, j := s.publisher(), s.proposing(item("db", "v2", 1, s.tip()))
			is := proposed(t, p.Publish(t.Context(), j))
			s.merge(how, is.Branch)
			want := s.tip()
			if how == "merge" {
				want = is.Commit
			}
			j.Action.Items[0].Branch = is.Branch
			got := ok(t, p.Survey(t.Context(), j))
			if got.Commit != want || got.Superseded != nil || got.Lineage[len(got.Lineage)-1] != s.tip() {
				t.Errorf("got %+v, want commit %s up to %s", got, want, s.tip())
			}
			again := p.Publish(t.Context(), j)
			if v := ok(t, again); v.Commit != want || again.Proposal != nil || len(s.branches()) != 1 {
				t.Errorf("published again: %+v, proposal %+v, branches %v", v, again.Proposal, s.branches())
			}
		})
	}
}

// A branch that moved on costs a new proposal only where a merge would not give
// what would be written today; no branch is ever pushed over.
func TestPublisher_Publish_movedOn(t *testing.T) {
	far := strings.Replace(fleetYAML, "# keep this comment\n", "# another comment\n", 1)
	near := strings.Replace(fleetYAML, "          tag: v1\n", "          # beside it\n          tag: v1\n", 1)
	tests := map[string]struct {
		file, content string
		want          string
	}{
		"another file":            {"docs", "x", branch},
		"far away in the file":    {"fleet.yaml", far, branch},
		"beside what is proposed": {"fleet.yaml", near, branch + "-2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "fleet.yaml", fleetYAML)
			p, j := s.publisher(), s.proposing(item("db", "v2", 1, s.tip()))
			is := proposed(t, p.Publish(t.Context(), j))
			s.commit("theirs", tt.file, tt.content)
			j.Action.Items[0].Branch = is.Branch
			got := proposed(t, p.Publish(t.Context(), j))
			if got.Branch != tt.want || got.Tip != s.tip() {
				t.Errorf("proposed on %s for %s, want %s for %s", got.Branch, got.Tip, tt.want, s.tip())
			}
			if now := s.run(s.bare, "rev-parse", is.Branch); now != is.Commit {
				t.Errorf("%s was moved from %s to %s", is.Branch, is.Commit, now)
			}
			s.merge("merge", got.Branch) // git agrees
			if v := ok(t, p.Survey(t.Context(), j)); v.Version != "v2" || v.Nonce != 1 || v.Commit == "" {
				t.Errorf("after the merge: %+v", v)
			}
		})
	}
}

// Forges merge main into a branch for people. It is the proposal as before.
func TestPublisher_Publish_updated(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, j := s.publisher(), s.proposing(item("db", "v2", 1, s.tip()))
	is := proposed(t, p.Publish(t.Context(), j))
	s.commit("theirs", "docs", "x")
	s.run(s.work, "fetch", "-q", "origin")
	s.run(s.work, "checkout", "-q", "-b", "update", "origin/"+is.Branch)
	s.run(s.work, "merge", "-q", "-m", "update", "main")
	s.run(s.work, "push", "-q", "origin", "update:"+is.Branch)
	s.run(s.work, "checkout", "-q", "main")
	got := proposed(t, p.Publish(t.Context(), j))
	want := orchestrator.Proposal{Branch: is.Branch, Commit: s.run(s.bare, "rev-parse", is.Branch), Tip: s.tip()}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Of two services that shared a branch one is not wanted any more.
func TestPublisher_Publish_fewer(t *testing.T) {
	s := newSite(t, "api/fleet.yaml", fleetYAML, "web/ui/fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	both := proposed(t, p.Publish(t.Context(), s.proposing(item("api", "v2", 1, base), item("web/ui", "v3", 1, base))))
	one := proposed(t, p.Publish(t.Context(), s.proposing(item("api", "v2", 1, base))))
	if both.Branch != branch || one.Branch != branch+"-2" {
		t.Errorf("both on %s, one on %s", both.Branch, one.Branch)
	}
	if d := s.run(s.bare, "diff", "--name-only", "main", one.Branch); d != "api/fleet.yaml" {
		t.Errorf("it changes %s", d)
	}
}

func TestPublisher_Publish_closed(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, j := s.publisher(), s.proposing(item("db", "v2", 1, s.tip()))
	is := proposed(t, p.Publish(t.Context(), j))
	s.run(s.bare, "update-ref", "-d", "refs/heads/"+is.Branch)
	j.Action.Items[0].Branch = is.Branch
	if got := ok(t, p.Survey(t.Context(), j)); !got.Closed || got.Commit != "" {
		t.Errorf("survey: %+v, want it closed", got)
	}
	o := p.Publish(t.Context(), j)
	if got := ok(t, o); !got.Closed || o.Proposal != nil || len(s.branches()) != 0 {
		t.Errorf("publish: %+v, proposal %+v, branches %v", got, o.Proposal, s.branches())
	}
}

// The server takes the branch and the connection ends before its answer.
func TestPublisher_Publish_lostProposal(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, j := s.publisher(), s.proposing(item("db", "v2", 1, s.tip()))
	cut := true
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !isPush(r) || !cut {
			return false
		}
		cut = false
		s.forward(r)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
		return true
	})
	refused(t, p.Publish(t.Context(), j), orchestrator.Unknown, "", "answer was lost")
	got := proposed(t, p.Publish(t.Context(), j))
	if got.Branch != branch || len(s.branches()) != 1 {
		t.Errorf("proposed on %s, branches %v", got.Branch, s.branches())
	}
}

func TestPublisher_Publish_proposalRefused(t *testing.T) {
	j := func(s *site) orchestrator.Job { return s.proposing(item("db", "v2", 1, s.tip())) }
	t.Run("the branch is protected as well", func(t *testing.T) {
		s := newSite(t, "fleet.yaml", fleetYAML)
		s.hook("pre-receive", "echo 'You are not allowed to push code to protected branches on this project.' >&2; exit 1")
		o := s.publisher().Publish(t.Context(), j(s))
		refused(t, o, orchestrator.Refused, orchestrator.CodeProtected, `branch "`+branch+`" is protected`)
		if want := `allow this account to push to "` + branch + `" in the server's branch protection`; o.Hint != want {
			t.Errorf("hint %q, want %q", o.Hint, want)
		}
	})
	t.Run("a hook", func(t *testing.T) {
		s := newSite(t, "fleet.yaml", fleetYAML)
		s.hook("pre-receive", "echo 'no branches on friday' >&2; exit 1")
		refused(t, s.publisher().Publish(t.Context(), j(s)), orchestrator.Refused, orchestrator.CodeHook, "no branches on friday")
	})
	t.Run("a branch has the name of the folder", func(t *testing.T) {
		s := newSite(t, "fleet.yaml", fleetYAML)
		s.run(s.bare, "branch", "rollout", "main")
		o := s.publisher().Publish(t.Context(), j(s))
		refused(t, o, orchestrator.Refused, orchestrator.CodeConflict, `beside branch "rollout"`)
		if o.Hint != `rename or delete branch "rollout"` {
			t.Errorf("hint %q", o.Hint)
		}
	})
	t.Run("somebody set another version meanwhile", func(t *testing.T) {
		s := newSite(t, "fleet.yaml", fleetYAML)
		in := j(s)
		s.commit("theirs", "fleet.yaml", strings.Replace(fleetYAML, "tag: v1", "tag: v9", 1))
		refused(t, s.publisher().Publish(t.Context(), in), orchestrator.Refused, orchestrator.CodeManual, "from v1 to v9")
	})
}

// A branch that takes no pushes: the hint is the command that goes on with it.
func TestPublisher_Publish_protectedHint(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.protect()
	o := s.publisher().Publish(t.Context(), s.job(item("db", "v2", 1, s.tip())))
	refused(t, o, orchestrator.Refused, orchestrator.CodeProtected, `branch "main" is protected`)
	if want := `"rollout service set-publish shop db branch"`; !strings.HasPrefix(o.Hint, want) {
		t.Errorf("hint %q, want it to begin with %s", o.Hint, want)
	}
}
