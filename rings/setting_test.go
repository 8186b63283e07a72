package rings_test

import (
	"errors"
	"strings"
	"testing"

	"rollout/rings"
)

func bound(n float64) *float64 { return &n }

func TestSetting_Parse(t *testing.T) {
	upTo20 := rings.Setting{Name: "n", Field: "helm.values.n", Type: rings.SettingInt, Min: bound(1), Max: bound(20)}
	number, yes := rings.Setting{Type: rings.SettingNumber}, rings.Setting{Type: rings.SettingBool}
	text := rings.Setting{Type: rings.SettingString}
	for _, test := range []struct {
		setting      rings.Setting
		in, out, err string
	}{
		{upTo20, "5", "5", ""},
		{upTo20, "05", "", "not an int"},
		{upTo20, "5.0", "", "not an int"},
		{upTo20, "", "", "not an int"},
		{upTo20, "0", "", "0 is below the minimum 1"},
		{upTo20, "21", "", "21 is above the maximum 20"},
		{rings.Setting{Type: rings.SettingInt}, "9007199254740993", "", "not an int"},
		{rings.Setting{Type: rings.SettingInt}, "1000000", "1000000", ""},
		{number, "1.50", "1.5", ""},
		{number, "2", "2", ""},
		{number, "Inf", "", "not a number"},
		{number, "0x10", "", "not a number"},
		{yes, "true", "true", ""},
		{yes, "yes", "", "true or false"},
		{text, "fast mode", "fast mode", ""},
		{text, " x", "", "not a text"},
		{text, "a\nb", "", "not a text"},
		{text, "${ .ClusterName }", "", "not a text"},
	} {
		got, err := test.setting.Parse(test.in)
		if got != test.out || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s %q: got %q, %v, want %q, %q", test.setting.Type, test.in, got, err, test.out, test.err)
		}
	}
}

// TestService_settings: everything that is wrong with a service's settings is
// said at once.
func TestService_settings(t *testing.T) {
	s := rings.Service{Name: "web", Repo: "r", Settings: []rings.Setting{
		{Name: "version", Field: "helm.values.a", Type: rings.SettingInt},
		{Name: "b", Field: "namespace", Type: "float"},
		{Name: "c", Field: "helm.values.image.tag", Type: rings.SettingString, Min: bound(1)},
		{Name: "d", Field: "helm.values.d", Type: rings.SettingInt, Min: bound(5), Max: bound(3)},
		{Name: "d", Field: "helm.values.d", Type: rings.SettingInt},
		{Name: "1e", Type: rings.SettingInt},
	}}
	err := s.Validate()
	for _, want := range []string{
		`setting "version": the version is not a setting`, `setting "b": field "namespace" is not a path below helm.values`, `setting "b": type "float" is none of int, number, bool, string`,
		`setting "c": field helm.values.image.tag is the version already`, `setting "c": a string has no minimum`, `setting "d": its minimum 5 is above its maximum 3`,
		`setting "d" exists already`, `setting "d": field helm.values.d is setting "d" already`, `setting "1e": a name has up to 63`, `setting "1e": it has no field`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := s.Setting("e"); !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestRelease_settings(t *testing.T) {
	r := rings.Release{App: "shop", Number: 1, Settings: map[rings.ServiceName]rings.Values{"web": {"n": "5"}}}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if e := r.Plan()["web"]; e.Version != "" || e.Values().String() != "n=5" {
		t.Errorf("the plan is %+v", e)
	}
	other := r
	other.Settings = map[rings.ServiceName]rings.Values{"web": {"n": "6"}}
	if d := r.Difference(other); len(d) != 1 || d[0] != `web.n: "5" there, "6" here` {
		t.Errorf("they differ in %q", d)
	}
}
