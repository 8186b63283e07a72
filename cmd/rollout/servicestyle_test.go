package main

import (
	"slices"
	"strings"
	"testing"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

func in(paths ...string) exists {
	return func(at string) (bool, error) { return slices.Contains(paths, at), nil }
}

// A version in values that no chart reads is refused, and shown where to put it.
func TestCheckStyle(t *testing.T) {
	for _, tc := range []struct {
		name, file, field string
		there             exists
		words, hint       string
	}{
		{"a chart in the folder", "", "", in("deploy/Chart.yaml"), "", ""},
		{"a chart elsewhere", "helm: {chart: ./chart}", "", in(), "", ""},
		{"a chart, kustomized", "kustomize: {dir: x}", "", in("deploy/Chart.yaml"), "", ""},
		{"kustomize", "", "", in("deploy/kustomization.yaml"), "its kustomization, and nothing reads helm.values.image.tag", "--field 'kustomize.dir=overlays/{version}'"},
		{"kustomize by the ring", "targetCustomizations: [{kustomize: {dir: x}}]", "", in(), "its kustomization", "deploy/templates/: the manifests"},
		{"raw", "", "helm.values.image=reg/web:{version}", in(), "its manifests as they are, and nothing reads helm.values.image", "--field 'yaml.overlays.0={version}'"},
		{"raw with a folder", "", "yaml.overlays.0={version}", in(), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := fleetyaml.Parse("fleet.yaml", []byte(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			s := rings.Service{Name: "web", Repo: "https://git.example.com/web.git", Path: "deploy", Fields: []string{cmpHint(tc.field, rings.DefaultField)}}
			err = checkStyle(f, s, tc.there)
			if tc.words == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if v := classify(err); err == nil || !strings.Contains(err.Error(), tc.words) || v.exit != exitInvalid || !strings.Contains(v.hint, tc.hint) {
				t.Errorf("%v\nhint %s", err, classify(err).hint)
			}
		})
	}
}

func TestCheckFolders(t *testing.T) {
	s := rings.Service{Name: "web", Path: "deploy", Branch: "main", Fields: []string{"kustomize.dir=overlays/{version}"}}
	there := in("deploy/overlays/v1/kustomization.yaml")
	if err := checkFolders(s, []rings.Version{"v1"}, there); err != nil {
		t.Error(err)
	}
	if err := checkFolders(s, []rings.Version{"v1", "v2"}, there); err == nil || !strings.Contains(err.Error(), "deploy/overlays/v2/kustomization.yaml") {
		t.Errorf("got %v", err)
	}
}
