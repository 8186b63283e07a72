package sim

import (
	"encoding/json"
	"strings"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// gitRepo is a Fleet GitRepo: it follows a branch, and makes a Bundle of each
// of its services.
type gitRepo struct {
	name    string
	repo    *repo
	targets []fleetyaml.Target
	managed bool
	bundles []*bundle

	paused, removed bool
	generation      int64
	polling         time.Duration // as its spec says
	polls           time.Duration // some time at which it looked at the branch
	pollDue         bool          // it is going to look
	pollTurn        int           // of the look that is due: an earlier one is void
	pollError       string

	commit   string        // status.commit: for which the last job was made
	job      *job          // that runs
	failed   bool          // the last job did; its object is still there
	words    string        // of that failure
	shown    bool          // the failure shows in the status
	hinted   string        // status.webhookCommit
	hintedAt time.Duration // status.lastWebhookTime
	breaks   string        // the next jobs fail with these words
	waiters  []func()      // for the end of the job
}

// bundle is the Fleet Bundle of a service.
type bundle struct {
	service rings.Service
	index   int // among the world's
	fields  []fleetyaml.Field
	repo    *repo
	gitRepo *gitRepo
	watches []*watch

	commit   string // its label
	err      string // "targeting error ..."
	deployed string // the commit that the BundleDeployments are at, or on the way to
	content  *content
	pass     int    // the number of the last pass over the targets
	fails    string // the next passes fail with these words
	maxNonce int64
	// limit is the bundle's own rolloutStrategy: maxUnavailable, 0 for none.
	limit   int
	rolling bool // a look for clusters that may go is under way

	contents map[string]*content
	releases map[releaseKey]*release
	states   map[stateKey]*state
}

// release is what a cluster is told to run, named by its deploymentID: two that
// are equal are the same pointer.
type release struct {
	releaseKey
	version rings.Version
}

// releaseKey is what the deploymentID is a function of: what the bundle holds,
// the options that the cluster gets of the file, and the nonce among them.
type releaseKey struct {
	manifest, options, version, settings string
	nonce                                int64
}

// sameContent reports whether two differ at most in the nonce.
func sameContent(a, b *release) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := a.releaseKey, b.releaseKey
	x.nonce, y.nonce = 0, 0
	return x == y
}

// release is what the effect of a content makes of it.
func (b *bundle) release(k *content, e effect) *release {
	key := releaseKey{manifest: k.manifest, options: e.Digest, version: e.Version, settings: strings.Join(e.Settings, " "), nonce: e.Nonce}
	r := b.releases[key]
	if r == nil {
		r = &release{releaseKey: key, version: rings.Version(e.Version)}
		b.releases[key] = r
	}
	return r
}

func (w *World) newGitRepo(s rings.Service, r *repo) *gitRepo {
	g := &gitRepo{name: s.GitRepo, repo: r, targets: everywhere(), managed: s.Managed, generation: 1}
	if w.begun {
		w.schedule(g)
	}
	return g
}

// schedule gives a GitRepo's poller its interval, if it has none of its own,
// and its phase.
func (w *World) schedule(g *gitRepo) {
	if g.polling == 0 {
		g.polling = w.Delays.Poll
		if spread := int64(g.polling / 5); spread > 0 {
			g.polling += time.Duration(w.rand.Int64N(spread)) - g.polling/10
		}
	}
	g.polls = w.now - time.Duration(w.rand.Int64N(int64(g.polling)+1))
}

// everywhere is the target that all clusters match.
func everywhere() []fleetyaml.Target {
	t := fleetyaml.Target{Name: "all"}
	if err := json.Unmarshal([]byte(`{"clusterSelector": {}}`), &t); err != nil {
		panic(err) // it is a constant
	}
	return []fleetyaml.Target{t}
}

// PauseGitRepo holds the service's GitRepo, or lets it go on.
func (w *World) PauseGitRepo(service rings.ServiceName, paused bool) {
	g := w.bundle(service).gitRepo
	g.paused = paused
	g.generation++
	w.touchGitRepo(g)
	if !paused && w.begun {
		w.duePoll(g)
	}
}

// RemoveGitRepo takes the service's GitRepo away. Its Bundles and what they
// deployed stay.
func (w *World) RemoveGitRepo(service rings.ServiceName) {
	g := w.bundle(service).gitRepo
	g.removed = true
	g.job = nil
	w.touchGitRepo(g)
}

// SetPolling gives the service's GitRepo another interval.
func (w *World) SetPolling(service rings.ServiceName, every time.Duration) {
	g := w.bundle(service).gitRepo
	g.polling, g.polls = every, w.now
	g.pollDue = false
	w.moved(g.repo)
	w.touchGitRepo(g)
}

// BreakJobs makes the git jobs of the service's GitRepo fail with these words,
// until they are "": a broken file of another service of it, a registry that is
// down. A failed job is not run again for that.
func (w *World) BreakJobs(service rings.ServiceName, words string) {
	w.bundle(service).gitRepo.breaks = words
}

// BreakTargets makes the next computations of the service's targets fail, until
// the words are "".
func (w *World) BreakTargets(service rings.ServiceName, words string) {
	w.bundle(service).fails = words
}

// SetMaxUnavailable gives the service's Bundle a rolloutStrategy under which so
// many clusters may be unavailable at a time; 0 takes it away.
func (w *World) SetMaxUnavailable(service rings.ServiceName, n int) {
	b := w.bundle(service)
	b.limit = n
	w.rollOn(b)
}

// fact is the GitRepo as its status shows it.
func (g *gitRepo) fact() *orchestrator.GitRepo {
	if g.removed {
		return &orchestrator.GitRepo{Gone: true}
	}
	f := &orchestrator.GitRepo{Commit: g.commit, PollError: g.pollError, Paused: g.paused, Generation: g.generation, Polling: g.polling}
	if g.failed && g.shown {
		f.JobFailed, f.JobError = true, g.words
	}
	return f
}

// fact is the Bundle as its labels and status show it.
func (b *bundle) fact() *orchestrator.Bundle {
	return &orchestrator.Bundle{Name: b.service.Bundle, Commit: b.commit, Error: b.err, MaxNonce: b.maxNonce}
}
