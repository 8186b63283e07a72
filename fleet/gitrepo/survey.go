package gitrepo

import (
	"context"
	"errors"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// surveyAll answers every query on the mirror's tip.
func surveyAll(ctx context.Context, m *mirror, qs []*query) ([]orchestrator.Survey, error) {
	out := make([]orchestrator.Survey, len(qs))
	for i, q := range qs {
		var err error
		if out[i], err = q.survey(ctx, m); err != nil {
			return nil, q.about(err)
		}
	}
	return out, nil
}

// about turns what is wrong with a file into a refusal that names the service.
func (q *query) about(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == orchestrator.CodeNotFound && e.Services == nil {
		e.Services = []rings.ServiceName{q.item.Service}
		return e
	}
	fs := fleetyaml.FaultsOf(err)
	if fs == nil {
		return err
	}
	var hints []string
	for _, f := range fs {
		if f.Hint != "" {
			hints = append(hints, f.Hint)
		}
	}
	e := refusal(orchestrator.CodeFile, strings.Join(hints, "; "), "%v", fs)
	e.Services = []rings.ServiceName{q.item.Service}
	return e
}

// survey answers one query.
func (q *query) survey(ctx context.Context, m *mirror) (orchestrator.Survey, error) {
	out := orchestrator.Survey{Service: q.item.Service, Tip: m.tip.String()}
	tip, err := m.node(m.tip)
	if err != nil {
		return out, err
	}
	s, err := q.state(ctx, m, tip)
	if err != nil {
		return out, err
	}
	if s.err != nil {
		return out, s.err
	}
	out.Version, out.Versions, out.Nonce = s.version, s.versions, s.nonce
	out.Settings, out.Unsettled = s.settings, s.unsettled
	out.MaxNonce, out.Expected, out.Excluded = s.file.MaxNonce(), s.expected, s.excluded
	switch {
	case q.item.Commit != "":
		err = q.since(ctx, m, plumbing.NewHash(q.item.Commit), &out)
	case q.asks() && q.item.Base != "":
		err = q.search(ctx, m, plumbing.NewHash(q.item.Base), &out)
		out.Closed = q.item.Branch != "" && out.Commit == "" && !m.has(q.item.Branch)
	default:
		err = q.last(ctx, m, tip, &out)
	}
	return out, err
}

// search looks for the first commit after base at which the file holds what
// the item asks for.
func (q *query) search(ctx context.Context, m *mirror, base plumbing.Hash, out *orchestrator.Survey) error {
	nodes, err := m.history(ctx, base)
	if errors.Is(err, errNoHistory) {
		out.Rewritten = true
		return nil
	}
	if err != nil {
		return err
	}
	n, _, err := q.first(ctx, m, nodes[1:], true)
	if n == nil {
		return err
	}
	return q.since(ctx, m, n.hash, out)
}

// first returns the first of the commits at which the file holds what the item
// asks for, or does not, as wanted; nil when there is none.
func (q *query) first(ctx context.Context, m *mirror, nodes []*node, holds bool) (*node, *state, error) {
	if err := q.prefetch(ctx, m, nodes); err != nil {
		return nil, nil, err
	}
	for _, n := range nodes {
		s, err := q.state(ctx, m, n)
		if err != nil {
			return nil, nil, err
		}
		if s.holds(q.item) == holds {
			return n, s, nil
		}
	}
	return nil, nil, nil
}

// since tells what came after the attempt's commit.
func (q *query) since(ctx context.Context, m *mirror, commit plumbing.Hash, out *orchestrator.Survey) error {
	nodes, err := m.history(ctx, commit)
	if errors.Is(err, errNoHistory) {
		out.Commit, out.Rewritten = commit.String(), true
		return nil
	}
	if err != nil {
		return err
	}
	begin(out, nodes)
	if !q.asks() {
		return nil
	}
	n, s, err := q.first(ctx, m, nodes[1:], false)
	if n != nil {
		out.Superseded = q.foreign(n, s)
	}
	return err
}

func (q *query) foreign(n *node, s *state) *orchestrator.Foreign {
	return &orchestrator.Foreign{Commit: n.hash.String(), Author: n.author, At: n.at.UTC(), Version: s.version, Nonce: s.nonce,
		Settings: s.settings.Only(q.item.Settings)}
}

// last finds the last commit that touched the file.
func (q *query) last(ctx context.Context, m *mirror, tip *node, out *orchestrator.Survey) error {
	n, known, err := m.touched(ctx, tip.hash, func(n *node) (string, error) {
		s, err := q.state(ctx, m, n)
		if err != nil {
			return "", err
		}
		return s.key, nil
	})
	if err != nil {
		return err
	}
	nodes, err := m.history(ctx, n.hash)
	if err != nil {
		return err
	}
	begin(out, nodes)
	if !known {
		out.Author = unknownAuthor
	}
	return nil
}

// unknownAuthor stands for who made a commit that lies behind the history at
// hand.
const unknownAuthor = "unknown"

func begin(out *orchestrator.Survey, nodes []*node) {
	out.Commit, out.Author, out.At = nodes[0].hash.String(), nodes[0].author, nodes[0].at.UTC()
	out.Lineage = make([]string, len(nodes))
	for i, n := range nodes {
		out.Lineage[i] = n.hash.String()
	}
}

// prefetch brings the file's blobs of several commits with one request.
func (q *query) prefetch(ctx context.Context, m *mirror, nodes []*node) error {
	var blobs []plumbing.Hash
	for _, n := range nodes {
		_, e, err := find(ctx, m, n.tree, q.target.Path)
		if err != nil {
			return err
		}
		if e.file() {
			blobs = append(blobs, e.hash)
		}
	}
	return m.ensure(ctx, blobs...)
}
