package fleetyaml_test

import (
	"testing"

	"rollout/fleet/fleetyaml"
)

func TestField_Check(t *testing.T) {
	for field, want := range map[fleetyaml.Field]fleetyaml.Code{
		fleetyaml.DefaultField:         "",
		"helm.values.tag":              "",
		`helm.values.a\.b.c`:           "",
		"helm.values.list.0.tag":       "",
		"helm.version":                 fleetyaml.CodeRedeploys,
		"helm.chart":                   fleetyaml.CodeRedeploys,
		"helm.repo":                    fleetyaml.CodeRedeploys,
		"helm.values":                  fleetyaml.CodeField,
		"helm.values.":                 fleetyaml.CodeField,
		"helm.templateValues.x":        fleetyaml.CodeField,
		"kustomize.dir":                fleetyaml.CodeField,
		"yaml.overlays.0":              fleetyaml.CodeField,
		"forceSyncGeneration":          fleetyaml.CodeField,
		"clusterSelector.matchLabels.": fleetyaml.CodeField,
		"":                             fleetyaml.CodeField,
	} {
		var got fleetyaml.Code
		if e := field.Check(); e != nil {
			got = e.Code
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", field, got, want)
		}
	}
}
