package orchestrator

import (
	"slices"
	"time"

	"rollout/rings"
)

func (st *StepState) observed(f Fact, at time.Time) {
	switch {
	case f.Deployment != nil:
		c := st.cluster(f.Deployment.Cluster, at)
		if c.Seen = f.Deployment; c.Seen.Heard.After(c.Heard) {
			c.Heard, c.HeardAt = c.Seen.Heard, at
		}
	case f.Bundle != nil:
		if f.Bundle.Error == "" {
			st.BundleErrorSince = time.Time{}
		} else if st.Bundle == nil || st.Bundle.Error == "" || st.Bundle.Commit != f.Bundle.Commit {
			st.BundleErrorSince = at
		}
		st.Bundle = f.Bundle
	case f.GitRepo != nil:
		if st.Nudge == NudgeAsked && !f.GitRepo.JobFailed {
			st.Nudge = NudgeTaken
		}
		if f.GitRepo.JobFailed && (st.GitRepo == nil || !st.GitRepo.JobFailed) {
			st.JobFailedAt = at
		}
		st.GitRepo = f.GitRepo
	case f.Members != nil:
		st.Members = f.Members.Clusters
	}
	st.Synced = st.Synced || f.Synced
}

// cluster returns the cluster's state, made when it is new.
func (st *StepState) cluster(name rings.ClusterName, at time.Time) *ClusterState {
	if st.Clusters == nil {
		st.Clusters = map[rings.ClusterName]*ClusterState{}
	}
	c := st.Clusters[name]
	if c == nil {
		c = &ClusterState{Phase: ClusterWaiting, Since: at}
		st.Clusters[name] = c
	}
	return c
}

func (st *StepState) answered(a Action, item Item, o Outcome) {
	if a.Kind == ActNudge && (o.Result == Unreachable || o.Result == Unknown) {
		st.Nudge = NudgeNone
		st.Tries++
	}
	if a.Kind != ActSurvey && a.Kind != ActPublish {
		return
	}
	if o.Result != OK {
		st.missed(a.Kind, o)
		return
	}
	doubt := st.Doubt || st.Phase == StepProposed
	st.Tries, st.Doubt, st.Words, st.Hint = 0, false, "", ""
	if v := o.survey(item.Service); v != nil {
		st.Doubt = doubt && v.blind()
		st.surveyed(v, a.AskedAt, item.Labels)
		st.foundLate(v)
	}
}

// foundLate notes that the attempt of a step that has failed already, and was
// perhaps resumed, is on the branch all the same: what takes back must know.
func (st *StepState) foundLate(v *Survey) {
	if (st.Phase.Ended() || st.Phase == StepSurveying) && st.Attempt.Ours && st.Attempt.Commit == "" && v.Commit != "" && v.Nonce == st.Attempt.Nonce {
		st.Attempt.Commit = v.Commit
		st.noteChange()
	}
}

// noteChange remembers what the first attempt that changed something changed.
func (st *StepState) noteChange() {
	if st.Attempt.Ours && !st.Changed && st.Attempt.changes() {
		st.Changed, st.Was, st.Before = true, st.Attempt.From, st.Attempt.Had
	}
}

// missed counts an action that did not reach its goal.
func (st *StepState) missed(kind ActionKind, o Outcome) {
	st.Words, st.Hint = o.Words, o.Hint
	if kind == ActSurvey {
		st.Tries++
		st.Doubt = st.Doubt || st.Phase == StepProposed // somebody may have merged it
		return
	}
	st.Pushes++
	st.Doubt = o.Result != Refused
}

// surveyed takes the survey in. Labels that were there when it was asked for,
// and that it does not place after the attempt's commit, are older.
func (st *StepState) surveyed(v *Survey, asked time.Time, labels []string) {
	st.Survey, st.SurveyedAt = v, asked
	for _, l := range labels {
		if !slices.Contains(v.Lineage, l) && !slices.Contains(st.Strange, l) {
			st.Strange = append(st.Strange, l)
		}
	}
}

// forget drops what was seen: whoever watches next says it all again.
func (st *StepState) forget() {
	st.Synced = false
	for _, c := range st.Clusters {
		c.Seen = nil
	}
}

func (st *StepState) jumped(at time.Time) {
	for _, t := range []*time.Time{&st.StartedAt, &st.PublishedAt, &st.TakenUpAt, &st.MovedAt, &st.ReadySince, &st.BundleErrorSince, &st.JobFailedAt} {
		if !t.IsZero() {
			*t = at
		}
	}
	st.SurveyedAt = time.Time{}
	st.Proposal.jumped(at)
	for i, s := range st.Suspicions {
		if c := st.Clusters[s.Cluster]; c.Suspect.Equal(s.Since) {
			c.Suspect, st.Suspicions[i].Since = at, at
		}
	}
	for _, c := range st.Clusters {
		c.HeardAt = time.Time{} // a sign of before counts no more
		if c.Since.After(at) {
			c.Since = at
		}
	}
	for i, t := range st.Trials {
		if c := st.Clusters[t.Cluster]; c.Trying.Equal(t.Since) {
			c.Trying, st.Trials[i].Since = at, at
		}
	}
}

// reset makes a step wait again, as one that has not begun; what it was seen
// to be is kept.
func (st *StepState) reset() {
	st.Phase, st.Failure, st.Reason, st.FinishedAt = StepWaiting, nil, "", time.Time{}
	st.StartedAt, st.PublishedAt, st.TakenUpAt, st.ReadySince, st.MovedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	st.Survey, st.Unplaced, st.Proposal = nil, false, nil
	st.Nudge, st.Tries, st.Words, st.Hint = NudgeNone, 0, "", ""
	st.Counts, st.Suspicions, st.Trials = nil, nil, nil
	for _, c := range st.Clusters {
		*c = ClusterState{Phase: ClusterWaiting, Since: c.Since, Seen: c.Seen, Heard: c.Heard, HeardAt: c.HeardAt}
	}
}

// held makes the step wait again before it has published anything.
func (st *StepState) held() {
	st.Phase, st.Survey, st.Unplaced, st.Proposal, st.StartedAt = StepWaiting, nil, false, nil, time.Time{}
}

func (st *StepState) started(at time.Time) {
	if st.StartedAt.IsZero() || st.Phase == StepProposed {
		st.StartedAt = at // a merge may have been waited for for long
	}
	st.Phase, st.Survey, st.Unplaced, st.Proposal = StepSurveying, nil, false, nil
}

// decided begins an attempt, which may be one that was found on the branch. A
// step that keeps the ring's version knows from now on which one that is.
func (st *StepState) decided(a Attempt, at time.Time) {
	if st.Keep {
		st.To = a.Version
	}
	st.Attempt, st.Phase, st.Pushes, st.Doubt = a, StepPublishing, 0, false
	if !a.Ours {
		st.published(a.Commit, at)
	}
}

func (st *StepState) published(commit string, at time.Time) {
	st.Attempt.Commit, st.Phase, st.PublishedAt = commit, StepConverging, at
	st.noteChange()
}

func (st *StepState) turned(t ClusterTurned, at time.Time) {
	c := st.cluster(t.Cluster, at)
	nowReady := t.Expected && t.Phase == ClusterReady && (!c.Expected || c.Phase != ClusterReady)
	if c.Expected {
		st.count(c.Phase, -1)
	}
	if t.Expected {
		st.count(t.Phase, 1)
	}
	if !t.Suspect.IsZero() && !t.Suspect.Equal(c.Suspect) {
		st.Suspicions = append(st.Suspicions, Suspicion{t.Cluster, t.Suspect})
	}
	st.tried(t, c, at)
	if c.Phase != t.Phase || t.Expected && !c.Expected {
		c.Since = at
	}
	c.Expected, c.Phase, c.Reason, c.Code, c.Suspect = t.Expected, t.Phase, t.Reason, t.Code, t.Suspect
	st.dismiss(at)
	st.noteReady(at, nowReady)
}

// tried keeps since when the cluster has had its turn without being ready.
// One that is given up as failed keeps its time, one that cannot be reached
// begins anew when it is back.
func (st *StepState) tried(t ClusterTurned, c *ClusterState, at time.Time) {
	wasReady, isReady := c.Expected && c.Phase == ClusterReady, t.Expected && t.Phase == ClusterReady
	switch has := t.Phase == ClusterApplying || t.Phase == ClusterNotReady; {
	case t.Expected && has && c.Trying.IsZero():
		c.Trying, st.MovedAt = at, at
		st.Trials = append(st.Trials, Trial{t.Cluster, at})
	case !has && t.Phase != ClusterFailed:
		c.Trying = time.Time{}
	}
	if wasReady != isReady {
		st.MovedAt = at
	}
}

// dismiss takes away the first suspicions that are over or have come due: a
// turn judges all that are due before it says what turned.
func (st *StepState) dismiss(at time.Time) {
	n := slices.IndexFunc(st.Suspicions, func(s Suspicion) bool {
		return st.Clusters[s.Cluster].Suspect.Equal(s.Since) && !s.due(at)
	})
	if n < 0 {
		n = len(st.Suspicions)
	}
	st.Suspicions = st.Suspicions[n:]
	n = slices.IndexFunc(st.Trials, func(s Trial) bool {
		return st.Clusters[s.Cluster].Trying.Equal(s.Since) && at.Before(s.Since.Add(st.convergeIn()))
	})
	if n < 0 {
		n = len(st.Trials)
	}
	st.Trials = st.Trials[n:]
}

// due reports whether the suspicion has stood for suspectGrace.
func (s Suspicion) due(at time.Time) bool { return at.Sub(s.Since) >= suspectGrace }

func (st *StepState) count(p ClusterPhase, n int) {
	if st.Counts == nil {
		st.Counts = map[ClusterPhase]int{}
	}
	if st.Counts[p] += n; st.Counts[p] == 0 {
		delete(st.Counts, p)
	}
}

// noteReady keeps ReadySince: when the last expected cluster became ready or
// was given up, so that the branch is read after that.
func (st *StepState) noteReady(at time.Time, nowReady bool) {
	switch {
	case st.waiting() > 0 || st.Counts[ClusterReady] == 0:
		st.ReadySince = time.Time{}
	case st.ReadySince.IsZero() || nowReady:
		st.ReadySince = at
	}
}

// waiting is the number of expected clusters that are neither ready nor given
// up.
func (st *StepState) waiting() int {
	given := st.Counts[ClusterReady] + st.Counts[ClusterFailed]
	if st.Policy.OnOffline != rings.OfflineWait {
		given += st.Counts[ClusterOffline]
	}
	return st.expected() - given
}

func (s *State) stepEnded(b StepEnded, at time.Time) {
	st := s.step(b.Ref)
	st.Phase, st.Reason, st.Failure, st.FinishedAt = b.Phase, b.Reason, b.Failure, at
	if st.Undo {
		s.undone(st, b)
		return
	}
	if b.Phase == StepFailed && s.Failure == nil {
		s.Failure = b.Failure
	}
}

// undone says of a step how the taking back of it ended.
func (s *State) undone(undo *StepState, b StepEnded) {
	st := s.step(Ref{undo.Ring, undo.Target.Service, false})
	if b.Phase != StepFailed {
		st.Phase = StepRolledBack
		return
	}
	st.Phase = StepFailed
	if s.Rollback.Failure == nil {
		s.Rollback.Failure = b.Failure
	}
}
