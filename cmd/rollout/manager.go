package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"

	"rollout/fleet"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
)

// connectWait bounds how long a manager has to answer at first.
const connectWait = 30 * time.Second

// connect finds the manager and works in the workspace; "" is Fleet's default.
func (p *program) connect(ctx context.Context, workspace string) (*fleet.Manager, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	return fleet.Connect(ctx, fleet.Options{Kubeconfig: p.flags.kubeconfig, Context: p.flags.context, Workspace: workspace,
		UserAgent: "rollout/" + version, Log: logr.FromSlogHandler(p.log(p.stderr).Handler()), Now: p.now})
}

// managerOf connects to the application's manager, and to no other.
func (p *program) managerOf(ctx context.Context, s orchestrator.Scope) (*fleet.Manager, error) {
	if w := p.flags.namespace; w != "" && w != s.Workspace {
		return nil, invalid("leave --namespace out", "application %q lives in workspace %q, not in %q", s.App, s.Workspace, w)
	}
	m, err := p.connect(ctx, s.Workspace)
	if err != nil {
		return nil, err
	}
	id, err := m.ID(ctx)
	if err != nil {
		return nil, err
	}
	if id != s.Manager {
		return nil, invalid("name the application's manager with --kubeconfig or --context",
			"application %q belongs to the Fleet manager %s, but the one at %s is %s", s.App, s.Manager, m.Host(), id)
	}
	return m, nil
}

func scopeOf(a *rings.Application) orchestrator.Scope {
	return orchestrator.Scope{App: a.Name, Workspace: a.Workspace, Manager: a.Manager, RingLabel: a.RingLabel, Selector: a.Selector}
}

// warnOfMissing says which permissions are missing, and what for.
func (p *program) warnOfMissing(ctx context.Context, m *fleet.Manager) {
	missing, err := m.Permissions(ctx)
	if err != nil {
		p.say("warning: the permissions could not be looked at: %v", err)
	}
	for _, x := range together(missing) {
		p.warnOf(x)
	}
}

func (p *program) warnOf(x fleet.Missing) { p.say("warning: missing permission: %s (%s)", x, x.For) }

// together is the missing permissions with the verbs on one resource joined.
func together(missing []fleet.Missing) []fleet.Missing {
	var out []fleet.Missing
	for _, x := range missing {
		if n := len(out) - 1; n >= 0 && out[n].Resource == x.Resource && out[n].Namespace == x.Namespace && out[n].For == x.For {
			out[n].Verb += ", " + x.Verb
		} else {
			out = append(out, x)
		}
	}
	return out
}

// needPermissions refuses when something that a rollout cannot do without is
// not permitted, and warns of what it will do worse without.
func (p *program) needPermissions(ctx context.Context, m *fleet.Manager) error {
	missing, err := m.Permissions(ctx)
	if err != nil {
		return err
	}
	what := ""
	for _, x := range together(missing) {
		switch {
		case !x.Optional:
			what += fmt.Sprintf("\n  %s (%s)", x, x.For)
		case !x.SetUp:
			p.warnOf(x)
		}
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("missing permissions on %s: %w:%s", m.Host(), fleet.ErrForbidden, what)
}

// inventory gives the Publisher what it needs of a manager.
type inventory struct{ *fleet.Manager }

// Reach is for gitrepo.Inventory.
func (i inventory) Reach(ctx context.Context, s orchestrator.Scope, t orchestrator.Target) (gitrepo.Reach, error) {
	r, err := i.Manager.Reach(ctx, s, t)
	return gitrepo.Reach(r), refusedReach(t.Service, err)
}

// refusedReach names what trying again does not mend, such as a GitRepo that
// is not there. What it does not name is tried again.
func refusedReach(service rings.ServiceName, err error) error {
	if err == nil {
		return nil
	}
	o := fleet.Outcome(err)
	if o.Result != orchestrator.Refused || o.Code == orchestrator.CodeUnexpected {
		return err
	}
	return &gitrepo.Error{Result: o.Result, Code: o.Code, Words: o.Words, Hint: classify(err).hint, Services: []rings.ServiceName{service}}
}

func (p *program) publisher(m *fleet.Manager) *gitrepo.Publisher {
	author := gitrepo.Identity{Name: p.getenv("GIT_AUTHOR_NAME"), Email: p.getenv("GIT_AUTHOR_EMAIL")}
	return gitrepo.New(gitrepo.Options{Dir: filepath.Join(p.cacheFolder(), "git"), Inventory: inventory{m}, Getenv: p.getenv, Now: p.now,
		Author: author, Committer: gitrepo.Identity{
			Name: cmp.Or(p.getenv("GIT_COMMITTER_NAME"), author.Name), Email: cmp.Or(p.getenv("GIT_COMMITTER_EMAIL"), author.Email)}})
}
