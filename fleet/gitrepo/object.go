package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// node is what is needed of a commit.
type node struct {
	hash    plumbing.Hash
	tree    plumbing.Hash
	parents []plumbing.Hash
	at      time.Time // committer time
	author  string
}

// node reads a commit, plumbing.ErrObjectNotFound when it is not here and
// errBroken when it cannot be read.
func (m *mirror) node(h plumbing.Hash) (*node, error) {
	if n, ok := m.commits[h]; ok {
		return n, nil
	}
	c, err := object.GetCommit(m.store, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("commit %s: %w", h, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: commit %s: %w", errBroken, h, err)
	}
	n := &node{hash: h, tree: c.TreeHash, parents: c.ParentHashes, at: c.Committer.When,
		author: fmt.Sprintf("%s <%s>", c.Author.Name, c.Author.Email)}
	m.commits[h] = n
	return n, nil
}

// parents returns the parents that are here. A commit of which one is not is
// a cut, which is noted for deepen.
func (m *mirror) parents(n *node) (here []*node, cut bool, err error) {
	for _, h := range n.parents {
		p, err := m.node(h)
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			cut, m.cuts[n.hash] = true, true
		case err != nil:
			return nil, false, err
		default:
			here = append(here, p)
		}
	}
	return here, cut, nil
}

// read returns an object's content, fetching it when it was left out.
func (m *mirror) read(ctx context.Context, h plumbing.Hash) ([]byte, error) {
	o, err := m.store.EncodedObject(plumbing.AnyObject, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		if err := m.ensure(ctx, h); err != nil {
			return nil, err
		}
		o, err = m.store.EncodedObject(plumbing.AnyObject, h)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: object %s: %w", errBroken, h, err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("%w: object %s: %w", errBroken, h, err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("%w: object %s: %w", errBroken, h, err)
	}
	return b, nil
}

// entry is a line of a tree. The zero entry is one that is not there.
type entry struct {
	mode string
	hash plumbing.Hash
}

func (e entry) there() bool  { return e.mode != "" }
func (e entry) folder() bool { return e.mode == "40000" || e.mode == "040000" }
func (e entry) file() bool   { return strings.HasPrefix(e.mode, "100") }

type entryKey struct {
	tree plumbing.Hash
	name string
}

// lookup finds a path below a tree. Of each tree one line is read, not the
// whole of it.
func (m *mirror) lookup(ctx context.Context, tree plumbing.Hash, path string) (entry, error) {
	at := entry{mode: "40000", hash: tree}
	for _, name := range split(path) {
		if !at.folder() {
			return entry{}, nil
		}
		next, err := m.entry(ctx, at.hash, name)
		if err != nil || !next.there() {
			return entry{}, err
		}
		at = next
	}
	return at, nil
}

func (m *mirror) entry(ctx context.Context, tree plumbing.Hash, name string) (entry, error) {
	key := entryKey{tree, name}
	if e, ok := m.entries[key]; ok {
		return e, nil
	}
	raw, err := m.read(ctx, tree)
	if err != nil {
		return entry{}, err
	}
	var e entry
	if mode, at := scanTree(raw, name); at >= 0 {
		e.mode = mode
		copy(e.hash[:], raw[at:])
	}
	m.entries[key] = e
	return e, nil
}

// scanTree finds a name in a raw tree ("MODE NAME\0HASH", repeated): its mode
// and where its hash stands, -1 when it is not there.
func scanTree(raw []byte, name string) (mode string, at int) {
	for i := 0; i < len(raw); {
		space := bytes.IndexByte(raw[i:], ' ')
		zero := bytes.IndexByte(raw[i:], 0)
		if space < 0 || zero < space || i+zero+1+len(plumbing.ZeroHash) > len(raw) {
			return "", -1
		}
		if string(raw[i+space+1:i+zero]) == name {
			return string(raw[i : i+space]), i + zero + 1
		}
		i += zero + 1 + len(plumbing.ZeroHash)
	}
	return "", -1
}

// split returns a path's parts, none for the root.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
