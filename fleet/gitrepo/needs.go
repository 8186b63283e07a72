package gitrepo

import (
	"context"
	"path"
	"strings"

	"rollout/orchestrator"
)

// Exists fetches the branch and reports whether there is a file or a folder at
// a path of the repository. The error is an *[Error].
func (p *Publisher) Exists(ctx context.Context, repo, branch, name string) (bool, error) {
	there := false
	err := p.with(ctx, repo, branch, func(m *mirror) error {
		if err := m.fetch(ctx); err != nil {
			return err
		}
		tip, err := m.node(m.tip)
		if err != nil {
			return err
		}
		e, err := m.lookup(ctx, tip.tree, strings.Trim(path.Clean("/"+name), "/"))
		there = e.there()
		return err
	})
	return there, err
}

// ready refuses a version whose folder is not in the repository: Fleet would
// find no kustomization there, or no overlay, and deploy something else.
func (q *query) ready(ctx context.Context, m *mirror, tip *node) error {
	for _, f := range q.fields {
		needs := f.Needs(string(q.item.Version))
		if needs == "" {
			continue
		}
		at := strings.Trim(path.Join(q.target.Path, needs), "/")
		e, err := m.lookup(ctx, tip.tree, at)
		if err != nil {
			return err
		}
		if !e.there() {
			return q.refuse(orchestrator.CodeFile, "push that folder first; it redeploys every ring with the same content, so do it before the rollout",
				"branch %q has no %s, which version %s of service %q needs", m.branch, at, q.item.Version, q.item.Service)
		}
	}
	return nil
}
