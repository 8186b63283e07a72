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

// slack is how far the clocks of people who commit may be apart: what is older
// than a commit by more than this does not descend from it. As clocks can be
// worse, a search goes on for slop more commits in a row.
const (
	slack = 24 * time.Hour
	slop  = 32
)

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
	var first time.Time
	n, err := m.node(start)
	switch {
	case err == nil:
		first = n.at.Add(-slack)
	case !errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, false, err
	}
	for _, floor := range []time.Time{first, {}} { // the second time whatever the clocks say
		w, err := m.walk(m.tip, floor)
		if err != nil {
			return nil, false, err
		}
		if w.seen[start] != nil {
			return w.from(start), false, nil
		}
		if w.cut && floor.Equal(first) {
			return nil, true, nil
		}
	}
	return nil, false, nil
}

// walked is a part of the graph of commits.
type walked struct {
	seen map[plumbing.Hash]*node
	cut  bool // a cut above the floor was met
}

// walk goes from a commit to its ancestors, as far as they are here and not
// behind slop commits that are older than the floor.
func (m *mirror) walk(from plumbing.Hash, floor time.Time) (*walked, error) {
	type stop struct {
		*node
		old int // commits below the floor in a row
	}
	first, err := m.node(from)
	if err != nil {
		return nil, err
	}
	w := &walked{seen: map[plumbing.Hash]*node{}}
	queue := []stop{{node: first}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if w.seen[at.hash] != nil {
			continue
		}
		w.seen[at.hash] = at.node
		here, cut, err := m.parents(at.node)
		if err != nil {
			return nil, err
		}
		if !at.at.Before(floor) {
			at.old, w.cut = 0, w.cut || cut
		} else if at.old++; at.old > slop {
			continue
		}
		for _, p := range here {
			queue = append(queue, stop{p, at.old})
		}
	}
	return w, nil
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
	waits := w.waits(in)
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

// waits counts for each commit the parents that come before it.
func (w *walked) waits(in map[plumbing.Hash]bool) map[plumbing.Hash]int {
	out := map[plumbing.Hash]int{}
	for h := range in {
		for _, p := range w.seen[h].parents {
			if in[p] {
				out[h]++
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

// Len is for package heap.
func (h byAge) Len() int { return len(h) }

// Less is for package heap: older commits come first.
func (h byAge) Less(i, j int) bool { return older(h[i], h[j]) < 0 }

// Swap is for package heap.
func (h byAge) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

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
			_, cut, err := m.parents(n)
			return n, !cut, err
		}
		n = next
	}
}

// sameParent returns the first parent with the key, nil when there is none.
func (m *mirror) sameParent(n *node, want string, key func(*node) (string, error)) (*node, error) {
	here, _, err := m.parents(n)
	if err != nil {
		return nil, err
	}
	for _, p := range here {
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
