package fleetyaml

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Strategy tells what the bundle's own rolloutStrategy does to a rollout of the change's ring: Blockers are strategies
// under which some cluster of the ring is never updated, Warnings those that hold clusters back for a while, and an Info
// tells in how many partitions the ring goes. nil without a strategy, with one that does nothing, and for a ring that does
// not get the bundle. Version and Nonce of the change are not looked at.
func (f *File) Strategy(c Change) []Finding {
	s := f.spec.RolloutStrategy
	if s == nil {
		return nil
	}
	r := strategyReport{f: f, s: s, all: f.deployed(c.clusters(), c.Targets), ring: namesOf(f.deployed(c.Ring, c.Targets))}
	if len(r.ring) == 0 {
		return nil
	}
	r.list = s.partitions(r.all)
	r.unreadable()
	r.stuck(c.redeploys())
	blocked := slices.ContainsFunc(r.found, func(x Finding) bool { return x.Severity == Blocker })
	r.slow()
	if !blocked {
		r.order()
	}
	return r.found
}

// deployed are the clusters that get the bundle; all of them if a selector cannot be read (Edit says so).
func (f *File) deployed(clusters []Cluster, targets []Target) []Cluster {
	view, err := f.View(targets, nil)
	if err != nil {
		return slices.Clone(clusters)
	}
	return slices.DeleteFunc(slices.Clone(clusters), func(c Cluster) bool { return !view.effect(c).Deployed })
}

func namesOf(clusters []Cluster) map[string]bool {
	names := map[string]bool{}
	for _, c := range clusters {
		names[c.Name] = true
	}
	return names
}

// clusters are all that the bundle can reach, sorted by name.
func (c Change) clusters() []Cluster {
	byName := func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) }
	all := slices.Concat(c.All, c.Ring)
	slices.SortStableFunc(all, byName)
	return slices.CompactFunc(all, func(a, b Cluster) bool { return byName(a, b) == 0 })
}

// redeploys reports whether the change reaches all rings.
func (c Change) redeploys() bool {
	return slices.ContainsFunc(c.Fields, func(fl Field) bool {
		e := fl.Check()
		return e != nil && e.Code == CodeRedeploys
	})
}

// strategyReport gathers findings about one rolloutStrategy.
type strategyReport struct {
	f     *File
	s     *strategy
	all   []Cluster       // that get the bundle, by name
	ring  map[string]bool // those of the ring
	list  []partition
	found []Finding
}

const (
	strategyKey  = "rolloutStrategy"
	limitKey     = "maxUnavailable"
	waitKey      = "maxUnavailablePartitions"
	sizeKey      = "autoPartitionSize"
	partitionKey = "partitions"
)

// Hints of findings about a strategy.
const (
	limitHint = "write `maxUnavailable: 1`, or a percentage, which never means less than 1, or remove it: then all go at once"
	formHint  = "write a number such as 1, or a percentage such as 25%"
	restHint  = "add a last partition that selects every cluster, `{name: rest, clusterSelector: {}}`, or remove the partitions"
	orderHint = "let rollout do the ordering: remove the partitions, or write `autoPartitionSize: 0` if there are none"
)

// add notes a finding about a key below rolloutStrategy.
func (r *strategyReport) add(s Severity, path []string, hint, msg string, clusters ...string) {
	r.found = append(r.found, Finding{Severity: s, Code: CodeStrategy, Line: r.line(path), Clusters: sorted(clusters),
		Msg: strategyKey + "." + msg, Hint: hint})
}

// line is where a key below rolloutStrategy is written; rolloutStrategy's own for one that is not.
func (r *strategyReport) line(path []string) int {
	last := len(path) - 1
	parent := walk(r.f.root, append([]string{strategyKey}, path[:last]...)).value
	if k, _ := pair(parent, path[last]); k != nil {
		return k.Line
	}
	if at := walk(parent, path[last:]); at.value != nil {
		return at.value.Line
	}
	return r.f.keyLine(strategyKey)
}

// own is the path of a key of a partition that the file lists.
func own(i int, key string) []string { return []string{partitionKey, itoa(i), key} }

// unreadable finds what Fleet stops at, for every cluster of the bundle.
func (r *strategyReport) unreadable() {
	check := func(n int, v *intstr.IntOrString, what string, path ...string) {
		if _, err := limitOf(n, v); err != nil {
			r.add(Blocker, path, formHint, fmt.Sprintf("%s %v: Fleet stops at it, and updates no cluster", what, err))
		}
	}
	check(len(r.all), r.s.MaxUnavailable, limitKey, limitKey)
	check(len(r.list), r.s.MaxUnavailablePartitions, waitKey, waitKey)
	if r.s.dividesBy(r.all) {
		check(len(r.all), r.s.AutoPartitionSize, sizeKey, sizeKey)
	}
	for i, spec := range r.s.Partitions {
		if _, err := spec.Target.compile(); err != nil {
			r.add(Blocker, []string{partitionKey, itoa(i)}, selectorHint, fmt.Sprintf("partitions %q: %v", r.list[i].name, err))
		}
		check(len(r.list[i].members), spec.MaxUnavailable, fmt.Sprintf("partitions %q: %s", r.list[i].name, limitKey), own(i, limitKey)...)
	}
}

// stuck finds what keeps a cluster of the ring from ever being updated.
func (r *strategyReport) stuck(everywhere bool) {
	limit, _ := limitOf(len(r.all), r.s.MaxUnavailable)
	if limit == 0 {
		r.add(Blocker, []string{limitKey}, limitHint, fmt.Sprintf("maxUnavailable %s never lets a healthy cluster be updated", r.s.MaxUnavailable))
	}
	update := r.ring
	if everywhere {
		update = namesOf(r.all)
	}
	waitAt, _ := limitOf(len(r.list), r.s.MaxUnavailablePartitions, &noPartition)
	r.outside()
	r.closed(never(update, r.list, waitAt))
}

// outside finds the ring's clusters that are in no partition.
func (r *strategyReport) outside() {
	var names []string
	inside := map[string]bool{}
	for _, p := range r.list {
		maps.Copy(inside, namesOf(p.members))
	}
	for name := range r.ring {
		if !inside[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		r.add(Blocker, []string{partitionKey}, restHint, "partitions: clusters of the ring are in none of them, and Fleet never updates them", names...)
	}
}

// closed finds the listed partitions that never release their clusters, with those of the ring that are in them or behind.
func (r *strategyReport) closed(left map[string]bool) {
	for i, spec := range r.s.Partitions {
		p := r.list[i]
		if p.limit > 0 || spec.MaxUnavailable == nil || len(p.among(left)) == 0 {
			continue
		}
		held := r.heldFrom(i, left)
		msg := fmt.Sprintf("partitions %q: maxUnavailable %s never lets a healthy cluster be updated", p.name, spec.MaxUnavailable)
		if len(held) > len(r.heldBy(p, left)) {
			msg += ", so that Fleet does not go on to later partitions"
		}
		if len(held) > 0 {
			r.add(Blocker, own(i, limitKey), limitHint, msg, held...)
		}
	}
}

// heldBy are the ring's clusters of a partition that are left.
func (r *strategyReport) heldBy(p partition, left map[string]bool) []string {
	return slices.DeleteFunc(p.among(left), func(name string) bool { return !r.ring[name] })
}

// heldFrom are those of a partition and of all after it, sorted.
func (r *strategyReport) heldFrom(i int, left map[string]bool) []string {
	var names []string
	for _, p := range r.list[i:] {
		names = append(names, r.heldBy(p, left)...)
	}
	return sorted(names)
}

// slow finds what holds clusters back for a while.
func (r *strategyReport) slow() {
	if limit, err := limitOf(len(r.all), r.s.MaxUnavailable); err == nil {
		r.turns(limitKey, r.s.MaxUnavailable, partition{members: r.all, limit: limit}, limitKey)
	}
	for i, spec := range r.s.Partitions {
		r.turns(fmt.Sprintf("partitions %q: %s", r.list[i].name, limitKey), spec.MaxUnavailable, r.list[i], own(i, limitKey)...)
	}
	if s := r.s; s.MaxNew != nil && *s.MaxNew <= 0 {
		r.add(Warning, []string{"maxNew"}, "remove maxNew", fmt.Sprintf("maxNew %d: a cluster that is new to the bundle never gets it", *s.MaxNew))
	}
}

// turns finds a limit under which the clusters of the ring take turns.
func (r *strategyReport) turns(what string, v *intstr.IntOrString, p partition, path ...string) {
	ours := len(p.among(r.ring))
	if v == nil || p.limit == 0 || !p.gates() || ours == 0 {
		return
	}
	msg := fmt.Sprintf("%s %s: Fleet updates %d of %d clusters at a time, so the ring takes longer", what, v, p.limit, len(p.members))
	if ours < len(p.members) {
		msg += "; clusters of other rings that are not ready count, too"
	}
	r.add(Warning, path, "", msg)
}

// order tells in how many partitions the ring goes, and which ones with clusters of other rings it waits for. Fleet waits
// at none if it may pass by as many as can make it wait.
func (r *strategyReport) order() {
	waitAt, _ := limitOf(len(r.list), r.s.MaxUnavailablePartitions, &noPartition)
	gates := slices.DeleteFunc(slices.Clone(r.list), func(p partition) bool { return !p.gates() })
	if len(gates) <= waitAt {
		return
	}
	ours, last := r.stops()
	if len(ours) > 1 {
		r.add(Info, r.orderPath(), "", fmt.Sprintf("partitions: clusters of the ring go in %d of them, one after the other: %s", len(ours), shortened(ours)))
	}
	var foreign []string
	for _, p := range r.list[:last] {
		if p.gates() && len(p.among(r.ring)) < len(p.members) {
			foreign = append(foreign, strconv.Quote(p.name))
		}
	}
	if len(foreign) > 0 {
		r.add(Warning, r.orderPath(), orderHint, "partitions: the ring waits for clusters of other rings that are not ready, in "+shortened(foreign))
	}
}

// stops are the partitions in which clusters of the ring are updated, with how many, and the last one's index.
func (r *strategyReport) stops() (names []string, last int) {
	waiting := maps.Clone(r.ring)
	for i, p := range r.list {
		mine := p.among(waiting)
		for _, name := range mine {
			delete(waiting, name)
		}
		if len(mine) > 0 {
			names, last = append(names, fmt.Sprintf("%s (%d)", p.name, len(mine))), i
		}
	}
	return names, last
}

// orderPath is where the partitions come from.
func (r *strategyReport) orderPath() []string {
	if len(r.s.Partitions) > 0 {
		return []string{partitionKey}
	}
	return []string{sizeKey}
}
