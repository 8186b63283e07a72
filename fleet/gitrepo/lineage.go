package gitrepo

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// slack is how far clocks of people who commit may be apart. What lies further
// behind a commit than this cannot descend from it.
const slack = 24 * time.Hour

// errNoHistory: a commit cannot be placed by all the history there is.
var errNoHistory = errors.New("not in the branch's history")

// history returns the commits from start to the tip: those that descend from
// start and are reachable from the tip, start first, parents before children.
// It returns errNoHistory when the tip does not descend from start. More
// history is fetched as long as that is open.
func (m *mirror) history(ctx context.Context, start plumbing.Hash) ([]*node, error) {
	for _, depth := range steps {
		nodes, open, err := m.try(start)
		if err != nil || nodes != nil {
			return nodes, err
		}
		if !open {
			return nil, errNoHistory
		}
		if more, err := m.deepen(ctx, depth); err != nil || !more {
			return nil, cmp.Or(err, errNoHistory)
		}
	}
	nodes, _, err := m.try(start)
	if err == nil && nodes == nil {
		err = errNoHistory
	}
	return nodes, err
}

// try looks for start with the history at hand. Without nodes, open says that
// it may still lie behind a cut.
func (m *mirror) try(start plumbing.Hash) (nodes []*node, open bool, err error) {
	var floor time.Time
	if n, err := m.node(start); err == nil {
		floor = n.at.Add(-slack)
	}
	w, err := m.walk(m.tip, floor)
	if err != nil {
		return nil, false, err
	}
	if w.seen[start] == nil {
		return nil, w.cut, nil
	}
	return w.from(start), false, nil
}

// walked is a part of the graph of commits.
type walked struct {
	seen map[plumbing.Hash]*node
	cut  bool // a cut above the floor was met
}

// walk goes from a commit to its ancestors, as far as they are here and not
// older than the floor.
func (m *mirror) walk(from plumbing.Hash, floor time.Time) (*walked, error) {
	w := &walked{seen: map[plumbing.Hash]*node{}}
	queue := []plumbing.Hash{from}
	for len(queue) > 0 {
		h := queue[0]
		queue = queue[1:]
		if w.seen[h] != nil {
			continue
		}
		n, err := m.node(h)
		if err != nil {
			return nil, err
		}
		w.seen[h] = n
		if n.at.Before(floor) {
			continue
		}
		if m.isCut(n) {
			w.cut = true
		}
		for _, p := range n.parents {
			if m.has(p) {
				queue = append(queue, p)
			}
		}
	}
	return w, nil
}

// isCut reports whether a parent of the commit is not here, and notes it for
// deepen.
func (m *mirror) isCut(n *node) bool {
	for _, p := range n.parents {
		if !m.has(p) {
			m.cuts[n.hash] = true
			return true
		}
	}
	return false
}

// from returns start and what descends from it, parents before children; of
// several that could be next the oldest, so that the order is always the same.
func (w *walked) from(start plumbing.Hash) []*node {
	children := map[plumbing.Hash][]*node{}
	for _, n := range w.seen {
		for _, p := range n.parents {
			children[p] = append(children[p], n)
		}
	}
	in := descendants(start, children)
	waits := map[plumbing.Hash]int{}
	for h := range in {
		for _, p := range w.seen[h].parents {
			if in[p] {
				waits[h]++
			}
		}
	}
	out, ready := make([]*node, 0, len(in)), &byAge{w.seen[start]}
	for ready.Len() > 0 {
		n := heap.Pop(ready).(*node)
		out = append(out, n)
		for _, c := range children[n.hash] {
			if waits[c.hash]--; waits[c.hash] == 0 {
				heap.Push(ready, c)
			}
		}
	}
	return out
}

func descendants(start plumbing.Hash, children map[plumbing.Hash][]*node) map[plumbing.Hash]bool {
	in := map[plumbing.Hash]bool{start: true}
	queue := []plumbing.Hash{start}
	for len(queue) > 0 {
		h := queue[0]
		queue = queue[1:]
		for _, c := range children[h] {
			if !in[c.hash] {
				in[c.hash] = true
				queue = append(queue, c.hash)
			}
		}
	}
	return in
}

// byAge is a heap of commits, oldest first.
type byAge []*node

func (h byAge) Len() int           { return len(h) }
func (h byAge) Less(i, j int) bool { return older(h[i], h[j]) < 0 }
func (h byAge) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *byAge) Push(x any) { *h = append(*h, x.(*node)) }

// Pop is for package heap.
func (h *byAge) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func older(a, b *node) int {
	return cmp.Or(a.at.Compare(b.at), slices.Compare(a.hash[:], b.hash[:]))
}

// touched returns the last commit at or before h that changed what key says of
// a commit. known is false when it lies behind the cuts and 500 commits of
// history: then the answer is the oldest commit that is known to have the key.
func (m *mirror) touched(ctx context.Context, h plumbing.Hash, key func(*node) (string, error)) (n *node, known bool, err error) {
	n, known, err = m.blame(h, key)
	for _, depth := range steps[:2] {
		if err != nil || known {
			return n, known, err
		}
		more, err := m.deepen(ctx, depth)
		if err != nil {
			return nil, false, err
		}
		if !more {
			break
		}
		n, known, err = m.blame(n.hash, key)
		if err != nil {
			return nil, false, err
		}
	}
	return n, known, nil
}

// blame goes back as long as a parent has the same key.
func (m *mirror) blame(h plumbing.Hash, key func(*node) (string, error)) (*node, bool, error) {
	n, err := m.node(h)
	if err != nil {
		return nil, false, err
	}
	want, err := key(n)
	if err != nil {
		return nil, false, err
	}
	for {
		next, err := m.sameParent(n, want, key)
		if err != nil {
			return nil, false, err
		}
		if next == nil {
			return n, !m.isCut(n), nil
		}
		n = next
	}
}

// sameParent returns the first parent with the key, nil when there is none.
func (m *mirror) sameParent(n *node, want string, key func(*node) (string, error)) (*node, error) {
	for _, h := range n.parents {
		if !m.has(h) {
			continue
		}
		p, err := m.node(h)
		if err != nil {
			return nil, err
		}
		got, err := key(p)
		if err != nil {
			return nil, err
		}
		if got == want {
			return p, nil
		}
	}
	return nil, nil
}
