package fleet

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

// ClusterWatch says which clusters of the workspace are meant: one by its name,
// or with "" those that carry the labels.
type ClusterWatch struct {
	Name   rings.ClusterName
	Labels map[string]string
}

// WatchClusters sends the clusters that are meant to sink: first each that is
// there, later each that changes, from one goroutine. Those that go, or do not
// carry the labels any more, are not told of. It reconnects by itself and returns
// when ctx ends, with nil, or when watching cannot ever work, with the reason.
func (m *Manager) WatchClusters(ctx context.Context, w ClusterWatch, sink func(Cluster)) error {
	outer := ctx
	ctx, give := context.WithCancelCause(klog.NewContext(ctx, m.log))
	defer give(nil)
	s := newSource(m, "clusters", (*wireCluster).cluster)
	s.namespace, s.labelSelector = m.workspace, labels.SelectorFromSet(w.Labels).String()
	if w.Name != "" {
		s.fieldSelect = fields.OneTermEqualSelector("metadata.name", string(w.Name)).String()
	}
	s.give, s.listed = give, func() {}
	s.set = func(c Cluster, _ bool) { sink(c) }
	s.delete = func(Cluster) {}
	s.replace = func(all []Cluster) {
		for _, c := range all {
			sink(c)
		}
	}
	s.run(ctx)
	if outer.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// AwaitGone returns once the cluster has no BundleDeployment of these services
// any more: Fleet has taken them away. Whether the cluster's agent has uninstalled
// them by then, nothing in the manager says. With the error of ctx come those that are
// still there, sorted. told is called with them whenever they change.
func (m *Manager) AwaitGone(ctx context.Context, c Cluster, targets []orchestrator.Target, told func([]rings.ServiceName)) ([]rings.ServiceName, error) {
	services := map[string]rings.ServiceName{} // by Bundle
	for _, t := range targets {
		bundle, err := m.bundleOf(ctx, t)
		if err != nil {
			return nil, err
		}
		services[bundle] = t.Service
	}
	delete(services, "")
	if c.Namespace == "" || len(services) == 0 {
		return nil, nil
	}
	there, gone := map[rings.ServiceName]bool{}, false
	watch, give := context.WithCancelCause(klog.NewContext(ctx, m.log))
	defer give(nil)
	s := newSource(m, "bundledeployments", func(w *wireDeployment) rings.ServiceName { return services[w.Metadata.Labels.Bundle] })
	s.namespace, s.give, s.listed = c.Namespace, give, func() {}
	look := func() {
		delete(there, "")
		if told(slices.Sorted(maps.Keys(there))); len(there) == 0 {
			gone = true
			give(nil)
		}
	}
	s.set = func(name rings.ServiceName, _ bool) {
		if name != "" && !there[name] {
			there[name] = true
			look()
		}
	}
	s.delete = func(name rings.ServiceName) {
		if there[name] {
			delete(there, name)
			look()
		}
	}
	s.replace = func(all []rings.ServiceName) {
		clear(there)
		for _, name := range all {
			there[name] = true
		}
		look()
	}
	s.run(watch)
	switch {
	case gone:
		return nil, nil
	case ctx.Err() != nil:
		return slices.Sorted(maps.Keys(there)), ctx.Err()
	}
	return nil, context.Cause(watch)
}
