package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// Undeployment is a service that is taken off a ring by its fleet.yaml.
type Undeployment struct {
	File   string // path in the repository
	Before []byte // as it is at the branch's tip
	*fleetyaml.Edit
	// Commit is the one that says so: ours, once it was pushed; when the file
	// says so already, the last that touched it. "" when it is still to be made.
	Commit, Author string
	// Actor is who asked for it, when Commit is one of ours that took the service
	// off the ring; else "".
	Actor string
	// Proposal is the branch that a person is to merge, nil when the service's
	// commits are pushed: until then the file says what it said, and Commit is "".
	Proposal *orchestrator.Proposal
}

// Undeploy writes what takes the job's one service off its ring, and pushes it, or
// proposes it where the service's commits are proposed; a branch that proposes
// exactly this already is the proposal. Before each push, agree is asked about
// exactly what would be pushed; its error is returned, and nothing is pushed. A nil
// agree only looks. When the file says so already, nothing is pushed either, and
// Changed is false. The error is agree's or an *[Error]; with the result Unknown the
// push may have arrived: asking again tells, and repeats nothing.
func (p *Publisher) Undeploy(ctx context.Context, j orchestrator.Job, agree func(Undeployment) error) (Undeployment, error) {
	var out Undeployment
	var refused error
	ask := agree
	if agree != nil {
		ask = func(u Undeployment) error {
			refused = agree(u)
			return refused
		}
	}
	err := p.act(ctx, j, func(m *mirror, qs []*query) (err error) {
		out, err = p.undeploy(ctx, m, j, qs[0], ask)
		return err
	})
	if refused != nil {
		return out, refused
	}
	return out, err
}

func (p *Publisher) undeploy(ctx context.Context, m *mirror, j orchestrator.Job, q *query, agree func(Undeployment) error) (Undeployment, error) {
	if agree == nil {
		if err := m.fetch(ctx); err != nil {
			return Undeployment{}, err
		}
		u, _, err := q.off(ctx, m, j)
		return u, err
	}
	for try := range p.opts.Pushes {
		if err := pause(ctx, try); err != nil {
			return Undeployment{}, err
		}
		u, err := p.pushOff(ctx, m, j, q, agree)
		if !errors.Is(err, errStale) {
			return u, err
		}
	}
	return Undeployment{}, m.contended(p.opts.Pushes)
}

// pushOff tries once. errStale means that the branch moved on.
func (p *Publisher) pushOff(ctx context.Context, m *mirror, j orchestrator.Job, q *query, agree func(Undeployment) error) (Undeployment, error) {
	adv, err := m.meet(ctx)
	if err != nil {
		return Undeployment{}, err
	}
	u, s, err := q.off(ctx, m, j)
	if err != nil || !u.Changed {
		return u, err
	}
	if err := agree(u); err != nil {
		return u, err
	}
	words := message(j, []change{{service: q.item.Service, from: s.version, off: true}})
	if q.target.Publish == rings.PublishBranch {
		u.Proposal, err = p.proposeOff(ctx, m, j, q, u, words, adv)
		return u, err
	}
	d, err := p.draft(ctx, m, map[string][]byte{u.File: u.Bytes}, words)
	if err != nil {
		return u, err
	}
	if _, err := m.push(ctx, onto(m.branch, m.tip, d), d, adv); err != nil {
		return u, proposable(err, j, q)
	}
	u.Commit, u.Author = d.commit.String(), p.opts.Author.Name
	return u, d.save(m)
}

// proposeOff finds the branch whose file is what would be written, or makes one.
func (p *Publisher) proposeOff(ctx context.Context, m *mirror, j orchestrator.Job, q *query, u Undeployment, words string, adv *packp.AdvRefs) (*orchestrator.Proposal, error) {
	name := fmt.Sprintf("rollout/%s/%s/undeploy-%s", j.Scope.App, j.Action.Ring, q.item.Service)
	found, next, err := m.proposed(name, func(commit plumbing.Hash) (bool, error) { return q.writes(ctx, m, commit, u) })
	if found != nil || err != nil {
		return found, err
	}
	return p.open(ctx, m, next, map[string][]byte{u.File: u.Bytes}, words, adv)
}

// writes reports whether the file at another branch's commit is what would be
// written.
func (q *query) writes(ctx context.Context, m *mirror, commit plumbing.Hash, u Undeployment) (bool, error) {
	if err := m.bring(ctx, commit); err != nil {
		return false, err
	}
	n, err := m.node(commit)
	if err != nil {
		return false, err
	}
	s, err := q.state(ctx, m, n)
	return err == nil && s.err == nil && s.path == u.File && bytes.Equal(s.file.Bytes(), u.Bytes), err
}

// off is what the file at the tip would become, and what it says now.
func (q *query) off(ctx context.Context, m *mirror, j orchestrator.Job) (Undeployment, *state, error) {
	tip, err := m.node(m.tip)
	if err != nil {
		return Undeployment{}, nil, err
	}
	s, err := q.state(ctx, m, tip)
	if err == nil {
		err = s.err
	}
	if err != nil {
		return Undeployment{}, nil, q.about(err)
	}
	e, err := s.file.Undeploy(fleetyaml.Change{Ring: q.ring, All: q.reach.Clusters, Targets: q.reach.Targets, Fields: q.fields})
	if err != nil {
		return Undeployment{}, nil, q.about(err)
	}
	u := Undeployment{File: s.path, Before: s.file.Bytes(), Edit: e}
	if !e.Changed {
		var last orchestrator.Survey
		if err := q.last(ctx, m, tip, &last); err != nil {
			return Undeployment{}, nil, err
		}
		u.Commit, u.Author = last.Commit, last.Author
		if u.Actor, err = q.tookOff(m, plumbing.NewHash(last.Commit), j); err != nil {
			return Undeployment{}, nil, err
		}
	}
	return u, s, nil
}

// tookOff is the actor of a commit of ours that takes the service off the job's
// ring, "" of any other.
func (q *query) tookOff(m *mirror, commit plumbing.Hash, j orchestrator.Job) (string, error) {
	c, err := object.GetCommit(m.store, commit)
	if err != nil {
		return "", err
	}
	subject, _, _ := strings.Cut(c.Message, "\n")
	ours := fmt.Sprintf("%s %s: %s", j.Scope.App, j.Action.Ring, change{service: q.item.Service, off: true})
	if !strings.HasPrefix(subject+" ", ours+" ") {
		return "", nil
	}
	return trailerOf(c.Message, "Actor"), nil
}
