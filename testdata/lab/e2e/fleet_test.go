package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

const commitLabel = "fleet.cattle.io/commit"

// How Fleet passes a commit on, without rollout: labels come before content,
// commits are skipped, and what lies beside fleet.yaml is content for every
// ring.
func TestFleetCommits(t *testing.T) {
	s := play(t, "commits", 0)
	s.setUp(service{name: "db"})

	s.must(s.lab.SetJobFault(s.ctx, "commits-db", lab.JobFault{Delay: 3 * time.Second, Times: 1}))
	told := s.watchDeployments("db")
	hash := s.byHand("db", "v1", "v2")
	s.eventually(time.Minute, "the GitRepo names the commit, and the Bundle does not", func() bool {
		return s.object(&fleetv1.GitRepo{}, "commits-db").(*fleetv1.GitRepo).Status.Commit == hash && s.bundle("db").Labels[commitLabel] != hash
	})
	s.eventually(time.Minute, "the Bundle names the commit, and c1's BundleDeployment does not", func() bool {
		return s.bundle("db").Labels[commitLabel] == hash && s.bundleDeployment("c1", "db").Labels[commitLabel] != hash
	})
	s.deployed(hash, "db")
	told.sees("c1 ready under the new label with the old content", func(d *fleetv1.BundleDeployment) bool {
		return on(d, "c1") && d.Labels[commitLabel] == hash && d.Status.AppliedDeploymentID != d.Spec.DeploymentID && d.Status.Ready && d.Status.NonModified
	})

	release := s.release("c1", "db")
	comment := s.commitFile("db", "deploy/fleet.yaml", s.fleetYAML("db")+"# a note\n")
	s.deployed(comment, "db")
	if got := s.release("c1", "db"); got != release {
		t.Errorf("a comment in fleet.yaml upgraded c1: %s, was %s", got, release)
	}

	releases := map[string]string{"c1": s.release("c1", "db"), "c3": s.release("c3", "db")}
	s.must(s.lab.SetGitFault(s.ctx, "commits-db", lab.GitFault{Only: lab.Fetch, Hang: true})) // nobody looks in between
	skipped := s.commitFile("db", "deploy/NOTES", "one\n")
	content := s.commitFile("db", "deploy/NOTES", "two\n")
	s.must(s.lab.SetGitFault(s.ctx, "commits-db", lab.GitFault{}))
	s.deployed(content, "db")
	for c, was := range releases {
		if got := s.release(c, "db"); got == was {
			t.Errorf("a file of the folder did not upgrade %s: %s", c, got)
		}
	}
	told.never("a commit in between", func(d *fleetv1.BundleDeployment) bool { return d.Labels[commitLabel] == skipped })
}

// A git job that failed is not run again for the same commit, and for a while
// after a hint its failure is not even shown.
func TestFleetJobs(t *testing.T) {
	s := play(t, "jobs", 0)
	s.setUp(service{name: "db"})
	status := func() fleetv1.GitRepoStatus { return s.object(&fleetv1.GitRepo{}, "jobs-db").(*fleetv1.GitRepo).Status }

	s.must(s.lab.SetJobFault(s.ctx, "jobs-db", lab.JobFault{Times: 1, Fail: "the registry did not answer"}))
	hash := s.commitFile("db", "NOTES", "one\n")
	s.eventually(time.Minute, "the job failed", func() bool { return status().GitJobStatus == "Failed" && status().Commit == hash })
	s.steadily(20*time.Second, "nobody runs it again", func() bool { return s.bundle("db").Labels[commitLabel] != hash })
	s.deployed(s.commitFile("db", "NOTES", "two\n"), "db")

	hinted := s.commitFile("db", "NOTES", "three\n")
	at := s.hint("jobs-db", hinted)
	s.deployed(hinted, "db")
	s.must(s.lab.SetJobFault(s.ctx, "jobs-db", lab.JobFault{Fail: "the registry is gone"}))
	later := s.commitFile("db", "NOTES", "four\n")
	s.eventually(time.Minute, "the job of the later commit failed", func() bool { return s.jobFailed("jobs-db", later) })
	if got := status().GitJobStatus; time.Since(at) < 25*time.Second && got == "Failed" {
		t.Errorf("%s after the hint the failure is shown", time.Since(at))
	}
	s.eventually(time.Minute, "the failure is shown", func() bool { return status().GitJobStatus == "Failed" })
	if shown := time.Since(at); shown < 25*time.Second {
		t.Errorf("the failure was shown %s after the hint", shown)
	}
	s.must(s.lab.SetJobFault(s.ctx, "jobs-db", lab.JobFault{}))
}

// hint tells Fleet of a commit as a webhook would, and returns when it did.
func (s *scenario) hint(gitRepo, commit string) time.Time {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	now := time.Now().UTC()
	r := &fleetv1.GitRepo{ObjectMeta: metav1.ObjectMeta{Name: gitRepo, Namespace: lab.Namespace}}
	patch := fmt.Sprintf(`{"status": {"webhookCommit": %q, "lastWebhookTime": %q}}`, commit, now.Format(time.RFC3339))
	s.must(c.Status().Patch(s.ctx, r, client.RawPatch(types.MergePatchType, []byte(patch))))
	return now
}

// jobFailed reports whether the GitRepo's job of the commit has failed.
func (s *scenario) jobFailed(gitRepo, commit string) bool {
	c, err := s.lab.Client()
	s.must(err)
	list := &batchv1.JobList{}
	s.must(c.List(s.ctx, list, client.InNamespace(lab.Namespace)))
	for _, j := range list.Items {
		if strings.HasPrefix(j.Name, gitRepo+"-") && j.Annotations["commit"] == commit && j.Status.Failed > 0 {
			return true
		}
	}
	return false
}

// Errors outlive what they are about: those of a Bundle stand under the commit
// that mends it, those of a deployment under the next one's label until the
// agent acts.
func TestFleetWords(t *testing.T) {
	s := play(t, "words", 2)
	s.setUp(service{name: "db"})
	told := s.watchBundles("db")
	file := s.fleetYAML("db")
	s.commitFile("db", "deploy/fleet.yaml", strings.Replace(file, "  values:\n", "  values:\n    nope: ${ .ClusterLabels.nope }\n", 1))
	targeting := func(b *fleetv1.Bundle) bool {
		for _, c := range b.Status.Conditions {
			if c.Type == "Ready" && c.Status == "False" && strings.Contains(c.Message, "targeting error") {
				return true
			}
		}
		return false
	}
	s.eventually(time.Minute, "a targeting error", func() bool { return targeting(s.bundle("db")) })
	mended := s.commitFile("db", "deploy/fleet.yaml", file)
	s.deployed(mended, "db")
	told.sees("the error under the commit that mends it", func(b *fleetv1.Bundle) bool { return b.Labels[commitLabel] == mended && targeting(b) })

	s.tornBy("-torn")
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "20m")
	s.ok("plan", "set", s.app, "db=v2-torn")
	refused := s.begin("create", s.app, "ring-1")
	if code := refused.code(long); code != 6 { // long before the deadline
		t.Errorf("exit code %d", code)
	}
	s.says(result{stdout: refused.out.String()}, "install-failed", "YAML")
	bd := s.bundleDeployment("c1", "db")
	s.eventually(10*time.Second, "c1, too, has tried, and is not installed", func() bool { // the rollout ended with the first that said so
		bd = s.bundleDeployment("c1", "db")
		return notSo(bd, "Installed") && bd.Status.AppliedDeploymentID == bd.Spec.DeploymentID
	})
	if bd.Status.SyncGeneration != nil && *bd.Status.SyncGeneration == bd.Spec.Options.ForceSyncGeneration {
		t.Errorf("c1 acknowledges what is not installed: %+v", bd.Status)
	}
	torn := bd.Spec.Options.ForceSyncGeneration
	deployments := s.watchDeployments("db")
	s.ok("plan", "set", s.app, "db=v3")
	s.ok("create", s.app, "ring-1")
	s.runs("v3", []service{{name: "db"}}, "c1", "c2")
	deployments.sees("the old error under the new label and nonce", func(d *fleetv1.BundleDeployment) bool {
		return on(d, "c1") && notSo(d, "Installed") && d.Labels[commitLabel] == s.head("db") && d.Spec.Options.ForceSyncGeneration > torn
	})
}

// The values of a deployment lie in a Secret; while that is not there, the agent
// is told to wait, and waits.
func TestFleetAwaitsValues(t *testing.T) {
	s := play(t, "values", 0)
	s.setUp(service{name: "db"})
	c, err := s.lab.Client()
	s.must(err)
	bd := s.bundleDeployment("c1", "db")
	hash := s.byHand("db", "v1", "v2")
	s.hint("values-db", hash)
	waits := func() bool { return s.bundleDeployment("c1", "db").Spec.WaitingForValues }
	s.eventually(time.Minute, "c1's agent is told to wait for its values", func() bool {
		// What is under way when it is taken away makes it anew.
		s.must(client.IgnoreNotFound(c.Delete(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: bd.Name, Namespace: bd.Namespace}})))
		return waits()
	})
	was := s.release("c1", "db")
	s.steadily(5*time.Second, "c1 waits, and is not upgraded", func() bool { return waits() && s.release("c1", "db") == was })
}

// tornBy lets db's chart make broken YAML for images with this end.
func (s *scenario) tornBy(end string) {
	s.Helper()
	s.deployed(s.commitFile("db", "deploy/templates/torn.yaml",
		"{{- if hasSuffix \""+end+"\" .Values.image.tag }}\nkind: ConfigMap\n  metadata: [\n{{- end }}\n"), "db")
}

// An upgrade that fails half-way: what Fleet says of it is of the release
// before, and the way back to exactly that is skipped, so that half of the
// upgrade stays for ever. A new nonce ends that.
func TestFleetSkipsIdentical(t *testing.T) {
	s := play(t, "identical", 2)
	s.setUp(service{name: "db"})
	s.stuckUpgrades("db")
	good := s.fleetYAML("db")
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "20s")
	s.ok("plan", "set", s.app, "db=v2-stuck")
	s.says(s.ends(6, "create", s.app, "ring-1"), "immutable")
	s.eventually(10*time.Second, "c1 says that it is not deployed, and that the release before is ready", func() bool {
		bd := s.bundleDeployment("c1", "db")
		return notSo(bd, "Deployed") && bd.Status.Ready && bd.Status.NonModified && bd.Status.AppliedDeploymentID != bd.Spec.DeploymentID
	})

	reverted := s.commitFile("db", "deploy/fleet.yaml", good)
	s.eventually(time.Minute, "Fleet takes the revert for applied", func() bool {
		bd := s.bundleDeployment("c1", "db")
		return bd.Labels[commitLabel] == reverted && bd.Status.AppliedDeploymentID == bd.Spec.DeploymentID
	})
	s.steadily(8*time.Second, "c1 runs half of the upgrade", func() bool { return s.image("c1", "db") == "v2-stuck" })
	s.ok("ring", "update", s.app, "ring-1", "--deadline", "2m")
	s.ok("plan", "set", s.app, "db=v1")
	s.ok("create", s.app, "ring-1")
	s.runs("v1", []service{{name: "db"}}, "c1", "c2")
}

// A failure that looks soft may heal by itself: it is waited for, and not
// passed.
func TestSoftFailure(t *testing.T) {
	s := play(t, "soft", 1)
	s.setUp(service{name: "db"})
	s.stuckUpgrades("db")
	s.ok("plan", "set", s.app, "db=v2-stuck")
	create := s.begin("create", s.app, "ring-1")
	for _, c := range []string{"c1", "c2"} {
		s.eventually(time.Minute, c+" fails", func() bool { return notSo(s.bundleDeployment(c, "db"), "Deployed") })
		downstream, err := s.lab.DownstreamClient(c)
		s.must(err)
		d := s.deployment(c, "db")
		d.Name += "-second"
		d.UID, d.ResourceVersion = "", ""
		s.must(downstream.Delete(s.ctx, d))
	}
	if code := create.code(long); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.runs("v2-stuck", []service{{name: "db"}}, "c1", "c2")
}

// fleet.yaml's own dependsOn shows as a failed deployment, and is none.
func TestDependsOn(t *testing.T) {
	s := play(t, "depends", 1)
	s.setUp(service{name: "db"}, service{name: "api"})
	s.breaks("c1", "db")
	s.commitFile("api", "deploy/fleet.yaml", s.fleetYAML("api")+"dependsOn:\n- name: depends-db\n")
	s.ok("plan", "set", s.app, "api=v2")
	create := s.begin("create", s.app, "ring-1")
	s.eventuallyBy(aLook, time.Minute, "api waits for db", func() bool {
		return strings.Contains(s.look("explain", s.app).stdout, "dependent bundle(s) are not ready")
	})
	s.imageByHand("c1", "db", "v1")
	if code := create.code(long); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.runs("v2", []service{{name: "api"}}, "c1", "c2")
}

// breaks breaks a service on a cluster by hand, waits until Fleet does not call
// it ready any more, and returns how long it had been broken by then.
func (s *scenario) breaks(cluster, service string) time.Duration {
	s.Helper()
	s.imageByHand(cluster, service, "v1-bad")
	s.eventually(time.Minute, "Fleet sees that "+service+" on "+cluster+" is broken", func() bool { return !s.bundleDeployment(cluster, service).Status.Ready })
	broken, seen := time.Time{}, time.Time{}
	for _, c := range s.deployment(cluster, service).Status.Conditions {
		if c.Type == appsv1.DeploymentAvailable {
			broken = c.LastTransitionTime.Time
		}
	}
	for _, c := range s.bundleDeployment(cluster, service).Status.Conditions {
		if c.Type == "Ready" {
			var err error
			seen, err = time.Parse(time.RFC3339, c.LastUpdateTime)
			s.must(err)
		}
	}
	return seen.Sub(broken)
}

// object reads an object of the workspace.
func (s *scenario) object(into client.Object, name string) client.Object {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	s.must(c.Get(s.ctx, client.ObjectKey{Namespace: lab.Namespace, Name: name}, into))
	return into
}

// bundle returns the service's Bundle.
func (s *scenario) bundle(service string) *fleetv1.Bundle {
	s.Helper()
	return s.object(&fleetv1.Bundle{}, s.app+"-"+service).(*fleetv1.Bundle)
}

// on reports whether a BundleDeployment is the cluster's.
func on(d *fleetv1.BundleDeployment, cluster string) bool {
	return d.Labels["fleet.cattle.io/cluster"] == cluster
}

// notSo reports whether a condition is False.
func notSo(d *fleetv1.BundleDeployment, condition string) bool {
	for _, c := range d.Status.Conditions {
		if c.Type == condition {
			return c.Status == "False"
		}
	}
	return false
}

// told are the states of objects that a watch has told of, also those that
// lasted no longer than a moment.
type told[T client.Object] struct {
	s      *scenario
	mu     sync.Mutex
	states []T
	ended  bool // the server ended the watch
}

func (s *scenario) watchDeployments(service string) *told[*fleetv1.BundleDeployment] {
	s.Helper()
	return watch[*fleetv1.BundleDeployment](s, &fleetv1.BundleDeploymentList{}, service)
}

func (s *scenario) watchBundles(service string) *told[*fleetv1.Bundle] {
	s.Helper()
	return watch[*fleetv1.Bundle](s, &fleetv1.BundleList{}, service)
}

// watch follows the objects of the service's GitRepo until the scenario ends.
func watch[T client.Object](s *scenario, list client.ObjectList, service string) *told[T] {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	w, err := c.Watch(s.ctx, list, client.MatchingLabels{"fleet.cattle.io/repo-name": s.app + "-" + service})
	s.must(err)
	out := &told[T]{s: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if object, ok := e.Object.(T); ok {
				out.mu.Lock()
				out.states = append(out.states, object)
				out.mu.Unlock()
			}
		}
		out.mu.Lock()
		out.ended = s.ctx.Err() == nil
		out.mu.Unlock()
	}()
	s.Cleanup(func() { w.Stop(); <-done })
	return out
}

func (w *told[T]) any(is func(T) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, state := range w.states {
		if is(state) {
			return true
		}
	}
	return false
}

// sees wants the watch to have told of such a state.
func (w *told[T]) sees(what string, is func(T) bool) {
	w.s.Helper()
	defer func() {
		if w.s.Failed() {
			w.log()
		}
	}()
	w.s.eventually(5*time.Second, "the watch tells of "+what, func() bool { return w.any(is) })
}

// log logs what the watch told of.
func (w *told[T]) log() {
	w.s.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.s.Logf("the watch ended early: %t", w.ended)
	for _, state := range w.states {
		w.s.Logf("%s at %s: label %s, generation %d, %s", state.GetName(), state.GetResourceVersion(), state.GetLabels()[commitLabel], state.GetGeneration(), conditionsOf(state))
	}
}

// conditionsOf is what the object's status says of its conditions.
func conditionsOf(object client.Object) string {
	switch o := object.(type) {
	case *fleetv1.Bundle:
		return fmt.Sprintf("observed %d, %+v", o.Status.ObservedGeneration, o.Status.Conditions)
	case *fleetv1.BundleDeployment:
		return fmt.Sprintf("nonce %d, %+v", o.Spec.Options.ForceSyncGeneration, o.Status.Conditions)
	}
	return ""
}

// never wants the watch not to have told of such a state.
func (w *told[T]) never(what string, is func(T) bool) {
	w.s.Helper()
	if w.any(is) {
		w.s.Errorf("the watch told of %s", what)
	}
}
