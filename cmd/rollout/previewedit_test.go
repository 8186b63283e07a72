package main

import (
	"testing"

	"rollout/orchestrator"
	"rollout/rings"
)

// A step writes the settings that it brings, and no others that the service has:
// of a plan with a version alone, none.
func TestStepLook_change_settings(t *testing.T) {
	replicas := rings.Setting{Name: "replicas", Field: "helm.values.replicas", Type: rings.SettingInt}
	web := rings.Service{Name: "web", Settings: []rings.Setting{replicas}}
	for _, test := range []struct {
		values rings.Values
		want   int
	}{{nil, 0}, {rings.Values{"replicas": "5"}, 1}} {
		s := &stepLook{prospect: &prospect{app: &rings.Application{Name: "shop"}}, look: &serviceLook{service: web},
			step: orchestrator.NewStep{Ring: "ring-1", To: "v2", Settings: test.values}}
		if got := s.change(2).Settings; len(got) != test.want {
			t.Errorf("with %v it writes %+v", test.values, got)
		}
	}
}
