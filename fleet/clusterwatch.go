package fleet

import (
	"context"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

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
