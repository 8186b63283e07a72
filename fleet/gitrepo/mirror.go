package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// mirror is the local copy of one branch, opened for one call under its lock.
type mirror struct {
	dir    string
	remote *remote
	branch string
	link   link

	store *filesystem.Storage
	tip   plumbing.Hash
	adv   *packp.AdvRefs           // of git-upload-pack, nil until it was asked
	refs  map[string]plumbing.Hash // that the server advertised together with the tip

	commits map[plumbing.Hash]*node // read so far
	entries map[entryKey]entry      // looked up so far
	cuts    map[plumbing.Hash]bool  // commits with a parent that is not here
	whole   bool                    // deepened to the root
	fresh   bool                    // cloned in this call: a fetch would bring nothing
}

// maxPacks is how many packs a mirror gathers, one a fetch, before it is
// cloned anew: looking an object up asks every pack.
const maxPacks = 200

// keepAll marks a mirror of a server that offers a filter but does not hand
// out what it left out.
const keepAll = "rollout-keep-blobs"

// run opens the mirror and calls f.
func (m *mirror) run(ctx context.Context, f func(*mirror) error) error {
	if err := m.open(ctx); err != nil {
		return err
	}
	err := f(m)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return err
}

// open opens the mirror. One that is not there, broken or too scattered is
// cloned.
func (m *mirror) open(ctx context.Context) error {
	m.forget()
	if m.load() == nil && !m.scattered() {
		return m.sweep(filepath.Join(m.dir, "objects", "pack", "tmp_pack_*"))
	}
	m.forget()
	return m.clone(ctx)
}

func (m *mirror) forget() {
	m.closeStore()
	m.store, m.tip, m.adv, m.whole, m.fresh = nil, plumbing.ZeroHash, nil, false, false
	m.commits, m.entries = map[plumbing.Hash]*node{}, map[entryKey]entry{}
	m.cuts = map[plumbing.Hash]bool{}
}

// load reads what is on disk, as far as the tip's tree.
func (m *mirror) load() error {
	if _, err := os.Stat(m.dir); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	m.store = storage(m.dir)
	ref, err := m.store.Reference(m.ref())
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	m.tip = ref.Hash()
	n, err := m.node(m.tip)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if err := m.store.HasEncodedObject(n.tree); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// storage opens a repository. With ExclusiveAccess go-git 5.19 would not find
// packed objects (HasEncodedObject).
func storage(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRUDefault(),
		filesystem.Options{KeepDescriptors: true})
}

func (m *mirror) ref() plumbing.ReferenceName {
	return plumbing.NewBranchReferenceName(m.branch)
}

func (m *mirror) scattered() bool {
	packs, err := filepath.Glob(filepath.Join(m.dir, "objects", "pack", "*.pack"))
	return err == nil && len(packs) > maxPacks
}

// clone makes the mirror beside its place and moves it there when it is
// complete, so that a kill leaves nothing that looks like a mirror.
func (m *mirror) clone(ctx context.Context) error {
	kept := m.keepsBlobs()
	if err := m.sweep(filepath.Join(filepath.Dir(m.dir), m.tmpPrefix()+"*")); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(m.dir), m.tmpPrefix())
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if err := m.fill(ctx, tmp, kept); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	m.closeStore()
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if err := os.Rename(tmp, m.dir); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	m.store, m.fresh = storage(m.dir), true
	return nil
}

func (m *mirror) fill(ctx context.Context, tmp string, keepBlobs bool) error {
	m.store = storage(tmp)
	if err := m.initialise(); err != nil {
		return err
	}
	if keepBlobs {
		if err := os.WriteFile(filepath.Join(tmp, keepAll), nil, 0o600); err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
	}
	tip, err := m.advertised(ctx)
	if err != nil {
		return err
	}
	if err := m.pull(ctx, order{wants: []plumbing.Hash{tip}, depth: 1, noBlobs: m.partial() && !keepBlobs}); err != nil {
		return err
	}
	return m.moveTo(tip)
}

// initialise writes what makes the folder a repository, for git's own
// commands too.
func (m *mirror) initialise() error {
	if _, err := git.InitWithOptions(m.store, nil, git.InitOptions{DefaultBranch: m.ref()}); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	c := config.NewConfig()
	c.Core.IsBare = true
	c.Remotes["origin"] = &config.RemoteConfig{Name: "origin", URLs: []string{m.remote.name}}
	if err := m.store.SetConfig(c); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	return nil
}

// moveTo makes a commit the mirror's tip.
func (m *mirror) moveTo(tip plumbing.Hash) error {
	if err := m.store.SetReference(plumbing.NewHashReference(m.ref(), tip)); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	m.tip = tip
	return nil
}

func (m *mirror) tmpPrefix() string {
	return strings.TrimSuffix(filepath.Base(m.dir), ".git") + ".tmp-"
}

// sweep removes what killed clones and fetches left. The lock is ours, so
// nobody is at it.
func (m *mirror) sweep(pattern string) error {
	left, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	for _, name := range left {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
	}
	return nil
}

func (m *mirror) keepsBlobs() bool {
	_, err := os.Stat(filepath.Join(m.dir, keepAll))
	return err == nil
}

// discard removes the mirror.
func (m *mirror) discard() error {
	m.closeStore()
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("broken mirror: %w", err)
	}
	return nil
}

// close gives descriptors and connections back; the mirror may be opened again.
func (m *mirror) close() {
	m.closeStore()
	m.link.close()
}

func (m *mirror) closeStore() {
	if m.store != nil {
		_ = m.store.Close() // opened for reading
		m.store = nil
	}
}
