package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// query is one item of a job with all that is needed to read and edit its
// file.
type query struct {
	item   orchestrator.Item
	target orchestrator.Target
	reach  Reach
	ring   []fleetyaml.Cluster
	fields []fleetyaml.Field

	parsed map[string]*state // by the file's path and blob
	states map[string]*state // by state.key
}

// queries asks the inventory about every item, before any lock is taken.
func (p *Publisher) queries(ctx context.Context, j orchestrator.Job) ([]*query, error) {
	if len(j.Action.Items) == 0 {
		return nil, refusal(orchestrator.CodeUnexpected, "", "action %q has no services", j.Action.ID)
	}
	var out []*query
	for _, item := range j.Action.Items {
		t, ok := j.Targets[item.Service]
		if !ok {
			return nil, refusal(orchestrator.CodeUnexpected, "", "service %q has no target", item.Service)
		}
		reach, err := p.opts.Inventory.Reach(ctx, j.Scope, t)
		if _, named := errors.AsType[*Error](err); named {
			return nil, err
		}
		if err != nil {
			return nil, &Error{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, err: err,
				Words: fmt.Sprintf("clusters of service %q: %v", item.Service, err)}
		}
		q := &query{item: item, target: t, reach: reach, ring: reach.ring(j.Scope.Labels(j.Action.Ring)),
			parsed: map[string]*state{}, states: map[string]*state{}}
		for _, f := range t.Fields {
			q.fields = append(q.fields, fleetyaml.Field(f))
		}
		out = append(out, q)
	}
	return out, nil
}

// asks reports whether the item looks for a version and a nonce.
func (q *query) asks() bool { return q.item.Version != "" && q.item.Nonce != 0 }

// state is what a commit's file says for the ring.
type state struct {
	path string // of the file in the repository
	key  string // equal means: neither the file nor its values files differ
	file *fleetyaml.File
	err  error // why the file cannot be read; then the rest is empty

	version   rings.Version
	versions  []rings.Version
	nonce     int64
	settings  rings.Values                   // that all expected clusters get
	unsettled map[rings.SettingName][]string // the others
	values    map[rings.SettingName][]string // of each expected cluster, "" where it gets none
	expected  []rings.ClusterName
	excluded  []orchestrator.Excluded
}

// holds reports whether every expected cluster gets the item's version, settings
// and nonce.
func (s *state) holds(i orchestrator.Item) bool {
	return s.err == nil && len(s.expected) > 0 && s.version == i.Version && s.nonce == i.Nonce && i.Settings.In(s.settings)
}

// names of the file, in the order in which Fleet looks for them.
var names = []string{"fleet.yaml", "fleet.yml"}

// find returns the file's path and entry below a commit's tree.
func find(ctx context.Context, m *mirror, tree plumbing.Hash, folder string) (string, entry, error) {
	for _, name := range names {
		at := path.Join(folder, name)
		e, err := m.lookup(ctx, tree, strings.Trim(at, "/"))
		if err != nil || e.file() {
			return strings.Trim(at, "/"), e, err
		}
	}
	return strings.Trim(path.Join(folder, names[0]), "/"), entry{}, nil
}

// state reads what a commit says for the ring. The error is about git; what is
// wrong with the file is in the state.
func (q *query) state(ctx context.Context, m *mirror, n *node) (*state, error) {
	at, e, err := find(ctx, m, n.tree, q.target.Path)
	if err != nil {
		return nil, err
	}
	if !e.there() {
		return &state{path: at, key: "-", err: m.noFile(at)}, nil
	}
	file, err := q.parse(ctx, m, at, e)
	if err != nil {
		return nil, err
	}
	values, err := q.values(ctx, m, n, file.file)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(at, " ", e.hash, values)
	if s, ok := q.states[key]; ok {
		return s, nil
	}
	s := *file
	s.key = key
	if err := s.load(ctx, m, values); err != nil {
		return nil, err
	}
	s.compute(q)
	q.states[key] = &s
	return &s, nil
}

// parse reads the file without its values files.
func (q *query) parse(ctx context.Context, m *mirror, at string, e entry) (*state, error) {
	key := at + " " + e.hash.String()
	if s, ok := q.parsed[key]; ok {
		return s, nil
	}
	src, err := m.read(ctx, e.hash)
	if err != nil {
		return nil, err
	}
	s := &state{path: at, key: key}
	s.file, s.err = fleetyaml.Parse(at, src)
	q.parsed[key] = s
	return s, nil
}

// values finds the values files that the file names. One that is not in the
// repository has the zero hash; fleetyaml says so where it matters.
func (q *query) values(ctx context.Context, m *mirror, n *node, f *fleetyaml.File) (map[string]plumbing.Hash, error) {
	if f == nil {
		return nil, nil
	}
	values := map[string]plumbing.Hash{}
	for _, name := range f.ValuesFiles() {
		at := path.Join(strings.Trim(q.target.Path, "/"), name)
		if strings.HasPrefix(at, "..") || strings.Contains(name, "://") {
			continue
		}
		e, err := m.lookup(ctx, n.tree, at)
		if err != nil {
			return nil, err
		}
		values[name] = plumbing.ZeroHash
		if e.file() {
			values[name] = e.hash
		}
	}
	return values, nil
}

// load reads the values files.
func (s *state) load(ctx context.Context, m *mirror, values map[string]plumbing.Hash) error {
	contents := map[string][]byte{}
	for name, h := range values {
		if h.IsZero() {
			continue
		}
		b, err := m.read(ctx, h)
		if err != nil {
			return err
		}
		contents[name] = b
	}
	if s.err == nil && len(contents) > 0 {
		s.file, s.err = s.file.WithValuesFiles(contents)
	}
	return nil
}

// compute fills in what the ring's clusters get.
func (s *state) compute(q *query) {
	if s.err != nil {
		return
	}
	view, err := s.file.View(q.reach.Targets, q.fields, fleetyaml.FieldsOf(q.target.Settings)...)
	if err != nil {
		s.err = err
		return
	}
	nonces := map[int64]bool{}
	for _, c := range q.ring {
		e, err := view.Effect(c)
		if f, ok := errors.AsType[*fleetyaml.Error](err); ok && f.Code != fleetyaml.CodeDisagree {
			s.err = err
			return
		}
		name := rings.ClusterName(c.Name)
		if !e.Deployed {
			s.excluded = append(s.excluded, orchestrator.Excluded{Cluster: name, Why: why(e, q.target.GitRepo)})
			continue
		}
		s.expected = append(s.expected, name)
		for _, v := range strings.Split(e.Version, ", ") {
			s.versions = append(s.versions, rings.Version(v))
		}
		s.takeSettings(q, e)
		nonces[e.Nonce] = true
	}
	s.sumSettings()
	s.sum(nonces)
}

// sum sorts, and says what all expected clusters have in common.
func (s *state) sum(nonces map[int64]bool) {
	slices.Sort(s.expected)
	slices.SortFunc(s.excluded, func(a, b orchestrator.Excluded) int {
		return strings.Compare(string(a.Cluster), string(b.Cluster))
	})
	slices.Sort(s.versions)
	if s.versions = slices.Compact(s.versions); len(s.versions) == 1 {
		s.version, s.versions = s.versions[0], nil
	}
	if len(nonces) == 1 {
		for n := range nonces {
			s.nonce = n
		}
	}
}

// why says why Fleet does not deploy to a cluster.
func why(e fleetyaml.Effect, gitrepo string) string {
	if strings.Contains(e.Why, "doNotDeploy") {
		return strings.TrimPrefix(e.Why, "not deployed: ")
	}
	return "not targeted by GitRepo " + gitrepo
}
