package rings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dominikbraun/graph"
)

// Graph is the dependency graph of an application's services: an edge points
// from a dependency to the service that depends on it. It is read-only after
// it was built, and safe for concurrent use.
type Graph struct {
	needs map[ServiceName]map[ServiceName]bool // service -> what it depends on, directly
}

// CycleError is a cycle of dependencies; it wraps [ErrCycle].
type CycleError struct {
	// Path begins and ends with the same service; each depends on the next.
	Path []ServiceName
}

// Error prints the path.
func (e *CycleError) Error() string {
	return "dependency cycle: " + strings.Join(names(e.Path), " -> ")
}

// Unwrap returns ErrCycle.
func (e *CycleError) Unwrap() error { return ErrCycle }

// Graph builds the dependency graph. A dependency that is no service of the
// application is an *UnknownError, a cycle a *CycleError.
func (a *Application) Graph() (*Graph, error) {
	g := graph.New(func(s ServiceName) ServiceName { return s }, graph.Directed())
	for _, s := range a.Services {
		if err := g.AddVertex(s.Name); err != nil {
			return nil, fmt.Errorf("service %q: %w", s.Name, ErrExists)
		}
	}
	for _, s := range a.Services {
		for _, d := range s.DependsOn {
			err := g.AddEdge(d, s.Name)
			if errors.Is(err, graph.ErrVertexNotFound) {
				return nil, a.unknown("service", string(d), names(a.ServiceNames()))
			}
			if err != nil && !errors.Is(err, graph.ErrEdgeAlreadyExists) {
				return nil, fmt.Errorf("service %q depends on %q: %w", s.Name, d, err)
			}
		}
	}
	return fromPredecessors(g)
}

func fromPredecessors(g graph.Graph[ServiceName, ServiceName]) (*Graph, error) {
	predecessors, err := g.PredecessorMap()
	if err != nil {
		return nil, fmt.Errorf("dependency graph: %w", err)
	}
	out := &Graph{needs: make(map[ServiceName]map[ServiceName]bool, len(predecessors))}
	for s, edges := range predecessors {
		out.needs[s] = make(map[ServiceName]bool, len(edges))
		for d := range edges {
			out.needs[s][d] = true
		}
	}
	if len(slices.Concat(out.levels()...)) != len(out.needs) {
		return nil, &CycleError{Path: out.cycle()}
	}
	return out, nil
}

// Needs returns, for every service of the subset, the services of the subset
// that must be done before it, sorted: those it depends on directly, and those
// that it reaches only through services outside the subset. So an order among
// planned services holds even when what lies between them is not planned.
func (g *Graph) Needs(subset []ServiceName) map[ServiceName][]ServiceName {
	in := make(map[ServiceName]bool, len(subset))
	for _, s := range subset {
		in[s] = true
	}
	out := make(map[ServiceName][]ServiceName, len(subset))
	for _, s := range subset {
		found := map[ServiceName]bool{}
		g.collect(s, in, found, map[ServiceName]bool{})
		out[s] = sortedKeys(found)
	}
	return out
}

// collect walks down from s and stops at members of the subset.
func (g *Graph) collect(s ServiceName, in, found, seen map[ServiceName]bool) {
	for d := range g.needs[s] {
		if in[d] {
			found[d] = true
			continue
		}
		if !seen[d] {
			seen[d] = true
			g.collect(d, in, found, seen)
		}
	}
}

// Waves returns the subset in waves: each holds the services whose needs all
// lie in earlier waves, sorted by name. An empty subset has no waves.
func (g *Graph) Waves(subset []ServiceName) [][]ServiceName {
	sub := &Graph{needs: make(map[ServiceName]map[ServiceName]bool, len(subset))}
	for s, needs := range g.Needs(subset) {
		sub.needs[s] = make(map[ServiceName]bool, len(needs))
		for _, d := range needs {
			sub.needs[s][d] = true
		}
	}
	return sub.levels()
}

// levels is Kahn's algorithm, a level at a time. What lies on a cycle, or
// behind one, is in no level.
func (g *Graph) levels() [][]ServiceName {
	open := make(map[ServiceName]int, len(g.needs))
	dependents := make(map[ServiceName][]ServiceName, len(g.needs))
	var level []ServiceName
	for s, needs := range g.needs {
		open[s] = len(needs)
		for d := range needs {
			dependents[d] = append(dependents[d], s)
		}
		if len(needs) == 0 {
			level = append(level, s)
		}
	}
	var out [][]ServiceName
	for len(level) > 0 {
		slices.Sort(level)
		out = append(out, level)
		level = release(level, dependents, open)
	}
	return out
}

// release returns the services whose last open need was in the level.
func release(level []ServiceName, dependents map[ServiceName][]ServiceName, open map[ServiceName]int) []ServiceName {
	var next []ServiceName
	for _, s := range level {
		for _, d := range dependents[s] {
			if open[d]--; open[d] == 0 {
				next = append(next, d)
			}
		}
	}
	return next
}

// cycle returns one cycle, the one through the smallest name that is on one.
func (g *Graph) cycle() []ServiceName {
	for _, start := range sortedKeys(g.needs) {
		if path := g.pathTo(start, start, map[ServiceName]bool{}); path != nil {
			return append([]ServiceName{start}, path...)
		}
	}
	return nil
}

// pathTo returns the services after from on a way along "depends on" to goal,
// goal included, or nil.
func (g *Graph) pathTo(from, goal ServiceName, seen map[ServiceName]bool) []ServiceName {
	for _, d := range sortedKeys(g.needs[from]) {
		if d == goal {
			return []ServiceName{goal}
		}
		if seen[d] {
			continue
		}
		seen[d] = true
		if rest := g.pathTo(d, goal, seen); rest != nil {
			return append([]ServiceName{d}, rest...)
		}
	}
	return nil
}

func sortedKeys[V any](m map[ServiceName]V) []ServiceName {
	out := make([]ServiceName, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
