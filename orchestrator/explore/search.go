package explore

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"rollout/orchestrator"
)

// Options say how to explore.
type Options struct {
	// Wide explores near states first, which finds the shortest path to what is
	// broken; otherwise the last one found is next, which needs little memory.
	Wide bool
	// Workers is how many states are looked at at once; zero means 1.
	Workers int
	// MaxStates ends an exploration that is too large; zero means never. So does
	// Until, when something comes from it.
	MaxStates int
	Until     <-chan time.Time
	// Progress, if set, is called now and then.
	Progress func(Report)
}

// Report is what an exploration found.
type Report struct {
	States, Edges int
	Depth         int  // the longest path that was followed; with Wide the longest of all shortest ones
	Whole         bool // there is nothing left to explore
	// Ends are the numbers of states in which the rollout has ended, by phase.
	Ends map[orchestrator.Phase]int
	// Circles are the states from which a circle can be reached: 0 says that
	// every path comes to an end.
	Circles int
	// Broken is the first invariant that did not hold, Path how.
	Broken *Broken
	Path   string
}

func (r Report) String() string {
	whole := "explored to the end"
	if !r.Whole {
		whole = "NOT explored to the end"
	}
	return fmt.Sprintf("%d states, %d edges, depth %d, %s; ends %v, states that lead to a circle: %d", r.States, r.Edges, r.Depth, whole, r.Ends, r.Circles)
}

// Explore follows every order of events.
func Explore(s Shape, o Options) Report {
	x := &search{layout: newLayout(s), Options: o, ends: map[orchestrator.Phase]int{}}
	x.wake = sync.NewCond(&x.mu)
	first, err := start(x.layout)
	if err != nil {
		x.found(first, err)
		return x.report()
	}
	c := &coder{layout: x.layout}
	number, _ := x.seen.add(c.hash(first))
	x.open = []item{{first, number}}
	x.run()
	return x.report()
}

type item struct {
	*node
	number uint32
}

// search is an exploration under way.
type search struct {
	*layout
	Options
	seen seenSet

	mu     sync.Mutex
	wake   *sync.Cond
	open   []item // to be expanded
	busy   int    // workers that expand
	over   bool
	edges  int
	depth  int
	ends   map[orchestrator.Phase]int
	broken *Broken
	path   string

	graph [][]edge // by worker
}

type edge struct{ from, to uint32 }

func (x *search) run() {
	workers := max(x.Workers, 1)
	x.graph = make([][]edge, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { x.work(w) })
	}
	all.Wait()
}

func (x *search) work(w int) {
	c := &coder{layout: x.layout}
	for {
		it, ok := x.take()
		if !ok {
			return
		}
		next, edges, err := x.expand(c, it)
		x.graph[w] = append(x.graph[w], edges...)
		x.give(it, next, len(edges), err)
	}
}

// take returns the next node; false when there is none and nobody makes any.
func (x *search) take() (item, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.open) == 0 && x.busy > 0 && !x.over {
		x.wake.Wait()
	}
	if x.over || len(x.open) == 0 {
		x.wake.Broadcast()
		return item{}, false
	}
	var it item
	if x.Wide {
		it, x.open = x.open[0], x.open[1:]
	} else {
		it, x.open = x.open[len(x.open)-1], x.open[:len(x.open)-1]
	}
	x.busy++
	return it, true
}

// give takes what became of a node in.
func (x *search) give(it item, next []item, edges int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy--
	x.edges += edges
	x.depth = max(x.depth, it.trail.length)
	if p := it.state.Phase; p.Ended() {
		x.ends[p]++
	}
	x.open = append(x.open, next...)
	select {
	case <-x.Until:
		x.over = true
	default:
	}
	if err != nil || x.MaxStates > 0 && int(x.seen.next) >= x.MaxStates {
		x.over = true
	}
	if x.Progress != nil && x.edges>>20 != (x.edges-edges)>>20 {
		x.Progress(Report{States: int(x.seen.next), Edges: x.edges, Depth: x.depth})
	}
	x.wake.Broadcast()
}

// expand makes every move from the node, and returns the nodes that are new.
func (x *search) expand(c *coder, it item) (next []item, edges []edge, err error) {
	moves := it.moves(x.layout, nil)
	if len(moves) == 0 && !it.state.Phase.Ended() {
		err := broken(0, "nothing can happen any more, and the rollout has not ended")
		x.found(it.node, err)
		return nil, nil, err
	}
	if err := it.quiet(x.layout); err != nil {
		x.found(it.node, err)
		return nil, nil, err
	}
	for _, m := range moves {
		n, _, err := it.moved(x.layout, m)
		if err != nil {
			x.found(n, err)
			return nil, edges, err
		}
		number, fresh := x.seen.add(c.hash(n))
		edges = append(edges, edge{it.number, number})
		if fresh {
			next = append(next, item{n, number})
		}
	}
	return next, edges, nil
}

// found keeps the first thing that is broken.
func (x *search) found(n *node, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken != nil || !errors.As(err, &x.broken) {
		return
	}
	x.path = n.path(x.layout)
}

func (x *search) report() Report {
	r := Report{States: int(x.seen.next), Edges: x.edges, Depth: x.depth, Ends: x.ends, Broken: x.broken, Path: x.path}
	r.Whole = len(x.open) == 0 && !x.over && x.broken == nil
	r.Circles = circles(x.graph, r.States)
	return r
}

// circles counts the states from which a circle can be reached: those that are
// left when, again and again, those without a way on are taken away.
func circles(graph [][]edge, states int) int {
	ways := make([]uint32, states) // on from each state
	first := make([]uint32, states+1)
	n := 0
	for _, part := range graph {
		n += len(part)
		for _, e := range part {
			ways[e.from]++
			first[e.to+1]++
		}
	}
	for i := range states {
		first[i+1] += first[i]
	}
	into := make([]uint32, n) // where each state is reached from, state by state
	at := append([]uint32(nil), first[:states]...)
	for _, part := range graph {
		for _, e := range part {
			into[at[e.to]] = e.from
			at[e.to]++
		}
	}
	var open []uint32
	for i := range states {
		if ways[i] == 0 {
			open = append(open, uint32(i))
		}
	}
	left := states
	for len(open) > 0 {
		s := open[len(open)-1]
		open, left = open[:len(open)-1], left-1
		for _, from := range into[first[s]:first[s+1]] {
			if ways[from]--; ways[from] == 0 {
				open = append(open, from)
			}
		}
	}
	return left
}
