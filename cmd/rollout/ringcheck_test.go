package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

// What a check is written as is what it is shown as.
func TestParseCheck(t *testing.T) {
	tests := []struct {
		text string
		want rings.Check
		spec string
	}{
		{"smoke=command ./smoke.sh --ring=a", rings.Check{Name: "smoke", Kind: "command", Command: "./smoke.sh --ring=a"}, "command ./smoke.sh --ring=a"},
		{"smoke=command a=1; ./b; exit $a", rings.Check{Name: "smoke", Kind: "command", Command: "a=1; ./b; exit $a"}, "command a=1; ./b; exit $a"},
		{"smoke=command ./b;timeout=1500ms ; samples=3;failures=1",
			rings.Check{Name: "smoke", Kind: "command", Command: "./b", Timeout: 1500 * time.Millisecond, Samples: 3, FailureLimit: 1},
			"command ./b; timeout=1.5s; samples=3; failures=1"},
		{"up=http https://x.example.com/?a=b; interval=90s", rings.Check{Name: "up", Kind: "http", URL: "https://x.example.com/?a=b", Interval: 90 * time.Second},
			"http https://x.example.com/?a=b; interval=1m30s"},
		{`e=prometheus http://p:9090 sum(rate(x{code=~"5..", a="b"}[5m])) <= 0.01`,
			rings.Check{Name: "e", Kind: "prometheus", URL: "http://p:9090", Query: `sum(rate(x{code=~"5..", a="b"}[5m]))`, Threshold: "<= 0.01"},
			`prometheus http://p:9090 sum(rate(x{code=~"5..", a="b"}[5m])) <= 0.01`},
		{`e=prometheus http://p:9090 'x > 1'>=2; samples=5`, rings.Check{Name: "e", Kind: "prometheus", URL: "http://p:9090", Query: "x > 1", Threshold: ">= 2", Samples: 5},
			"prometheus http://p:9090 x > 1 >= 2; samples=5"},
	}
	for _, tt := range tests {
		got, err := parseCheck(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, d)
		}
		if spec := checkSpec(got); spec != tt.spec {
			t.Errorf("%s is shown as %s, want %s", tt.text, spec, tt.spec)
		}
		if again, err := parseCheck(got.Name + "=" + checkSpec(got)); err != nil || !cmp.Equal(again, got) {
			t.Errorf("%s is read back as %+v, %v", tt.text, again, err)
		}
	}
}
