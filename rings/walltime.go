package rings

import "time"

// wallReach is how far from a time in UTC the clock of a zone that shows it may
// be, and more.
const wallReach = 26 * time.Hour

// SinceWall returns the first time at which the clock on the wall of the zone
// has come to what wall says as if in UTC: in an hour that comes twice the first
// time, in one that is skipped the moment of the skip.
func SinceWall(wall time.Time, zone *time.Location) time.Time {
	for at := wall.Add(-wallReach); ; {
		_, changes := at.In(zone).ZoneBounds()
		then := wall.Add(-offsetIn(zone, at))
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
// shows wall, said as if in UTC, or later for good: in an hour that comes twice the second time, in one
// that is skipped the moment of the skip.
func UntilWall(wall time.Time, zone *time.Location) time.Time {
	for at := wall.Add(wallReach); ; {
		changed, _ := at.In(zone).ZoneBounds()
		then := wall.Add(-offsetIn(zone, at))
		if then.After(at) { // after it, the clock was put past it
			return at.Add(1).UTC()
		}
		if changed.IsZero() || then.After(changed) {
			return then
		}
		at = changed.Add(-1)
	}
}
