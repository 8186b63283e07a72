package gitrepo

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
)

// FilesAt returns a service's fleet.yaml, with the values files that it names,
// as it was at each of the commits. It looks at the history that is at hand and
// fetches none: commits that are not in it are left out, and so are those
// without the file, or with one that cannot be read. The error is an *[Error].
func (p *Publisher) FilesAt(ctx context.Context, t orchestrator.Target, commits []string) (map[string]*fleetyaml.File, error) {
	out := map[string]*fleetyaml.File{}
	if len(commits) == 0 {
		return out, nil
	}
	err := p.with(ctx, t.Repo, t.Branch, func(m *mirror) error {
		q := &query{target: t, parsed: map[string]*state{}, states: map[string]*state{}}
		for _, c := range commits {
			file, err := q.fileAt(ctx, m, c)
			if err != nil {
				return err
			}
			if file != nil {
				out[c] = file
			}
		}
		return nil
	})
	return out, err
}

// fileAt returns nil for what is not at hand.
func (q *query) fileAt(ctx context.Context, m *mirror, commit string) (*fleetyaml.File, error) {
	n, err := m.node(plumbing.NewHash(commit))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := q.state(ctx, m, n)
	if err != nil {
		return nil, err
	}
	return s.file, nil
}
