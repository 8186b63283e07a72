package lab

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Service says how the files of HelmService are to be. The zero value is good.
type Service struct {
	Path      string   // the folder in the repository; default: deploy
	Namespace string   // where the Deployment goes; default: shop
	RingLabel string   // the key of the cluster label that selects a ring's entry; default: ring
	Rings     []string // the rings with an entry, in this order; default: ring-1, ring-2
	Version   string   // the image's tag, in all entries; default: v1
}

// HelmService returns the files of a small service in helm style: a fleet.yaml with one entry a ring, and a chart with one
// Deployment, named like the service. The end of the tag decides how it fares: see Stages, and -refused fails to render.
// The files' paths begin with Path; those of several services may go into one repository.
func HelmService(name string, o Service) (map[string]string, error) {
	deployment, err := sample.ReadFile("sample/db/deploy/templates/deployment.yaml")
	if err != nil {
		return nil, err
	}
	dir := cmp.Or(o.Path, "deploy")
	return map[string]string{
		path.Join(dir, "fleet.yaml"):                fleetYAML(name, o),
		path.Join(dir, "Chart.yaml"):                fmt.Sprintf("apiVersion: v2\nname: %s\nversion: 1.0.0\n", name),
		path.Join(dir, "templates/deployment.yaml"): string(deployment),
	}, nil
}

func fleetYAML(name string, o Service) string {
	version, rings := cmp.Or(o.Version, "v1"), o.Rings
	if rings == nil {
		rings = []string{"ring-1", "ring-2"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `name: %[1]s
defaultNamespace: %[2]s

helm:
  releaseName: %[1]s
  values:
    image:
      repository: registry.example.com/%[2]s/%[1]s
      tag: %[3]s

targetCustomizations:
`, name, cmp.Or(o.Namespace, "shop"), version)
	for _, ring := range rings {
		fmt.Fprintf(&b, `- name: %[1]s
  clusterSelector:
    matchLabels:
      %[2]s: %[1]s
  helm:
    values:
      image:
        tag: %[3]s
`, ring, cmp.Or(o.RingLabel, "ring"), version)
	}
	return b.String()
}

// GitRepo returns the manifest of a GitRepo whose targets are the clusters with the label app=APP: see GitRepoFor.
func GitRepo(name, app string, paths ...string) string {
	return GitRepoFor(name, map[string]string{"app": app}, paths...)
}

// GitRepoFor returns the manifest of a GitRepo for a repository of the lab, to be its repo.yaml: CreateRepo puts the address
// in the place of REPO_URL. Its targets are the clusters with these labels; it is polled every 15 s.
func GitRepoFor(name string, clusters map[string]string, paths ...string) string {
	var labels strings.Builder
	for _, key := range slices.Sorted(maps.Keys(clusters)) {
		fmt.Fprintf(&labels, "        %q: %q\n", key, clusters[key])
	}
	return fmt.Sprintf(`apiVersion: fleet.cattle.io/v1alpha1
kind: GitRepo
metadata:
  name: %[1]s
  namespace: %[2]s
spec:
  repo: REPO_URL
  branch: %[3]s
  paths: [%[4]s]
  pollingInterval: 15s
  clientSecretName: %[5]s
  targets:
  - name: %[1]s
    clusterSelector:
      matchLabels:
%[6]s`, name, Namespace, Branch, strings.Join(paths, ", "), GitSecret, labels.String())
}
