package sim

import (
	"cmp"
	"slices"
	"time"

	"rollout/orchestrator"
)

// Distribution is how several rehearsals of one rollout came out that differ in
// their seeds.
type Distribution struct {
	Runs   int
	Ends   map[orchestrator.Phase]int
	Took   Spread[time.Duration]
	Struck Spread[int] // clusters, by the faults
}

// Spread is how a number came out: the median (of two, the larger one), the
// worst, and the smallest seed of that.
type Spread[T cmp.Ordered] struct {
	Median, Worst T
	Seed          uint64
}

// Distribute sums up rehearsals, of which there must be one.
func Distribute(all []Rehearsal) Distribution {
	d := Distribution{Runs: len(all), Ends: map[orchestrator.Phase]int{}}
	for _, r := range all {
		d.Ends[r.Phase]++
	}
	d.Took = spread(all, func(r Rehearsal) time.Duration { return r.Took })
	d.Struck = spread(all, func(r Rehearsal) int { return r.Struck })
	return d
}

func spread[T cmp.Ordered](all []Rehearsal, of func(Rehearsal) T) Spread[T] {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Rehearsal) int {
		return cmp.Or(cmp.Compare(of(a), of(b)), cmp.Compare(b.Seed, a.Seed))
	})
	worst := sorted[len(sorted)-1]
	return Spread[T]{Median: of(sorted[len(sorted)/2]), Worst: of(worst), Seed: worst.Seed}
}
