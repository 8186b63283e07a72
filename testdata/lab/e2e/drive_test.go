package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kill -9 at random moments, ten times in one rollout, taken up again each
// time: it completes, with one commit for each service.
func TestKill(t *testing.T) {
	s := play(t, "kill", 2)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2-slow", "api=v2-slow")
	p := s.begin("create", s.app, "ring-1", "--no-background")
	s.eventually(20*time.Second, "the rollout is there", func() bool { return s.run("show", s.app).code == 0 })
	for i := range 10 {
		// Moments from 0 to 3.6 s: some fall before, in and after a push.
		select {
		case <-p.exited:
			t.Fatalf("it ended before kill %d: %s", i+1, p.out.String())
		case <-time.After(time.Duration(i*i*45) * time.Millisecond):
		}
		s.must(p.Process.Kill())
		<-p.exited
		p = s.begin("watch", s.app, "--no-background")
	}
	if code := p.code(long); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, repo := range []string{"db", "api"} {
		if n := s.commits(repo); n != 1 {
			t.Errorf("%s has %d commits, want 1", repo, n)
		}
	}
	s.images("api", map[string]string{"c1": "v2-slow", "c2": "v2-slow", "c3": "v1"})
	s.ok("store", "check")
}

// Ctrl-C, --detach and --timeout hand over to a process in the background,
// which ends when nothing is left to do.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		sig  bool
		code int
	}{
		{"ctrl-c", nil, true, 130},
		{"detach", []string{"--detach"}, false, 0},
		{"timeout", []string{"--timeout", "2s"}, false, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, "ho-"+c.name, 1)
			s.setUp(service{name: "db"})
			s.ok("plan", "set", s.app, "db=v2")
			p := s.begin(append([]string{"create", s.app, "ring-1"}, c.args...)...)
			if c.sig {
				s.phase("db", "Converging", time.Minute)
				s.must(p.Process.Signal(os.Interrupt))
			}
			if code := p.code(long); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(p.out.String(), "background") {
				t.Errorf("it does not name the process in the background: %s", p.out.String())
			}
			s.eventually(2*time.Minute, "Succeeded", func() bool { return s.show().Phase == "Succeeded" })
			s.images("db", map[string]string{"c1": "v2", "c2": "v2"})
			s.eventually(30*time.Second, "the background process has ended", func() bool { return !s.driven() })
		})
	}
}

// driven reports whether a process runs with the scenario's store.
func (s *scenario) driven() bool {
	entries, err := os.ReadDir("/proc")
	s.must(err)
	for _, e := range entries {
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue // not a process, or gone
		}
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && strings.Contains(string(environ), "ROLLOUT_STORE="+s.store) && strings.Contains(string(command), "until-idle") {
			return true
		}
	}
	return false
}

// A second terminal, meanwhile.
func TestSecondTerminal(t *testing.T) {
	s := play(t, "second", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2-slow")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Converging", time.Minute)
	s.says(s.ok("history", s.app), "second-1")
	s.ok("plan", "set", s.app, "db=v3")
	s.says(s.ends(4, "create", s.app, "ring-1"), "second-1", "hint:")
	s.ends(4, "cluster", "set-ring", "c1", "ring-2", "--app", s.app, "--yes")
	s.ok("cancel", s.app, "--reason", "changed our mind")
	if code := create.code(2 * time.Second); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	if got := s.show(); got.Phase != "Cancelled" || got.Plan["db"] != "v2-slow" {
		t.Errorf("show says %+v", got)
	}
	var history struct{ Items []rollout }
	if err := json.Unmarshal([]byte(s.ok("history", s.app, "-o", "json").stdout), &history); err != nil || len(history.Items) != 1 {
		t.Errorf("history: %v, %d items", err, len(history.Items))
	}
}

// A second store on the same Fleet is refused by the claim.
func TestSecondStore(t *testing.T) {
	s := play(t, "claims", 1)
	s.setUp(service{name: "db"})
	other := *s
	other.store = filepath.Join(t.TempDir(), "other.db")
	other.env = append(append([]string{}, s.env...), "ROLLOUT_STORE="+other.store)
	other.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	other.ok("ring", "create", s.app, "ring-1")
	other.addService(service{name: "db"})
	other.ok("plan", "set", s.app, "db=v3")

	s.ok("plan", "set", s.app, "db=v2-slow")
	create := s.begin("create", s.app, "ring-1")
	s.phase("db", "Converging", time.Minute)
	other.says(other.ends(4, "create", s.app, "ring-1"), "claims-1")
	if code := create.code(long); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := s.commits("db"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	other.ends(4, "create", s.app, "ring-1") // v2-slow is not its own
	other.ok("create", s.app, "ring-1", "--override", "--reason", "the other store is retired")
	s.images("db", map[string]string{"c1": "v3", "c2": "v3"})
}

// One more Ctrl-C than needed leaves nothing half-done.
func TestInterruptTwice(t *testing.T) {
	s := play(t, "twice", 1)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
	p := s.begin("create", s.app, "ring-1", "--no-background")
	s.phase("db", "Converging", time.Minute)
	s.must(p.Process.Signal(os.Interrupt))
	_ = p.Process.Signal(syscall.SIGTERM) // it may have ended by then
	p.code(time.Minute)
	s.eventually(20*time.Second, "nobody drives it", func() bool { return strings.Contains(s.ok("list").stdout, "nobody") })
	s.ok("watch", s.app, "--no-background")
	if n := s.commits("db"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
}
