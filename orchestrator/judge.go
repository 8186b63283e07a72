package orchestrator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollout/rings"
)

const (
	// suspectGrace is how long a deployment error, which Fleet retries, may
	// stand under our nonce with a live agent before it counts as failed, and
	// how long a silent stall may last before it is called a conflict
	// (DESIGN section 4: Helm 4 reports nearly every permanent error as a
	// soft one, and neither time nor text binds it to our deployment).
	suspectGrace = 60 * time.Second
	// bundleGrace is how long a targeting error may stand under our commit:
	// the words of the last one stay for 5 s (EXPERIMENTS section 4).
	bundleGrace = 15 * time.Second
)

// verdict is what is thought of one cluster within a step.
type verdict struct {
	phase   ClusterPhase
	reason  string
	code    Code
	suspect bool // an error or a stall that counts once it has stood for suspectGrace
}

// judge applies the convergence rule of DESIGN section 4 to one expected
// cluster: it is Ready only when every field of one and the same read says so,
// for this attempt's commit and nonce. Whatever is not known for sure is
// waited for.
func (st *StepState) judge(d *Deployment) verdict {
	if d == nil || d.Gone {
		return verdict{phase: ClusterMissing, reason: "Fleet has made no BundleDeployment for it yet"}
	}
	if st.Observed {
		return judgeObserved(d)
	}
	if v, bad := st.judgeErrors(d); bad {
		return v
	}
	if v, held := st.judgeUptake(d); held {
		return v
	}
	return st.judgeHealth(d)
}

// judgeObserved asks no more of a service outside the plan than that what it
// was last told to run is applied and healthy.
func judgeObserved(d *Deployment) verdict {
	unwell := func(reason string) verdict { return verdict{phase: ClusterNotReady, reason: reason} }
	switch {
	case d.Deleting:
		return unwell("its BundleDeployment is being deleted")
	case d.InstallError != "":
		return unwell(d.InstallError)
	case d.DeployError != "":
		return unwell(d.DeployError)
	case !d.Applied || !d.Staged:
		return unwell(wordsOr("its agent has not applied what Fleet wants", d.Words))
	case !d.Ready:
		return unwell(wordsOr("not ready", d.Words))
	case !d.NonModified:
		return unwell(wordsOr("modified on the cluster", d.Words))
	}
	return verdict{phase: ClusterReady}
}

// judgeErrors looks for errors that can be bound to our deployment by our
// nonce in its spec.
func (st *StepState) judgeErrors(d *Deployment) (verdict, bool) {
	if d.SpecNonce != st.Attempt.Nonce {
		return verdict{}, false
	}
	switch {
	case d.InstallError != "" && d.Applied:
		return verdict{phase: ClusterFailed, reason: d.InstallError, code: CodeInstall}, true
	case d.InstallError != "":
		return verdict{phase: ClusterApplying, reason: "the agent has not applied it yet; of the last deployment: " + d.InstallError}, true
	case isDependencyWait(d.DeployError):
		return verdict{phase: ClusterApplying, reason: d.DeployError}, true
	case d.DeployError != "":
		return verdict{phase: ClusterApplying, reason: d.DeployError, code: CodeDeploy, suspect: true}, true
	}
	return verdict{}, false
}

// isDependencyWait knows the words by which a Fleet agent says that it waits
// for fleet.yaml's dependsOn (FLEET section 3.4 e); it reports them as an error.
func isDependencyWait(words string) bool {
	return strings.Contains(words, "dependent bundle(s) are not ready")
}

// judgeUptake says what holds our change back before the agent can act on it.
func (st *StepState) judgeUptake(d *Deployment) (verdict, bool) {
	wait := func(format string, args ...any) (verdict, bool) {
		return verdict{phase: ClusterWaiting, reason: fmt.Sprintf(format, args...)}, true
	}
	switch {
	case d.Deleting:
		return wait("its BundleDeployment is being deleted")
	case !st.placed(d.Commit):
		return wait("Fleet has not taken up commit %s for it", short(st.Attempt.Commit))
	case d.SpecNonce != st.Attempt.Nonce:
		return wait("Fleet knows the commit and holds the change back for it (its rollout strategy, or the ring label moved)")
	case d.Paused:
		return wait("paused in Fleet")
	case d.OffSchedule:
		return wait("outside its Fleet schedule")
	case d.AwaitsValues:
		return wait("its agent waits for the Helm values")
	case !d.Staged:
		return wait("staged, not released by Fleet's rollout strategy")
	}
	return verdict{}, false
}

// judgeHealth is about what the agent says.
func (st *StepState) judgeHealth(d *Deployment) verdict {
	switch {
	case !d.Applied:
		return verdict{phase: ClusterApplying, reason: wordsOr("its agent has not applied it yet", d.Words), suspect: true}
	case d.StatusNonce != st.Attempt.Nonce:
		return verdict{phase: ClusterApplying, reason: "its agent has not acknowledged it yet"}
	case !d.Ready:
		return verdict{phase: ClusterNotReady, reason: wordsOr("not ready", d.Words)}
	case !d.NonModified:
		return verdict{phase: ClusterNotReady, reason: wordsOr("modified on the cluster", d.Words)}
	}
	return verdict{phase: ClusterReady}
}

// stalled is the reason of a cluster that has been suspect for suspectGrace
// without an error: Fleet hides field-manager conflicts (EXPERIMENTS 4b).
func stalled(d *Deployment) string {
	return wordsOr("Fleet does not apply it and says nothing: probably somebody else owns a field of the chart "+
		"(a change by hand, an autoscaler); undo it, take the field out of the chart, or set helm.force", d.Words)
}

func wordsOr(what, words string) string {
	if words == "" {
		return what
	}
	return what + ": " + words
}

// placed reports whether the commit is the attempt's or a known descendant.
func (st *StepState) placed(commit string) bool {
	return st.Survey != nil && commit != "" && slices.Contains(st.Survey.Lineage, commit)
}

// shown returns the commits on Fleet's objects that are not known to be older
// than the attempt's, sorted, each once.
func (st *StepState) shown() []string {
	var out []string
	note := func(commit string) {
		if commit != "" && !slices.Contains(out, commit) && !slices.Contains(st.Strange, commit) {
			out = append(out, commit)
		}
	}
	for _, c := range st.Clusters {
		if c.Seen != nil && !c.Seen.Gone {
			note(c.Seen.Commit)
		}
	}
	if st.Bundle != nil {
		note(st.Bundle.Commit)
	}
	if st.GitRepo != nil {
		note(st.GitRepo.Commit)
	}
	slices.Sort(out)
	return out
}

// alive reports whether the cluster's agent gave a sign since the attempt
// was published (or found), by the newest that was seen: Fleet may lose it
// again, and a new driver sees only check-ins of what happened before it came. The
// sign is timed by Fleet's clock, the attempt by this host's: a host that is
// minutes ahead can take an agent that was heard within these minutes for silent.
func (st *StepState) alive(c *ClusterState) bool { return c.Heard.After(st.PublishedAt) }

// expects reports whether the cluster counts for the step, and whether that
// is known: it is not for a cluster that joined after the survey.
func (s *State) expects(st *StepState, name rings.ClusterName) (expected, known bool) {
	if !has(st.Members, name) || st.Survey == nil {
		return false, true
	}
	if _, out := s.leftOut(st, name); out {
		return false, true
	}
	if has(st.Survey.Expected, name) {
		return true, true
	}
	excluded := slices.ContainsFunc(st.Survey.Excluded, func(x Excluded) bool { return x.Cluster == name })
	return false, excluded
}

// place looks again whether the survey knows all members that count. It is
// called when the members, the survey, or who is left out have changed.
func (s *State) place(st *StepState) {
	st.Unplaced = slices.ContainsFunc(st.Members, func(name rings.ClusterName) bool {
		_, known := s.expects(st, name)
		return !known
	})
}

// leftOut says why a cluster of the ring does not count, if a person or the
// ring's policy leaves it out.
func (s *State) leftOut(st *StepState, name rings.ClusterName) (why string, out bool) {
	if w, ok := s.Skips[name]; ok {
		return w.leftOut(), true
	}
	if r := s.ring(st.Ring); r.Counted != nil && !has(r.Counted, name) {
		return "joined later, left for another rollout", true
	}
	return "", false
}

// has reports whether the sorted list holds the name.
func has(sorted []rings.ClusterName, name rings.ClusterName) bool {
	_, ok := slices.BinarySearch(sorted, name)
	return ok
}

// short is a commit as people write it.
func short(commit string) string {
	if len(commit) > 10 {
		return commit[:10]
	}
	return commit
}
