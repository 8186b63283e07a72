package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"

	"rollout/orchestrator"
)

// Tag puts an annotated tag on the action's commit; see orchestrator.Publisher.
// A tag is never moved.
func (p *Publisher) Tag(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	t := j.Targets[j.Action.Items[0].Service]
	err := p.with(ctx, t.Repo, t.Branch, func(m *mirror) error { return p.tag(ctx, m, j) })
	return outcome(j, nil, err)
}

// Tagged returns the commit that the repository's tag of that name is on; "" when
// there is none. It asks the server.
func (p *Publisher) Tagged(ctx context.Context, repo, branch, name string) (commit string, err error) {
	err = p.with(ctx, repo, branch, func(m *mirror) error {
		commit, err = m.tagged(ctx, name)
		return err
	})
	return commit, err
}

// tag looks, pushes, and looks again when somebody else was faster.
func (p *Publisher) tag(ctx context.Context, m *mirror, j orchestrator.Job) error {
	for try := range p.opts.Pushes {
		if err := pause(ctx, try); err != nil {
			return err
		}
		is, err := m.tagged(ctx, j.Action.Tag)
		if err != nil || is == j.Action.Commit {
			return err
		}
		if is != "" {
			return refusal(orchestrator.CodeConflict, "tags are not moved: take another name the next time", "tag %q is there already, on commit %.8s", j.Action.Tag, is)
		}
		if err = p.pushTag(ctx, m, j); !errors.Is(err, errStale) {
			return err
		}
	}
	return m.contended(p.opts.Pushes)
}

// tagged returns the commit that the server's tag of that name is on; "" when
// there is none.
func (m *mirror) tagged(ctx context.Context, name string) (string, error) {
	adv, err := m.link.refs(ctx, transport.UploadPackServiceName)
	if err != nil {
		return "", err
	}
	ref := string(plumbing.NewTagReferenceName(name))
	if commit, annotated := adv.Peeled[ref]; annotated {
		return commit.String(), nil
	}
	if commit, there := adv.References[ref]; there {
		return commit.String(), nil
	}
	return "", nil
}

func (p *Publisher) pushTag(ctx context.Context, m *mirror, j orchestrator.Job) error {
	adv, err := m.link.refs(ctx, transport.ReceivePackServiceName)
	if err != nil {
		return err
	}
	d := &draft{objects: memory.NewStorage()}
	now := p.opts.Now().UTC().Truncate(time.Second)
	t := object.Tag{Name: j.Action.Tag, Tagger: p.opts.Committer.signature(now), TargetType: plumbing.CommitObject, Target: plumbing.NewHash(j.Action.Commit),
		Message: fmt.Sprintf("%s: rolled out up to %s\n\nRollout: %s\nActor: %s\n", j.Scope.App, j.Action.Ring, j.Rollout, j.Actor)}
	o := &plumbing.MemoryObject{}
	if err := t.Encode(o); err != nil {
		return fmt.Errorf("tag: %w", err)
	}
	hash, err := d.add(o)
	if err != nil {
		return err
	}
	_, err = m.push(ctx, &packp.Command{Name: plumbing.NewTagReferenceName(j.Action.Tag), Old: plumbing.ZeroHash, New: hash}, d, adv)
	return err
}
