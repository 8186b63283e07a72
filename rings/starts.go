package rings

import (
	"fmt"
	"time"
)

// Starts say what starts on a ring without a person: `rollout run` does it. The
// zero value is nothing.
type Starts struct {
	// Train is when a train leaves for the ring; the zero value is never.
	Train     Schedule  `json:"train,omitzero"`
	OnRelease OnRelease `json:"onRelease,omitempty"`
}

// OnRelease is what becomes of a new release.
type OnRelease string

// Ways to act on a new release.
const (
	ReleaseWait  OnRelease = ""      // a person rolls it out
	ReleaseStart OnRelease = "start" // it starts on the ring, which must be the first
)

// Kept is how far the keeper has come with what starts by itself on a ring. It
// only ever goes forward, so that nothing starts twice.
type Kept struct {
	// Until: nothing is left to be done of the schedule's moments up to it.
	Until time.Time `json:"until,omitzero"`
	// Release: nothing is left to be done of the releases up to that number.
	Release int `json:"release,omitempty"`
	// Last is what became of the last moment or release; nil before the first.
	Last *LastStart `json:"last,omitempty"`
}

// LastStart is what became of something that was to start by itself.
type LastStart struct {
	At      time.Time `json:"at"`                // when the keeper was done with it
	Moment  time.Time `json:"moment,omitzero"`   // of a schedule
	Release int       `json:"release,omitempty"` // or the number of a release
	Rollout string    `json:"rollout,omitempty"` // that it started; "" for none
	Words   string    `json:"words,omitempty"`   // why it started none
}

// StartsFrom notes from when on what starts by itself counts, where that has
// changed: moments before now and releases up to the newest are not made up
// for. was is the ring as it was, and the zero value for a new one.
func (r *Ring) StartsFrom(was Ring, now time.Time, newest int) {
	if r.Starts.Train.String() != was.Starts.Train.String() {
		r.Kept.Until = now.UTC()
	}
	if r.Starts.OnRelease != was.Starts.OnRelease {
		r.Kept.Release = max(r.Kept.Release, newest)
	}
}

// Began notes that somebody began to roll the release out on these rings, so
// that it does not start there by itself, too.
func (a *Application) Began(release int, on []RingName) {
	for _, name := range on {
		if r, err := a.Ring(name); err == nil && r.Starts.OnRelease == ReleaseStart {
			r.Kept.Release = max(r.Kept.Release, release)
		}
	}
}

// CheckZones returns an *InvalidError that names every time zone of the rings'
// schedules that is not known, or nil.
func (a *Application) CheckZones(zones Zones) error {
	var faults []string
	for _, r := range a.Rings {
		if zone := r.Starts.Train.Zone; zone != "" && !knownZone(zone, zones) {
			faults = append(faults, fmt.Sprintf("ring %q: time zone %q: an IANA name is needed, like Europe/Berlin or UTC", r.Name, zone))
		}
	}
	return invalid(fmt.Sprintf("application %q", a.Name), faults...)
}

func knownZone(zone string, zones Zones) bool {
	_, err := zones(zone)
	return err == nil && zone != "" && zone != "Local"
}

// startFaults name what starts by itself where it cannot.
func (a *Application) startFaults() []string {
	var out []string
	for i, r := range a.Rings {
		if i > 0 && r.Starts.OnRelease == ReleaseStart {
			out = append(out, fmt.Sprintf("ring %q: on release %q: only the first ring can, and that is %q", r.Name, ReleaseStart, a.Rings[0].Name))
		}
		if i == 0 && r.Starts.Train.Cron != "" {
			out = append(out, fmt.Sprintf("ring %q: train: it is the first ring, and takes from none", r.Name))
		}
	}
	return out
}
