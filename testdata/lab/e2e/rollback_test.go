package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// second is a Deployment beside the service's own, that cannot be upgraded to
// an image that ends in -stuck: a selector is immutable. By then the service's
// own has been changed.
const second = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Chart.Name }}-second
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {{ .Chart.Name }}-second
      stuck: {{ hasSuffix "-stuck" .Values.image.tag | quote }}
  template:
    metadata:
      labels:
        app: {{ .Chart.Name }}-second
        stuck: {{ hasSuffix "-stuck" .Values.image.tag | quote }}
    spec:
      containers:
      - name: main
        image: registry.example.com/second:v1
`

// stuckUpgrades gives the service the second Deployment, on all clusters.
func (s *scenario) stuckUpgrades(service string) {
	s.Helper()
	hash := s.commitFile(service, "deploy/templates/second.yaml", second)
	s.deployed(hash, service)
}

// deployed tells Fleet of the commit, as a webhook would, and waits until it has
// deployed what the commit says to all of the scenario's clusters. A job that
// fails is begun again, as a person would: Fleet does not do that.
func (s *scenario) deployed(hash, service string) {
	s.Helper()
	s.hint(s.app+"-"+service, hash)
	for _, c := range s.clusters() {
		s.eventually(2*time.Minute, service+" on "+c+" at commit "+hash, func() bool {
			s.beginAgain(s.app+"-"+service, hash)
			bd := s.bundleDeployment(c, service)
			return bd != nil && bd.Labels["fleet.cattle.io/commit"] == hash && bd.Status.Ready && bd.Status.AppliedDeploymentID == bd.Spec.DeploymentID
		})
	}
}

// beginAgain lets Fleet begin the GitRepo's job of the commit once more if it
// has failed.
func (s *scenario) beginAgain(gitRepo, commit string) {
	s.Helper()
	r := s.object(&fleetv1.GitRepo{}, gitRepo).(*fleetv1.GitRepo)
	if r.Status.Commit != commit || r.Status.GitJobStatus != "Failed" || r.Status.UpdateGeneration != r.Spec.ForceSyncGeneration {
		return
	}
	c, err := s.lab.Client()
	s.must(err)
	patch := fmt.Sprintf(`{"spec": {"forceSyncGeneration": %d}}`, r.Spec.ForceSyncGeneration+1)
	s.must(c.Patch(s.ctx, r, client.RawPatch(types.MergePatchType, []byte(patch))))
	s.Logf("the job of %s at %s failed, and is begun again", gitRepo, commit)
}

// A version that never becomes ready is taken back from the ring by itself:
// the dependent first, to what ran before, on the clusters' own word. The
// version is held afterwards; with a reason it may be tried again.
func TestRollbackRing(t *testing.T) {
	s := play(t, "back-ring", 4)
	s.setUp(pair...)
	s.ok("ring", "update", s.app, "ring-1", "--on-failure", "rollback-ring", "--deadline", "30s")
	s.ok("plan", "set", s.app, "db=v2", "api=v2-bad")
	s.says(s.ends(6, "create", s.app, "ring-1"), "rolled back", "api", "c1")
	s.runs("v1", pair, "c1", "c2", "c3", "c4")
	got := s.show()
	if got.Phase != "RolledBack" || got.ring("ring-1") == "Done" {
		t.Errorf("show says %s: %s", got.Phase, got.Reason)
	}
	s.undone(got, "api", "db")
	s.says(s.ok("replay", s.app), "every decision the same")

	s.says(s.ends(4, "create", s.app, "ring-1"), "api v2-bad was withdrawn from ring-1 by rollout back-ring-1", "hint:", "--reason")
	s.ok("plan", "set", s.app, "db=v3", "api=v3")
	s.ok("create", s.app, "ring-1")
	s.runs("v3", pair, "c1", "c2")
	s.ok("plan", "set", s.app, "db=v2", "api=v3")
	s.ends(4, "create", s.app, "ring-1")
	s.ok("create", s.app, "ring-1", "--reason", "db v2 was not what failed")
	s.runs("v2", pair[:1], "c1", "c2")
}

// undone wants these services to have been taken back on each of the rollout's
// rings, one after the other, with one commit each.
func (s *scenario) undone(r rollout, services ...string) {
	s.Helper()
	var last time.Time
	var got []string
	for _, st := range r.Steps {
		if !st.Undo {
			continue
		}
		got = append(got, st.Service)
		if st.Phase != "Done" && st.Phase != "RolledBack" || st.StartedAt.Before(last) {
			s.Errorf("%s on %s: %s, begun at %s, the one before it ended at %s", st.Service, st.Ring, st.Phase, st.StartedAt, last)
		}
		last = st.FinishedAt
	}
	if strings.Join(got, " ") != strings.Join(services, " ") {
		s.Errorf("taken back: %q, want %q", got, services)
	}
}

// A version that is good on the first ring and bad on the second is taken back
// from both, the last ring first.
func TestRollbackAll(t *testing.T) {
	s := play(t, "back-all", 3)
	s.setUp(service{name: "db"})
	s.sickOn("ring-2")
	for _, ring := range []string{"ring-1", "ring-2"} {
		s.ok("ring", "update", s.app, ring, "--on-failure", "rollback", "--deadline", "30s")
	}
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ends(6, "create", s.app, "ring-1", "ring-2"), "rolled back")
	s.runs("v1", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
	want := "ring-1 ring-2 ring-2 ring-1"
	if got := strings.Join(s.publishedRings("db"), " "); got != want {
		t.Errorf("db was published for %q, want %q", got, want)
	}
	s.undone(s.show(), "db", "db")
	s.says(s.ends(4, "create", s.app, "ring-1"), "db v2 was withdrawn from ring-1")
}

// sickOn lets every image but v1 of db be one that never becomes ready, on one
// ring.
func (s *scenario) sickOn(ring string) {
	s.Helper()
	template, err := s.lab.ReadFile(s.ctx, s.app+"-db", "deploy/templates/deployment.yaml")
	s.must(err)
	file := s.fleetYAML("db")
	at := strings.Index(file, "- name: "+ring)
	if at < 0 {
		s.Fatalf("no entry %s:\n%s", ring, file)
	}
	sick := file[:at] + strings.Replace(file[at:], "    values:\n", "    values:\n      sick: true\n", 1)
	hash, err := s.lab.Commit(s.ctx, s.app+"-db", "by hand", map[string]string{
		"deploy/templates/deployment.yaml": strings.Replace(template, "{{ .Values.image.tag }}", `{{ .Values.image.tag }}{{ if and .Values.sick (ne .Values.image.tag "v1") }}-bad{{ end }}`, 1),
		"deploy/fleet.yaml":                sick,
	})
	s.must(err)
	s.deployed(hash, "db")
}

// An upgrade that breaks in the middle leaves half of it behind, and Fleet
// skips the way back when it is what it applied last. The automatic rollback
// comes with a new nonce: the old image runs again everywhere.
func TestRollbackIdentical(t *testing.T) {
	s := play(t, "back-same", 2)
	s.setUp(service{name: "db"})
	s.stuckUpgrades("db")
	s.ok("ring", "update", s.app, "ring-1", "--on-failure", "rollback-ring", "--deadline", "30s")
	s.ok("plan", "set", s.app, "db=v2-stuck")
	create := s.begin("create", s.app, "ring-1")
	s.eventually(time.Minute, "half an upgrade on c1", func() bool { return s.image("c1", "db") == "v2-stuck" })
	before := s.bundleDeployment("c1", "db").Status.AppliedDeploymentID
	if code := create.code(long); code != 6 {
		t.Errorf("exit code %d, want 6", code)
	}
	s.says(result{stdout: create.out.String()}, "rolled back", "immutable")
	s.runs("v1", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
	if after := s.bundleDeployment("c1", "db").Status.AppliedDeploymentID; after == before {
		t.Errorf("what is applied is %s still: Fleet skips that", after)
	}
	s.undone(s.show(), "db")
}

// A person takes a rollout back that had ended well, and later tries it again:
// two new rollouts, from the old one's snapshot and not from today's plan.
func TestRollbackByPerson(t *testing.T) {
	s := play(t, "person", 6)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.ok("create", s.app, "ring-1")
	s.ok("plan", "set", s.app, "db=v5")
	s.ok("rollback", "person-1", "--reason", "v2 loses orders")
	s.runs("v1", pair, "c1", "c2", "c3", "c4")
	back := s.show()
	if back.Kind != "rollback" || back.Of != "person-1" || back.Phase != "Succeeded" {
		t.Errorf("show says %+v", back)
	}
	if db, api := back.step("ring-1", "db"), back.step("ring-1", "api"); db.StartedAt.Before(api.FinishedAt) {
		t.Errorf("db was taken back at %s, before api was at %s", db.StartedAt, api.FinishedAt)
	}
	s.says(s.ends(4, "retry", "person-1"), "withdrawn", "v2 loses orders")
	s.ok("retry", "person-1", "--reason", "the orders are found")
	s.runs("v2", pair, "c1", "c2")
	again := s.show()
	if again.Kind != "retry" || again.Of != "person-1" || again.Plan["db"] != "v2" {
		t.Errorf("show says %+v", again)
	}
	for _, id := range []string{"person-1", "person-2", "person-3"} {
		s.says(s.ok("replay", id), "every decision the same")
	}
}

// After a failure that only one service had, --only failed tries that one.
func TestRetryFailed(t *testing.T) {
	s := play(t, "retry", 3)
	s.setUp(pair...)
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "30s")
	s.ok("plan", "set", s.app, "db=v2", "api=v2-refused")
	s.ends(6, "create", s.app, "ring-1")
	template, err := s.lab.ReadFile(s.ctx, "retry-api", "deploy/templates/deployment.yaml")
	s.must(err)
	s.commitFile("api", "deploy/templates/deployment.yaml", strings.ReplaceAll(template, "-refused", "-forbidden"))
	s.ok("plan", "set", s.app, "db=v9")
	s.ok("retry", "retry-1", "--only", "failed")
	s.runs("v2", pair[:1], "c1", "c2")
	s.runs("v2-refused", pair[1:], "c1", "c2")
	if n := s.commits("db"); n != 1 {
		t.Errorf("db has %d commits, want 1: it had not failed", n)
	}
}
