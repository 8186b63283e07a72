package orchestrator_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// instant is git and Fleet that answer at once: a push is on every cluster of
// the ring when turn says so. What is measured is the program's own share.
type instant struct {
	members []rings.ClusterName
	turning int                             // how many of them turn ready
	begun   func(string, rings.ServiceName) // a commit of the application's service begins to be written
	last    func()                          // the last cluster turns ready

	mu      sync.Mutex
	files   map[string]orchestrator.Survey // by application and service
	watches map[rings.AppName]*instantWatch
}

type instantWatch struct {
	w     orchestrator.Watch
	facts chan []orchestrator.Fact
}

func newInstant(clusters int) *instant {
	p := &instant{turning: clusters, begun: func(string, rings.ServiceName) {}, last: func() {},
		files: map[string]orchestrator.Survey{}, watches: map[rings.AppName]*instantWatch{}}
	for i := range clusters {
		p.members = append(p.members, rings.ClusterName(fmt.Sprintf("eu-%05d", i)))
	}
	return p
}

func (p *instant) file(app rings.AppName, service rings.ServiceName) orchestrator.Survey {
	key := string(app) + "/" + string(service)
	if f, ok := p.files[key]; ok {
		return f
	}
	return orchestrator.Survey{Service: service, Tip: base, Version: "v1", Nonce: 1, MaxNonce: 1, Commit: base, Author: "ann", Lineage: []string{base}, Expected: p.members}
}

func (p *instant) Survey(_ context.Context, j orchestrator.Job) orchestrator.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := orchestrator.Outcome{Result: orchestrator.OK}
	for _, item := range j.Action.Items {
		out.Surveys = append(out.Surveys, p.file(j.Scope.App, item.Service))
	}
	return out
}

func (p *instant) Publish(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	p.mu.Lock()
	for _, item := range j.Action.Items {
		p.begun(string(j.Scope.App), item.Service)
		f := p.file(j.Scope.App, item.Service)
		f.Version, f.Nonce, f.MaxNonce, f.Tip, f.Commit, f.Lineage = item.Version, item.Nonce, item.Nonce, ours, ours, []string{ours}
		p.files[string(j.Scope.App)+"/"+string(item.Service)] = f
	}
	p.mu.Unlock()
	return p.Survey(ctx, j)
}

func (p *instant) Tag(context.Context, orchestrator.Job) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.OK}
}

// turn lets the clusters take a published service, the last one after the
// others.
func (p *instant) turn(app rings.AppName, service rings.ServiceName) {
	p.mu.Lock()
	facts, w := p.deployed(app, service), p.watches[app]
	p.mu.Unlock()
	w.facts <- facts[:len(facts)-1]
	w.facts <- facts[len(facts)-1:]
}

// deployed are the facts about a service's clusters.
func (p *instant) deployed(app rings.AppName, service rings.ServiceName) []orchestrator.Fact {
	f := p.file(app, service)
	var out []orchestrator.Fact
	for i, c := range p.members {
		status, isReady := f.Nonce, true
		if f.Commit == ours && i >= p.turning {
			status, isReady = 1, false
		}
		d := fact(c, f.Commit, f.Nonce, status, isReady, time.Now().UTC())
		d.Service = service
		out = append(out, d)
	}
	return out
}

func (p *instant) Watch(ctx context.Context, w orchestrator.Watch, sink func([]orchestrator.Fact)) error {
	mine := &instantWatch{w: w, facts: make(chan []orchestrator.Fact, 16)}
	p.mu.Lock()
	p.watches[w.Scope.App] = mine
	var all []orchestrator.Fact
	for _, t := range w.Targets {
		all = append(all, orchestrator.Fact{Service: t.Service, Members: &orchestrator.Members{Clusters: p.members}})
		all = append(all, p.deployed(w.Scope.App, t.Service)...)
		all = append(all, orchestrator.Fact{Service: t.Service, Synced: true})
	}
	p.mu.Unlock()
	sink(all)
	for {
		select {
		case <-ctx.Done():
			return nil
		case facts := <-mine.facts:
			if len(facts) == 1 {
				time.Sleep(30 * time.Millisecond) // what came before is written
				p.last()
			}
			sink(facts)
		}
	}
}

func (p *instant) Hint(context.Context, orchestrator.Scope, orchestrator.Target, string) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.OK}
}

func (p *instant) Nudge(context.Context, orchestrator.Scope, orchestrator.Target) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.OK}
}

func (p *instant) Take(context.Context, orchestrator.Scope, rings.RingName, orchestrator.ID) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.OK}
}

func (p *instant) Confirm(context.Context, orchestrator.Scope, rings.RingName) error { return nil }
func (p *instant) Release(context.Context, orchestrator.Scope, rings.RingName) error { return nil }

// counted counts what is written to a store.
type counted struct {
	orchestrator.Store
	appends atomic.Int64
}

func (c *counted) Append(ctx context.Context, batches []orchestrator.Batch) error {
	c.appends.Add(1)
	return c.Store.Append(ctx, batches)
}

// live creates an application whose services each need the one before, and a
// rollout of all of them.
func live(b *testing.B, db *store.DB, app rings.AppName, services int) orchestrator.ID {
	b.Helper()
	a := &rings.Application{Name: app, RingLabel: "ring", Rings: []rings.Ring{{Name: "ring-1"}}, Plan: rings.Plan{}}
	for i := range services {
		name := rings.ServiceName(fmt.Sprintf("svc-%03d", i))
		s := rings.Service{Name: name, Repo: fmt.Sprintf("https://git.example/%s/%s", app, name), Branch: "main", GitRepo: string(name), Fields: []string{rings.DefaultField}}
		if i > 0 {
			s.DependsOn = []rings.ServiceName{a.Services[i-1].Name}
		}
		a.Services = append(a.Services, s)
		a.Plan[name] = rings.PlanEntry{Version: "v2"}
	}
	if err := db.CreateApp(b.Context(), a); err != nil {
		b.Fatal(err)
	}
	id, err := db.CreateRollout(b.Context(), app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{"ring-1"}})
	}, "ann@example.com", time.Now().UTC())
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func openStore(b *testing.B, o store.Options) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "rollout.db"), o)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

func instantRunner(s orchestrator.Store, p *instant) *orchestrator.Runner {
	return &orchestrator.Runner{Store: s, Publisher: p, Fleet: p, Claim: p, Clock: bubble{},
		Driver: orchestrator.Driver{Name: "host/4711/8d1c", Host: "host", PID: 4711}}
}

// BenchmarkRunner_nextCommit is from the moment at which the last cluster turns
// ready to the one at which the next service's commit begins to be written,
// with a store on disk: an append is a transaction, which is two fsyncs, and no
// two begin within 10 ms. DESIGN section 9 has the mark.
func BenchmarkRunner_nextCommit(b *testing.B) {
	const services = 101
	var waits []time.Duration
	var appends int64
	for n := 0; b.Loop(); n++ {
		db := &counted{Store: openStore(b, store.Options{})}
		id := live(b, db.Store.(*store.DB), "shop", services)
		var ready time.Time
		var before int64
		p := newInstant(10)
		p.last = func() { ready, before = time.Now(), db.appends.Load() }
		p.begun = func(string, rings.ServiceName) {
			if !ready.IsZero() {
				waits, appends = append(waits, time.Since(ready)), appends+db.appends.Load()-before
			}
		}
		r, turned := instantRunner(db, p), map[rings.ServiceName]bool{}
		r.Notify = func(s *orchestrator.State, _ []orchestrator.Event) {
			for _, st := range s.Steps {
				if name := st.Target.Service; st.Phase == orchestrator.StepConverging && !turned[name] {
					turned[name] = true
					go p.turn("shop", name)
				}
			}
		}
		if err := r.Drive(b.Context(), orchestrator.UntilEnded, id); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(waits)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(waits[len(waits)/2]), "p50-ms")
	b.ReportMetric(ms(waits[len(waits)*99/100]), "p99-ms")
	b.ReportMetric(float64(appends)/float64(len(waits)), "appends/commit")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRunner_restart is from the start of a driver, with 100 live rollouts
// of 100 clusters of which half are ready, until it has seen Fleet for each of
// them and stepped it. DESIGN section 9 has the mark.
func BenchmarkRunner_restart(b *testing.B) {
	const rollouts, clusters = 100, 100
	db := openStore(b, store.Options{NoWait: true, NoSync: true})
	for i := range rollouts {
		live(b, db, rings.AppName(fmt.Sprintf("app-%02d", i)), 1)
	}
	p := newInstant(clusters)
	p.turning = clusters / 2
	converging := func(s *orchestrator.State) bool { return s.Steps[0].Counts[orchestrator.ClusterReady] == clusters/2 }
	published := map[orchestrator.ID]bool{}
	driveUntil(b, db, p, rollouts, func(s *orchestrator.State) bool {
		if s.Steps[0].Phase == orchestrator.StepConverging && !published[s.ID] {
			published[s.ID] = true
			go p.turn(s.Scope.App, s.Steps[0].Target.Service)
		}
		return published[s.ID] && converging(s)
	})
	synced, err := store.Open(b.Context(), db.Path(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		driveUntil(b, synced, p, rollouts, func(s *orchestrator.State) bool { return s.Steps[0].Synced && s.Rings[0].Claimed })
	}
}

// driveUntil drives all live rollouts until done was true of n of them.
func driveUntil(b *testing.B, db *store.DB, p *instant, n int, done func(*orchestrator.State) bool) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	r, there := instantRunner(db, p), map[orchestrator.ID]bool{}
	r.Notify = func(s *orchestrator.State, _ []orchestrator.Event) {
		if there[s.ID] = there[s.ID] || done(s); there[s.ID] && len(there) >= n && !slices.Contains(mapValues(there), false) {
			stop()
		}
	}
	if err := r.Drive(ctx, orchestrator.Forever); !errors.Is(err, context.Canceled) {
		b.Fatal(cmp.Or(err, errors.New("ended by itself")))
	}
}

func mapValues(m map[orchestrator.ID]bool) []bool {
	out := make([]bool, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// BenchmarkStep_journal takes what Step decides about clusters on their way
// from the push to Ready through the store's encoding: each fact in a write of
// its own, and those of ten clusters in one, as they come while a write is
// under way. DESIGN section 9 has the mark. A change is one that Fleet showed
// of one cluster; a cluster goes through three.
func BenchmarkStep_journal(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		for _, together := range []int{1, 10} {
			b.Run(fmt.Sprintf("clusters=%d/together=%d", n, together), func(b *testing.B) {
				size := 0
				for b.Loop() {
					size = storedPerCluster(b, n, together)
				}
				b.ReportMetric(float64(size)/float64(len(turnOf("", epoch))), "bytes/change")
				b.ReportMetric(float64(size), "bytes/cluster")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// storedPerCluster appends what is decided about up to 100 clusters of a ring
// of n, with the facts of so many clusters in one write.
func storedPerCluster(b *testing.B, n, together int) int {
	db := openStore(b, store.Options{NoWait: true, NoSync: true})
	id := live(b, db, "shop", 1)
	p := newInstant(n)
	driveUntil(b, db, p, 1, func(s *orchestrator.State) bool { return s.Steps[0].Phase == orchestrator.StepConverging })
	d := orchestrator.Driver{Name: "host/4711/8d1c", Host: "host", PID: 4711}
	s, err := db.Rollout(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().UTC()
	lease, err := db.Acquire(b.Context(), id, d, now, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	step := func(in orchestrator.Input) {
		now = now.Add(1234567 * time.Microsecond)
		in.Now = now
		if err := db.Append(b.Context(), []orchestrator.Batch{{Lease: lease, Events: orchestrator.Step(s, in, d.Name).Events, State: s}}); err != nil {
			b.Fatal(err)
		}
	}
	turn := func(clusters []rings.ClusterName, from, to int) {
		for i := from; i < to; i++ {
			var in orchestrator.Input
			for _, c := range clusters {
				f := turnOf(c, now)[i]
				f.Service = s.Steps[0].Target.Service
				in.Facts = append(in.Facts, f)
			}
			step(in)
		}
	}
	step(orchestrator.Input{Taken: true, Facts: []orchestrator.Fact{{Service: s.Steps[0].Target.Service, Synced: true}}})
	turn(p.members[:1], 0, 1) // the first one also takes the step up
	before, sample := journalBytes(b, db), p.members[1:min(n-1, 101)]
	for clusters := range slices.Chunk(sample, together) {
		turn(clusters, 0, 3)
	}
	if got := s.Steps[0].Counts[orchestrator.ClusterReady]; got != len(sample) {
		b.Fatalf("%d clusters are ready, want %d", got, len(sample))
	}
	return (journalBytes(b, db) - before) / len(sample)
}

// journalBytes is the size of all journals' keys and values.
func journalBytes(b *testing.B, db *store.DB) (n int) {
	file, err := bolt.Open(db.Path(), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	_ = file.View(func(tx *bolt.Tx) error {
		all := tx.Bucket([]byte("journal"))
		return all.ForEachBucket(func(name []byte) error {
			return all.Bucket(name).ForEach(func(k, v []byte) error {
				n += len(k) + len(v)
				return nil
			})
		})
	})
	return n
}
