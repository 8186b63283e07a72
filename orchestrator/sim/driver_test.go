package sim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

const boundaryFile = `name: %[1]s
helm:
  values:
    image: {repository: registry.example/%[1]s}
targetCustomizations:
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  helm:
    values:
      image:
        tag: v1
`

// drive is two services on two clusters that behave, and drivers that need not.
type drive struct {
	t       *testing.T
	world   *sim.World
	journal *sim.Memory
	serial  int
	dies    func(sim.Boundary) bool
}

func newDrive(t *testing.T) *drive {
	t.Helper()
	d := &drive{t: t, world: sim.NewWorld(1), journal: sim.NewMemory(), dies: func(sim.Boundary) bool { return false }}
	app := &rings.Application{Name: "shop", Workspace: "w", RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}}, Plan: rings.Plan{}}
	d.world.AddRepo("https://git.example/shop", "main")
	for _, name := range []rings.ServiceName{"db", "api"} {
		s := rings.Service{Name: name, Repo: "https://git.example/shop", Branch: "main", Path: string(name), GitRepo: string(name), Fields: []string{rings.DefaultField}}
		if name == "api" {
			s.DependsOn = []rings.ServiceName{"db"}
		}
		app.Services = append(app.Services, s)
		app.Plan[name] = rings.PlanEntry{Version: "v2"}
		d.world.AddService(s, fmt.Appendf(nil, boundaryFile, name))
	}
	for _, name := range []rings.ClusterName{"a", "b"} {
		d.world.AddCluster(name, map[string]string{"ring": "ring-1"})
	}
	c, err := orchestrator.New(app, orchestrator.Request{Rings: app.RingNames()})
	if err != nil {
		t.Fatal(err)
	}
	d.journal.Create("shop-1", d.world.Wall(), "ann", c)
	return d
}

// start starts a driver, and when it dies the next one.
func (d *drive) start() *sim.Driver {
	d.serial++
	driver := &sim.Driver{World: d.world, Journal: d.journal, Self: orchestrator.Driver{Name: fmt.Sprint("driver-", d.serial)}, Dies: d.dies}
	driver.Gone = func(died bool) {
		if died {
			d.world.After(time.Second, func() { d.start() })
		}
	}
	driver.Drive("shop-1")
	return driver
}

// end lets time pass until the rollout has ended, and returns its state.
func (d *drive) end() *orchestrator.State {
	d.t.Helper()
	for d.world.Now().Before(day.Add(2*time.Hour)) && d.world.Step() {
		if events := d.journal.Events("shop-1"); events[len(events)-1].Type() == "ended" {
			return orchestrator.Fold(nil, slices.Clone(events))
		}
	}
	d.t.Fatal("the rollout has not ended after 2h")
	return nil
}

// ours are the commits that the rollout made.
func (d *drive) ours() int {
	n := 0
	for _, c := range d.world.History("https://git.example/shop") {
		if c.Ours() {
			n++
		}
	}
	return n
}

// Whatever a driver did last, the next one finishes it, and nothing is seen
// twice on the branch.
func TestDriver_diesAtEveryBoundary(t *testing.T) {
	for n := 1; ; n++ {
		d, passed := newDrive(t), 0
		var at sim.Boundary
		d.dies = func(b sim.Boundary) bool {
			passed++
			if passed == n {
				at = b
			}
			return passed == n
		}
		d.start()
		s := d.end()
		if s.Phase != orchestrator.Succeeded || d.ours() != 2 {
			t.Errorf("died at boundary %d (%s): %s with %d commits, want Succeeded with 2", n, at, s.Phase, d.ours())
		}
		if at == "" {
			if n < 20 {
				t.Errorf("there were %d boundaries only", n-1)
			}
			return
		}
	}
}

// A driver that slept longer than its lease ran is fenced, and does no harm
// when it goes on.
func TestDriver_sleeps(t *testing.T) {
	for sleep := time.Duration(0); sleep < 20*time.Second; sleep += 500 * time.Millisecond {
		d := newDrive(t)
		first := d.start()
		d.world.After(sleep, func() { first.Suspend(30 * time.Second) })
		d.world.After(sleep+time.Second, func() { d.start() })
		if s := d.end(); s.Phase != orchestrator.Succeeded || d.ours() != 2 {
			t.Errorf("slept at %s: %s with %d commits, want Succeeded with 2", sleep, s.Phase, d.ours())
		}
	}
}

func TestDriver_leaves(t *testing.T) {
	d := newDrive(t)
	first := d.start()
	d.world.After(5*time.Second, func() {
		first.Leave()
		if second := d.start(); second.State() == nil {
			t.Error("the lease of a driver that left in order is not free")
		}
	})
	if s := d.end(); s.Phase != orchestrator.Succeeded || !first.Over() {
		t.Errorf("%s, the first driver is over: %t", s.Phase, first.Over())
	}
}

func TestDriver_noticesJumps(t *testing.T) {
	d := newDrive(t)
	d.start()
	d.world.After(5*time.Second, func() { d.world.JumpClock(-time.Minute) })
	d.end()
	jumps := 0
	for _, e := range d.journal.Events("shop-1") {
		if e.Type() == "clock-jumped" {
			jumps++
		}
	}
	if jumps != 1 {
		t.Errorf("the clock jumped once, the journal says %d times", jumps)
	}
}

func TestDriver_readsItsInbox(t *testing.T) {
	d := newDrive(t)
	driver := d.start()
	d.journal.Changed = driver.Notice
	d.world.After(5*time.Second, func() {
		d.journal.Command("shop-1", orchestrator.Command{Kind: orchestrator.CommandCancel, By: "bob", At: d.world.Wall()})
	})
	if s := d.end(); s.Phase != orchestrator.Cancelled || d.world.Now().After(day.Add(10*time.Second)) {
		t.Errorf("%s at %s, want Cancelled at once", s.Phase, d.world.Now())
	}
}
