package rings

import (
	"slices"
	"time"
)

// Ahead is a service that runs something newer on a ring than on the ring
// before it: what went there past it, or was taken back there.
type Ahead struct {
	App      AppName
	Service  ServiceName
	Ring     RingName
	Version  Version
	At       time.Time // since when, by the record
	Upstream RingName
	// Behind is the version of the upstream, and Withdrawn whether a rollback
	// took Version back there.
	Behind    Version
	Withdrawn bool
}

// Ahead returns the services that are ahead of their upstream, by what is
// recorded here, in the order of services and rings; nil when none is. The
// upstream of a ring is the nearest before it on which something of the
// service is recorded. A version says nothing of its age by itself: newer is
// what was put there by a rollout, later than what the upstream has.
func (a *Application) Ahead() []Ahead {
	var out []Ahead
	for _, s := range a.Services {
		var upstream RingName
		for _, ring := range a.RingNames() {
			known := s.Known[ring]
			if known.Version == "" {
				continue
			}
			before := s.Known[upstream]
			_, withdrawn := s.Held[upstream][known.Version]
			if upstream != "" && known.Version != before.Version && (withdrawn || !known.DecidedAt.IsZero() && known.At.After(before.At)) {
				out = append(out, Ahead{App: a.Name, Service: s.Name, Ring: ring, Version: known.Version, At: known.At, Upstream: upstream, Behind: before.Version, Withdrawn: withdrawn})
			}
			upstream = ring
		}
	}
	return out
}

// Unlocked returns those that no lock on the ring or the service holds there:
// who locks it means it to be so.
func Unlocked(ahead []Ahead, locks []Lock) []Ahead {
	return keep(ahead, func(a Ahead) bool {
		return !slices.ContainsFunc(locks, func(l Lock) bool { return l.App == a.App && l.Covers(a.Ring, a.Service, nil) })
	})
}
