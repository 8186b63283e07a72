package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

// checkUsage is how a check is written, on the command line and where it is
// shown.
const checkUsage = `A check is NAME=SPEC, in quotes, with a SPEC of

   command CMD...                    run by the shell of the host that drives; well is 0
   http URL                          well is 2xx
   prometheus URL QUERY OP VALUE     well is when every value of the query holds; OP is <, <=, >, >= or ==

and at its end, each after a semicolon and all of them optional: interval=1m (between two samples), timeout=30s (of one
sample), samples=1 (that must answer well), failures=0 (that may answer badly). A NAME that is there is replaced.`

// repeated is a flag's values as they were written; a comma does not part them.
type repeated []string

// Set takes one more value.
func (r *repeated) Set(value string) error {
	*r = append(*r, value)
	return nil
}

// String is for the help: there is no default.
func (r *repeated) String() string { return "" }

func checkPolicy() policyFlag {
	return policyFlag{&cli.GenericFlag{Name: "check", Usage: "`NAME=SPEC` of something that must answer well before the ring is done; several allowed", Value: &repeated{}},
		func(c *cli.Context, r *rings.Ring) error {
			p := &r.Policy
			for _, text := range *c.Generic("check").(*repeated) {
				check, err := parseCheck(text)
				if err != nil {
					return err
				}
				if i := checkIndex(*p, check.Name); i >= 0 {
					p.Checks[i] = check
				} else {
					p.Checks = append(p.Checks, check)
				}
			}
			return nil
		}}
}

func removeCheckPolicy() policyFlag {
	return policyFlag{&cli.StringSliceFlag{Name: "remove-check", Usage: "`NAME` of a check that is not wanted any more; several allowed"},
		func(c *cli.Context, r *rings.Ring) error {
			p := &r.Policy
			for _, name := range c.StringSlice("remove-check") {
				i := checkIndex(*p, name)
				if i < 0 {
					return &rings.UnknownError{Kind: "check", Name: name, Nearest: rings.Nearest(name, checkNames(*p))}
				}
				p.Checks = slices.Delete(p.Checks, i, i+1)
			}
			return nil
		}}
}

func checkIndex(p rings.Policy, name string) int {
	return slices.Index(checkNames(p), name)
}

func checkNames(p rings.Policy) []string {
	out := make([]string, len(p.Checks))
	for i, c := range p.Checks {
		out[i] = c.Name
	}
	return out
}

var (
	checkOption     = regexp.MustCompile(`^(.*);\s*([a-z]+)=(\S*)\s*$`)
	prometheusParts = regexp.MustCompile(`^(\S+)\s+(.+?)\s*(<=|>=|==|<|>)\s*([^\s<>=]+)$`)
)

// parseCheck reads NAME=SPEC. Whether the check makes sense is the model's to
// say.
func parseCheck(text string) (rings.Check, error) {
	name, spec, _ := strings.Cut(text, "=")
	c := rings.Check{Name: strings.TrimSpace(name)}
	bad := func(format string, args ...any) error {
		return &usageError{what: fmt.Sprintf("flag --check: %q: ", text) + fmt.Sprintf(format, args...), hint: `"rollout ring update --help" shows how a check is written`}
	}
	for m := checkOption.FindStringSubmatch(spec); m != nil; m = checkOption.FindStringSubmatch(spec) {
		if err := setCheckOption(&c, m[2], m[3]); err != nil {
			return c, bad("%v", err)
		}
		spec = m[1]
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(spec), " ")
	c.Kind, rest = rings.CheckKind(kind), strings.TrimSpace(rest)
	switch {
	case kind == "":
		return c, bad("it is not NAME=SPEC")
	case c.Kind == rings.CheckCommand:
		c.Command = rest
	case c.Kind == rings.CheckHTTP:
		c.URL = rest
	case c.Kind == rings.CheckPrometheus:
		m := prometheusParts.FindStringSubmatch(rest)
		if m == nil {
			return c, bad("it is not prometheus URL QUERY OP VALUE")
		}
		c.URL, c.Query, c.Threshold = m[1], unquote(m[2]), m[3]+" "+m[4]
	default:
		return c, bad("%q is none of command, http and prometheus", kind)
	}
	return c, nil
}

func setCheckOption(c *rings.Check, name, value string) (err error) {
	switch name {
	case "interval":
		c.Interval, err = time.ParseDuration(value)
	case "timeout":
		c.Timeout, err = time.ParseDuration(value)
	case "samples":
		c.Samples, err = strconv.Atoi(value)
	case "failures":
		c.FailureLimit, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("there is no option %q: one of interval, timeout, samples, failures", name)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: it takes a %s", name, value, map[bool]string{true: "duration such as 30s", false: "number"}[name == "interval" || name == "timeout"])
	}
	return nil
}

// unquote takes the quotes away from a query that a person put all of it in.
func unquote(query string) string {
	if n := len(query); n > 2 && (query[0] == '"' || query[0] == '\'') && strings.IndexByte(query[1:], query[0]) == n-2 {
		return query[1 : n-1]
	}
	return query
}

// checkSpec is the SPEC that parseCheck reads. What is the default is left out.
func checkSpec(c rings.Check) string {
	words := string(c.Kind)
	switch c.Kind {
	case rings.CheckCommand:
		words += " " + c.Command
	case rings.CheckHTTP:
		words += " " + c.URL
	case rings.CheckPrometheus:
		words += fmt.Sprintf(" %s %s %s", c.URL, c.Query, c.Threshold)
	}
	option := func(given bool, format string, value any) {
		if given {
			words += fmt.Sprintf("; "+format, value)
		}
	}
	option(c.Interval > 0, "interval=%s", exactly(c.Interval))
	option(c.Timeout > 0, "timeout=%s", exactly(c.Timeout))
	option(c.Samples > 0, "samples=%d", c.Samples)
	option(c.FailureLimit > 0, "failures=%d", c.FailureLimit)
	return words
}

// exactly is the duration as people write it, parts of a second included.
func exactly(d time.Duration) string {
	if d%time.Second != 0 {
		return d.String()
	}
	return orchestrator.Duration(d)
}
