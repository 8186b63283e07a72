package explore

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

// TestCoder_sameFuture: two nodes with the same code have the same future, so
// that it is enough to look at one of them. Every seventh node that is reached
// again is held against the first one.
func TestCoder_sameFuture(t *testing.T) {
	for _, shape := range []Shape{Small(), Sharing(), TakingBack()} {
		shape.Faults.Total = 1
		if testing.Short() {
			shape.Faults = Faults{}
		}
		l := newLayout(shape)
		first, err := start(l)
		if err != nil {
			t.Fatal(err)
		}
		c := &coder{layout: l}
		futures := map[hash]map[hash]bool{}
		again := 0
		for open := []*node{first}; len(open) > 0 && len(futures) < 6000; {
			n := open[0]
			open = open[1:]
			future := map[hash]bool{}
			h := c.hash(n)
			was, known := futures[h]
			if again++; known && again%7 != 0 {
				continue
			}
			for _, m := range n.moves(l, nil) {
				x, _, err := n.moved(l, m)
				if err != nil && !known {
					continue // for TestExplore to tell
				}
				future[c.hash(x)] = true
				if !known {
					open = append(open, x)
				}
			}
			if !known {
				futures[h] = future
			} else if !same(was, future) {
				t.Fatalf("two nodes with one code have %d and %d futures:\n%s", len(was), len(future), n.path(l))
			}
		}
	}
}

func same(a, b map[hash]bool) bool {
	for h := range a {
		if !b[h] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestClone_apart: what becomes of a clone does not touch what it was made of.
func TestClone_apart(t *testing.T) {
	l := newLayout(TakingBack())
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		n, err := start(l)
		for err == nil && !n.state.Phase.Ended() {
			moves := n.moves(l, nil)
			before := text(t, n)
			var next *node
			next, _, err = n.moved(l, moves[random.IntN(len(moves))])
			if after := text(t, n); after != before {
				t.Fatalf("seed %d: a move changed what it was made from:\n%s\n%s", seed, before, after)
			}
			n = next
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func text(t *testing.T, n *node) string {
	b, err := json.Marshal(n.state)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
