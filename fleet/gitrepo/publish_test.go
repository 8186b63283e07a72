package gitrepo_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

func TestPublisher_Publish(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML, "other.txt", "x")
	p, ctx := s.publisher(), t.Context()
	first := ok(t, p.Survey(ctx, s.job(orchestrator.Item{Service: "db"})))
	want := orchestrator.Survey{Service: "db", Tip: s.tip(), Version: "v1", Commit: s.tip(), Author: "Eve <eve@example.com>",
		At: first.At, Lineage: []string{s.tip()}, Expected: []rings.ClusterName{"a1", "a2"}}
	if d := cmp.Diff(want, first); d != "" {
		t.Fatalf("survey (-want +got):\n%s", d)
	}

	in := item("db", "v2", 1, first.Tip)
	got := ok(t, p.Publish(ctx, s.job(in)))
	want = orchestrator.Survey{Service: "db", Tip: s.tip(), Version: "v2", Nonce: 1, MaxNonce: 1, Commit: s.tip(),
		Author: "CI <ci@example.com>", At: got.At, Lineage: []string{s.tip()}, Expected: first.Expected}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("publish (-want +got):\n%s", d)
	}
	wantFile := strings.Replace(fleetYAML, "          tag: v1\n", "          tag: v2\n", 1)
	if got := s.show("fleet.yaml"); !strings.Contains(got, "forceSyncGeneration: 1") ||
		strings.Replace(got, "    forceSyncGeneration: 1\n", "", 1)+"\n" != wantFile {
		t.Errorf("file:\n%s", got)
	}
	wantMessage := `shop ring-1: db v1 -> v2

db goes first

Rollout: shop-12
Ring: ring-1
Service: db
Actor: ann@example.com
Link: https://ci.example.com/7`
	if d := cmp.Diff(wantMessage, s.run(s.bare, "log", "-1", "--format=%B", "main")); d != "" {
		t.Errorf("message (-want +got):\n%s", d)
	}
	s.run(s.bare, "fsck", "--strict")

	t.Run("repeat", func(t *testing.T) {
		again := ok(t, p.Publish(ctx, s.job(in)))
		if d := cmp.Diff(got, again); d != "" || s.count() != "2" {
			t.Errorf("%s commits (-first +again):\n%s", s.count(), d)
		}
	})
	t.Run("nonce only", func(t *testing.T) {
		got := ok(t, p.Publish(ctx, s.job(item("db", "v2", 2, s.tip()))))
		if got.Nonce != 2 || s.run(s.bare, "log", "-1", "--format=%s", "main") != "shop ring-1: db v2 again" {
			t.Errorf("nonce %d, subject %q", got.Nonce, s.run(s.bare, "log", "-1", "--format=%s", "main"))
		}
	})
	t.Run("nonce taken", func(t *testing.T) {
		o := p.Publish(ctx, s.job(item("db", "v3", 2, s.tip())))
		refused(t, o, orchestrator.Refused, orchestrator.CodeNonceTaken)
	})
}

// What a rollout changed is taken back: another commit like any other, with a
// nonce of its own.
func TestPublisher_Publish_undo(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	there := s.job(item("db", "v2", 1, base))
	first := ok(t, p.Publish(t.Context(), there))
	back := s.job(orchestrator.Item{Service: "db", Version: "v1", Nonce: 2, From: "v2", Base: first.Commit})
	back.Rollout, back.Action.Undo, back.Action.Reason = "shop-13", true, "api failed on ring-1: taking back db"
	got := ok(t, p.Publish(t.Context(), back))
	want := `shop ring-1: db v2 -> v1

api failed on ring-1: taking back db

Rollout: shop-13
Ring: ring-1
Service: db
Actor: ann@example.com
Link: https://ci.example.com/7`
	if d := cmp.Diff(want, s.run(s.bare, "log", "-1", "--format=%B", "main")); d != "" {
		t.Errorf("message (-want +got):\n%s", d)
	}
	if got.Commit != s.tip() || got.Version != "v1" || got.Nonce != 2 {
		t.Errorf("got %+v, want v1 with nonce 2 of %s", got, s.tip())
	}
	if d := s.run(s.bare, "diff", base, "main"); !strings.Contains(d, "+    forceSyncGeneration: 2") || strings.Count(d, "\n+") != 2 {
		t.Errorf("got a difference to before of\n%s\nwant the nonce only", d)
	}

	s.commit("elsewhere", "docs", "x")
	for name, base := range map[string]string{"its base": first.Commit, "the base of what it takes back": base} {
		back.Action.Items[0].Base = base
		if again := ok(t, p.Survey(t.Context(), back)); again.Commit != got.Commit || again.Superseded != nil {
			t.Errorf("found from %s: %+v, want commit %s", name, again, got.Commit)
		}
	}
	if again := ok(t, p.Publish(t.Context(), back)); again.Commit != got.Commit || s.count() != "4" {
		t.Errorf("published again: %+v, %s commits, want 4", again, s.count())
	}
	gone := ok(t, p.Survey(t.Context(), there))
	if f := gone.Superseded; gone.Commit != first.Commit || f == nil || f.Commit != got.Commit || f.Version != "v1" || f.Nonce != 2 {
		t.Errorf("got %+v, superseded %+v, want it to be by %s", gone, gone.Superseded, got.Commit)
	}
}

func TestPublisher_Publish_severalItems(t *testing.T) {
	s := newSite(t, "api/fleet.yaml", fleetYAML, "web/ui/fleet.yaml", fleetYAML)
	p := s.publisher()
	base := s.tip()
	j := s.job(item("api", "v2", 1, base), item("web/ui", "v3", 1, base))
	o := p.Publish(t.Context(), j)
	ok(t, o)
	if s.count() != "2" || o.Surveys[1].Version != "v3" || o.Surveys[0].Commit != s.tip() {
		t.Errorf("%s commits, %+v", s.count(), o.Surveys)
	}
	if got := s.run(s.bare, "log", "-1", "--format=%s", "main"); got != "shop ring-1: api v1 -> v2, web/ui v1 -> v3" {
		t.Errorf("subject %q", got)
	}

	t.Run("one refused, none written", func(t *testing.T) {
		s.commit("break", "api/fleet.yaml", "{")
		o := p.Publish(t.Context(), s.job(item("api", "v4", 2, s.tip()), item("web/ui", "v4", 2, s.tip())))
		refused(t, o, orchestrator.Refused, orchestrator.CodeFile, "api/fleet.yaml")
		if d := cmp.Diff([]rings.ServiceName{"api"}, o.Services); d != "" || s.count() != "3" {
			t.Errorf("%s commits, services %s", s.count(), d)
		}
	})
}

// What is in the mirror is not fetched again.
func TestPublisher_requests(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	ask := s.job(orchestrator.Item{Service: "db"})
	const refs, get, openPush, push = "GET git-upload-pack", "POST git-upload-pack", "GET git-receive-pack", "POST git-receive-pack"
	steps := []struct {
		name string
		do   func() orchestrator.Outcome
		want []string
	}{
		{"first contact: refs, trees, the blob", func() orchestrator.Outcome { return p.Survey(t.Context(), ask) }, []string{refs, get, get}},
		{"nothing new", func() orchestrator.Outcome { return p.Survey(t.Context(), ask) }, []string{refs}},
		{"publish", func() orchestrator.Outcome { return p.Publish(t.Context(), s.job(item("db", "v2", 1, base))) }, []string{openPush, push}},
		{"after our push", func() orchestrator.Outcome { return p.Survey(t.Context(), s.job(item("db", "v2", 1, base))) }, []string{refs}},
		{"a foreign commit elsewhere", func() orchestrator.Outcome {
			s.commit("theirs", "docs", "x")
			return p.Survey(t.Context(), s.job(item("db", "v2", 1, base)))
		}, []string{refs, get}},
		{"a foreign commit of the file", func() orchestrator.Outcome {
			s.commit("theirs", "fleet.yaml", s.show("fleet.yaml")+"\n# x\n")
			return p.Survey(t.Context(), s.job(item("db", "v2", 1, base)))
		}, []string{refs, get, get}},
	}
	for _, step := range steps {
		s.requests()
		ok(t, step.do())
		if d := cmp.Diff(step.want, s.requests()); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, d)
		}
	}
}

// A foreign commit arrives between our fetch and our push: both survive.
func TestPublisher_Publish_race(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML, "chart/a", "1")
	p, base := s.publisher(), s.tip()
	ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
	raced := false
	var theirs string
	s.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "git-receive-pack") && !raced {
			raced = true
			theirs = s.commit("theirs", "chart/a", "2", "fleet.yaml", strings.Replace(fleetYAML, "keep this", "KEEP THIS", 1))
		}
		return false
	})
	got := ok(t, p.Publish(t.Context(), s.job(item("db", "v2", 1, base))))
	if !raced || got.Commit != s.tip() || s.run(s.bare, "rev-parse", "main^") != theirs {
		t.Fatalf("commit %s, tip %s, theirs %s", got.Commit, s.tip(), theirs)
	}
	if s.show("chart/a") != "2" || !strings.HasPrefix(s.show("fleet.yaml"), "# KEEP THIS comment") {
		t.Error("their change is lost")
	}
	if d := s.run(s.bare, "diff", "--numstat", "main^", "main"); d != "2\t1\tfleet.yaml" {
		t.Errorf("our diff: %q", d)
	}
}

func TestPublisher_Publish_manual(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	s.commit("theirs", "fleet.yaml", strings.Replace(fleetYAML, "          tag: v1\n", "          tag: v9\n", 1))
	o := p.Publish(t.Context(), s.job(item("db", "v2", 1, base)))
	refused(t, o, orchestrator.Refused, orchestrator.CodeManual, "Eve", "v9", s.tip()[:8])
}

func TestPublisher_Publish_conflict(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	s.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "git-receive-pack") {
			s.commit("theirs")
		}
		return false
	})
	o := p.Publish(t.Context(), s.job(item("db", "v2", 1, base)))
	refused(t, o, orchestrator.Refused, orchestrator.CodeConflict, "8 pushes")
}

// The server takes the push and the connection ends before its answer.
func TestPublisher_Publish_lostAnswer(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, base := s.publisher(), s.tip()
	j := s.job(item("db", "v2", 1, base))
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "git-receive-pack") {
			return false
		}
		s.forward(r)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
		return true
	})
	o := p.Publish(t.Context(), j)
	refused(t, o, orchestrator.Unknown, "", "answer was lost")
	got := ok(t, p.Survey(t.Context(), j))
	if got.Commit != s.tip() || s.count() != "2" {
		t.Errorf("commit %q, tip %s, %s commits", got.Commit, s.tip(), s.count())
	}
	ok(t, p.Publish(t.Context(), j))
	if s.count() != "2" {
		t.Errorf("%s commits after the repetition, want 2", s.count())
	}
}
