package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Identity is a commit's author or committer.
type Identity struct{ Name, Email string }

// Options configure a [Publisher].
type Options struct {
	// Dir holds the mirrors. It is made when it is not there.
	Dir string
	// Inventory says which clusters a file reaches; Survey and Publish need it.
	Inventory Inventory
	// Author and Committer of our commits. A zero Author is "rollout", a zero
	// Committer the author.
	Author, Committer Identity
	// Getenv reads the environment; nil means os.Getenv. Credentials, HOME and
	// SSH_AUTH_SOCK come from it.
	Getenv func(string) string
	// Now is the commits' time; nil means time.Now.
	Now func() time.Time
	// Pushes bounds the tries of one Publish when others push at the same
	// time; zero means 8.
	Pushes int
}

const defaultPushes = 8

// Publisher implements orchestrator.Publisher on real repositories, over
// HTTP(S) and SSH. It is safe for concurrent use, also with other processes on
// the same folder.
type Publisher struct {
	opts      Options
	transport *http.Transport

	mu    sync.Mutex
	known map[string]credential // by scheme and host: what the server took last
}

var _ orchestrator.Publisher = (*Publisher)(nil)

// New returns a Publisher. It touches nothing until the first call.
func New(o Options) *Publisher {
	if o.Author == (Identity{}) {
		o.Author = Identity{Name: "rollout", Email: "rollout@localhost"}
	}
	if o.Committer == (Identity{}) {
		o.Committer = o.Author
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pushes <= 0 {
		o.Pushes = defaultPushes
	}
	return &Publisher{opts: o, known: map[string]credential{},
		transport: http.DefaultTransport.(*http.Transport).Clone()}
}

// Close drops idle connections. The Publisher may be used again.
func (p *Publisher) Close() error {
	p.transport.CloseIdleConnections()
	return nil
}

// Survey fetches the branch and answers one survey an item; see
// orchestrator.Publisher.
func (p *Publisher) Survey(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	var surveys []orchestrator.Survey
	err := p.act(ctx, j, func(m *mirror, qs []*query) error {
		if err := m.fetch(ctx); err != nil {
			return err
		}
		var err error
		surveys, err = surveyAll(ctx, m, qs)
		return err
	})
	return outcome(j, surveys, err)
}

// Publish makes the items' versions and nonces hold on the branch, or proposes
// them on one of their own; see orchestrator.Publisher.
func (p *Publisher) Publish(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	var surveys []orchestrator.Survey
	var proposal *orchestrator.Proposal
	err := p.act(ctx, j, func(m *mirror, qs []*query) (err error) {
		if qs[0].target.Publish == rings.PublishBranch {
			surveys, proposal, err = p.propose(ctx, m, j, qs)
			return err
		}
		surveys, err = p.publish(ctx, m, j, qs)
		return err
	})
	out := outcome(j, surveys, err)
	out.Proposal = proposal
	return out
}

// act runs f on the mirror of the job's repository.
func (p *Publisher) act(ctx context.Context, j orchestrator.Job, f func(*mirror, []*query) error) error {
	qs, err := p.queries(ctx, j)
	if err != nil {
		return err
	}
	t := qs[0].target
	return p.with(ctx, t.Repo, t.Branch, func(m *mirror) error { return f(m, qs) })
}

// with opens the mirror, under its lock, and runs f. A mirror that turns out
// to be broken is cloned anew, once.
func (p *Publisher) with(ctx context.Context, repo, branch string, f func(*mirror) error) error {
	r, err := parseRemote(repo)
	if err != nil {
		return err
	}
	place := filepath.Join(p.opts.Dir, r.slug(branch))
	unlock, err := lock(ctx, place+".lock")
	if err != nil {
		return r.fail(ctx, fmt.Errorf("lock of mirror %q: %w", filepath.Base(place), err))
	}
	defer unlock()
	m := &mirror{dir: place + ".git", remote: r, branch: branch, link: p.dial(r)}
	defer m.close()
	err = m.run(ctx, f)
	if errors.Is(err, errBroken) {
		if err := m.discard(); err != nil {
			return r.fail(ctx, err)
		}
		err = m.run(ctx, f)
	}
	return r.fail(ctx, err)
}

// outcome turns an error into an answer; surveys are kept beside a refusal.
func outcome(j orchestrator.Job, surveys []orchestrator.Survey, err error) orchestrator.Outcome {
	out := orchestrator.Outcome{Action: j.Action.ID, Result: orchestrator.OK, Surveys: surveys}
	if err == nil {
		return out
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Result: orchestrator.Refused, Code: orchestrator.CodeUnexpected, Words: redact(err.Error())}
	}
	out.Result, out.Code, out.Words, out.Hint, out.Services = e.Result, e.Code, e.Error(), e.Hint, e.Services
	return out
}
