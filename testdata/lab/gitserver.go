package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// GitUser and GitPassword open every repository of the lab, for fetching and for pushing.
	GitUser     = "lab"
	GitPassword = "lab-password"
)

// gitServer describes the part that serves the repositories.
func (l *Lab) gitServer(s *state) *process {
	return l.foreign("git", own.name, "serve-git", "--dir", l.dir, "--listen", fmt.Sprintf("127.0.0.1:%d", s.Ports["git"]))
}

// ServeGit serves the repositories of the lab in dir until ctx ends. It is what the part git runs.
func ServeGit(ctx context.Context, dir, addr string) error {
	git, err := exec.LookPath("git")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           &gitHost{dir: dir, git: git, log: log.New(os.Stderr, "", log.LstdFlags|log.Lmicroseconds)},
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// gitHost is git's HTTP backend behind a password and the lab's faults.
type gitHost struct {
	dir string
	git string
	log *log.Logger
}

// gitRequest is what a request of a git client is about.
type gitRequest struct {
	repo      string // without .git
	kind      string // Fetch or Push
	takesPush bool   // the request that carries a push's objects, as against the one that asks what there is
}

// ServeHTTP is for http.Handler.
func (h *gitHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	req, known := parseGitRequest(r)
	user, password, _ := r.BasicAuth()
	switch {
	case r.URL.Path == "/healthz":
		w.WriteHeader(http.StatusNoContent)
		return
	case user != GitUser || password != GitPassword:
		h.refuse(w, http.StatusUnauthorized)
		return
	case !known:
		h.refuse(w, http.StatusNotFound)
		return
	}
	did := h.serve(w, r, req)
	h.log.Printf("%s %s %s: %s in %s", req.repo, req.kind, r.Method, did, time.Since(start).Round(time.Millisecond))
}

// serve answers a request that came in by the door, unless a fault has it otherwise, and says for the log what it did.
func (h *gitHost) serve(w http.ResponseWriter, r *http.Request, req gitRequest) string {
	fault, err := takeGitFault(r.Context(), h.dir, req.repo, req.kind, req.takesPush)
	if err == nil {
		err = h.hold(r.Context(), req.repo, fault)
	}
	switch {
	case err != nil:
		h.refuse(w, http.StatusInternalServerError)
		return err.Error()
	case fault.Status != 0:
		h.refuse(w, fault.Status)
		return http.StatusText(fault.Status)
	case fault.Cut:
		h.backend(unanswered{}, r, "")
		return "taken, and the answer cut: " + cut(w)
	}
	return h.backend(w, r, fault.Refuse)
}

// hold waits as long as the fault says.
func (h *gitHost) hold(ctx context.Context, repo string, fault GitFault) error {
	if err := sleep(ctx, fault.Delay); err != nil {
		return err
	}
	for hangs := fault.Hang; hangs; {
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		var err error
		if hangs, err = stillHangs(h.dir, repo); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits for d, or until ctx ends, which is an error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *gitHost) refuse(w http.ResponseWriter, status int) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
	}
	http.Error(w, http.StatusText(status), status)
}

// cut begins an answer and ends the connection in the middle of it. Without the beginning, a client on a connection that it
// has used before would take it for closed from idleness and send the push again.
func cut(w http.ResponseWriter) string {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err.Error()
	}
	_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-receive-pack-result\r\nContent-Length: 1000\r\n\r\n")
	return fmt.Sprint(errors.Join(err, conn.Close()))
}

// unanswered is where an answer goes that nobody gets.
type unanswered http.Header

// Header is for http.ResponseWriter.
func (u unanswered) Header() http.Header { return http.Header(u) }

// Write is for http.ResponseWriter.
func (u unanswered) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader is for http.ResponseWriter.
func (u unanswered) WriteHeader(int) {}

// backend lets git answer. The words of a refusal reach the pre-receive hook by its environment.
func (h *gitHost) backend(w http.ResponseWriter, r *http.Request, refusal string) string {
	if err := h.spool(r); err != nil {
		h.refuse(w, http.StatusBadRequest)
		return err.Error()
	}
	defer r.Body.Close()
	backend := &cgi.Handler{
		Path:   h.git,
		Args:   []string{"http-backend"},
		Dir:    h.dir,
		Logger: h.log,
		Env: append(environment(h.dir),
			"GIT_PROJECT_ROOT="+filepath.Join(h.dir, "git"), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+GitUser,
			"GIT_PROTOCOL="+r.Header.Get("Git-Protocol"), refusalEnv+"="+refusal),
	}
	backend.ServeHTTP(w, r)
	return "served"
}

// spool gives a body without a length, as git sends a big push, the length that CGI asks for.
func (h *gitHost) spool(r *http.Request) error {
	if r.ContentLength >= 0 {
		return nil
	}
	f, err := os.CreateTemp(filepath.Join(h.dir, "tmp"), "push-*")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	size, err := io.Copy(f, r.Body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.Body, r.ContentLength, r.TransferEncoding = f, size, nil
	return nil
}

// parseGitRequest reads what a client wants from the smart HTTP protocol's three kinds of requests.
func parseGitRequest(r *http.Request) (req gitRequest, known bool) {
	repo, action, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	if !found {
		return gitRequest{}, false
	}
	service := action
	if action == "info/refs" {
		service = r.URL.Query().Get("service")
	}
	switch service {
	case "git-upload-pack":
		return gitRequest{repo: repo, kind: Fetch}, true
	case "git-receive-pack":
		return gitRequest{repo: repo, kind: Push, takesPush: action == service}, true
	}
	return gitRequest{}, false
}
