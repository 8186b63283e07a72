package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollout/orchestrator"
)

// branch is one of ours on which something is proposed for the repository's own.
type branch struct {
	name    string
	number  int
	fork    *commit           // what it was made on
	files   map[string][]byte // that it changes
	message string
}

// Merging is a way in which a person merges a branch.
type Merging string

// Ways to merge. All of them keep the message of a branch that has one commit.
const (
	MergeCommit Merging = "merge"  // our commit, and one on top of it that changes nothing
	MergeSquash Merging = "squash" // one commit of the person's
	MergeRebase Merging = "rebase" // our commit, made anew on the tip
)

// Mergings are all of them.
var Mergings = []Merging{MergeCommit, MergeSquash, MergeRebase}

const ann = "ann <ann@example.com>"

// Proposals are the open branches of ours in a repository, oldest first.
func (w *World) Proposals(repo string) []string {
	r, out := w.repo(repo), []string(nil)
	for _, b := range r.proposals() {
		out = append(out, b.name)
	}
	return out
}

// Merge is a person's merge of a branch of ours. It returns false when there is
// no such branch, or git could not merge it without a person who decides.
func (w *World) Merge(repo, name string, how Merging) bool {
	r := w.repo(repo)
	b := r.branches[name]
	if b == nil {
		return false
	}
	files, clean := b.onto(r.tip())
	if !clean {
		w.tell("%s cannot be merged: a conflict", name)
		return false
	}
	delete(r.branches, name)
	author := us
	if how == MergeSquash {
		author = ann
	}
	c := w.commit(r, files, author, b.message, w.Wall())
	c.merged = true
	if how == MergeCommit {
		c = w.commit(r, nil, ann, "Merge "+name, w.Wall())
	}
	w.tell("ann merges %s (%s): the tip is %.8s", name, how, c.hash)
	return true
}

// Close is a person's deletion of a branch of ours.
func (w *World) Close(repo, name string) {
	w.tell("ann deletes %s", name)
	delete(w.repo(repo).branches, name)
}

func (r *repo) proposals() []*branch {
	return slices.SortedFunc(maps.Values(r.branches), func(a, b *branch) int { return strings.Compare(a.name, b.name) })
}

// onto are the files that a merge onto the commit changes; false when it is a
// conflict.
func (b *branch) onto(tip *commit) (map[string][]byte, bool) {
	out := map[string][]byte{}
	for name, ours := range b.files {
		merged, clean := merge(b.fork.files[name], ours, tip.files[name])
		if !clean {
			return nil, false
		}
		out[name] = merged
	}
	return out, true
}

// margin is how many lines around a change nobody else may have changed.
const margin = 3

// merge makes our change of a text to their text, which comes from the same base.
// Each side is taken for one change, from its first other line to its last; when
// the two come nearer to each other than the margin, it is a conflict.
func merge(base, ours, theirs []byte) ([]byte, bool) {
	if bytes.Equal(base, theirs) {
		return ours, true
	}
	b, o, t := lines(base), lines(ours), lines(theirs)
	from, till := changed(b, o)
	theirFrom, theirTill := changed(b, t)
	var at int // where our lines stand in theirs
	switch {
	case theirFrom >= till+margin:
		at = from
	case theirTill+margin <= from:
		at = from + len(t) - len(b)
	default:
		return nil, false
	}
	our := o[from : len(o)-(len(b)-till)]
	return []byte(strings.Join(slices.Concat(t[:at], our, t[at+till-from:]), "")), true
}

func lines(text []byte) []string { return slices.Collect(strings.Lines(string(text))) }

// changed is from where to where the first text differs from the second.
func changed(a, b []string) (from, till int) {
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	till = len(a)
	for n := len(b); till > from && n > from && a[till-1] == b[n-1]; n-- {
		till--
	}
	return from, till
}

// propose makes a branch say what the items ask for, unless one of ours does and
// can still be merged.
func (t *task) propose(try int) {
	w, r := t.w, t.repo
	t.intent(func(found []orchestrator.Survey, d *draft) {
		name := t.job.ProposalBranch()
		for _, b := range slices.Backward(r.named(name)) {
			if b.fits(r.tip(), d.files) {
				t.reply(orchestrator.Outcome{Result: orchestrator.OK, Surveys: found, Proposal: b.proposal(r.tip())})
				return
			}
		}
		b := &branch{fork: r.tip(), files: d.files, message: d.message, number: 1}
		if last := r.named(name); len(last) > 0 {
			b.number = last[len(last)-1].number + 1
		}
		if b.name = name; b.number > 1 {
			b.name = fmt.Sprintf("%s-%d", name, b.number)
		}
		w.After(w.draw(w.Delays.Push), func() { t.pushBranch(b, try) })
	})
}

// named are the branches of the name and those with a number, in order.
func (r *repo) named(name string) []*branch {
	var out []*branch
	for _, b := range r.proposals() {
		if b.name == name || b.name == fmt.Sprintf("%s-%d", name, b.number) {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b *branch) int { return a.number - b.number })
	return out
}

// fits reports whether merging the branch gives the files as they would be written
// onto the tip now: those that are wanted, and no others.
func (b *branch) fits(tip *commit, wanted map[string][]byte) bool {
	merged, clean := b.onto(tip)
	return clean && maps.EqualFunc(merged, wanted, bytes.Equal)
}

func (b *branch) proposal(tip *commit) *orchestrator.Proposal {
	return &orchestrator.Proposal{Branch: b.name, Commit: b.fork.hash, Tip: tip.hash}
}

// pushBranch lets the server judge the push of a new branch.
func (t *task) pushBranch(b *branch, try int) {
	w, r := t.w, t.repo
	switch {
	case !t.arrives():
	case r.branches[b.name] != nil && !t.gone:
		t.again(try + 1)
	case r.branches[b.name] == nil:
		if r.branches == nil {
			r.branches = map[string]*branch{}
		}
		r.branches[b.name] = b
		w.tell("we propose %s on %.8s of %s", b.name, b.fork.hash, r.url)
		if w.happens(w.Faults.PushLost) {
			t.reply(lostAnswer)
			return
		}
		t.finishProposed(b)
	}
}

// finishProposed answers with the proposal, and what the branch says now that it
// is for: it may have been merged already.
func (t *task) finishProposed(b *branch) {
	found, no := surveys(t.w.queries(t.job))
	if no != nil {
		t.reply(*no)
		return
	}
	t.reply(orchestrator.Outcome{Result: orchestrator.OK, Surveys: found, Proposal: b.proposal(b.fork)})
}
