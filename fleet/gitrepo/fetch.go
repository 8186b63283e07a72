package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"rollout/orchestrator"
	"rollout/rings"
)

// steps are the depths in which missing history is fetched; the last one is
// git's word for all of it.
var steps = [...]int{50, 500, 5000, 0x7fffffff}

// fetch brings the mirror to the branch's tip. It has no depth: what came
// after the first clone must be whole, or ancestry could not be decided.
func (m *mirror) fetch(ctx context.Context) error {
	if m.fresh {
		m.fresh = false
		return nil
	}
	tip, err := m.advertised(ctx)
	if err != nil {
		return err
	}
	return m.follow(ctx, tip)
}

// follow brings the mirror to a tip that the server advertised.
func (m *mirror) follow(ctx context.Context, tip plumbing.Hash) error {
	if tip == m.tip {
		return nil
	}
	if err := m.upload(ctx); err != nil {
		return err
	}
	if m.store.HasEncodedObject(tip) != nil {
		o := order{wants: []plumbing.Hash{tip}, haves: m.haves(), noBlobs: m.leavesBlobs()}
		if err := m.pull(ctx, o); err != nil {
			return err
		}
	}
	return m.moveTo(tip)
}

// haves are the tip and some commits before it, so that a server that forgot
// the tip, after a forced push, still finds what we have in common.
func (m *mirror) haves() []plumbing.Hash {
	var out []plumbing.Hash
	for h := m.tip; len(out) < maxHaves; {
		n, err := m.node(h)
		if err != nil {
			break // a cut
		}
		out = append(out, h)
		if len(n.parents) == 0 {
			break
		}
		h = n.parents[0]
	}
	return out
}

const maxHaves = 32

// upload opens git-upload-pack, once a call.
func (m *mirror) upload(ctx context.Context) error {
	if m.adv != nil {
		return nil
	}
	adv, err := m.link.refs(ctx, transport.UploadPackServiceName)
	if err != nil {
		return err
	}
	m.adv = adv
	return nil
}

// advertised asks the server for the branch's tip.
func (m *mirror) advertised(ctx context.Context) (plumbing.Hash, error) {
	m.adv = nil
	if err := m.upload(ctx); err != nil {
		return plumbing.ZeroHash, err
	}
	tip, ok := m.adv.References[m.ref().String()]
	if !ok {
		return plumbing.ZeroHash, m.noBranch()
	}
	m.refs = m.adv.References
	return tip, nil
}

func (m *mirror) noBranch() error {
	var names []string
	for name := range m.adv.References {
		if b, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			names = append(names, b)
		}
	}
	slices.Sort(names)
	hint := "the repository has no branches"
	if len(names) > 0 {
		hint = "it has " + strings.Join(names[:min(len(names), 8)], ", ") + "; name one of them with --branch"
	}
	if near := rings.Nearest(m.branch, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return refusal(orchestrator.CodeNotFound, hint, "branch %q: not found", m.branch)
}

func (m *mirror) noFile(at string) *Error {
	return refusal(orchestrator.CodeNotFound, `"git ls-files" in a clone of the branch shows what there is`, "%s: not found on branch %s", at, m.branch)
}

// partial reports whether the server leaves blobs out and hands them in later.
func (m *mirror) partial() bool {
	return m.offers(capability.Filter) && m.handsOut()
}

// handsOut reports whether the server gives any object by its name.
func (m *mirror) handsOut() bool {
	return m.offers(capability.AllowReachableSHA1InWant)
}

// leavesBlobs is partial for a mirror that exists.
func (m *mirror) leavesBlobs() bool { return m.partial() && !m.keepsBlobs() }

// order is what to ask git-upload-pack for.
type order struct {
	wants, haves []plumbing.Hash
	cuts         []plumbing.Hash // commits whose parents we lack; for a depth
	depth        int
	noBlobs      bool
}

// pull fetches a pack into the mirror.
func (m *mirror) pull(ctx context.Context, o order) error {
	req := packp.NewUploadPackRequestFromCapabilities(m.adv.Capabilities)
	req.Wants, req.Haves = o.wants, o.haves
	if err := m.shape(req, o); err != nil {
		return err
	}
	res, err := m.link.upload(ctx, req)
	if errors.Is(err, transport.ErrEmptyUploadPackRequest) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return errors.Join(m.keep(req, res), res.Close())
}

// keep stores a pack and the new limits of the history.
func (m *mirror) keep(req *packp.UploadPackRequest, res *packp.UploadPackResponse) error {
	words := &tail{}
	err := packfile.UpdateObjectStorage(m.store, demux(req, res, words))
	if err != nil && !errors.Is(err, packfile.ErrEmptyPackfile) {
		if w := words.String(); w != "" {
			err = fmt.Errorf("%w (%s)", err, oneLine(w))
		}
		return fmt.Errorf("fetch: pack: %w", err)
	}
	if req.Depth.IsZero() {
		return nil
	}
	return m.reshallow(res.ShallowUpdate)
}

// shape sets a request's depth and filter, as far as the server has them.
func (m *mirror) shape(req *packp.UploadPackRequest, o order) error {
	set := []capability.Capability{capability.NoProgress}
	if o.depth > 0 && m.offers(capability.Shallow) {
		req.Depth, req.Shallows = packp.DepthCommits(o.depth), o.cuts
		set = append(set, capability.Shallow)
	}
	if o.noBlobs {
		req.Filter = packp.FilterBlobNone()
		set = append(set, capability.Filter)
	}
	set = slices.DeleteFunc(set, func(c capability.Capability) bool { return !m.offers(c) })
	for _, c := range set {
		if err := req.Capabilities.Set(c); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
	}
	return nil
}

func (m *mirror) offers(c capability.Capability) bool { return m.adv.Capabilities.Supports(c) }

// demux takes the pack out of the answer, and the server's words. A server
// without side bands sends nothing but the pack.
func demux(req *packp.UploadPackRequest, res io.Reader, words io.Writer) io.Reader {
	kind := sideband.Sideband64k
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
	case req.Capabilities.Supports(capability.Sideband):
		kind = sideband.Sideband
	default:
		return res
	}
	d := sideband.NewDemuxer(kind, res)
	d.Progress = words
	return d
}

// reshallow writes the file `shallow`, for git's own commands: we look for
// missing parents ourselves.
func (m *mirror) reshallow(u packp.ShallowUpdate) error {
	old, err := m.store.Shallow()
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	limits := append(old, u.Shallows...)
	limits = slices.DeleteFunc(limits, func(h plumbing.Hash) bool { return slices.Contains(u.Unshallows, h) })
	plumbing.HashesSort(limits)
	if err := m.store.SetShallow(slices.Compact(limits)); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	return nil
}

// deepen fetches history that lies behind the cuts. It returns false when
// there is no more.
func (m *mirror) deepen(ctx context.Context, depth int) (bool, error) {
	if len(m.cuts) == 0 || m.whole {
		return false, nil
	}
	if depth < len(m.commits) {
		return true, nil // that much is here already
	}
	if err := m.upload(ctx); err != nil {
		return false, err
	}
	o := order{wants: []plumbing.Hash{m.tip}, haves: []plumbing.Hash{m.tip}, depth: depth, noBlobs: m.leavesBlobs()}
	for h := range m.cuts {
		o.cuts = append(o.cuts, h)
	}
	if err := m.pull(ctx, o); err != nil {
		return false, err
	}
	m.cuts, m.whole = map[plumbing.Hash]bool{}, depth == steps[len(steps)-1]
	return true, nil
}

// ensure fetches objects that are not in the mirror yet, in one request.
func (m *mirror) ensure(ctx context.Context, hashes ...plumbing.Hash) error {
	var missing []plumbing.Hash
	for _, h := range hashes {
		if m.store.HasEncodedObject(h) != nil {
			missing = append(missing, h)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := m.upload(ctx); err != nil {
		return err
	}
	if !m.handsOut() {
		return fmt.Errorf("object %s: %w", missing[0], plumbing.ErrObjectNotFound)
	}
	err := m.pull(ctx, order{wants: missing})
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "not our ref") {
		return err
	}
	return m.giveUpPartial(err)
}

// giveUpPartial remembers that this server does not hand out single objects,
// and has the mirror cloned anew, with its blobs.
func (m *mirror) giveUpPartial(cause error) error {
	if m.keepsBlobs() {
		return cause
	}
	if err := os.WriteFile(filepath.Join(m.dir, keepAll), nil, 0o600); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	return fmt.Errorf("%w: %w", errBroken, cause)
}
