package orchestrator

import (
	"context"
	"sync"

	"rollout/rings"
)

// mailbox is what comes in while the Runner is busy. Facts of a kind are
// coalesced, the latest wins, so that it grows with the fleet and not with the
// time that a write takes. Safe for concurrent use.
type mailbox struct {
	ready chan struct{} // receives when there is something, capacity 1

	mu     sync.Mutex // guards what follows
	inputs map[ID]*letters
}

// letters is the post of one rollout.
type letters struct {
	input Input
	slots map[slot]int // where in input.Facts the latest of its kind lies
	err   error        // watching ended with it
}

// slot names what a fact is about: a later one with the same slot replaces it.
type slot struct {
	ring    rings.RingName
	service rings.ServiceName
	kind    byte
	cluster rings.ClusterName
}

func newMailbox() *mailbox {
	return &mailbox{ready: make(chan struct{}, 1), inputs: map[ID]*letters{}}
}

func slotOf(f Fact) slot {
	switch {
	case f.Deployment != nil:
		return slot{f.Ring, f.Service, 'd', f.Deployment.Cluster}
	case f.Bundle != nil:
		return slot{f.Ring, f.Service, 'b', ""}
	case f.GitRepo != nil:
		return slot{f.Ring, f.Service, 'g', ""}
	case f.Members != nil:
		return slot{f.Ring, f.Service, 'm', ""}
	}
	return slot{f.Ring, f.Service, 's', ""}
}

// put hands something to the rollout's letters and wakes the Runner.
func (m *mailbox) put(id ID, write func(*letters)) {
	m.mu.Lock()
	l := m.inputs[id]
	if l == nil {
		l = &letters{slots: map[slot]int{}}
		m.inputs[id] = l
	}
	write(l)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// facts hands facts over that a watch has sent, unless the watch was ended.
func (m *mailbox) facts(watch context.Context, id ID, facts []Fact) {
	m.put(id, func(l *letters) {
		if watch.Err() != nil {
			return
		}
		for _, f := range facts {
			if i, ok := l.slots[slotOf(f)]; ok && !f.Synced {
				l.input.Facts[i] = f
				continue
			}
			l.slots[slotOf(f)] = len(l.input.Facts)
			l.input.Facts = append(l.input.Facts, f)
		}
	})
}

// begin throws away what came in for an earlier tenure of the rollout.
func (m *mailbox) begin(id ID) {
	m.put(id, func(l *letters) { *l = letters{input: Input{Taken: true}, slots: map[slot]int{}} })
}

func (m *mailbox) outcome(id ID, o Outcome) {
	m.put(id, func(l *letters) { l.input.Outcomes = append(l.input.Outcomes, o) })
}

func (m *mailbox) failed(id ID, err error) {
	m.put(id, func(l *letters) { l.err = err })
}

// take empties the mailbox.
func (m *mailbox) take() map[ID]*letters {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.inputs
	m.inputs = map[ID]*letters{}
	return out
}
