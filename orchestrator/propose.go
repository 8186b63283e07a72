package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// Proposal is a branch on which an attempt waits for a person to merge it.
type Proposal struct {
	Branch string `json:"branch"`
	Commit string `json:"commit"` // the newest of the branch, when it was last looked at
	// Tip is the newest commit, at that time, of the branch that it is for: it
	// could be merged into that.
	Tip string `json:"tip"`
	// URL is where the server says that a merge is asked for, "" when it said
	// nothing of the kind; Words are all that it said on the push.
	URL   string `json:"url,omitempty"`
	Words string `json:"words,omitempty"`
	// For are the services that it is for: those of the action that made it.
	For []rings.ServiceName `json:"for"`
	// At is since when it waits, and WithdrawnAt when it was given up: set by the
	// fold, as For is by Step.
	At          time.Time `json:"at,omitzero"`
	WithdrawnAt time.Time `json:"withdrawnAt,omitzero"`
}

// ProposalBranch is the name of the branch on which the job's items are proposed;
// where it is taken by something else, "-2", "-3" and so on follow. All such names
// have as many parts, so that none is a folder of another, which git forbids.
func (j Job) ProposalBranch() string {
	return fmt.Sprintf("rollout/%s/%s/%s", j.Scope.App, j.Action.Ring, j.Rollout)
}

// GateMerge names the wait for a person who merges a proposal.
const GateMerge = "merge"

// Unmerged returns the steps that wait for a person to merge what they propose.
func (s *State) Unmerged() []*StepState {
	var out []*StepState
	for _, st := range s.Steps {
		if st.Phase == StepProposed && !s.Phase.Ended() {
			out = append(out, st)
		}
	}
	return out
}

// wasProposed takes down where a publish has proposed the attempt, unless it is
// on the branch already. A branch that is not used any more is named: nothing is
// pushed over it.
func (t *turn) wasProposed(a Action, st *StepState, p *Proposal) {
	if p == nil || st.arrived() {
		return
	}
	if old := st.Proposal; old != nil && old.Branch != p.Branch {
		t.leave(st)
	}
	is := *p
	is.For = nil
	for _, i := range a.Items {
		is.For = append(is.For, i.Service)
	}
	t.emit(Proposed{st.ref(), is})
}

// together are the steps that wait for the merge of the same branch.
func (s *State) together(st *StepState) []*StepState {
	return slices.DeleteFunc(s.Unmerged(), func(o *StepState) bool {
		return o.shared() != st.shared() || o.Undo != st.Undo
	})
}

// leave says that a branch with a proposal stays as it is.
func (t *turn) leave(st *StepState) {
	if st.Phase != StepProposed || st.Survey.Closed {
		return
	}
	words := fmt.Sprintf("branch %s of %s is not wanted any more; it is still open and not deleted, and could still be merged", st.Proposal.Branch, st.Target.Repo)
	if !slices.Contains(t.s.Warnings, words) {
		t.emit(Warned{words})
	}
}

// proposed sees the attempt on the branch once a person has merged it, however
// that was done: what counts is the version and the nonce. It ends when the
// rollout has no use for it any more, when somebody closed it, and at its
// deadline.
func (t *turn) proposed(st *StepState) {
	switch why := t.unwanted(st); {
	case t.arrive(st):
		t.hintAt(st)
	case t.isPending(st, ActPublish):
		return
	case why != "":
		t.withdraw(st, why)
	case st.Survey.Rewritten:
		t.fail(st, Failure{Code: CodeRewritten,
			Words: fmt.Sprintf("branch %s of %s no longer holds commit %s, on which this was decided: its history was rewritten", st.Target.Branch, st.Target.Repo, short(st.Attempt.Base))})
	case st.Survey.blind():
		t.fail(st, Failure{Code: CodeTargets, Words: fmt.Sprintf("no cluster of %s gets %s any more: whether somebody merged %s into %s cannot be told", st.Ring, st.Target.Service, st.Proposal.Branch, st.Target.Branch)})
	case st.Survey.Closed:
		t.fail(st, Failure{Code: CodeDeclined, Words: fmt.Sprintf("branch %s of %s was deleted, and %s does not say what it proposed", st.Proposal.Branch, st.Target.Repo, st.Target.Branch),
			Hint: fmt.Sprintf("agree with whoever deleted it; \"rollout retry %s\" proposes it again", t.s.ID)})
	case !t.now.Before(st.MergeBy()):
		t.unmerged(st)
	}
}

// unwanted says why the proposal is of no use any more; "" when it is.
func (t *turn) unwanted(st *StepState) string {
	r, failure := t.s.ring(st.Ring), t.s.Failure
	if st.Undo {
		failure = t.s.Rollback.Failure
	}
	switch {
	case t.s.Cancel != nil:
		return t.s.cancelWords()
	case st.Skip != nil:
		return st.Skip.leftOut()
	case r.Skip != nil && !st.Undo:
		return r.Skip.leftOut()
	case failure != nil:
		return "after a failure: " + failure.Words
	}
	return ""
}

// withdraw gives the proposal up after one more look at the branch: it may have
// been merged meanwhile. When that cannot be seen, a doubt stays.
func (t *turn) withdraw(st *StepState, why string) {
	switch at := st.Proposal.WithdrawnAt; {
	case at.IsZero():
		t.emit(Withdrawn{st.ref(), why})
	case !st.SurveyedAt.Before(at) || st.Tries > 0:
		t.leave(st)
		t.emit(StepHeld{st.ref()})
	}
}

// withdrawAll gives up what is proposed, and reports whether all of it is given up
// or was merged. A push that waits for its time is not begun.
func (t *turn) withdrawAll() bool {
	if len(t.s.Unmerged()) == 0 {
		return true
	}
	for _, id := range t.pendingIDs() {
		if t.s.Pending[id].Kind == ActPublish {
			t.emit(Dropped{Action: id})
		}
	}
	given := true
	for _, st := range t.s.Unmerged() {
		if !st.arrived() {
			t.proposed(st)
		}
		given = given && (st.arrived() || st.Phase != StepProposed)
	}
	return given
}

// unmerged ends a step at its deadline, once the branch was read after that.
func (t *turn) unmerged(st *StepState) {
	into := fmt.Sprintf("%s into %s of %s", st.Proposal.Branch, st.Target.Branch, st.Target.Repo)
	switch {
	case !st.SurveyedAt.Before(st.MergeBy()):
		t.fail(st, Failure{Code: CodeUnmerged, Words: fmt.Sprintf("nobody merged %s within %s", into, Duration(st.mergeIn())),
			Hint: fmt.Sprintf("\"rollout retry %s\" proposes it again; \"rollout ring update %s %s --merge-deadline TIME\" gives more time", t.s.ID, t.s.Scope.App, st.Ring)})
	case !t.now.Before(t.lookedBy(st)):
		t.fail(st, Failure{Code: CodeUnreach, Words: fmt.Sprintf("it could not be read whether somebody merged %s: %s", into, st.Words), Hint: st.Hint})
	}
}

// mergeIn is how long a person has to merge.
func (st *StepState) mergeIn() time.Duration {
	if st.Policy.Merge > 0 {
		return st.Policy.Merge
	}
	return rings.DefaultMerge
}

// MergeBy is until when the proposal must have been merged.
func (st *StepState) MergeBy() time.Time { return st.Proposal.At.Add(st.mergeIn()) }

// lookedBy is until when the branch must have been read after that. The time in
// which nobody drove the rollout does not count.
func (t *turn) lookedBy(st *StepState) time.Time {
	return later(st.MergeBy(), t.s.DrivenAt).Add(st.uptake())
}

// How often the branch is read for a merge: after a tenth of the time that was
// waited already, within these bounds. Usually Fleet is first to see a new commit.
const (
	lookSoonest = 30 * time.Second
	lookLatest  = 10 * time.Minute
)

// lookAt is when the branch is to be read again for a merge, if nothing hints at
// one before; at the latest at the deadline.
func (st *StepState) lookAt() time.Time {
	pause := st.SurveyedAt.Sub(st.Proposal.At) / 10
	at := st.SurveyedAt.Add(min(max(pause, lookSoonest), lookLatest))
	if by := st.MergeBy(); st.SurveyedAt.Before(by) && at.After(by) {
		return by
	}
	return at
}

// wantsMergeLook says why the branch must be read for a merge, if it must.
func (t *turn) wantsMergeLook(st *StepState) (string, bool) {
	switch at := st.Proposal.WithdrawnAt; {
	case t.isPending(st, ActPublish):
		return "", false
	case !at.IsZero():
		return "was it merged before it was given up?", st.SurveyedAt.Before(at) && st.Tries == 0
	case st.Doubt:
		return "what became of it?", true
	case st.GitRepo != nil && st.unexplainedCommit(st.GitRepo.Commit):
		return "Fleet shows a commit that is not known: was it merged?", true
	}
	return "was it merged?", !t.now.Before(st.lookAt())
}

// outdated reports whether the branch has moved on since the proposal was made or
// last held against it, or not all that it is for is still wanted, so that the
// publisher must see whether it still fits. While something keeps new steps from
// starting, nothing is proposed anew.
func (t *turn) outdated(st *StepState) bool {
	moved := st.Survey.Tip != st.Proposal.Tip || len(t.s.together(st)) < len(st.Proposal.For)
	return moved && st.Proposal.WithdrawnAt.IsZero() && t.now.Before(st.MergeBy()) && !t.holds(st)
}

// proposed notes where the attempt waits. The same branch again waits on, and
// what the server said of it stands.
func (st *StepState) proposed(p Proposal, at time.Time) {
	p.At = at
	if old := st.Proposal; old != nil && old.Branch == p.Branch {
		p.At, p.WithdrawnAt = old.At, old.WithdrawnAt
		if p.URL == "" && p.Words == "" {
			p.URL, p.Words = old.URL, old.Words
		}
	}
	st.Proposal, st.Phase, st.Pushes = &p, StepProposed, 0
}

func (st *StepState) withdrawn(at time.Time) {
	st.Proposal.WithdrawnAt, st.Tries = at, 0
}

// jumped times the proposal again. A nil one stays nil.
func (p *Proposal) jumped(at time.Time) {
	if p == nil {
		return
	}
	p.At = at
	if !p.WithdrawnAt.IsZero() {
		p.WithdrawnAt = at
	}
}

// proposing says what the proposal waits for.
func (st *StepState) proposing(now time.Time) string {
	p := st.Proposal
	words := fmt.Sprintf("waits for a merge of %s into %s, %s, deadline %s", p.Branch, st.Target.Branch, Duration(now.Sub(p.At)), Duration(st.mergeIn()))
	if p.URL != "" {
		words += ": " + p.URL
	}
	if st.Words != "" {
		words += fmt.Sprintf("; the branch cannot be read (try %d: %s)", st.Tries+st.Pushes+1, st.Words)
	}
	return words
}

func (st *StepState) mergeWait(now time.Time) Wait {
	p := st.Proposal
	return Wait{Ring: st.Ring, Service: st.Target.Service, Gate: GateMerge, Words: st.proposing(now), Since: p.At, Until: st.MergeBy(),
		Help: fmt.Sprintf("merge branch %s of %s into %s, in any way", p.Branch, st.Target.Repo, st.Target.Branch)}
}
