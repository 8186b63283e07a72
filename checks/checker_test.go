package checks_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/checks"
	"rollout/orchestrator"
	"rollout/rings"
)

func job(check rings.Check) orchestrator.Job {
	return orchestrator.Job{
		Action:   orchestrator.Action{ID: "a-1", Kind: orchestrator.ActCheck, Ring: "ring-1", Check: &check},
		Rollout:  "shop-12",
		Scope:    orchestrator.Scope{App: "shop"},
		Versions: map[rings.ServiceName]rings.Version{"db": "v2", "api": "v7", "web": "v1.10"},
	}
}

// sample asks the check once.
func sample(t *testing.T, check rings.Check) orchestrator.Outcome {
	t.Helper()
	return checks.New().Check(t.Context(), job(check))
}

func ok(words string) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.OK, Words: words}
}

func refused(words string) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeCheck, Words: words}
}

func unknown(words string) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Unknown, Words: words}
}

func unreachable(words string) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, Words: words}
}

func same(t *testing.T, want, got orchestrator.Outcome) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

// serve starts a server for the test.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// closed is the URL of a server that is gone.
func closed(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// mute is a server that takes requests and never answers; told receives once
// for each.
func mute(t *testing.T) (url string, told <-chan struct{}) {
	t.Helper()
	asked := make(chan struct{}, 10)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	return s.URL, asked
}

func TestChecker_Check_withoutACheck(t *testing.T) {
	j := job(rings.Check{})
	j.Action.Check = nil
	same(t, unknown("the action names no check"), checks.New().Check(t.Context(), j))
}

func TestChecker_Check_unknownKind(t *testing.T) {
	same(t, unknown(`checks of kind "grpc" cannot be asked`), sample(t, rings.Check{Kind: "grpc"}))
}

// Every kind ends with its own timeout, and with the driver's ctx.
func TestChecker_Check_ends(t *testing.T) {
	url, told := mute(t)
	fifo := newFIFO(t)
	tests := []struct {
		name  string
		check rings.Check
		begun func()
		where string
	}{
		{"command", rings.Check{Kind: rings.CheckCommand, Command: "echo up >" + fifo.path + "; sleep 300"}, func() { fifo.line() }, ""},
		{"http", rings.Check{Kind: rings.CheckHTTP, URL: url}, func() { <-told }, url + ": "},
		{"prometheus", rings.Check{Kind: rings.CheckPrometheus, URL: url, Query: "up", Threshold: "> 0"}, func() { <-told }, url + "/api/v1/query: "},
	}
	for _, test := range tests {
		t.Run(test.name+" when the driver stops", func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			go func() {
				test.begun()
				stop()
			}()
			same(t, unknown(test.where+"stopped before there was an answer"), checks.New().Check(ctx, job(test.check)))
		})
		t.Run(test.name+" of a driver that has stopped", func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			same(t, unknown(test.where+"stopped before there was an answer"), checks.New().Check(ctx, job(test.check)))
		})
	}
	for _, check := range []rings.Check{{Kind: rings.CheckCommand, Command: "sleep 300"}, tests[1].check, tests[2].check} {
		t.Run(string(check.Kind)+" in its time", func(t *testing.T) {
			check.Timeout = 100 * time.Millisecond
			got := sample(t, check)
			where := map[rings.CheckKind]string{rings.CheckHTTP: tests[1].where, rings.CheckPrometheus: tests[2].where}[check.Kind]
			same(t, unknown(where+"no answer within 100ms"), got)
		})
	}
}
