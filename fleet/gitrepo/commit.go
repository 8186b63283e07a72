package gitrepo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"rollout/orchestrator"
	"rollout/rings"
)

// draft is a commit that is not pushed yet, with all its new objects and no
// other.
type draft struct {
	objects *memory.Storage
	hashes  []plumbing.Hash
	commit  plumbing.Hash
}

// draft writes files over those at the tip, and the commit.
func (p *Publisher) draft(ctx context.Context, m *mirror, files map[string][]byte, message string) (*draft, error) {
	tip, err := m.node(m.tip)
	if err != nil {
		return nil, err
	}
	d := &draft{objects: memory.NewStorage()}
	tree, err := d.tree(ctx, m, tip.tree, files)
	if err != nil {
		return nil, err
	}
	now := p.opts.Now().UTC().Truncate(time.Second)
	c := object.Commit{TreeHash: tree, ParentHashes: []plumbing.Hash{m.tip}, Message: message,
		Author: p.opts.Author.signature(now), Committer: p.opts.Committer.signature(now)}
	o := &plumbing.MemoryObject{}
	if err := c.Encode(o); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	d.commit, err = d.add(o)
	return d, err
}

func (i Identity) signature(at time.Time) object.Signature {
	return object.Signature{Name: i.Name, Email: i.Email, When: at}
}

func (d *draft) add(o plumbing.EncodedObject) (plumbing.Hash, error) {
	h, err := d.objects.SetEncodedObject(o)
	if err != nil {
		return h, fmt.Errorf("new object: %w", err)
	}
	d.hashes = append(d.hashes, h)
	return h, nil
}

func (d *draft) write(t plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	o := &plumbing.MemoryObject{}
	o.SetType(t)
	if _, err := o.Write(content); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("new object: %w", err)
	}
	return d.add(o)
}

// tree writes a tree in which the files (by path below it) are replaced. The
// names and modes stay as they are: only hashes change, in their places.
func (d *draft) tree(ctx context.Context, m *mirror, old plumbing.Hash, files map[string][]byte) (plumbing.Hash, error) {
	raw, err := m.read(ctx, old)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	raw = slices.Clone(raw)
	below := byFolder(files)
	for _, name := range slices.Sorted(maps.Keys(below)) {
		_, at := scanTree(raw, name)
		if at < 0 {
			return plumbing.ZeroHash, fmt.Errorf("tree %s has no %q", old, name)
		}
		var h plumbing.Hash
		if content, leaf := files[name]; leaf {
			h, err = d.write(plumbing.BlobObject, content)
		} else {
			copy(h[:], raw[at:])
			h, err = d.tree(ctx, m, h, below[name])
		}
		if err != nil {
			return plumbing.ZeroHash, err
		}
		copy(raw[at:], h[:])
	}
	return d.write(plumbing.TreeObject, raw)
}

// byFolder groups paths by their first part.
func byFolder(files map[string][]byte) map[string]map[string][]byte {
	out := map[string]map[string][]byte{}
	for path, content := range files {
		first, rest, _ := strings.Cut(path, "/")
		if out[first] == nil {
			out[first] = map[string][]byte{}
		}
		out[first][rest] = content
	}
	return out
}

// save puts the draft's objects into the mirror, once the server has them.
func (d *draft) save(m *mirror) error {
	for _, h := range d.hashes {
		o, err := d.objects.EncodedObject(plumbing.AnyObject, h)
		if err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
		if _, err := m.store.SetEncodedObject(o); err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
	}
	return m.moveTo(d.commit)
}

// change is one service's part of a commit, for its message.
type change struct {
	service  rings.ServiceName
	from, to rings.Version
	settings []orchestrator.Changed
	off      bool // it is taken off the ring
}

// String is the change as a subject line says it.
func (c change) String() string {
	switch {
	case c.off:
		return strings.Join(strings.Fields(fmt.Sprintf("undeploy %s %s", c.service, c.from)), " ")
	case len(c.settings) > 0:
		return settingsChange(c)
	case c.from == c.to:
		return fmt.Sprintf("%s %s again", c.service, c.to)
	case c.from == "":
		return fmt.Sprintf("%s -> %s", c.service, c.to)
	}
	return fmt.Sprintf("%s %s -> %s", c.service, c.from, c.to)
}

// settingsChange is a change of settings, with the version where that changes,
// too.
func settingsChange(c change) string {
	words := orchestrator.SettingWords(c.settings)
	if c.from == c.to {
		return fmt.Sprintf("%s %s", c.service, words)
	}
	c.settings = nil
	return fmt.Sprintf("%s, %s", c, words)
}

// message is the commit's message, with trailers for machines.
func message(j orchestrator.Job, changes []change) string {
	parts := make([]string, len(changes))
	for i, c := range changes {
		parts[i] = c.String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", j.Scope.App, j.Action.Ring, strings.Join(parts, ", "))
	if reason := strings.TrimSpace(j.Action.Reason); reason != "" {
		fmt.Fprintf(&b, "\n%s\n", reason)
	}
	b.WriteString("\n")
	trailer(&b, "Rollout", string(j.Rollout))
	trailer(&b, "Ring", string(j.Action.Ring))
	for _, c := range changes {
		trailer(&b, "Service", string(c.service))
	}
	trailer(&b, "Actor", j.Actor)
	trailer(&b, "Link", j.Link)
	return b.String()
}

// trailerOf is the value of a trailer of a message, "" when there is none.
func trailerOf(message, key string) string {
	for line := range strings.Lines(message) {
		if value, ours := strings.CutPrefix(line, key+": "); ours {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func trailer(b *strings.Builder, key, value string) {
	if value = oneLine(value); value != "" {
		fmt.Fprintf(b, "%s: %s\n", key, value)
	}
}
