package appfile

import (
	"fmt"
	"slices"

	"rollout/rings"
)

func writeGroups(f *File, a *rings.Application, _ []rings.Cluster) {
	for _, g := range a.Groups {
		f.Groups = append(f.Groups, Group{Name: g.Name, Rings: slices.Clone(g.Rings)})
	}
}

func compareGroups(d *Difference, s State, f *File, _ *rings.Application) {
	stored := map[rings.RingName]rings.Group{}
	var order []rings.RingName
	if s.App != nil {
		for _, g := range s.App.Groups {
			stored[g.Name], order = g, append(order, g.Name)
		}
	}
	for _, g := range f.Groups {
		old, there := stored[g.Name]
		delete(stored, g.Name)
		c := Change{Kind: SetGroup, Group: rings.Group{Name: g.Name, Rings: g.Rings}}
		switch {
		case !there:
			c.Words = []string{fmt.Sprintf("create ring group %q: %s", g.Name, join(g.Rings))}
		case !slices.Equal(old.Rings, g.Rings):
			c.Words = []string{fmt.Sprintf("update ring group %q: %s -> %s", g.Name, join(old.Rings), join(g.Rings))}
		default:
			continue
		}
		d.Changes = append(d.Changes, c)
	}
	for _, name := range order {
		if _, extra := stored[name]; extra {
			d.Extra = append(d.Extra, Extra{Kind: "ring group", Name: string(name), Command: fmt.Sprintf("rollout ring group delete %s %s", f.Name, name)})
		}
	}
}

// pruneGroups returns the changes that forget groups.
func (d Difference) pruneGroups() []Change {
	var out []Change
	for _, e := range d.Extra {
		if e.Kind == "ring group" && e.Keep == "" {
			out = append(out, Change{Kind: RemoveGroup, Group: rings.Group{Name: rings.RingName(e.Name)}, Words: []string{fmt.Sprintf("forget ring group %q", e.Name)}})
		}
	}
	return out
}
