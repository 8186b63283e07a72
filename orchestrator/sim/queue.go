package sim

import (
	"container/heap"
	"time"
)

// epoch is when every world begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// timed is something that is due.
type timed struct {
	at     time.Duration // since epoch
	serial uint64        // of several at one time, the first asked for goes first
	run    func()
}

// agenda is a heap of what is due.
type agenda []timed

// Len is for package heap.
func (q agenda) Len() int { return len(q) }

// Less is for package heap.
func (q agenda) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].serial < q[j].serial
}

// Swap is for package heap.
func (q agenda) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push is for package heap.
func (q *agenda) Push(x any) { *q = append(*q, x.(timed)) }

// Pop is for package heap.
func (q *agenda) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1].run = nil
	*q = old[:len(old)-1]
	return last
}

// Now is the true time of the world. It never goes back.
func (w *World) Now() time.Time { return epoch.Add(w.now) }

// Wall is what the clock of the host that drives rollouts says: [World.Now] as
// far as it was not jumped.
func (w *World) Wall() time.Time { return epoch.Add(w.now + w.offset) }

// JumpClock moves the host's wall clock, ahead or back. Nothing else moves.
func (w *World) JumpClock(d time.Duration) {
	w.offset += d
	w.tell("the host's clock jumps by %s", d)
}

// After runs f when d has passed; not before [World.Step] is called, even if d
// is not positive.
func (w *World) After(d time.Duration, f func()) {
	w.serial++
	heap.Push(&w.agenda, timed{w.now + max(d, 0), w.serial, f})
}

// at runs f at a time of the world, at once when it is past.
func (w *World) at(t time.Duration, f func()) { w.After(t-w.now, f) }

// Next is when the next thing is due; ok is false when nothing is.
func (w *World) Next() (at time.Time, ok bool) {
	w.begin()
	if len(w.agenda) == 0 {
		return time.Time{}, false
	}
	return epoch.Add(w.agenda[0].at), true
}

// Step runs the next thing that is due, and moves Now to its time. It returns
// false when nothing is due. While somebody watches, agents check in for ever.
func (w *World) Step() bool {
	w.begin()
	w.stir()
	if len(w.agenda) == 0 {
		return false
	}
	next := heap.Pop(&w.agenda).(timed)
	w.now = next.at
	next.run()
	return true
}
