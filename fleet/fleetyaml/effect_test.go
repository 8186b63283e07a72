package fleetyaml_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	fleet "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	fleetsyaml "sigs.k8s.io/yaml"

	"rollout/fleet/fleetyaml"
)

func mustParse(t testing.TB, src string) *fleetyaml.File {
	t.Helper()
	f, err := fleetyaml.Parse("fleet.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestParse_asFleet asserts that what Parse accepts, Fleet's own types accept, and that both see the same entries.
func TestParse_asFleet(t *testing.T) {
	for _, name := range corpus(t) {
		ar, err := readArchive(name)
		if err != nil {
			t.Fatal(err)
		}
		src := newTestCase(t, section(ar, "change")).encode(section(ar, "input"))
		f, err := fleetyaml.Parse("fleet.yaml", src)
		if err != nil {
			continue
		}
		var fy fleet.FleetYAML
		if err := fleetsyaml.Unmarshal(src, &fy); err != nil {
			t.Errorf("%s: Fleet refuses it: %v", name, err)
			continue
		}
		var nonce int64
		for _, e := range fy.TargetCustomizations {
			nonce = max(nonce, e.ForceSyncGeneration)
		}
		if f.BundleName() != fy.Name || f.MaxNonce() != nonce {
			t.Errorf("%s: got name %q nonce %d, Fleet reads %q and %d", name, f.BundleName(), f.MaxNonce(), fy.Name, nonce)
		}
	}
}

// TestParse_refusedByFleet asserts the other direction where it matters: scalars of the wrong type.
func TestParse_refusedByFleet(t *testing.T) {
	for _, src := range []string{
		"targetCustomizations: [{forceSyncGeneration: \"3\"}]",
		"targetCustomizations: [{forceSyncGeneration: 1.5}]",
		"targetCustomizations: [{helm: {version: 1.10}}]",
		"targetCustomizations: [{clusterSelector: [a]}]",
		"targetCustomizations: {a: b}",
		"overrideTargets: [a]",
		"helm: {values: [a]}",
		"name: [a]",
		"a: b: c",
		"a: *nowhere",
	} {
		_, err := fleetyaml.Parse("fleet.yaml", []byte(src))
		var e *fleetyaml.Error
		if !errors.As(err, &e) || e.Code != fleetyaml.CodeSyntax {
			t.Errorf("%s: got %v, want a %q", src, err, fleetyaml.CodeSyntax)
		}
		if err := fleetsyaml.Unmarshal([]byte(src), &fleet.FleetYAML{}); err == nil {
			t.Errorf("%s: Fleet accepts it", src)
		}
	}
}

// TestFile_Effect_merge walks through the rules by which Fleet merges, seen through the version and the digest.
func TestFile_Effect_merge(t *testing.T) {
	c := fleetyaml.Cluster{Name: "c1"}
	for _, tt := range []struct {
		name, src   string
		fields      []fleetyaml.Field
		wantVersion string
		wantFound   bool
		wantNonce   int64
	}{
		{"nothing", "", nil, "", false, 0},
		{"base", "helm: {values: {image: {tag: v1}}}", nil, "v1", true, 0},
		{"root nonce does not count", "forceSyncGeneration: 3\nhelm: {values: {image: {tag: v1}}}", nil, "v1", true, 0},
		{"entry over base", "helm: {values: {image: {tag: v1}}}\ntargetCustomizations: [{clusterName: c1, forceSyncGeneration: 4, helm: {values: {image: {tag: v2}}}}]", nil, "v2", true, 4},
		{"entry beside base", "helm: {values: {image: {tag: v1}}}\ntargetCustomizations: [{clusterName: c1, helm: {values: {image: {name: x}}}}]", nil, "v1", true, 0},
		{"null over base", "helm: {values: {image: {tag: v1}}}\ntargetCustomizations: [{clusterName: c1, helm: {values: {image: null}}}]", nil, "", false, 0},
		{"list replaces list", "helm: {values: {l: [{tag: v1}]}}\ntargetCustomizations: [{clusterName: c1, helm: {values: {l: [{name: x}]}}}]", []fleetyaml.Field{"helm.values.l.0.tag"}, "", false, 0},
		{"escaped key", "helm: {values: {\"a.b\": v1}}", []fleetyaml.Field{`helm.values.a\.b`}, "v1", true, 0},
		{"boolean", "helm: {values: {image: {tag: yes}}}", nil, "true", true, 0},
		{"negative nonce is none", "targetCustomizations: [{clusterName: c1, forceSyncGeneration: -4}]", nil, "", false, 0},
		{"chart version", "helm: {chart: x, version: v1}\ntargetCustomizations: [{clusterName: c1, helm: {version: v2}}]", []fleetyaml.Field{"helm.version"}, "v2", true, 0},
		{"AllMatches undoes a chart version", "targetCustomizationMode: AllMatches\nhelm: {chart: x, version: v1}\n" +
			"targetCustomizations: [{clusterName: c1, helm: {version: v2}}, {clusterName: c1, helm: {values: {a: b}}}]", []fleetyaml.Field{"helm.version"}, "v1", true, 0},
		{"last nonce wins", "targetCustomizationMode: AllMatches\ntargetCustomizations: [{clusterName: c1, forceSyncGeneration: 5}, {clusterName: c1, forceSyncGeneration: 4}, {clusterName: c1}]", nil, "", false, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := mustParse(t, tt.src).Effect(c, everything, tt.fields)
			if err != nil || e.Version != tt.wantVersion || e.Found != tt.wantFound || e.Nonce != tt.wantNonce {
				t.Errorf("got version %q found %v nonce %d, %v", e.Version, e.Found, e.Nonce, err)
			}
		})
	}
}

// TestFile_Effect_digest asserts that the digest sees everything but the version and the nonce.
func TestFile_Effect_digest(t *testing.T) {
	c := fleetyaml.Cluster{Name: "c1"}
	digest := func(src string) string {
		e, err := mustParse(t, src).Effect(c, everything, nil)
		if err != nil {
			t.Fatal(err)
		}
		return e.Digest
	}
	entry := func(more string) string {
		return "targetCustomizations:\n- {clusterName: c1, helm: {values: {image: {tag: v1}}}" + more + "}\n"
	}
	plain := digest(entry(""))
	same := []string{
		"targetCustomizations:\n- {clusterName: c1, forceSyncGeneration: 3, helm: {values: {image: {tag: v2}}}}\n",
		"targetCustomizations:\n- {name: x, clusterSelector: {}, helm: {values: {image: {tag: v1}}}}\n- {clusterName: c9}\n",
	}
	for _, src := range same {
		if got := digest(src); got != plain {
			t.Errorf("%s: the digest changed", src)
		}
	}
	for _, more := range []string{
		", namespace: x", ", defaultNamespace: x", ", serviceAccount: x", ", keepResources: true", ", kustomize: {dir: x}",
		", yaml: {overlays: [x]}", ", correctDrift: {enabled: true}", ", diff: {comparePatches: [{kind: x}]}",
		", downstreamResources: [{kind: Secret, name: x}]", ", namespaceLabels: {a: b}",
	} {
		if digest(entry(more)) == plain {
			t.Errorf("%s: the digest did not change", more)
		}
	}
	for _, root := range []string{"helm: {atomic: true}\n", "paused: true\n", "dependsOn: [{name: x}]\n", "helm: {values: {a: b}}\n", "helm: {valuesFrom: [{secretKeyRef: {name: x}}]}\n"} {
		if digest(root+entry("")) == plain {
			t.Errorf("%s: the digest did not change", root)
		}
	}
}

func TestFile_Effect_disagree(t *testing.T) {
	f := mustParse(t, "helm: {values: {a: v1, b: v2}}")
	e, err := f.Effect(fleetyaml.Cluster{Name: "c1"}, everything, []fleetyaml.Field{"helm.values.a", "helm.values.b"})
	var fault *fleetyaml.Error
	if !errors.As(err, &fault) || fault.Code != fleetyaml.CodeDisagree || !cmp.Equal(fault.Clusters, []string{"c1"}) {
		t.Errorf("got %v", err)
	}
	if e.Version != "v1, v2" {
		t.Errorf("got version %q", e.Version)
	}
}

func TestFile_ValuesFiles(t *testing.T) {
	f := mustParse(t, "helm: {valuesFiles: [unused.yaml]}\ntargetCustomizations: [{clusterName: c1, helm: {valuesFiles: [b.yaml, a.yaml]}}]")
	if diff := cmp.Diff([]string{"a.yaml", "b.yaml"}, f.ValuesFiles()); diff != "" {
		t.Error(diff) // unused.yaml: Fleet does not look at it without a chart
	}
	e, _ := f.Effect(fleetyaml.Cluster{Name: "c1"}, everything, nil)
	if diff := cmp.Diff([]string{"b.yaml", "a.yaml"}, e.Unread); diff != "" {
		t.Error(diff)
	}
	g, err := f.WithValuesFiles(map[string][]byte{"a.yaml": []byte("image: {tag: v2}"), "b.yaml": []byte("image: {tag: v1}")})
	if err != nil {
		t.Fatal(err)
	}
	e, _ = g.Effect(fleetyaml.Cluster{Name: "c1"}, everything, nil)
	if e.Version != "v2" || e.Unread != nil {
		t.Errorf("got %+v, want v2 from the last file", e)
	}
	if _, err := f.WithValuesFiles(map[string][]byte{"a.yaml": []byte("- a")}); err == nil {
		t.Error("a list is no values file")
	}
}
