package rings

import (
	"fmt"
	"time"

	"github.com/hashicorp/cronexpr"
)

// DefaultWithin is how late what a schedule starts may start, unless it says
// otherwise.
const DefaultWithin = time.Hour

// Schedule says at which moments something starts by itself: those at which the
// clock on the wall of its Zone first shows a time of its Cron. So a moment in
// an hour that is skipped is when the clock goes on, and one in an hour that
// comes twice is there once, the first time. The zero value has none.
type Schedule struct {
	// Cron is minute, hour, day of the month, month, day of the week.
	Cron string `json:"cron"`
	// Zone is the IANA name of the time zone of Cron.
	Zone string `json:"zone"`
	// Within is how long after its moment a start may still be made, when it was
	// missed or something was in the way; zero means [DefaultWithin].
	Within time.Duration `json:"within,omitempty"`
}

// String says when, as people wrote it: "0 6 * * 1-5 Europe/Berlin".
func (s Schedule) String() string { return s.Cron + " " + s.Zone }

// Late is how long after its moment a start may still be made.
func (s Schedule) Late() time.Duration {
	if s.Within == 0 {
		return DefaultWithin
	}
	return s.Within
}

// Next returns the first moment after the time, in UTC; zero when there is none
// for as long as is looked, ten years. The error is of a zone or cron that
// cannot be read.
func (s Schedule) Next(after time.Time, zones Zones) (time.Time, error) {
	t, err := s.ticker(zones)
	if err != nil {
		return time.Time{}, err
	}
	return t.next(after), nil
}

// Last returns the last moment that is not after the time, in UTC; zero when
// there is none for as long as is looked, ten years. The error is of a zone or
// cron that cannot be read.
func (s Schedule) Last(at time.Time, zones Zones) (time.Time, error) {
	t, err := s.ticker(zones)
	if err != nil {
		return time.Time{}, err
	}
	return t.last(at), nil
}

// faults names what is wrong with the schedule; whether there is such a zone is
// asked apart, see [Application.CheckZones].
func (s Schedule) faults() []string {
	if s == (Schedule{}) {
		return nil
	}
	var out []string
	if s.Within < 0 || s.Within > 0 && s.Within < time.Minute {
		out = append(out, fmt.Sprintf("train within %s: at least 1m is needed", s.Within))
	}
	if s.Cron == "" {
		return append(out, "a time zone and how late a train may start are of no use without --train")
	}
	if s.Zone == "" {
		out = append(out, "the train's time zone is missing")
	}
	expr, err := parseCron(s.Cron)
	switch {
	case err != nil:
		out = append(out, "train: "+err.Error())
	case expr.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		out = append(out, fmt.Sprintf("train: cron %q: there is no such day", s.Cron))
	}
	return out
}

// ticker is a schedule that can be asked about any time.
type ticker struct {
	expr *cronexpr.Expression
	zone *time.Location
}

func (s Schedule) ticker(zones Zones) (ticker, error) {
	zone, err := zones(s.Zone)
	if err != nil {
		return ticker{}, fmt.Errorf("schedule %q: %w", s, err)
	}
	expr, err := parseCron(s.Cron)
	if err != nil {
		return ticker{}, fmt.Errorf("schedule %q: %w", s, err)
	}
	return ticker{expr, zone}, nil
}

// next looks through what the clock will show. In the second of two equal hours
// the next times it shows have had their moment already.
func (t ticker) next(after time.Time) time.Time {
	for wall := t.expr.Next(shownIn(t.zone, after)); !wall.IsZero() && wall.Sub(after) < horizon; wall = t.expr.Next(wall) {
		if at := t.first(wall); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// last looks further and further back, since cron can only be asked for what
// comes.
func (t ticker) last(at time.Time) time.Time {
	for back := time.Minute; back < horizon; back *= 2 {
		found := t.next(at.Add(-back))
		if found.IsZero() || found.After(at) {
			continue
		}
		for next := found; !next.IsZero() && !next.After(at); next = t.next(next) {
			found = next
		}
		return found
	}
	return time.Time{}
}

// first is when the clock first shows the time, or, when it skips it, the
// moment at which it goes on. It goes through the clock's offsets one after the
// other, beginning before any zone's clock could show it.
func (t ticker) first(wall time.Time) time.Time {
	for at := wall.Add(-36 * time.Hour); ; {
		_, offset := at.In(t.zone).Zone()
		_, changes := at.In(t.zone).ZoneBounds()
		shows := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case shows.Before(at):
			return at.UTC()
		case changes.IsZero() || shows.Before(changes):
			return shows.UTC()
		}
		at = changes
	}
}

// shownIn is what the clock on the wall shows at the time, as if in UTC: there
// no hour is skipped or comes twice, and cron is plain arithmetic.
func shownIn(zone *time.Location, at time.Time) time.Time { return at.UTC().Add(offsetIn(zone, at)) }

// offsetIn is how far the clock on the wall is ahead of UTC at the time.
func offsetIn(zone *time.Location, at time.Time) time.Duration {
	_, offset := at.In(zone).Zone()
	return time.Duration(offset) * time.Second
}
