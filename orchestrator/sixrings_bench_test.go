package orchestrator_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
	"rollout/store"
)

// sixRings are 100 clusters.
var sixRings = []int{10, 10, 15, 15, 25, 25}

// BenchmarkRunner_sixRings rolls a service out to 100 clusters in six rings of a
// simulated fleet that applies at once, with the journal on disk. The marks are
// 2 s for one rollout, 30 s and 500 MB for a hundred at once.
func BenchmarkRunner_sixRings(b *testing.B) {
	for _, rollouts := range []int{1, 100} {
		b.Run(fmt.Sprintf("rollouts=%d", rollouts), func(b *testing.B) {
			appends := int64(0)
			for b.Loop() {
				appends += rollSixRings(b, rollouts)
			}
			b.ReportMetric(float64(appends)/float64(b.N), "appends")
			b.ReportMetric(peakMB(b), "peak-MB")
		})
	}
}

// rollSixRings drives so many rollouts to their end, and returns how many
// transactions their journals took.
func rollSixRings(b *testing.B, rollouts int) int64 {
	b.Helper()
	b.StopTimer()
	db := &counted{Store: openStore(b, store.Options{})}
	p := newPaced()
	ids := make([]orchestrator.ID, rollouts)
	for i := range ids {
		ids[i] = p.sixRingRollout(b, db.Store.(*store.DB), rings.AppName(fmt.Sprint("app-", i)))
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); p.run(ctx) }()
	r := &orchestrator.Runner{Store: db, Publisher: p, Fleet: p, Claim: p, Clock: p, Driver: orchestrator.Driver{Name: "host/4711/8d1c", Host: "host", PID: 4711}}
	b.StartTimer()
	if err := r.Drive(ctx, orchestrator.UntilEnded, ids...); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	for _, id := range ids {
		if s, err := db.Rollout(ctx, id); err != nil || s.Phase != orchestrator.Succeeded {
			b.Fatalf("%s: %v", id, err)
		}
	}
	stop()
	<-ended
	b.StartTimer()
	return db.appends.Load()
}

// sixRingRollout puts an application with one service into the world, v1
// everywhere, and creates a rollout of v2 to all rings.
func (p *paced) sixRingRollout(b *testing.B, db *store.DB, app rings.AppName) orchestrator.ID {
	b.Helper()
	name := rings.ServiceName("web-" + string(app))
	s := rings.Service{Name: name, Repo: "https://git.example/" + string(name), Branch: "main", Path: "deploy",
		GitRepo: string(name), Bundle: string(name), Fields: []string{rings.DefaultField}}
	a := &rings.Application{Name: app, RingLabel: "ring", Selector: map[string]string{"app": string(app)},
		Services: []rings.Service{s}, Plan: rings.Plan{name: {Version: "v2"}}}
	file := "name: " + s.Bundle + "\nhelm:\n  chart: ./\ntargetCustomizations:\n"
	for i, clusters := range sixRings {
		ring := rings.RingName(fmt.Sprint("ring-", i+1))
		a.Rings = append(a.Rings, rings.Ring{Name: ring})
		file += fmt.Sprintf("- name: %s\n  clusterSelector: {matchLabels: {ring: %s}}\n  helm: {values: {image: {tag: v1}}}\n", ring, ring)
		for c := range clusters {
			p.w.AddCluster(rings.ClusterName(fmt.Sprintf("%s-%s-%d", app, ring, c)), a.RingLabels(ring))
		}
	}
	p.w.AddRepo(s.Repo, s.Branch)
	p.w.AddService(s, []byte(file))
	p.w.SetTargets(name, []fleetyaml.Target{{Name: "all", ClusterSelector: &metav1.LabelSelector{MatchLabels: a.Selector}}})
	if err := db.CreateApp(b.Context(), a); err != nil {
		b.Fatal(err)
	}
	id, err := db.CreateRollout(b.Context(), app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, orchestrator.Request{Rings: a.RingNames()})
	}, "ann@example.com", p.Now())
	if err != nil {
		b.Fatal(err)
	}
	return id
}

// paced is a simulated world whose time goes as fast as the real one, and the
// Runner's ports on it.
type paced struct {
	began, real time.Time // the world's time at a moment of the real one
	moved       chan struct{}

	mu sync.Mutex
	w  *sim.World
}

func newPaced() *paced {
	w := sim.NewWorld(1)
	w.Delays = sim.InstantDelays()
	return &paced{w: w, began: w.Now(), real: time.Now(), moved: make(chan struct{}, 1)}
}

func (p *paced) Now() time.Time { return p.began.Add(time.Since(p.real)) }

func (p *paced) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// run lets happen what is due, until ctx ends.
func (p *paced) run(ctx context.Context) {
	for {
		timer := time.NewTimer(p.catchUp())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.moved:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// catchUp lets happen what is due, and returns when the next thing is.
func (p *paced) catchUp() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		next, ok := p.w.Next()
		if !ok {
			return time.Hour
		}
		if wait := next.Sub(p.Now()); wait > 0 {
			return wait
		}
		p.w.Step()
	}
}

// change changes the world and lets what follows from it happen.
func (p *paced) change(f func()) {
	p.mu.Lock()
	f()
	p.mu.Unlock()
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

func (p *paced) do(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	answer := make(chan orchestrator.Outcome, 1)
	var abandon func()
	p.change(func() { abandon = p.w.Do(j, func(o orchestrator.Outcome) { answer <- o }) })
	select {
	case o := <-answer:
		return o
	case <-ctx.Done():
		p.change(abandon)
		return orchestrator.Outcome{Result: orchestrator.Unknown, Words: ctx.Err().Error()}
	}
}

// doFor does what concerns one service.
func (p *paced) doFor(ctx context.Context, kind orchestrator.ActionKind, s orchestrator.Scope, t orchestrator.Target, commit string) orchestrator.Outcome {
	return p.do(ctx, orchestrator.Job{Scope: s, Targets: map[rings.ServiceName]orchestrator.Target{t.Service: t},
		Action: orchestrator.Action{Kind: kind, Items: []orchestrator.Item{{Service: t.Service}}, Commit: commit}})
}

func (p *paced) Survey(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	return p.do(ctx, j)
}

func (p *paced) Publish(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	return p.do(ctx, j)
}

func (p *paced) Tag(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	return p.do(ctx, j)
}

func (p *paced) Hint(ctx context.Context, s orchestrator.Scope, t orchestrator.Target, commit string) orchestrator.Outcome {
	return p.doFor(ctx, orchestrator.ActHint, s, t, commit)
}

func (p *paced) Nudge(ctx context.Context, s orchestrator.Scope, t orchestrator.Target) orchestrator.Outcome {
	return p.doFor(ctx, orchestrator.ActNudge, s, t, "")
}

func (p *paced) Watch(ctx context.Context, w orchestrator.Watch, sink func([]orchestrator.Fact)) error {
	var stop func()
	p.change(func() { stop = p.w.Watch(w, sink) })
	<-ctx.Done()
	p.change(stop)
	return nil
}

func (p *paced) Take(ctx context.Context, s orchestrator.Scope, ring rings.RingName, _ orchestrator.ID) orchestrator.Outcome {
	return p.do(ctx, orchestrator.Job{Scope: s, Action: orchestrator.Action{Kind: orchestrator.ActClaim, Ring: ring}})
}

func (p *paced) Confirm(context.Context, orchestrator.Scope, rings.RingName) error { return nil }
func (p *paced) Release(context.Context, orchestrator.Scope, rings.RingName) error { return nil }

// peakMB is the most memory that this process has had, in 10^6 bytes; 0 where
// that cannot be known.
func peakMB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) * 1024 / 1e6
}
