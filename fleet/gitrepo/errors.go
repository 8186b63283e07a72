package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"rollout/orchestrator"
	"rollout/rings"
)

// Error is a failure with a name. Its text never holds a credential.
type Error struct {
	Result   orchestrator.Result
	Code     orchestrator.Code
	Repo     string // without credentials
	Words    string // what is wrong; the server's own words where there are any
	Hint     string // what would help
	Services []rings.ServiceName
	err      error
}

// Error says which repository and what is wrong, without the hint.
func (e *Error) Error() string {
	if e.Repo == "" {
		return e.Words
	}
	return e.Repo + ": " + e.Words
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.err }

var (
	// errBroken: the mirror cannot be read; it is cloned anew.
	errBroken = errors.New("the mirror is broken")
	// errStale: the branch moved on since it was fetched.
	errStale = errors.New("the branch moved on")
)

// refusal is an Error that trying again does not mend.
func refusal(code orchestrator.Code, hint, format string, args ...any) *Error {
	return &Error{Result: orchestrator.Refused, Code: code, Hint: hint, Words: fmt.Sprintf(format, args...)}
}

var userinfo = regexp.MustCompile(`://[^/@\s"']*@`)

// redact takes credentials out of the URLs in a text.
func redact(s string) string {
	return userinfo.ReplaceAllString(s, "://")
}

// fail names whatever went wrong while talking to the remote. What is named
// already gets the repository's name. nil stays nil.
func (r *remote) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Repo == "" && e.Code != orchestrator.CodeFile {
			e.Repo = r.name
		}
		e.Words = redact(e.Words)
		return e
	}
	e := r.classify(ctx, err)
	e.Repo, e.err, e.Words = r.name, err, redact(e.Words)
	return e
}

func (r *remote) classify(ctx context.Context, err error) *Error {
	switch {
	case ctx.Err() != nil, isTimeout(err):
		return &Error{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach,
			Words: "no answer before the deadline: " + withoutURL(err).Error(),
			Hint:  "is the server up? " + r.probe()}
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return refusal(orchestrator.CodeAuth, "", "the server did not accept the credentials: %v", err)
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return r.denied(err.Error())
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return r.absent(err.Error())
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return refusal(orchestrator.CodeNotFound, "push a first commit to it", "the repository is empty")
	}
	if e := r.fromStatus(err); e != nil {
		return e
	}
	if e := r.fromWords(err.Error()); e != nil {
		return e
	}
	if isNetwork(err) {
		return &Error{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach,
			Words: "cannot be reached: " + withoutURL(err).Error(), Hint: r.probe()}
	}
	return refusal(orchestrator.CodeUnexpected, "", "%v", err)
}

// fromStatus names an HTTP status that is none of the usual ones.
func (r *remote) fromStatus(err error) *Error {
	status, ok := httpStatus(err)
	if !ok {
		return nil
	}
	words := fmt.Sprintf("the server answered with HTTP status %d", status)
	if h, ok := errors.AsType[*githttp.Err](err); ok && h.Reason != "" {
		words += ": " + oneLine(h.Reason)
	}
	if status >= 500 || status == 429 || status == 408 {
		return &Error{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, Words: words, Hint: r.probe()}
	}
	return refusal(orchestrator.CodeUnexpected, "", "%s", words)
}

func httpStatus(err error) (int, bool) {
	if h, ok := errors.AsType[*githttp.Err](err); ok {
		return h.StatusCode(), true
	}
	return 0, false
}

// fromWords names what git servers say over SSH, or in an ERR line, before
// anything was pushed.
func (r *remote) fromWords(words string) *Error {
	low := strings.ToLower(words)
	switch {
	case containsAny(low, "read only", "read-only", "does not have write access", "not allowed to push",
		"not authorized to write", "access denied", "permission to", "insufficient permission", "not allowed to upload"):
		return r.denied(words)
	case containsAny(low, "repository not found", "does not appear to be a git repository", "no such repository",
		"repository does not exist", "could not be found"):
		return r.absent(words)
	}
	return nil
}

func (r *remote) denied(words string) *Error {
	return refusal(orchestrator.CodeDenied,
		fmt.Sprintf("give the account or key write access to %s", r.name),
		"the server knows the credentials but does not allow this: %s", oneLine(words))
}

func (r *remote) absent(words string) *Error {
	e := refusal(orchestrator.CodeNotFound,
		"check the URL; a private repository also looks like this to an account that may not read it", "repository not found")
	// The transport's own words say no more than that; the server's may.
	said := strings.TrimRight(strings.TrimPrefix(oneLine(words), transport.ErrRepositoryNotFound.Error()), ": ")
	if said = strings.TrimLeft(said, ": "); said != "" {
		e.Words += ": " + said
	}
	return e
}

// probe is a command that shows the same failure.
func (r *remote) probe() string {
	return "try: git ls-remote " + r.name
}

// withoutURL is what went wrong without the request's address, which says the
// repository again.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func isNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return containsAny(strings.ToLower(err.Error()), "eof", "connection reset", "connection refused",
		"broken pipe", "closed network connection", "connection lost", "tls:", "x509:")
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// oneLine joins the lines of a server's words.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
