package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// Three rings, of which the first soaks and the last needs a person: it goes
// as far as it may, stops with the code that says so, and goes on to the end
// when it is approved. What held it is said, then and afterwards.
func TestThreeRings(t *testing.T) {
	const soak = 20 * time.Second
	s := play(t, "rings", 6)
	s.rings = threeRings
	s.setUp(pair...)
	s.ok("ring", "update", s.app, "ring-1", "--soak", soak.String())
	s.ok("ring", "update", s.app, "ring-3", "--approve-before")
	s.ok("plan", "set", s.app, "db=v2", "api=v2")

	watched := s.watchSoak(soak)
	create := s.begin("create", s.app, "ring-1", "ring-2", "ring-3", "--no-background")
	s.awaits(2*time.Minute, "ring-1 soaks", func(r rollout) bool { return r.ring("ring-1") == "Soaking" })
	s.says(s.ok("explain", s.app), "ring-1", "soaks: healthy for", "of 20s")
	during := time.Now().UTC()
	watched()
	if code := create.code(long); code != 8 {
		t.Fatalf("exit code %d, want 8: a person must approve", code)
	}
	s.says(result{stdout: create.out.String()}, "waits for a person", "rollout approve rings-1")
	s.runs("v2", pair, "c1", "c2", "c3")
	s.images("db", map[string]string{"c4": "v1"})
	s.says(s.ok("explain", s.app), "ring-3", "approval", "rollout approve rings-1")

	s.says(s.ok("approve", s.app, "--reason", "the smoke tests are good"), "rings-1")
	s.ok("run", "--until-idle")
	s.runs("v2", pair, "c1", "c2", "c3", "c4")
	s.says(s.ok("explain", "rings-1", "--at", during.Format(time.RFC3339Nano)), "ring-1", "soaks", "ring-2")
	s.says(s.ok("replay", "rings-1"), "every decision the same")
	s.says(s.ok("history", s.app), "rings-1", "Succeeded")
	for _, repo := range []string{"db", "api"} {
		want := []string{"ring-1", "ring-2", "ring-3"}
		if got := s.publishedRings(repo); !slices.Equal(got, want) {
			t.Errorf("%s was published for %q, want %q", repo, got, want)
		}
	}
}

// watchSoak looks at git and at ring-2's cluster while ring-1 is rolled out,
// and wants both to stay as they are until the soak of ring-1 is over. The
// returned function waits until ring-2 has begun.
func (s *scenario) watchSoak(soak time.Duration) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var healthy time.Time
		for s.ctx.Err() == nil {
			if healthy.IsZero() && s.allLive("v2", "c1", "c2") {
				healthy = time.Now()
			}
			if s.commitsFor("db", "ring-2") > 0 || s.image("c3", "db") != "v1" {
				if held := time.Since(healthy); healthy.IsZero() || held < soak {
					s.Errorf("ring-2 began %s after ring-1 was live (zero: never), want at least %s", held, soak)
				}
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		s.Error("ring-2 never began")
	}()
	return func() { <-done }
}

// allLive reports whether the version of db and api is available on all of the
// clusters.
func (s *scenario) allLive(version string, clusters ...string) bool {
	for _, c := range clusters {
		for _, v := range pair {
			if s.live(c, v.name) != version {
				return false
			}
		}
	}
	return true
}

// publishedRings are the rings that rollout's own commits of the repository
// are for, the oldest first.
func (s *scenario) publishedRings(repo string) []string {
	out, err := s.lab.Git(s.ctx, s.app+"-"+repo, "log", "--reverse", "--format=%(trailers:key=Ring,valueonly)", "--grep=^Rollout: ", "main")
	if err != nil {
		s.Errorf("look at %s: %v", repo, err)
	}
	return strings.Fields(out)
}

// commitsFor returns how many commits of the repository are rollout's own for
// the ring.
func (s *scenario) commitsFor(repo, ring string) int {
	n := 0
	for _, r := range s.publishedRings(repo) {
		if r == ring {
			n++
		}
	}
	return n
}

// A detached rollout waits for its approval in the background, and goes on
// there.
func TestDetachedApproval(t *testing.T) {
	s := play(t, "approval", 2)
	s.setUp(service{name: "db"})
	s.ok("ring", "update", s.app, "ring-1", "--approve-after")
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ok("create", s.app, "--through", "ring-2", "--detach"), "background")
	s.awaits(2*time.Minute, "it waits for a person", func(r rollout) bool { return strings.Contains(r.Reason, "approval before ring-1 counts as done") })
	s.images("db", map[string]string{"c1": "v2", "c2": "v2", "c3": "v1", "c4": "v1"})
	s.says(s.ok("list"), "approval-1", "rollout approve")
	s.ok("approve", s.app, "--ring", "ring-1")
	s.awaits(2*time.Minute, "Succeeded", func(r rollout) bool { return r.Phase == "Succeeded" })
	s.runs("v2", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
	s.eventually(30*time.Second, "the background process has ended", func() bool { return !s.driven() })
}

// A ring is refused until the one before it was verified at these versions,
// and again when somebody has changed that one since; a person can go over it.
func TestUpstreamGate(t *testing.T) {
	s := play(t, "upstream", 3)
	s.setUp(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
	s.says(s.ends(4, "create", s.app, "ring-2"), "ring-1", "not verified", "v2 is wanted, v1 is recorded there", "hint:", "--override")
	s.ok("create", s.app, "ring-1")
	s.ok("create", s.app, "ring-2")
	s.runs("v2", []service{{name: "db"}}, "c1", "c2", "c3", "c4")

	s.ok("plan", "set", s.app, "db=v3")
	s.ok("create", s.app, "ring-1")
	hash := s.byHand("db", "v3", "v9")
	s.says(s.ends(6, "create", s.app, "ring-2"), "ring-1 says v9 for db now, not the v3 that was verified there", hash[:7])
	s.images("db", map[string]string{"c3": "v2", "c4": "v2"})
	if n := s.commitsFor("db", "ring-2"); n != 1 {
		t.Errorf("%d commits for ring-2, want the first alone", n)
	}
	s.ok("create", s.app, "ring-2", "--override", "--reason", "ring-1 tries v9 meanwhile")
	s.runs("v3", []service{{name: "db"}}, "c3", "c4")
	s.says(s.ok("show", s.app), "ring-1 tries v9 meanwhile")
}

// A dry run over three rings changes nothing: not in git, not in Fleet, not in
// the store.
func TestDryRun(t *testing.T) {
	s := play(t, "dryrun", 0)
	s.rings = threeRings
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	before := s.snapshot()
	r := s.ok("create", s.app, "ring-1", "ring-2", "ring-3", "--dry-run")
	s.says(r, "v1 -> v2", "db", "api")
	if diff := difference(before, s.snapshot()); diff != "" {
		t.Errorf("the dry run changed something:\n%s", diff)
	}
	if history := s.ok("history", s.app).stdout; history != "" {
		t.Errorf("history:\n%s", history)
	}
}

// snapshot is what git says, what Fleet was told, and what runs, a line each.
func (s *scenario) snapshot() map[string]string {
	s.Helper()
	out := map[string]string{}
	for _, v := range pair {
		head, err := s.lab.Head(s.ctx, s.repoOf(v))
		s.must(err)
		out["head of "+s.repoOf(v)] = head
		for _, c := range s.clusters() {
			if bd := s.bundleDeployment(c, v.name); bd != nil {
				out[v.name+" for "+c] = fmt.Sprint(bd.Generation, bd.Labels["fleet.cattle.io/commit"], bd.Spec.DeploymentID)
			}
			out[v.name+" on "+c] = s.image(c, v.name)
		}
	}
	s.snapshotManager(out)
	return out
}

// snapshotManager adds what was said to the manager: the GitRepos and the
// clusters' labels.
func (s *scenario) snapshotManager(out map[string]string) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	repos := &fleetv1.GitRepoList{}
	s.must(c.List(s.ctx, repos, client.InNamespace(lab.Namespace)))
	for _, r := range repos.Items {
		if strings.HasPrefix(r.Name, s.app+"-") {
			out["GitRepo "+r.Name] = fmt.Sprint(r.Generation, r.Status.WebhookCommit)
		}
	}
	clusters := &fleetv1.ClusterList{}
	s.must(c.List(s.ctx, clusters, client.InNamespace(lab.Namespace)))
	for _, x := range clusters.Items {
		out["Cluster "+x.Name] = x.Labels[s.ringLabel()] + x.Labels[s.selector()]
	}
}

// difference names what is not the same in both.
func difference(before, after map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if before[key] != after[key] {
			out = append(out, fmt.Sprintf("%s: %q, was %q", key, after[key], before[key]))
		}
	}
	for key := range after {
		if _, known := before[key]; !known {
			out = append(out, key+" is new")
		}
	}
	return strings.Join(out, "\n")
}
