package explore_test

import (
	"flag"
	"runtime"
	"testing"
	"time"

	"rollout/orchestrator/explore"
)

var (
	full   = flag.Bool("full", false, "explore the full size: minutes, and GiBs")
	faults = flag.Int("faults", 1, "with -full: how many faults, of all four kinds, one path may have; 4 is all of them")
	limit  = flag.Duration("limit", 10*time.Minute, "with -full: when to stop, whether it was all or not")
	shape  = flag.String("shape", "", "the one small size that TestExplore explores")
)

// TestExplore follows every order of events of the small sizes, and finds that
// all that must hold holds, and that every path comes to an end.
//
// With -full it is the full size instead:
//
//	go test ./orchestrator/explore -run TestExplore -full -v -timeout 0
//
// What is broken is told as the shortest path to it.
func TestExplore(t *testing.T) {
	if *full {
		s := explore.Full()
		s.Faults.Total = *faults
		run(t, s, explore.Options{Until: time.After(*limit)})
		return
	}
	back, sharing := explore.TakingBack(), explore.Sharing()
	back.Faults.Total, sharing.Faults = 1, explore.Faults{Crash: 1}
	for name, s := range map[string]explore.Shape{"small": explore.Small(), "sharing": sharing, "back": back} {
		if *shape != "" && *shape != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if slow || testing.Short() {
				s.Faults.Total = 1
			}
			if slow && name != "small" {
				t.Skip("without the race detector")
			}
			run(t, s, explore.Options{Wide: true})
		})
	}
}

func run(t *testing.T, s explore.Shape, o explore.Options) {
	t.Helper()
	begun := time.Now()
	since := func() time.Duration { return time.Since(begun).Round(10 * time.Millisecond) }
	o.Workers = runtime.GOMAXPROCS(0)
	o.Progress = func(r explore.Report) {
		t.Logf("%s: %d states, %d edges, depth %d", since(), r.States, r.Edges, r.Depth)
	}
	r := explore.Explore(s, o)
	t.Logf("%s:\n%s, %s", s, r, since())
	switch {
	case r.Broken != nil:
		t.Fatalf("%v\n%s", r.Broken, r.Path)
	case !r.Whole && !*full:
		t.Error("it was not all")
	case r.Whole && r.Circles > 0:
		t.Errorf("%d states lead to a circle", r.Circles)
	}
}
