package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
)

// setUpByHand sets the application up as people do with kubectl: labels, and the
// GitRepos of each repository. rollout knows nothing of it.
func (s *scenario) setUpByHand(services ...service) {
	s.Helper()
	s.repositories(services)
	c, err := s.lab.Client()
	s.must(err)
	for _, r := range s.rings {
		for _, name := range r.clusters {
			patch := fmt.Sprintf(`{"metadata":{"labels":{%q:"true",%q:%q}}}`, s.selector(), s.ringLabel(), r.name)
			cluster := &fleetv1.Cluster{}
			cluster.Namespace, cluster.Name = "fleet-default", name
			s.must(c.Patch(s.ctx, cluster, client.RawPatch(types.MergePatchType, []byte(patch))))
		}
	}
	done := map[string]bool{}
	for _, v := range services {
		if repo := s.repoOf(v); !done[repo] {
			done[repo] = true
			s.must(s.lab.ApplyGitRepos(s.ctx, repo))
		}
	}
	s.waitLive(services)
	s.begun = time.Now()
}

// tips are the tips of the services' repositories.
func (s *scenario) tips(services []service) string {
	s.Helper()
	var out []string
	for _, v := range services {
		tip, err := s.lab.Git(s.ctx, s.repoOf(v), "rev-parse", "main")
		s.must(err)
		out = append(out, s.repoOf(v)+" "+strings.TrimSpace(tip))
	}
	return strings.Join(out, "\n")
}

// places are the labels by which the clusters are on their rings.
func (s *scenario) places() string {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	var out []string
	for _, name := range s.clusters() {
		cluster := &fleetv1.Cluster{}
		s.must(c.Get(s.ctx, client.ObjectKey{Namespace: "fleet-default", Name: name}, cluster))
		out = append(out, fmt.Sprintf("%s %s=%s %s=%s", name, s.selector(), cluster.Labels[s.selector()], s.ringLabel(), cluster.Labels[s.ringLabel()]))
	}
	return strings.Join(out, "\n")
}

// The sample application, set up by hand alone, is imported; the file is
// applied to an empty store, changes nothing, and is then rolled out. On
// another empty store the exported file says the same.
func TestImport(t *testing.T) {
	s := play(t, "imported", 3)
	s.setUpByHand(shop...)
	tips, labels := s.tips(shop), s.places()

	r := s.ok("import", s.app, "--selector", s.selector()+"=true")
	s.says(r, "changes nothing in Fleet or git (4 clusters, 5 services, 10 versions)", "ringLabel: "+s.ringLabel(), "name: ring-1", "name: docs")
	file := filepath.Join(t.TempDir(), "app.yaml")
	// Fleet knows nothing of these dependencies; people do.
	text := strings.NewReplacer("gitRepo: "+s.app+"-api\n", "gitRepo: "+s.app+"-api\n  dependsOn: [db]\n", "gitRepo: "+s.app+"-worker\n", "gitRepo: "+s.app+"-worker\n  dependsOn: [db]\n",
		"gitRepo: "+s.app+"-web\n", "gitRepo: "+s.app+"-web\n  dependsOn: [api]\n").Replace(r.stdout)
	s.must(os.WriteFile(file, []byte(text), 0o600))

	s.says(s.ok("apply", "-f", file, "--dry-run"), `record cluster "c1" on ring "ring-1": it carries the labels`)
	s.ok("apply", "-f", file)
	s.says(s.ok("apply", "-f", file, "--prune"), "nothing to change")
	if got := s.tips(shop); got != tips {
		t.Errorf("the repositories were\n%s\nand are\n%s", tips, got)
	}
	if got := s.places(); got != labels {
		t.Errorf("the labels were\n%s\nand are\n%s", labels, got)
	}

	s.ok("plan", "set", s.app, "db=v2", "api=v2", "worker=v2", "web=v2", "docs=v2")
	s.ok("create", s.app, "ring-1")
	s.runs("v2", shop, "c1", "c2")
	s.runs("v1", shop, "c3", "c4")
	got := s.show()
	if got.Phase != "Succeeded" || len(got.Steps) != 5 {
		t.Errorf("show says %+v", got)
	}
	s.agrees(got)

	exported := filepath.Join(t.TempDir(), "exported.yaml")
	s.must(os.WriteFile(exported, []byte(s.ok("export", s.app).stdout), 0o600))
	other := []string{"--store", filepath.Join(t.TempDir(), "other.db")}
	s.ok(append(other, "apply", "-f", exported)...)
	s.says(s.ok(append(other, "apply", "-f", exported)...), "nothing to change")
	s.says(s.ok(append(other, "service", "list", s.app)...), "ring-1=v2 ring-2=v1")
	if again := s.ok(append(other, "export", s.app)...); again.stdout != s.ok("export", s.app).stdout {
		t.Errorf("the other store says\n%s", again.stdout)
	}
}

// From a file alone, on an empty store, with clusters that carry no labels and
// GitRepos that are not there: then a rollout.
func TestApply(t *testing.T) {
	s := play(t, "applied", 2)
	made := []service{{name: "db"}, {name: "api", needs: []string{"db"}}}
	s.repositories(made)
	db, err := s.lab.GitURL(s.repoOf(made[0]))
	s.must(err)
	api, err := s.lab.GitURL(s.repoOf(made[1]))
	s.must(err)
	file := filepath.Join(t.TempDir(), "app.yaml")
	s.must(os.WriteFile(file, fmt.Appendf(nil, `apiVersion: rollout/v1
kind: Application
name: %s
ringLabel: %s
selector: {%s: "true"}
rings:
- {name: ring-1, policy: {deadline: 2m, uptakeDeadline: 90s}, clusters: [c1, c2]}
- {name: ring-2, policy: {deadline: 2m, uptakeDeadline: 90s}, clusters: [c3, c4]}
services:
- {name: api, repo: %q, path: deploy, dependsOn: [db]}
- {name: db, repo: %q, path: deploy}
`, s.app, s.ringLabel(), s.selector(), api, db), 0o600))
	s.says(s.ends(2, "apply", "-f", file), "change the labels of 4 clusters", "--yes")
	s.ok("apply", "-f", file, "--yes")
	s.says(s.ok("apply", "-f", file), "nothing to change")
	s.waitLive(made)
	s.begun = time.Now()
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.ok("create", s.app, "ring-1")
	s.runs("v2", made, "c1", "c2")
	s.runs("v1", made, "c3", "c4")
}
