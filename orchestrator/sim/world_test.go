package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

const repo = "https://git.example/shop"

var scope = orchestrator.Scope{App: "shop", Workspace: "fleet-default", RingLabel: "ring", Selector: map[string]string{"app": "shop"}}

// yaml is a fleet.yaml with an entry a ring, at v1 and nonces from 1.
func yaml(names ...string) []byte {
	b := "helm:\n  chart: ./chart\n  values:\n    image:\n      tag: v0\ntargetCustomizations:\n"
	for i, r := range names {
		b += fmt.Sprintf("- name: %s\n  clusterSelector:\n    matchLabels:\n      ring: %s\n  forceSyncGeneration: %d\n"+
			"  helm:\n    values:\n      image:\n        tag: v1\n", r, r, i+1)
	}
	return []byte(b)
}

func on(ring string) map[string]string { return map[string]string{"app": "shop", "ring": ring} }

func service(name string) rings.Service {
	return rings.Service{Name: rings.ServiceName(name), Repo: repo, Branch: "main", Path: name, GitRepo: name, Fields: []string{rings.DefaultField}, Managed: true}
}

// play is a world with one watcher of ring-1, and what it saw.
type play struct {
	*sim.World
	t      *testing.T
	facts  []orchestrator.Fact // in the order they came
	at     []time.Time
	latest map[string]orchestrator.Deployment
	bundle map[rings.ServiceName]orchestrator.Bundle
	repo   map[rings.ServiceName]orchestrator.GitRepo
	member []rings.ClusterName
	synced int
	serial int
}

// newPlay has the service db on c1, c2 (ring-1) and c3 (ring-2), at rest, and
// every delay without a spread.
func newPlay(t *testing.T, more ...string) *play {
	w := sim.NewWorld(1)
	w.Delays = exact()
	w.AddRepo(repo, "main")
	for _, s := range append([]string{"db"}, more...) {
		w.AddService(service(s), yaml("ring-1", "ring-2"))
	}
	w.AddCluster("c1", on("ring-1"))
	w.AddCluster("c2", on("ring-1"))
	w.AddCluster("c3", on("ring-2"))
	p := &play{World: w, t: t, latest: map[string]orchestrator.Deployment{}, bundle: map[rings.ServiceName]orchestrator.Bundle{},
		repo: map[rings.ServiceName]orchestrator.GitRepo{}}
	return p
}

// exact are delays that make times in tests easy to say.
func exact() sim.Delays {
	s := func(d time.Duration) sim.Delay { return sim.Exactly(d) }
	return sim.Delays{Fetch: s(100 * time.Millisecond), Push: s(100 * time.Millisecond), Call: s(10 * time.Millisecond),
		Timeout: s(time.Second), Hint: s(200 * time.Millisecond), Poll: time.Hour, JobStart: s(time.Second), JobRun: s(time.Second),
		JobRestart: 5 * time.Second, Values: 5 * time.Second, Bundle: s(500 * time.Millisecond), Relabel: s(2 * time.Second),
		Apply: s(500 * time.Millisecond), Ready: s(3 * time.Second), Notice: 5 * time.Second, CheckIn: 15 * time.Minute,
		FirstSign: 15 * time.Second, List: s(100 * time.Millisecond), Watch: s(10 * time.Millisecond), Heard: 5 * time.Second, Resync: time.Minute}
}

func (p *play) watch(services ...string) (stop func()) {
	spec := orchestrator.Watch{Scope: scope, Ring: "ring-1"}
	for _, s := range append([]string{"db"}, services...) {
		spec.Targets = append(spec.Targets, orchestrator.TargetOf(service(s)))
	}
	return p.Watch(spec, p.sink)
}

func (p *play) sink(facts []orchestrator.Fact) {
	for _, f := range facts {
		p.facts, p.at = append(p.facts, f), append(p.at, p.Now())
		switch {
		case f.Deployment != nil:
			p.latest[fmt.Sprintf("%s/%s", f.Service, f.Deployment.Cluster)] = *f.Deployment
		case f.Bundle != nil:
			p.bundle[f.Service] = *f.Bundle
		case f.GitRepo != nil:
			p.repo[f.Service] = *f.GitRepo
		case f.Members != nil:
			p.member = f.Members.Clusters
		case f.Synced:
			p.synced++
		}
	}
}

// run lets time pass.
func (p *play) run(d time.Duration) {
	end := p.Now().Add(d)
	stop := false
	p.After(d, func() { stop = true })
	for !stop && p.Step() {
	}
	if !p.Now().Equal(end) {
		p.t.Fatalf("it is %s, not %s", p.Now(), end)
	}
}

// begin does an action; the outcome is there when its Result is set.
func (p *play) begin(a orchestrator.Action) (*orchestrator.Outcome, func()) {
	p.serial++
	a.ID = fmt.Sprint(p.serial)
	if a.Ring == "" {
		a.Ring = "ring-1"
	}
	j := orchestrator.Job{Action: a, Rollout: "shop-1", Scope: scope, Actor: "ann", Targets: map[rings.ServiceName]orchestrator.Target{}}
	for _, i := range a.Items {
		j.Targets[i.Service] = orchestrator.TargetOf(service(string(i.Service)))
	}
	out := &orchestrator.Outcome{}
	return out, p.Do(j, func(o orchestrator.Outcome) {
		if out.Result != "" {
			p.t.Errorf("action %s was answered twice", a.ID)
		}
		if o.Action != a.ID {
			p.t.Errorf("answer to action %q, want %q", o.Action, a.ID)
		}
		*out = o
	})
}

// do does an action and waits for its answer.
func (p *play) do(a orchestrator.Action) orchestrator.Outcome {
	p.t.Helper()
	o, _ := p.begin(a)
	for o.Result == "" {
		if !p.Step() {
			p.t.Fatalf("action %s: no answer", a.Kind)
		}
	}
	return *o
}

func item(v rings.Version, nonce int64, base string) []orchestrator.Item {
	return []orchestrator.Item{{Service: "db", Version: v, Nonce: nonce, From: "v1", Base: base}}
}

// ship publishes a version of db on ring-1 with a nonce, and hints.
func (p *play) ship(v rings.Version, nonce int64) orchestrator.Survey {
	p.t.Helper()
	o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item(v, nonce, p.Tip(repo))})
	if o.Result != orchestrator.OK {
		p.t.Fatalf("publish: %+v", o)
	}
	p.hint()
	return o.Surveys[0]
}

func (p *play) hint() {
	p.t.Helper()
	o := p.do(orchestrator.Action{Kind: orchestrator.ActHint, Items: item("", 0, ""), Commit: p.Tip(repo)})
	if o.Result != orchestrator.OK {
		p.t.Fatalf("hint: %+v", o)
	}
}

// state is what is known of db on a cluster, in one line.
func (p *play) state(cluster string) string {
	d, ok := p.latest["db/"+cluster]
	if !ok {
		return "unknown"
	}
	return describe(d, p.Tip(repo))
}

func describe(d orchestrator.Deployment, tip string) string {
	if d.Gone {
		return "gone"
	}
	label := "old"
	if d.Commit == tip {
		label = "tip"
	}
	words := []string{label, fmt.Sprintf("N=%d/%d", d.SpecNonce, d.StatusNonce)}
	for _, f := range []struct {
		is   bool
		word string
	}{{!d.Staged, "staged!=dep"}, {!d.Applied, "dep!=app"}, {d.Ready, "ready"}, {d.NonModified, "nonmod"}, {d.Paused, "paused"},
		{d.OffSchedule, "off"}, {d.AwaitsValues, "awaits"}, {d.Deleting, "deleting"}, {d.InstallError != "", "Installed=False"}, {d.DeployError != "", "Deployed=False"}} {
		if f.is {
			words = append(words, f.word)
		}
	}
	return strings.Join(words, " ")
}

func (p *play) want(cluster, want string) {
	p.t.Helper()
	if got := p.state(cluster); got != want {
		p.t.Errorf("%s: %s is %q, want %q", p.Now().Sub(start), cluster, got, want)
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (p *play) wantRunning(cluster rings.ClusterName, v rings.Version, nonce int64, healthy bool) {
	p.t.Helper()
	gv, gn, gh := p.Running("db", cluster)
	if gv != v || gn != nonce || gh != healthy {
		p.t.Errorf("%s runs %s/%d healthy=%t, want %s/%d healthy=%t", cluster, gv, gn, gh, v, nonce, healthy)
	}
}

func TestWorld_happyPath(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	if p.synced != 1 || !slices.Equal(p.member, []rings.ClusterName{"c1", "c2"}) {
		t.Fatalf("synced %d, members %v", p.synced, p.member)
	}
	p.want("c1", "tip N=1/1 ready nonmod")
	p.want("c3", "unknown")
	v := p.ship("v2", 3)
	if v.Commit != p.Tip(repo) || v.Version != "v2" || v.Nonce != 3 || v.MaxNonce != 3 || v.Superseded != nil || len(v.Lineage) != 1 {
		t.Errorf("survey after the push: %+v", v)
	}
	p.run(2100 * time.Millisecond) // the job has not ended
	p.want("c1", "old N=1/1 ready nonmod")
	if g := p.repo["db"]; g.Commit != v.Commit {
		t.Errorf("GitRepo %+v", g)
	}
	p.run(time.Second) // it has; the values come 5 s after the Bundle
	if b := p.bundle["db"]; b.Commit != v.Commit {
		t.Errorf("Bundle %+v", b)
	}
	p.want("c1", "old N=1/1 ready nonmod")
	p.run(5 * time.Second)
	p.want("c1", "tip N=3/1 dep!=app ready nonmod")
	p.run(500 * time.Millisecond)
	p.want("c1", "tip N=3/3 nonmod")
	p.wantRunning("c1", "v2", 3, false)
	p.run(3 * time.Second)
	p.wantRunning("c1", "v2", 3, true)
	p.want("c1", "tip N=3/3 nonmod") // the agent has not noticed yet
	p.run(5 * time.Second)
	p.want("c1", "tip N=3/3 ready nonmod")
	p.wantRunning("c3", "v1", 2, true)
	last := p.History(repo)[len(p.History(repo))-1]
	if last.Rollout != "shop-1" || last.Ring != "ring-1" || last.Actor != "ann" || !slices.Equal(last.Services, []rings.ServiceName{"db"}) ||
		!slices.Equal(last.Files, []string{"db/fleet.yaml"}) || !last.Ours() {
		t.Errorf("our commit: %+v", last)
	}
}
