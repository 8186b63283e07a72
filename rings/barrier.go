package rings

import (
	"slices"
	"time"
)

// Barriers are what lets nothing new start on an application: the halt of the
// line, locks, closed windows, and rings that later ones freeze. The zero value is none. What runs may always
// finish.
//
// To know what holds a service on a ring at a time, narrow them down:
//
//	b.At(now).On(ring, service, clusters).Empty()
type Barriers struct {
	Halt   *Halt     `json:"halt,omitempty"`
	Locks  []Lock    `json:"locks,omitempty"`
	Closed []Closure `json:"closed,omitempty"` // those that stand, and the next ones
	Frozen []Freeze  `json:"frozen,omitempty"`
}

// Empty reports whether nothing is held.
func (b Barriers) Empty() bool {
	return b.Halt == nil && len(b.Locks) == 0 && len(b.Closed) == 0 && len(b.Frozen) == 0
}

// At returns those that stand at the time. It shares nothing with b but what
// they point to, like all that follow.
func (b Barriers) At(now time.Time) Barriers {
	out := b.Left(now)
	out.Closed = keep(out.Closed, func(c Closure) bool { return c.Stands(now) })
	return out
}

// Left returns those that are not over at the time, closures that are to come
// included.
func (b Barriers) Left(now time.Time) Barriers {
	out := Barriers{Locks: keep(b.Locks, func(l Lock) bool { return l.Stands(now) }), Closed: keep(b.Closed, func(c Closure) bool { return !c.Over(now) }), Frozen: slices.Clone(b.Frozen)}
	if b.Halt != nil && b.Halt.Stands(now) {
		out.Halt = b.Halt
	}
	return out
}

// On returns those that hold the service on the ring with these clusters; with
// an empty service, those that let the ring as a whole not begin.
func (b Barriers) On(ring RingName, service ServiceName, clusters []ClusterName) Barriers {
	return Barriers{Halt: b.Halt, Locks: keep(b.Locks, func(l Lock) bool { return l.Covers(ring, service, clusters) }),
		Closed: keep(b.Closed, func(c Closure) bool { return c.Ring == ring }),
		Frozen: keep(b.Frozen, func(f Freeze) bool { return f.Ring == ring && service == "" })}
}

// Reaching returns the locks that reach each of the rings, or a service of it, with
// the clusters that are there; a ring that none reaches is not among them.
func (b Barriers) Reaching(names []RingName, there func(RingName) []ClusterName) map[RingName][]Lock {
	out := map[RingName][]Lock{}
	for _, ring := range names {
		if locks := keep(b.Locks, func(l Lock) bool { return l.Covers(ring, l.Service, there(ring)) }); len(locks) > 0 {
			out[ring] = locks
		}
	}
	return out
}

// Grouped reports whether a lock is on a cluster group whose clusters are not
// known.
func (b Barriers) Grouped() bool {
	return slices.ContainsFunc(b.Locks, func(l Lock) bool { return l.Group != "" && l.Cluster == "" })
}

// Spread makes of each lock on a cluster group one for each of its members.
func (b Barriers) Spread(members func(group string) []ClusterName) Barriers {
	out := Barriers{Halt: b.Halt, Closed: b.Closed, Frozen: b.Frozen}
	for _, l := range b.Locks {
		if l.Group == "" || l.Cluster != "" {
			out.Locks = append(out.Locks, l)
			continue
		}
		for _, l.Cluster = range members(l.Group) {
			out.Locks = append(out.Locks, l)
		}
	}
	return out
}

// Without returns those that are not of the others: the locks, closures and
// freezes that a person goes over. A lock that was set anew since, a window that was made
// anew and the next time that it closes are others.
func (b Barriers) Without(over Barriers) Barriers {
	return Barriers{Halt: b.Halt,
		Locks: keep(b.Locks, func(l Lock) bool {
			return !slices.ContainsFunc(over.Locks, func(o Lock) bool { return o.Same(l) && o.At.Equal(l.At) })
		}),
		Closed: keep(b.Closed, func(c Closure) bool { return !slices.ContainsFunc(over.Closed, c.Same) }),
		Frozen: keep(b.Frozen, func(f Freeze) bool { return !slices.ContainsFunc(over.Frozen, f.Same) })}
}

// Words say what each lock, closure and freeze holds, why and until when.
func (b Barriers) Words() []string {
	var out []string
	for _, l := range b.Locks {
		out = append(out, l.Words())
	}
	for _, c := range b.Closed {
		out = append(out, c.Told())
	}
	for _, f := range b.Frozen {
		out = append(out, f.Words())
	}
	return out
}

// Equal reports whether both say the same.
func (b Barriers) Equal(o Barriers) bool {
	if (b.Halt == nil) != (o.Halt == nil) || b.Halt != nil && *b.Halt != *o.Halt {
		return false
	}
	return slices.EqualFunc(b.Locks, o.Locks, func(a, b Lock) bool {
		return a.Same(b) && a.Cluster == b.Cluster && a.By == b.By && a.Reason == b.Reason && a.Link == b.Link && a.At.Equal(b.At) && a.Until.Equal(b.Until)
	}) && slices.EqualFunc(b.Closed, o.Closed, func(a, b Closure) bool {
		return a.Same(b) && a.From.Equal(b.From) && a.Opens.Equal(b.Opens) && a.Words == b.Words
	}) && slices.EqualFunc(b.Frozen, o.Frozen, Freeze.Same)
}

// keep returns the elements that are wanted; nil when there are none.
func keep[T any](all []T, want func(T) bool) []T {
	var out []T
	for _, one := range all {
		if want(one) {
			out = append(out, one)
		}
	}
	return out
}
