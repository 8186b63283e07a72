package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

var testScope = orchestrator.Scope{App: "shop", Workspace: DefaultWorkspace, RingLabel: "ring"}

var testWatch = orchestrator.Watch{Scope: testScope, Ring: "ring-1",
	Targets: []orchestrator.Target{{Service: "web", GitRepo: "shop-web", Path: "deploy"}}}

// populate puts a GitRepo, its Bundle, and three clusters with a
// BundleDeployment each into the fake; c1 and c2 are on ring-1.
func populate(f *fakeAPI) {
	f.put(fleetPath("fleet-default", "gitrepos", "shop-web"), obj{"spec": obj{"paths": []any{"deploy"}}, "status": obj{"commit": "A"}})
	f.put(fleetPath("fleet-default", "bundles", "web"), obj{"metadata": obj{"labels": obj{
		"fleet.cattle.io/repo-name": "shop-web", "fleet.cattle.io/commit": "A"}}})
	for i, ring := range []string{"ring-1", "ring-1", "ring-2"} {
		c := fmt.Sprintf("c%d", i+1)
		putCluster(f, c, ring)
		putDeployment(f, c, "A", 1)
	}
}

func putCluster(f *fakeAPI, name, ring string) {
	f.put(fleetPath("fleet-default", "clusters", name), obj{"metadata": obj{"labels": obj{"ring": ring}}})
}

func deploymentPath(cluster string) string {
	return fleetPath("cluster-"+cluster, "bundledeployments", "web")
}

func putDeployment(f *fakeAPI, cluster, commit string, nonce int) {
	f.put(deploymentPath(cluster), deploymentObject(cluster, commit, nonce))
}

func deploymentObject(cluster, commit string, nonce int) obj {
	return obj{
		"metadata": obj{"labels": obj{"fleet.cattle.io/repo-name": "shop-web", "fleet.cattle.io/bundle-name": "web",
			"fleet.cattle.io/bundle-namespace": "fleet-default", "fleet.cattle.io/cluster": cluster,
			"fleet.cattle.io/cluster-namespace": "fleet-default", "fleet.cattle.io/commit": commit}},
		"spec":   obj{"options": obj{"forceSyncGeneration": nonce}},
		"status": obj{"syncGeneration": nonce}}
}

// watcher collects the facts of a Watch.
type watcher struct {
	mu    sync.Mutex
	lines []string
	last  map[rings.ClusterName]orchestrator.Deployment
	end   func() error
}

func watchFacts(t *testing.T, m *Manager) *watcher {
	t.Helper()
	w := &watcher{last: map[rings.ClusterName]orchestrator.Deployment{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Watch(ctx, testWatch, w.sink) }()
	w.end = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = w.end() })
	return w
}

func (w *watcher) sink(facts []orchestrator.Fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range facts {
		switch {
		case f.Deployment != nil:
			d := *f.Deployment
			w.last[d.Cluster] = d
			w.lines = append(w.lines, fmt.Sprintf("%s %s %d/%d gone=%t", d.Cluster, d.Commit, d.SpecNonce, d.StatusNonce, d.Gone))
		case f.Members != nil:
			w.lines = append(w.lines, fmt.Sprint("members ", f.Members.Clusters))
		case f.Bundle != nil:
			w.lines = append(w.lines, fmt.Sprintf("bundle %s %s max=%d %s", f.Bundle.Name, f.Bundle.Commit, f.Bundle.MaxNonce, f.Bundle.Error))
		case f.GitRepo != nil:
			w.lines = append(w.lines, fmt.Sprintf("gitrepo %s gone=%t", f.GitRepo.Commit, f.GitRepo.Gone))
		case f.Synced:
			w.lines = append(w.lines, "synced")
		}
	}
}

// take waits until the line has come, and returns all lines up to now.
func (w *watcher) take(t *testing.T, line string) []string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		got := slices.Clone(w.lines)
		if slices.Contains(got, line) {
			w.lines = nil
			w.mu.Unlock()
			return got
		}
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Fatalf("got %q, want %q among them", w.lines, line)
	return nil
}

func waitWatching(t *testing.T, f *fakeAPI) {
	t.Helper()
	waitWatches(t, f, 4)
}

func waitWatches(t *testing.T, f *fakeAPI, want int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if f.watching() == want {
			return
		}
	}
	t.Fatalf("got %d watches, want %d", f.watching(), want)
}

func TestWatch_Story(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	w := watchFacts(t, f.manager(t, Options{}))
	want := []string{"members [c1 c2]", "gitrepo A gone=false", "bundle web A max=1 ", "c1 A 1/1 gone=false", "c2 A 1/1 gone=false", "synced"}
	if diff := cmp.Diff(want, w.take(t, "synced")); diff != "" {
		t.Fatalf("start: -want +got:\n%s", diff)
	}
	waitWatching(t, f)
	steps := []struct {
		name string
		do   func()
		want []string
	}{
		{"change", func() { putDeployment(f, "c1", "B", 1) }, []string{"c1 B 1/1 gone=false"}},
		{"duplicates", func() { f.again("bundledeployments"); f.again("clusters"); putDeployment(f, "c1", "C", 1) },
			[]string{"c1 C 1/1 gone=false"}},
		{"an old event", func() {
			old := deploymentObject("c1", "OLD", 1)
			old["metadata"].(obj)["resourceVersion"] = "101"
			f.raw("bundledeployments", "MODIFIED", old)
			putDeployment(f, "c2", "C", 1)
		}, []string{"c2 C 1/1 gone=false"}},
		{"a bookmark", func() {
			f.raw("bundledeployments", "BOOKMARK", obj{"metadata": obj{"resourceVersion": "150"}})
			f.mu.Lock()
			f.version = 150
			f.mu.Unlock()
			putDeployment(f, "c2", "D", 1)
		}, []string{"c2 D 1/1 gone=false"}},
		{"other ring", func() { putDeployment(f, "c3", "C", 7) }, []string{"bundle web A max=7 "}},
		{"deleted", func() { f.remove(deploymentPath("c2")) }, []string{"c2  0/0 gone=true"}},
	}
	for _, s := range steps {
		s.do()
		if diff := cmp.Diff(s.want, w.take(t, s.want[len(s.want)-1])); diff != "" {
			t.Errorf("%s: -want +got:\n%s", s.name, diff)
		}
	}
	if err := w.end(); err != nil {
		t.Errorf("got %v at the end, want nil", err)
	}
}

func TestWatch_Outages(t *testing.T) {
	tests := []struct {
		name string
		do   func(*fakeAPI)
	}{
		{"the connections break", func(f *fakeAPI) { f.drop() }},
		{"what happened meanwhile is too old to be told", func(f *fakeAPI) {
			f.mu.Lock()
			f.gone["bundledeployments"] = true
			f.mu.Unlock()
			f.drop()
		}},
		{"the API server is away", func(f *fakeAPI) {
			verbs := []string{"list bundledeployments", "watch bundledeployments"}
			f.mu.Lock()
			for _, v := range verbs {
				f.deny[v] = true
			}
			f.mu.Unlock()
			f.drop()
			time.Sleep(time.Second)
			f.mu.Lock()
			clear(f.deny)
			f.mu.Unlock()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			populate(f)
			w := watchFacts(t, f.manager(t, Options{}))
			w.take(t, "synced")
			waitWatching(t, f)
			tt.do(f)
			putDeployment(f, "c1", "B", 2)
			f.remove(deploymentPath("c2"))
			putDeployment(f, "c3", "B", 3)
			var got []string
			for !slices.Contains(got, "bundle web A max=3 ") || !slices.Contains(got, "c2  0/0 gone=true") {
				got = append(got, w.take(t, any1(t, w))...)
			}
			slices.Sort(got)
			got = slices.DeleteFunc(slices.Compact(got), func(l string) bool { return l == "bundle web A max=2 " })
			want := []string{"bundle web A max=3 ", "c1 B 2/2 gone=false", "c2  0/0 gone=true"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// With a limit, a version means exactly that one: the past.
			for _, r := range f.asked("list ") {
				if strings.Contains(r, "resourceVersion=") {
					t.Errorf("got %s, want the newest state to be listed", r)
				}
			}
		})
	}
}

// any1 waits for any line and returns it.
func any1(t *testing.T, w *watcher) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		if len(w.lines) > 0 {
			defer w.mu.Unlock()
			return w.lines[0]
		}
		w.mu.Unlock()
	}
	t.Fatal("nothing came")
	return ""
}

func TestWatch_Members(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	w := watchFacts(t, f.manager(t, Options{}))
	w.take(t, "synced")
	waitWatching(t, f)
	// The fake sends every Cluster's changes; a real one makes DELETED of one
	// that does not match any more.
	f.remove(fleetPath("fleet-default", "clusters", "c2"))
	w.take(t, "members [c1]")
	putDeployment(f, "c2", "B", 1)
	w.take(t, "c2 B 1/1 gone=false")
	putCluster(f, "c4", "ring-1")
	w.take(t, "members [c1 c4]")
}

func TestWatch_Pages(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	for i := range 1200 {
		putDeployment(f, fmt.Sprintf("x%04d", i), "A", i)
	}
	w := watchFacts(t, f.manager(t, Options{}))
	if got := w.take(t, "synced"); !slices.Contains(got, "bundle web A max=1199 ") {
		t.Errorf("got %q, want the nonce of the last page", got)
	}
	if got := f.asked("list bundledeployments"); len(got) != 3 {
		t.Errorf("got %d pages, want 3: %q", len(got), got)
	}
}

func TestWatch_Hopeless(t *testing.T) {
	tests := []struct {
		deny string
		want ForbiddenError
	}{
		{"list bundledeployments", ForbiddenError{Verb: "list", Resource: "bundledeployments.fleet.cattle.io"}},
		{"watch clusters", ForbiddenError{Verb: "watch", Resource: "clusters.fleet.cattle.io", Namespace: "fleet-default"}},
	}
	for _, tt := range tests {
		f := newFakeAPI(t)
		populate(f)
		f.deny[tt.deny] = true
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := f.manager(t, Options{}).Watch(ctx, testWatch, func([]orchestrator.Fact) {})
		got, ok := errors.AsType[*ForbiddenError](err)
		if !ok || got.Verb != tt.want.Verb || got.Resource != tt.want.Resource || got.Namespace != tt.want.Namespace {
			t.Errorf("%s: got %v, want %v", tt.deny, err, &tt.want)
		}
	}
}

// ringWatch is a Watch of one ring that has begun.
type ringWatch struct {
	stop     context.CancelFunc
	synced   chan struct{}
	done     chan error
	returned atomic.Bool
}

// watchRing fails the test for a fact of another ring, and for one that comes
// after Watch returned.
func watchRing(t *testing.T, m *Manager, ring rings.RingName, members ...rings.ClusterName) *ringWatch {
	t.Helper()
	w := testWatch
	w.Ring = ring
	out := &ringWatch{synced: make(chan struct{}), done: make(chan error, 1)}
	synced := sync.OnceFunc(func() { close(out.synced) })
	var ctx context.Context
	ctx, out.stop = context.WithCancel(t.Context())
	go func() {
		err := m.Watch(ctx, w, func(facts []orchestrator.Fact) {
			for _, f := range facts {
				if f.Ring != ring || out.returned.Load() {
					t.Errorf("got %+v of ring %q, returned %t, want only facts of %q before", f, f.Ring, out.returned.Load(), ring)
				}
				if f.Members != nil && !slices.Equal(f.Members.Clusters, members) {
					t.Errorf("ring %q: got members %v, want %v", ring, f.Members.Clusters, members)
				}
				if f.Synced {
					synced()
				}
			}
		})
		out.returned.Store(true)
		out.done <- err
	}()
	return out
}

// await returns when the channel is closed or gave something.
func await[T any](t *testing.T, what string, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited 20 s for %s", what)
	}
}

// A rollout goes from ring to ring: the next watch begins while the last one ends.
func TestWatch_RingAfterRing(t *testing.T) {
	for name, populate := range map[string]func(*fakeAPI){"wide": populate, "narrow": populateLarge} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t)
			populate(f)
			ringAfterRing(t, f)
		})
	}
}

func ringAfterRing(t *testing.T, f *fakeAPI) {
	t.Helper()
	m := f.manager(t, Options{})
	for i := range 50 {
		first := watchRing(t, m, "ring-1", "c1", "c2")
		await(t, "ring-1", first.synced)
		first.stop()
		second := watchRing(t, m, "ring-2", "c3")
		await(t, "the end of ring-1", first.done)
		putDeployment(f, "c1", "B", i)
		await(t, "ring-2", second.synced)
		second.stop()
		await(t, "the end of ring-2", second.done)
	}
	waitWatches(t, f, 0)
	wantNoGoroutine(t)
}

func TestWatch_LeavesNoGoroutine(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	m := f.manager(t, Options{})
	w := watchFacts(t, m)
	w.take(t, "synced")
	waitWatching(t, f)
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	wantNoGoroutine(t)
}

// wantNoGoroutine waits for the end of all goroutines of watches. A stream's has
// counted itself out, and may be in its last lines.
func wantNoGoroutine(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left := watching()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left:\n%s", strings.Join(left, "\n\n"))
		}
	}
}

// watching are the stacks of the goroutines that belong to a watch.
func watching() []string {
	buf := make([]byte, 1<<20)
	var out []string
	for _, s := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		for _, part := range []string{"tools/cache.", "pkg/watch.", "fleet.(*feed)", "fleet.(*source"} {
			if strings.Contains(s, part) {
				out = append(out, s)
				break
			}
		}
	}
	return out
}
