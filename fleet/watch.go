package fleet

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"rollout/orchestrator"
)

var _ orchestrator.Fleet = (*Manager)(nil)

// heardEvery is how often facts are sent that differ in Heard only.
const heardEvery = 5 * time.Second

// Watch implements orchestrator.Fleet. The error wraps ErrForbidden,
// ErrCredentials or ErrNoFleet. The sink is called from the caller's goroutine
// and may block: what happens meanwhile is sent afterwards, the latest only.
// Nothing is sent, and nothing of it runs, once Watch has returned. Watches of
// several rings of one application may run at once; each lists and watches for
// itself.
func (m *Manager) Watch(ctx context.Context, w orchestrator.Watch, sink func([]orchestrator.Fact)) error {
	if len(w.Targets) == 0 {
		<-ctx.Done()
		return nil
	}
	outer := ctx
	ctx, give := context.WithCancelCause(klog.NewContext(ctx, m.log))
	f := &feed{tracker: newTracker(w.Ring, w.Targets), wake: make(chan struct{}, 1), now: m.now}
	var running sync.WaitGroup
	sources := m.sources(w, f, give)
	f.unlisted = len(sources)
	for _, run := range sources {
		running.Go(func() { run(ctx) })
	}
	f.pump(ctx, sink)
	give(nil)
	running.Wait()
	if outer.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// feed is the tracker between the sources, which fill it, and the pump.
type feed struct {
	now  func() time.Time
	wake chan struct{} // something is to be sent

	mu       sync.Mutex // guards what follows
	tracker  *tracker
	unlisted int // kinds that were not listed yet
}

// change lets do change the tracker and wakes the pump.
func (f *feed) change(do func(t *tracker)) {
	f.mu.Lock()
	do(f.tracker)
	more, heard := f.tracker.pending()
	f.mu.Unlock()
	if more || heard {
		f.signal()
	}
}

func (f *feed) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// listed says that one more kind was listed.
func (f *feed) listed() {
	f.mu.Lock()
	f.unlisted--
	f.mu.Unlock()
	f.signal()
}

// pump sends facts until ctx ends: changes at once, signs of life every few
// seconds.
func (f *feed) pump(ctx context.Context, sink func([]orchestrator.Fact)) {
	tick := time.NewTimer(0)
	if !tick.Stop() {
		<-tick.C
	}
	defer tick.Stop()
	armed := false
	for {
		heard := false
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-tick.C:
			heard, armed = true, false
		}
		facts, later := f.take(heard)
		if later && !armed {
			tick.Reset(heardEvery)
			armed = true
		}
		if len(facts) > 0 && ctx.Err() == nil {
			sink(facts)
		}
	}
}

// take returns what is to be sent now, and whether there are signs of life for
// later. There is nothing before every kind was listed.
func (f *feed) take(heard bool) (facts []orchestrator.Fact, later bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unlisted > 0 {
		return nil, false
	}
	facts = f.tracker.facts(heard)
	_, later = f.tracker.pending()
	return facts, later
}

// seenAt is the time of a live event, or zero for a listed one.
func (f *feed) seenAt(live bool) time.Time {
	if !live {
		return time.Time{}
	}
	return f.now()
}

// sources are the four kinds that a rollout watches.
func (m *Manager) sources(w orchestrator.Watch, f *feed, give func(error)) []func(context.Context) {
	repos := gitRepoNames(w.Targets)
	deployments := newDeployments(m, w, f, give)

	bundles := newSource(m, "bundles", (*wireBundle).record)
	bundles.namespace, bundles.labelSelector = w.Scope.Workspace, byRepo(w)
	bind(bundles, f, give, func(t *tracker, b bundle, _ bool) { t.setBundle(b) },
		func(t *tracker, b bundle) { t.deleteBundle(b.name) },
		func(t *tracker) []bundle { return slices.Collect(maps.Values(t.bundles)) }, func(b bundle) any { return b.name })

	gitRepos := newSource(m, "gitrepos", (*wireGitRepo).record)
	gitRepos.namespace = w.Scope.Workspace
	if len(repos) == 1 {
		gitRepos.fieldSelect = fields.OneTermEqualSelector("metadata.name", repos[0]).String()
	}
	bind(gitRepos, f, give, func(t *tracker, g gitRepo, _ bool) { t.setGitRepo(g) },
		func(t *tracker, g gitRepo) { t.deleteGitRepo(g.name) },
		func(t *tracker) []gitRepo { return slices.Collect(maps.Values(t.repos)) }, func(g gitRepo) any { return g.name })

	clusters := newSource(m, "clusters", (*wireCluster).record)
	clusters.namespace = w.Scope.Workspace
	clusters.labelSelector = labels.SelectorFromSet(w.Scope.Labels(w.Ring)).String()
	bind(clusters, f, give, func(t *tracker, c member, _ bool) {
		t.setMember(c)
		deployments.plan(t)
		m.forgetReach(w.Scope.Workspace)
	},
		func(t *tracker, c member) { t.deleteMember(c.name); m.forgetReach(w.Scope.Workspace) },
		func(t *tracker) []member { return slices.Collect(maps.Values(t.members)) }, func(c member) any { return c.name })
	replace, listed := clusters.replace, sync.OnceFunc(func() { close(deployments.listed) })
	clusters.replace = func(list []member) { replace(list); listed() }

	return []func(context.Context){deployments.run, bundles.run, gitRepos.run, clusters.run}
}

// byRepo selects what belongs to the GitRepos of the watched services.
func byRepo(w orchestrator.Watch) string {
	return "fleet.cattle.io/repo-name in (" + strings.Join(gitRepoNames(w.Targets), ",") + ")"
}

// bind lets a source change the tracker. have returns what the tracker has of
// the kind and id names one, to find what a list does not have any more.
func bind[R any](s *source[R], f *feed, give func(error), set func(*tracker, R, bool), remove func(*tracker, R),
	have func(*tracker) []R, id func(R) any) {
	s.give = give
	s.set = func(r R, live bool) { f.change(func(t *tracker) { set(t, r, live) }) }
	s.delete = func(r R) { f.change(func(t *tracker) { remove(t, r) }) }
	s.listed = sync.OnceFunc(f.listed)
	s.replace = func(list []R) {
		f.change(func(t *tracker) {
			there := make(map[any]struct{}, len(list))
			for _, r := range list {
				there[id(r)] = struct{}{}
			}
			for _, r := range have(t) {
				if _, ok := there[id(r)]; !ok {
					remove(t, r)
				}
			}
			for _, r := range list {
				set(t, r, false)
			}
		})
		s.listed()
	}
}

// placed is a deployment with its key.
type placed struct {
	key
	deployment
}

// placed are the deployments that are known, of one cluster or of all.
func (t *tracker) placed(cluster *text) []placed {
	out := make([]placed, 0, len(t.deployments))
	for k, d := range t.deployments {
		if cluster == nil || k.cluster == *cluster {
			out = append(out, placed{k, d})
		}
	}
	return out
}

func gitRepoNames(targets []orchestrator.Target) []string {
	names := map[string]bool{}
	for _, t := range targets {
		names[t.GitRepo] = true
	}
	return slices.Sorted(maps.Keys(names))
}
