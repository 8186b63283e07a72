package rings

import (
	"fmt"
	"time"

	"github.com/hashicorp/cronexpr"
)

const (
	// horizon is how far a turn of windows is looked for, and maxTurns how many
	// times at which one may turn are tried.
	horizon  = 10 * 366 * 24 * time.Hour
	maxTurns = 2_000
)

// timer is a window that can be asked about any time.
type timer struct {
	Window
	expr *cronexpr.Expression // nil without cron
	zone *time.Location
}

func timerOf(w Window, zones Zones) (timer, error) {
	t := timer{Window: w}
	var err error
	if t.zone, err = zones(w.Zone); err != nil {
		return t, fmt.Errorf("window %q: time zone %q: %w", w.Name, w.Zone, err)
	}
	if w.Cron != "" {
		if t.expr, err = parseCron(w.Cron); err != nil {
			return t, fmt.Errorf("window %q: %w", w.Name, err)
		}
	}
	return t, nil
}

// shown is what the clock on the wall shows at the time, see shownIn.
func (t timer) shown(at time.Time) time.Time { return shownIn(t.zone, at) }

// on reports whether the window is on.
func (t timer) on(at time.Time) bool {
	if t.expr == nil {
		return (t.From.IsZero() || !at.Before(t.From)) && (t.To.IsZero() || at.Before(t.To))
	}
	wall := t.shown(at)
	start := t.expr.Next(wall.Add(-t.Lasts)) // the first one that is not over
	return !start.IsZero() && !start.After(wall)
}

// after returns the first time after at at which the window may turn on or
// off; zero when there is none. The clock that is changed is such a time.
func (t timer) after(at time.Time) time.Time {
	if t.expr == nil {
		return earliest(at, t.From, t.To)
	}
	wall := t.shown(at)
	_, changed := at.In(t.zone).ZoneBounds()
	var next time.Time
	for _, turn := range []time.Time{t.expr.Next(wall), shift(t.expr.Next(wall.Add(-t.Lasts)), t.Lasts)} {
		if !turn.IsZero() {
			next = earliest(at, next, at.Add(turn.Sub(wall)))
		}
	}
	return earliest(at, next, changed)
}

// before returns the last time up to at at which the window may have turned on
// or off; zero when there is none.
func (t timer) before(at time.Time) time.Time {
	if t.expr == nil {
		return latest(at, t.From, t.To)
	}
	wall := t.shown(at)
	changed, _ := at.In(t.zone).ZoneBounds()
	last := changed
	for _, turn := range []time.Time{t.lastStart(wall), shift(t.lastStart(wall.Add(-t.Lasts)), t.Lasts)} {
		if !turn.IsZero() {
			last = latest(at, last, at.Add(turn.Sub(wall)))
		}
	}
	return latest(at, last)
}

// lastStart returns the last start up to the time; zero when there is none. It
// looks further and further back, since cron can only be asked for what comes.
func (t timer) lastStart(wall time.Time) time.Time {
	for back := time.Hour; back < horizon; back *= 2 {
		start := t.expr.Next(wall.Add(-back))
		if start.IsZero() || start.After(wall) {
			continue
		}
		for next := start; !next.IsZero() && !next.After(wall); next = t.expr.Next(next) {
			start = next
		}
		return start
	}
	return time.Time{}
}

// nextTurn is when what now holds at the time ceases to hold; zero when it does
// not for as long as is looked.
func nextTurn(timers []timer, holds func(time.Time) bool, at time.Time) time.Time {
	was := holds(at)
	for now, n := at, 0; n < maxTurns; n++ {
		var next time.Time
		for _, t := range timers {
			next = earliest(now, next, t.after(now))
		}
		if next.IsZero() || next.Sub(at) > horizon {
			break
		}
		if holds(next) != was {
			return next.UTC()
		}
		now = next
	}
	return time.Time{}
}

// lastTurn is since when what holds at the time has held; zero when it has for
// as long as is looked.
func lastTurn(timers []timer, holds func(time.Time) bool, at time.Time) time.Time {
	was := holds(at)
	for now, n := at, 0; n < maxTurns; n++ {
		var last time.Time
		for _, t := range timers {
			last = latest(now, last, t.before(now))
		}
		if last.IsZero() || at.Sub(last) > horizon {
			break
		}
		now = last.Add(-1)
		if holds(now) != was {
			return last.UTC()
		}
	}
	return time.Time{}
}

// earliest is the first of the times that is after at; zero when none is.
func earliest(at time.Time, times ...time.Time) time.Time {
	var out time.Time
	for _, t := range times {
		if t.After(at) && (out.IsZero() || t.Before(out)) {
			out = t
		}
	}
	return out
}

// latest is the last of the times that is not after at; zero when none is.
func latest(at time.Time, times ...time.Time) time.Time {
	var out time.Time
	for _, t := range times {
		if !t.IsZero() && !t.After(at) && t.After(out) {
			out = t
		}
	}
	return out
}

// shift moves a time that is not zero.
func shift(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}
