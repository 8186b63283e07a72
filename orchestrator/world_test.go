package orchestrator_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// How long the parts of the fake Fleet take.
const (
	hintDelay    = 200 * time.Millisecond // from a hint to the git job
	jobDelay     = time.Second            // of the git job: what it clones is the tip at its end
	bundleDelay  = 500 * time.Millisecond // from the Bundle to the BundleDeployments
	relabelDelay = 2 * time.Second        // from a label to the BundleDeployments
	applyDelay   = time.Second            // of an agent
	readyDelay   = 2 * time.Second        // of a Deployment
	pollEvery    = 15 * time.Second
	heardEvery   = 20 * time.Second
)

// epoch is when every test begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a git server and a Fleet with its clusters, in virtual time: small,
// and well-behaved until told otherwise. It shows what a real one shows, its
// lies included: a git job clones the tip and not the commit that it is
// labelled with, and a relabelled cluster looks ready for a while.
type world struct {
	now    time.Time
	queue  []timed // sorted by time
	serial int

	repos    map[string]*repo
	units    map[rings.ServiceName]*unit
	proposes map[rings.ServiceName]bool // their branches take no direct pushes
	clusters map[rings.ClusterName]*cluster
	kinds    map[rings.Version]string // versions that do not become ready: "never", "install", "deploy", "depends"
	deaf     map[rings.ServiceName]string
	script   []*misbehaviour
	claimed  string // another store's words
}

type timed struct {
	when   time.Time
	serial int
	run    func()
}

// unit is a service as Fleet sees it: its GitRepo, Bundle and
// BundleDeployments.
type unit struct {
	name     rings.ServiceName
	repo     *repo
	gitrepo  orchestrator.GitRepo
	bundle   orchestrator.Bundle
	content  map[at]entry
	bds      map[rings.ClusterName]*bd
	excluded map[rings.ClusterName]string
	broken   string            // the git job fails with these words
	target   string            // targeting error of the next bundle
	lost     rings.ClusterName // Fleet makes no BundleDeployment for it
}

// bd is one BundleDeployment and what its cluster runs.
type bd struct {
	spec, applied, runs entry
	shown               orchestrator.Deployment
	stuck               bool // somebody else owns a field: applied never, in silence
	lie                 func(*orchestrator.Deployment)
}

type cluster struct {
	ring rings.RingName
	dead bool
}

// misbehaviour is how the next action of a kind goes wrong.
type misbehaviour struct {
	kind    orchestrator.ActionKind
	times   int
	outcome orchestrator.Outcome
	effect  bool // it takes effect nevertheless
}

func newWorld() *world {
	w := &world{now: epoch, repos: map[string]*repo{}, units: map[rings.ServiceName]*unit{},
		clusters: map[rings.ClusterName]*cluster{}, kinds: map[rings.Version]string{}, deaf: map[rings.ServiceName]string{}, proposes: map[rings.ServiceName]bool{}}
	w.every(heardEvery, w.heard)
	return w
}

// after runs f when d has passed.
func (w *world) after(d time.Duration, f func()) {
	w.serial++
	t := timed{w.now.Add(d), w.serial, f}
	i, _ := slices.BinarySearchFunc(w.queue, t, func(a, b timed) int {
		return cmp.Or(a.when.Compare(b.when), cmp.Compare(a.serial, b.serial))
	})
	w.queue = slices.Insert(w.queue, i, t)
}

func (w *world) every(d time.Duration, f func()) {
	w.after(d, func() {
		f()
		w.every(d, f)
	})
}

// next is when the world moves next.
func (w *world) next() time.Time { return w.queue[0].when }

// elapse moves the world to the time, and runs what is due on the way.
func (w *world) elapse(to time.Time) {
	for len(w.queue) > 0 && !w.queue[0].when.After(to) {
		t := w.queue[0]
		w.queue = w.queue[1:]
		w.now = t.when
		t.run()
	}
	w.now = to
}

// addService makes a service with its entries in the repository, deployed.
func (w *world) addService(name rings.ServiceName, url string, entries map[rings.RingName]entry) {
	r := w.repos[url]
	if r == nil {
		r = newRepo(url)
		w.repos[url] = r
	}
	changes := map[at]entry{}
	for ring, e := range entries {
		changes[at{name, ring}] = e
	}
	r.push("ann", w.now, changes)
	u := &unit{name: name, repo: r, bds: map[rings.ClusterName]*bd{}, excluded: map[rings.ClusterName]string{}}
	u.gitrepo = orchestrator.GitRepo{Generation: 1, Polling: pollEvery}
	u.bundle.Name = string(name)
	w.units[name] = u
	w.every(pollEvery, func() { w.job(u) })
}

// settle brings everything to rest before a test begins, as if it had been so
// for a while.
func (w *world) settle(since time.Duration) {
	for _, r := range w.repos {
		for _, c := range r.commits {
			c.when = w.now.Add(-since)
		}
	}
	for _, u := range w.sorted() {
		u.gitrepo.Commit, u.bundle.Commit, u.content = u.repo.tip().sha, u.repo.tip().sha, u.repo.tip().files
		w.deploy(u)
		for _, b := range u.bds {
			b.applied, b.runs = b.spec, b.spec
			b.shown.Applied, b.shown.Ready, b.shown.NonModified, b.shown.StatusNonce = true, true, true, b.spec.nonce
		}
	}
}

func (w *world) sorted() []*unit {
	var out []*unit
	for _, name := range slices.Sorted(maps.Keys(w.units)) {
		out = append(out, w.units[name])
	}
	return out
}

// job is Fleet's git job: it notes the tip, and clones what is the tip later.
func (w *world) job(u *unit) {
	tip := u.repo.tip().sha
	if u.gitrepo.Commit == tip || u.gitrepo.Paused || u.gitrepo.Gone || w.deaf[u.name] != "" {
		return
	}
	w.runJob(u, tip)
}

func (w *world) runJob(u *unit, tip string) {
	u.gitrepo.Commit, u.gitrepo.JobFailed, u.gitrepo.JobError = tip, false, ""
	w.after(jobDelay, func() {
		if u.gitrepo.Commit != tip {
			return
		}
		if u.broken != "" {
			u.gitrepo.JobFailed, u.gitrepo.JobError = true, u.broken
			return
		}
		u.content, u.bundle.Commit, u.bundle.Error = u.repo.tip().files, tip, u.target
		if u.target == "" {
			w.after(bundleDelay, func() { w.deploy(u) })
		}
	})
}

// deploy brings the BundleDeployments to the Bundle's content.
func (w *world) deploy(u *unit) {
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		if _, out := u.excluded[name]; out || name == u.lost || w.clusters[name].ring == "" {
			continue
		}
		b := u.bds[name]
		if b == nil {
			b = &bd{shown: orchestrator.Deployment{Cluster: name}}
			u.bds[name] = b
		}
		e := u.content[at{u.name, w.clusters[name].ring}]
		b.shown.Commit, b.shown.SpecNonce, b.shown.Staged = u.bundle.Commit, e.nonce, true
		b.spec, b.shown.Applied = e, e == b.applied
		if e != b.applied {
			w.after(applyDelay, func() { w.apply(u, name, e) })
		}
	}
	u.maxNonce()
}

func (u *unit) maxNonce() {
	for _, b := range u.bds {
		u.bundle.MaxNonce = max(u.bundle.MaxNonce, b.shown.SpecNonce, b.shown.StatusNonce)
	}
}

// apply is the agent's part.
func (w *world) apply(u *unit, name rings.ClusterName, e entry) {
	b := u.bds[name]
	if b == nil || b.spec != e || b.applied == e || w.clusters[name].dead || b.stuck {
		return
	}
	d := &b.shown
	d.Heard, d.InstallError, d.DeployError = w.now, "", ""
	switch w.kinds[e.version] {
	case "install":
		b.applied, d.Applied, d.InstallError = e, true, "not installed: malformed"
		return
	case "deploy":
		d.DeployError = "server-side apply failed: field is immutable"
		return
	case "depends":
		d.DeployError = "dependent bundle(s) are not ready: [base]"
		return
	}
	b.applied, b.runs = e, e
	d.Applied, d.StatusNonce, d.Ready, d.NonModified = true, e.nonce, false, true
	d.Words = fmt.Sprintf("deployment shop/%s 0/1 replicas", u.name)
	w.after(readyDelay, func() { w.turnReady(name, b, e) })
}

func (w *world) turnReady(name rings.ClusterName, b *bd, e entry) {
	if b.applied == e && w.kinds[e.version] == "" && !w.clusters[name].dead {
		b.shown.Ready, b.shown.Words, b.shown.Heard = true, "", w.now
	}
}

// heard is the check-in of all agents that live.
func (w *world) heard() {
	for _, u := range w.units {
		for name, b := range u.bds {
			if !w.clusters[name].dead {
				b.shown.Heard = w.now
			}
		}
	}
}

// revive lets an agent work off what it missed.
func (w *world) revive(name rings.ClusterName) {
	w.clusters[name].dead = false
	for _, u := range w.sorted() {
		b := u.bds[name]
		if b == nil {
			continue
		}
		b.shown.Heard = w.now
		if e := b.spec; e != b.applied {
			w.after(applyDelay, func() { w.apply(u, name, e) })
		} else {
			w.after(readyDelay, func() { w.turnReady(name, b, e) })
		}
	}
}

// relabel moves a cluster to another ring ("": out of the application).
func (w *world) relabel(name rings.ClusterName, ring rings.RingName) {
	c := w.clusters[name]
	if c == nil {
		c = &cluster{}
		w.clusters[name] = c
	}
	c.ring = ring
	w.after(relabelDelay, func() {
		for _, u := range w.sorted() {
			if c.ring == "" {
				delete(u.bds, name)
				continue
			}
			w.deploy(u)
		}
	})
}

// members are the clusters of the ring, sorted.
func (w *world) members(ring rings.RingName) []rings.ClusterName {
	out := []rings.ClusterName{}
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		if w.clusters[name].ring == ring {
			out = append(out, name)
		}
	}
	return out
}

// exec carries out an action as the ports do.
func (w *world) exec(a orchestrator.Action) orchestrator.Outcome {
	o := w.misbehave(a)
	o.Action = a.ID
	return o
}

func (w *world) misbehave(a orchestrator.Action) orchestrator.Outcome {
	for _, m := range w.script {
		if m.kind != a.Kind || m.times == 0 {
			continue
		}
		m.times--
		if m.effect {
			w.behave(a)
		}
		return m.outcome
	}
	return w.behave(a)
}

func (w *world) behave(a orchestrator.Action) orchestrator.Outcome {
	switch a.Kind {
	case orchestrator.ActClaim:
		if w.claimed != "" {
			return refusal(orchestrator.CodeClaimed, w.claimed)
		}
	case orchestrator.ActSurvey, orchestrator.ActVerify:
		return w.surveys(a)
	case orchestrator.ActPublish:
		if w.proposes[a.Items[0].Service] {
			return w.propose(a)
		}
		o, _ := w.units[a.Items[0].Service].repo.publish(w.now, a.Ring, a.Items)
		if o.Result == orchestrator.OK {
			return w.surveys(a)
		}
		return o
	case orchestrator.ActHint:
		u := w.units[a.Items[0].Service]
		w.after(hintDelay, func() { w.job(u) })
	case orchestrator.ActNudge:
		u := w.units[a.Items[0].Service]
		w.after(hintDelay, func() { w.runJob(u, u.repo.tip().sha) })
	}
	return orchestrator.Outcome{Result: orchestrator.OK}
}

func (w *world) surveys(a orchestrator.Action) orchestrator.Outcome {
	o := orchestrator.Outcome{Result: orchestrator.OK}
	for _, i := range a.Items {
		u := w.units[i.Service]
		v := u.repo.survey(i, a.Ring)
		for _, name := range w.members(a.Ring) {
			if why, out := u.excluded[name]; out {
				v.Excluded = append(v.Excluded, orchestrator.Excluded{Cluster: name, Why: why})
			} else {
				v.Expected = append(v.Expected, name)
			}
		}
		o.Surveys = append(o.Surveys, v)
	}
	return o
}

// watch is one driver's view: it says what differs from what it said last.
type watch struct {
	w      *world
	ring   rings.RingName
	epoch  int
	said   map[string]orchestrator.Fact
	seen   map[rings.ClusterName]bool // were of the ring since watching began
	synced bool
}

func (w *world) watch(ring rings.RingName) *watch {
	return &watch{w: w, ring: ring, said: map[string]orchestrator.Fact{}, seen: map[rings.ClusterName]bool{}}
}

// news returns the facts that are new, and Synced after the first ones.
func (v *watch) news() []orchestrator.Fact {
	var out []orchestrator.Fact
	tell := func(slot string, f orchestrator.Fact) {
		f.Ring = v.ring
		if was, ok := v.said[slot]; !ok || !sameFact(was, f) {
			v.said[slot] = f
			out = append(out, f)
		}
	}
	members := v.w.members(v.ring)
	for _, name := range members {
		v.seen[name] = true
	}
	for _, u := range v.w.sorted() {
		u.maxNonce()
		g, b, s := u.gitrepo, u.bundle, string(u.name)
		g.PollError = v.w.deaf[u.name]
		tell(s+"/members", orchestrator.Fact{Service: u.name, Members: &orchestrator.Members{Clusters: members}})
		tell(s+"/gitrepo", orchestrator.Fact{Service: u.name, GitRepo: &g})
		tell(s+"/bundle", orchestrator.Fact{Service: u.name, Bundle: &b})
		for _, name := range slices.Sorted(maps.Keys(v.seen)) {
			if d, ok := u.deployment(name, v.said[s+"/"+string(name)]); ok {
				tell(s+"/"+string(name), orchestrator.Fact{Service: u.name, Deployment: &d})
			}
		}
	}
	if !v.synced {
		v.synced = true
		for _, u := range v.w.sorted() {
			out = append(out, orchestrator.Fact{Ring: v.ring, Service: u.name, Synced: true})
		}
	}
	return out
}

// deployment is what the BundleDeployment shows; ok is false when there never
// was one.
func (u *unit) deployment(name rings.ClusterName, said orchestrator.Fact) (orchestrator.Deployment, bool) {
	b := u.bds[name]
	if b == nil {
		return orchestrator.Deployment{Cluster: name, Gone: true}, said.Deployment != nil
	}
	d := b.shown
	if b.lie != nil {
		b.lie(&d)
	}
	return d, true
}

func sameFact(a, b orchestrator.Fact) bool {
	switch {
	case a.Deployment != nil:
		return *a.Deployment == *b.Deployment
	case a.Bundle != nil:
		return *a.Bundle == *b.Bundle
	case a.GitRepo != nil:
		return *a.GitRepo == *b.GitRepo
	}
	return slices.Equal(a.Members.Clusters, b.Members.Clusters)
}
