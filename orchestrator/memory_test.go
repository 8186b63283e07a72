package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// memory is a Store without a file. It can be told to fail.
type memory struct {
	t *testing.T
	// fail is asked before and after every write; an error before keeps it
	// from happening, one after hides that it did.
	fail func(write string) (before, after error)

	mu       sync.Mutex // guards what follows
	journals map[orchestrator.ID][]orchestrator.Event
	leases   map[orchestrator.ID]orchestrator.Lease
	epochs   uint64
	commands map[orchestrator.ID][]orchestrator.Command
	halts    map[rings.AppName]rings.Halt // that of all under ""
	changed  chan struct{}
}

func newMemory(t *testing.T) *memory {
	return &memory{t: t, fail: func(string) (error, error) { return nil, nil },
		journals: map[orchestrator.ID][]orchestrator.Event{}, leases: map[orchestrator.ID]orchestrator.Lease{},
		commands: map[orchestrator.ID][]orchestrator.Command{}, halts: map[rings.AppName]rings.Halt{}, changed: make(chan struct{}, 1)}
}

// write runs f, or fails as it was told to.
func (m *memory) write(what string, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, after := m.fail(what)
	if before != nil {
		return before
	}
	return errors.Join(f(), after)
}

func (m *memory) create(id orchestrator.ID, now time.Time, actor string, c orchestrator.Created) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journals[id] = []orchestrator.Event{{Rollout: id, Seq: 1, At: now, Actor: actor, Body: c}}
}

// command is what another process writes.
func (m *memory) command(id orchestrator.ID, c orchestrator.Command) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.Seq = uint64(len(m.commands[id]) + 1)
	m.commands[id] = append(m.commands[id], c)
	m.tell()
}

// halt is what another process writes.
func (m *memory) halt(h rings.Halt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.halts[h.App] = h
	m.tell()
}

// tell says that another process wrote.
func (m *memory) tell() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *memory) state(id orchestrator.ID) *orchestrator.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := make([]orchestrator.Event, len(m.journals[id]))
	for i, e := range m.journals[id] {
		events[i] = reread(m.t, e)
	}
	return orchestrator.Fold(nil, events)
}

// known returns an error for a rollout that there is not.
func (m *memory) known(id orchestrator.ID) error {
	if m.journals[id] == nil {
		return fmt.Errorf("rollout %q: %w", id, orchestrator.ErrNotFound)
	}
	return nil
}

func (m *memory) Rollout(_ context.Context, id orchestrator.ID) (*orchestrator.State, error) {
	s := m.state(id)
	if s == nil {
		return nil, fmt.Errorf("rollout %q: %w", id, orchestrator.ErrNotFound)
	}
	return s, nil
}

func (m *memory) Live(context.Context) ([]orchestrator.ID, error) {
	var out []orchestrator.ID
	m.mu.Lock()
	ids := sortedKeys(m.journals)
	slices.SortStableFunc(ids, func(a, b orchestrator.ID) int { return m.journals[a][0].At.Compare(m.journals[b][0].At) })
	m.mu.Unlock()
	for _, id := range ids {
		if !m.state(id).Phase.Ended() {
			out = append(out, id)
		}
	}
	return out, nil
}

func (m *memory) Acquire(_ context.Context, id orchestrator.ID, d orchestrator.Driver, now time.Time, ttl time.Duration) (orchestrator.Lease, error) {
	var l orchestrator.Lease
	err := m.write("acquire", func() error {
		if err := m.known(id); err != nil {
			return err
		}
		if held, ok := m.leases[id]; ok && held.Driver != d && now.Before(held.Expires) {
			return &orchestrator.LeasedError{Lease: held}
		}
		m.epochs++
		l = orchestrator.Lease{Rollout: id, Driver: d, Epoch: m.epochs, Expires: now.Add(ttl), Seen: now}
		m.leases[id] = l
		return nil
	})
	return l, err
}

func (m *memory) Renew(_ context.Context, held []orchestrator.Lease, now time.Time, ttl time.Duration) ([]orchestrator.Lease, error) {
	var kept []orchestrator.Lease
	err := m.write("renew", func() error {
		for _, l := range held {
			if m.leases[l.Rollout].Epoch == l.Epoch {
				l.Expires, l.Seen = now.Add(ttl), now
				m.leases[l.Rollout] = l
				kept = append(kept, l)
			}
		}
		return nil
	})
	return kept, err
}

func (m *memory) Release(_ context.Context, l orchestrator.Lease) error {
	return m.write("release", func() error {
		if m.leases[l.Rollout].Epoch == l.Epoch {
			delete(m.leases, l.Rollout)
		}
		return nil
	})
}

func (m *memory) Append(_ context.Context, batches []orchestrator.Batch) error {
	return m.write("append", func() error {
		for _, b := range batches {
			if err := m.known(b.Lease.Rollout); err != nil {
				return err
			}
		}
		if fenced := m.fenced(batches); len(fenced) > 0 {
			return &orchestrator.FencedError{Rollouts: fenced}
		}
		for _, b := range batches {
			for i, e := range b.Events {
				if want := uint64(len(m.journals[b.Lease.Rollout]) + 1 + i); e.Seq != want {
					return fmt.Errorf("event %d: %w", e.Seq, orchestrator.ErrOutOfOrder)
				}
			}
		}
		for _, b := range batches {
			m.journals[b.Lease.Rollout] = append(m.journals[b.Lease.Rollout], b.Events...)
			m.commands[b.Lease.Rollout] = slices.DeleteFunc(m.commands[b.Lease.Rollout], func(c orchestrator.Command) bool {
				return slices.Contains(b.Consumed, c.Seq)
			})
		}
		return nil
	})
}

// fenced is invariant 7: who appends holds the lease.
func (m *memory) fenced(batches []orchestrator.Batch) []orchestrator.ID {
	var out []orchestrator.ID
	for _, b := range batches {
		if m.leases[b.Lease.Rollout].Epoch != b.Lease.Epoch {
			out = append(out, b.Lease.Rollout)
		}
	}
	return out
}

func (m *memory) Commands(_ context.Context, id orchestrator.ID) ([]orchestrator.Command, error) {
	var out []orchestrator.Command
	err := m.write("commands", func() error {
		if err := m.known(id); err != nil {
			return err
		}
		out = slices.Clone(m.commands[id])
		return nil
	})
	return out, err
}

func (m *memory) Changes(context.Context) <-chan struct{} { return m.changed }

// Barriers implements orchestrator.Store.
func (m *memory) Barriers(_ context.Context, app rings.AppName, now time.Time) (rings.Barriers, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, scope := range []rings.AppName{app, ""} {
		if h, ok := m.halts[scope]; ok && h.Stands(now) {
			return rings.Barriers{Halt: &h}, nil
		}
	}
	return rings.Barriers{}, nil
}
