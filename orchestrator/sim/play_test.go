package sim_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
)

var (
	seeds = flag.Int("seeds", 2000, "how many seeds TestSeeds plays")
	seed  = flag.Int64("seed", -1, "the one seed that TestSeeds plays, with its story")
)

// summary is what the last line says, "" when TestSeeds was not run.
var summary string

// TestMain prints the summary below all else.
func TestMain(m *testing.M) {
	code := m.Run()
	if summary != "" {
		fmt.Println(summary)
	}
	os.Exit(code)
}

// shards are how many runs are played at the same time.
const shards = 8

// tally is what came of all runs.
type tally struct {
	mu     sync.Mutex
	runs   int
	broken int
	ends   map[orchestrator.Phase]int
	codes  map[orchestrator.Code]int
	used   map[string]int
}

func (t *tally) add(r sim.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.broken += len(r.Broken)
	for _, p := range r.Ends {
		t.ends[p]++
	}
	for _, c := range r.Codes {
		t.codes[c]++
	}
	for _, u := range r.Used {
		t.used[u]++
	}
}

// TestSeeds plays rollouts in worlds that misbehave at random, and checks what
// must always hold. A seed that fails replays exactly:
//
//	go test ./orchestrator/sim -run TestSeeds -seed 17 -v
func TestSeeds(t *testing.T) {
	if *seed >= 0 {
		r := playSeed(uint64(*seed), false)
		fmt.Print(r.Story)
		fail(t, r)
		return
	}
	all := &tally{ends: map[orchestrator.Phase]int{}, codes: map[orchestrator.Code]int{}, used: map[string]int{}}
	t.Run("shards", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for n := shard; n < *seeds; n += shards {
					r := playSeed(uint64(n), true)
					all.add(r)
					fail(t, r)
				}
			})
		}
	})
	t.Logf("ends: %v", all.ends)
	t.Logf("failures: %v", all.codes)
	if *seeds >= 2000 {
		harsh(t, all)
	}
	summary = fmt.Sprintf("%d runs, %d broken invariants", all.runs, all.broken)
}

// playSeed plays a seed. A Step that does not end cannot be stopped, only named:
// long after every seed has ended, however busy the machine is.
func playSeed(seed uint64, silent bool) sim.Report {
	hangs := time.AfterFunc(5*time.Minute, func() { panic(fmt.Sprintf("seed %d: a step does not end", seed)) })
	defer hangs.Stop()
	return sim.Play(seed, sim.PlayOptions{Silent: silent})
}

// fail tells of a run in which something was broken: the first time with its
// story.
func fail(t *testing.T, r sim.Report) {
	t.Helper()
	if len(r.Broken) > 0 && r.Story == "" && !t.Failed() {
		t.Logf("the story of seed %d:\n%s", r.Seed, playSeed(r.Seed, false).Story)
	}
	for _, sentence := range r.Broken {
		t.Errorf("seed %d: %s", r.Seed, sentence)
	}
}

// expected is what must have been played at least once in 2,000 runs, beside
// the world's happenings.
const expected = `approve-before approve-after approval-expires soak max-failed max-failed-percent offline-skip offline-wait
	failure- failure-pause failure-rollback-ring failure-rollback join-later check rollout-strategy verified-upstream retry rollback
	bad-never-ready bad-install-fails bad-deploy-fails bad-waits-for-others bad-hidden-conflict bad-ready-then-fails bad-fails-checks
	crashes journal-fails unreachable push-raced push-refused push-lost push-dropped outlives claim-refused claim-unreachable hint-refused hint-lost
	nudge-unreachable check-bad check-silent job-fails job-slow soft-failures status-lags watch-late watch-doubled watch-stale watch-lost check-in-lost
	second-driver driver-dies driver-sleeps driver-leaves host-crashes line-halted claim-taken jobs-broken targets-break gitrepo-held
	person-pauses person-skips person-cancels person-locks person-closes window-allow window-deny refused went-over tag
	freeze-upstream frozen went-over-freeze
	day-release day-lock day-window day-push day-deploy day-jump day-train`

// harsh: the worlds are neither too kind nor too harsh to test much.
func harsh(t *testing.T, all *tally) {
	t.Helper()
	for phase, percent := range map[orchestrator.Phase]int{orchestrator.Succeeded: 30, orchestrator.Failed: 8, orchestrator.RolledBack: 4, orchestrator.Cancelled: 3} {
		if all.ends[phase]*100 < percent*all.runs {
			t.Errorf("%d of %d rollouts ended as %s: the worlds are too kind or too harsh to test much", all.ends[phase], all.runs, phase)
		}
	}
	names := strings.Fields(expected)
	for _, h := range sim.Happenings {
		names = append(names, string(h))
	}
	for _, name := range names {
		if all.used[name] == 0 {
			t.Errorf("%s was not played in %d runs", name, all.runs)
		}
	}
	if len(all.codes) < 15 {
		t.Errorf("rollouts failed in %d ways only: %v", len(all.codes), all.codes)
	}
}

// One seed replays exactly: its story is the same to the letter.
func TestPlay_replays(t *testing.T) {
	for seed := range uint64(20) {
		first, second := sim.Play(seed, sim.PlayOptions{}), sim.Play(seed, sim.PlayOptions{})
		if first.Story != second.Story {
			t.Fatalf("seed %d has two stories:\n%s", seed, cmp.Diff(strings.Split(first.Story, "\n"), strings.Split(second.Story, "\n")))
		}
	}
}
