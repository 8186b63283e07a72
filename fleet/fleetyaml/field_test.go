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
		"helm.values.image=reg.example.com:5000/web:{version}": "",
		"helm.values.image=reg/web":                            fleetyaml.CodeFormat,
		"helm.values.image=":                                   fleetyaml.CodeFormat,
		"helm.values.image={version}/{version}":                fleetyaml.CodeFormat,
		"helm.values.image=${ .ClusterName }:{version}":        fleetyaml.CodeFormat,
		"helm.version=v{version}":                              fleetyaml.CodeRedeploys,
		"kustomize.dir=overlays/{version}":                     "",
		"yaml.overlays.0={version}":                            "",
		"yaml.overlays={version}":                              fleetyaml.CodeField,
		"kustomize.other={version}":                            fleetyaml.CodeField,
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

func TestField_Needs(t *testing.T) {
	for field, want := range map[fleetyaml.Field]string{
		fleetyaml.DefaultField:                "",
		"helm.values.image=reg/web:{version}": "",
		"kustomize.dir=/overlays/{version}/":  "overlays/v2/kustomization.yaml",
		"kustomize.dir=overlays/{version}/eu": "overlays/v2/eu/kustomization.yaml",
		"yaml.overlays.0=rel-{version}":       "overlays/rel-v2",
	} {
		if got := field.Needs("v2"); got != want {
			t.Errorf("%q needs %q, want %q", field, got, want)
		}
	}
}

func TestFile_NamesChart(t *testing.T) {
	for text, want := range map[string][2]bool{
		"":                           {false, false},
		"helm: {values: {a: b}}":     {false, false},
		"helm: {chart: ./chart}":     {true, false},
		"kustomize: {dir: overlays}": {false, true},
		"targetCustomizations: [{name: a, helm: {repo: https://charts.example.com}, kustomize: {dir: x}}]": {true, true},
	} {
		f, err := fleetyaml.Parse("fleet.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{f.NamesChart(), f.NamesKustomization()}; got != want {
			t.Errorf("%q names a chart, a kustomization: %v, want %v", text, got, want)
		}
	}
}
