package fleet

import (
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// tracker turns records into facts. It is pure: no clock, no I/O. Each method
// notes which facts it touched; facts returns those and forgets them. An event
// costs the same in a fleet of any size. Not safe for concurrent use.
type tracker struct {
	ring     rings.RingName
	services []*service
	byBundle map[text][]int   // services by their Bundle, once it is known
	byRepo   map[string][]int // services by their GitRepo

	deployments map[key]deployment
	nonces      map[text]int64 // by Bundle: the largest ever seen
	bundles     map[text]bundle
	repos       map[string]gitRepo
	members     map[text]member // of the ring, now or earlier

	synced bool // all kinds were listed, and facts has said so
	dirty  dirty
}

// service is one watched service.
type service struct {
	target orchestrator.Target
	bundle text  // "" until it is known
	err    error // why it is not known
}

// dirty are the facts to be sent.
type dirty struct {
	deployments map[deploymentRef]bool // true: something but Heard differs
	changes     int                    // how many of them are true
	bundles     map[int]bool
	repos       map[int]bool
	members     bool
}

type deploymentRef struct {
	service int
	cluster text
}

func newTracker(ring rings.RingName, targets []orchestrator.Target) *tracker {
	t := &tracker{ring: ring, byBundle: map[text][]int{}, byRepo: map[string][]int{}, deployments: map[key]deployment{},
		nonces: map[text]int64{}, bundles: map[text]bundle{}, repos: map[string]gitRepo{}, members: map[text]member{}}
	t.dirty.reset()
	for i, target := range targets {
		t.services = append(t.services, &service{target: target})
		t.byRepo[target.GitRepo] = append(t.byRepo[target.GitRepo], i)
	}
	return t
}

// reset forgets everything.
func (d *dirty) reset() {
	d.members, d.changes = false, 0
	d.deployments, d.bundles, d.repos = emptied(d.deployments), emptied(d.bundles), emptied(d.repos)
}

// emptied is the map without its entries. One that grew large is not used
// again: emptying it would cost its size each time.
func emptied[K comparable](m map[K]bool) map[K]bool {
	if m == nil || len(m) > 64 {
		return map[K]bool{}
	}
	clear(m)
	return m
}

// setDeployment takes a BundleDeployment. now is when its change was seen to
// happen; the zero time says that it was not (it was listed).
func (t *tracker) setDeployment(k key, d deployment, now time.Time) {
	old, known := t.deployments[k]
	d.heard = old.heard
	if known && old.status != d.status && !now.IsZero() {
		d.heard = now.UnixNano()
	}
	if known && old == d {
		return
	}
	t.deployments[k] = d
	if n := max(d.specNonce, d.statusNonce); n > t.nonces[k.bundle] {
		t.nonces[k.bundle] = n
		t.touchBundle(k.bundle)
	}
	if !known || !old.same(d) {
		t.touch(k, true)
	} else if d.heard != old.heard {
		t.touch(k, false)
	}
}

func (t *tracker) deleteDeployment(k key) {
	if _, known := t.deployments[k]; known {
		delete(t.deployments, k)
		t.touch(k, true)
	}
}

// touch notes the facts about a deployment, if its cluster is or was of the ring.
func (t *tracker) touch(k key, more bool) {
	if _, ok := t.members[k.cluster]; !ok {
		return
	}
	for _, i := range t.byBundle[k.bundle] {
		t.dirty.deployment(i, k.cluster, more)
	}
}

func (d *dirty) deployment(service int, cluster text, more bool) {
	ref := deploymentRef{service, cluster}
	already := d.deployments[ref]
	d.deployments[ref] = already || more
	if more && !already {
		d.changes++
	}
}

func (t *tracker) touchBundle(name text) {
	for _, i := range t.byBundle[name] {
		t.dirty.bundles[i] = true
	}
}

// setGitRepo takes a GitRepo; one that no service has is ignored.
func (t *tracker) setGitRepo(g gitRepo) {
	old, known := t.repos[g.name]
	if len(t.byRepo[g.name]) == 0 || known && old == g {
		return
	}
	t.repos[g.name] = g
	t.touchRepo(g.name)
	if old.paths != g.paths {
		t.resolve(g.name)
	}
}

func (t *tracker) deleteGitRepo(name string) {
	if _, known := t.repos[name]; known {
		delete(t.repos, name)
		t.touchRepo(name)
	}
}

func (t *tracker) touchRepo(name string) {
	for _, i := range t.byRepo[name] {
		t.dirty.repos[i] = true
	}
}
