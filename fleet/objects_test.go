package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

func TestSameRepository(t *testing.T) {
	const want = "https://git.example.com/x/web.git"
	for _, same := range []string{"https://Git.Example.com/x/web", "https://git.example.com/x/web/", "https://git.example.com:443/x/web.git/",
		"git@git.example.com:x/web.git", "ssh://git@git.example.com/x/web", "http://user@git.example.com/x/web"} {
		if !SameRepository(same, want) {
			t.Errorf("%s and %s: got different, want the same", same, want)
		}
	}
	for _, other := range []string{"https://git.example.com/x/Web.git", "https://git.example.com/x/web2", "https://git.example.com:8443/x/web", "/x/web"} {
		if SameRepository(other, want) {
			t.Errorf("%s and %s: got the same, want different", other, want)
		}
	}
}

func TestFindGitRepos(t *testing.T) {
	f := newFakeAPI(t)
	put := func(name string, spec obj) {
		spec["repo"] = "https://git.example.com/x/web.git"
		f.put(fleetPath("fleet-default", "gitrepos", name), obj{"apiVersion": "fleet.cattle.io/v1alpha1", "kind": "GitRepo", "spec": spec})
	}
	put("all", obj{"branch": "main"})
	put("exact", obj{"branch": "main", "paths": []any{"/apps/web"}})
	put("glob", obj{"branch": "main", "paths": []any{"apps/*"}})
	put("other-path", obj{"branch": "main", "paths": []any{"apps/web2"}})
	put("other-branch", obj{"branch": "dev"})
	put("revision", obj{"branch": "main", "revision": "v1"})
	put("driven", obj{"branch": "main", "bundles": []any{obj{"base": "apps/web"}}})
	put("driven-above", obj{"branch": "main", "bundles": []any{obj{"base": "apps"}}})
	got, err := f.manager(t, Options{}).FindGitRepos(t.Context(), "git@git.example.com:x/web", "main", "apps/web/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range got {
		names = append(names, g.Name)
	}
	if diff := cmp.Diff([]string{"all", "driven", "exact", "glob"}, names); diff != "" {
		t.Error(diff)
	}
}

const manifest = `# a comment
---
apiVersion: fleet.cattle.io/v1alpha1
kind: GitRepo
metadata: {name: shop-web}
spec: {repo: "https://git.example.com/x/web.git", branch: main, paths: [deploy]}
---
`

func TestGitRepoManifests(t *testing.T) {
	got, err := ParseGitRepoManifests([]byte(manifest + strings.Replace(manifest, "shop-web", "shop-api", 1)))
	if err != nil || len(got) != 2 || got[1].Name != "shop-api" {
		t.Fatalf("got %v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"kind":    strings.Replace(manifest, "kind: GitRepo", "kind: Secret", 1),
		"field":   strings.Replace(manifest, "branch:", "brunch:", 1),
		"no repo": strings.Replace(manifest, "repo:", "caBundle: aGk=, #", 1),
		"empty":   "---\n# nothing\n",
		"twice":   strings.Replace(manifest, "branch: main", "branch: main, branch: dev", 1),
	} {
		if got, err := ParseGitRepoManifests([]byte(bad)); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

func TestCreateGitRepo(t *testing.T) {
	f := newFakeAPI(t)
	m := f.manager(t, Options{})
	parsed, err := ParseGitRepoManifests([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	g := parsed[0]
	made, err := m.CreateGitRepo(t.Context(), g)
	if err != nil || !Managed(made) || Managed(g) {
		t.Fatalf("got %+v, %v, want it managed", made, err)
	}
	if _, err := m.CreateGitRepo(t.Context(), g); err != nil {
		t.Errorf("the same again: %v", err)
	}
	g.Spec.Branch, g.Spec.Paths = "dev", nil
	_, err = m.CreateGitRepo(t.Context(), g)
	if !errors.Is(err, rings.ErrExists) || !strings.Contains(err.Error(), "branch, paths") {
		t.Errorf("got %v, want ErrExists with the fields", err)
	}
}

func TestReach(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	f.put(fleetPath("fleet-default", "clustergroups", "first"), obj{"metadata": obj{"labels": obj{"tier": "a"}},
		"spec": obj{"selector": obj{"matchLabels": obj{"ring": "ring-1"}}}})
	f.put(fleetPath("fleet-default", "clustergroups", "nobody"), obj{"spec": obj{}})
	m := f.manager(t, Options{})
	got, err := m.Reach(t.Context(), testScope, webTarget)
	if err != nil {
		t.Fatal(err)
	}
	first := []fleetyaml.Group{{Name: "first", Labels: map[string]string{"tier": "a"}}}
	want := Reach{Targets: []fleetyaml.Target{{Name: "default", ClusterGroup: "default"}}, Clusters: []fleetyaml.Cluster{
		{Name: "c1", Labels: map[string]string{"ring": "ring-1"}, Groups: first},
		{Name: "c2", Labels: map[string]string{"ring": "ring-1"}, Groups: first},
		{Name: "c3", Labels: map[string]string{"ring": "ring-2"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := m.Reach(t.Context(), testScope, webTarget); err != nil || len(f.asked("list clusters")) != 1 {
		t.Errorf("got %d lists, %v, want the clusters to be remembered", len(f.asked("list clusters")), err)
	}
	m.forgetReach("fleet-default")
	if _, err := m.Reach(t.Context(), testScope, webTarget); err != nil || len(f.asked("list clusters")) != 2 {
		t.Errorf("got %d lists, %v, want them to be read again", len(f.asked("list clusters")), err)
	}
	_, err = m.Reach(t.Context(), testScope, orchestrator.Target{GitRepo: "none"})
	if !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
}

func TestSetLabels(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	m := f.manager(t, Options{})
	c, err := m.SetLabels(t.Context(), "c1", map[string]string{"ring": "ring-2", "app": "shop"}, []string{"gone"})
	if diff := cmp.Diff(map[string]string{"ring": "ring-2", "app": "shop"}, c.Labels); err != nil || diff != "" {
		t.Errorf("got %v, %s", err, diff)
	}
	if _, err := m.SetLabels(t.Context(), "c1", map[string]string{"app": "shop"}, []string{"gone"}); err != nil || len(f.asked("patch")) != 1 {
		t.Errorf("got %d patches, %v, want no second one", len(f.asked("patch")), err)
	}
	c, err = m.SetLabels(t.Context(), "c1", nil, []string{"ring"})
	if diff := cmp.Diff(map[string]string{"app": "shop"}, c.Labels); err != nil || diff != "" {
		t.Errorf("got %v, %s", err, diff)
	}
	f.onWrite = func() { putCluster(f, "c1", "ring-9") }
	if _, err := m.SetLabels(t.Context(), "c1", map[string]string{"ring": "x"}, nil); err == nil || f.object(fleetPath("fleet-default", "clusters", "c1"))["metadata"].(obj)["labels"].(obj)["ring"] != "ring-9" {
		t.Errorf("got %v, want a conflict, and somebody's change kept", err)
	}
}

func TestSetLabels_Owned(t *testing.T) {
	tests := []struct {
		name, owner string
		meta        obj
	}{
		{"label", `clusters.management.cattle.io "c-m-1"`, obj{"labels": obj{"management.cattle.io/cluster-name": "c-m-1"}}},
		{"annotation", `clusters.provisioning.cattle.io "fleet-default/c1"`, obj{"annotations": obj{
			"objectset.rio.cattle.io/owner-gvk":  "provisioning.cattle.io/v1, Kind=Cluster",
			"objectset.rio.cattle.io/owner-name": "c1", "objectset.rio.cattle.io/owner-namespace": "fleet-default"}}},
		{"owner", `clusters.provisioning.cattle.io "c1"`, obj{"ownerReferences": []any{obj{"apiVersion": "provisioning.cattle.io/v1", "kind": "Cluster", "name": "c1"}}}},
	}
	for _, tt := range tests {
		f := newFakeAPI(t)
		f.put(fleetPath("fleet-default", "clusters", "c1"), obj{"metadata": tt.meta})
		_, err := f.manager(t, Options{}).SetLabels(t.Context(), "c1", map[string]string{"ring": "x"}, nil)
		e, ok := errors.AsType[*LabelsOwnedError](err)
		if !ok || e.Owner != tt.owner || !errors.Is(err, ErrLabelsOwned) || len(f.asked("patch")) != 0 {
			t.Errorf("%s: got %v, want the labels of %s", tt.name, err, tt.owner)
		}
	}
}

// provisioned is a cluster whose labels Rancher copies from its own object, and
// that object's path.
func provisioned(f *fakeAPI) (m obj, path string) {
	m = obj{"labels": obj{"management.cattle.io/cluster-name": "c-m-1", "ring": "ring-1"}}
	f.put(fleetPath("fleet-default", "clusters", "c1"), obj{"metadata": m})
	path = "/apis/provisioning.cattle.io/v1/namespaces/fleet-default/clusters/c1"
	f.put(path, obj{"apiVersion": "provisioning.cattle.io/v1", "kind": "Cluster", "metadata": obj{"labels": obj{"ring": "ring-1", "own": "x"}}})
	return m, path
}

// TestSetLabels_Source sets labels where Rancher takes them from, and returns
// when they have been copied.
func TestSetLabels_Source(t *testing.T) {
	f := newFakeAPI(t)
	_, path := provisioned(f)
	f.onWrite = func() {
		go func() {
			for f.object(path)["metadata"].(obj)["labels"].(obj)["ring"] != "ring-2" {
				time.Sleep(time.Millisecond)
			}
			f.put(fleetPath("fleet-default", "clusters", "c1"), obj{"metadata": obj{"labels": obj{"management.cattle.io/cluster-name": "c-m-1", "ring": "ring-2"}}})
		}()
	}
	c, err := f.manager(t, Options{}).SetLabels(t.Context(), "c1", map[string]string{"ring": "ring-2"}, nil)
	if err != nil || c.Labels["ring"] != "ring-2" {
		t.Fatalf("got %v, %v", c.Labels, err)
	}
	if diff := cmp.Diff(obj{"ring": "ring-2", "own": "x"}, f.object(path)["metadata"].(obj)["labels"]); diff != "" {
		t.Errorf("Rancher's labels (-want +got):\n%s", diff)
	}
}

// TestSetLabels_SourceDenied names Rancher's object and its page when it must
// not be changed.
func TestSetLabels_SourceDenied(t *testing.T) {
	for _, deny := range []string{"get clusters.provisioning", "patch clusters.provisioning"} {
		f := newFakeAPI(t)
		provisioned(f)
		f.deny[deny] = true
		_, err := f.manager(t, Options{}).SetLabels(t.Context(), "c1", map[string]string{"ring": "ring-2"}, nil)
		e, ok := errors.AsType[*LabelsOwnedError](err)
		if !ok || e.Owner != `clusters.provisioning.cattle.io "fleet-default/c1"` || !errors.Is(err, ErrForbidden) || !strings.Contains(e.Place(), "c1") {
			t.Errorf("%s: got %v", deny, err)
		}
	}
}

func TestDeployed(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	got, err := f.manager(t, Options{}).Deployed(t.Context(), "shop-web")
	if err != nil || len(got) != 3 || got[0].Bundle != "web" || got[2].Cluster != "c3" || got[2].SpecNonce != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDeployedOn(t *testing.T) {
	for _, more := range []int{0, 10_000} {
		f := newFakeAPI(t)
		populateLarge(f)
		f.more = more
		m := f.manager(t, Options{})
		for range 3 {
			got, err := m.DeployedOn(t.Context(), "shop-web", []rings.ClusterName{"c1", "c3"})
			if err != nil || len(got) != 2 || got[0].Cluster != "c1" || got[1].Cluster != "c3" || got[1].Bundle != "web" {
				t.Errorf("%d more clusters: got %+v, %v", more, got, err)
			}
		}
		if got := listsOfAll(f); more > 0 && len(got) > 0 {
			t.Errorf("got %q, want nothing of other clusters to be listed", got)
		}
		if n := len(f.asked("list bundledeployments")); more > 0 && n != 2 {
			t.Errorf("got %d lists, want one for each cluster", n)
		}
		if got, err := m.DeployedOn(t.Context(), "other", []rings.ClusterName{"c1"}); err != nil || len(got) > 0 {
			t.Errorf("another GitRepo: got %+v, %v", got, err)
		}
	}
}

func TestPermissions(t *testing.T) {
	f := newFakeAPI(t)
	m := f.manager(t, Options{})
	if got, err := m.Permissions(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("got %v, %v, want nothing missing", got, err)
	}
	f.deny["watch bundledeployments"], f.deny["patch gitrepos/status"] = true, true
	got, err := m.Permissions(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v, want two", got, err)
	}
	if want := "watch bundledeployments.fleet.cattle.io in all namespaces"; got[0].String() != want || got[0].Optional {
		t.Errorf("got %s, want %s", got[0], want)
	}
	if want := `patch gitrepos.fleet.cattle.io/status in namespace "fleet-default"`; got[1].String() != want || !got[1].Optional {
		t.Errorf("got %s, want %s", got[1], want)
	}
}

func TestStanding(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	m := f.manager(t, Options{})
	target := orchestrator.Target{Service: "web", GitRepo: "shop-web", Path: "deploy"}
	if got, err := m.Standing(t.Context(), target); err != nil || fmt.Sprint(got) != "[c1 c2 c3]" {
		t.Errorf("%v, %v", got, err)
	}
	target.Bundle = "other"
	if got, err := m.Standing(t.Context(), target); err != nil || len(got) != 0 {
		t.Errorf("without its Bundle: %v, %v", got, err)
	}
	target.GitRepo = "shop-db"
	if got, err := m.Standing(t.Context(), target); err != nil || len(got) != 0 {
		t.Errorf("without its GitRepo: %v, %v", got, err)
	}
}

func TestWatchClusters(t *testing.T) {
	f := newFakeAPI(t)
	putCluster(f, "c1", "ring-1")
	putCluster(f, "c2", "ring-2")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen, ended := make(chan string, 10), make(chan error, 1)
	m := f.manager(t, Options{})
	go func() {
		ended <- m.WatchClusters(ctx, ClusterWatch{Labels: map[string]string{"ring": "ring-1"}}, func(c Cluster) { seen <- fmt.Sprint(c.Name, c.Labels) })
	}()
	await(t, "c1 listed", seen)
	waitWatches(t, f, 1)
	f.put(fleetPath("fleet-default", "clusters", "c1"), obj{"metadata": obj{"labels": obj{"ring": "ring-1", "app": "shop", "new": "x"}}})
	await(t, "c1 changed", seen)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	select {
	case more := <-seen:
		t.Errorf("more was seen: %s", more)
	default:
	}
	f.deny["list clusters"] = true
	if err := m.WatchClusters(t.Context(), ClusterWatch{Name: "c1"}, func(Cluster) {}); !errors.Is(err, ErrForbidden) {
		t.Errorf("forbidden: %v", err)
	}
}
