package discover

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// ringLabel is the label whose values are the rings: the one by which most of
// the services can be rolled out ring by ring.
func (f *finder) ringLabel() (string, error) {
	if f.wish.RingLabel != "" {
		return f.wish.RingLabel, nil
	}
	score := map[string]fit{}
	for _, key := range f.labelKeys() {
		for _, c := range f.folders {
			if m := f.mapFolder(c, key); m.why == "" && len(m.versions) > 0 {
				score[key] = score[key].and(mentions(c, key))
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(score), func(a, b string) int { return cmp.Or(score[b].compare(score[a]), cmp.Compare(a, b)) })
	switch {
	case len(keys) == 0:
		return "", &Unclear{What: "no label tells rings apart: none of " + or(strings.Join(f.labelKeys(), ", "), "the clusters' labels") + " splits the clusters so that an entry of a fleet.yaml is one ring's alone",
			Hint: "name the label that carries the ring with --ring-label, to see why each service does not fit"}
	case len(keys) > 1 && score[keys[0]] == score[keys[1]]:
		best := slices.DeleteFunc(keys, func(k string) bool { return score[k] != score[keys[0]] })
		return "", &Unclear{What: "several labels tell rings apart: " + strings.Join(best, ", "), Hint: "say which with --ring-label"}
	}
	return keys[0], nil
}

// fit is how well a label carries the rings: how many services can be rolled
// out by it, and of them those whose entries select by it. Two labels may split
// the clusters alike.
type fit struct{ services, mentioning int }

func (f fit) and(mentions bool) fit {
	f.services++
	if mentions {
		f.mentioning++
	}
	return f
}

func (f fit) compare(g fit) int {
	return cmp.Or(cmp.Compare(f.services, g.services), cmp.Compare(f.mentioning, g.mentioning))
}

func mentions(c candidate, key string) bool {
	return slices.ContainsFunc(c.folder.File.Entries(), func(t fleetyaml.Target) bool {
		return slices.ContainsFunc(requirements(t), func(r metav1.LabelSelectorRequirement) bool { return r.Key == key })
	})
}

// labelKeys are the labels that can carry the ring: those that entries select
// by; where none does, since they name groups, all of the clusters'.
func (f *finder) labelKeys() []string {
	mentioned, all := map[string]bool{}, map[string]bool{}
	for _, c := range f.folders {
		for _, t := range c.folder.File.Entries() {
			for _, r := range requirements(t) {
				mentioned[r.Key] = true
			}
		}
	}
	for _, c := range f.clusters {
		for k := range c.Labels {
			if _, fixed := f.wish.Selector[k]; !fixed {
				all[k] = true
			}
		}
	}
	out := slices.Sorted(maps.Keys(all))
	if known := slices.DeleteFunc(slices.Clone(out), func(k string) bool { return !mentioned[k] }); len(known) > 0 {
		return known
	}
	return out
}

// requirements are what the target's cluster selector asks for, one form for
// both.
func requirements(t fleetyaml.Target) []metav1.LabelSelectorRequirement {
	if t.ClusterSelector == nil {
		return nil
	}
	out := slices.Clone(t.ClusterSelector.MatchExpressions)
	for _, k := range slices.Sorted(maps.Keys(t.ClusterSelector.MatchLabels)) {
		out = append(out, metav1.LabelSelectorRequirement{Key: k, Operator: metav1.LabelSelectorOpIn, Values: []string{t.ClusterSelector.MatchLabels[k]}})
	}
	return out
}

// rings fills in the rings and their clusters, in the order of the entries.
func (f *finder) rings() {
	on := f.byRing(f.out.App.RingLabel)
	for _, c := range on[""] {
		f.leave("cluster", c.Name, "give it the label, if it belongs to a ring", "it has no label %q, and so it is on no ring", f.out.App.RingLabel)
	}
	for _, name := range f.ringOrder(on) {
		if fault := rings.CheckName("ring", name); fault != "" {
			f.leave("ring", name, "give its clusters and entries a value that is a name", "%s", fault)
			continue
		}
		f.out.App.Rings = append(f.out.App.Rings, rings.Ring{Name: rings.RingName(name)})
		for _, c := range on[name] {
			f.out.Clusters = append(f.out.Clusters, rings.Cluster{Name: rings.ClusterName(c.Name), App: f.wish.App, Ring: rings.RingName(name)})
		}
	}
}

// byRing are the application's clusters by the label's value; "" is none.
func (f *finder) byRing(label string) map[string][]fleetyaml.Cluster {
	out := map[string][]fleetyaml.Cluster{}
	for _, c := range f.clusters {
		out[c.Labels[label]] = append(out[c.Labels[label]], c)
	}
	return out
}

// ringOrder is the order in which the entries name the rings, those with no
// cluster included; then, by name, those that only clusters have.
func (f *finder) ringOrder(on map[string][]fleetyaml.Cluster) []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, c := range f.folders {
		if m := f.mapFolder(c, f.out.App.RingLabel); m.why != "" {
			continue
		}
		for _, t := range c.folder.File.Entries() {
			for _, r := range requirements(t) {
				if r.Key == f.out.App.RingLabel && r.Operator == metav1.LabelSelectorOpIn {
					for _, v := range r.Values {
						add(v)
					}
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(on)) {
		add(name)
	}
	return out
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
