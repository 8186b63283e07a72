package checks

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"rollout/orchestrator"
	"rollout/rings"
)

// Checker takes samples of checks. It keeps nothing between two of them, no
// connection either, and is safe for concurrent use.
type Checker struct {
	client http.Client
}

var _ orchestrator.Checker = (*Checker)(nil)

// New returns a Checker that reaches servers as the environment says
// (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).
func New() *Checker {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // the next sample is a minute away
	return &Checker{client: http.Client{Transport: transport}}
}

// Check implements [orchestrator.Checker]. It ends with ctx, and with the
// check's own timeout; a command whose output is still held open then, by a
// process that left its group, takes a second longer.
func (c *Checker) Check(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	check := j.Action.Check
	if check == nil {
		return silent("the action names no check")
	}
	within := check.Within()
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("%w within %s", errNoAnswer, within))
	defer cancel()
	switch check.Kind {
	case rings.CheckCommand:
		return command(ctx, j)
	case rings.CheckHTTP:
		return c.http(ctx, *check)
	case rings.CheckPrometheus:
		return c.prometheus(ctx, *check)
	}
	return silent("checks of kind %q cannot be asked", check.Kind)
}

// errNoAnswer is the cause when a sample's own time is up.
var errNoAnswer = errors.New("no answer")

// outOfTime says that the time is up, or that the driver stopped; "" while ctx
// has not ended.
func outOfTime(ctx context.Context) string {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return ""
	case errors.Is(cause, errNoAnswer):
		return cause.Error()
	}
	return "stopped before there was an answer"
}

func well(format string, args ...any) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.OK, Words: fmt.Sprintf(format, args...)}
}

func badly(format string, args ...any) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeCheck, Words: fmt.Sprintf(format, args...)}
}

// silent is the outcome of a sample that says nothing about the ring.
func silent(format string, args ...any) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Unknown, Words: fmt.Sprintf(format, args...)}
}

func unreachable(format string, args ...any) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, Words: fmt.Sprintf(format, args...)}
}
