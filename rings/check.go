package rings

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Check is something outside that must answer well before a ring counts as
// done: a command, an HTTP call, or a Prometheus query with a threshold.
type Check struct {
	Name string    `json:"name"`
	Kind CheckKind `json:"kind"`
	// Command is run by the shell of the host that drives the rollout: well
	// means that it ends with 0.
	Command string `json:"command,omitempty"`
	// URL is what is called: well means 2xx. For Prometheus it is the server's,
	// to which /api/v1/query is added.
	URL string `json:"url,omitempty"`
	// Query and Threshold are for Prometheus: well means that every value that
	// the query returns holds against the threshold, "<= 0.01"; no value, and
	// one that is not a number, is never well.
	Query     string `json:"query,omitempty"`
	Threshold string `json:"threshold,omitempty"`

	// Interval is the time between two samples; zero means [DefaultInterval].
	Interval time.Duration `json:"interval,omitempty"`
	// Timeout bounds one sample; zero means [DefaultCheckTimeout].
	Timeout time.Duration `json:"timeout,omitempty"`
	// Samples is how many must answer well at least; zero means 1.
	Samples int `json:"samples,omitempty"`
	// FailureLimit is how many may answer badly.
	FailureLimit int `json:"failureLimit,omitempty"`
}

// CheckKind says who is asked.
type CheckKind string

// Kinds of checks.
const (
	CheckCommand    CheckKind = "command"
	CheckHTTP       CheckKind = "http"
	CheckPrometheus CheckKind = "prometheus"
)

const (
	// DefaultInterval is the time between two samples of a check.
	DefaultInterval = time.Minute
	// DefaultCheckTimeout bounds one sample.
	DefaultCheckTimeout = 30 * time.Second
)

// Every is the time between two samples.
func (c Check) Every() time.Duration {
	if c.Interval > 0 {
		return c.Interval
	}
	return DefaultInterval
}

// Within bounds one sample.
func (c Check) Within() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultCheckTimeout
}

// Holds reports whether the value is on the good side of the threshold. NaN
// never is. A threshold that cannot be read is an error.
func (c Check) Holds(value float64) (bool, error) {
	op, text, _ := strings.Cut(strings.TrimSpace(c.Threshold), " ")
	limit, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return false, fmt.Errorf("threshold %q: an operator, a space and a number are needed, like \"<= 0.01\"", c.Threshold)
	}
	switch op {
	case "<":
		return value < limit, nil
	case "<=":
		return value <= limit, nil
	case ">":
		return value > limit, nil
	case ">=":
		return value >= limit, nil
	case "==":
		return value == limit, nil
	}
	return false, fmt.Errorf("threshold %q: the operator is none of <, <=, >, >= and ==", c.Threshold)
}

// faults names all that is wrong with the check.
func (c Check) faults() []string {
	what := fmt.Sprintf("check %q: ", c.Name)
	out := []string{CheckName("check", c.Name), checkDuration(what+"interval", c.Interval), checkDuration(what+"timeout", c.Timeout)}
	if c.Samples < 0 || c.FailureLimit < 0 {
		out = append(out, what+"samples and the failure limit cannot be negative")
	}
	switch c.Kind {
	case CheckCommand:
		if c.Command == "" {
			out = append(out, what+"the command is missing")
		}
	case CheckHTTP, CheckPrometheus:
		if !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://") {
			out = append(out, fmt.Sprintf("%sURL %q: http:// or https:// is needed", what, c.URL))
		}
	default:
		out = append(out, fmt.Sprintf("%skind %q: one of \"command\", \"http\", \"prometheus\"", what, string(c.Kind)))
	}
	if c.Kind == CheckPrometheus {
		if c.Query == "" {
			out = append(out, what+"the query is missing")
		}
		if _, err := c.Holds(0); err != nil {
			out = append(out, what+err.Error())
		}
	}
	return out
}
