package gitrepo

import (
	"context"

	"rollout/orchestrator"
)

// Draft does all of a Publish that needs no network: open the mirror, read,
// edit, write the commit and its pack.
func (p *Publisher) Draft(ctx context.Context, j orchestrator.Job) (objects int, err error) {
	err = p.act(ctx, j, func(m *mirror, qs []*query) error {
		if _, err := surveyAll(ctx, m, qs); err != nil {
			return err
		}
		files, changes, err := edits(ctx, m, qs)
		if err != nil {
			return err
		}
		d, err := p.draft(ctx, m, files, message(j, changes))
		if err != nil {
			return err
		}
		objects = len(d.hashes)
		_, err = d.pack()
		return err
	})
	return objects, err
}
