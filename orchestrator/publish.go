package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// decide turns a survey into an attempt: what version and nonce are to be
// written, or that nothing need be. It happens once per attempt.
func (t *turn) decide(st *StepState) {
	if t.holds(st) {
		t.emit(StepHeld{st.ref()})
		return
	}
	if t.overdue(st) || st.Survey == nil || !st.Synced {
		return
	}
	r := t.s.ring(st.Ring)
	if len(st.Members) == 0 && !r.Named && !st.Undo && !t.begun(r) {
		t.skipRing(r, "it has no clusters")
		return
	}
	if len(st.Members) == 0 {
		t.fail(st, Failure{Code: CodeTargets, Words: fmt.Sprintf("%s has no clusters any more", st.Ring)})
		return
	}
	if len(st.Survey.Expected) == 0 {
		t.done(st, StepSkipped, "not deployed on "+string(st.Ring))
		return
	}
	if st.Observed {
		t.emit(AttemptDecided{Ref: st.ref(), Attempt: Attempt{Number: st.Attempt.Number + 1, Version: st.Survey.Version, From: st.Survey.Version, Commit: st.Survey.Commit}})
		t.all[st] = true
		return
	}
	if f, refused := t.refuse(st); refused {
		t.fail(st, f)
		return
	}
	if st.says() && !t.s.Options.Redeploy && st.Survey.Nonce > 0 && t.adopt(st) {
		return
	}
	t.emit(AttemptDecided{Ref: st.ref(), Attempt: Attempt{
		Number: st.Attempt.Number + 1, Version: st.version(), From: st.Survey.Version,
		Settings: st.Settings, Had: st.had(),
		Nonce: t.s.nextNonce(st), Base: st.Survey.Tip, Ours: true,
	}})
}

// begun reports whether a step of the ring has come further than to look.
func (t *turn) begun(r *RingState) bool {
	return slices.ContainsFunc(t.s.Steps, func(st *StepState) bool {
		return st.Ring == r.Name && st.Attempt.Number > 0
	})
}

// refuse looks for what must not be overwritten or ignored.
func (t *turn) refuse(st *StepState) (Failure, bool) {
	for _, x := range st.Survey.Excluded {
		if c := st.Clusters[x.Cluster]; c != nil && c.Seen != nil && !c.Seen.Gone && !c.Seen.Deleting {
			return Failure{Code: CodeTargets, Cluster: x.Cluster,
				Words: fmt.Sprintf("cluster %q of %s runs it, but would not get the change: %s", x.Cluster, st.Ring, x.Why)}, true
		}
	}
	if st.To == "" && !st.Keep {
		return Failure{Code: CodeRollback, Words: fmt.Sprintf("the clusters of %s ran different versions of %s before, which cannot be restored by one entry", st.Ring, st.Target.Service)}, true
	}
	if v, foreign := st.foreignVersion(); foreign && (st.Undo || !t.s.Options.Override) {
		return Failure{Code: CodeManual,
			Words: fmt.Sprintf("%s says %s for %s, last recorded here is %s: commit %s by %s",
				st.Target.file(), v, st.Ring, st.Known.Version, short(st.Survey.Commit), st.Survey.Author),
			Hint: fmt.Sprintf("rollout service adopt %s %s (records it as known), or create with --override --reason", t.s.Scope.App, st.Target.Service)}, true
	}
	return t.refuseSettings(st)
}

// file is the path of the fleet.yaml, for people.
func (t Target) file() string {
	return rings.Service{Path: t.Path}.File()
}

// foreignVersion returns a version in the file that this store did not write,
// if there is one that is not already the wanted one (invariant 12).
func (st *StepState) foreignVersion() (rings.Version, bool) {
	if st.Known.Version == "" && st.Known.Attempted == "" {
		return "", false // nothing was ever recorded for the ring
	}
	for _, v := range st.Survey.present() {
		if v != st.To && !st.Known.Wrote(v) && v != st.Attempt.Version {
			return v, true
		}
	}
	return "", false
}

// blind reports whether the branch cannot tell what became of the attempt: no
// cluster of the ring gets the service, so no entry of the file is the ring's.
func (v *Survey) blind() bool { return len(v.Expected) == 0 && v.Commit == "" }

// present returns the versions that the ring's clusters get now.
func (v *Survey) present() []rings.Version {
	if v.Version != "" {
		return []rings.Version{v.Version}
	}
	return v.Versions
}

// adopt handles a file that already says version and settings: it is done when every
// expected cluster is ready under the file's nonce, and waited for when that
// is on its way; otherwise a new nonce is needed, and adopt returns false
// (DESIGN section 4, (a) to (c)).
func (t *turn) adopt(st *StepState) bool {
	found := Attempt{Number: st.Attempt.Number + 1, Version: st.Survey.Version, From: st.Survey.Version, Settings: st.Settings, Had: st.Settings,
		Nonce: st.Survey.Nonce, Commit: st.Survey.Commit}
	probe := &StepState{Attempt: found, Survey: st.Survey, PublishedAt: t.now}
	for _, name := range st.Survey.Expected {
		var seen *Deployment
		if c := st.Clusters[name]; c != nil {
			seen = c.Seen
		}
		if v := probe.judge(seen); v.phase != ClusterReady && !t.underWay(st, v) {
			return false
		}
	}
	t.emit(AttemptDecided{Ref: st.ref(), Attempt: found})
	t.all[st] = true
	return true
}

// underWay reports whether a cluster that is not ready under the file's own
// version and nonce may still get there by itself: no error, the git job has
// not failed, and the commit is younger than the deadlines.
func (t *turn) underWay(st *StepState, v verdict) bool {
	if v.code != "" || st.jobFailed() {
		return false
	}
	age := t.now.Sub(st.Survey.At)
	if v.phase == ClusterWaiting || v.phase == ClusterMissing {
		return age < st.uptake()
	}
	return age < st.uptake()+st.convergeIn()
}

// jobFailed reports whether Fleet's git job failed at a commit that matters
// to the attempt: its own or a later one.
func (st *StepState) jobFailed() bool {
	return st.GitRepo != nil && st.GitRepo.JobFailed && st.placed(st.GitRepo.Commit)
}

// nextNonce is larger than every nonce that was ever seen of the service: in
// the file, on its BundleDeployments, in this store. Unique across rings,
// reverts and lost stores; it is only ever compared with ==.
func (s *State) nextNonce(st *StepState) int64 {
	n := max(st.Survey.MaxNonce, st.Floor)
	for _, other := range s.Steps {
		if other.Target.Service == st.Target.Service {
			n = max(n, other.Attempt.Nonce)
		}
	}
	if st.Bundle != nil {
		n = max(n, st.Bundle.MaxNonce)
	}
	for _, c := range st.Clusters {
		if c.Seen != nil {
			n = max(n, c.Seen.SpecNonce, c.Seen.StatusNonce)
		}
	}
	return n + 1
}

// publishing sees the attempt on the branch, by whatever survey shows it.
func (t *turn) publishing(st *StepState) {
	if t.arrive(st) {
		t.hintAt(st)
		return
	}
	if st.Doubt && st.Survey.blind() {
		t.fail(st, Failure{Code: CodeTargets, Words: fmt.Sprintf("no cluster of %s gets %s any more: whether a push arrived cannot be told", st.Ring, st.Target.Service)})
		return
	}
	if t.holds(st) && !st.Doubt && !t.isPending(st, ActPublish) {
		t.emit(StepHeld{st.ref()})
		return
	}
	t.overdue(st)
}

// arrive records that the attempt is on the branch, if the last survey found it
// there, and reports whether it did.
func (t *turn) arrive(st *StepState) bool {
	if !st.arrived() {
		return false
	}
	t.emit(Published{Ref: st.ref(), Commit: st.Survey.Commit})
	return true
}

// hintAt has Fleet told of what has just come onto the branch.
func (t *turn) hintAt(st *StepState) {
	t.all[st] = true
	t.request(Action{Kind: ActHint, Ring: st.Ring, Undo: st.Undo, Items: []Item{t.item(st)}, Commit: st.Survey.Tip, Reason: "Fleet need not wait for its next poll"})
}

// arrived reports whether the last survey found the attempt on the branch.
func (st *StepState) arrived() bool {
	v := st.Survey
	return (st.Phase == StepPublishing || st.Phase == StepProposed) && v != nil && v.Commit != "" && (v.Nonce == st.Attempt.Nonce || v.Superseded != nil)
}

// overdue fails a step that could not be read or published in time. A push
// that is under way is waited for: its answer says what is on the branch.
func (t *turn) overdue(st *StepState) bool {
	if t.now.Before(t.publishBy(st)) || t.isPending(st, ActPublish) {
		return false
	}
	if st.Phase == StepSurveying && st.Survey != nil && !st.Synced {
		t.fail(st, t.unseen(st))
		return true
	}
	words := fmt.Sprintf("%s could not be read and written within %s", st.Target.Repo, Duration(st.uptake()))
	if st.Words != "" {
		words += ": " + st.Words
	}
	if st.Doubt {
		words += "; a push may have arrived nevertheless"
	}
	t.fail(st, Failure{Code: CodeUnreach, Words: words, Hint: st.Hint})
	return true
}

// publishBy is until when the step must be on the branch. The time in which
// nobody drove the rollout does not count.
func (t *turn) publishBy(st *StepState) time.Time {
	return later(st.StartedAt, t.s.DrivenAt).Add(st.uptake())
}

// uptake is the step's uptake deadline.
func (st *StepState) uptake() time.Duration {
	if st.Policy.Uptake > 0 {
		return st.Policy.Uptake
	}
	if st.GitRepo != nil {
		return max(rings.DefaultUptake, 3*st.GitRepo.Polling)
	}
	return rings.DefaultUptake
}

// convergeIn is the step's converge deadline.
func (st *StepState) convergeIn() time.Duration {
	if st.Policy.Converge > 0 {
		return st.Policy.Converge
	}
	return rings.DefaultConverge
}

// item is what a survey or publish asks for the step.
func (t *turn) item(st *StepState) Item {
	i := Item{Service: st.Target.Service}
	switch st.Phase {
	case StepProposed:
		i.Branch = st.Proposal.Branch
	case StepPublishing, StepConverging, StepDone:
	default:
		return i
	}
	if a := st.Attempt; !st.Observed {
		i.Version, i.Nonce, i.From, i.Settings, i.Base, i.Commit = a.Version, a.Nonce, a.From, a.Settings, a.Base, a.Commit
	}
	return i
}

// askSurveys asks, repository by repository, for the surveys that steps need.
func (t *turn) askSurveys() {
	t.askGroups(ActSurvey, func(st *StepState) (string, bool) {
		if t.isPending(st, ActSurvey) {
			return "", false
		}
		return t.wantsSurvey(st)
	})
}

// wantsSurvey says why a survey is wanted, if it is.
func (t *turn) wantsSurvey(st *StepState) (string, bool) {
	switch st.Phase {
	case StepSurveying:
		return "what does the branch say?", st.Survey == nil
	case StepPublishing:
		return "did the push arrive?", st.Doubt && !t.isPending(st, ActPublish)
	case StepProposed:
		return t.wantsMergeLook(st)
	case StepConverging:
		return t.wantsLook(st)
	case StepDone:
		if t.s.ring(st.Ring).Phase == RingSoaking && st.Attempt.Commit != "" && !st.Observed {
			return t.wantsLook(st)
		}
	}
	return "", false
}

// askPublishes asks for the pushes that are due, with one commit for the
// steps of one repository. It waits for steps that are still being decided.
func (t *turn) askPublishes() {
	t.askGroups(ActPublish, func(st *StepState) (string, bool) {
		may := st.Ring == t.s.Current && t.s.ring(st.Ring).Claimed && !st.Doubt && !t.deciding(st) &&
			!t.isPending(st, ActSurvey) && !t.isPending(st, ActPublish)
		if st.Phase == StepProposed {
			return "does the proposal still fit?", may && t.outdated(st)
		}
		return "the attempt is recorded", may && st.Phase == StepPublishing
	})
}

// deciding reports whether another step of the same repository is about to be
// decided.
func (t *turn) deciding(st *StepState) bool {
	return slices.ContainsFunc(t.s.Steps, func(o *StepState) bool {
		return o.Phase == StepSurveying && o.repository() == st.repository() && !o.Observed
	})
}

// repository is what shares commits.
func (st *StepState) repository() [4]string {
	return [4]string{string(st.Ring), st.Target.Repo, st.Target.Branch, string(st.Target.Publish)}
}

// shared is what is asked for together: what shares commits, and the branch on
// which they are proposed.
func (st *StepState) shared() [5]string {
	r := st.repository()
	key := [5]string{r[0], r[1], r[2], r[3]}
	if st.Phase == StepProposed {
		key[4] = st.Proposal.Branch
	}
	return key
}

// askGroups asks for one action per repository, for the steps that want it.
func (t *turn) askGroups(kind ActionKind, wants func(*StepState) (string, bool)) {
	grouped := map[[5]string]*Action{}
	var order []*Action
	for _, st := range t.s.Steps {
		why, want := wants(st)
		if !want {
			continue
		}
		a := grouped[st.shared()]
		if a == nil {
			a = &Action{Kind: kind, Ring: st.Ring, Undo: st.Undo, Reason: why}
			if kind == ActVerify {
				r := t.s.ring(st.Ring)
				a.Ring, a.For = t.s.upstream(r), st.Ring
				if r.Tries > 0 {
					a.After = t.now.Add(backoff(r.Tries))
				}
			}
			grouped[st.shared()], order = a, append(order, a)
		}
		a.Items = append(a.Items, t.item(st))
		if kind == ActVerify {
			continue
		}
		if tries := st.tries(kind); tries > 0 {
			a.After = later(a.After, t.now.Add(backoff(tries)))
		}
	}
	for _, a := range order {
		t.request(*a)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tries are those of an action that did not reach its goal so far.
func (st *StepState) tries(kind ActionKind) int {
	if kind == ActPublish {
		return st.Pushes
	}
	return st.Tries
}
