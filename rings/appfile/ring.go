package appfile

import (
	"fmt"
	"slices"
	"strings"

	"rollout/rings"
)

func writeRings(f *File, a *rings.Application, _ []rings.Cluster) {
	for _, r := range a.Rings {
		f.Rings = append(f.Rings, Ring{Name: r.Name, Policy: policyOf(r.Policy), Train: trainOf(r.Starts.Train), OnRelease: r.Starts.OnRelease})
	}
}

func compareRings(d *Difference, s State, f *File, wanted *rings.Application) {
	var stored []rings.Ring
	if s.App != nil {
		stored = s.App.Rings
	}
	order := names(stored)
	for i, r := range wanted.Rings {
		at := slices.IndexFunc(stored, func(old rings.Ring) bool { return old.Name == r.Name })
		if at >= 0 {
			d.updateRing(stored[at], r)
			continue
		}
		c := Change{Kind: CreateRing, Ring: r}
		if i > 0 {
			c.After = wanted.Rings[i-1].Name
		}
		order = insertAfter(order, r.Name, c.After)
		c.Words = []string{strings.Join(append([]string{fmt.Sprintf("create ring %q", r.Name)}, append(newPolicy(r.Policy), newStarts(r.Starts)...)...), ", ")}
		d.Changes = append(d.Changes, c)
	}
	d.moveRings(order, merged(order, wanted.RingNames()))
	for _, r := range stored {
		if !slices.Contains(wanted.RingNames(), r.Name) {
			d.Extra = append(d.Extra, extraRing(s, f, r.Name))
		}
	}
}

func (d *Difference) updateRing(from, to rings.Ring) {
	changes := append(policyChanges(from.Policy, to.Policy), startsChanges(from.Starts, to.Starts)...)
	if len(changes) == 0 {
		return
	}
	d.Changes = append(d.Changes, Change{Kind: UpdateRing, Ring: to, Words: []string{fmt.Sprintf("update ring %q: %s", to.Name, strings.Join(changes, ", "))}})
}

// moveRings puts each ring right after the one before it. What is first then is
// first because all others are behind it.
func (d *Difference) moveRings(order, wanted []rings.RingName) {
	order = slices.Clone(order)
	for i := 1; i < len(wanted); i++ {
		before, name := wanted[i-1], wanted[i]
		if at := slices.Index(order, name); at > 0 && order[at-1] == before {
			continue
		}
		order = slices.DeleteFunc(order, func(r rings.RingName) bool { return r == name })
		order = insertAfter(order, name, before)
		d.Changes = append(d.Changes, Change{Kind: MoveRing, Ring: rings.Ring{Name: name}, After: before,
			Words: []string{fmt.Sprintf("move ring %q after %q", name, before)}})
	}
}

// merged is the order with the file's rings in the file's order; a ring that
// the file does not name stays behind the one that it was behind.
func merged(order, wanted []rings.RingName) []rings.RingName {
	out := slices.Clone(wanted)
	for i, name := range order {
		if slices.Contains(wanted, name) {
			continue
		}
		at := 0
		if i > 0 {
			at = slices.Index(out, order[i-1]) + 1
		}
		out = slices.Insert(out, at, name)
	}
	return out
}

// insertAfter puts the name behind the other, or at the end.
func insertAfter(order []rings.RingName, name, after rings.RingName) []rings.RingName {
	if i := slices.Index(order, after); i >= 0 {
		return slices.Insert(order, i+1, name)
	}
	return append(order, name)
}

func extraRing(s State, f *File, name rings.RingName) Extra {
	e := Extra{Kind: "ring", Name: string(name), Command: fmt.Sprintf("rollout ring delete %s %s", f.Name, name)}
	var on []string
	for c, ring := range s.on() {
		if _, named := f.RingOf(c); ring == name && !named {
			on = append(on, string(c))
		}
	}
	if len(on) > 0 {
		slices.Sort(on)
		e.Keep = "clusters are on it that the file does not name: " + strings.Join(on, ", ")
	}
	return e
}

func names(all []rings.Ring) []rings.RingName {
	var out []rings.RingName
	for _, r := range all {
		out = append(out, r.Name)
	}
	return out
}
