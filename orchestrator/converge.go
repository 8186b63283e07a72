package orchestrator

import (
	"fmt"
	"slices"
	"time"
)

// converge moves a step whose commit is on the branch: first what ends it
// badly, then the clusters, then whether it is done.
func (t *turn) converge(st *StepState) {
	if f, lost := st.lost(); lost {
		t.fail(st, f)
		return
	}
	if !st.Synced { // nothing is judged before this driver has seen everything
		if !t.now.Before(t.seenBy(st)) {
			t.fail(st, t.unseen(st))
		}
		return
	}
	t.takenUp(st)
	t.judgeClusters(st)
	if f, failed := t.failure(st); failed {
		t.fail(st, f)
		return
	}
	if t.s.converged(st) {
		t.done(st, StepDone, st.doneReason())
	}
}

// seenBy is until when a driver must have been told what there is in Fleet.
func (t *turn) seenBy(st *StepState) time.Time {
	return later(st.StartedAt, t.s.DrivenAt).Add(st.uptake())
}

func (t *turn) unseen(st *StepState) Failure {
	return Failure{Code: CodeUnreach, Words: fmt.Sprintf("Fleet did not say within %s what is deployed", Duration(st.uptake()))}
}

// lost says whether the branch no longer holds what was published.
func (st *StepState) lost() (Failure, bool) {
	v := st.Survey
	switch {
	case v.Rewritten:
		return Failure{Code: CodeRewritten,
			Words: fmt.Sprintf("branch %s of %s no longer holds commit %s: its history was rewritten", st.Target.Branch, st.Target.Repo, short(st.Attempt.Commit))}, true
	case v.Superseded != nil:
		f := v.Superseded
		return Failure{Code: CodeSuperseded,
			Words: fmt.Sprintf("commit %s by %s sets %s to %s for %s (nonce %d); it is not overwritten",
				short(f.Commit), f.Author, st.Target.Service, f.says(), st.Ring, f.Nonce),
			Hint: "agree with its author, then create the rollout again"}, true
	}
	return Failure{}, false
}

// says is what the ring gets there.
func (f *Foreign) says() string {
	if len(f.Settings) == 0 {
		return string(f.Version)
	}
	return fmt.Sprintf("%s %s", f.Version, f.Settings)
}

// failure says why the step must end badly now, if it must: Fleet's own
// errors, a cluster that failed, a ring without clusters, a deadline.
func (t *turn) failure(st *StepState) (Failure, bool) {
	for _, check := range []func(*StepState) (Failure, bool){t.gitJob, t.targeting, t.broken, t.emptied, t.late} {
		if f, failed := check(st); failed {
			return f, true
		}
	}
	return Failure{}, false
}

// gitJob handles a git job that failed at our commit or a later one: Fleet
// never retries it. One nudge for a GitRepo of ours, else the end.
func (t *turn) gitJob(st *StepState) (Failure, bool) {
	if !st.jobFailed() || st.Nudge == NudgeAsked {
		return Failure{}, false
	}
	if st.Target.Managed && st.Nudge == NudgeNone {
		if !st.SurveyedAt.Before(st.JobFailedAt) {
			t.nudge(st)
		}
		return Failure{}, false
	}
	return Failure{Code: CodeGitJob, Words: st.jobWords(), Hint: st.jobHint()}, true
}

// nudge asks for the one nudge. The branch was read since the job failed: what
// cannot be read by us will hardly be by Fleet.
func (t *turn) nudge(st *StepState) {
	a := Action{Kind: ActNudge, Ring: st.Ring, Undo: st.Undo, Items: []Item{t.item(st)}, Reason: st.jobWords()}
	if st.Tries > 0 {
		a.After = t.now.Add(backoff(st.Tries))
	}
	t.request(a)
}

func (st *StepState) jobWords() string {
	whose := "ours"
	if st.GitRepo.Commit != st.Attempt.Commit {
		whose = "somebody else's, on top of ours"
	}
	return fmt.Sprintf("the git job of GitRepo %q failed at commit %s (%s): %s", st.Target.GitRepo, short(st.GitRepo.Commit), whose, st.GitRepo.JobError)
}

func (st *StepState) jobHint() string {
	return fmt.Sprintf("mend %s, push, and create the rollout again; Fleet does not retry the job by itself", st.Target.Repo)
}

func (t *turn) targeting(st *StepState) (Failure, bool) {
	b := st.Bundle
	if b == nil || b.Error == "" || t.now.Sub(st.BundleErrorSince) < bundleGrace {
		return Failure{}, false
	}
	if b.Name == "" {
		return Failure{Code: CodeTargeting, Words: b.Error, Hint: "give its fleet.yaml a name: and add the service again"}, true
	}
	if !st.placed(b.Commit) {
		return Failure{}, false
	}
	return Failure{Code: CodeTargeting, Words: fmt.Sprintf("Bundle %q: %s", b.Name, b.Error)}, true
}

// emptied: all clusters left while the step ran. Empty is never success.
func (t *turn) emptied(st *StepState) (Failure, bool) {
	if len(st.Counts) > 0 || st.Unplaced {
		return Failure{}, false
	}
	return Failure{Code: CodeTargets, Words: fmt.Sprintf("no cluster of %s is left that runs it", st.Ring)}, true
}

// late is about the deadlines of the whole step; each cluster has its own.
func (t *turn) late(st *StepState) (Failure, bool) {
	by := t.deadline(st)
	if by.IsZero() || t.now.Before(by) {
		return Failure{}, false
	}
	switch {
	case !st.ReadySince.IsZero():
		return Failure{Code: CodeUnreach, Words: fmt.Sprintf("all clusters are ready, but %s could not be read once more: %s", st.Target.Repo, st.Words), Hint: st.Hint}, true
	case st.TakenUpAt.IsZero():
		return Failure{Code: CodeUptake, Words: fmt.Sprintf("Fleet has not taken up commit %s within %s%s", short(st.Attempt.Commit), Duration(st.uptake()), st.fleetWords()),
			Hint: fmt.Sprintf("kubectl -n %s describe gitrepo %s", t.s.Scope.Workspace, st.Target.GitRepo)}, true
	}
	return Failure{Code: CodeUnreach, Words: fmt.Sprintf("%s could not be read, to tell whether %s is deployed to the clusters that joined: %s", st.Target.Repo, st.Target.Service, st.Words), Hint: st.Hint}, true
}

// deadline is until when the whole step must have come further: from the push
// until Fleet took it up, then until it is known which clusters count, then
// until the branch could be read once more. Zero while single clusters have
// theirs. A look at the branch is this driver's to take: the time in which
// nobody drove does not count.
func (t *turn) deadline(st *StepState) time.Time {
	switch {
	case !st.ReadySince.IsZero():
		return later(st.ReadySince, t.s.DrivenAt).Add(st.uptake())
	case st.TakenUpAt.IsZero():
		return st.PublishedAt.Add(st.uptake())
	case len(st.Counts) == 0 || st.Unplaced && st.waiting() == 0:
		return later(st.heldBy(), t.s.DrivenAt.Add(st.uptake()))
	}
	return time.Time{}
}

// fleetWords is what Fleet says about not taking a commit up, for people.
func (st *StepState) fleetWords() string {
	switch g := st.GitRepo; {
	case g == nil || g.Gone:
		return fmt.Sprintf(": there is no GitRepo %q", st.Target.GitRepo)
	case g.Paused:
		return fmt.Sprintf(": GitRepo %q is paused", st.Target.GitRepo)
	case g.PollError != "":
		return ": Fleet cannot read the repository: " + g.PollError
	}
	return ""
}

// deadline is until when the step, or the next of its clusters, may converge,
// for people; zero for no deadline.
func (st *StepState) deadline() time.Time {
	switch {
	case !st.ReadySince.IsZero():
		return st.ReadySince.Add(st.uptake())
	case st.TakenUpAt.IsZero():
		return st.PublishedAt.Add(st.uptake())
	}
	return st.clusterDue()
}

// expected is the number of clusters that count.
func (st *StepState) expected() int {
	n := 0
	for _, k := range st.Counts {
		n += k
	}
	return n
}

// converged is invariant 3: every expected cluster acknowledged our nonce, and
// the branch was read after that and still says what we wrote.
func (s *State) converged(st *StepState) bool {
	looked := st.Observed || !st.SurveyedAt.Before(st.ReadySince) && st.Survey.Commit != ""
	return !st.ReadySince.IsZero() && looked && !st.Unplaced
}

func (st *StepState) doneReason() string {
	if st.Observed {
		return fmt.Sprintf("healthy on %d of %d clusters; it is not in the plan", st.Counts[ClusterReady], st.expected())
	}
	if !st.Attempt.Ours && !st.ReadySince.After(st.PublishedAt) {
		return fmt.Sprintf("already live since %s (commit %s by %s)", st.Survey.At.UTC().Format(time.RFC3339), short(st.Attempt.Commit), st.Survey.Author)
	}
	return fmt.Sprintf("%s acknowledged by %d of %d clusters at commit %s", st.wants(), st.Counts[ClusterReady], st.expected(), short(st.Attempt.Commit))
}

// wantsLook says why the branch must be read again, if it must.
func (t *turn) wantsLook(st *StepState) (string, bool) {
	switch {
	case !st.Observed && !st.ReadySince.IsZero() && st.SurveyedAt.Before(st.ReadySince):
		return "all clusters are ready: does the branch still say so?", true
	case (t.all[st] || st.Tries > 0) && st.Unplaced:
		return "a cluster joined: is the service deployed there?", true
	case st.Observed:
		return "", false
	case st.jobFailed() && st.Target.Managed && st.Nudge == NudgeNone && st.SurveyedAt.Before(st.JobFailedAt):
		return "the git job failed: can the branch be read?", true
	case t.unplacedCommit(st):
		return "Fleet shows a commit that is not known", true
	}
	return "", false
}

// unplacedCommit reports whether Fleet's objects show a commit that came after
// the last survey was asked for. In a turn without news of many, only what is
// new is looked at.
func (t *turn) unplacedCommit(st *StepState) bool {
	if t.all[st] || st.Tries > 0 {
		return slices.ContainsFunc(st.shown(), st.unexplainedCommit)
	}
	for name := range t.dirty[st] {
		if st.unexplainedCommit(st.Clusters[name].Seen.Commit) {
			return true
		}
	}
	return st.Bundle != nil && st.unexplainedCommit(st.Bundle.Commit) ||
		st.GitRepo != nil && st.unexplainedCommit(st.GitRepo.Commit)
}

func (st *StepState) unexplainedCommit(commit string) bool {
	return commit != "" && !st.placed(commit) && !slices.Contains(st.Strange, commit)
}
