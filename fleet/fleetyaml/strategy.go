package fleetyaml

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Strategy tells what the bundle's own rolloutStrategy does to a rollout of the ring: Blockers are strategies under which
// some cluster of the ring is never updated, Warnings those that hold clusters back for a while. nil without a strategy,
// or with one that does neither. targets are the GitRepo's, as for Effect.
func (f *File) Strategy(ring []Cluster, targets []Target) []Finding {
	s := f.spec.RolloutStrategy
	if s == nil {
		return nil
	}
	r := strategyReport{line: f.keyLine("rolloutStrategy")}
	r.limit("maxUnavailable", s.MaxUnavailable, Blocker)
	r.percentage("maxUnavailablePartitions", s.MaxUnavailablePartitions)
	r.percentage("autoPartitionSize", s.AutoPartitionSize)
	if s.MaxNew != nil && *s.MaxNew <= 0 {
		r.add(Warning, fmt.Sprintf("maxNew %d: a cluster that is new to the bundle never gets it", *s.MaxNew), "remove maxNew")
	}
	if len(s.Partitions) > 0 {
		r.partitions(s.Partitions, f.deployed(ring, targets))
	}
	return r.found
}

// deployed are the ring's clusters that get the bundle; all of them if a selector cannot be read (Edit says so).
func (f *File) deployed(ring []Cluster, targets []Target) []Cluster {
	view, err := f.View(targets, nil)
	if err != nil {
		return ring
	}
	var out []Cluster
	for _, c := range ring {
		if view.effect(c).Deployed {
			out = append(out, c)
		}
	}
	return out
}

// strategyReport gathers findings about one rolloutStrategy.
type strategyReport struct {
	line  int
	found []Finding
}

func (r *strategyReport) add(s Severity, msg, hint string, clusters ...string) {
	r.found = append(r.found, Finding{Severity: s, Code: CodeStrategy, Line: r.line, Clusters: sorted(clusters),
		Msg: "rolloutStrategy: " + msg, Hint: hint})
}

// limit judges a maxUnavailable. A cluster that is healthy is released only while fewer than that many are unavailable
// (target/partition.go: updateDeploymentFromStaged), so that 0 releases none, ever; a percentage never means less than 1
// (target/status.go: limit).
func (r *strategyReport) limit(name string, v *intstr.IntOrString, severity Severity) {
	switch {
	case v == nil:
	case v.Type == intstr.Int && v.IntVal <= 0:
		r.add(severity, fmt.Sprintf("%s %d never lets a healthy cluster be updated", name, v.IntVal), `write 1, or a percentage, or remove it`)
	case v.Type == intstr.String && !validLimit(v):
		r.add(Blocker, fmt.Sprintf("%s %q is neither a number nor a percentage: Fleet stops at it", name, v.StrVal), "write a number or a percentage")
	case v.String() != "100%":
		r.add(Warning, fmt.Sprintf("%s %s: Fleet updates the clusters in turns, so the ring takes longer", name, v.String()), "")
	}
}

// percentage judges a limit that is only ever wrong by its form.
func (r *strategyReport) percentage(name string, v *intstr.IntOrString) {
	if v != nil && v.Type == intstr.String && !validLimit(v) {
		r.add(Blocker, fmt.Sprintf("%s %q is neither a number nor a percentage: Fleet stops at it", name, v.StrVal), "write a number or a percentage")
	}
}

// validLimit follows target/status.go: limit. A string may be a positive number, else it must be a percentage.
func validLimit(v *intstr.IntOrString) bool {
	if v.IntValue() > 0 {
		return true
	}
	number, ok := strings.CutSuffix(v.StrVal, "%")
	_, err := strconv.ParseFloat(number, 64)
	return ok && err == nil
}

// partitions judges partitions that are written by hand. A cluster in none of them is never updated
// (target/rollout.go: manualPartition; the comment on the API type says otherwise, and is wrong), and a partition waits
// for those before it.
func (r *strategyReport) partitions(list []partition, ring []Cluster) {
	left := map[string]bool{}
	for _, c := range ring {
		left[c.Name] = true
	}
	for i, p := range list {
		name := or(p.Name, "#"+itoa(i+1))
		m, err := p.Target.compile()
		if err != nil {
			r.add(Blocker, fmt.Sprintf("partition %q: %v", name, err), "")
			continue
		}
		severity := Warning
		for _, c := range ring {
			if m.matches(c) {
				severity = Blocker
				delete(left, c.Name)
			}
		}
		r.limit(fmt.Sprintf("partition %q: maxUnavailable", name), p.MaxUnavailable, severity)
	}
	if len(left) > 0 {
		names := make([]string, 0, len(left))
		for n := range left {
			names = append(names, n)
		}
		r.add(Blocker, "clusters of the ring are in no partition, and Fleet never updates them", "add a partition that selects them, or remove the partitions", names...)
	}
	r.add(Warning, "a partition waits for those before it, whatever ring their clusters are in", "let rollout do the ordering: remove the partitions")
}
