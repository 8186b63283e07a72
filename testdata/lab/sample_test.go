package lab_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"rollout/testdata/lab"
)

// fleetFile is what the tests look at in a fleet.yaml.
type fleetFile struct {
	Name                 string
	DefaultNamespace     string
	Helm                 helm
	TargetCustomizations []struct {
		Name            string
		ClusterSelector struct{ MatchLabels map[string]string }
		Helm            helm
	}
}

type helm struct {
	ReleaseName string
	Values      struct{ Image struct{ Tag string } }
}

func checkService(t *testing.T, text, name string) {
	t.Helper()
	var f fleetFile
	if err := yaml.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	if f.Name != name || f.DefaultNamespace != "shop" || f.Helm.ReleaseName != name || len(f.TargetCustomizations) != 2 {
		t.Errorf("%s: %+v", name, f)
	}
	for i, ring := range []string{"ring-1", "ring-2"} {
		c := f.TargetCustomizations[i]
		if c.Name != ring || c.ClusterSelector.MatchLabels["ring"] != ring || c.Helm.Values.Image.Tag != "v1" {
			t.Errorf("%s, %s: %+v", name, ring, c)
		}
	}
}

func TestSample(t *testing.T) {
	repos, err := lab.Sample()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(repos)), []string{"api", "db", "site", "worker"}; !slices.Equal(got, want) {
		t.Fatalf("repositories %v, want %v", got, want)
	}
	for repo, service := range map[string]string{"api/deploy": "api", "db/deploy": "db", "worker/deploy": "worker", "site/web": "web", "site/docs": "docs"} {
		name, path, _ := strings.Cut(repo, "/")
		checkService(t, repos[name][path+"/fleet.yaml"], service)
		if !strings.Contains(repos[name]["repo.yaml"], "- "+path+"\n") {
			t.Errorf("%s/repo.yaml does not name the path %s", name, path)
		}
	}
}

func TestHelmServiceIsLikeTheSample(t *testing.T) {
	files, err := lab.HelmService("db", lab.Service{})
	if err != nil {
		t.Fatal(err)
	}
	checkService(t, files["deploy/fleet.yaml"], "db")
	repos, err := lab.Sample()
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{"deploy/Chart.yaml", "deploy/templates/deployment.yaml"} {
		if files[same] != repos["db"][same] {
			t.Errorf("%s differs from the sample's", same)
		}
	}
}

func TestHelmServiceAsWished(t *testing.T) {
	files, err := lab.HelmService("cart", lab.Service{Path: "cart", RingLabel: "wave", Rings: []string{"one"}, Version: "v9", Namespace: "n"})
	if err != nil {
		t.Fatal(err)
	}
	text := files["cart/fleet.yaml"]
	for _, want := range []string{"name: cart\n", "defaultNamespace: n\n", "wave: one\n", "tag: v9\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestGitRepoFor(t *testing.T) {
	var got struct {
		Metadata struct{ Name, Namespace string }
		Spec     struct {
			Repo             string
			Paths            []string
			ClientSecretName string
			Targets          []struct {
				ClusterSelector struct{ MatchLabels map[string]string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(lab.GitRepoFor("a", map[string]string{"x": "true", "y": "z"}, "p", "q")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Metadata.Namespace != lab.Namespace || got.Spec.ClientSecretName != lab.GitSecret || !slices.Equal(got.Spec.Paths, []string{"p", "q"}) {
		t.Errorf("%+v", got)
	}
	if labels := got.Spec.Targets[0].ClusterSelector.MatchLabels; !maps.Equal(labels, map[string]string{"x": "true", "y": "z"}) {
		t.Errorf("targets %v", labels)
	}
}
