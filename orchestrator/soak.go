package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

const (
	// heardWithin is how long, after the soak's time was up, an agent may be
	// silent: three times the interval at which Fleet's agents check in unless
	// they are told otherwise (FLEET section 5.1: 15 min).
	heardWithin = 45 * time.Minute
	// silentLimit is how many answers in a row may say nothing before a check
	// is inconclusive.
	silentLimit = 3
)

// lingers reports whether the ring is watched on when its steps are done.
func (r *RingState) lingers() bool {
	return r.Policy.Soak > 0 || len(r.Policy.Checks) > 0 || r.Policy.ApproveAfter
}

// soaking looks at a ring whose steps are done: whether it stays healthy for
// the time of the soak, was heard from after that, is found well by its
// checks, and approved. What can fail it stays armed until its end. A ring in
// which nothing is live, because it was left out, has only the approval to wait
// for.
func (t *turn) soaking(r *RingState) {
	if r.Skip != nil {
		t.skipRing(r, r.Skip.leftOut())
		return
	}
	if f, failed := t.tend(r); failed {
		t.failRing(r, f)
		return
	}
	if f, failed := t.judgeChecks(r); failed {
		t.failRing(r, f)
		return
	}
	if len(t.s.soaking(r)) > 0 && (!t.soaked(r) || !t.checked(r)) {
		return
	}
	if r.asksFor(GateAfter) && r.SoakedAt.IsZero() {
		t.emit(RingSoaked{r.Name})
	}
	if t.approved(r, GateAfter) {
		t.ringDone(r)
	}
}

// tend judges the clusters of the steps that are done, and says what ends the
// ring badly.
func (t *turn) tend(r *RingState) (Failure, bool) {
	for _, st := range t.s.soaking(r) {
		if f, lost := st.lost(); lost {
			return f.of(st), true
		}
		if !st.Synced {
			continue // Fleet may be away for a while: the time for the soak bounds it
		}
		t.judgeClusters(st)
		if f, broken := t.broken(st); broken {
			return f.of(st), true
		}
	}
	if t.s.soaksInVain(r, t.now) {
		return Failure{Code: CodeSoak, Words: fmt.Sprintf("%s did not stay healthy for %s: %s", r.Name, Duration(r.Policy.Soak), t.s.soakWords(r, t.now))}, true
	}
	return Failure{}, false
}

// of is the failure with its service.
func (f Failure) of(st *StepState) Failure {
	f.Service = st.Target.Service
	return f
}

// soaking returns the steps of the ring whose health counts for its soak.
func (s *State) soaking(r *RingState) []*StepState {
	var out []*StepState
	for _, st := range s.Steps {
		if st.Ring == r.Name && st.Phase == StepDone && !st.Undo && !st.Observed {
			out = append(out, st)
		}
	}
	return out
}

// healthySince returns since when the ring has been seen healthy everywhere at
// what was rolled out; zero while it is not, or not known, and when nothing of it
// is live. What happened while nobody watched is asked apart, see soakFrom
// (invariant 5).
func (s *State) healthySince(r *RingState) time.Time {
	since, live := r.SoakFrom, s.soaking(r)
	if len(live) == 0 {
		return time.Time{}
	}
	for _, st := range live {
		if !st.Synced || st.ReadySince.IsZero() || st.Unplaced {
			return time.Time{}
		}
		since = later(since, st.ReadySince)
	}
	return later(since, r.ConvergedAt)
}

// changedAt returns when a cluster of the ring last became ready by its own
// word; it must be asked when the time of the soak is up.
func (s *State) changedAt(r *RingState) time.Time {
	var at time.Time
	for _, st := range s.soaking(r) {
		for _, c := range st.Clusters {
			if c.Expected && c.Phase == ClusterReady && c.Seen != nil {
				at = later(at, c.Seen.ReadyAt)
			}
		}
	}
	return at
}

// soakUntil is when the time of the ring's soak is up; zero without a soak,
// before it begins, and while the ring is not healthy.
func (s *State) soakUntil(r *RingState) time.Time {
	since := s.healthySince(r)
	if r.Phase != RingSoaking || r.Policy.Soak == 0 || since.IsZero() {
		return time.Time{}
	}
	return since.Add(r.Policy.Soak)
}

// soaked reports whether the ring was healthy for as long as its policy asks
// for, and every agent was heard from after that.
func (t *turn) soaked(r *RingState) bool {
	since := t.s.healthySince(r)
	if since.IsZero() {
		return false
	}
	if r.Policy.Soak == 0 {
		return true
	}
	if t.now.Before(since.Add(r.Policy.Soak)) && !t.all[t.s.soaking(r)[0]] {
		return false
	}
	since = t.soakFrom(r, since)
	return !t.now.Before(since.Add(r.Policy.Soak)) && t.heard(r, since.Add(r.Policy.Soak))
}

// soakFrom asks the clusters' own word on when they last became ready. When
// that was while nobody watched, the gap does not count. A clock that is ahead
// of this one cannot have the soak end early, only late; one that is far ahead
// must not keep it from ending.
func (t *turn) soakFrom(r *RingState, since time.Time) time.Time {
	at := t.s.changedAt(r)
	if !at.After(since) || at.After(t.now) {
		return since
	}
	if t.s.DrivenAt.After(since) {
		at = t.now
	}
	t.emit(SoakRestarted{Ring: r.Name, From: at})
	return at
}

// heard reports whether every agent gave a sign after the time of the soak was
// up. Those that stay silent for too long turn Offline.
func (t *turn) heard(r *RingState, until time.Time) bool {
	all, overdue := true, !t.now.Before(later(until, t.s.DrivenAt).Add(heardWithin))
	for _, st := range t.s.soaking(r) {
		for _, name := range st.everyCluster() {
			c := st.Clusters[name]
			if c == nil || !c.Expected || c.Phase != ClusterReady || c.heardSince(until) {
				continue
			}
			all = false
			if overdue {
				t.emit(ClusterTurned{Ref: st.ref(), Cluster: name, Expected: true, Phase: ClusterOffline, Code: CodeOffline,
					Reason: "no sign of its agent for " + Duration(heardWithin) + " after the soak"})
			}
		}
	}
	return all
}

// unheard counts the clusters whose agents were not heard from since the time.
func (s *State) unheard(r *RingState, until time.Time) int {
	silent := map[rings.ClusterName]bool{}
	for _, st := range s.soaking(r) {
		for name, c := range st.Clusters {
			if c.Expected && c.Phase == ClusterReady && !c.heardSince(until) {
				silent[name] = true
			}
		}
	}
	return len(silent)
}

// soakBy is until when the ring must have stayed healthy for the time of its
// soak and its checks: twice that time, and the converge deadline, after it
// began. Zero while only a person is waited for, or an offline cluster without
// a deadline.
func (s *State) soakBy(r *RingState) time.Time {
	since := later(later(r.TimedFrom, s.DrivenAt), r.SoakFrom)
	if r.After != nil {
		since = later(since, r.After.At)
	} else if !r.SoakedAt.IsZero() {
		return time.Time{}
	}
	if s.waitsOffline(r) || s.Pause != nil && slices.ContainsFunc(r.Policy.Checks, r.inconclusive) {
		return time.Time{}
	}
	needs := r.Policy.Soak
	for _, c := range r.Policy.Checks {
		needs = max(needs, time.Duration(max(c.Samples, 1)+c.FailureLimit)*(c.Every()+c.Within()))
	}
	return since.Add(2*needs + convergeOf(r.Policy) + heardWithin)
}

// soaksInVain reports whether the ring's health was lost again and again.
func (s *State) soaksInVain(r *RingState, now time.Time) bool {
	by := s.soakBy(r)
	return !by.IsZero() && !now.Before(by)
}

// waitsOffline reports whether an offline cluster is waited for without a
// deadline.
func (s *State) waitsOffline(r *RingState) bool {
	if r.Policy.OnOffline != rings.OfflineWait {
		return false
	}
	for _, st := range s.Steps {
		if st.Ring == r.Name && st.Counts[ClusterOffline] > 0 {
			return true
		}
	}
	return false
}

// soakWords says how far the soak has come.
func (s *State) soakWords(r *RingState, now time.Time) string {
	since := s.healthySince(r)
	if !since.IsZero() {
		return "healthy since " + since.UTC().Format(time.RFC3339)
	}
	for _, st := range s.soaking(r) {
		if st.ReadySince.IsZero() {
			return fmt.Sprintf("%s: %s", st.Target.Service, st.worst(now))
		}
	}
	return "Fleet's present state is not known yet"
}

// askChecks asks the checks of the ring that are due, while it is healthy.
func (t *turn) askChecks() {
	r := t.s.ring(t.s.Current)
	if r == nil || r.Phase != RingSoaking || t.s.healthySince(r).IsZero() {
		return
	}
	for _, c := range r.Policy.Checks {
		if t.now.Before(t.s.checkAt(r, c)) || t.checking(r, c) || r.inconclusive(c) {
			continue
		}
		t.request(Action{Kind: ActCheck, Ring: r.Name, Check: &c, Reason: fmt.Sprintf("does %q answer well?", c.Name)})
	}
}

// checkAt is when the check is to be asked next.
func (s *State) checkAt(r *RingState, c rings.Check) time.Time {
	cs := r.Checks[c.Name]
	if cs == nil {
		return s.healthySince(r)
	}
	return cs.AskedAt.Add(c.Every())
}

func (t *turn) checking(r *RingState, c rings.Check) bool {
	for _, a := range t.s.Pending {
		if a.Kind == ActCheck && a.Ring == r.Name && a.Check.Name == c.Name {
			return true
		}
	}
	return false
}

// inconclusive reports whether the check said nothing for too often.
func (r *RingState) inconclusive(c rings.Check) bool {
	cs := r.Checks[c.Name]
	return cs != nil && cs.Silent >= silentLimit
}

// judgeChecks acts on answers: too many bad ones fail the ring, too many that
// say nothing hold the rollout until a person looks.
func (t *turn) judgeChecks(r *RingState) (Failure, bool) {
	for _, c := range r.Policy.Checks {
		cs := r.Checks[c.Name]
		if cs == nil {
			continue
		}
		if cs.Bad > c.FailureLimit {
			return Failure{Code: CodeCheck, Words: fmt.Sprintf("check %q answered badly %d times, %d are allowed: %s", c.Name, cs.Bad, c.FailureLimit, cs.Words)}, true
		}
		if r.inconclusive(c) && t.s.Pause == nil {
			t.emit(Held{Word{By: t.actor, At: t.now, Reason: fmt.Sprintf("check %q of %s is inconclusive: %d answers in a row say nothing: %s", c.Name, r.Name, cs.Silent, cs.Words)}})
		}
	}
	return Failure{}, false
}

// checked reports whether every check answered well as often as it must, since
// the ring has been healthy, and at last.
func (t *turn) checked(r *RingState) bool {
	since := t.s.healthySince(r)
	for _, c := range r.Policy.Checks {
		cs := r.Checks[c.Name]
		if cs == nil || cs.Last != OK || cs.Good < max(c.Samples, 1) || cs.AskedAt.Before(since) {
			return false
		}
	}
	return true
}

// sampled takes a check's answer in. Those from before the ring was healthy
// do not count.
func (s *State) sampled(a Action, o Outcome) {
	r := s.ring(a.Ring)
	if r.Checks == nil {
		r.Checks = map[string]*CheckState{}
	}
	cs := r.Checks[a.Check.Name]
	if cs == nil || cs.AskedAt.Before(s.healthySince(r)) {
		cs = &CheckState{}
		r.Checks[a.Check.Name] = cs
	}
	cs.Last, cs.Words, cs.AskedAt = o.Result, o.Words, a.AskedAt
	switch o.Result {
	case OK:
		cs.Good, cs.Silent = cs.Good+1, 0
	case Refused:
		cs.Bad, cs.Silent = cs.Bad+1, 0
	default:
		cs.Silent++
	}
}

func convergeOf(p rings.Policy) time.Duration {
	if p.Converge > 0 {
		return p.Converge
	}
	return rings.DefaultConverge
}
