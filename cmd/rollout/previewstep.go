package main

import (
	"fmt"
	"slices"
	"strings"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// stepLook is all that was seen of a step that could be looked at.
type stepLook struct {
	*prospect
	step   orchestrator.NewStep
	look   *serviceLook
	survey orchestrator.Survey
}

// What is said of steps that write nothing.
const (
	wordsSkipped  = "it has no clusters and is only passed through: skipped"
	wordsAbsent   = "not deployed on the ring: skipped"
	wordsLive     = "live already: nothing is written"
	wordsObserved = "not in the plan, only looked at: what depends on it waits until it is healthy"
)

// words are what will be done, and how it gets onto the branch.
func (s *stepLook) words() string {
	words := s.effect()
	if s.step.Target.Publish == rings.PublishBranch && words != wordsAbsent && words != wordsLive && words != wordsObserved {
		words += fmt.Sprintf("; proposed on a branch of its own, waits for a merge into %s", s.step.Target.Branch)
	}
	return words
}

// effect is what will be done.
func (s *stepLook) effect() string {
	switch same := s.survey.Version == s.step.To && s.step.Settings.In(s.survey.Settings); {
	case len(s.survey.Expected) == 0:
		return wordsAbsent
	case s.step.Observed:
		return wordsObserved
	case same && s.created.Options.Redeploy:
		return "deployed again"
	case same && s.isLive():
		return wordsLive
	case same && s.survey.Nonce > 0:
		return "the file says so already, but it is not live everywhere: a commit, unless it is on its way"
	case same:
		return "the file says so already: a commit for the acknowledgement"
	case s.survey.Version == "":
		return fmt.Sprintf("on %s with %s now", clusterCount(len(s.survey.Expected)), join(s.survey.Versions))
	}
	return "on " + clusterCount(len(s.survey.Expected))
}

// wordModified is what begins the words about a deployment that somebody changed
// on the cluster.
const wordModified = "modified"

// isLive reports whether every cluster acknowledged what the file says, and is
// healthy.
func (s *stepLook) isLive() bool {
	return s.survey.Nonce > 0 && !slices.ContainsFunc(s.survey.Expected, func(name rings.ClusterName) bool {
		d, there := s.look.deployed[name]
		return !there || !acknowledged(d) || d.StatusNonce != s.survey.Nonce || !slices.Contains(s.survey.Lineage, d.Commit) || unwell(d) != ""
	})
}

// acknowledged reports whether the agent has applied what Fleet wants now.
func acknowledged(d fleet.Deployment) bool {
	return d.Staged && d.Applied && d.SpecNonce == d.StatusNonce
}

// unwell says what is wrong with a deployment, "" when nothing is.
func unwell(d fleet.Deployment) string {
	say := func(what, words string) string { return strings.TrimSuffix(what+": "+firstLine(words), ": ") }
	switch {
	case d.Deleting:
		return "its BundleDeployment is being deleted"
	case d.Paused:
		return "paused"
	case d.OffSchedule:
		return "off schedule"
	case d.AwaitsValues:
		return "waits for values"
	case d.InstallError != "":
		return say("not installed", d.InstallError)
	case d.DeployError != "":
		return say("not deployed", d.DeployError)
	case !acknowledged(d):
		return "its agent has not applied what Fleet wants"
	case !d.Ready:
		return say("not ready", d.Words)
	case !d.NonModified:
		return say(wordModified, d.Words)
	}
	return ""
}

// cluster is what runs on a cluster, and what would.
func (s *stepLook) cluster(name rings.ClusterName) previewClusterView {
	v := previewClusterView{Name: name, Gets: s.step.To}
	if s.step.Observed {
		v.Gets = s.survey.Version
	}
	d, there := s.look.deployed[name]
	switch {
	case s.look.unseen != "":
		v.Reason = s.look.unseen
		return v
	case !there:
		v.Reason = "Fleet has not deployed it there yet"
		return v
	}
	why := ""
	if v.Runs, why = s.runs(d); why == "" || !acknowledged(d) {
		why = unwell(d)
	}
	v.Reason = why
	return v
}

// runs is the version at the commit that the cluster acknowledged, or why it
// is not known.
func (s *stepLook) runs(d fleet.Deployment) (rings.Version, string) {
	if !acknowledged(d) {
		return "", "its agent has not applied what Fleet wants"
	}
	if s.look.at[d.Commit] == nil {
		return "", fmt.Sprintf("commit %s, which it acknowledged, is not at hand", short(d.Commit))
	}
	e, err := s.look.effect(d.Commit, d.Cluster)
	switch {
	case err != nil:
		return "", err.Error()
	case !e.Deployed || e.Nonce != 0 && e.Nonce != d.StatusNonce:
		return "", fmt.Sprintf("it acknowledged something else than what commit %s says", short(d.Commit))
	}
	return rings.Version(e.Version), ""
}

// effect is what the file gave the cluster at a commit that is at hand.
func (l *serviceLook) effect(commit string, cluster rings.ClusterName) (fleetyaml.Effect, error) {
	if l.views == nil {
		l.views, l.places = map[string]*fleetyaml.View{}, map[rings.ClusterName]int{}
		for i, c := range l.reach.Clusters {
			l.places[rings.ClusterName(c.Name)] = i
		}
	}
	i, known := l.places[cluster]
	if !known {
		return fleetyaml.Effect{}, &rings.UnknownError{Kind: "cluster", Name: string(cluster), Where: "the workspace"}
	}
	if l.views[commit] == nil {
		view, err := l.at[commit].View(l.reach.Targets, fieldsOf(l.service))
		if err != nil {
			return fleetyaml.Effect{}, err
		}
		l.views[commit] = view
	}
	return l.views[commit].Effect(l.reach.Clusters[i])
}

// findings are what the file says about the ring. A strategy that gives new
// clusters nothing stands in the way of those that do not have it yet.
func (s *stepLook) findings() []findingView {
	found := inspect(s.look.file, s.app, s.look.service, s.step.Ring, s.look.reach)
	if s.look.unseen != "" {
		return found
	}
	var fresh []string
	for _, name := range s.survey.Expected {
		if _, there := s.look.deployed[name]; !there {
			fresh = append(fresh, string(name))
		}
	}
	for i, f := range found {
		if len(fresh) > 0 && f.Code == fleetyaml.CodeStrategy && strings.Contains(f.Message, "maxNew") {
			found[i].Severity, found[i].Clusters = fleetyaml.Blocker, fresh
		}
	}
	return found
}

// refused is what the editor or the engine would refuse, or nil.
func (s *stepLook) refused(found []findingView) error {
	if err := blockers(s.look.service, s.look.file.source.Name, found); err != nil {
		return err
	}
	if err := s.stray(); err != nil {
		return err
	}
	if err := s.foreign(); err != nil {
		return err
	}
	return s.unsettled()
}

// stray refuses a cluster that runs the service and would not get the change.
func (s *stepLook) stray() error {
	for _, x := range s.survey.Excluded {
		if d, there := s.look.deployed[x.Cluster]; there && !d.Deleting {
			return &commandError{exit: classifyOutcome(orchestrator.CodeTargets, "").exit, code: string(orchestrator.CodeTargets),
				what: fmt.Sprintf("service %q: cluster %q of %s runs it, but would not get the change: %s", s.look.service.Name, x.Cluster, s.step.Ring, x.Why),
				hint: "have the GitRepo deploy it there again, or wait until Fleet has taken it away"}
		}
	}
	return nil
}

// foreign refuses a version that was not recorded here.
func (s *stepLook) foreign() error {
	if s.created.Options.Override {
		return nil
	}
	for _, v := range foreignVersions(s.step, s.survey) {
		if v != s.step.To || s.step.Keep {
			name, words := s.step.Target.Service, foreignWords(s.step, s.survey, v)
			hint := fmt.Sprintf("\"rollout service adopt %s %s\" records it as known", s.app.Name, name)
			return &foreignError{service: name, words: words + "; " + hint, commandError: &commandError{exit: exitConflict, code: string(orchestrator.CodeManual),
				what: fmt.Sprintf("service %q: %s", name, words), hint: hint + "; --override --reason WORDS goes over it"}}
		}
	}
	return nil
}

// unsettled refuses settings that the engine would refuse, in its words.
func (s *stepLook) unsettled() error {
	f, refused := orchestrator.Refuse(s.created, s.step, s.survey)
	if !refused {
		return nil
	}
	exit := classifyOutcome(f.Code, "").exit
	return &commandError{exit: exit, code: string(f.Code), what: fmt.Sprintf("service %q: %s", s.step.Target.Service, f.Words), hint: f.Hint}
}

// foreignVersions are those that the branch gives the ring and that nothing
// recorded here explains; none when nothing is recorded.
func foreignVersions(n orchestrator.NewStep, survey orchestrator.Survey) []rings.Version {
	if n.Known.Version == "" && n.Known.Attempted == "" {
		return nil
	}
	present := survey.Versions
	if survey.Version != "" {
		present = []rings.Version{survey.Version}
	}
	return slices.DeleteFunc(slices.Clone(present), n.Known.Wrote)
}

func foreignWords(n orchestrator.NewStep, survey orchestrator.Survey, v rings.Version) string {
	return fmt.Sprintf("its fleet.yaml says %s for %s, last recorded here is %s: commit %s by %s on %s", v, n.Ring,
		cmpHint(string(n.Known.Version), string(n.Known.Attempted)), short(survey.Commit), cmpHint(survey.Author, "unknown"), stamp(survey.At))
}
