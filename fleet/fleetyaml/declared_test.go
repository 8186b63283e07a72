package fleetyaml_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet/fleetyaml"
)

func TestFile_declared(t *testing.T) {
	f, err := fleetyaml.Parse("fleet.yaml", []byte(`
labels: {tier: data}
dependsOn:
- name: shop-db
- selector: {matchLabels: {tier: cache}}
helm: {values: {base: {tag: v0}}}
targetCustomizations:
- name: a
  clusterGroup: g
  helm: {values: {web: {image: {tag: v1, pullPolicy: Always}}, my.sidecar: {version: 1.5}, replicas: 3}}
- clusterSelector: {matchLabels: {ring: b}}
  helm: {values: {web: {image: {tag: v1}}, imageTag: [no]}}
- clusterName: c
`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"tier": "data"}, f.Labels()); d != "" {
		t.Errorf("labels: %s", d)
	}
	want := []fleetyaml.Dependency{{Name: "shop-db"}, {Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "cache"}}}}
	if d := cmp.Diff(want, f.Dependencies()); d != "" {
		t.Errorf("dependencies: %s", d)
	}
	if d := cmp.Diff([]fleetyaml.Field{`helm.values.my\.sidecar.version`, "helm.values.web.image.tag"}, f.Candidates()); d != "" {
		t.Errorf("candidates: %s", d)
	}
	entries := []fleetyaml.Target{{Name: "a", ClusterGroup: "g"}, {ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": "b"}}}, {ClusterName: "c"}}
	if d := cmp.Diff(entries, f.Entries()); d != "" {
		t.Errorf("entries: %s", d)
	}
}

func TestFile_declared_nothing(t *testing.T) {
	f, err := fleetyaml.Parse("fleet.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Labels() != nil || f.Dependencies() != nil || f.Candidates() != nil || f.Entries() != nil {
		t.Error("an empty file says something")
	}
}
