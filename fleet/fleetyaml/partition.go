package fleetyaml

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// partition is a group of the bundle's clusters that Fleet updates before it goes on to the next group.
type partition struct {
	name    string
	members []Cluster
	limit   int // how many of them may be unavailable
}

// gates reports whether Fleet can wait at the partition: it does while more of its clusters are unavailable, or not up to
// date, than the limit.
func (p partition) gates() bool { return p.limit < len(p.members) }

// among are the names of its members that are in a set.
func (p partition) among(set map[string]bool) []string {
	var names []string
	for _, c := range p.members {
		if set[c.Name] {
			names = append(names, c.Name)
		}
	}
	return names
}

// What Fleet takes where a strategy says nothing (target/target.go).
var (
	everyCluster     = intstr.FromString("100%")
	noPartition      = intstr.FromInt32(0)
	quarter          = intstr.FromString("25%")
	defaultThreshold = 200
)

// limitOf is how many of n are meant by the first value that is given, or by everyCluster (target/status.go: limit). A
// number below 0 means 0; a percentage never means less than 1. The error is a value that Fleet stops at.
func limitOf(n int, values ...*intstr.IntOrString) (int, error) {
	v := &everyCluster
	if i := slices.IndexFunc(values, func(v *intstr.IntOrString) bool { return v != nil }); i >= 0 {
		v = values[i]
	}
	switch {
	case n <= 0:
		return 1, nil
	case v.Type == intstr.Int:
		return max(0, min(n, v.IntValue())), nil
	case v.IntValue() > 0:
		return v.IntValue(), nil
	}
	number, isPercentage := strings.CutSuffix(v.StrVal, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !isPercentage || err != nil {
		return n, fmt.Errorf("%q is neither a number above 0 nor a percentage", v.StrVal)
	}
	return max(1, min(n, int(float64(n)*percent)/100)), nil
}

// partitions are those that the strategy lists, or those that Fleet makes of many clusters, which are sorted by name. Bad
// values count as if they let everything pass.
func (s *strategy) partitions(all []Cluster) []partition {
	if len(s.Partitions) == 0 {
		return s.byNumber(all)
	}
	out := make([]partition, len(s.Partitions))
	for i, spec := range s.Partitions {
		out[i] = spec.of(all)
		out[i].name = or(spec.Name, "#"+itoa(i+1))
		out[i].limit, _ = limitOf(len(out[i].members), spec.MaxUnavailable, s.MaxUnavailable)
	}
	return out
}

// of is the partition with the clusters that it selects. One cluster can be in several; one that is in none is never
// updated (target/rollout.go: manualPartition; the comment on the API type says otherwise, and is wrong).
func (spec partitionSpec) of(all []Cluster) partition {
	m, err := spec.Target.compile()
	if err != nil {
		return partition{members: all}
	}
	return partition{members: slices.DeleteFunc(slices.Clone(all), func(c Cluster) bool { return !m.matches(c) })}
}

// byNumber follows target/rollout.go: autoPartition.
func (s *strategy) byNumber(all []Cluster) []partition {
	size := len(all)
	if s.dividesBy(all) {
		size, _ = limitOf(len(all), s.AutoPartitionSize, &quarter)
	}
	var out []partition
	for from := 0; from < len(all); from += size {
		p := partition{name: "from " + all[from].Name, members: all[from:min(len(all), from+size)]}
		p.limit, _ = limitOf(len(p.members), s.MaxUnavailable)
		out = append(out, p)
	}
	return out
}

// dividesBy reports whether Fleet looks at autoPartitionSize at all.
func (s *strategy) dividesBy(all []Cluster) bool {
	threshold := defaultThreshold
	if s.AutoPartitionThreshold != nil {
		threshold = *s.AutoPartitionThreshold
	}
	off := s.AutoPartitionSize != nil && s.AutoPartitionSize.Type == intstr.Int && s.AutoPartitionSize.IntVal <= 0
	return len(s.Partitions) == 0 && !off && threshold > 0 && len(all) >= threshold
}

// never are the clusters, of those to be updated, that Fleet never releases although all are healthy and every update
// succeeds, under a limit for the whole bundle that is not 0. It plays target/partition.go: UpdatePartitions to its end. A
// healthy cluster is released while fewer of its partition than the limit are unavailable; so a limit of 0 releases none,
// and any other one releases all in the end. Fleet goes on to the next partition unless more than waitAt were found
// unavailable.
func never(update map[string]bool, list []partition, waitAt int) map[string]bool {
	left := maps.Clone(update)
	for before := -1; len(left) != before; {
		before = len(left)
		unavailable := 0
		for _, p := range list {
			if p.limit > 0 {
				for _, c := range p.members {
					delete(left, c.Name)
				}
			} else if len(p.among(left)) > 0 {
				unavailable++
			}
			if unavailable > waitAt {
				break
			}
		}
	}
	return left
}
