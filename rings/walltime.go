package rings

import "time"

// wallReach is how far from a time in UTC the clock of a zone that shows it may
// be, and more.
const wallReach = 26 * time.Hour

// SinceWall returns the first time at which the clock on the wall of the zone
// has come to what wall says, whose own zone does not count: in an hour that
// comes twice the first time, in one that is skipped the moment of the skip.
func SinceWall(wall time.Time, zone *time.Location) time.Time {
	wall = unzoned(wall)
	for at := wall.Add(-wallReach); ; {
		_, changes := at.In(zone).ZoneBounds()
		_, offset := at.In(zone).Zone()
		then := wall.Add(-time.Duration(offset) * time.Second)
		if then.Before(at) { // the clock was put past it
			return at.UTC()
		}
		if changes.IsZero() || then.Before(changes) {
			return then
		}
		at = changes
	}
}

// UntilWall returns the time from which on the clock on the wall of the zone
// shows wall or later for good: in an hour that comes twice the second time, in one
// that is skipped the moment of the skip.
func UntilWall(wall time.Time, zone *time.Location) time.Time {
	wall = unzoned(wall)
	for at := wall.Add(wallReach); ; {
		changed, _ := at.In(zone).ZoneBounds()
		_, offset := at.In(zone).Zone()
		then := wall.Add(-time.Duration(offset) * time.Second)
		if then.After(at) { // after it, the clock was put past it
			return at.Add(1).UTC()
		}
		if changed.IsZero() || then.After(changed) {
			return then
		}
		at = changed.Add(-1)
	}
}

// unzoned is what the clock shows, as if in UTC.
func unzoned(wall time.Time) time.Time {
	return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), time.UTC)
}
