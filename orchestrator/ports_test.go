package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// bubble is the Clock of a synctest bubble: its time is the bubble's.
type bubble struct{}

func (bubble) Now() time.Time { return time.Now().UTC() }

func (bubble) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// ports are the Runner's ports on a world, whose time is the bubble's.
type ports struct {
	t    *testing.T
	take time.Duration // how long git and Fleet take to answer

	mu      sync.Mutex // guards the world and what follows
	w       *world
	busy    map[string]int // calls under way, by repository
	most    map[string]int
	pushes  int
	claimed int // takes less releases
	before  func(orchestrator.ActionKind) error
	watched error // what Watch returns at once
	confirm error // what Confirm returns
}

func newPorts(t *testing.T, w *world) *ports {
	return &ports{t: t, w: w, take: 50 * time.Millisecond, busy: map[string]int{}, most: map[string]int{}, before: func(orchestrator.ActionKind) error { return nil }}
}

// world runs f on the world as it is now.
func (p *ports) world(f func(*world)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.w.elapse(time.Now().UTC())
	f(p.w)
}

// call carries an action out, as a server that answers after a while does.
func (p *ports) call(ctx context.Context, a orchestrator.Action, repo string) orchestrator.Outcome {
	if d, ok := ctx.Deadline(); !ok || time.Until(d) > 5*time.Minute {
		p.t.Errorf("%s has no deadline", a.ID)
	}
	p.world(func(*world) {
		p.busy[repo]++
		p.most[repo] = max(p.most[repo], p.busy[repo])
	})
	defer p.world(func(*world) { p.busy[repo]-- })
	select {
	case <-ctx.Done():
		return orchestrator.Outcome{Result: orchestrator.Unknown, Words: ctx.Err().Error()}
	case <-time.After(p.take):
	}
	var o orchestrator.Outcome
	p.world(func(w *world) {
		if err := p.before(a.Kind); err != nil {
			o = orchestrator.Outcome{Result: orchestrator.Unreachable, Words: err.Error()}
			return
		}
		o = w.exec(a)
	})
	return o
}

func repoOf(j orchestrator.Job) string { return j.Targets[j.Action.Items[0].Service].Repo }

func (p *ports) Survey(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	return p.call(ctx, j.Action, repoOf(j))
}

func (p *ports) Publish(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	p.world(func(*world) { p.pushes++ })
	return p.call(ctx, j.Action, repoOf(j))
}

func (p *ports) Tag(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	return p.call(ctx, j.Action, repoOf(j))
}

func (p *ports) Hint(ctx context.Context, _ orchestrator.Scope, t orchestrator.Target, commit string) orchestrator.Outcome {
	return p.call(ctx, orchestrator.Action{Kind: orchestrator.ActHint, Items: []orchestrator.Item{{Service: t.Service}}, Commit: commit}, "")
}

func (p *ports) Nudge(ctx context.Context, _ orchestrator.Scope, t orchestrator.Target) orchestrator.Outcome {
	return p.call(ctx, orchestrator.Action{Kind: orchestrator.ActNudge, Items: []orchestrator.Item{{Service: t.Service}}}, "")
}

// Watch looks ten times a second.
func (p *ports) Watch(ctx context.Context, spec orchestrator.Watch, sink func([]orchestrator.Fact)) error {
	if p.watched != nil {
		return p.watched
	}
	var view *watch
	p.world(func(w *world) { view = w.watch(spec.Ring) })
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var news []orchestrator.Fact
		p.world(func(*world) { news = view.news() })
		if len(news) > 0 {
			sink(news)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *ports) Take(ctx context.Context, _ orchestrator.Scope, _ rings.RingName, _ orchestrator.ID) orchestrator.Outcome {
	p.world(func(*world) { p.claimed++ })
	return p.call(ctx, orchestrator.Action{Kind: orchestrator.ActClaim}, "")
}

func (p *ports) Confirm(context.Context, orchestrator.Scope, rings.RingName) error {
	var err error
	p.world(func(w *world) {
		if w.claimed != "" {
			err = fmt.Errorf("%w: %s", orchestrator.ErrClaimLost, w.claimed)
		}
		err = errors.Join(err, p.confirm)
	})
	return err
}

func (p *ports) Release(context.Context, orchestrator.Scope, rings.RingName) error {
	p.world(func(*world) { p.claimed = 0 })
	return nil
}

// commits are our commits in all repositories.
func (p *ports) commits() int {
	n := 0
	p.world(func(w *world) {
		for _, r := range w.repos {
			for _, c := range r.commits {
				if c.author == us {
					n++
				}
			}
			if faults := r.check(); len(faults) > 0 {
				p.t.Error(faults, r)
			}
		}
	})
	return n
}

// shop is a world, its application and the first event of a rollout of it:
// db, then api and worker, on two clusters.
func shop(t *testing.T, now time.Time) (*world, orchestrator.Created) {
	t.Helper()
	w := newWorld()
	w.queue, w.now = nil, now
	w.every(heardEvery, w.heard)
	app := &rings.Application{Name: "shop", RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}}, Plan: rings.Plan{}}
	for _, s := range []rings.Service{{Name: "db"}, {Name: "api", DependsOn: []rings.ServiceName{"db"}}, {Name: "worker", DependsOn: []rings.ServiceName{"db"}}} {
		s.Repo, s.Branch, s.GitRepo = string(s.Name), "main", string(s.Name)
		s.Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v1"}}
		if slices.Contains([]rings.ServiceName{"api", "worker"}, s.Name) {
			s.Repo = "apps"
		}
		app.Services = append(app.Services, s)
		app.Plan[s.Name] = rings.PlanEntry{Version: "v2"}
		w.addService(s.Name, s.Repo, map[rings.RingName]entry{"ring-1": {"v1", 1}})
	}
	w.clusters["c1"], w.clusters["c2"] = &cluster{ring: "ring-1"}, &cluster{ring: "ring-1"}
	w.settle(24 * time.Hour)
	created, err := orchestrator.New(app, orchestrator.Request{Rings: []rings.RingName{"ring-1"}})
	if err != nil {
		t.Fatal(err)
	}
	return w, created
}
