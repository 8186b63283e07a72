package fleet

import (
	"context"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/orchestrator"
)

const (
	// narrowUpTo is the largest number of clusters whose namespaces are
	// watched one by one: each costs a list and a watch that stays open.
	narrowUpTo = 20
	// narrowFrom is the number of BundleDeployments in a fleet from which on
	// that is worth it: fewer are read in a fraction of a second.
	narrowFrom = 5_000
)

// deployments are the sources of a watch's BundleDeployments: one for all
// cluster namespaces, or one for each cluster of the ring. The package's doc
// says which, and why both are right.
type deployments struct {
	m     *Manager
	f     *feed
	give  func(error)
	watch orchestrator.Watch

	listed  chan struct{} // closed when the ring's clusters were listed
	changed chan struct{} // receives when there is something to start or stop

	// What follows is guarded by f.mu.
	narrow   bool
	followed map[text]*follow // by cluster, also of those that left the ring
	retired  []*follow        // to be stopped
}

// follow is the source of one cluster's BundleDeployments.
type follow struct {
	namespace string
	source    *source[placed]
	stop      context.CancelFunc // nil until it runs
	ended     chan struct{}
}

func newDeployments(m *Manager, w orchestrator.Watch, f *feed, give func(error)) *deployments {
	return &deployments{m: m, f: f, give: give, watch: w, listed: make(chan struct{}), changed: make(chan struct{}, 1),
		followed: map[text]*follow{}}
}

// run watches until ctx ends. A ring that grows too large for the narrow
// variant is watched by the wide one from then on.
func (d *deployments) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-d.listed:
	}
	if d.worthNarrow(ctx) {
		d.begin()
		d.each(ctx)
	}
	if ctx.Err() == nil {
		d.wide().run(ctx)
	}
}

// worthNarrow reports whether the ring is small and the fleet is not. When that
// cannot be known, the wide variant is the one that is always right.
func (d *deployments) worthNarrow(ctx context.Context) bool {
	d.f.mu.Lock()
	members := len(d.f.tracker.members)
	d.f.mu.Unlock()
	if members > narrowUpTo {
		return false
	}
	clusters, err := d.m.countClusters(ctx, d.watch.Scope.Workspace)
	return err == nil && clusters >= narrowFrom/int64(len(d.watch.Targets))
}

// countClusters asks for one cluster and how many there are besides.
func (m *Manager) countClusters(ctx context.Context, namespace string) (int64, error) {
	n := int64(0)
	list, err := listPage(ctx, m, "clusters", namespace, metav1.ListOptions{Limit: 1}, func(*wireCluster) { n++ })
	switch {
	case err != nil:
		return 0, err
	case list.RemainingItemCount != nil:
		return n + *list.RemainingItemCount, nil
	case list.Continue != "":
		return math.MaxInt64, nil // more than one, and an API server that does not count
	}
	return n, nil
}

// wide is the source of the BundleDeployments of all clusters.
func (d *deployments) wide() *source[placed] {
	s := d.source("", "")
	bind(s, d.f, d.give, d.set, d.remove, func(t *tracker) []placed { return t.placed(nil) }, placedID)
	return s
}

// of is the source of one cluster's.
func (d *deployments) of(cluster text, namespace string) *source[placed] {
	s := d.source(namespace, ",fleet.cattle.io/cluster="+cluster.String())
	bind(s, d.f, d.give, d.set, d.remove, func(t *tracker) []placed { return t.placed(&cluster) }, placedID)
	return s
}

func (d *deployments) source(namespace, more string) *source[placed] {
	s := newSource(d.m, "bundledeployments", func(w *wireDeployment) placed { return placed{w.key(), w.record()} })
	s.namespace = namespace
	s.labelSelector = byRepo(d.watch) + ",fleet.cattle.io/bundle-namespace=" + d.watch.Scope.Workspace +
		",fleet.cattle.io/cluster-namespace=" + d.watch.Scope.Workspace + more
	return s
}

func (d *deployments) set(t *tracker, p placed, live bool) {
	t.setDeployment(p.key, p.deployment, d.f.seenAt(live))
}

func (d *deployments) remove(t *tracker, p placed) { t.deleteDeployment(p.key) }

func placedID(p placed) any { return p.key }

// begin makes the watch narrow. The clusters take the place of the one kind
// that is waited for.
func (d *deployments) begin() {
	d.f.mu.Lock()
	d.narrow = true
	d.plan(d.f.tracker)
	d.f.mu.Unlock()
	d.f.listed()
}

// plan finds the clusters whose namespace is not followed yet. No fact is sent
// before it was listed: a cluster that joins must not look as if nothing were
// deployed on it. A cluster that leaves stays of interest. f.mu is held.
func (d *deployments) plan(t *tracker) {
	if !d.narrow {
		return
	}
	for name, m := range t.members {
		old := d.followed[name]
		if m.namespace == "" || old != nil && old.namespace == m.namespace {
			continue
		}
		if old != nil {
			d.retired = append(d.retired, old)
		}
		d.f.unlisted++
		d.followed[name] = &follow{namespace: m.namespace, source: d.of(name, m.namespace), ended: make(chan struct{})}
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// each runs a source for each cluster until ctx ends or there are too many.
func (d *deployments) each(ctx context.Context) {
	for more := true; more; {
		var start, stop []*follow
		start, stop, more = d.take(ctx.Err() != nil)
		for _, f := range stop {
			f.end()
		}
		for _, f := range start {
			f.start(ctx)
		}
		if more {
			select {
			case <-ctx.Done():
			case <-d.changed:
			}
		}
	}
}

// take returns what is to be started and stopped, and whether the watch stays
// narrow. If it does not, all are stopped before the wide one begins, so that
// nothing old comes after what is newer.
func (d *deployments) take(ending bool) (start, stop []*follow, more bool) {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	stop, d.retired = d.retired, nil
	if more = !ending && len(d.followed) <= narrowUpTo; !more {
		d.narrow = false
		d.f.unlisted++ // the wide one is waited for
	}
	for _, f := range d.followed {
		if !more {
			stop = append(stop, f)
		} else if f.stop == nil {
			start = append(start, f)
		}
	}
	return start, stop, more
}

func (f *follow) start(ctx context.Context) {
	ctx, f.stop = context.WithCancel(ctx)
	go func() {
		defer close(f.ended)
		f.source.run(ctx)
	}()
}

// end returns when nothing of it runs any more, and nobody waits for it.
func (f *follow) end() {
	if f.stop != nil {
		f.stop()
		<-f.ended
	}
	f.source.listed()
}
