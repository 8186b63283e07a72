package gitrepo

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// File is a file at a branch's tip.
type File struct {
	Name   string // path in the repository
	Bytes  []byte
	Tip    string    // the branch's tip
	Commit string    // the last commit that touched it, or the oldest known one to hold it so
	Author string    // of Commit; "unknown" when it lies behind 500 commits
	At     time.Time // of Commit
}

// CheckPush sees whether the credentials may fetch the branch and open a push,
// without pushing anything. That a protected branch refuses the push itself
// does not show. The error is an *[Error].
func (p *Publisher) CheckPush(ctx context.Context, repo, branch string) error {
	r, err := parseRemote(repo)
	if err != nil {
		return err
	}
	m := &mirror{remote: r, branch: branch, link: p.dial(r)}
	defer m.close()
	if _, err := m.advertised(ctx); err != nil {
		return r.fail(ctx, err)
	}
	adv, err := m.link.refs(ctx, transport.ReceivePackServiceName)
	if errors.Is(err, transport.ErrRepositoryNotFound) {
		err = r.denied("it can be read, but not pushed to")
	}
	if err == nil && adv.References[m.ref().String()].IsZero() {
		err = m.noBranch()
	}
	return r.fail(ctx, err)
}

// Read fetches the branch and returns the fleet.yaml (or fleet.yml) of a
// folder. The error is an *[Error], with CodeNotFound when there is none.
func (p *Publisher) Read(ctx context.Context, repo, branch, folder string) (File, error) {
	var out File
	err := p.with(ctx, repo, branch, func(m *mirror) error {
		if err := m.fetch(ctx); err != nil {
			return err
		}
		tip, err := m.node(m.tip)
		if err != nil {
			return err
		}
		at, _, err := find(ctx, m, tip.tree, folder)
		if err != nil {
			return err
		}
		out, err = m.file(ctx, at)
		return err
	})
	return out, err
}

// ReadFile fetches the branch and returns the file at a path of the
// repository. The error is an *[Error], with CodeNotFound when there is none.
func (p *Publisher) ReadFile(ctx context.Context, repo, branch, name string) (File, error) {
	var out File
	err := p.with(ctx, repo, branch, func(m *mirror) error {
		if err := m.fetch(ctx); err != nil {
			return err
		}
		var err error
		out, err = m.file(ctx, strings.Trim(path.Clean("/"+name), "/"))
		return err
	})
	return out, err
}

// file reads a file at the tip, and who touched it last.
func (m *mirror) file(ctx context.Context, at string) (File, error) {
	tip, err := m.node(m.tip)
	if err != nil {
		return File{}, err
	}
	e, err := m.lookup(ctx, tip.tree, at)
	if err != nil {
		return File{}, err
	}
	if !e.file() {
		return File{}, m.noFile(at)
	}
	src, err := m.read(ctx, e.hash)
	if err != nil {
		return File{}, err
	}
	n, known, err := m.touched(ctx, m.tip, func(n *node) (string, error) {
		e, err := m.lookup(ctx, n.tree, at)
		return e.hash.String(), err
	})
	if err != nil {
		return File{}, err
	}
	f := File{Name: at, Bytes: src, Tip: m.tip.String(), Commit: n.hash.String(), Author: n.author, At: n.at.UTC()}
	if !known {
		f.Author = unknownAuthor
	}
	return f, nil
}
