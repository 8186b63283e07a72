package orchestrator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollout/rings"
)

// Due is something that is to start by itself: the train of a moment of a
// ring's schedule, or a release.
type Due struct {
	Ring    rings.RingName
	Moment  time.Time // in UTC; zero for a release
	Release int
}

// ErrHandled is wrapped when what is due was handled before, or is not wanted
// any more.
var ErrHandled = errors.New("it is handled already")

// Keeping is what [Keep] decides from.
type Keeping struct {
	App    *rings.Application
	Newest int                   // the number of its newest release; 0 for none
	Live   map[rings.RingName]ID // the rollouts that are live on its rings
	// Barriers are those of the application, and Clusters says on which rings
	// the locked ones are.
	Barriers rings.Barriers
	Clusters []rings.Cluster
	// Tried is what could not be started, and when that was tried last.
	Tried map[Due]Try
	Now   time.Time
	Zones rings.Zones
}

// Try is when something could not be started, and why.
type Try struct {
	At    time.Time
	Words string
}

// RetryAfter is how long after a try the next one comes.
const RetryAfter = time.Minute

// KeepAct is what becomes of something that is due.
type KeepAct string

// What becomes of something that is due.
const (
	KeepStart KeepAct = "start"
	KeepWait  KeepAct = "wait" // something is in the way
	KeepSkip  KeepAct = "skip" // it is too late
)

// Kept is what becomes of something that is due now, and why.
type Kept struct {
	Due
	Act KeepAct
	Why string // of a wait or skip
}

// Keep decides what starts by itself now, the last ring first, so that a train
// takes what the ring before has proved and not what comes there now. wake is
// when to ask again if nothing happens; zero: only a change helps. It is pure:
// who carries it out makes sure with [Due.Handle] that nothing starts twice. The
// error is of a time zone that is not known here.
//
// Of a schedule only the last moment counts: it may be made up for until the
// schedule's Within has passed, when nobody was there or something is in the
// way, and is skipped after that. Of releases only the newest counts; it has
// time.
func Keep(k Keeping) (all []Kept, wake time.Time, err error) {
	note := func(at time.Time) {
		if at.After(k.Now) && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	for _, ring := range slices.Backward(k.App.Rings) {
		due, next, err := k.due(ring)
		if err != nil {
			return nil, time.Time{}, err
		}
		note(next)
		for _, d := range due {
			all = append(all, k.judge(ring, d, note))
		}
	}
	return all, wake, nil
}

// due is what is due on the ring, and the next moment of its schedule.
func (k Keeping) due(ring rings.Ring) (all []Due, next time.Time, err error) {
	if ring.Starts.OnRelease == rings.ReleaseStart && k.Newest > ring.Kept.Release {
		all = append(all, Due{Ring: ring.Name, Release: k.Newest})
	}
	train := ring.Starts.Train
	if train.Cron == "" {
		return all, next, nil
	}
	last, err := train.Last(k.Now, k.Zones)
	if err != nil {
		return nil, next, err
	}
	if last.After(ring.Kept.Until) {
		all = append(all, Due{Ring: ring.Name, Moment: last})
	}
	next, err = train.Next(later(k.Now, ring.Kept.Until), k.Zones)
	return all, next, err
}

// judge says what becomes of it now, and notes when that may change.
func (k Keeping) judge(ring rings.Ring, d Due, note func(time.Time)) Kept {
	try, tried := k.Tried[d]
	bars := strings.Join(k.inTheWay(d.Ring, note), "; ")
	if d.Release == 0 {
		late := d.Moment.Add(ring.Starts.Train.Late())
		if k.Now.After(late) {
			return Kept{d, KeepSkip, cmp.Or(bars, try.Words, "no \"rollout run\" was there to start it")}
		}
		note(late.Add(1))
	}
	again := try.At.Add(RetryAfter)
	switch rests := tried && !k.Now.Before(try.At) && k.Now.Before(again); {
	case bars != "":
		return Kept{d, KeepWait, bars}
	case rests:
		note(again)
		return Kept{d, KeepWait, try.Words}
	}
	return Kept{d, KeepStart, ""}
}

// inTheWay says what lets nothing start on the ring now, and notes when that is
// over.
func (k Keeping) inTheWay(ring rings.RingName, note func(time.Time)) []string {
	var out, members = []string(nil), []rings.ClusterName(nil)
	if id, live := k.Live[ring]; live {
		out = append(out, fmt.Sprintf("rollout %s is live on %s", id, ring))
	}
	for _, c := range k.Clusters {
		if c.Ring == ring {
			members = append(members, c.Name)
		}
	}
	held := k.Barriers.At(k.Now).On(ring, "", members)
	if h := held.Halt; h != nil {
		out = append(out, fmt.Sprintf("the line is stopped by %s: %s", h.By, h.Reason))
		note(h.Until)
	}
	for _, l := range held.Locks {
		note(l.Until)
	}
	for _, c := range held.Closed {
		note(c.Until)
	}
	return append(out, held.Words()...)
}

// Handle notes in the application that what is due is handled: with a rollout
// that is created in the same transaction, or with none, for the reason. It
// wraps [ErrHandled] when somebody has noted so before, or it is not wanted any
// more; then nothing is noted.
func (d Due) Handle(a *rings.Application, at time.Time, id ID, words string) error {
	r, err := a.Ring(d.Ring)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHandled, err)
	}
	last := &rings.LastStart{At: at.UTC(), Moment: d.Moment, Release: d.Release, Rollout: string(id), Words: words}
	switch {
	case d.Release > 0 && r.Starts.OnRelease == rings.ReleaseStart && d.Release > r.Kept.Release:
		r.Kept.Release = d.Release
	case d.Release == 0 && r.Starts.Train.Cron != "" && d.Moment.After(r.Kept.Until):
		r.Kept.Until = d.Moment
	default:
		return fmt.Errorf("%s: %w", d, ErrHandled)
	}
	r.Kept.Last = last
	return nil
}

// String names what is due, for people.
func (d Due) String() string {
	if d.Release > 0 {
		return fmt.Sprintf("release %d on %s", d.Release, d.Ring)
	}
	return fmt.Sprintf("train of %s to %s", stamp(d.Moment), d.Ring)
}

// Actor is who starts what is due, for the record.
func (d Due) Actor(a *rings.Application) string {
	r, err := a.Ring(d.Ring)
	if d.Release > 0 || err != nil {
		return fmt.Sprintf("keeper (%s)", d)
	}
	return fmt.Sprintf("keeper (train %s, %s)", d.Ring, r.Starts.Train)
}
