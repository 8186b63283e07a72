package rings

import (
	"fmt"
	"math"
	"slices"
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
	// URL is what is called, without credentials: well means 2xx. For Prometheus
	// it is the server's, to which /api/v1/query is added.
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
	op, limit, err := c.limit()
	switch op {
	case "<":
		return value < limit, err
	case "<=":
		return value <= limit, err
	case ">":
		return value > limit, err
	case ">=":
		return value >= limit, err
	case "==":
		return value == limit, err
	}
	return false, err
}

// Worse reports whether a is further to the bad side of the threshold than b,
// so that the worst of several values can be named. It is false when either is
// NaN, and when the threshold cannot be read.
func (c Check) Worse(a, b float64) bool {
	op, limit, _ := c.limit()
	switch op {
	case "<", "<=":
		return a > b
	case ">", ">=":
		return a < b
	case "==":
		return math.Abs(a-limit) > math.Abs(b-limit)
	}
	return false
}

// limit reads the threshold; the operator is "" when that is an error.
func (c Check) limit() (op string, limit float64, err error) {
	op, text, _ := strings.Cut(strings.TrimSpace(c.Threshold), " ")
	limit, err = strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(limit) || math.IsInf(limit, 0) {
		return "", 0, fmt.Errorf("threshold %q: an operator, a space and a number are needed, like \"<= 0.01\"", c.Threshold)
	}
	if !slices.Contains([]string{"<", "<=", ">", ">=", "=="}, op) {
		return "", 0, fmt.Errorf("threshold %q: the operator is none of <, <=, >, >= and ==", c.Threshold)
	}
	return op, limit, nil
}

// faults names all that is wrong with the check.
func (c Check) faults() []string {
	what := fmt.Sprintf("check %q: ", c.Name)
	out := []string{CheckName("check", c.Name), checkDuration(what+"interval", c.Interval), checkDuration(what+"timeout", c.Timeout)}
	if c.Samples < 0 || c.FailureLimit < 0 {
		out = append(out, what+"samples and the failure limit cannot be negative")
	}
	if !slices.Contains([]CheckKind{CheckCommand, CheckHTTP, CheckPrometheus}, c.Kind) {
		return append(out, fmt.Sprintf("%skind %q: one of \"command\", \"http\", \"prometheus\"", what, string(c.Kind)))
	}
	for _, f := range c.kindFaults() {
		if f != "" {
			out = append(out, what+f)
		}
	}
	return out
}

// kindFaults names what the check lacks for its kind, and what it has that its
// kind never looks at.
func (c Check) kindFaults() []string {
	calls, asks := c.Kind != CheckCommand, c.Kind == CheckPrometheus
	out := []string{
		c.fieldFault("command", c.Command, !calls), c.fieldFault("URL", c.URL, calls),
		c.fieldFault("query", c.Query, asks), c.fieldFault("threshold", c.Threshold, asks),
	}
	if calls && c.URL != "" {
		out = append(out, c.urlFault())
	}
	if _, _, err := c.limit(); asks && c.Threshold != "" && err != nil {
		out = append(out, err.Error())
	}
	return out
}

func (c Check) fieldFault(name, value string, needed bool) string {
	switch given := strings.TrimSpace(value) != ""; {
	case needed && !given:
		return fmt.Sprintf("the %s is missing", name)
	case given && !needed:
		return fmt.Sprintf("the %s is not for kind %q", name, string(c.Kind))
	}
	return ""
}

// urlFault never shows what could be a credential.
func (c Check) urlFault() string {
	shown, _, _ := strings.Cut(c.URL, "?")
	scheme, rest, found := strings.Cut(shown, "://")
	if !found {
		rest = shown
	}
	host, _, _ := strings.Cut(rest, "/")
	switch {
	case strings.Contains(host, "@"):
		return "the URL holds credentials; they are never stored: a command can take them from its environment"
	case !found || scheme != "http" && scheme != "https" || host == "":
		return fmt.Sprintf("URL %q: http:// or https:// and a host are needed", shown)
	}
	return ""
}
