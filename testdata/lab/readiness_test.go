package lab

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
	kwokv1 "sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/kwok/pkg/utils/expression"
)

func stages(t *testing.T) []kwokv1.Stage {
	t.Helper()
	var all []kwokv1.Stage
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(Stages), 4096)
	for {
		var s kwokv1.Stage
		if err := decoder.Decode(&s); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// taken returns the stages that a Deployment is in.
func taken(t *testing.T, deployment map[string]any) []string {
	t.Helper()
	var names []string
	for _, s := range stages(t) {
		query, err := expression.NewQuery(s.Spec.Selector.MatchExpressions[0].JQ.Key)
		if err != nil {
			t.Fatal(err)
		}
		result, err := query.Execute(t.Context(), deployment)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(result, any("yes")) {
			names = append(names, strings.TrimPrefix(s.Name, "deployment-"))
		}
	}
	return names
}

func deployment(tag string, generation, observed, available int) map[string]any {
	status := map[string]any{}
	if observed > 0 {
		status["observedGeneration"] = float64(observed)
	}
	if available > 0 {
		status["availableReplicas"] = float64(available)
	}
	container := map[string]any{"image": "registry.example.com/shop/db:" + tag}
	return map[string]any{
		"metadata": map[string]any{"generation": float64(generation)},
		"spec": map[string]any{
			"replicas": float64(1),
			"template": map[string]any{"spec": map[string]any{"containers": []any{container}}},
		},
		"status": status,
	}
}

func TestStages(t *testing.T) {
	for _, c := range []struct {
		name       string
		deployment map[string]any
		want       string
	}{
		{"new", deployment("v1", 1, 0, 0), "fast"},
		{"changed", deployment("v2", 2, 1, 1), "fast"},
		{"ready", deployment("v2", 2, 2, 1), ""},
		{"spoilt by hand", deployment("v2", 2, 2, 0), "fast"},
		{"bad, new", deployment("v3-bad", 1, 0, 0), "taken-up"},
		{"bad, changed", deployment("v3-bad", 3, 2, 1), "taken-up"},
		{"bad, taken up", deployment("v3-bad", 3, 3, 0), ""},
		{"slow, changed", deployment("v4-slow", 4, 3, 1), "taken-up"},
		{"slow, taken up", deployment("v4-slow", 4, 4, 0), "slow"},
		{"slow, ready", deployment("v4-slow", 4, 4, 1), ""},
		{"bad no more", deployment("v5", 5, 4, 0), "fast"},
	} {
		if got := strings.Join(taken(t, c.deployment), " "); got != c.want {
			t.Errorf("%s: stage %q, want %q", c.name, got, c.want)
		}
	}
}
