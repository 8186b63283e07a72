package fleet

import (
	"context"
	"maps"
	"slices"

	"k8s.io/klog/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

// AwaitGone returns once the cluster has no BundleDeployment of these services
// any more: Fleet has taken them away. Whether the cluster's agent has uninstalled
// them by then, nothing in the manager says. With the error of ctx come those that are
// still there, sorted. told is called, from one goroutine, with them whenever they change.
func (m *Manager) AwaitGone(ctx context.Context, c Cluster, targets []orchestrator.Target, told func([]rings.ServiceName)) ([]rings.ServiceName, error) {
	services := map[string]rings.ServiceName{} // by Bundle
	for _, t := range targets {
		bundle, err := m.bundleOf(ctx, t)
		if err != nil {
			return nil, err
		}
		if bundle != "" {
			services[bundle] = t.Service
		}
	}
	if c.Namespace == "" || len(services) == 0 {
		return nil, nil
	}
	watch, give := context.WithCancelCause(klog.NewContext(ctx, m.log))
	defer give(nil)
	g := going{there: map[rings.ServiceName]bool{}, told: told, end: func() { give(nil) }}
	s := newSource(m, "bundledeployments", func(w *wireDeployment) rings.ServiceName { return services[w.Metadata.Labels.Bundle] })
	s.namespace, s.give, s.listed = c.Namespace, give, func() {}
	s.set, s.delete, s.replace = g.set, g.delete, g.replace
	s.run(watch)
	switch {
	case g.gone:
		return nil, nil
	case ctx.Err() != nil:
		return slices.Sorted(maps.Keys(g.there)), ctx.Err()
	}
	return nil, context.Cause(watch)
}

// going are services on their way off a cluster; "" is any other.
type going struct {
	there map[rings.ServiceName]bool
	gone  bool // all of them
	told  func([]rings.ServiceName)
	end   func()
}

func (g *going) set(name rings.ServiceName, _ bool) {
	if name != "" && !g.there[name] {
		g.there[name] = true
		g.tell()
	}
}

func (g *going) delete(name rings.ServiceName) {
	if g.there[name] {
		delete(g.there, name)
		g.tell()
	}
}

func (g *going) replace(all []rings.ServiceName) {
	clear(g.there)
	for _, name := range all {
		g.there[name] = true
	}
	delete(g.there, "")
	g.tell()
}

func (g *going) tell() {
	g.told(slices.Sorted(maps.Keys(g.there)))
	if len(g.there) == 0 {
		g.gone = true
		g.end()
	}
}
