package checks_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"rollout/checks"
	"rollout/orchestrator"
	"rollout/rings"
)

func endpoint(url string) rings.Check {
	return rings.Check{Name: "health", Kind: rings.CheckHTTP, URL: url}
}

func TestChecker_http(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	tests := []struct {
		name   string
		status int
		body   string
		want   orchestrator.Outcome
	}{
		{"OK", 200, "all well", ok("HTTP 200")},
		{"no content", 204, "", ok("HTTP 204")},
		{"last of the good", 299, "", ok("HTTP 299")},
		{"not modified", 304, "", refused("HTTP 304")},
		{"redirection to nowhere", 300, "choose", refused("HTTP 300: choose")},
		{"bad request", 400, "", refused("HTTP 400")},
		{"not found", 404, "<p>\n  no such\tpage\n</p>", refused("HTTP 404: <p> no such page </p>")},
		{"unavailable", 503, "db: 0/1 replicas", refused("HTTP 503: db: 0/1 replicas")},
		{"long body", 500, long, refused("HTTP 500: " + long[:240] + "...")},
		{"binary body", 500, "a\x00\x1b[31m\xff\x7fb", refused("HTTP 500: a[31mb")},
		{"a URL in the body", 500, `see <a href="https://ann:secret@shop.example/x?token=abc">`, refused(`HTTP 500: see <a href="https://shop.example/x">`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.UserAgent() != "rollout" {
					t.Errorf("%s by %q", r.Method, r.UserAgent())
				}
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			same(t, test.want, sample(t, endpoint(s.URL+"/health")))
		})
	}
}

func TestChecker_http_followsRedirects(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/bad":
			http.Redirect(w, r, "/gone", http.StatusMovedPermanently)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		}
	})
	same(t, ok("HTTP 200"), sample(t, endpoint(s.URL)))
	same(t, refused("HTTP 410"), sample(t, endpoint(s.URL+"/bad")))
	same(t, unreachable(s.URL+"/loop: stopped after 10 redirects"), sample(t, endpoint(s.URL+"/loop")))
}

// A stream that never ends is judged by its status.
func TestChecker_http_endlessBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	same(t, ok("HTTP 200"), sample(t, endpoint(s.URL)))
}

func TestChecker_http_unreachable(t *testing.T) {
	cut := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the client breaks off
	t.Cleanup(tls.Close)
	gone := closed(t)
	for at, want := range map[string]string{
		gone + "/health?token=abc":              "connection refused",
		cut.URL:                                 "EOF",
		tls.URL:                                 "certificate",
		strings.Replace(tls.URL, "s", "", 1):    "",
		"http://ann:secret@127.0.0.1:1/?t=abc#": "127.0.0.1:1",
	} {
		got := sample(t, endpoint(at))
		if want == "" { // plain HTTP to a TLS port is answered, with a 400
			if got.Result != orchestrator.Refused || !strings.HasPrefix(got.Words, "HTTP 400: ") {
				t.Errorf("%s: %+v, want HTTP 400", at, got)
			}
			continue
		}
		if got.Result != orchestrator.Unreachable || got.Code != orchestrator.CodeUnreach || !strings.Contains(got.Words, want) {
			t.Errorf("%s: %+v, want unreachable with %q", at, got, want)
		}
		hidesSecrets(t, got)
	}
}

// A server may repeat what it was asked, credentials included.
func TestChecker_http_hidesCredentials(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "ann" || password != "secret" || r.URL.Query().Get("token") != "abc" {
			t.Errorf("asked by %q with %q for %s", user, password, r.URL)
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "Cannot GET %s: password %s is wrong, try http://%s:%s@%s%s", r.URL, password, user, password, r.Host, r.URL)
	})
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path, u.RawQuery = url.UserPassword("ann", "secret"), "/health", "token=abc"
	got := sample(t, endpoint(u.String()))
	same(t, refused("HTTP 403: Cannot GET /health: password ... is wrong, try http://"+u.Host+"/health"), got)
	hidesSecrets(t, got)
}

func hidesSecrets(t *testing.T, o orchestrator.Outcome) {
	t.Helper()
	for _, secret := range []string{"secret", "abc"} {
		if strings.Contains(o.Words, secret) {
			t.Errorf("%q shows %q", o.Words, secret)
		}
	}
}

func TestChecker_http_unreadableURL(t *testing.T) {
	for at, want := range map[string]orchestrator.Outcome{
		"http://ann:secret@shop.example:port/": unknown(`the URL cannot be read: invalid port ":port" after host`),
		"http://shop.example/%zz?t=abc":        unknown(`the URL cannot be read: invalid URL escape "%zz"`),
		"ftp://shop.example/x?t=abc":           unreachable(`ftp://shop.example/x: unsupported protocol scheme "ftp"`),
	} {
		same(t, want, sample(t, endpoint(at)))
		same(t, want, withoutPath(sample(t, rings.Check{Kind: rings.CheckPrometheus, URL: at, Query: "up", Threshold: "> 0"})))
	}
}

// withoutPath undoes what a Prometheus check adds to the URL.
func withoutPath(o orchestrator.Outcome) orchestrator.Outcome {
	o.Words = strings.Replace(o.Words, "/api/v1/query", "", 1)
	return o
}

// A sample leaves no connection and no goroutine behind, however it ended.
func TestChecker_http_leavesNothing(t *testing.T) {
	silentURL, _ := mute(t)
	long := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<20)) })
	short := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := checks.New()
	for _, at := range []string{long.URL, short.URL, silentURL, closed(t)} {
		for range 5 {
			check := endpoint(at)
			check.Timeout = 100 * time.Millisecond
			c.Check(t.Context(), job(check))
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		left := clientGoroutines()
		if left == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still there:\n%s", left)
		}
	}
}

// clientGoroutines are the stacks that belong to a client's connection.
func clientGoroutines() string {
	var stacks strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		return err.Error()
	}
	var out []string
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if strings.Contains(stack, "net/http.(*persistConn)") || strings.Contains(stack, "net/http.(*Transport)") {
			out = append(out, stack)
		}
	}
	return strings.Join(out, "\n\n")
}
