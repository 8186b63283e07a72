package sim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// watch is one watcher's view of the fleet: the latest of what changed, sent
// together. Clusters that left its ring stay in sight.
type watch struct {
	w       *World
	spec    orchestrator.Watch
	sink    func([]orchestrator.Fact)
	bundles []*bundle // as the spec names them
	labels  map[string]string
	began   time.Duration
	stopped bool
	listed  bool

	inSight  map[rings.ClusterName]*subject
	subjects []*subject // the same, by name
	dirty    map[sight]bool
	told     map[sight]orchestrator.Fact // what was sent last
	missed   map[sight]bool              // lost on the way
	sending  bool                        // something is on its way
}

// subject is a cluster of the ring, or one that was while it was watched.
type subject struct {
	*cluster
	member bool          // it carries the ring's labels
	heard  time.Duration // the last check-in that was sent for its own sake
	newest time.Time     // the newest check-in that was read: it is not taken back
}

// sight is something of which there is one fact: a deployment, or with its
// cluster "" one of the others.
type sight struct {
	bundle  int // index in the watch
	kind    kind
	cluster rings.ClusterName
}

type kind int

const (
	ofMembers kind = iota
	ofGitRepo
	ofBundle
	ofDeployment
)

// Watch sends facts to the sink, from within [World.Step]: first all there are
// and Synced for each service, then what changes. What was sent is the
// receiver's. After stop nothing is sent.
func (w *World) Watch(spec orchestrator.Watch, sink func([]orchestrator.Fact)) (stop func()) {
	w.begin()
	v := &watch{w: w, spec: spec, sink: sink, labels: spec.Scope.Labels(spec.Ring), inSight: map[rings.ClusterName]*subject{},
		dirty: map[sight]bool{}, told: map[sight]orchestrator.Fact{}, missed: map[sight]bool{}}
	for _, t := range spec.Targets {
		b := w.bundle(t.Service)
		v.bundles = append(v.bundles, b)
		b.watches = append(b.watches, v)
	}
	w.watches = append(w.watches, v)
	w.After(w.draw(w.Delays.List), v.list)
	return v.stop
}

func (v *watch) stop() {
	v.stopped = true
	other := func(o *watch) bool { return o == v }
	v.w.watches = slices.DeleteFunc(v.w.watches, other)
	for _, b := range v.bundles {
		b.watches = slices.DeleteFunc(b.watches, other)
	}
}

// list sends all there is. A list does not go wrong.
func (v *watch) list() {
	if v.stopped {
		return
	}
	v.listed, v.began = true, v.w.now
	for _, c := range v.w.clusters {
		if carries(c.labels, v.labels) {
			v.add(c)
		}
	}
	for i := range v.bundles {
		v.see(sight{i, ofMembers, ""}, sight{i, ofGitRepo, ""}, sight{i, ofBundle, ""})
		for _, c := range v.subjects {
			v.seeDeployment(i, c.cluster)
		}
	}
	facts := v.take()
	for _, b := range v.bundles {
		facts = append(facts, orchestrator.Fact{Service: b.service.Name, Ring: v.spec.Ring, Synced: true})
	}
	v.sink(facts)
	v.awaitSigns()
}

func (v *watch) see(all ...sight) {
	for _, s := range all {
		v.dirty[s] = true
	}
}

// add takes a cluster into sight.
func (v *watch) add(c *cluster) *subject {
	x := &subject{cluster: c, member: true}
	at, _ := slices.BinarySearchFunc(v.subjects, c.name, func(o *subject, name rings.ClusterName) int { return byName(o.cluster, name) })
	v.inSight[c.name], v.subjects = x, slices.Insert(v.subjects, at, x)
	return x
}

// seeDeployment notes a deployment that is there.
func (v *watch) seeDeployment(i int, c *cluster) {
	if c.deployment(v.bundles[i]) != nil {
		v.see(sight{i, ofDeployment, c.name})
	}
}

// touch lets the watchers see a BundleDeployment that changed.
func (w *World) touch(d *deployment) {
	if w.happens(w.Faults.CheckInLost) {
		w.loseCheckIn(d.cluster)
	}
	for _, v := range d.bundle.watches {
		if v.listed && v.inSight[d.cluster.name] != nil {
			v.see(sight{slices.Index(v.bundles, d.bundle), ofDeployment, d.cluster.name})
			v.send()
		}
	}
}

// touchAll lets the watchers see all that is deployed on a cluster.
func (w *World) touchAll(c *cluster) {
	for _, d := range c.deployments {
		if d != nil {
			w.touch(d)
		}
	}
}

func (w *World) touchBundle(b *bundle) {
	for _, v := range b.watches {
		if v.listed {
			v.see(sight{slices.Index(v.bundles, b), ofBundle, ""})
			v.send()
		}
	}
}

func (w *World) touchGitRepo(g *gitRepo) {
	for _, b := range g.bundles {
		for _, v := range b.watches {
			if v.listed {
				v.see(sight{slices.Index(v.bundles, b), ofGitRepo, ""})
				v.send()
			}
		}
	}
}

// membership lets the watchers see a cluster whose labels changed, or that came
// or went.
func (w *World) membership(c *cluster) {
	for _, v := range w.watches {
		is, x := !c.removed && carries(c.labels, v.labels), v.inSight[c.name]
		if !v.listed || is == (x != nil && x.member) {
			continue
		}
		if x == nil {
			x = v.add(c)
		}
		x.cluster, x.member = c, is // one of the name may have been there before
		for i := range v.bundles {
			v.see(sight{i, ofMembers, ""})
			v.seeDeployment(i, c)
		}
		v.send()
	}
}

// send sends what is dirty, soon. What comes later never overtakes it.
func (v *watch) send() {
	if v.sending {
		return
	}
	v.sending = true
	w := v.w
	wait := w.draw(w.Delays.Watch)
	if w.happens(w.Faults.WatchLate) {
		wait += w.draw(Delay{time.Second, 20 * time.Second})
	}
	w.After(wait, func() {
		v.sending = false
		if !v.stopped {
			v.deliver()
		}
	})
}

// deliver sends what is dirty now, as well as Faults allow.
func (v *watch) deliver() {
	w := v.w
	if w.happens(w.Faults.WatchLost) {
		maps.Copy(v.missed, v.dirty)
		clear(v.dirty)
		w.After(w.Delays.Resync, v.resync)
		return
	}
	var old []orchestrator.Fact
	if w.happens(w.Faults.WatchStale) {
		old = v.older()
	}
	facts := v.take()
	if len(facts) == 0 {
		return
	}
	v.sink(facts)
	if w.happens(w.Faults.WatchDoubled) && !v.stopped {
		v.sink(copied(facts))
	}
	if len(old) > 0 && !v.stopped {
		v.sink(old)
		w.After(w.Delays.Resync, v.resync)
	}
}

// older are the last facts about what is dirty, which then counts as missed.
func (v *watch) older() []orchestrator.Fact {
	var out []orchestrator.Fact
	for _, s := range v.sights(v.dirty) {
		if f, ok := v.told[s]; ok {
			out = append(out, f)
			v.missed[s] = true
		}
	}
	return copied(out)
}

// copied are facts that share nothing with these.
func copied(facts []orchestrator.Fact) []orchestrator.Fact {
	out := slices.Clone(facts)
	for i, f := range out {
		switch {
		case f.Deployment != nil:
			d := *f.Deployment
			out[i].Deployment = &d
		case f.Bundle != nil:
			b := *f.Bundle
			out[i].Bundle = &b
		case f.GitRepo != nil:
			g := *f.GitRepo
			out[i].GitRepo = &g
		case f.Members != nil:
			out[i].Members = &orchestrator.Members{Clusters: slices.Clone(f.Members.Clusters)}
		}
	}
	return out
}

// resync sends what was missed, as it is now.
func (v *watch) resync() {
	if v.stopped || len(v.missed) == 0 {
		return
	}
	maps.Copy(v.dirty, v.missed)
	clear(v.missed)
	if facts := v.take(); len(facts) > 0 {
		v.sink(facts)
	}
}

// sights are in the order of the services, then by kind and cluster.
func (v *watch) sights(of map[sight]bool) []sight {
	return slices.SortedFunc(maps.Keys(of), func(a, b sight) int {
		return cmp.Or(cmp.Compare(a.bundle, b.bundle), cmp.Compare(a.kind, b.kind), strings.Compare(string(a.cluster), string(b.cluster)))
	})
}

// take makes facts of what is dirty, and cleans it.
func (v *watch) take() []orchestrator.Fact {
	out := make([]orchestrator.Fact, 0, len(v.dirty))
	for _, s := range v.sights(v.dirty) {
		f := v.fact(s)
		out = append(out, f)
		if v.w.Faults.WatchStale > 0 {
			v.told[s] = f
		}
	}
	clear(v.dirty)
	return out
}

func (v *watch) fact(s sight) orchestrator.Fact {
	b := v.bundles[s.bundle]
	f := orchestrator.Fact{Service: b.service.Name, Ring: v.spec.Ring}
	switch s.kind {
	case ofMembers:
		f.Members = v.memberFact()
	case ofGitRepo:
		f.GitRepo = b.gitRepo.fact()
	case ofBundle:
		f.Bundle = b.fact()
	case ofDeployment:
		f.Deployment = v.deploymentFact(b, s.cluster)
	}
	return f
}

func (v *watch) memberFact() *orchestrator.Members {
	out := &orchestrator.Members{Clusters: []rings.ClusterName{}}
	for _, c := range v.subjects {
		if c.member {
			out.Clusters = append(out.Clusters, c.name)
		}
	}
	return out
}

func (v *watch) deploymentFact(b *bundle, name rings.ClusterName) *orchestrator.Deployment {
	c := v.inSight[name]
	d := c.deployment(b)
	if d == nil {
		return &orchestrator.Deployment{Cluster: name, Gone: true}
	}
	f := d.fact()
	if at, ok := v.w.checkedIn(c.cluster); ok && epoch.Add(at).After(c.newest) {
		c.newest = epoch.Add(at)
	}
	f.Heard = c.newest
	if seen := epoch.Add(d.status.seen); d.status.moved > v.began && seen.After(f.Heard) {
		f.Heard = seen
	}
	return f
}

// fact is the BundleDeployment as it can be read.
func (d *deployment) fact() *orchestrator.Deployment {
	s, c := &d.status, d.cluster
	f := &orchestrator.Deployment{Cluster: c.name, Commit: d.commit, StatusNonce: s.nonce,
		Staged: d.staged == d.spec, Applied: d.spec != nil && d.spec == s.applied, Ready: s.ready, NonModified: s.nonModified,
		InstallError: s.installError, DeployError: s.deployError, Paused: c.paused, OffSchedule: c.offSchedule,
		AwaitsValues: d.awaits, Deleting: d.deleting, Words: s.problem}
	if d.spec != nil {
		f.SpecNonce = d.spec.nonce
	}
	if s.readyKnown {
		f.ReadyAt = epoch.Add(s.readyAt).Truncate(time.Second)
	}
	return f
}

// awaitSigns sends the next check-ins of agents, several together.
func (v *watch) awaitSigns() {
	w := v.w
	next := w.now + w.Delays.CheckIn
	for _, c := range v.subjects {
		if at := w.nextCheckIn(c.cluster); at > w.now {
			next = min(next, at)
		}
	}
	w.After(max(w.Delays.Heard, next-w.now), func() {
		if v.stopped {
			return
		}
		for _, c := range v.subjects {
			if at, ok := w.checkedIn(c.cluster); ok && at > c.heard {
				c.heard = at
				for i := range v.bundles {
					v.seeDeployment(i, c.cluster)
				}
			}
		}
		if len(v.dirty) > 0 {
			v.send()
		}
		v.awaitSigns()
	})
}
