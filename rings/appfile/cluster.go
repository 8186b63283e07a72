package appfile

import (
	"fmt"
	"maps"
	"slices"

	"rollout/rings"
)

func writeClusters(f *File, _ *rings.Application, clusters []rings.Cluster) {
	for _, c := range clusters {
		for i := range f.Rings {
			if f.Rings[i].Name == c.Ring {
				f.Rings[i].Clusters = append(f.Rings[i].Clusters, c.Name)
			}
		}
	}
}

// on is the ring of every cluster that carries the labels or is recorded; the
// label counts.
func (s State) on() map[rings.ClusterName]rings.RingName {
	out := map[rings.ClusterName]rings.RingName{}
	for _, c := range s.Clusters {
		out[c.Name] = c.Ring
		if s.On != nil {
			out[c.Name] = s.On[c.Name] // without the labels it is on none
		}
	}
	maps.Copy(out, s.On)
	return out
}

func (s State) recorded(name rings.ClusterName) rings.RingName {
	for _, c := range s.Clusters {
		if c.Name == name {
			return c.Ring
		}
	}
	return ""
}

func compareClusters(d *Difference, s State, f *File, _ *rings.Application) {
	on := s.on()
	for _, r := range f.Rings {
		for _, c := range r.Clusters {
			d.placeCluster(c, on[c], r.Name, s.recorded(c))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(on)) {
		if _, named := f.RingOf(c); !named && on[c]+s.recorded(c) != "" {
			d.Extra = append(d.Extra, extraCluster(f, c, on[c], s.recorded(c)))
		}
	}
}

func (d *Difference) placeCluster(name rings.ClusterName, from, to, recorded rings.RingName) {
	c := Change{Cluster: name, From: from, Ring: rings.Ring{Name: to}}
	switch {
	case from == to && recorded == to:
		return
	case from == to:
		c.Kind, c.Words = RecordCluster, []string{fmt.Sprintf("record cluster %q on ring %q: it carries the labels", name, to)}
	case from == "":
		c.Kind, c.Words = AddCluster, []string{fmt.Sprintf("add cluster %q to ring %q", name, to)}
	default:
		c.Kind, c.Words = SetRing, []string{fmt.Sprintf("move cluster %q from ring %q to ring %q", name, from, to)}
	}
	d.Changes = append(d.Changes, c)
}

func extraCluster(f *File, name rings.ClusterName, on, recorded rings.RingName) Extra {
	e := Extra{Kind: "cluster", Name: string(name), Words: fmt.Sprintf("on ring %q by its label", on),
		Keep: "what runs on it would stay or go: that is for a person to see first"}
	switch {
	case on == "":
		e.Words = fmt.Sprintf("recorded on ring %q, without the labels", recorded)
	case recorded == "":
		e.Words += ", not recorded"
	}
	if recorded != "" {
		e.Command = fmt.Sprintf("rollout cluster remove %s --app %s", name, f.Name)
	}
	return e
}
