package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A command answers well, and badly in the middle of the soak: the ring fails,
// and the next one does not begin.
func TestCheckFails(t *testing.T) {
	s := play(t, "checks", 1)
	s.setUp(service{name: "db"})
	alarm := filepath.Join(t.TempDir(), "alarm")
	s.ok("ring", "update", s.app, "ring-1", "--soak", "30s", "--check", "alarm=command test ! -e "+alarm+"; interval=1s")
	s.ok("plan", "set", s.app, "db=v2")
	create := s.begin("create", s.app, "ring-1", "ring-2")
	s.awaits(time.Minute, "ring-1 soaks", func(r rollout) bool { return r.ring("ring-1") == "Soaking" })
	s.says(s.ok("explain", s.app), "soaks: healthy for")
	s.must(os.WriteFile(alarm, []byte("orders are lost\n"), 0o600))
	if code := create.code(time.Minute); code != 6 {
		t.Errorf("exit code %d, want 6", code)
	}
	s.says(s.ok("explain", s.app), `check "alarm" answered badly 1 times, 0 are allowed`)
	if got := s.show(); got.ring("ring-1") != "Failed" || s.commitsFor("db", "ring-2") != 0 {
		t.Errorf("ring-1 is %s, ring-2 has %d commits", got.ring("ring-1"), s.commitsFor("db", "ring-2"))
	}
	s.says(s.ok("replay", s.app), "every decision the same")
}

// prometheus answers every query with one value, or with nothing.
type prometheus struct {
	*httptest.Server
	value  atomic.Pointer[string]
	asked  atomic.Int64
	silent atomic.Int64 // of the answers, those without a value
}

func newPrometheus(t *testing.T) *prometheus {
	p := &prometheus{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		result := ""
		if v := p.value.Load(); v != nil {
			result = fmt.Sprintf(`{"metric": {"job": "db"}, "value": [%d, %q]}`, time.Now().Unix(), *v)
		} else {
			p.silent.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status": "success", "data": {"resultType": "vector", "result": [%s]}}`, result)
	}))
	t.Cleanup(p.Close)
	return p
}

// A Prometheus that has no data says nothing: the rollout pauses and a person
// is asked. When there are data, and the person lets it, it goes on.
func TestPrometheusWithoutData(t *testing.T) {
	s := play(t, "prometheus", 2)
	s.setUp(service{name: "db"})
	p := newPrometheus(t)
	s.ok("ring", "update", s.app, "ring-1", "--check", "errors=prometheus "+p.URL+" sum(rate(errors[5m])) <= 0.01; interval=1s; samples=2")
	s.ok("plan", "set", s.app, "db=v2")
	create := s.begin("create", s.app, "ring-1", "ring-2")
	s.awaits(2*time.Minute, "it is paused", func(r rollout) bool { return strings.Contains(r.Reason, "paused by") })
	s.says(s.ok("explain", s.app), `check "errors" of ring-1 is inconclusive: 3 answers in a row say nothing`, "rollout resume prometheus-1")
	if n := p.silent.Load(); n != 3 || s.commitsFor("db", "ring-2") != 0 {
		t.Errorf("it was asked %d times without an answer, and ring-2 has %d commits", n, s.commitsFor("db", "ring-2"))
	}
	well := "0.002"
	p.value.Store(&well)
	s.ok("resume", s.app, "--reason", "Prometheus is back")
	if code := create.code(long); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.runs("v2", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
	if n := p.asked.Load() - p.silent.Load(); n < 2 {
		t.Errorf("it answered well %d times, want 2", n)
	}
}
