package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// previewer looks at git and Fleet for a rollout that is not there yet.
type previewer struct {
	*prospect
	manager *fleet.Manager
	pub     *gitrepo.Publisher
}

const (
	// lookWait bounds how long a preview waits for a repository.
	lookWait = 15 * time.Second
	// lookAtOnce is how many repositories are looked at at a time.
	lookAtOnce = 8
)

// all looks at every service once, and at every repository once for each ring
// that has clusters. What goes wrong is found in what was looked at.
func (p previewer) all(ctx context.Context) {
	p.services, p.surveys = map[rings.ServiceName]*serviceLook{}, map[orchestrator.Ref]*surveyLook{}
	var group errgroup.Group
	group.SetLimit(lookAtOnce)
	for _, g := range p.groups() {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, lookWait)
			defer cancel()
			p.survey(ctx, g)
			return nil
		})
	}
	for _, l := range p.services {
		if l.err != nil {
			continue
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, lookWait)
			defer cancel()
			l.err = p.look(ctx, l)
			return nil
		})
	}
	_ = group.Wait() // every look keeps its own error
}

// takenTags are the repositories that have the rollout's tag already: it would not
// be moved. One that cannot be asked now is not known to have it.
func (p previewer) takenTags(ctx context.Context) map[string]error {
	name, branches := p.created.Options.Tag, map[string]string{}
	for _, n := range p.created.Steps {
		if !n.Observed {
			branches[n.Target.Repo] = n.Target.Branch
		}
	}
	out := map[string]error{}
	var mu sync.Mutex // guards out
	var group errgroup.Group
	group.SetLimit(lookAtOnce)
	for repo, branch := range branches {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, lookWait)
			defer cancel()
			if commit, err := p.pub.Tagged(ctx, repo, branch, name); err == nil && commit != "" {
				mu.Lock()
				defer mu.Unlock()
				out[repo] = conflict("tags are not moved: take another name with --tag", "tag %q is on commit %s of %s already", name, short(commit), repo)
			}
			return nil
		})
	}
	_ = group.Wait() // no look fails
	return out
}

// surveyGroup are steps whose surveys are answered by one look at a repository.
type surveyGroup struct {
	ring    rings.RingName
	targets []orchestrator.Target
}

// groups prepares a look for every service and a survey for every step on a
// ring with clusters, and says which steps go together.
func (p previewer) groups() []*surveyGroup {
	var out []*surveyGroup
	known := map[[3]string]*surveyGroup{}
	for _, n := range p.created.Steps {
		if len(p.on(n.Ring)) == 0 {
			continue
		}
		if name := n.Target.Service; p.services[name] == nil {
			p.services[name] = p.begin(n.Target)
		}
		p.surveys[refOfNew(n)] = &surveyLook{}
		key := [3]string{string(n.Ring), n.Target.Repo, n.Target.Branch}
		if known[key] == nil {
			known[key] = &surveyGroup{ring: n.Ring}
			out = append(out, known[key])
		}
		known[key].targets = append(known[key].targets, n.Target)
	}
	return out
}

// begin prepares the look at a service, which fails already when the
// application has it no longer.
func (p previewer) begin(t orchestrator.Target) *serviceLook {
	s, err := p.app.Service(t.Service)
	if err != nil {
		return &serviceLook{target: t, err: err}
	}
	return &serviceLook{service: *s, target: t}
}

// survey reads what the branch gives the ring. When the repository is there,
// but something is wrong with one of several services, each is asked for alone,
// so that all that is wrong is said.
func (p previewer) survey(ctx context.Context, g *surveyGroup) {
	job := orchestrator.Job{Scope: p.created.Scope, Targets: map[rings.ServiceName]orchestrator.Target{},
		Action: orchestrator.Action{ID: "preview", Kind: orchestrator.ActSurvey, Ring: g.ring}}
	for _, t := range g.targets {
		job.Targets[t.Service] = t
		job.Action.Items = append(job.Action.Items, orchestrator.Item{Service: t.Service})
	}
	o := p.pub.Survey(ctx, job)
	if o.Result == orchestrator.Refused && len(g.targets) > 1 {
		for _, t := range g.targets {
			p.survey(ctx, &surveyGroup{g.ring, []orchestrator.Target{t}})
		}
		return
	}
	for i, t := range g.targets {
		at := p.surveys[orchestrator.Ref{Ring: g.ring, Service: t.Service}]
		if o.Result == orchestrator.OK && i < len(o.Surveys) {
			at.Survey = o.Surveys[i]
			continue
		}
		at.err = fmt.Errorf("service %q: %w", t.Service, &gitrepo.Error{Result: o.Result, Code: o.Code, Words: o.Words, Hint: o.Hint})
	}
}

// look reads a service's file, whom it reaches and what runs of it.
func (p previewer) look(ctx context.Context, l *serviceLook) (err error) {
	if l.file, err = readManifest(ctx, p.pub, l.service); err != nil {
		return err
	}
	if err := checkFolders(l.service, p.versionsOf(l.target.Service), existsIn(ctx, p.pub, l.service)); err != nil {
		return err
	}
	if l.reach, err = p.manager.Reach(ctx, p.created.Scope, l.target); err != nil {
		return err
	}
	bundle, err := p.bundle(ctx, l)
	if errors.Is(err, fleet.ErrBundle) {
		l.unseen = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	all, err := p.manager.DeployedOn(ctx, l.target.GitRepo, p.involved())
	if err != nil {
		return err
	}
	l.deployed = map[rings.ClusterName]fleet.Deployment{}
	var commits []string
	for _, d := range all {
		if d.Bundle != bundle || d.Gone {
			continue
		}
		l.deployed[d.Cluster] = d
		if d.Commit != "" && !slices.Contains(commits, d.Commit) {
			commits = append(commits, d.Commit)
		}
	}
	l.at, err = p.filesAt(ctx, l, commits)
	return err
}

// versionsOf are what the rollout would write for a service.
func (p previewer) versionsOf(service rings.ServiceName) []rings.Version {
	var out []rings.Version
	for _, n := range p.created.Steps {
		if n.Target.Service == service && !n.Observed && !slices.Contains(out, n.To) {
			out = append(out, n.To)
		}
	}
	return out
}

// filesAt is the service's file at the commits, as far as that is at hand: the
// tip's was read already.
func (p previewer) filesAt(ctx context.Context, l *serviceLook, commits []string) (map[string]*fleetyaml.File, error) {
	tip := l.file.source.Tip
	others := slices.DeleteFunc(slices.Clone(commits), func(c string) bool { return c == tip })
	at, err := p.pub.FilesAt(ctx, l.target, others)
	if err != nil {
		return nil, err
	}
	at[tip] = l.file.File
	return at, nil
}

// bundle is the name of the service's Bundle, "" if Fleet has not made it yet.
func (p previewer) bundle(ctx context.Context, l *serviceLook) (string, error) {
	repo, err := p.manager.GitRepo(ctx, l.target.GitRepo)
	if err != nil {
		return "", err
	}
	return p.manager.BundleOf(ctx, repo, l.target.Path, cmpHint(l.service.Bundle, l.file.BundleName()))
}

// underWay is what moves already: live rollouts of other applications on the
// same Fleet, and what lets nothing new start of this one.
func (p *program) underWay(ctx context.Context, a *rings.Application) ([]liveRollout, rings.Barriers, error) {
	var live []liveRollout
	var barriers rings.Barriers
	err := p.inStore(ctx, func(ctx context.Context, db *store.DB) (err error) {
		if barriers, err = db.Barriers(ctx, a.Name, p.now()); err != nil {
			return err
		}
		page, err := db.Rollouts(ctx, store.Filter{Live: true})
		if err != nil {
			return err
		}
		for _, row := range page.Rollouts {
			if row.App == a.Name {
				continue
			}
			other, err := db.App(ctx, row.App)
			if err != nil {
				return err
			}
			if other.Manager == a.Manager && other.Workspace == a.Workspace {
				live = append(live, liveRollout{row, other})
			}
		}
		return nil
	})
	return live, barriers, err
}
