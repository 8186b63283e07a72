package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
)

// propose makes a branch say what the items ask for, so that a person can merge
// it. A branch of this rollout that says so already and still fits is the
// proposal, whoever pushed it last; else a new one is made on the tip, and no
// branch is ever pushed over. What the tip says already is not proposed. One that
// somebody has deleted is not made again: the surveys say that it is closed.
//
// A proposal fits as long as merging it gives what would be written onto the tip
// today: the file is as it was where the branch left it, or the change to it is
// still the same patch, with its lines of context. So other people's commits,
// also to other parts of the same file, do not cost a new branch; and what git
// could not merge by itself always does.
func (p *Publisher) propose(ctx context.Context, m *mirror, j orchestrator.Job, qs []*query) ([]orchestrator.Survey, *orchestrator.Proposal, error) {
	for try := range p.opts.Pushes {
		if err := pause(ctx, try); err != nil {
			return nil, nil, err
		}
		adv, err := m.meet(ctx)
		if err != nil {
			return nil, nil, err
		}
		surveys, err := surveyAll(ctx, m, qs)
		if err != nil {
			return nil, nil, err
		}
		open, err := unpublished(ctx, m, qs, surveys)
		closed := slices.ContainsFunc(surveys, func(s orchestrator.Survey) bool { return s.Closed })
		if err != nil || len(open) == 0 || closed {
			return surveys, nil, err
		}
		found, err := p.proposal(ctx, m, j, open, adv)
		if !errors.Is(err, errStale) {
			return surveys, found, err
		}
	}
	return nil, nil, m.contended(p.opts.Pushes)
}

// proposal finds the branch that proposes the items, or makes one. errStale means
// that somebody else made one of that name meanwhile.
func (p *Publisher) proposal(ctx context.Context, m *mirror, j orchestrator.Job, qs []*query, adv *packp.AdvRefs) (*orchestrator.Proposal, error) {
	found, next, err := m.proposed(j.ProposalBranch(), func(commit plumbing.Hash) (bool, error) { return m.fits(ctx, qs, commit) })
	if found != nil || err != nil {
		return found, err
	}
	files, changes, err := edits(ctx, m, qs)
	if err != nil {
		return nil, err
	}
	return p.open(ctx, m, next, files, message(j, changes), adv)
}

// proposed is the newest branch of this name whose newest commit fits, nil when none
// does, and the name of the next one.
func (m *mirror) proposed(name string, fits func(commit plumbing.Hash) (bool, error)) (found *orchestrator.Proposal, next string, err error) {
	there, next := m.proposals(name)
	for _, branch := range there {
		fit, err := fits(m.at(branch))
		if err != nil {
			return nil, "", err
		}
		if fit {
			return &orchestrator.Proposal{Branch: branch, Commit: m.at(branch).String(), Tip: m.tip.String()}, next, nil
		}
	}
	return nil, next, nil
}

// open makes a branch of that name on the tip, with a commit that a person is to
// merge. errStale means that there is one of that name.
func (p *Publisher) open(ctx context.Context, m *mirror, name string, files map[string][]byte, message string, adv *packp.AdvRefs) (*orchestrator.Proposal, error) {
	if err := m.room(name); err != nil {
		return nil, err
	}
	d, err := p.draft(ctx, m, files, message)
	if err != nil {
		return nil, err
	}
	words, err := m.push(ctx, onto(name, plumbing.ZeroHash, d), d, adv)
	if err != nil {
		return nil, err
	}
	out := &orchestrator.Proposal{Branch: name, Commit: d.commit.String(), Tip: m.tip.String()}
	out.URL, out.Words = asked(words)
	return out, nil
}

// has reports whether the server has the branch.
func (m *mirror) has(branch string) bool { return !m.at(branch).IsZero() }

// at is the branch's newest commit, zero when the server has no such branch.
func (m *mirror) at(branch string) plumbing.Hash {
	return m.refs[string(plumbing.NewBranchReferenceName(branch))]
}

// proposals are the branches of this name, the newest first, and the name of the
// next one.
func (m *mirror) proposals(name string) (there []string, next string) {
	var numbers []int
	for ref := range m.refs {
		branch, _ := strings.CutPrefix(ref, "refs/heads/")
		rest, ours := strings.CutPrefix(branch, name)
		switch n, err := strconv.Atoi(strings.TrimPrefix(rest, "-")); {
		case !ours:
		case rest == "":
			numbers = append(numbers, 1)
		case err == nil && n > 1 && rest == fmt.Sprintf("-%d", n):
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	last := 0
	for _, n := range slices.Backward(numbers) {
		there, last = append(there, numbered(name, n)), max(last, n)
	}
	return there, numbered(name, last+1)
}

func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n)
}

// room refuses when a branch has the name of a folder of ours, which git does not
// allow.
func (m *mirror) room(name string) error {
	for i, c := range name {
		if c == '/' && m.has(name[:i]) {
			return refusal(orchestrator.CodeConflict, fmt.Sprintf("rename or delete branch %q", name[:i]),
				"branch %q cannot be made beside branch %q", name, name[:i])
		}
	}
	return nil
}

// fits reports whether the branch's commit says what the items ask for, and
// merging it onto the tip gives what would be written there today.
func (m *mirror) fits(ctx context.Context, qs []*query, commit plumbing.Hash) (bool, error) {
	fork, err := m.fork(ctx, commit)
	if err != nil || fork == nil {
		return false, err
	}
	n, err := m.node(commit)
	if err != nil {
		return false, err
	}
	tip, err := m.node(m.tip)
	if err != nil {
		return false, err
	}
	mine := map[string]bool{}
	for _, q := range qs {
		at, fits, err := q.fits(ctx, m, fork, n, tip)
		if err != nil || !fits {
			return false, err
		}
		mine[at] = true
	}
	more, err := m.alsoEdits(ctx, fork, n, mine)
	return !more, err
}

// alsoEdits reports whether the branch changes the file of a service that is not
// mine: one that is not wanted any more.
func (m *mirror) alsoEdits(ctx context.Context, fork, proposed *node, mine map[string]bool) (bool, error) {
	before, err := object.GetTree(m.store, fork.tree)
	if err != nil {
		return false, err
	}
	after, err := object.GetTree(m.store, proposed.tree)
	if err != nil {
		return false, err
	}
	changes, err := object.DiffTreeContext(ctx, before, after)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(changes, func(c *object.Change) bool {
		return slices.Contains(names, path.Base(c.To.Name)) && !mine[c.To.Name]
	}), nil
}

// fits is the rule for one item; it returns the path of its file.
func (q *query) fits(ctx context.Context, m *mirror, fork, proposed, tip *node) (string, bool, error) {
	var at [3]*state
	for i, n := range []*node{fork, proposed, tip} {
		var err error
		if at[i], err = q.state(ctx, m, n); err != nil {
			return "", false, err
		}
	}
	before, after, now := at[0], at[1], at[2]
	if !after.holds(q.item) || before.err != nil || before.path != now.path {
		return "", false, nil
	}
	if before.key == now.key {
		return now.path, true, nil
	}
	e, err := now.file.Edit(q.change())
	if err != nil {
		return "", false, q.about(err)
	}
	was, err := hunks(now.path, before.file.Bytes(), after.file.Bytes())
	if err != nil {
		return "", false, err
	}
	is, err := hunks(now.path, now.file.Bytes(), e.Bytes)
	return now.path, was == is, err
}

// change is what the item asks for.
func (q *query) change() fleetyaml.Change {
	return fleetyaml.Change{Ring: q.ring, All: q.reach.Clusters, Targets: q.reach.Targets, Fields: q.fields,
		Version: string(q.item.Version), Nonce: q.item.Nonce, AcceptRedeploy: q.target.AcceptRedeploy, Settings: fleetyaml.SettingsOf(q.target.Settings, q.item.Settings)}
}

// hunks is a patch without where it applies.
func hunks(file string, before, after []byte) (string, error) {
	patch, err := Patch(file, before, after)
	var out strings.Builder
	for line := range strings.Lines(patch) {
		if !strings.HasPrefix(line, "@@") && !strings.HasPrefix(line, "index ") {
			out.WriteString(line)
		}
	}
	return out.String(), err
}

// fork returns the newest commit that both the other branch's commit and the tip
// descend from; nil when none is known.
func (m *mirror) fork(ctx context.Context, commit plumbing.Hash) (*node, error) {
	if err := m.bring(ctx, commit); err != nil {
		return nil, err
	}
	n, err := m.node(commit)
	if err != nil {
		return nil, err
	}
	ours, err := m.walk(m.tip, n.at.Add(-slack))
	if err != nil {
		return nil, err
	}
	var newest *node
	seen := map[plumbing.Hash]bool{}
	for queue := []*node{n}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		switch {
		case seen[at.hash]:
		case ours.seen[at.hash] != nil:
			if newest == nil || older(newest, at) < 0 {
				newest = at
			}
		default:
			here, _, err := m.parents(at)
			if err != nil {
				return nil, err
			}
			queue = append(queue, here...)
		}
		seen[at.hash] = true
	}
	return newest, nil
}

// bring fetches another branch's newest commit, with what led to it.
func (m *mirror) bring(ctx context.Context, commit plumbing.Hash) error {
	if m.store.HasEncodedObject(commit) == nil {
		return nil
	}
	if err := m.upload(ctx); err != nil {
		return err
	}
	return m.pull(ctx, order{wants: []plumbing.Hash{commit}, haves: m.haves(), noBlobs: m.leavesBlobs()})
}

var (
	address = regexp.MustCompile(`https?://[^\s"'<>]+`)
	merging = regexp.MustCompile(`(?i)merge|pull|compare|change`)
)

// maxSaid bounds what is kept of a server's words.
const maxSaid = 600

// asked finds the address under which the server wants to be asked for a merge,
// in what it said on a push, and returns both. "" when it said none.
func asked(words string) (url, said string) {
	words = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, redact(words))
	all := address.FindAllString(words, -1)
	for _, a := range all {
		if url == "" && merging.MatchString(a) {
			url = a
		}
	}
	if url == "" && len(all) > 0 {
		url = all[0]
	}
	said = oneLine(words)
	return url, strings.ToValidUTF8(said[:min(len(said), maxSaid)], "")
}
