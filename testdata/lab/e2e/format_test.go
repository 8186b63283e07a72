package e2e

import (
	"fmt"
	"testing"
	"time"
)

// manifest is a Deployment of the scenario's service, as a person writes it.
func (s *scenario) manifest(service, image string) string {
	name := s.app + "-" + service
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 1
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - name: main
        image: %[2]s
`, name, image)
}

// entries are a fleet.yaml with one entry a ring that has these options.
func (s *scenario) entries(service, base, options string) string {
	file := fmt.Sprintf("name: %s-%s\ndefaultNamespace: %s\n%s\ntargetCustomizations:\n", s.app, service, s.app, base)
	for _, r := range s.rings {
		file += fmt.Sprintf("- name: %[1]s\n  clusterSelector: {matchLabels: {%[2]s: %[1]s}}\n  %[3]s\n", r.name, s.ringLabel(), options)
	}
	return file
}

// ownRepository makes a service's repository of these files of its folder.
func (s *scenario) ownRepository(service string, files map[string]string) string {
	s.Helper()
	all := map[string]string{"repo.yaml": s.gitRepo(one(service))}
	for path, content := range files {
		all["deploy/"+path] = content
	}
	s.must(s.lab.CreateRepo(s.ctx, s.app+"-"+service, all))
	url, err := s.lab.GitURL(s.app + "-" + service)
	s.must(err)
	return url
}

func one(name string) service { return service{name: name} }

// Versions inside a string and in the name of a folder: the one ring changes,
// the other is not even deployed again, and a folder that is not there is
// refused.
func TestFormats(t *testing.T) {
	s := play(t, "inside", 2)
	image := "registry.example.com/inside/api"
	api := s.ownRepository("api", map[string]string{
		"Chart.yaml":                "apiVersion: v2\nname: api\nversion: 1.0.0\n",
		"templates/deployment.yaml": s.manifest("api", `"{{ .Values.image }}"`),
		"fleet.yaml":                s.entries("api", "", `helm: {values: {image: "`+image+`:v1"}}`),
	})
	overlay := func(version string) string {
		return "resources: [../../base]\nimages:\n- {name: registry.example.com/inside/web, newTag: " + version + "}\n"
	}
	web := s.ownRepository("web", map[string]string{
		"base/kustomization.yaml":        "resources: [deployment.yaml]\n",
		"base/deployment.yaml":           s.manifest("web", "registry.example.com/inside/web:v0"),
		"overlays/v1/kustomization.yaml": overlay("v1"),
		"overlays/v2/kustomization.yaml": overlay("v2"),
		"fleet.yaml":                     s.entries("web", "kustomize: {dir: overlays/v1}", "kustomize: {dir: overlays/v1}"),
	})
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	for _, r := range s.rings {
		s.ok("ring", "create", s.app, r.name, "--deadline", "2m", "--uptake-deadline", "90s")
		for _, c := range r.clusters {
			s.ok("cluster", "add", c, "--app", s.app, "--ring", r.name, "--yes")
		}
	}

	s.says(s.ends(5, "service", "add", s.app, "api", "--repo", api, "--path", "deploy", "--field", "helm.values.image=mirror.example.com/api:{version}"), "format", image+":v1")
	s.ok("service", "add", s.app, "api", "--repo", api, "--path", "deploy", "--field", "helm.values.image="+image+":{version}")
	s.says(s.ends(5, "service", "add", s.app, "web", "--repo", web, "--path", "deploy"), "nothing reads helm.values.image.tag", "deploy/Chart.yaml", "kustomize.dir=overlays/{version}")
	s.ok("service", "add", s.app, "web", "--repo", web, "--path", "deploy", "--field", "kustomize.dir=overlays/{version}")
	services := []service{one("api"), one("web")}
	for _, v := range services {
		for _, c := range s.clusters() {
			s.eventually(2*time.Minute, v.name+" on "+c, func() bool { return s.live(c, v.name) == "v1" })
		}
	}
	before := map[string]string{}
	for _, v := range services {
		before[v.name] = s.release("c3", v.name)
	}

	s.ok("plan", "set", s.app, "api=v2", "web=v2")
	s.says(s.ok("create", s.app, "ring-1", "--dry-run"), image+":v2", "overlays/v2")
	s.ok("create", s.app, "ring-1")
	s.runs("v2", services, "c1", "c2")
	s.runs("v1", services, "c3", "c4")
	for _, v := range services {
		if got := s.release("c3", v.name); got != before[v.name] {
			t.Errorf("%s was deployed again on c3: %s, was %s", v.name, got, before[v.name])
		}
	}

	head := s.head("web")
	s.ok("plan", "set", s.app, "web=v3")
	s.says(s.ends(5, "create", s.app, "ring-1", "--dry-run"), "deploy/overlays/v3/kustomization.yaml")
	s.says(s.ends(5, "create", s.app, "ring-1"), "deploy/overlays/v3/kustomization.yaml")
	if s.head("web") != head {
		t.Error("a version without a folder was pushed")
	}
	s.runs("v2", services, "c1", "c2")
}
