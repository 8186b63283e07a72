package orchestrator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// kept is an application whose first ring starts releases, and whose second one
// has a train every day at 6 in Berlin, which is 5 in UTC. All is handled until
// the 19th at noon and release 3; it is the 20th.
func kept() orchestrator.Keeping {
	a := &rings.Application{Name: "shop", Rings: []rings.Ring{
		{Name: "ring-1", Starts: rings.Starts{OnRelease: rings.ReleaseStart}, Kept: rings.Kept{Release: 3}},
		{Name: "ring-2", Starts: rings.Starts{Train: rings.Schedule{Cron: "0 6 * * *", Zone: "Europe/Berlin"}}, Kept: rings.Kept{Until: clock("19 12:00")}},
		{Name: "ring-3"},
	}}
	return orchestrator.Keeping{App: a, Newest: 3, Live: map[rings.RingName]orchestrator.ID{}, Tried: map[orchestrator.Due]orchestrator.Try{}, Zones: time.LoadLocation, Now: clock("20 05:00")}
}

// clock is a time of November 2026, in UTC.
func clock(text string) time.Time {
	at, err := time.Parse("2006-01 02 15:04", "2026-11 "+text)
	if err != nil {
		panic(err)
	}
	return at
}

// told is a decision, in words.
func told(all []orchestrator.Kept, wake time.Time) string {
	var out []string
	for _, one := range all {
		words := fmt.Sprintf("%s %s", one.Act, one.Due)
		if one.Why != "" {
			words += ": " + one.Why
		}
		out = append(out, words)
	}
	asks := "never"
	if !wake.IsZero() {
		asks = wake.Format("02 15:04:05")
	}
	return strings.Join(append(out, "wake "+asks), "\n")
}

func TestKeep(t *testing.T) {
	train := orchestrator.Due{Ring: "ring-2", Moment: clock("20 05:00")}
	lock := rings.Lock{App: "shop", Ring: "ring-2", Holder: "ann", By: "ann", Reason: "stocktaking", At: clock("20 04:00"), Until: clock("20 05:30")}
	for _, test := range []struct {
		name   string
		change func(*orchestrator.Keeping)
		want   string
	}{
		{"before the moment nothing is due", func(k *orchestrator.Keeping) { k.Now = clock("20 04:59") }, "wake 20 05:00:00"},
		{"a train starts at its moment", func(*orchestrator.Keeping) {}, "start train of 2026-11-20 05:00:00Z to ring-2\nwake 20 06:00:00"},
		{"one that was missed starts later", func(k *orchestrator.Keeping) { k.Now = clock("20 05:59") }, "start train of 2026-11-20 05:00:00Z to ring-2\nwake 20 06:00:00"},
		{"and not too late", func(k *orchestrator.Keeping) { k.Now = clock("20 06:01") },
			"skip train of 2026-11-20 05:00:00Z to ring-2: no \"rollout run\" was there to start it\nwake 21 05:00:00"},
		{"of several only the last one", func(k *orchestrator.Keeping) { k.Now = clock("24 05:10") }, "start train of 2026-11-24 05:00:00Z to ring-2\nwake 24 06:00:00"},
		{"how late is the ring's to say", func(k *orchestrator.Keeping) {
			k.Now, k.App.Rings[1].Starts.Train.Within = clock("20 08:00"), 4*time.Hour
		}, "start train of 2026-11-20 05:00:00Z to ring-2\nwake 20 09:00:00"},
		{"one that is handled does not start again", func(k *orchestrator.Keeping) { k.App.Rings[1].Kept.Until = clock("20 05:00") }, "wake 21 05:00:00"},
		{"nor when the clock goes back", func(k *orchestrator.Keeping) {
			k.Now, k.App.Rings[1].Kept.Until = clock("18 05:00"), clock("20 05:00")
		}, "wake 21 05:00:00"},
		{"a lock is waited for", func(k *orchestrator.Keeping) { k.Barriers.Locks = []rings.Lock{lock} },
			"wait train of 2026-11-20 05:00:00Z to ring-2: ring-2 is locked by ann since 2026-11-20T04:00:00Z, until 2026-11-20T05:30:00Z: stocktaking\nwake 20 05:30:00"},
		{"until it is too late", func(k *orchestrator.Keeping) {
			lock.Until = time.Time{}
			k.Now, k.Barriers.Locks = clock("20 06:01"), []rings.Lock{lock}
		}, "skip train of 2026-11-20 05:00:00Z to ring-2: ring-2 is locked by ann since 2026-11-20T04:00:00Z, until it is released: stocktaking\nwake 21 05:00:00"},
		{"a lock of a service is not: the train leaves it", func(k *orchestrator.Keeping) {
			k.Barriers.Locks = []rings.Lock{{App: "shop", Service: "web", Holder: "ann"}}
		}, "start train of 2026-11-20 05:00:00Z to ring-2\nwake 20 06:00:00"},
		{"a lock of a cluster on the ring is", func(k *orchestrator.Keeping) {
			k.Barriers.Locks = []rings.Lock{{App: "shop", Cluster: "eu-1", Holder: "ann", By: "ann", Reason: "a disk"}}
			k.Clusters = []rings.Cluster{{Name: "eu-1", Ring: "ring-2"}}
		}, "wait train of 2026-11-20 05:00:00Z to ring-2: cluster eu-1 is locked by ann since 0001-01-01T00:00:00Z, until it is released: a disk\nwake 20 06:00:00"},
		{"a live rollout on the ring is waited for", func(k *orchestrator.Keeping) { k.Live["ring-2"] = "shop-4" },
			"wait train of 2026-11-20 05:00:00Z to ring-2: rollout shop-4 is live on ring-2\nwake 20 06:00:00"},
		{"and one elsewhere is not", func(k *orchestrator.Keeping) { k.Live["ring-1"] = "shop-4" }, "start train of 2026-11-20 05:00:00Z to ring-2\nwake 20 06:00:00"},
		{"a later ring that freezes this one is waited for", func(k *orchestrator.Keeping) {
			k.Barriers.Frozen = []rings.Freeze{{Ring: "ring-2", By: "ring-3", Rollout: "shop-4", Since: clock("20 04:00")}}
		}, "wait train of 2026-11-20 05:00:00Z to ring-2: ring-2 is frozen by ring-3 since 2026-11-20T04:00:00Z: shop-4 is being judged there\nwake 20 06:00:00"},
		{"what could not start is tried again", func(k *orchestrator.Keeping) {
			k.Now, k.Tried[train] = clock("20 05:02"), orchestrator.Try{At: clock("20 05:01"), Words: "git is away"}
		}, "start train of 2026-11-20 05:00:00Z to ring-2\nwake 20 06:00:00"},
		{"and not at once", func(k *orchestrator.Keeping) {
			k.Now, k.Tried[train] = clock("20 05:01"), orchestrator.Try{At: clock("20 05:01"), Words: "git is away"}
		}, "wait train of 2026-11-20 05:00:00Z to ring-2: git is away\nwake 20 05:02:00"},
		{"a release starts", func(k *orchestrator.Keeping) { k.Now, k.Newest = clock("19 13:00"), 4 }, "start release 4 on ring-1\nwake 20 05:00:00"},
		{"of several only the newest", func(k *orchestrator.Keeping) { k.Now, k.Newest = clock("19 13:00"), 7 }, "start release 7 on ring-1\nwake 20 05:00:00"},
		{"it has time", func(k *orchestrator.Keeping) {
			k.Now, k.Newest, k.Live["ring-1"] = clock("19 13:00"), 4, "shop-4"
		}, "wait release 4 on ring-1: rollout shop-4 is live on ring-1\nwake 20 05:00:00"},
		{"a halt stops all, the last ring first", func(k *orchestrator.Keeping) {
			k.Newest, k.Barriers.Halt = 4, &rings.Halt{By: "ann", Reason: "an incident", Until: clock("20 05:20")}
		}, "wait train of 2026-11-20 05:00:00Z to ring-2: the line is stopped by ann: an incident\nwait release 4 on ring-1: the line is stopped by ann: an incident\nwake 20 05:20:00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := kept()
			test.change(&k)
			all, wake, err := orchestrator.Keep(k)
			if got := told(all, wake); err != nil || got != test.want {
				t.Errorf("got\n%s (%v)\nwant\n%s", got, err, test.want)
			}
		})
	}
}

// Two keepers decide from copies that may be old, die between any two of their
// steps, and have a clock that jumps: every moment and every release starts at
// most once, and the last moment starts at all.
func TestDue_Handle_once(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		k := kept()
		k.App.Rings[1].Starts.Train.Cron = "*/10 * * * *"
		began := map[orchestrator.Due]int{}
		var plans [2][]orchestrator.Kept
		for range 400 {
			k.Now = k.Now.Add(time.Duration(r.IntN(300)) * time.Second)
			if r.IntN(30) == 0 {
				k.Now = k.Now.Add(time.Duration(r.IntN(7200)-3600) * time.Second)
			}
			if r.IntN(10) == 0 {
				k.Newest++
			}
			switch who := r.IntN(2); r.IntN(3) {
			case 0: // it dies, and begins again
				plans[who] = nil
			case 1:
				seen := k
				seen.App = cloneApp(t, k.App)
				all, _, err := orchestrator.Keep(seen)
				if err != nil {
					t.Fatal(err)
				}
				plans[who] = all
			case 2:
				for _, one := range plans[who] {
					carry(t, k, one, began)
				}
				plans[who] = nil
			}
		}
		for d, n := range began {
			if n > 1 {
				t.Errorf("seed %d: %s starts %d times", seed, d, n)
			}
		}
		if len(began) < 20 {
			t.Errorf("seed %d: %d starts only", seed, len(began))
		}
	}
}

// carry is the transaction of one keeper.
func carry(t *testing.T, k orchestrator.Keeping, one orchestrator.Kept, began map[orchestrator.Due]int) {
	t.Helper()
	if one.Act == orchestrator.KeepWait {
		return
	}
	switch err := one.Handle(k.App, k.Now, "shop-1", ""); {
	case errors.Is(err, orchestrator.ErrHandled):
	case err != nil:
		t.Fatal(err)
	case one.Act == orchestrator.KeepStart:
		began[one.Due]++
	}
}

func cloneApp(t *testing.T, a *rings.Application) *rings.Application {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	out := new(rings.Application)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What is not wanted any more is handled: the flag was taken away, the ring is
// gone, or somebody has begun with the release.
func TestDue_Handle_unwanted(t *testing.T) {
	train, release := orchestrator.Due{Ring: "ring-2", Moment: clock("20 05:00")}, orchestrator.Due{Ring: "ring-1", Release: 4}
	for name, change := range map[string]func(*rings.Application) orchestrator.Due{
		"no train":   func(a *rings.Application) orchestrator.Due { a.Rings[1].Starts = rings.Starts{}; return train },
		"no release": func(a *rings.Application) orchestrator.Due { a.Rings[0].Starts = rings.Starts{}; return release },
		"no ring":    func(a *rings.Application) orchestrator.Due { a.Rings = a.Rings[:1]; return train },
		"begun by hand": func(a *rings.Application) orchestrator.Due {
			a.Began(4, []rings.RingName{"ring-1", "ring-3"})
			return release
		},
	} {
		a := kept().App
		d := change(a)
		before := cloneApp(t, a)
		if err := d.Handle(a, clock("20 05:00"), "shop-1", ""); !errors.Is(err, orchestrator.ErrHandled) {
			t.Errorf("%s: %v", name, err)
		}
		if a.Rings[0].Kept != before.Rings[0].Kept {
			t.Errorf("%s: it is noted all the same", name)
		}
	}
}

func TestDue_Actor(t *testing.T) {
	a := kept().App
	for want, d := range map[string]orchestrator.Due{
		"keeper (train ring-2, 0 6 * * * Europe/Berlin)": {Ring: "ring-2", Moment: clock("20 05:00")},
		"keeper (release 4 on ring-1)":                   {Ring: "ring-1", Release: 4},
	} {
		if got := d.Actor(a); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
