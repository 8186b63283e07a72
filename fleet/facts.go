package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// facts returns what was touched since the last call, the latest of each, in
// the order of the services. heard says whether facts that differ in Heard
// only are wanted now; else they are kept for later. The first call returns
// all there is, and Synced for each service.
func (t *tracker) facts(heard bool) []orchestrator.Fact {
	if !t.synced {
		t.touchAll()
	}
	var out []orchestrator.Fact
	for i, s := range t.services {
		if t.dirty.members {
			out = append(out, orchestrator.Fact{Service: s.target.Service, Members: t.memberFact()})
		}
		if t.dirty.repos[i] {
			out = append(out, orchestrator.Fact{Service: s.target.Service, GitRepo: t.gitRepoFact(i)})
		}
		if t.dirty.bundles[i] {
			out = append(out, orchestrator.Fact{Service: s.target.Service, Bundle: t.bundleFact(i)})
		}
	}
	out = append(out, t.deploymentFacts(heard)...)
	if !t.synced {
		for _, s := range t.services {
			out = append(out, orchestrator.Fact{Service: s.target.Service, Synced: true})
		}
	}
	t.synced = true
	t.label(out)
	return out
}

// label says of each fact which ring was watched.
func (t *tracker) label(facts []orchestrator.Fact) {
	for i := range facts {
		facts[i].Ring = t.ring
	}
}

// touchAll notes every fact there is; none about deployments that are not.
func (t *tracker) touchAll() {
	t.dirty.members = true
	for i := range t.services {
		t.dirty.repos[i], t.dirty.bundles[i] = true, true
	}
	for name := range t.members {
		t.touchMember(name, true)
	}
}

// pending reports whether something is to be sent: more than Heard, or Heard
// only.
func (t *tracker) pending() (more, heard bool) {
	d := t.dirty
	more = d.members || d.changes > 0 || len(d.bundles) > 0 || len(d.repos) > 0
	heard = len(d.deployments) > d.changes
	return more, heard
}

func (t *tracker) deploymentFacts(heard bool) []orchestrator.Fact {
	refs := make([]deploymentRef, 0, len(t.dirty.deployments))
	for ref, more := range t.dirty.deployments {
		if more || heard {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b deploymentRef) int {
		return cmp.Or(cmp.Compare(a.service, b.service), strings.Compare(a.cluster.String(), b.cluster.String()))
	})
	out := make([]orchestrator.Fact, 0, len(refs))
	for _, ref := range refs {
		out = append(out, orchestrator.Fact{Service: t.services[ref.service].target.Service, Deployment: t.deploymentFact(ref)})
	}
	t.dirty.sent(refs)
	return out
}

// sent forgets everything but the deployments that are not among refs, which
// are signs of life.
func (d *dirty) sent(refs []deploymentRef) {
	if len(refs) == len(d.deployments) {
		d.reset()
		return
	}
	kept := d.deployments
	d.deployments = nil
	d.reset()
	d.deployments = kept
	for _, ref := range refs {
		delete(kept, ref)
	}
}

func (t *tracker) deploymentFact(ref deploymentRef) *orchestrator.Deployment {
	cluster := rings.ClusterName(ref.cluster.String())
	d, there := t.deployments[key{t.services[ref.service].bundle, ref.cluster}]
	if !there {
		return &orchestrator.Deployment{Cluster: cluster, Gone: true}
	}
	out := d.fact(cluster)
	if at := max(d.heard, t.members[ref.cluster].lastSeen); at != 0 {
		out.Heard = time.Unix(0, at).UTC()
	}
	return out
}

func (d deployment) fact(cluster rings.ClusterName) *orchestrator.Deployment {
	is := func(f flags) bool { return d.flags&f != 0 }
	out := &orchestrator.Deployment{Cluster: cluster, Commit: d.commit.String(),
		SpecNonce: d.specNonce, StatusNonce: d.statusNonce,
		Staged: is(staged), Applied: is(applied), Ready: is(ready), NonModified: is(nonModified),
		InstallError: d.installError.String(), DeployError: d.deployError.String(),
		Paused: is(paused), OffSchedule: is(offSchedule), AwaitsValues: is(awaits), Deleting: is(deleting),
		Words: d.words.String()}
	if d.readyAt != 0 {
		out.ReadyAt = time.Unix(int64(d.readyAt), 0).UTC()
	}
	return out
}

func (t *tracker) bundleFact(i int) *orchestrator.Bundle {
	s := t.services[i]
	b := t.bundles[s.bundle]
	out := &orchestrator.Bundle{Name: s.bundle.String(), Commit: b.commit.String(), Error: b.err.String(),
		MaxNonce: t.nonces[s.bundle]}
	if s.err != nil {
		out.Error = s.err.Error()
	}
	return out
}

func (t *tracker) gitRepoFact(i int) *orchestrator.GitRepo {
	g, there := t.repos[t.services[i].target.GitRepo]
	if !there {
		return &orchestrator.GitRepo{Gone: true}
	}
	out := &orchestrator.GitRepo{Commit: g.commit, PollError: g.pollError, Paused: g.paused,
		Generation: g.generation, Polling: g.polling}
	// Stalled alone may be a poll error of the past that stays (EXPERIMENTS 5).
	if g.jobStatus == "Failed" {
		out.JobFailed, out.JobError = true, g.stalled
	}
	return out
}
