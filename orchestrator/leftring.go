package orchestrator

import (
	"slices"

	"rollout/rings"
)

// LeftRing is a ring of a group that a rollout leaves out, and why.
type LeftRing struct {
	Ring  rings.RingName `json:"ring"`
	Words string         `json:"words"`
}

// leaveLocked takes the rings out that are not named themselves and that a lock
// holds, and those that may not begin without them. It is a *BarredError when
// no ring is left.
func (c *Created) leaveLocked(a *rings.Application, named []rings.RingName, locked map[rings.RingName][]rings.Lock) error {
	var holding rings.Barriers
	for _, ring := range slices.Clone(c.Rings) {
		if slices.Contains(named, ring.Name) {
			continue
		}
		locks := c.heldBy(ring.Name, locked[ring.Name])
		holding.Locks = append(holding.Locks, locks...)
		switch {
		case len(locks) > 0:
			c.leave(ring.Name, locks[0].Words())
		case slices.ContainsFunc(c.Left, func(l LeftRing) bool { return l.Ring == ring.Upstream }):
			if err := c.follows(a, ring); err != nil && !c.Options.Override {
				c.leave(ring.Name, err.Error())
			}
		}
	}
	if len(c.Rings) == 0 {
		return &BarredError{holding}
	}
	return nil
}

// heldBy are those of the locks that are on something that the rollout writes
// on the ring.
func (c *Created) heldBy(ring rings.RingName, locks []rings.Lock) []rings.Lock {
	var out []rings.Lock
	for _, l := range locks {
		if c.meets(func(r rings.RingName, s rings.ServiceName) bool { return r == ring && l.Reaches(r, s) }) {
			out = append(out, l)
		}
	}
	return out
}

func (c *Created) leave(ring rings.RingName, words string) {
	c.Left = append(c.Left, LeftRing{ring, words})
	c.Rings = slices.DeleteFunc(c.Rings, func(r NewRing) bool { return r.Name == ring })
	c.Steps = slices.DeleteFunc(c.Steps, func(n NewStep) bool { return n.Ring == ring })
}
