package gitrepo

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Folders fetches the branch and returns every folder with a fleet.yaml (or
// fleet.yml) at its tip, sorted; "" is the root. The cost follows the number of
// folders. The error is an *[Error].
func (p *Publisher) Folders(ctx context.Context, repo, branch string) ([]string, error) {
	var out []string
	err := p.with(ctx, repo, branch, func(m *mirror) error {
		out = nil
		if err := m.fetch(ctx); err != nil {
			return err
		}
		tip, err := m.node(m.tip)
		if err != nil {
			return err
		}
		out, err = m.folders(ctx, tip.tree, "", nil)
		return err
	})
	slices.Sort(out)
	return out, err
}

// folders adds those at and below a tree.
func (m *mirror) folders(ctx context.Context, tree plumbing.Hash, at string, out []string) ([]string, error) {
	raw, err := m.read(ctx, tree)
	if err != nil {
		return nil, err
	}
	found := false
	for {
		name, e, rest := cutLine(raw)
		switch {
		case !e.there():
			return out, nil
		case e.file() && slices.Contains(names, name) && !found:
			out, found = append(out, at), true
		case e.folder():
			if out, err = m.folders(ctx, e.hash, path.Join(at, name), out); err != nil {
				return nil, err
			}
		}
		raw = rest
	}
}

// cutLine takes the first line off a raw tree; the entry is zero at its end.
func cutLine(raw []byte) (name string, e entry, rest []byte) {
	zero := bytes.IndexByte(raw, 0)
	end := zero + 1 + len(plumbing.ZeroHash)
	if zero < 0 || end > len(raw) {
		return "", entry{}, nil
	}
	mode, of, _ := strings.Cut(string(raw[:zero]), " ")
	e = entry{mode: mode}
	copy(e.hash[:], raw[zero+1:end])
	return of, e, raw[end:]
}
