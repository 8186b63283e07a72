package gitrepo_test

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
)

// site is a real git HTTP server with one repository, and a clone of it in
// which other people work.
type site struct {
	t    testing.TB
	bare string // the repository on the server
	work string // the other people's clone
	http *httptest.Server
	url  string
	home string
	date string // of the other people's commits; "" is now

	mu     sync.Mutex
	before func(w http.ResponseWriter, r *http.Request) bool // true: it answered
	user   string                                            // "" lets everybody in
	secret string
	seen   []string // requests, METHOD and service
}

const fleetYAML = `# keep this comment
helm:
  chart: chart
  values:
    image: {tag: v0}   # the base

targetCustomizations:
  - name: first
    clusterSelector: {matchLabels: {ring: ring-1}}
    helm:
      values:
        image:
          tag: v1
  - name: second
    clusterSelector:
      matchLabels:
        ring: ring-2
    helm: {values: {image: {tag: "v1"}}}
`

// newSite serves a repository that holds the files (path, content, ...).
func newSite(t testing.TB, files ...string) *site {
	t.Helper()
	s := &site{t: t, bare: filepath.Join(t.TempDir(), "shop.git"), work: filepath.Join(t.TempDir(), "work"), home: t.TempDir()}
	s.run("", "init", "-q", "--bare", "-b", "main", s.bare)
	for _, kv := range [][2]string{{"http.receivepack", "true"}, {"uploadpack.allowFilter", "true"}, {"uploadpack.allowAnySHA1InWant", "true"}, {"gc.auto", "0"}} {
		s.run(s.bare, "config", kv[0], kv[1])
	}
	s.run("", "init", "-q", "-b", "main", s.work)
	s.run(s.work, "remote", "add", "origin", s.bare)
	if len(files) > 0 {
		s.commit("start", files...)
	}
	s.serve()
	return s
}

func (s *site) serve() {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	backend := &cgi.Handler{Stderr: io.Discard, Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(s.bare), "GIT_HTTP_EXPORT_ALL=1", "HOME=" + s.home}}
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		before, user, secret := s.before, s.user, s.secret
		s.seen = append(s.seen, r.Method+" "+cmp.Or(r.URL.Query().Get("service"), path.Base(r.URL.Path)))
		s.mu.Unlock()
		if before != nil && before(w, r) {
			return
		}
		if u, p, _ := r.BasicAuth(); user != "" && (u != user || p != secret) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		h := *backend
		if user != "" {
			h.Env = append(h.Env, "REMOTE_USER="+user)
		}
		h.ServeHTTP(w, r)
	}))
	s.t.Cleanup(s.http.Close)
	s.url = s.http.URL + "/shop.git"
}

// on answers requests before git does.
func (s *site) on(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

func (s *site) lock(user, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.secret = user, secret
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.seen
	s.seen = nil
	return out
}

func (s *site) run(dir string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Eve", "GIT_AUTHOR_EMAIL=eve@example.com", "GIT_COMMITTER_NAME=Eve", "GIT_COMMITTER_EMAIL=eve@example.com"}
	if s.date != "" {
		cmd.Env = append(cmd.Env, "GIT_COMMITTER_DATE="+s.date, "GIT_AUTHOR_DATE="+s.date)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files (path, content, ...) into the other people's clone, on
// top of the branch, and pushes. It returns the commit.
func (s *site) commit(subject string, files ...string) string {
	s.t.Helper()
	if s.run(s.bare, "branch", "--list", "main") != "" {
		s.run(s.work, "pull", "-q", "--ff-only", "origin", "main")
	}
	s.write(files...)
	s.run(s.work, "add", "-A")
	s.run(s.work, "commit", "-q", "--allow-empty", "-m", subject)
	s.run(s.work, "push", "-q", "origin", "HEAD:main")
	return s.run(s.work, "rev-parse", "HEAD")
}

func (s *site) write(files ...string) {
	s.t.Helper()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(s.work, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}

// hook installs a hook on the server.
func (s *site) hook(name, script string) {
	s.t.Helper()
	file := filepath.Join(s.bare, "hooks", name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) tip() string   { return s.run(s.bare, "rev-parse", "main") }
func (s *site) count() string { return s.run(s.bare, "rev-list", "--count", "main") }

func (s *site) show(path string) string {
	s.t.Helper()
	return s.run(s.bare, "show", "main:"+path)
}

// inventory is a workspace of clusters: a1 and a2 on ring-1, b1 on ring-2, c1
// on no ring; all are targeted but those named in out.
type inventory struct{ out string }

func (i inventory) Reach(context.Context, orchestrator.Scope, orchestrator.Target) (gitrepo.Reach, error) {
	var r gitrepo.Reach
	for name, ring := range map[string]string{"a1": "ring-1", "a2": "ring-1", "b1": "ring-2", "c1": ""} {
		r.Clusters = append(r.Clusters, fleetyaml.Cluster{Name: name, Labels: map[string]string{"app": "shop", "ring": ring, "name": name}})
		if name != i.out {
			r.Targets = append(r.Targets, fleetyaml.Target{ClusterName: name})
		}
	}
	return r, nil
}

// env is a process's environment for a Publisher: nothing but what is given.
func env(home string, pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		switch name {
		case "HOME":
			return home
		case "PATH":
			return os.Getenv("PATH")
		case "GIT_CONFIG_NOSYSTEM":
			return "1"
		}
		return ""
	}
}

func (s *site) publisher(pairs ...string) *gitrepo.Publisher {
	s.t.Helper()
	return s.open(s.t.TempDir(), pairs...)
}

func (s *site) open(dir string, pairs ...string) *gitrepo.Publisher {
	p := gitrepo.New(gitrepo.Options{Dir: dir, Inventory: inventory{}, Getenv: env(s.home, pairs...),
		Author: gitrepo.Identity{Name: "CI", Email: "ci@example.com"}})
	s.t.Cleanup(func() { _ = p.Close() })
	return p
}

// job asks about services, each in the folder of its name, or "" for db.
func (s *site) job(items ...orchestrator.Item) orchestrator.Job {
	j := orchestrator.Job{Rollout: "shop-12", Actor: "ann@example.com", Link: "https://ci.example.com/7",
		Scope:   orchestrator.Scope{App: "shop", Workspace: "fleet-default", RingLabel: "ring", Selector: map[string]string{"app": "shop"}},
		Action:  orchestrator.Action{ID: "p1", Ring: "ring-1", Items: items, Reason: "db goes first"},
		Targets: map[rings.ServiceName]orchestrator.Target{}}
	for _, i := range items {
		folder := string(i.Service)
		if folder == "db" {
			folder = ""
		}
		j.Targets[i.Service] = orchestrator.Target{Service: i.Service, Repo: s.url, Branch: "main", Path: folder, GitRepo: "web"}
	}
	return j
}

func item(service, version string, nonce int64, base string) orchestrator.Item {
	return orchestrator.Item{Service: rings.ServiceName(service), Version: rings.Version(version), Nonce: nonce, Base: base}
}

// ok fails the test when the outcome is not OK, and returns the first survey.
func ok(t testing.TB, o orchestrator.Outcome) orchestrator.Survey {
	t.Helper()
	if o.Result != orchestrator.OK || len(o.Surveys) == 0 {
		t.Fatalf("got %s %s: %s (hint: %s), want ok", o.Result, o.Code, o.Words, o.Hint)
	}
	return o.Surveys[0]
}

// refused fails the test unless the outcome has the result and code and its
// words and hint contain the parts.
func refused(t testing.TB, o orchestrator.Outcome, result orchestrator.Result, code orchestrator.Code, parts ...string) {
	t.Helper()
	if o.Result != result || o.Code != code {
		t.Fatalf("got %s %s: %s (hint: %s), want %s %s", o.Result, o.Code, o.Words, o.Hint, result, code)
	}
	for _, p := range parts {
		if !strings.Contains(o.Words+"\n"+o.Hint, p) {
			t.Errorf("words %q, hint %q: want %q in them", o.Words, o.Hint, p)
		}
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
