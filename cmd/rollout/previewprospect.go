package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// prospect is all that is known of a rollout that is not there yet. What
// follows from it is computed without looking at anything else.
type prospect struct {
	app      *rings.Application
	created  orchestrator.Created
	clusters []fleet.Cluster // of the workspace, by name
	services map[rings.ServiceName]*serviceLook
	surveys  map[orchestrator.Ref]*surveyLook // of the steps on rings with clusters
	live     []liveRollout                    // of other applications
	barriers rings.Barriers                   // of the application
	taken    map[string]error                 // by repository: the tag that is asked for is there already
	now      time.Time
}

// serviceLook is what was seen of a service.
type serviceLook struct {
	service  rings.Service
	target   orchestrator.Target
	file     manifest
	reach    fleet.Reach
	deployed map[rings.ClusterName]fleet.Deployment // of its Bundle
	unseen   string                                 // why it is not known what is deployed
	at       map[string]*fleetyaml.File             // the file, by the commits that its deployments carry
	err      error

	views  map[string]*fleetyaml.View // of at, made when they are needed
	places map[rings.ClusterName]int  // of the clusters in reach, made with views
}

// surveyLook is what the branch gives a ring, or why that is not known.
type surveyLook struct {
	orchestrator.Survey
	err error
}

// liveRollout is a rollout of another application.
type liveRollout struct {
	store.Summary
	app *rings.Application
}

func refOfNew(n orchestrator.NewStep) orchestrator.Ref {
	return orchestrator.Ref{Ring: n.Ring, Service: n.Target.Service}
}

// on are the application's clusters on the ring, by name.
func (l *prospect) on(ring rings.RingName) []rings.ClusterName {
	out := []rings.ClusterName{}
	for _, c := range l.clusters {
		if on, ours := l.app.Owns(c.Labels); ours && on == ring {
			out = append(out, c.Name)
		}
	}
	return out
}

// involved are the clusters of all rings of the rollout.
func (l *prospect) involved() []rings.ClusterName {
	var out []rings.ClusterName
	for _, ring := range l.created.Rings {
		out = append(out, l.on(ring.Name)...)
	}
	return out
}

// view is what the rollout is going to do, or all that stands in its way.
func (l *prospect) view() (previewView, error) {
	v := previewView{App: l.app.Name, Rings: []previewRingView{}, Left: viewLeft(l.created.Left), Train: viewTaken(l.created.Train), Locks: viewLocks(l.created.Locks)}
	var faults []error
	edits := edits{}
	for _, ring := range l.created.Rings {
		r, wrong := l.ring(ring, edits)
		v.Rings, faults = append(v.Rings, r), append(faults, wrong...)
	}
	faults = append(faults, l.tagged(v.Rings)...)
	if changed := l.changed(faults); len(changed) > 0 {
		return v, &changedError{changed}
	}
	v.Untouched, v.Others = l.untouched(v.Rings), l.others()
	return v, joinFaults(faults)
}

// tagged refuses a tag that a repository which is written to has already.
func (l *prospect) tagged(all []previewRingView) []error {
	var out []error
	for _, r := range all {
		for _, st := range r.Steps {
			if err := l.taken[st.Repo]; err != nil && st.Nonce != 0 && !slices.Contains(out, err) {
				out = append(out, err)
			}
		}
	}
	return out
}

// ring is what happens on a ring. Edits go on from those of the rings before.
func (l *prospect) ring(ring orchestrator.NewRing, edits edits) (previewRingView, []error) {
	v := previewRingView{Ring: ring.Name, Clusters: l.on(ring.Name), Gates: []gateView{}, Steps: []previewStepView{}}
	if len(v.Clusters) == 0 {
		v.Skipped = !ring.Named
		return v, []error{l.empty(ring)}
	}
	var faults []error
	for _, n := range l.created.Steps {
		if n.Ring != ring.Name {
			continue
		}
		s, err := l.step(n, edits)
		v.Steps, faults = append(v.Steps, s), append(faults, err)
	}
	v.Gates = append(v.Gates, l.gates(ring)...)
	return v, faults
}

// empty refuses a ring without clusters that was named; one that is only
// passed through is nothing to refuse.
func (l *prospect) empty(ring orchestrator.NewRing) error {
	if !ring.Named {
		return nil
	}
	return invalid(fmt.Sprintf("rollout cluster add CLUSTER --app %s --ring %s", l.app.Name, ring.Name),
		"ring %q of application %q has no clusters: none in workspace %q has the labels %s", ring.Name, l.app.Name, l.app.Workspace, labelWords(l.app.RingLabels(ring.Name)))
}

// step is what happens to a service on a ring. A repository that cannot be
// reached now is no reason to refuse: the rollout tries again until its
// deadline.
func (l *prospect) step(n orchestrator.NewStep, edits edits) (previewStepView, error) {
	look, survey := l.services[n.Target.Service], l.surveys[refOfNew(n)]
	v := previewStepView{Service: n.Target.Service, Wave: n.Wave, Observed: n.Observed, Repo: n.Target.Repo, Branch: n.Target.Branch, To: n.To,
		Clusters: []previewClusterView{}, Excluded: []excludedView{}, Modified: []rings.ClusterName{}, Redeployed: []rings.ClusterName{}, Findings: []findingView{}}
	if err := cmp.Or(survey.err, look.err); err != nil {
		return v, v.unreachable(err)
	}
	if n.Keep {
		n.To, v.To = survey.Version, survey.Version
	}
	v.Settings = orchestrator.ChangedSettings(survey.Settings, n.Settings)
	st := &stepLook{prospect: l, step: n, look: look, survey: survey.Survey}
	v.File, v.From = look.file.source.Name, survey.Version
	for _, name := range survey.Expected {
		v.Clusters = append(v.Clusters, st.cluster(name))
		if d, there := look.deployed[name]; there && !d.NonModified && d.Applied && !n.Observed {
			v.Modified = append(v.Modified, name)
		}
	}
	for _, x := range survey.Excluded {
		v.Excluded = append(v.Excluded, excludedView{x.Cluster, x.Why})
	}
	v.Words = st.words()
	if n.Observed {
		return v, nil
	}
	if v.Findings = append(v.Findings, st.findings()...); st.refused(v.Findings) != nil {
		return v, st.refused(v.Findings)
	}
	return v, edits.apply(st, &v)
}

// unreachable says so in words when the repository could not be reached; any
// other error is returned.
func (v *previewStepView) unreachable(err error) error {
	var git *gitrepo.Error
	if errors.As(err, &git) && git.Result == orchestrator.Unreachable {
		v.Words = "cannot be looked at now: " + git.Error()
		return nil
	}
	return err
}

// untouched are the clusters that keep what they have, and why.
func (l *prospect) untouched(touched []previewRingView) []untouchedView {
	out := []untouchedView{}
	for _, c := range l.clusters {
		on, ours := l.app.Owns(c.Labels)
		if ours && !slices.Contains(l.created.RingNames(), on) {
			out = keep(out, untouchedView{Ring: on, Why: l.notOn(on)}, c.Name)
		}
	}
	for _, r := range touched {
		for _, s := range r.Steps {
			out = s.spares(out, r.Ring)
		}
	}
	return out
}

// spares adds the clusters of the ring that the step does not touch.
func (s previewStepView) spares(out []untouchedView, ring rings.RingName) []untouchedView {
	if s.Observed {
		return out
	}
	for _, x := range s.Excluded {
		out = keep(out, untouchedView{Ring: ring, Service: s.Service, Why: x.Why}, x.Cluster)
	}
	for _, c := range s.Clusters {
		if s.Words == wordsLive {
			out = keep(out, untouchedView{Ring: ring, Service: s.Service, Why: fmt.Sprintf("%s is live already", s.To)}, c.Name)
		}
	}
	return out
}

// keep adds the cluster to those with the same reason.
func keep(all []untouchedView, of untouchedView, name rings.ClusterName) []untouchedView {
	i := slices.IndexFunc(all, func(u untouchedView) bool { return u.Ring == of.Ring && u.Service == of.Service && u.Why == of.Why })
	if i < 0 {
		i, all = len(all), append(all, of)
	}
	all[i].Clusters = append(all[i].Clusters, name)
	return all
}

// notOn says why a cluster is on no ring of the rollout.
func (l *prospect) notOn(ring rings.RingName) string {
	switch _, err := l.app.Ring(ring); {
	case ring == "":
		return fmt.Sprintf("without the label %q", l.app.RingLabel)
	case err != nil:
		return "no ring of the application"
	}
	return "not a ring of this rollout"
}
