package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Journal is what a [Driver] needs of an [orchestrator.Store], with the same
// contract.
type Journal interface {
	Rollout(ctx context.Context, id orchestrator.ID) (*orchestrator.State, error)
	Live(ctx context.Context) ([]orchestrator.ID, error)
	Acquire(ctx context.Context, id orchestrator.ID, d orchestrator.Driver, now time.Time, ttl time.Duration) (orchestrator.Lease, error)
	Renew(ctx context.Context, held []orchestrator.Lease, now time.Time, ttl time.Duration) ([]orchestrator.Lease, error)
	Release(ctx context.Context, l orchestrator.Lease) error
	Append(ctx context.Context, batches []orchestrator.Batch) error
	Commands(ctx context.Context, id orchestrator.ID) ([]orchestrator.Command, error)
	Barriers(ctx context.Context, app rings.AppName, now time.Time) (rings.Barriers, error)
}

// Mishap is what becomes of one write of a [Memory].
type Mishap string

// Mishaps of a write.
const (
	NoMishap   Mishap = ""
	WriteFails Mishap = "write-fails" // nothing is written
	// WriteHides: it is written and reported as failed. It is on disk with the
	// next write that succeeds; a crash of the host before that loses it.
	WriteHides Mishap = "write-hides"
)

// errWrite is what a mishap reports.
var errWrite = errors.New("input/output error")

// Memory is a Journal without a file, which can be told to fail. The zero
// value is not ready; see [NewMemory]. Not safe for concurrent use.
type Memory struct {
	// Mishap, if set, is asked before every write what becomes of it.
	Mishap func(write string) Mishap
	// Encode: every event goes through its encoded form, as on a disk.
	Encode bool
	// Stored, if set, is called with the events that came to be on disk, and
	// the driver that appended them.
	Stored func(id orchestrator.ID, driver string, events []orchestrator.Event)
	// Rings are those that windows close.
	Rings []rings.RingName
	// Changed, if set, is called when what a driver may wait for was written by
	// somebody else.
	Changed func()

	records map[orchestrator.ID]*record
	order   []orchestrator.ID // as they were created
	halts   []rings.Halt
	locks   []rings.Lock
	windows []rings.Window
	closed  *closed // by the windows
	epochs  uint64
	serial  uint64   // of commands
	undo    []func() // takes back what is not on disk, latest last
}

// record is one rollout's part of the journal.
type record struct {
	events   []orchestrator.Event
	drivers  []string // of the events
	synced   int      // events that are on disk
	lease    *orchestrator.Lease
	commands []orchestrator.Command
	freezes  []rings.Freeze
}

// NewMemory returns an empty journal whose writes succeed.
func NewMemory() *Memory { return &Memory{records: map[orchestrator.ID]*record{}} }

// Create begins a rollout's journal. It does not fail.
func (m *Memory) Create(id orchestrator.ID, at time.Time, actor string, c orchestrator.Created) {
	m.records[id] = &record{}
	m.order = append(m.order, id)
	m.add(m.records[id], "", orchestrator.Event{Rollout: id, Seq: 1, At: at, Actor: actor, Body: c})
	m.sync()
}

// Command is a person's, written by another process. It does not fail.
func (m *Memory) Command(id orchestrator.ID, c orchestrator.Command) {
	m.serial++
	c.Seq = m.serial
	m.records[id].commands = append(m.records[id].commands, c)
	m.changed()
}

// Halt stops the line.
func (m *Memory) Halt(h rings.Halt) {
	m.halts = append(m.halts, h)
	m.changed()
}

// Unhalt frees the line.
func (m *Memory) Unhalt() {
	m.halts = nil
	m.changed()
}

// Lock adds a lock.
func (m *Memory) Lock(l rings.Lock) {
	m.locks = append(m.locks, l)
	m.changed()
}

// Unlock takes a lock away again.
func (m *Memory) Unlock(l rings.Lock) {
	m.locks = slices.DeleteFunc(m.locks, func(o rings.Lock) bool { return o == l })
	m.changed()
}

// AddWindow adds a window, whose zone is UTC.
func (m *Memory) AddWindow(w rings.Window) {
	m.windows, m.closed = append(m.windows, w), nil
	m.changed()
}

// RemoveWindow takes a window away again.
func (m *Memory) RemoveWindow(name rings.WindowName) {
	m.windows, m.closed = slices.DeleteFunc(m.windows, func(w rings.Window) bool { return w.Name == name }), nil
	m.changed()
}

// Free takes all locks and windows away.
func (m *Memory) Free() {
	m.locks, m.windows, m.closed = nil, nil, nil
	m.changed()
}

// closed is what closes the rings from one time until another.
type closed struct {
	all         []rings.Closure
	from, until time.Time
}

// closures are those of the windows, worked out anew when one of them is over
// or begins.
func (m *Memory) closures(now time.Time) ([]rings.Closure, error) {
	if len(m.windows) == 0 {
		return nil, nil
	}
	if c := m.closed; c != nil && !now.Before(c.from) && (c.until.IsZero() || now.Before(c.until)) {
		return c.all, nil
	}
	all, err := rings.Closures(m.windows, m.Rings, now, func(string) (*time.Location, error) { return time.UTC, nil })
	c := &closed{all: all, from: now}
	for _, one := range all {
		for _, at := range []time.Time{one.From, one.Until} {
			if at.After(now) && (c.until.IsZero() || at.Before(c.until)) {
				c.until = at
			}
		}
	}
	m.closed = c
	return all, err
}

// Locks implements [Truth].
func (m *Memory) Locks() []rings.Lock { return m.locks }

// Windows implements [Truth].
func (m *Memory) Windows() []rings.Window { return m.windows }

func (m *Memory) changed() {
	if m.Changed != nil {
		m.Changed()
	}
}

// Events are those of the rollout that can be read now; nil when there are none.
func (m *Memory) Events(id orchestrator.ID) []orchestrator.Event {
	if r := m.records[id]; r != nil {
		return r.events
	}
	return nil
}

// Crash is what a failure of the host does: what is not on disk is lost.
func (m *Memory) Crash() {
	for _, undo := range slices.Backward(m.undo) {
		undo()
	}
	m.undo = nil
}

// write runs f on the record, or fails as it is told to.
func (m *Memory) write(what string, r *record, f func() error) error {
	mishap := NoMishap
	if m.Mishap != nil {
		mishap = m.Mishap(what)
	}
	if mishap == WriteFails {
		return fmt.Errorf("%s: %w", what, errWrite)
	}
	before := *r
	before.commands = slices.Clone(r.commands)
	if err := f(); err != nil {
		return err
	}
	if mishap == WriteHides {
		m.undo = append(m.undo, func() { *r = before })
		return fmt.Errorf("%s: %w", what, errWrite)
	}
	m.sync()
	return nil
}

// sync is the end of a write that succeeded: all before it is on disk, too.
func (m *Memory) sync() {
	m.undo = nil
	for _, id := range m.order {
		r := m.records[id]
		for r.synced < len(r.events) {
			from, driver := r.synced, r.drivers[r.synced]
			for r.synced < len(r.events) && r.drivers[r.synced] == driver {
				r.synced++
			}
			if m.Stored != nil {
				m.Stored(id, driver, r.events[from:r.synced])
			}
		}
	}
}

func (m *Memory) record(id orchestrator.ID) (*record, error) {
	if r := m.records[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("rollout %q: %w", id, orchestrator.ErrNotFound)
}

// add appends an event, as it comes back from a disk if that is asked for.
func (m *Memory) add(r *record, driver string, e orchestrator.Event) {
	if m.Encode {
		e = reread(e)
	}
	r.events, r.drivers = append(r.events, e), append(r.drivers, driver)
}

// reread is the event as a disk gives it back. An event that cannot be written
// or read is a fault of the program.
func reread(e orchestrator.Event) orchestrator.Event {
	text, err := orchestrator.EncodeEvent(e)
	if err != nil {
		panic(fmt.Sprintf("sim: event %d of %s: %v", e.Seq, e.Rollout, err))
	}
	out, err := orchestrator.DecodeEvent(text)
	if err != nil {
		panic(fmt.Sprintf("sim: event %d of %s: %v", e.Seq, e.Rollout, err))
	}
	out.Rollout, out.Seq = e.Rollout, e.Seq
	return out
}

// Rollout implements [orchestrator.Store].
func (m *Memory) Rollout(_ context.Context, id orchestrator.ID) (*orchestrator.State, error) {
	r, err := m.record(id)
	if err != nil {
		return nil, err
	}
	return orchestrator.Fold(nil, rereadAll(r.events)), nil
}

// rereadAll are the events as a disk gives them back: a fold owns what it is
// given, so two folds must not share any of it.
func rereadAll(events []orchestrator.Event) []orchestrator.Event {
	out := make([]orchestrator.Event, len(events))
	for i, e := range events {
		out[i] = reread(e)
	}
	return out
}

// Live implements [orchestrator.Store].
func (m *Memory) Live(context.Context) ([]orchestrator.ID, error) {
	var out []orchestrator.ID
	for _, id := range m.order {
		if r := m.records[id]; !slices.ContainsFunc(r.events, isEnd) {
			out = append(out, id)
		}
	}
	return out, nil
}

func isEnd(e orchestrator.Event) bool {
	_, ended := e.Body.(orchestrator.Ended)
	return ended
}

// Acquire implements [orchestrator.Store].
func (m *Memory) Acquire(_ context.Context, id orchestrator.ID, d orchestrator.Driver, now time.Time, ttl time.Duration) (orchestrator.Lease, error) {
	r, err := m.record(id)
	if err != nil {
		return orchestrator.Lease{}, err
	}
	err = m.write("acquire", r, func() error {
		if r.lease != nil && r.lease.Driver != d && now.Before(r.lease.Expires) {
			return &orchestrator.LeasedError{Lease: *r.lease}
		}
		m.epochs++
		r.lease = &orchestrator.Lease{Rollout: id, Driver: d, Epoch: m.epochs, Expires: now.Add(ttl), Seen: now}
		return nil
	})
	if err != nil {
		return orchestrator.Lease{}, err
	}
	return *r.lease, nil
}

// Renew implements [orchestrator.Store].
func (m *Memory) Renew(_ context.Context, held []orchestrator.Lease, now time.Time, ttl time.Duration) ([]orchestrator.Lease, error) {
	var kept []orchestrator.Lease
	for _, l := range held {
		r, err := m.record(l.Rollout)
		if err != nil {
			return nil, err
		}
		if r.lease == nil || r.lease.Epoch != l.Epoch {
			continue
		}
		l.Expires, l.Seen = now.Add(ttl), now
		if err := m.write("renew", r, func() error { r.lease = &l; return nil }); err != nil {
			return nil, err
		}
		kept = append(kept, l)
	}
	return kept, nil
}

// Release implements [orchestrator.Store].
func (m *Memory) Release(_ context.Context, l orchestrator.Lease) error {
	r, err := m.record(l.Rollout)
	if err != nil || r.lease == nil || r.lease.Epoch != l.Epoch {
		return err
	}
	return m.write("release", r, func() error { r.lease = nil; return nil })
}

// Append implements [orchestrator.Store]; it takes one batch.
func (m *Memory) Append(_ context.Context, batches []orchestrator.Batch) error {
	if len(batches) != 1 {
		return fmt.Errorf("%d batches: one is taken at a time", len(batches))
	}
	b := batches[0]
	r, err := m.record(b.Lease.Rollout)
	if err != nil {
		return err
	}
	was := r.freezes
	err = m.write("append", r, func() error {
		if r.lease == nil || r.lease.Epoch != b.Lease.Epoch {
			return &orchestrator.FencedError{Rollouts: []orchestrator.ID{b.Lease.Rollout}}
		}
		for i, e := range b.Events {
			if want := uint64(len(r.events) + 1 + i); e.Seq != want {
				return fmt.Errorf("rollout %q: event %d comes where %d is next: %w", b.Lease.Rollout, e.Seq, want, orchestrator.ErrOutOfOrder)
			}
		}
		for _, e := range b.Events {
			m.add(r, b.Lease.Driver.Name, e)
		}
		r.commands = slices.DeleteFunc(slices.Clone(r.commands), func(c orchestrator.Command) bool { return slices.Contains(b.Consumed, c.Seq) })
		r.freezes = b.State.Freezes()
		return nil
	})
	if !slices.EqualFunc(was, r.freezes, rings.Freeze.Same) {
		m.changed()
	}
	return err
}

// Commands implements [orchestrator.Store].
func (m *Memory) Commands(_ context.Context, id orchestrator.ID) ([]orchestrator.Command, error) {
	r, err := m.record(id)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.commands), nil
}

// Barriers implements [orchestrator.Store].
func (m *Memory) Barriers(_ context.Context, app rings.AppName, now time.Time) (rings.Barriers, error) {
	b := rings.Barriers{Locks: m.locks}.At(now)
	for _, h := range m.halts {
		if b.Halt == nil && (h.App == "" || h.App == app) && h.Stands(now) {
			b.Halt = &h
		}
	}
	for _, id := range m.order {
		b.Frozen = append(b.Frozen, m.records[id].freezes...)
	}
	var err error
	b.Closed, err = m.closures(now)
	return b, err
}
