package lab

import (
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestParseGitRequest(t *testing.T) {
	for _, c := range []struct {
		target string
		want   gitRequest
		known  bool
	}{
		{"/db.git/info/refs?service=git-upload-pack", gitRequest{"db", Fetch, false}, true},
		{"/db.git/info/refs?service=git-receive-pack", gitRequest{"db", Push, false}, true},
		{"/db.git/git-upload-pack", gitRequest{"db", Fetch, false}, true},
		{"/db.git/git-receive-pack", gitRequest{"db", Push, true}, true},
		{"/db.git/HEAD", gitRequest{}, false},
		{"/", gitRequest{}, false},
	} {
		got, known := parseGitRequest(httptest.NewRequest("GET", c.target, nil))
		if got != c.want || known != c.known {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.target, got, known, c.want, c.known)
		}
	}
}

// host serves a lab's repositories without the rest of a lab.
func host(t *testing.T) *Lab {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("needs git")
	}
	l := &Lab{dir: newTestDir(t)}
	server := httptest.NewServer(&gitHost{dir: l.dir, git: git, log: log.New(io.Discard, "", 0)})
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	if err := writeState(l.dir, &state{Schema: stateSchema, Ports: map[string]int{"git": port}}); err != nil {
		t.Fatal(err)
	}
	if err := l.CreateRepo(t.Context(), "db", map[string]string{"repo.yaml": "repo: REPO_URL\n", "deploy/fleet.yaml": "name: db\n"}); err != nil {
		t.Fatal(err)
	}
	return l
}

// pushOne clones db, commits a file of this size and pushes; it returns git's words and whether the push succeeded.
func pushOne(t *testing.T, l *Lab, size int) (words string, ok bool) {
	t.Helper()
	work := t.TempDir()
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Env = work, environment(l.dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	address, err := l.GitAuthURL("db")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := git("clone", "--quiet", address, "."); err != nil {
		return out, false
	}
	if err := os.WriteFile(filepath.Join(work, "new"), noise(size), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", "new"}} {
		if out, err := git(args...); err != nil {
			t.Fatal(out)
		}
	}
	out, err := git("push", "--quiet")
	return out, err == nil
}

// noise returns bytes that do not compress, so that a push of them is as big as it seems.
func noise(size int) []byte {
	b := make([]byte, size)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func TestGitServer(t *testing.T) {
	l := host(t)
	seed, err := l.Head(t.Context(), "db")
	if err != nil || len(seed) != 40 {
		t.Fatalf("head %q, %v", seed, err)
	}
	manifest, err := l.ReadFile(t.Context(), "db", "repo.yaml")
	if address, _ := l.GitURL("db"); err != nil || manifest != "repo: "+address+"\n" {
		t.Errorf("repo.yaml is %q, %v", manifest, err)
	}
	// Past 1 MiB git sends a push without a length.
	if words, ok := pushOne(t, l, 3<<20); !ok {
		t.Errorf("push: %s", words)
	}
	if pushed, err := l.Head(t.Context(), "db"); err != nil || pushed == seed {
		t.Errorf("the push did not arrive: %v", err)
	}
	if _, err := l.Commit(t.Context(), "db", "more", map[string]string{"a b": "c"}); err != nil {
		t.Error(err)
	}
	if count, err := l.Git(t.Context(), "db", "rev-list", "--count", Branch); err != nil || strings.TrimSpace(count) != "3" {
		t.Errorf("%s commits, %v; want 3", count, err)
	}
	if err := l.CreateRepo(t.Context(), "db", nil); err == nil {
		t.Error("a repository was created twice")
	}
}

func TestGitFaults(t *testing.T) {
	l := host(t)
	for i, c := range []struct {
		fault    GitFault
		words    string
		arrives  bool
		succeeds bool
	}{
		{GitFault{Status: 401, Only: Push}, "Authentication failed", false, false},
		{GitFault{Status: 403, Only: Push}, "403", false, false},
		{GitFault{Status: 500}, "500", false, false},
		{GitFault{Refuse: "main is protected"}, "main is protected", false, false},
		{GitFault{Cut: true}, "", true, false},
		{GitFault{Delay: 1}, "", true, true},
	} {
		before, err := l.Head(t.Context(), "db")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.SetGitFault(t.Context(), "db", c.fault); err != nil {
			t.Fatal(err)
		}
		words, ok := pushOne(t, l, 100+i)
		if ok != c.succeeds || !strings.Contains(words, c.words) {
			t.Errorf("%+v: push ok=%v with words %q", c.fault, ok, words)
		}
		after, err := l.Head(t.Context(), "db")
		if err != nil || (before != after) != c.arrives {
			t.Errorf("%+v: arrived=%v, %v", c.fault, before != after, err)
		}
	}
}

func TestGitServerAsksForThePassword(t *testing.T) {
	l := host(t)
	address, err := l.GitURL("db")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "git", "ls-remote", address)
	cmd.Env = append(environment(l.dir), "GIT_TERMINAL_PROMPT=0")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("listed without a password: %s", out)
	}
}
