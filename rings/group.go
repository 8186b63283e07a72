package rings

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Group is a name for several rings of an application, which can be named
// where rings can. No ring has the same name.
type Group struct {
	Name  RingName   `json:"name"`
	Rings []RingName `json:"rings"`
	By    string     `json:"by"`
	At    time.Time  `json:"at"`
}

// Group returns the group of that name, or an *UnknownError. The pointer is
// into the application.
func (a *Application) Group(name RingName) (*Group, error) {
	i := slices.IndexFunc(a.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return nil, a.unknown("ring group", string(name), names(a.GroupNames()))
	}
	return &a.Groups[i], nil
}

// GroupNames returns the groups' names in the order they were made.
func (a *Application) GroupNames() []RingName {
	out := make([]RingName, len(a.Groups))
	for i, g := range a.Groups {
		out[i] = g.Name
	}
	return out
}

// GroupsOf returns the names of the groups that the ring is in.
func (a *Application) GroupsOf(ring RingName) []RingName {
	var out []RingName
	for _, g := range a.Groups {
		if slices.Contains(g.Rings, ring) {
			out = append(out, g.Name)
		}
	}
	return out
}

// Expand returns the named rings, with the rings of a group, in the
// application's order, in the place of its name, unless they stand there
// already. A name that is neither a ring nor a group is an *UnknownError.
func (a *Application) Expand(named []RingName) ([]RingName, error) {
	var out []RingName
	for _, name := range named {
		g, err := a.Group(name)
		if err != nil {
			if _, err := a.Ring(name); err != nil {
				return nil, a.unknown("ring", string(name), names(slices.Concat(a.RingNames(), a.GroupNames())))
			}
			out = append(out, name)
			continue
		}
		for _, ring := range a.RingNames() {
			if slices.Contains(g.Rings, ring) && !slices.Contains(out, ring) {
				out = append(out, ring)
			}
		}
	}
	return out, nil
}

// notOne is the error for a group where one ring is needed; nil when the name
// is no group.
func (a *Application) notOne(name RingName) error {
	g, err := a.Group(name)
	if err != nil {
		return nil
	}
	return &InvalidError{What: fmt.Sprintf("ring %q", name),
		Faults: []string{fmt.Sprintf("it is a group of rings (%s), and one ring is needed here", strings.Join(names(g.Rings), ", "))}}
}

// groupFaults names what is wrong with the groups.
func (a *Application) groupFaults() []string {
	var faults []string
	for _, g := range a.Groups {
		faults = append(faults, CheckName("ring group", string(g.Name)))
		if len(g.Rings) == 0 {
			faults = append(faults, fmt.Sprintf("ring group %q has no rings", g.Name))
		}
		for i, ring := range g.Rings {
			if !slices.Contains(a.RingNames(), ring) {
				faults = append(faults, fmt.Sprintf("ring group %q: %v", g.Name, a.unknown("ring", string(ring), names(a.RingNames()))))
			}
			if slices.Contains(g.Rings[:i], ring) {
				faults = append(faults, fmt.Sprintf("ring group %q: ring %q stands there twice", g.Name, ring))
			}
		}
	}
	return faults
}
