package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// World is a Fleet with its git server and its clusters, in virtual time. It is
// not safe for concurrent use, and starts no goroutine: everything happens
// within [World.Step]. What is set up before the first Step, Next, Do or Watch
// is found at rest there, as if it had been so for days.
type World struct {
	// Delays, Faults, Versions, Behave and Answer may be changed at any time.
	Delays Delays
	Faults Faults
	// Versions say how a version behaves on every cluster; one that is not
	// there is [Good].
	Versions map[rings.Version]Behaviour
	// Behave says it for a service on a cluster; false leaves it to Versions.
	Behave func(rings.ServiceName, rings.ClusterName, rings.Version) (Behaviour, bool)
	// Answer answers checks; false leaves it to Versions and Faults.
	Answer func(orchestrator.Job) (orchestrator.Outcome, bool)
	// Upgrading hears of every upgrade that an agent begins, whatever comes of it.
	Upgrading func(rings.ServiceName, rings.ClusterName, rings.Version)
	// Told hears, in words, what happens by itself; for stories.
	Told func(words string)

	rand   *rand.Rand
	now    time.Duration // since epoch
	offset time.Duration // of the host's wall clock
	agenda agenda
	serial uint64
	begun  bool
	stirs  bool // happenings are under way

	repos    map[string]*repo
	gitRepos []*gitRepo // in the order they were made
	bundles  []*bundle  // in the order they were made
	clusters []*cluster // by name
	claims   map[claimKey]string
	watches  []*watch

	labelSets map[string]int // every set of labels that a cluster had, numbered
	shape     int            // grows when a cluster comes, goes or changes its labels
}

// NewWorld returns an empty world. Everything in it is decided by the seed and
// by what it is told, in that order.
func NewWorld(seed uint64) *World {
	return &World{Delays: DefaultDelays(), Versions: map[rings.Version]Behaviour{}, rand: rand.New(rand.NewPCG(seed, 0x5eed)),
		repos: map[string]*repo{}, claims: map[claimKey]string{}, labelSets: map[string]int{}}
}

func (w *World) tell(format string, args ...any) {
	if w.Told != nil {
		w.Told(fmt.Sprintf(format, args...))
	}
}

// happens reports whether something with that probability does. It draws
// nothing for what never happens, so that a fault that is not asked for
// changes nothing.
func (w *World) happens(rate float64) bool { return rate > 0 && w.rand.Float64() < rate }

// begin brings everything to rest, once.
func (w *World) begin() {
	if w.begun {
		return
	}
	w.begun = true
	for _, c := range w.clusters {
		c.since = w.now - time.Duration(w.rand.Int64N(int64(w.Delays.CheckIn)+1)) - w.Delays.CheckIn
	}
	for _, g := range w.gitRepos {
		w.schedule(g)
		g.commit = g.repo.tip().hash
		for _, b := range g.bundles {
			w.settle(b)
		}
	}
}

// settle brings a Bundle to rest at the branch's tip.
func (w *World) settle(b *bundle) {
	tip := b.repo.tip()
	b.commit, b.deployed, b.content = tip.hash, tip.hash, b.at(tip)
	for _, c := range w.clusters {
		e := b.effect(b.content, c)
		if !e.Deployed {
			continue
		}
		d := w.newDeployment(b, c)
		d.commit, d.staged = tip.hash, b.release(b.content, e)
		d.spec = d.staged
		w.rest(d)
	}
}

// AddService puts the service's file into its repository, which must have been
// added, and makes its Bundle, and its GitRepo when there is none of that name
// yet. The GitRepo deploys to all clusters; see [World.SetTargets].
func (w *World) AddService(s rings.Service, yaml []byte) {
	r := w.repo(s.Repo)
	if s.GitRepo == "" {
		s.GitRepo = string(s.Name)
	}
	if s.Bundle == "" {
		s.Bundle = string(s.Name)
	}
	i := slices.IndexFunc(w.gitRepos, func(g *gitRepo) bool { return g.name == s.GitRepo })
	if i < 0 {
		i = len(w.gitRepos)
		w.gitRepos = append(w.gitRepos, w.newGitRepo(s, r))
	}
	b := &bundle{service: s, index: len(w.bundles), repo: r, gitRepo: w.gitRepos[i], contents: map[string]*content{},
		releases: map[releaseKey]*release{}, states: map[stateKey]*state{}}
	for _, f := range s.Fields {
		b.fields = append(b.fields, fleetyaml.Field(f))
	}
	w.bundles = append(w.bundles, b)
	b.gitRepo.bundles = append(b.gitRepo.bundles, b)
	r.bundles = append(r.bundles, b)
	w.commit(r, map[string][]byte{s.File(): yaml}, "ann <ann@example.com>", "add "+string(s.Name), w.Now())
}

// SetTargets says which clusters the service's GitRepo deploys to. Later than
// the start, Fleet runs a git job for it.
func (w *World) SetTargets(service rings.ServiceName, targets []fleetyaml.Target) {
	g := w.bundle(service).gitRepo
	g.targets = targets
	for _, b := range g.bundles {
		clear(b.contents)
		clear(b.states)
		for _, c := range b.repo.commits {
			delete(c.contents, b)
		}
	}
	if w.begun {
		w.respec(g)
	}
}

// AddCluster registers a cluster. Later than the start, it joins: Fleet deploys
// to it after a while.
func (w *World) AddCluster(name rings.ClusterName, labels map[string]string) {
	if w.cluster(name) != nil {
		panic(fmt.Sprintf("sim: cluster %q is there already", name))
	}
	c := &cluster{name: name, since: w.now + w.Delays.FirstSign}
	w.label(c, labels)
	i, _ := slices.BinarySearchFunc(w.clusters, name, byName)
	w.clusters = slices.Insert(w.clusters, i, c)
	w.membership(c)
	w.retarget(c)
}

// Relabel gives a cluster other labels. Fleet retargets it soon: what it runs
// moves with the label, ungated.
func (w *World) Relabel(name rings.ClusterName, labels map[string]string) {
	c := w.mustCluster(name)
	w.label(c, labels)
	w.membership(c)
	w.retarget(c)
}

// RemoveCluster takes a cluster out of the fleet, with its BundleDeployments.
// What runs there goes on running, and is nobody's any more.
func (w *World) RemoveCluster(name rings.ClusterName) {
	c := w.mustCluster(name)
	w.shape++
	w.clusters = slices.DeleteFunc(w.clusters, func(o *cluster) bool { return o == c })
	c.removed = true
	for _, b := range w.bundles {
		if d := c.deployment(b); d != nil {
			w.drop(d)
		}
	}
	w.membership(c)
}

// Running is what the cluster really runs of the service, whatever is said of
// it: "" when nothing does, or nothing that Fleet still knows of. healthy is
// false also for what was changed by half.
func (w *World) Running(service rings.ServiceName, cluster rings.ClusterName) (version rings.Version, nonce int64, healthy bool) {
	c := w.cluster(cluster)
	if c == nil {
		return "", 0, false
	}
	d := c.deployment(w.bundle(service))
	if d == nil || d.live.release == nil {
		return "", 0, false
	}
	return d.live.release.version, d.live.release.nonce, d.live.healthy
}

// Set are the values of the service's settings, joined in their order, that the
// cluster really runs with; "" when nothing runs.
func (w *World) Set(service rings.ServiceName, cluster rings.ClusterName) string {
	if c := w.cluster(cluster); c != nil {
		if d := c.deployment(w.bundle(service)); d != nil && d.live.release != nil {
			return d.live.release.settings
		}
	}
	return ""
}

// Labels are a cluster's labels; nil when there is no such cluster. The map is
// the caller's.
func (w *World) Labels(name rings.ClusterName) map[string]string {
	if c := w.cluster(name); c != nil {
		return maps.Clone(c.labels)
	}
	return nil
}

// Members are the clusters that carry all of the labels, sorted.
func (w *World) Members(labels map[string]string) []rings.ClusterName {
	out := []rings.ClusterName{}
	for _, c := range w.clusters {
		if carries(c.labels, labels) {
			out = append(out, c.name)
		}
	}
	return out
}

func carries(has, want map[string]string) bool {
	for k, v := range want {
		if got, ok := has[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func byName(c *cluster, name rings.ClusterName) int {
	return strings.Compare(string(c.name), string(name))
}

func (w *World) cluster(name rings.ClusterName) *cluster {
	if i, ok := slices.BinarySearchFunc(w.clusters, name, byName); ok {
		return w.clusters[i]
	}
	return nil
}

// mustCluster panics for a name that is not there: a mistake of the caller.
func (w *World) mustCluster(name rings.ClusterName) *cluster {
	c := w.cluster(name)
	if c == nil {
		panic(fmt.Sprintf("sim: there is no cluster %q", name))
	}
	return c
}

func (w *World) bundle(service rings.ServiceName) *bundle {
	i := slices.IndexFunc(w.bundles, func(b *bundle) bool { return b.service.Name == service })
	if i < 0 {
		panic(fmt.Sprintf("sim: there is no service %q", service))
	}
	return w.bundles[i]
}

func (w *World) repo(url string) *repo {
	r := w.repos[url]
	if r == nil {
		panic(fmt.Sprintf("sim: there is no repository %q", url))
	}
	return r
}

// label gives the cluster labels, and the number of their set.
func (w *World) label(c *cluster, labels map[string]string) {
	w.shape++
	c.labels = maps.Clone(labels)
	key := canonical(labels)
	id, ok := w.labelSets[key]
	if !ok {
		id = len(w.labelSets)
		w.labelSets[key] = id
	}
	c.labelSet = id
}

// canonical is a text that equal maps share.
func canonical(labels map[string]string) string {
	var s strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&s, "%s=%s\n", k, labels[k])
	}
	return s.String()
}
