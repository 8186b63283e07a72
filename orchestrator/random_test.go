package orchestrator_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

var seeds = flag.Int("seeds", 300, "how many seeds TestStep_random plays")

// TestStep_random plays rollouts in small worlds that misbehave at random:
// answers are lost or late, facts come late or twice, drivers die before and
// after they stored what they decided, other people push, agents die for a
// while, git jobs fail, clusters come and go. The invariants are checked after
// every step; a rollout must end in time, whatever happens.
// A seed that fails replays exactly: go test -run 'TestStep_random/seed=17$'.
func TestStep_random(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 30)
	}
	ends := map[orchestrator.Phase]int{}
	codes := map[orchestrator.Code]int{}
	for seed := range n {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			s := playAtRandom(t, uint64(seed))
			ends[s.Phase]++
			if s.Failure != nil {
				codes[s.Failure.Code]++
			}
		})
	}
	t.Logf("ends: %v, failures: %v", ends, codes)
	if n >= 300 && (ends[orchestrator.Succeeded] < n/4 || ends[orchestrator.Failed] < n/10 || ends[orchestrator.Cancelled] == 0) {
		t.Errorf("ends %v: the worlds are too kind or too harsh to test much", ends)
	}
}

// chaos is what goes wrong in one random world.
type chaos struct {
	*rand.Rand
	w     *world
	app   *rings.Application
	p     *player
	lag   []late // facts on their way, in order
	rough bool   // actions, facts and drivers fail, too
}

// late is a group of facts and when they arrive.
type late struct {
	at    time.Time
	facts []orchestrator.Fact
	life  int
}

// playAtRandom plays one seed and returns the state at its end.
func playAtRandom(t *testing.T, seed uint64) *orchestrator.State {
	c := &chaos{Rand: rand.New(rand.NewPCG(seed, 1)), w: newWorld()}
	c.rough = c.IntN(4) > 0
	created := c.build(t)
	p := newPlayer(t, c.w, created)
	c.p = p
	p.check.steps1in, p.check.count = 3, int(seed)
	var log []string
	p.told = func(d orchestrator.Decision) {
		for _, e := range d.Events {
			log = append(log, fmt.Sprintf("%-8s %s", since(c.w.now), describe(e)))
		}
		log = append(log, "         = "+p.s.Explain(c.w.now))
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, line := range log {
				t.Log(line)
			}
		}
	})
	if c.rough {
		p.delays, p.facts, p.crash = c.delays, c.facts, c.crash
	}
	c.plan()
	p.play(epoch.Add(6*time.Hour), p.ended)
	if !p.ended() {
		t.Fatalf("not at its end after 6h: %s", p.s.Explain(c.w.now))
	}
	return p.s
}

// build makes the world and the rollout.
func (c *chaos) build(t *testing.T) orchestrator.Created {
	c.app = &rings.Application{Name: "shop", Workspace: "w", RingLabel: "ring", Plan: rings.Plan{},
		Rings: []rings.Ring{{Name: "ring-1", Policy: rings.Policy{Uptake: 2 * time.Minute, Converge: 4 * time.Minute}}}}
	for i := range 2 + c.IntN(3) {
		s := rings.Service{Name: rings.ServiceName(fmt.Sprintf("s%d", i)), Branch: "main", Repo: fmt.Sprintf("r%d-", c.IntN(i+1)), Managed: c.IntN(2) == 0,
			Known: map[rings.RingName]rings.Known{"ring-1": {Version: "v1"}}}
		s.Path, s.GitRepo = string(s.Name), string(s.Name)
		for j := range i {
			if c.IntN(3) == 0 {
				s.DependsOn = append(s.DependsOn, rings.ServiceName(fmt.Sprintf("s%d", j)))
			}
		}
		c.app.Services = append(c.app.Services, s)
		c.app.Plan[s.Name] = rings.PlanEntry{Version: "v2"}
		file := entry{"v1", int64(c.IntN(3))}
		if c.IntN(6) == 0 {
			file.version = "v2"
		}
		c.w.addService(s.Name, s.Repo, map[rings.RingName]entry{"ring-1": file, "ring-2": {"v1", 3}})
	}
	for i := range 1 + c.IntN(4) {
		c.w.clusters[rings.ClusterName(fmt.Sprintf("c%d", i))] = &cluster{ring: "ring-1"}
	}
	c.w.settle(24 * time.Hour)
	created, err := orchestrator.New(c.app, orchestrator.Request{Rings: []rings.RingName{"ring-1"}, Options: orchestrator.Options{Redeploy: c.IntN(8) == 0, Override: c.IntN(8) == 0}})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// plan schedules what other people and machines do.
func (c *chaos) plan() {
	for range c.IntN(5) {
		c.w.after(c.upTo(40*time.Second), c.trouble)
	}
	if c.IntN(12) == 0 {
		c.w.after(c.upTo(60*time.Second), func() {
			c.p.commands = append(c.p.commands, orchestrator.Command{Seq: 1, Kind: orchestrator.CommandCancel, By: "bob", At: c.w.now})
		})
	}
}

func (c *chaos) upTo(d time.Duration) time.Duration { return time.Duration(c.Int64N(int64(d))) }

func (c *chaos) unit() *unit {
	return c.w.units[c.app.Services[c.IntN(len(c.app.Services))].Name]
}

func (c *chaos) cluster() rings.ClusterName {
	names := sortedKeys(c.w.clusters)
	return names[c.IntN(len(names))]
}

// trouble is one thing that other people or machines do.
func (c *chaos) trouble() {
	u, name := c.unit(), c.cluster()
	tip := u.repo.tip()
	switch c.IntN(15) {
	case 0, 1: // another path, or a chart
		u.repo.push("eve", c.w.now, nil)
	case 2: // another ring, with a nonce that may be ours
		u.repo.push("eve", c.w.now, map[at]entry{{u.name, "ring-2"}: {"v5", tip.files[at{u.name, "ring-2"}].nonce + int64(c.IntN(3))}})
	case 3: // our ring
		u.repo.push("eve", c.w.now, map[at]entry{{u.name, "ring-1"}: {"v9", tip.files[at{u.name, "ring-1"}].nonce + int64(c.IntN(2))}})
	case 4, 5, 6:
		c.w.clusters[name].dead = true
		c.w.after(c.upTo(5*time.Minute), func() { c.w.revive(name) })
	case 7:
		u.broken = "could not clone"
		c.w.after(c.upTo(20*time.Second), func() { u.broken = "" })
	case 8:
		c.w.relabel(name, "ring-2")
	case 9:
		c.w.relabel("joiner", "ring-1")
	case 10:
		c.w.kinds["v2"] = []string{"never", "install", "deploy", "depends"}[c.IntN(4)]
	case 12:
		if c.IntN(3) == 0 {
			u.repo.rewrite(c.w.now)
		}
	case 13:
		u.excluded[name] = "not targeted"
		if c.IntN(3) > 0 {
			delete(u.bds, name)
		}
	case 14:
		c.w.relabel(name, "")
	case 11:
		if b := u.bds[name]; b != nil {
			b.stuck = c.IntN(3) == 0
		}
	}
}

// delays are how long an action takes; now and then its answer is lost.
func (c *chaos) delays(a orchestrator.Action) (time.Duration, time.Duration) {
	if c.IntN(6) == 0 {
		r := []orchestrator.Result{orchestrator.Unknown, orchestrator.Unreachable}[c.IntN(2)]
		c.w.script = append(c.w.script, &misbehaviour{kind: a.Kind, times: 1, effect: r == orchestrator.Unknown && c.IntN(2) == 0,
			outcome: orchestrator.Outcome{Result: r, Words: "connection reset"}})
	}
	return c.upTo(2 * time.Second), c.upTo(2 * time.Second)
}

// facts lets facts come late, in order, and sometimes twice.
func (c *chaos) facts(news []orchestrator.Fact) []orchestrator.Fact {
	if len(news) > 0 {
		when := c.w.now
		if len(c.lag) > 0 && c.lag[len(c.lag)-1].at.After(when) {
			when = c.lag[len(c.lag)-1].at
		}
		if c.IntN(2) == 0 {
			when = when.Add(c.upTo(3 * time.Second))
		}
		c.lag = append(c.lag, late{when, news, c.p.life})
		c.w.after(when.Sub(c.w.now), func() {})
	}
	var out []orchestrator.Fact
	for len(c.lag) > 0 && !c.lag[0].at.After(c.w.now) {
		if c.lag[0].life == c.p.life {
			out = append(out, c.lag[0].facts...)
		}
		c.lag = c.lag[1:]
	}
	return c.again(coalesce(out))
}

// again repeats what was said before, now and then.
func (c *chaos) again(facts []orchestrator.Fact) []orchestrator.Fact {
	if c.IntN(8) == 0 {
		facts = append(facts, facts...)
	}
	return facts
}

// coalesce keeps the latest fact of a kind, as a Runner does.
func coalesce(facts []orchestrator.Fact) []orchestrator.Fact {
	var out []orchestrator.Fact
	slots := map[string]int{}
	for _, f := range facts {
		slot := fmt.Sprint(f.Service, f.Bundle != nil, f.GitRepo != nil, f.Members != nil, f.Synced)
		if f.Deployment != nil {
			slot += string(f.Deployment.Cluster)
		}
		if i, ok := slots[slot]; ok {
			out[i] = f
			continue
		}
		slots[slot] = len(out)
		out = append(out, f)
	}
	return out
}

// crash lets drivers die, five times a rollout at most.
func (c *chaos) crash() (before, after bool, idle time.Duration) {
	if c.p.life > 5 || c.IntN(15) > 0 {
		return false, false, 0
	}
	if c.IntN(4) == 0 { // nobody drives for a while
		idle = c.upTo(20 * time.Minute)
	}
	return c.IntN(2) == 0, true, idle
}
