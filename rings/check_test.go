package rings_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

func TestCheck_Holds(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		threshold  string
		good, evil []float64
	}{
		{"< 1", []float64{0.99, -5, -inf}, []float64{1, 1.01, inf, nan}},
		{"<= 0.01", []float64{0.01, 0, -inf}, []float64{0.010001, inf, nan}},
		{"> 1", []float64{1.01, inf}, []float64{1, 0, -inf, nan}},
		{">= 99.9", []float64{99.9, 100, inf}, []float64{99.8999, -inf, nan}},
		{"== 0", []float64{0, math.Copysign(0, -1)}, []float64{1, -1, inf, nan}},
		{"  >=   -1e-3  ", []float64{-0.001, 0}, []float64{-0.0011, nan}},
	}
	for _, test := range tests {
		c := rings.Check{Threshold: test.threshold}
		for want, values := range map[bool][]float64{true: test.good, false: test.evil} {
			for _, v := range values {
				if got, err := c.Holds(v); got != want || err != nil {
					t.Errorf("%v holds against %q: %t, %v, want %t", v, test.threshold, got, err, want)
				}
			}
		}
	}
}

func TestCheck_Holds_unreadable(t *testing.T) {
	const needs, operator = ": an operator, a space and a number are needed, like \"<= 0.01\"", ": the operator is none of <, <=, >, >= and =="
	for threshold, want := range map[string]string{
		"": needs, "<": needs, "0.01": needs, "<=0.01": needs, "<= a": needs, "<= 1 2": needs,
		"<= NaN": needs, "<= Inf": needs, ">= -Inf": needs, "<= 1e999": needs,
		"!= 0": operator, "= 1": operator, "=< 1": operator, "below 1": operator,
	} {
		c := rings.Check{Threshold: threshold}
		for _, v := range []float64{0, 1, math.NaN()} {
			if holds, err := c.Holds(v); holds || message(err) != `threshold "`+threshold+`"`+want {
				t.Errorf("%v against %q: %t, %v", v, threshold, holds, err)
			}
		}
		if c.Worse(1, 0) || c.Worse(0, 1) {
			t.Errorf("threshold %q finds a value worse than another", threshold)
		}
	}
}

func TestCheck_Worse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		threshold    string
		worse, other float64
	}{
		{"< 1", 0.5, 0.4},
		{"<= 1", inf, 1e9},
		{"> 1", 0.4, 0.5},
		{">= 1", -inf, 0},
		{"== 10", 8, 11},
		{"== 10", inf, -100},
	}
	for _, test := range tests {
		c := rings.Check{Threshold: test.threshold}
		if !c.Worse(test.worse, test.other) || c.Worse(test.other, test.worse) {
			t.Errorf("against %q, %v must be worse than %v", test.threshold, test.worse, test.other)
		}
		for _, v := range []float64{test.worse, test.other} {
			if c.Worse(v, v) || c.Worse(v, nan) || c.Worse(nan, v) {
				t.Errorf("against %q, %v is worse than itself, or compares with NaN", test.threshold, v)
			}
		}
	}
}

func TestCheck_times(t *testing.T) {
	c := rings.Check{}
	if c.Every() != rings.DefaultInterval || c.Within() != rings.DefaultCheckTimeout {
		t.Errorf("by default every %s within %s", c.Every(), c.Within())
	}
	c = rings.Check{Interval: 5 * time.Second, Timeout: 2 * time.Second}
	if c.Every() != 5*time.Second || c.Within() != 2*time.Second {
		t.Errorf("every %s within %s, want 5s and 2s", c.Every(), c.Within())
	}
}

var (
	smoke  = rings.Check{Name: "smoke", Kind: rings.CheckCommand, Command: "./smoke"}
	health = rings.Check{Name: "health", Kind: rings.CheckHTTP, URL: "https://shop.example/health"}
	errs   = rings.Check{Name: "errors", Kind: rings.CheckPrometheus, URL: "http://prometheus.example:9090",
		Query: `sum(rate(errors[5m]))`, Threshold: "<= 0.01", Interval: time.Minute, Timeout: time.Second, Samples: 5, FailureLimit: 1}
)

func TestCheck_faults(t *testing.T) {
	const host = `: http:// or https:// and a host are needed`
	tests := []struct {
		name  string
		check rings.Check
		fault func(*rings.Check)
		want  []string
	}{
		{"command", smoke, func(*rings.Check) {}, nil},
		{"http", health, func(*rings.Check) {}, nil},
		{"prometheus", errs, func(*rings.Check) {}, nil},
		{"no name", smoke, func(c *rings.Check) { c.Name = "" }, []string{`check "": the name is empty`}},
		{"name", smoke, func(c *rings.Check) { c.Name = "Smoke" },
			[]string{`check "Smoke": a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit`}},
		{"short interval", smoke, func(c *rings.Check) { c.Interval = time.Millisecond }, []string{`check "smoke": interval 1ms: at least 1s is needed`}},
		{"negative timeout", smoke, func(c *rings.Check) { c.Timeout = -time.Minute }, []string{`check "smoke": timeout -1m0s: at least 1s is needed`}},
		{"negative samples", smoke, func(c *rings.Check) { c.Samples = -1 }, []string{`check "smoke": samples and the failure limit cannot be negative`}},
		{"negative failure limit", smoke, func(c *rings.Check) { c.FailureLimit = -1 }, []string{`check "smoke": samples and the failure limit cannot be negative`}},
		{"no kind", smoke, func(c *rings.Check) { c.Kind = "" }, []string{`check "smoke": kind "": one of "command", "http", "prometheus"`}},
		{"unknown kind", smoke, func(c *rings.Check) { c.Kind = "grpc" }, []string{`check "smoke": kind "grpc": one of "command", "http", "prometheus"`}},
		{"no command", smoke, func(c *rings.Check) { c.Command = "" }, []string{`check "smoke": the command is missing`}},
		{"blank command", smoke, func(c *rings.Check) { c.Command = " \n" }, []string{`check "smoke": the command is missing`}},
		{"command with a URL", smoke, func(c *rings.Check) { c.URL = health.URL }, []string{`check "smoke": the URL is not for kind "command"`}},
		{"http without a URL", health, func(c *rings.Check) { c.URL = "" }, []string{`check "health": the URL is missing`}},
		{"http with a threshold", health, func(c *rings.Check) { c.Threshold = "<= 1"; c.Query = "up" },
			[]string{`check "health": the query is not for kind "http"`, `check "health": the threshold is not for kind "http"`}},
		{"http with a command", health, func(c *rings.Check) { c.Command = "true" }, []string{`check "health": the command is not for kind "http"`}},
		{"URL without a scheme", health, func(c *rings.Check) { c.URL = "shop.example/health?token=abc" },
			[]string{`check "health": URL "shop.example/health"` + host}},
		{"URL of another scheme", health, func(c *rings.Check) { c.URL = "ftp://shop.example" }, []string{`check "health": URL "ftp://shop.example"` + host}},
		{"URL without a host", health, func(c *rings.Check) { c.URL = "https:///health" }, []string{`check "health": URL "https:///health"` + host}},
		{"credentials in the URL", health, func(c *rings.Check) { c.URL = "https://ann:secret@shop.example/health" },
			[]string{`check "health": the URL holds credentials; they are never stored: a command can take them from its environment`}},
		{"credentials without a scheme", health, func(c *rings.Check) { c.URL = "ann:secret@shop.example" },
			[]string{`check "health": the URL holds credentials; they are never stored: a command can take them from its environment`}},
		{"an @ in the path", health, func(c *rings.Check) { c.URL = "https://shop.example/@ann?to=a@b.example" }, nil},
		{"nothing to ask", errs, func(c *rings.Check) { c.URL, c.Query, c.Threshold = "", "", "" },
			[]string{`check "errors": the URL is missing`, `check "errors": the query is missing`, `check "errors": the threshold is missing`}},
		{"threshold", errs, func(c *rings.Check) { c.Threshold = "0.01" },
			[]string{`check "errors": threshold "0.01": an operator, a space and a number are needed, like "<= 0.01"`}},
		{"operator", errs, func(c *rings.Check) { c.Threshold = "!= 1" },
			[]string{`check "errors": threshold "!= 1": the operator is none of <, <=, >, >= and ==`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := test.check
			test.fault(&c)
			err := rings.Ring{Name: "ring-1", Policy: rings.Policy{Checks: []rings.Check{c}}}.Validate()
			if diff := cmp.Diff(test.want, faultsIn(err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if strings.Contains(message(err), "secret") || strings.Contains(message(err), "token") {
				t.Errorf("shows a credential: %v", err)
			}
		})
	}
}
