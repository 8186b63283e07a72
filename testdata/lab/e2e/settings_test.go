package e2e

import (
	"strings"
	"testing"
	"time"
)

// A setting is planned, rolled out and taken back like a version: the
// Deployment has the replicas on the one ring and not on the other, the commit
// changes the values and no other byte, and what somebody else sets is not
// overwritten.
func TestSettings(t *testing.T) {
	s := play(t, "settings", 5)
	s.rings = []ring{{"ring-1", []string{"c1"}}, {"ring-2", []string{"c2"}}}
	manifest := strings.Replace(s.manifest("web", `"registry.example.com/settings/web:{{ .Values.image.tag }}"`), "replicas: 1", "replicas: {{ .Values.replicas }}", 1)
	web := s.ownRepository("web", map[string]string{
		"Chart.yaml":                "apiVersion: v2\nname: web\nversion: 1.0.0\n",
		"templates/deployment.yaml": manifest,
		"fleet.yaml":                s.entries("web", "", "helm: {values: {image: {tag: v1}, replicas: 1}}"),
	})
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	for _, r := range s.rings {
		s.ok("ring", "create", s.app, r.name, "--deadline", "2m", "--uptake-deadline", "90s")
		s.ok("cluster", "add", r.clusters[0], "--app", s.app, "--ring", r.name, "--yes")
	}
	s.says(s.ends(5, "service", "add", s.app, "web", "--repo", web, "--path", "deploy", "--setting", "max=helm.values.max"), "does not say helm.values.max")
	s.ok("service", "add", s.app, "web", "--repo", web, "--path", "deploy", "--setting", "replicas=helm.values.replicas", "--min", "replicas=1", "--max", "replicas=3")
	s.waitLive([]service{one("web")})
	s.replicas(map[string]int32{"c1": 1, "c2": 1})

	s.says(s.ends(5, "plan", "set", s.app, "web.replicas=4"), "above the maximum 3")
	s.ok("plan", "set", s.app, "web.replicas=2")
	s.says(s.ok("create", s.app, "ring-1", "--dry-run"), "v1, replicas 1 -> 2", "+  helm: {values: {image: {tag: v1}, replicas: 2}}")
	s.says(s.ends(4, "create", s.app, "ring-2"), "replicas=2 is wanted, 1 is recorded there")
	s.ok("create", s.app, "ring-1")
	s.replicas(map[string]int32{"c1": 2, "c2": 1})
	s.runs("v1", []service{one("web")}, "c1", "c2")

	s.ok("plan", "set", s.app, "web=v2", "web.replicas=3")
	s.ok("create", s.app, "ring-1", "ring-2")
	s.replicas(map[string]int32{"c1": 3, "c2": 3})
	s.runs("v2", []service{one("web")}, "c1", "c2")

	s.ok("rollback", s.app, "--ring", "ring-1", "--reason", "too many")
	s.replicas(map[string]int32{"c1": 2, "c2": 3})
	s.runs("v1", []service{one("web")}, "c1")
	s.says(s.ends(4, "create", s.app, "ring-1"), "web replicas=3 was withdrawn from ring-1")

	s.byHand("web", "v1}, replicas: 2", "v1}, replicas: 1")
	s.ok("plan", "clear", s.app)
	s.ok("plan", "set", s.app, "web.replicas=3")
	s.says(s.ends(4, "create", s.app, "ring-1", "--reason", "again"), "says replicas=1 for ring-1, last recorded here is 2")
	s.ok("service", "adopt", s.app, "web")
	s.ok("create", s.app, "ring-1", "--reason", "again")
	s.replicas(map[string]int32{"c1": 3, "c2": 3})
	s.says(s.ok("replay", s.app), "every decision the same")
	s.says(s.ok("history", s.app), "web.replicas=3")
	s.says(s.ok("where", s.app, "-o", "csv"), "replicas=3")

	s.ok("plan", "clear", s.app) // of a version alone the settings stay
	s.ok("plan", "set", s.app, "web=v3")
	s.ok("create", s.app, "ring-1")
	s.replicas(map[string]int32{"c1": 3})
	s.runs("v3", []service{one("web")}, "c1")
}

// replicas wants the web's Deployments to have so many.
func (s *scenario) replicas(want map[string]int32) {
	s.Helper()
	for cluster, n := range want {
		s.eventually(30*time.Second, cluster+" has the replicas", func() bool {
			d := s.deployment(cluster, "web")
			return d != nil && d.Spec.Replicas != nil && *d.Spec.Replicas == n
		})
	}
}
