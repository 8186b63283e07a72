package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
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
	if st.converged() {
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
				short(f.Commit), f.Author, st.Target.Service, f.Version, st.Ring, f.Nonce),
			Hint: "agree with its author, then create the rollout again"}, true
	}
	return Failure{}, false
}

// takenUp notes that Fleet took the commit up, once.
func (t *turn) takenUp(st *StepState) {
	if !st.TakenUpAt.IsZero() {
		return
	}
	for _, name := range t.moved(st) {
		c := st.Clusters[name]
		if c != nil && c.Seen != nil && !c.Seen.Gone && st.placed(c.Seen.Commit) {
			t.emit(TakenUp{st.ref()})
			return
		}
	}
}

func (t *turn) judgeClusters(st *StepState) {
	for _, name := range t.moved(st) {
		t.judgeCluster(st, name)
	}
}

// moved returns the clusters that must be judged: those of this turn's facts
// and those whose suspicion is due, or all when the branch or the ring moved.
// The work follows what changed, not the ring's size.
func (t *turn) moved(st *StepState) []rings.ClusterName {
	if t.all[st] {
		return st.everyCluster()
	}
	names := make(map[rings.ClusterName]bool, len(t.dirty[st]))
	for name := range t.dirty[st] {
		names[name] = true
	}
	for _, s := range st.Suspicions {
		if !s.due(t.now) {
			break
		}
		names[s.Cluster] = true
	}
	return sortedNames(names)
}

func (t *turn) judgeCluster(st *StepState, name rings.ClusterName) {
	c := st.Clusters[name]
	if c == nil {
		c = &ClusterState{}
	}
	next := ClusterTurned{Ref: st.ref(), Cluster: name}
	if expected, _ := st.expects(name); expected {
		t.weigh(st, c, &next)
	} else if c.Expected || c.Phase == ClusterLeft {
		next.Phase, next.Reason = ClusterLeft, "no longer a cluster of "+string(st.Ring)
	} else {
		return
	}
	if c.Expected != next.Expected || c.Phase != next.Phase || c.Reason != next.Reason || c.Code != next.Code || !c.Suspect.Equal(next.Suspect) {
		t.emit(next)
	}
}

// weigh is the verdict and what time makes of it.
func (t *turn) weigh(st *StepState, c *ClusterState, next *ClusterTurned) {
	v := st.judge(c.Seen)
	next.Expected, next.Phase, next.Reason, next.Code = true, v.phase, v.reason, v.code
	if !v.suspect || !st.alive(c.Seen) {
		return
	}
	next.Suspect = c.Suspect
	if c.Suspect.IsZero() {
		next.Suspect = t.now
	}
	if t.now.Sub(next.Suspect) < suspectGrace {
		return
	}
	if v.code != "" {
		next.Phase = ClusterFailed
	} else {
		next.Reason = stalled(c.Seen)
	}
}

// everyCluster returns all names that may count, sorted.
func (st *StepState) everyCluster() []rings.ClusterName {
	all := make(map[rings.ClusterName]bool, len(st.Clusters))
	for name := range st.Clusters {
		all[name] = true
	}
	for _, name := range st.Members {
		all[name] = true
	}
	return sortedNames(all)
}

func sortedNames(set map[rings.ClusterName]bool) []rings.ClusterName {
	out := make([]rings.ClusterName, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// failure says why the step must end badly now, if it must: Fleet's own
// errors, a cluster that failed, a ring without clusters, a deadline.
func (t *turn) failure(st *StepState) (Failure, bool) {
	for _, check := range []func(*StepState) (Failure, bool){t.gitJob, t.targeting, t.failedCluster, t.emptied, t.late} {
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
	a := Action{Kind: ActNudge, Ring: st.Ring, Items: []Item{t.item(st)}, Reason: st.jobWords()}
	if st.Tries > 0 {
		a.After = t.now.Add(backoff(st.Tries))
	}
	t.ask(a)
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

func (t *turn) failedCluster(st *StepState) (Failure, bool) {
	if st.Counts[ClusterFailed] == 0 {
		return Failure{}, false
	}
	for _, name := range st.everyCluster() {
		if c := st.Clusters[name]; c != nil && c.Expected && c.Phase == ClusterFailed {
			return Failure{Code: c.Code, Cluster: name, Words: fmt.Sprintf("cluster %q: %s", name, c.Reason)}, true
		}
	}
	return Failure{}, false
}

// emptied: all clusters left while the step ran. Empty is never success.
func (t *turn) emptied(st *StepState) (Failure, bool) {
	if len(st.Counts) > 0 || st.unplacedMember() {
		return Failure{}, false
	}
	return Failure{Code: CodeTargets, Words: fmt.Sprintf("no cluster of %s is left that runs it", st.Ring)}, true
}

// late is about the two deadlines.
func (t *turn) late(st *StepState) (Failure, bool) {
	if t.now.Before(t.deadline(st)) {
		return Failure{}, false
	}
	if st.TakenUpAt.IsZero() && st.ReadySince.IsZero() {
		return Failure{Code: CodeUptake, Words: fmt.Sprintf("Fleet has not taken up commit %s within %s%s", short(st.Attempt.Commit), Duration(st.uptake()), st.fleetWords()),
			Hint: fmt.Sprintf("kubectl -n %s describe gitrepo %s", t.s.Scope.Workspace, st.Target.GitRepo)}, true
	}
	if !st.ReadySince.IsZero() {
		return Failure{Code: CodeUnreach, Words: fmt.Sprintf("all clusters are ready, but %s could not be read once more: %s", st.Target.Repo, st.Words), Hint: st.Hint}, true
	}
	if len(st.Counts) == 0 {
		return Failure{Code: CodeUnreach, Words: fmt.Sprintf("%s could not be read, to tell whether %s is deployed to the clusters that joined: %s", st.Target.Repo, st.Target.Service, st.Words), Hint: st.Hint}, true
	}
	return t.lateClusters(st), true
}

// lateClusters turns what is not ready at the deadline into Failed or
// Offline, and names them.
func (t *turn) lateClusters(st *StepState) Failure {
	f := Failure{}
	for _, name := range st.everyCluster() {
		c := st.Clusters[name]
		if c == nil || !c.Expected || c.Phase == ClusterReady {
			continue
		}
		turned := ClusterTurned{Ref: st.ref(), Cluster: name, Expected: true, Phase: ClusterFailed, Code: CodeNotReady,
			Reason: fmt.Sprintf("%s (%s) for longer than %s", c.Reason, c.Phase, Duration(st.convergeIn()))}
		if c.Phase != ClusterMissing && !st.alive(c.Seen) {
			turned.Phase, turned.Code, turned.Reason = ClusterOffline, CodeOffline, "no sign of its agent since the push"
		}
		t.emit(turned)
		if f.Code == "" {
			f = Failure{Code: turned.Code, Cluster: name, Words: fmt.Sprintf("cluster %q: %s", name, turned.Reason)}
		}
	}
	if n := st.expected() - st.Counts[ClusterReady]; n > 1 {
		f.Words += fmt.Sprintf(" (and %d more of %d clusters)", n-1, st.expected())
	}
	return f
}

// deadline is the step's; a look at the branch, when only that is waited for,
// is this driver's to take: the time in which nobody drove does not count.
func (t *turn) deadline(st *StepState) time.Time {
	if st.ReadySince.IsZero() && len(st.Counts) > 0 {
		return st.deadline()
	}
	return later(st.deadline(), t.s.DrivenAt.Add(st.uptake()))
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

// deadline is until when the step may converge: from the push until Fleet
// took it up, then until the clusters are ready, then until the branch could
// be read once more.
func (st *StepState) deadline() time.Time {
	if !st.ReadySince.IsZero() {
		return st.ReadySince.Add(st.uptake())
	}
	if st.TakenUpAt.IsZero() {
		return st.PublishedAt.Add(st.uptake())
	}
	return st.TakenUpAt.Add(st.convergeIn())
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
func (st *StepState) converged() bool {
	return !st.ReadySince.IsZero() && !st.SurveyedAt.Before(st.ReadySince) && st.Survey.Commit != "" && !st.unplacedMember()
}

func (st *StepState) doneReason() string {
	if !st.Attempt.Ours && !st.ReadySince.After(st.PublishedAt) {
		return fmt.Sprintf("already live since %s (commit %s by %s)", st.Survey.At.UTC().Format(time.RFC3339), short(st.Attempt.Commit), st.Survey.Author)
	}
	return fmt.Sprintf("%s acknowledged by %d of %d clusters at commit %s", st.To, st.Counts[ClusterReady], st.expected(), short(st.Attempt.Commit))
}

// wantsLook says why the branch must be read again, if it must.
func (t *turn) wantsLook(st *StepState) (string, bool) {
	switch {
	case !st.ReadySince.IsZero() && st.SurveyedAt.Before(st.ReadySince):
		return "all clusters are ready: does the branch still say so?", true
	case (t.all[st] || st.Tries > 0) && st.unplacedMember():
		return "a cluster joined: is the service deployed there?", true
	case st.jobFailed() && st.Target.Managed && st.Nudge == NudgeNone && st.SurveyedAt.Before(st.JobFailedAt):
		return "the git job failed: can the branch be read?", true
	case t.unplacedCommit(st):
		return "Fleet shows a commit that is not known", true
	}
	return "", false
}

// unplacedMember reports whether a member of the ring is unknown to the survey.
func (st *StepState) unplacedMember() bool {
	return slices.ContainsFunc(st.Members, func(name rings.ClusterName) bool {
		_, known := st.expects(name)
		return !known
	})
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

// wake is the next moment at which time alone changes something.
func (t *turn) wake() time.Time {
	if t.s.Phase.Ended() {
		return time.Time{}
	}
	var next time.Time
	note := func(at time.Time) {
		if at.After(t.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, st := range t.s.Steps {
		switch st.Phase {
		case StepSurveying, StepPublishing:
			note(t.publishBy(st))
		case StepConverging:
			note(t.deadline(st))
			if !st.Synced {
				note(t.seenBy(st))
			}
			st.timers(note)
		}
	}
	return next
}

// timers names the moments at which what was seen begins to count.
func (st *StepState) timers(note func(time.Time)) {
	if !st.BundleErrorSince.IsZero() {
		note(st.BundleErrorSince.Add(bundleGrace))
	}
	if len(st.Suspicions) > 0 {
		note(st.Suspicions[0].Since.Add(suspectGrace))
	}
}
