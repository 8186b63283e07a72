package gitrepo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
)

// isPush reports whether a request brings a pack.
func isPush(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "git-receive-pack")
}

func TestPublisher_Publish_refused(t *testing.T) {
	const protected = "echo 'GL-HOOK-ERR: You are not allowed to push code to protected branches on this project.' >&2; exit 1"
	tests := map[string]struct {
		hook   string
		answer int
		where  string // of the answer: what the request's URL contains
		code   orchestrator.Code
		parts  []string
	}{
		"hook":           {hook: "echo 'no deploys on friday' >&2; exit 1", code: orchestrator.CodeHook, parts: []string{"no deploys on friday"}},
		"protected":      {hook: protected, code: orchestrator.CodeProtected, parts: []string{"branch \"main\" is protected", "not allowed to push code"}},
		"github":         {hook: "echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2; exit 1", code: orchestrator.CodeProtected, parts: []string{"GH006"}},
		"gitlab role":    {hook: "echo 'You are not allowed to push code to this project.' >&2; exit 1", code: orchestrator.CodeDenied},
		"403 at refs":    {answer: 403, where: "service=git-receive-pack", code: orchestrator.CodeDenied, parts: []string{"write access"}},
		"403 at push":    {answer: 403, where: "/git-receive-pack?", code: orchestrator.CodeDenied},
		"401 at push":    {answer: 401, where: "/git-receive-pack?", code: orchestrator.CodeAuth},
		"413 at push":    {answer: 413, where: "/git-receive-pack?", code: orchestrator.CodeUnexpected, parts: []string{"413"}},
		"404 everywhere": {answer: 404, where: "/", code: orchestrator.CodeNotFound},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "fleet.yaml", fleetYAML)
			if tt.hook != "" {
				s.hook("pre-receive", tt.hook)
			}
			base := s.tip()
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if tt.answer == 0 || !strings.Contains(r.URL.Path+"?"+r.URL.RawQuery, tt.where) {
					return false
				}
				http.Error(w, "the server's words", tt.answer)
				return true
			})
			o := s.publisher().Publish(t.Context(), s.job(item("db", "v2", 1, base)))
			refused(t, o, orchestrator.Refused, tt.code, tt.parts...)
			if s.tip() != base {
				t.Error("it was pushed")
			}
		})
	}
}

func TestPublisher_Publish_serverError(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if isPush(r) {
			http.Error(w, "gateway", http.StatusBadGateway)
		}
		return isPush(r)
	})
	o := s.publisher().Publish(t.Context(), s.job(item("db", "v2", 1, s.tip())))
	refused(t, o, orchestrator.Unknown, "", "502")
}

func TestPublisher_unreachable(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p, j := s.publisher(), s.job(item("db", "v2", 1, s.tip()))
	t.Run("hang", func(t *testing.T) {
		s.on(func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		})
		start := time.Now()
		refused(t, p.Survey(within(t, 100*time.Millisecond), j), orchestrator.Unreachable, orchestrator.CodeUnreach, "deadline")
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("it took %s", d)
		}
	})
	t.Run("hang in the push", func(t *testing.T) {
		s.on(func(_ http.ResponseWriter, r *http.Request) bool {
			if isPush(r) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client left
				<-r.Context().Done()
			}
			return isPush(r)
		})
		refused(t, p.Publish(within(t, time.Second), j), orchestrator.Unknown, "")
	})
	t.Run("503", func(t *testing.T) {
		s.on(func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
			return true
		})
		refused(t, p.Survey(t.Context(), j), orchestrator.Unreachable, orchestrator.CodeUnreach, "503")
	})
	t.Run("connection refused", func(t *testing.T) {
		s.http.Close()
		refused(t, p.Publish(t.Context(), j), orchestrator.Unreachable, orchestrator.CodeUnreach, "connection refused", "git ls-remote http://")
	})
	t.Run("unknown host", func(t *testing.T) {
		j := s.job(item("db", "v2", 1, ""))
		target := j.Targets["db"]
		target.Repo = "https://host.invalid/x.git"
		j.Targets["db"] = target
		refused(t, p.Publish(within(t, 10*time.Second), j), orchestrator.Unreachable, orchestrator.CodeUnreach, "host.invalid")
	})
}

func TestPublisher_CheckPush(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p := s.publisher()
	if err := p.CheckPush(t.Context(), s.url, "main"); err != nil {
		t.Error(err)
	}
	if err := p.CheckPush(t.Context(), s.url, "nope"); err == nil || !strings.Contains(err.Error(), `branch "nope": not found`) {
		t.Errorf("got %v", err)
	}
	s.run(s.bare, "config", "http.receivepack", "false")
	if err := p.CheckPush(t.Context(), s.url, "main"); err == nil || !strings.Contains(err.Error(), "does not allow") {
		t.Errorf("got %v", err)
	}
	if s.count() != "1" {
		t.Error("it pushed")
	}
}

func TestPublisher_Read(t *testing.T) {
	s := newSite(t, "db/fleet.yaml", fleetYAML, "repo.yaml", "a: 1\n")
	first := s.tip()
	s.commit("elsewhere", "docs", "x")
	p := s.publisher()
	f, err := p.Read(t.Context(), s.url, "main", "/db/")
	if err != nil || f.Name != "db/fleet.yaml" || string(f.Bytes) != fleetYAML || f.Commit != first || f.Tip != s.tip() || f.At.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err = p.ReadFile(t.Context(), s.url, "main", "repo.yaml"); err != nil || string(f.Bytes) != "a: 1\n" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err = p.ReadFile(t.Context(), s.url, "main", "db"); err == nil || !strings.Contains(err.Error(), "db: not found on branch main") {
		t.Errorf("got %v", err)
	}
}

// Two processes on one folder: each call sees the mirror whole.
func TestPublisher_sharedFolder(t *testing.T) {
	s := newSite(t, "api/fleet.yaml", fleetYAML, "web/fleet.yaml", fleetYAML)
	dir, base := t.TempDir(), s.tip()
	answers := make(chan orchestrator.Outcome, 2)
	for _, name := range []string{"api", "web"} {
		p := s.open(dir)
		go func() { answers <- p.Publish(t.Context(), s.job(item(name, "v2", 1, base))) }()
	}
	ok(t, <-answers)
	ok(t, <-answers)
	if s.count() != "3" {
		t.Errorf("%s commits", s.count())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v: want a mirror and its lock", left, err)
	}
}

func TestPublisher_lockHeld(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	dir := t.TempDir()
	hanging := make(chan struct{})
	s.on(func(_ http.ResponseWriter, r *http.Request) bool {
		close(hanging)
		<-r.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan orchestrator.Outcome, 1)
	p := s.open(dir)
	go func() { done <- p.Survey(ctx, s.job(orchestrator.Item{Service: "db"})) }()
	<-hanging
	o := s.open(dir).Survey(within(t, 50*time.Millisecond), s.job(orchestrator.Item{Service: "db"}))
	refused(t, o, orchestrator.Unreachable, orchestrator.CodeUnreach, "another rollout works on this mirror")
	cancel()
	<-done
	s.on(nil)
	ok(t, s.open(dir).Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
}

// Whatever a kill leaves behind, the next call gets along.
func TestPublisher_brokenMirror(t *testing.T) {
	breaks := map[string]func(t *testing.T, mirror string){
		"half a clone": func(t *testing.T, mirror string) {
			if err := os.Rename(mirror, strings.TrimSuffix(mirror, ".git")+".tmp-123"); err != nil {
				t.Fatal(err)
			}
		},
		"no reference": func(t *testing.T, mirror string) { remove(t, mirror, "refs/heads/main") },
		"no pack":      func(t *testing.T, mirror string) { remove(t, mirror, "objects/pack/*.pack") },
		"no index":     func(t *testing.T, mirror string) { remove(t, mirror, "objects/pack/*.idx") },
		"torn pack":    func(t *testing.T, mirror string) { truncate(t, mirror, "objects/pack/*.pack") },
		"torn index":   func(t *testing.T, mirror string) { truncate(t, mirror, "objects/pack/*.idx") },
		"empty ref":    func(t *testing.T, mirror string) { truncate(t, mirror, "refs/heads/main") },
	}
	for name, spoil := range breaks {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "fleet.yaml", fleetYAML)
			dir := t.TempDir()
			first := ok(t, s.open(dir).Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
			spoil(t, glob(t, dir, "*.git"))
			if got := ok(t, s.open(dir).Publish(t.Context(), s.job(item("db", "v2", 1, first.Tip)))); got.Commit != s.tip() {
				t.Errorf("%+v", got)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*.tmp-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func glob(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

func remove(t *testing.T, dir, pattern string) {
	t.Helper()
	if err := os.Remove(glob(t, dir, pattern)); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, dir, pattern string) {
	t.Helper()
	path := glob(t, dir, pattern)
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err == nil {
		err = os.Truncate(path, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is said names the repository once, and nothing twice.
func TestPublisher_CheckPush_words(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	nowhere := s.http.URL + "/nope.git"
	tests := []struct{ repo, branch, words, hint string }{
		{nowhere, "main", nowhere + ": repository not found", "check the URL"},
		{s.url, "release", s.url + `: branch "release": not found`, "it has main; name one of them with --branch"},
		{"http://127.0.0.1:1/x.git", "main", "http://127.0.0.1:1/x.git: cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused",
			"git ls-remote http://127.0.0.1:1/x.git"},
	}
	for _, tt := range tests {
		var e *gitrepo.Error
		err := s.publisher().CheckPush(t.Context(), tt.repo, tt.branch)
		if !errors.As(err, &e) || e.Error() != tt.words || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("got %v, hint %q; want %s, hint %q", err, e.Hint, tt.words, tt.hint)
		}
	}
}
