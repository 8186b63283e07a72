package fleetyaml_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/fleetyaml"
)

// inTwoRings is a bundle on c1 to c3 of ring-1 and c4 and c5 of ring-2, and a change of ring-1.
func inTwoRings(t testing.TB, strategy string) (*fleetyaml.File, fleetyaml.Change) {
	t.Helper()
	f, err := fleetyaml.Parse("fleet.yaml", []byte("name: web\nrolloutStrategy:\n"+strategy))
	if err != nil {
		t.Fatal(err)
	}
	tc := newTestCase(t, []byte(`{ring: [c1, c2, c3], clusters: {c1: {ring: "1"}, c2: {ring: "1"}, c3: {ring: "1"}, c4: {ring: "2"}, c5: {ring: "2"}}}`))
	return f, tc.change()
}

const (
	limitHint = "write `maxUnavailable: 1`, or a percentage, which never means less than 1, or remove it: then all go at once"
	formHint  = "write a number such as 1, or a percentage such as 25%"
	restHint  = "add a last partition that selects every cluster, `{name: rest, clusterSelector: {}}`, or remove the partitions"
	orderHint = "let rollout do the ordering: remove the partitions, or write `autoPartitionSize: 0` if there are none"
	othersToo = "; clusters of other rings that are not ready count, too"
)

func TestFile_Strategy(t *testing.T) {
	all := "  - {name: all, clusterSelector: {}}\n"
	ring1, ring2 := "  - {name: one, clusterSelector: {matchLabels: {ring: '1'}}", "  - {name: two, clusterSelector: {matchLabels: {ring: '2'}}"
	tests := []struct {
		name, strategy string
		want           []string // "severity line [clusters] message (hint)", without what all begin with
	}{
		{"none", "  {}\n", nil},
		{"everything", "  maxUnavailable: 100%\n", nil},
		{"more than there are", "  maxUnavailable: 500\n", nil},
		{"zero", "  maxNew: 50\n  maxUnavailable: 0\n", []string{
			"blocker 4 [] maxUnavailable 0 never lets a healthy cluster be updated (" + limitHint + ")"}},
		{"less than zero", "  maxUnavailable: -1\n", []string{
			"blocker 3 [] maxUnavailable -1 never lets a healthy cluster be updated (" + limitHint + ")"}},
		{"zero percent is one", "  maxUnavailable: 0%\n", []string{
			"warning 3 [] maxUnavailable 0%: Fleet updates 1 of 5 clusters at a time, so the ring takes longer" + othersToo + " ()"}},
		{"some", "  maxUnavailable: 45%\n", []string{
			"warning 3 [] maxUnavailable 45%: Fleet updates 2 of 5 clusters at a time, so the ring takes longer" + othersToo + " ()"}},
		{"a number in quotes", "  maxUnavailable: '2'\n", []string{
			"warning 3 [] maxUnavailable 2: Fleet updates 2 of 5 clusters at a time, so the ring takes longer" + othersToo + " ()"}},
		{"zero in quotes", "  maxUnavailable: '0'\n", []string{
			`blocker 3 [] maxUnavailable "0" is neither a number above 0 nor a percentage: Fleet stops at it, and updates no cluster (` + formHint + ")"}},
		{"not a percentage", "  maxUnavailablePartitions: x%\n  maxUnavailable: half\n", []string{
			`blocker 4 [] maxUnavailable "half" is neither a number above 0 nor a percentage: Fleet stops at it, and updates no cluster (` + formHint + ")",
			`blocker 3 [] maxUnavailablePartitions "x%" is neither a number above 0 nor a percentage: Fleet stops at it, and updates no cluster (` + formHint + ")"}},
		{"no partition may be unavailable, as without", "  maxUnavailablePartitions: 0\n  partitions:\n" + all, nil},
		{"nothing is new", "  maxNew: 0\n", []string{"warning 3 [] maxNew 0: a cluster that is new to the bundle never gets it (remove maxNew)"}},

		{"left out", "  partitions:\n" + ring2 + "}\n  - {clusterName: c2}\n", []string{
			"blocker 3 [c1 c3] partitions: clusters of the ring are in none of them, and Fleet never updates them (" + restHint + ")"}},
		{"left out: other rings'", "  partitions:\n" + ring1 + "}\n", nil},
		{"nothing waits without a limit", "  partitions:\n" + ring1 + "}\n" + all, nil},
		{"a partition of zero", "  partitions:\n" + ring1 + ", maxUnavailable: 0}\n", []string{
			`blocker 4 [c1 c2 c3] partitions "one": maxUnavailable 0 never lets a healthy cluster be updated (` + limitHint + ")"}},
		{"a partition of zero, and one behind it", "  partitions:\n  - clusterName: c1\n    maxUnavailable: 0\n" + ring1 + "}\n", []string{
			`blocker 5 [c1 c2 c3] partitions "#1": maxUnavailable 0 never lets a healthy cluster be updated, so that Fleet does not go on to later partitions (` + limitHint + ")"}},
		{"one that Fleet passes by", "  maxUnavailablePartitions: 1\n  partitions:\n  - {clusterName: c1, maxUnavailable: 0}\n" + ring1 + "}\n", nil},
		{"updated before", "  partitions:\n" + ring1 + "}\n  - {clusterName: c1, maxUnavailable: 0}\n", nil},
		{"all inherit zero", "  maxUnavailable: 0\n  partitions:\n" + ring1 + ", maxUnavailable: 1}\n" + all, []string{
			"blocker 3 [] maxUnavailable 0 never lets a healthy cluster be updated (" + limitHint + ")",
			`warning 5 [] partitions "one": maxUnavailable 1: Fleet updates 1 of 3 clusters at a time, so the ring takes longer ()`}},
		{"another ring's partition of zero", "  partitions:\n" + ring2 + ", maxUnavailable: 0}\n" + ring1 + "}\n", []string{
			`warning 3 [] partitions: the ring waits for clusters of other rings that are not ready, in "two" (` + orderHint + ")"}},
		{"canary", "  partitions:\n  - {name: canary, clusterName: c2, maxUnavailable: 1}\n" + ring1 + ", maxUnavailable: 2}\n" + ring2 + "}\n", []string{
			`warning 5 [] partitions "one": maxUnavailable 2: Fleet updates 2 of 3 clusters at a time, so the ring takes longer ()`,
			"info 3 [] partitions: clusters of the ring go in 2 of them, one after the other: canary (1), one (2) ()"}},
		{"a bad partition", "  partitions:\n  - clusterName: c1\n    maxUnavailable: few\n  - clusterSelector: {matchExpressions: [{key: ring, operator: Like}]}\n" + all, []string{
			`blocker 5 [] partitions "#1": maxUnavailable "few" is neither a number above 0 nor a percentage: Fleet stops at it, and updates no cluster (` + formHint + ")",
			`blocker 6 [] partitions "#2": clusterSelector: "Like" is not a valid label selector operator (repair the selector; Fleet refuses the whole bundle for it)`}},
		{"a bad partition alone", "  partitions:\n  - clusterSelector: {matchExpressions: [{key: ring, operator: Like}]}\n", []string{
			`blocker 4 [] partitions "#1": clusterSelector: "Like" is not a valid label selector operator (repair the selector; Fleet refuses the whole bundle for it)`}},
		{"Fleet does not read the limit of none", "  partitions:\n  - {clusterName: nobody, maxUnavailable: few}\n" + all, nil},

		{"many, in partitions of Fleet's", "  autoPartitionThreshold: 5\n  autoPartitionSize: 2\n  maxUnavailable: 1\n", []string{
			"warning 5 [] maxUnavailable 1: Fleet updates 1 of 5 clusters at a time, so the ring takes longer" + othersToo + " ()",
			"info 4 [] partitions: clusters of the ring go in 2 of them, one after the other: from c1 (2), from c3 (1) ()"}},
		{"not many", "  autoPartitionSize: x\n  autoPartitionThreshold: 6\n", nil},
		{"many, and a bad size", "  autoPartitionSize: x\n  autoPartitionThreshold: 5\n", []string{
			`blocker 3 [] autoPartitionSize "x" is neither a number above 0 nor a percentage: Fleet stops at it, and updates no cluster (` + formHint + ")"}},
		{"switched off", "  autoPartitionSize: 0\n  autoPartitionThreshold: 5\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, c := inTwoRings(t, tt.strategy)
			var got []string
			for _, x := range f.Strategy(c) {
				msg, ok := strings.CutPrefix(x.Msg, "rolloutStrategy.")
				if !ok || x.Code != fleetyaml.CodeStrategy {
					t.Errorf("got %+v, want a finding about the strategy", x)
				}
				got = append(got, fmt.Sprintf("%s %d %v %s (%s)", x.Severity, x.Line, x.Clusters, msg, x.Hint))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// played is a cluster's BundleDeployment in Fleet's loop: the ids of what it should get, is staged, may apply and runs.
type played struct {
	name                             string
	wanted, staged, current, applied int
}

func (p *played) unavailable() bool { return p.applied != p.current }
func (p *played) upToDate() bool {
	return p.staged == p.wanted && p.current == p.wanted && p.applied == p.wanted
}

// playedPartition is one that a strategy lists.
type playedPartition struct {
	members []*played
	limit   string // as written; "" inherits
}

// playedStrategy is a strategy with partitions, its numbers as they are written; "" is none.
type playedStrategy struct {
	limit, waitAt string
	partitions    []playedPartition
}

// playedLimit is target/status.go: limit, line by line.
func playedLimit(count int, values ...string) int {
	if count <= 0 {
		return 1
	}
	v := "100%"
	for _, x := range values {
		if x != "" {
			v = x
			break
		}
	}
	number, percent := strings.CutSuffix(v, "%")
	i, _ := strconv.Atoi(number)
	if !percent {
		return max(0, min(i, count))
	}
	if i = count * i / 100; i <= 0 {
		return 1
	}
	return min(i, count)
}

func count(list []*played, is func(*played) bool) (n int) {
	for _, p := range list {
		if is(p) {
			n++
		}
	}
	return n
}

// reconcile is target/partition.go: UpdatePartitions, line by line, and then what the agents do with it.
func (s playedStrategy) reconcile(all []*played) {
	unavailable, most := count(all, (*played).unavailable), playedLimit(len(all), s.limit)
	unavailablePartitions, mostPartitions := 0, playedLimit(len(s.partitions), s.waitAt, "0")
	for _, p := range s.partitions {
		mine, mostMine := count(p.members, (*played).unavailable), playedLimit(len(p.members), p.limit, s.limit)
		for _, t := range p.members {
			t.staged = t.wanted
		}
		for _, t := range p.members {
			if t.current != t.staged && (unavailable < most || t.unavailable()) && (mine < mostMine || t.unavailable()) {
				if !t.unavailable() {
					unavailable++
					mine++
				}
				t.current = t.staged
			}
		}
		if count(p.members, func(t *played) bool { return !t.upToDate() || t.unavailable() }) > mostMine {
			unavailablePartitions++
		}
		if unavailablePartitions > mostPartitions {
			break
		}
	}
	for _, t := range all {
		t.applied = t.current
	}
}

// String is the strategy as a fleet.yaml has it.
func (s playedStrategy) String() string {
	var b strings.Builder
	number := func(indent, key, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, key, v)
		}
	}
	number("  ", "maxUnavailable", s.limit)
	number("  ", "maxUnavailablePartitions", s.waitAt)
	b.WriteString("  partitions:\n")
	for _, p := range s.partitions {
		var names []string
		for _, t := range p.members {
			names = append(names, t.name)
		}
		fmt.Fprintf(&b, "  - clusterSelector: {matchExpressions: [{key: name, operator: In, values: [none, %s]}]}\n", strings.Join(names, ", "))
		number("    ", "maxUnavailable", p.limit)
	}
	return b.String()
}

// randomStrategy has up to four partitions of random clusters.
func randomStrategy(r *rand.Rand, all []*played) playedStrategy {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	s := playedStrategy{limit: pick("", "", "", "1", "2", "0", "50%"), waitAt: pick("", "", "0", "1", "2", "50%")}
	for range 1 + r.IntN(4) {
		p := playedPartition{limit: pick("", "0", "0", "-1", "1", "2", "0%", "100%")}
		for _, t := range all {
			if r.IntN(2) == 0 {
				p.members = append(p.members, t)
			}
		}
		s.partitions = append(s.partitions, p)
	}
	return s
}

// TestFile_Strategy_played holds the blockers against Fleet's loop, played until nothing moves any more: a strategy is
// refused if and only if it leaves clusters of the ring as they were, and those are the clusters that are named.
func TestFile_Strategy_played(t *testing.T) {
	stuck := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all []*played
		for i := range 5 {
			all = append(all, &played{name: fmt.Sprint("c", i+1)})
		}
		s := randomStrategy(r, all)
		f, c := inTwoRings(t, s.String())
		ring := 1 + r.IntN(5)
		everywhere := r.IntN(4) == 0
		for i, cl := range c.All {
			cl.Labels["name"] = cl.Name
			if i < ring || everywhere {
				all[i].wanted = 1
			}
		}
		c.Ring = c.All[:ring]
		if everywhere {
			c.Fields, c.AcceptRedeploy = []fleetyaml.Field{"helm.version"}, true
		}
		for range 20 {
			s.reconcile(all)
		}
		var want []string
		for _, t := range all[:ring] {
			if t.applied != 1 {
				want = append(want, t.name)
			}
		}
		if len(want) > 0 {
			stuck++
		}
		checkBlockers(t, seed, f.Strategy(c), want, s.limit == "0")
	}
	if stuck < 500 || stuck > 2500 {
		t.Errorf("got %d strategies that leave clusters, want many of both", stuck)
	}
}

// checkBlockers compares the clusters of the blockers; one about all clusters of the bundle names none.
func checkBlockers(t *testing.T, seed uint64, found []fleetyaml.Finding, want []string, none bool) {
	t.Helper()
	var got []string
	blocked := false
	for _, x := range found {
		if x.Severity == fleetyaml.Blocker {
			blocked = true
			got = append(got, x.Clusters...)
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); blocked != (len(want) > 0) || !none && !slices.Equal(got, want) {
		t.Fatalf("seed %d: got blockers about %v, want %v: %+v", seed, got, want, found)
	}
}
