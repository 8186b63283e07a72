package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// proposal is a branch of ours in a fake repository.
type proposal struct {
	name    string
	serial  int
	fork    map[at]entry // what the branch that it is for said when it was made
	changes map[at]entry
}

// fits reports whether the proposal makes exactly these changes, and they can be
// merged: nobody has changed the same since.
func (p *proposal) fits(r *repo, changes map[at]entry) bool {
	if !maps.Equal(p.changes, changes) {
		return false
	}
	for k := range changes {
		if r.tip().files[k] != p.fork[k] {
			return false
		}
	}
	return true
}

// propose is publish for a branch that takes no direct pushes.
func (w *world) propose(a orchestrator.Action) orchestrator.Outcome {
	r := w.units[a.Items[0].Service].repo
	changes, o := r.changes(a.Ring, a.Items)
	if o.Result != orchestrator.OK {
		return o
	}
	o = w.surveys(a)
	if len(changes) == 0 || slices.ContainsFunc(o.Surveys, func(v orchestrator.Survey) bool { return v.Closed }) {
		return o
	}
	name := orchestrator.Job{Action: a, Rollout: "shop-1", Scope: orchestrator.Scope{App: "shop"}}.ProposalBranch()
	for _, p := range r.newest() {
		if p.fits(r, changes) {
			o.Proposal = &orchestrator.Proposal{Branch: p.name, Commit: "X", Tip: r.tip().sha}
			return o
		}
	}
	p := &proposal{name: name, serial: len(r.proposals) + 1, fork: maps.Clone(r.tip().files), changes: changes}
	if p.serial > 1 {
		p.name = fmt.Sprintf("%s-%d", name, p.serial)
	}
	if r.proposals == nil {
		r.proposals = map[string]*proposal{}
	}
	r.proposals[p.name] = p
	o.Proposal = &orchestrator.Proposal{Branch: p.name, Commit: "X", Tip: r.tip().sha, URL: "https://forge/" + p.name}
	return o
}

// newest are the proposals, the newest first.
func (r *repo) newest() []*proposal {
	return slices.SortedFunc(maps.Values(r.proposals), func(a, b *proposal) int { return b.serial - a.serial })
}

// merge is a person's: with our commit and one on top, or squashed into one of
// theirs. It is refused where git would call it a conflict.
func (r *repo) merge(p *proposal, now time.Time, squash bool) error {
	if !p.fits(r, p.changes) {
		return fmt.Errorf("%s cannot be merged: the same was changed since", p.name)
	}
	if squash {
		r.push("ann", now, p.changes)
		return nil
	}
	r.push(us, now, p.changes)
	r.push("ann", now, nil)
	return nil
}

// forge is what a person does with our branches.
func (y *story) forge(verb string, service rings.ServiceName, names []string) error {
	r := y.w.units[service].repo
	all := r.newest()
	if len(names) > 0 {
		all = slices.DeleteFunc(all, func(p *proposal) bool { return p.name != names[0] })
	}
	if len(all) == 0 {
		return fmt.Errorf("no branch of ours: %s", strings.Join(names, " "))
	}
	if verb == "delete" {
		delete(r.proposals, all[0].name)
		return nil
	}
	return r.merge(all[0], y.w.now, verb == "squash")
}

// proposes has the service's commits merged by persons.
func (y *story) proposes(args []string) error {
	s, err := y.app.Service(rings.ServiceName(args[0]))
	if err != nil {
		return err
	}
	s.Publish, y.w.proposes[s.Name] = rings.PublishBranch, true
	if len(args) > 1 {
		y.app.Rings[0].Policy.Merge, err = time.ParseDuration(args[1])
	}
	return err
}
