package gitrepo_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
)

// The environment that makes this test binary a process that surveys.
const childDir, childURL = "GITREPO_TEST_DIR", "GITREPO_TEST_URL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s := &site{url: os.Getenv(childURL)}
		p := gitrepo.New(gitrepo.Options{Dir: dir, Inventory: inventory{}, Getenv: env(dir)})
		o := p.Survey(context.Background(), s.job(orchestrator.Item{Service: "db"}))
		if o.Result != orchestrator.OK {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A process is killed with half a pack on its disk and the lock in its hand.
func TestPublisher_killedWhileCloning(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	dir, half, killed := t.TempDir(), make(chan struct{}), make(chan struct{})
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		answer := httptest.NewRecorder()
		s.forwardTo(answer, r)
		for k, v := range answer.Header() {
			w.Header()[k] = v
		}
		body := answer.Body.Bytes()
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		close(half)
		<-killed
		return true
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childDir+"="+dir, childURL+"="+s.url)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	<-half
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	close(killed)
	s.on(nil)
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp-*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("half a clone: %v, %v", left, err)
	}
	if got := ok(t, s.open(dir).Survey(t.Context(), s.job(orchestrator.Item{Service: "db"}))); got.Commit != s.tip() {
		t.Errorf("%+v", got)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.Contains(n.Name(), ".tmp-") {
			t.Errorf("%s is left", n.Name())
		}
	}
}

// A fetch that ends in the middle leaves nothing behind, and the mirror usable.
func TestPublisher_cutWhileFetching(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	dir := t.TempDir()
	p, j := s.open(dir), s.job(orchestrator.Item{Service: "db"})
	ok(t, p.Survey(t.Context(), j))
	s.commit("theirs", "docs", "x")
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		answer := httptest.NewRecorder()
		s.forwardTo(answer, r)
		body := answer.Body.Bytes()
		_, _ = w.Write(body[:len(body)-30])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	refused(t, p.Survey(t.Context(), j), orchestrator.Unreachable, orchestrator.CodeUnreach, "EOF")
	s.on(nil)
	ok(t, p.Survey(t.Context(), j))
	if left, err := filepath.Glob(filepath.Join(dir, "*.git/objects/pack/tmp_*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
