package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// invariant3Evidence: a step is done only on evidence that is bound to its
// attempt, acknowledged by every cluster that counts, after our write; and it
// is true.
func (k *Checker) invariant3Evidence(r *run, v *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.StepEnded)
	if !ok || b.Phase != orchestrator.StepDone {
		return ""
	}
	st := r.steps[b.Ref]
	switch {
	case v.ring != b.Ring:
		return fmt.Sprintf("%s is done while %s is watched", ref(b.Ref), v.ring)
	case !v.synced(b.Service):
		return fmt.Sprintf("%s is done before everything was delivered", ref(b.Ref))
	case st.Observed:
		return r.healthy(v, b.Ref)
	}
	if words := st.onBranch(); words != "" {
		return fmt.Sprintf("%s is done, %s", ref(b.Ref), words)
	}
	if words := r.everywhere(v, b.Ref); words != "" {
		return fmt.Sprintf("%s is done, %s", ref(b.Ref), words)
	}
	return k.truth(r, v, b.Ref)
}

// invariant3Merged: a step counts as published only when the branch that Fleet
// follows has said its version and nonce, whatever other branches say.
func (k *Checker) invariant3Merged(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.Published)
	if !ok {
		return ""
	}
	a := r.steps[b.Ref].attempt()
	for _, l := range k.logs {
		for _, c := range l.commits {
			if said(a, c.entries[b.Service][b.Ring]) {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s counts as published, and the branch never said %s/%d", ref(b.Ref), a.Version, a.Nonce)
}

// healthy is the rule for a service that is only looked at.
func (r *run) healthy(v *view, at orchestrator.Ref) string {
	if r.created.Options.AllowUnhealthy {
		return ""
	}
	for _, name := range v.members(at.Service) {
		d := v.sighting(at.Service, name).d
		if d.Cluster == "" || d.Gone || r.skips[name] || !r.counts(at.Ring, name) {
			continue
		}
		if !(d.Ready && d.Applied && d.NonModified) && !r.tolerated(v, at, name) {
			return fmt.Sprintf("%s counts as healthy, on %s it is %s", ref(at), name, describeDeployment(d))
		}
	}
	return ""
}

// onBranch says what is wrong with what the branch said last.
func (st *stepRun) onBranch() string {
	a, s := st.attempt(), st.survey
	switch {
	case a.Nonce == 0 || a.Version != st.to() || !st.Settings.In(a.Settings):
		return fmt.Sprintf("its attempt is %s/%d %s, wanted is %s %s", a.Version, a.Nonce, a.Settings, st.to(), st.Settings)
	case s == nil || s.Commit == "":
		return "the branch was never seen to hold it"
	case s.Version != st.to() || s.Nonce != a.Nonce || !st.Settings.In(s.Settings):
		return fmt.Sprintf("the branch says %s/%d %s, the attempt %s/%d %s", s.Version, s.Nonce, s.Settings, a.Version, a.Nonce, a.Settings)
	case s.Superseded != nil || s.Rewritten:
		return "the branch does not hold it any more"
	}
	return ""
}

// counts reports whether the cluster counts for the ring.
func (r *run) counts(ring rings.RingName, name rings.ClusterName) bool {
	counted := r.ring(ring).counted
	return !r.skips[name] && (counted == nil || slices.Contains(counted, name))
}

// everywhere says which cluster has not acknowledged the attempt, beyond those
// that the ring's policy does without; and whether the branch was read since.
func (r *run) everywhere(v *view, at orchestrator.Ref) string {
	st, ready := r.steps[at], 0
	a := st.attempt()
	var silent, failed []string
	for _, name := range v.members(at.Service) {
		known := slices.Contains(st.survey.Expected, name)
		excluded := slices.ContainsFunc(st.survey.Excluded, func(x orchestrator.Excluded) bool { return x.Cluster == name })
		if !r.counts(at.Ring, name) || excluded {
			continue
		}
		if !known {
			return fmt.Sprintf("%s has joined, and nobody asked whether it is deployed there", name)
		}
		s := v.sighting(at.Service, name)
		if acknowledges(s.d, a.Nonce) && slices.Contains(st.survey.Lineage, s.d.Commit) {
			ready++
			if s.acked.After(st.surveyed) {
				return fmt.Sprintf("the branch was read at %s, %s was ready at %s", st.surveyed.Format(time.StampMilli), name, s.acked.Format(time.StampMilli))
			}
			continue
		}
		words := fmt.Sprintf("%s is %s", name, describeDeployment(s.d))
		if ahead := max(v.skew, 0); !s.heard.After(st.at.Add(ahead)) || !s.heard.After(v.jumped.Add(ahead)) {
			silent = append(silent, words)
		} else {
			failed = append(failed, words)
		}
	}
	return r.done(v, at, ready, silent, failed)
}

// done weighs what is missing against the ring's policy.
func (r *run) done(v *view, at orchestrator.Ref, ready int, silent, failed []string) string {
	policy := r.ring(at.Ring).Policy
	total := max(len(v.members(at.Service)), len(r.ring(at.Ring).counted))
	spare := policy.MaxFailed.Of(total)
	if policy.OnOffline == rings.OfflineSkip {
		spare += policy.MaxOffline.Of(total)
	} else {
		failed, silent = append(failed, silent...), nil
	}
	switch {
	case ready == 0:
		return fmt.Sprintf("no cluster is ready: %s", strings.Join(append(failed, silent...), "; "))
	case len(failed) > policy.MaxFailed.Of(total), len(failed)+len(silent) > spare:
		return fmt.Sprintf("%d of %d clusters may fail, and %s", spare, total, strings.Join(append(failed, silent...), "; "))
	}
	return ""
}

// tolerated reports whether the ring can do without the cluster at all.
func (r *run) tolerated(v *view, at orchestrator.Ref, name rings.ClusterName) bool {
	policy, total := r.ring(at.Ring).Policy, len(v.members(at.Service))
	return policy.MaxFailed.Of(total) > 0 || policy.OnOffline == rings.OfflineSkip && policy.MaxOffline.Of(total) > 0
}

// truth: a cluster that acknowledged really ran the version under the nonce.
func (k *Checker) truth(r *run, v *view, at orchestrator.Ref) string {
	st := r.steps[at]
	a := st.attempt()
	for _, name := range v.members(at.Service) {
		acked := acknowledges(v.sighting(at.Service, name).d, a.Nonce) && slices.Contains(st.survey.Expected, name)
		if acked && r.counts(at.Ring, name) && !k.ranWith(at.Service, name, st) {
			is, nonce, _ := k.World.Running(at.Service, name)
			return fmt.Sprintf("%s is done at %s/%d, %s never ran that: it runs %s/%d", ref(at), st.to(), a.Nonce, name, is, nonce)
		}
	}
	return ""
}

// ranWith reports whether the cluster ran the step's version under its nonce,
// with its settings.
func (k *Checker) ranWith(service rings.ServiceName, name rings.ClusterName, st *stepRun) bool {
	set := k.World.Set(service, name)
	if planned, ok := st.Settings[drawnSetting]; ok {
		set = planned
	}
	return k.ran[ranKey{service, name, st.to(), st.attempt().Nonce, set}]
}

// invariant5Soak: a ring is done only when, for the time of its soak, no fact
// showed ill health and no clock jumped, and every agent was heard from after.
func invariant5Soak(r *run, v *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.RingEnded)
	soak := r.ring(b.Ring).Policy.Soak
	if !ok || b.Phase != orchestrator.RingDone || soak == 0 {
		return ""
	}
	since, last, words := r.healthySince(v, b.Ring)
	if words != "" {
		return fmt.Sprintf("%s is done, %s", b.Ring, words)
	}
	if v.jumped.After(since) {
		since, last = v.jumped, "the clock, which jumped"
	}
	if lasted := v.now.Sub(since); lasted < soak {
		return fmt.Sprintf("%s is done after %s of %s of soak: since then %s", b.Ring, lasted, soak, last)
	}
	return r.heardAfter(v, b.Ring, since.Add(soak))
}

// healthySince is since when every cluster that counts has been healthy at what
// was rolled out, as far as this driver can know; which was the last one; and
// in words which is not.
func (r *run) healthySince(v *view, ring rings.RingName) (since time.Time, last, words string) {
	for _, at := range r.liveOn(ring) {
		st := r.steps[at]
		for _, name := range v.members(at.Service) {
			if !r.counts(ring, name) || !slices.Contains(st.survey.Expected, name) {
				continue
			}
			s := v.sighting(at.Service, name)
			if s.nonce != st.attempt().Nonce {
				if !r.tolerated(v, at, name) {
					return since, last, fmt.Sprintf("%s is %s", ref(at), describeDeployment(s.d))
				}
				continue
			}
			if s.since.After(since) {
				since, last = s.since, fmt.Sprintf("%s on %s", at.Service, name)
			}
		}
	}
	return since, last, ""
}

// heardAfter says which agent gave no sign after the time.
func (r *run) heardAfter(v *view, ring rings.RingName, until time.Time) string {
	for _, at := range r.liveOn(ring) {
		st := r.steps[at]
		for _, name := range v.members(at.Service) {
			s := v.sighting(at.Service, name)
			if r.counts(ring, name) && slices.Contains(st.survey.Expected, name) && s.heard.Before(until.Add(min(v.skew, 0))) && !r.tolerated(v, at, name) {
				return fmt.Sprintf("%s is done, %s was last heard from at %s, before the soak's time was up at %s", ring, name,
					s.heard.Format(time.StampMilli), until.Format(time.StampMilli))
			}
		}
	}
	return ""
}

// invariant5Checks: a ring is done only when each of its checks answered well
// often enough, and at last, and not badly more often than it may. Where all was
// left out there is nothing to be asked about.
func invariant5Checks(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.RingEnded)
	if !ok || b.Phase != orchestrator.RingDone || len(r.liveOn(b.Ring)) == 0 {
		return ""
	}
	ring := r.ring(b.Ring)
	for _, c := range ring.Policy.Checks {
		good, last := 0, orchestrator.Result("")
		for _, s := range ring.checks {
			if s.name != c.Name {
				continue
			}
			last = s.result
			if s.result == orchestrator.OK {
				good++
			}
		}
		if good < max(1, c.Samples) || last != orchestrator.OK {
			return fmt.Sprintf("%s is done, check %q answered well %d times and %q at last", b.Ring, c.Name, good, last)
		}
	}
	return ""
}

// liveOn are the rollout's services that are live on the ring.
func (r *run) liveOn(ring rings.RingName) []orchestrator.Ref {
	var out []orchestrator.Ref
	for _, at := range r.order {
		if st := r.steps[at]; at.Ring == ring && !at.Undo && !st.Observed && st.phase == orchestrator.StepDone {
			out = append(out, at)
		}
	}
	return out
}
