package rings_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

// faultsIn are the faults that an InvalidError names; nil for no error.
func faultsIn(err error) []string {
	if e, ok := errors.AsType[*rings.InvalidError](err); ok {
		return e.Faults
	}
	return nil
}

// strict has a value in every field.
func strict() rings.Policy {
	return rings.Policy{
		Uptake: 2 * time.Minute, Converge: 90 * time.Second, Merge: 8 * time.Hour,
		ApproveBefore: true, ApproveAfter: true, ApprovalExpires: time.Hour,
		Soak:      30 * time.Minute,
		MaxFailed: rings.Amount{N: 10, Percent: true}, OnOffline: rings.OfflineSkip, MaxOffline: rings.Amount{N: 2},
		OnFailure: rings.FailureRollbackRing, OnJoin: rings.JoinLater, FreezeUpstream: true,
		Checks: []rings.Check{smoke, health, errs},
	}
}

func TestPolicy_json(t *testing.T) {
	full := reflect.ValueOf(strict())
	for i := range full.NumField() {
		if full.Field(i).IsZero() {
			t.Errorf("strict() has no %s, which would not be tested", full.Type().Field(i).Name)
		}
	}
	for name, want := range map[string]rings.Policy{"zero": {}, "strict": strict()} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			var got rings.Policy
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		})
	}
}

func TestPolicy_json_ofZeroIsEmpty(t *testing.T) {
	if text, err := json.Marshal(rings.Policy{}); string(text) != "{}" || err != nil {
		t.Errorf("json = %s, %v, want {}", text, err)
	}
}

func TestPolicy_json_amountsAreText(t *testing.T) {
	text, err := json.Marshal(rings.Policy{MaxFailed: rings.Amount{N: 10, Percent: true}})
	if want := `{"maxFailed":"10%"}`; string(text) != want || err != nil {
		t.Errorf("json = %s, %v, want %s", text, err, want)
	}
	var p rings.Policy
	if err := json.Unmarshal([]byte(`{"maxFailed":"many"}`), &p); err == nil {
		t.Errorf("read as %+v", p)
	}
}

func TestPolicy_faults(t *testing.T) {
	tests := []struct {
		name  string
		fault func(*rings.Policy)
		want  []string
	}{
		{"none", func(*rings.Policy) {}, nil},
		{"zero value", func(p *rings.Policy) { *p = rings.Policy{} }, nil},
		{"uptake", func(p *rings.Policy) { p.Uptake = time.Millisecond }, []string{"uptake deadline 1ms: at least 1s is needed"}},
		{"deadline", func(p *rings.Policy) { p.Converge = -time.Second }, []string{"deadline -1s: at least 1s is needed"}},
		{"soak", func(p *rings.Policy) { p.Soak = 999 * time.Millisecond }, []string{"soak 999ms: at least 1s is needed"}},
		{"one second", func(p *rings.Policy) {
			p.Uptake, p.Converge, p.Soak, p.ApprovalExpires = time.Second, time.Second, time.Second, time.Second
		}, nil},
		{"approval expiry", func(p *rings.Policy) { p.ApprovalExpires = -1 }, []string{"approval expiry -1ns: at least 1s is needed"}},
		{"on failure", func(p *rings.Policy) { p.OnFailure = "abort" },
			[]string{`on failure "abort": one of "stop", "pause", "rollback-ring", "rollback"`}},
		{"on offline", func(p *rings.Policy) { p.OnOffline = "ignore"; p.MaxOffline = rings.Amount{} },
			[]string{`on offline "ignore": one of "fail", "skip", "wait"`}},
		{"on join", func(p *rings.Policy) { p.OnJoin = "abort" }, []string{`on join "abort": one of "include", "later"`}},
		{"max offline alone", func(p *rings.Policy) { p.OnOffline = rings.OfflineFail },
			[]string{`max offline bounds what "on offline: skip" leaves out: set that, too`}},
		{"max offline and wait", func(p *rings.Policy) { p.OnOffline = rings.OfflineWait },
			[]string{`max offline bounds what "on offline: skip" leaves out: set that, too`}},
		{"wait", func(p *rings.Policy) { p.OnOffline = rings.OfflineWait; p.MaxOffline = rings.Amount{} }, nil},
		{"skip any number", func(p *rings.Policy) { p.MaxOffline = rings.Amount{N: 100, Percent: true} }, nil},
		{"every way to fail", func(p *rings.Policy) { p.OnFailure = rings.FailurePause }, nil},
		{"roll back all", func(p *rings.Policy) { p.OnFailure = rings.FailureRollback }, nil},
		{"check twice", func(p *rings.Policy) { p.Checks = append(p.Checks, smoke) }, []string{`check "smoke" is there twice`}},
		{"a fault of a check", func(p *rings.Policy) { p.Checks[0].Command = "" }, []string{`check "smoke": the command is missing`}},
		{"all at once", func(p *rings.Policy) {
			*p = rings.Policy{Uptake: 1, Converge: 1, Soak: 1, ApprovalExpires: 1, OnFailure: "a", OnOffline: "b", OnJoin: "c",
				MaxOffline: rings.Amount{N: 1}, Checks: []rings.Check{{Name: "x"}}}
		}, []string{
			"uptake deadline 1ns: at least 1s is needed", "deadline 1ns: at least 1s is needed",
			"soak 1ns: at least 1s is needed", "approval expiry 1ns: at least 1s is needed",
			`on failure "a": one of "stop", "pause", "rollback-ring", "rollback"`,
			`on offline "b": one of "fail", "skip", "wait"`, `on join "c": one of "include", "later"`,
			`max offline bounds what "on offline: skip" leaves out: set that, too`,
			`check "x": kind "": one of "command", "http", "prometheus"`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := strict()
			test.fault(&p)
			if diff := cmp.Diff(test.want, faultsIn(rings.Ring{Name: "ring-1", Policy: p}.Validate())); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
