package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/rings"
)

// bundleStyle is what Fleet makes objects of: a chart, a kustomization, or manifests
// as they are.
type bundleStyle string

const (
	styleChart     bundleStyle = "chart"
	styleKustomize bundleStyle = "kustomize"
	styleRaw       bundleStyle = "raw"
)

// exists reports whether there is something at a path of a repository.
type exists func(path string) (bool, error)

// existsIn looks at the tip of the service's branch.
func existsIn(ctx context.Context, pub *gitrepo.Publisher, s rings.Service) exists {
	return func(at string) (bool, error) { return pub.Exists(ctx, s.Repo, s.Branch, at) }
}

// styleOf follows Fleet's rule.
func styleOf(file *fleetyaml.File, folder string, there exists) (bundleStyle, error) {
	if file.NamesChart() {
		return styleChart, nil
	}
	if chart, err := there(path.Join(folder, "Chart.yaml")); err != nil || chart {
		return styleChart, err
	}
	if file.NamesKustomization() {
		return styleKustomize, nil
	}
	if kustomization, err := there(path.Join(folder, "kustomization.yaml")); err != nil || kustomization {
		return styleKustomize, err
	}
	return styleRaw, nil
}

// checkStyle refuses a version that nothing would read: only a chart has values.
func checkStyle(file *fleetyaml.File, s rings.Service, there exists) error {
	fields := fieldsOf(s)
	i := slices.IndexFunc(fields, fleetyaml.Field.ReadByChart)
	if i < 0 {
		return nil
	}
	found, err := styleOf(file, s.Path, there)
	if err != nil || found == styleChart {
		return err
	}
	folder, named := path.Join("/", s.Path)[1:], "kustomize.dir=overlays/{version}"
	what := "its kustomization"
	if found == styleRaw {
		what, named = "its manifests as they are", "yaml.overlays.0={version}"
	}
	return invalid(chartHint(folder, s.Name, named), "service %q: %s: there is no chart in %q: Fleet deploys %s, and nothing reads %s",
		s.Name, s.Repo, cmpHint(folder, "the root"), what, fields[i].Path())
}

// chartHint shows how to move a tag into helm values.
func chartHint(folder string, service rings.ServiceName, named string) string {
	lines := []string{
		"make it a chart, so that the tag is a value of each ring:",
		fmt.Sprintf("  %s: \"apiVersion: v2\", \"name: %s\", \"version: 0.1.0\"", path.Join(folder, "Chart.yaml"), service),
		fmt.Sprintf("  %s: the manifests, with  image: \"REGISTRY/IMAGE:{{ .Values.image.tag }}\"", path.Join(folder, "templates")+"/"),
		fmt.Sprintf("  %s: each ring's entry with  helm: {values: {image: {tag: VERSION}}}", path.Join(folder, "fleet.yaml")),
		fmt.Sprintf("or keep a folder for each version, and name it: --field '%s'", named),
	}
	return strings.Join(lines, "\n")
}

// missing is what the versions need in the repository and is not there.
func missing(s rings.Service, versions []rings.Version, there exists) (string, error) {
	for _, v := range versions {
		for _, f := range fieldsOf(s) {
			needs := f.Needs(string(v))
			if needs == "" {
				continue
			}
			at := strings.Trim(path.Join(s.Path, needs), "/")
			if is, err := there(at); err != nil || !is {
				return at, err
			}
		}
	}
	return "", nil
}

// checkFolders refuses versions whose folders are not at the branch's tip.
func checkFolders(s rings.Service, versions []rings.Version, there exists) error {
	at, err := missing(s, versions, there)
	if err != nil || at == "" {
		return err
	}
	return invalid("push that folder first; it redeploys every ring with the same content, so do it before the rollout",
		"service %q: %s: branch %q has no %s", s.Name, s.Repo, s.Branch, at)
}
