package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
)

// populateLarge is populate in a fleet of many more clusters. The file's other
// rings are at nonce 7, by the Bundle's targets.
func populateLarge(f *fakeAPI) {
	f.more = 10_000
	populate(f)
	f.put(fleetPath("fleet-default", "bundles", "web"), obj{
		"metadata": obj{"labels": obj{"fleet.cattle.io/repo-name": "shop-web", "fleet.cattle.io/commit": "A"}},
		"spec":     obj{"targets": []any{obj{"forceSyncGeneration": 7}, obj{"forceSyncGeneration": 1}, obj{}}}})
	for i, ring := range []string{"ring-1", "ring-1", "ring-2"} {
		putFollowed(f, fmt.Sprintf("c%d", i+1), ring)
	}
}

// putFollowed puts a cluster whose BundleDeployments lie where deploymentPath
// has them.
func putFollowed(f *fakeAPI, name, ring string) {
	f.put(fleetPath("fleet-default", "clusters", name), obj{"metadata": obj{"labels": obj{"ring": ring}},
		"status": obj{"namespace": "cluster-" + name}})
}

// listsOfAll are the lists of BundleDeployments that were not of one cluster.
func listsOfAll(f *fakeAPI) []string {
	return slices.DeleteFunc(f.asked("list bundledeployments"), func(r string) bool {
		return strings.Contains(r, "fleet.cattle.io%2Fcluster%3D")
	})
}

func TestWatch_Narrow(t *testing.T) {
	f := newFakeAPI(t)
	populateLarge(f)
	w := watchFacts(t, f.manager(t, Options{}))
	want := []string{"members [c1 c2]", "gitrepo A gone=false", "bundle web A max=7 ", "c1 A 1/1 gone=false", "c2 A 1/1 gone=false", "synced"}
	if diff := cmp.Diff(want, w.take(t, "synced")); diff != "" {
		t.Fatalf("start: -want +got:\n%s", diff)
	}
	waitWatches(t, f, 5)
	steps := []struct {
		name string
		do   func()
		want []string
	}{
		{"change", func() { putDeployment(f, "c1", "B", 8) }, []string{"bundle web A max=8 ", "c1 B 8/8 gone=false"}},
		{"another ring's", func() { putDeployment(f, "c3", "B", 9); putDeployment(f, "c2", "B", 1) }, []string{"c2 B 1/1 gone=false"}},
		{"a cluster joins, with what it has", func() { putFollowed(f, "c3", "ring-1") },
			[]string{"members [c1 c2 c3]", "bundle web A max=9 ", "c3 B 9/9 gone=false"}},
		{"a cluster leaves", func() { f.remove(fleetPath("fleet-default", "clusters", "c2")) }, []string{"members [c1 c3]"}},
		{"it is followed still", func() { f.remove(deploymentPath("c2")) }, []string{"c2  0/0 gone=true"}},
		{"a cluster that Fleet has no namespace for yet", func() { putCluster(f, "c4", "ring-1") }, []string{"members [c1 c3 c4]"}},
		{"and then has", func() { putDeployment(f, "c4", "B", 2); putFollowed(f, "c4", "ring-1") }, []string{"c4 B 2/2 gone=false"}},
		{"a cluster made anew", func() {
			f.put(fleetPath("fleet-default", "clusters", "c4"), obj{"metadata": obj{"labels": obj{"ring": "ring-1"}}, "status": obj{"namespace": "cluster-new"}})
		}, []string{"c4  0/0 gone=true"}},
	}
	for _, s := range steps {
		s.do()
		if diff := cmp.Diff(s.want, w.take(t, s.want[len(s.want)-1])); diff != "" {
			t.Errorf("%s: -want +got:\n%s", s.name, diff)
		}
	}
	if got := listsOfAll(f); len(got) > 0 {
		t.Errorf("got %q, want nothing of other clusters to be listed", got)
	}
	if err := w.end(); err != nil {
		t.Errorf("got %v at the end, want nil", err)
	}
	wantNoGoroutine(t)
}

// A ring that grows too large is watched as large ones are, and nothing that
// happens meanwhile is lost.
func TestWatch_NarrowGrows(t *testing.T) {
	f := newFakeAPI(t)
	populateLarge(f)
	w := watchFacts(t, f.manager(t, Options{}))
	w.take(t, "synced")
	waitWatches(t, f, 5)
	putDeployment(f, "c3", "A", 30)
	for i := range narrowUpTo {
		name := fmt.Sprintf("x%02d", i)
		putDeployment(f, name, "A", 1)
		putFollowed(f, name, "ring-1")
	}
	putDeployment(f, "c1", "B", 1)
	w.take(t, "bundle web A max=30 ")
	waitWatches(t, f, 4)
	if got := listsOfAll(f); len(got) != 1 {
		t.Errorf("got %d lists of all clusters, want 1: %q", len(got), got)
	}
	putDeployment(f, "c2", "C", 1)
	w.take(t, "c2 C 1/1 gone=false")
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.last["c1"].Commit; len(w.last) != narrowUpTo+2 || got != "B" {
		t.Errorf("got %d clusters, c1 at %q, want %d and B", len(w.last), got, narrowUpTo+2)
	}
}

// In a small fleet, and when the size cannot be told, all are watched.
func TestWatch_NotWorthNarrow(t *testing.T) {
	f := newFakeAPI(t)
	populateLarge(f)
	f.more = 100
	w := watchFacts(t, f.manager(t, Options{}))
	w.take(t, "synced")
	waitWatching(t, f)
	if got := listsOfAll(f); len(got) != 1 {
		t.Errorf("got %d lists of all clusters, want 1", len(got))
	}
}

func TestWatch_NarrowHopeless(t *testing.T) {
	f := newFakeAPI(t)
	populateLarge(f)
	f.deny["list bundledeployments"] = true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := f.manager(t, Options{}).Watch(ctx, testWatch, func([]orchestrator.Fact) { t.Error("got facts") })
	if got, ok := errors.AsType[*ForbiddenError](err); !ok || !strings.HasPrefix(got.Namespace, "cluster-c") {
		t.Errorf("got %v, want a ForbiddenError of a cluster's namespace", err)
	}
	wantNoGoroutine(t)
}
