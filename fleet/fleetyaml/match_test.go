package fleetyaml_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet/fleetyaml"
)

// everything is a GitRepo target that selects all clusters.
var everything = []fleetyaml.Target{{Name: "all", ClusterSelector: &metav1.LabelSelector{}}}

func labels(kv ...string) *metav1.LabelSelector {
	s := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for i := 0; i < len(kv); i += 2 {
		s.MatchLabels[kv[i]] = kv[i+1]
	}
	return s
}

func TestTarget_Matches(t *testing.T) {
	c := fleetyaml.Cluster{
		Name:   "c1",
		Labels: map[string]string{"ring": "one", "management.cattle.io/cluster-display-name": "Berlin"},
		Groups: []fleetyaml.Group{{Name: "eu", Labels: map[string]string{"tier": "two"}}, {Name: "all", Labels: map[string]string{"tier": "one"}}},
	}
	alone := fleetyaml.Cluster{Name: "c1", Labels: c.Labels}
	for _, tt := range []struct {
		name    string
		target  fleetyaml.Target
		cluster fleetyaml.Cluster
		want    bool
	}{
		{"no criteria", fleetyaml.Target{Name: "x", DoNotDeploy: true}, c, false},
		{"name", fleetyaml.Target{ClusterName: "c1"}, c, true},
		{"other name", fleetyaml.Target{ClusterName: "c"}, c, false},
		{"display name", fleetyaml.Target{ClusterName: "Berlin"}, c, true},
		{"empty selector", fleetyaml.Target{ClusterSelector: &metav1.LabelSelector{}}, alone, true},
		{"label", fleetyaml.Target{ClusterSelector: labels("ring", "one")}, c, true},
		{"label and name", fleetyaml.Target{ClusterName: "c2", ClusterSelector: labels("ring", "one")}, c, false},
		{"group", fleetyaml.Target{ClusterGroup: "all"}, c, true},
		{"group of another", fleetyaml.Target{ClusterGroup: "all"}, alone, false},
		{"group labels", fleetyaml.Target{ClusterGroupSelector: labels("tier", "one")}, c, true},
		{"group and labels of one group", fleetyaml.Target{ClusterGroup: "all", ClusterGroupSelector: labels("tier", "one")}, c, true},
		{"group and labels of two groups", fleetyaml.Target{ClusterGroup: "eu", ClusterGroupSelector: labels("tier", "one")}, c, false},
		{"empty group selector without groups", fleetyaml.Target{ClusterGroupSelector: &metav1.LabelSelector{}}, alone, true},
		{"group and cluster labels", fleetyaml.Target{ClusterGroup: "eu", ClusterSelector: labels("ring", "two")}, c, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.target.Matches(tt.cluster)
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestTarget_Matches_badSelector(t *testing.T) {
	bad := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}}
	for _, target := range []fleetyaml.Target{{ClusterSelector: bad}, {ClusterGroupSelector: bad}} {
		if _, err := target.Matches(fleetyaml.Cluster{}); err == nil {
			t.Errorf("%+v: got no error", target)
		}
	}
}
