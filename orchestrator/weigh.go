package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// takenUp notes that Fleet took the commit up, once.
func (t *turn) takenUp(st *StepState) {
	if !st.TakenUpAt.IsZero() {
		return
	}
	if st.Observed {
		t.emit(TakenUp{st.ref()})
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
// and those whose time is up, or all when the branch or the ring moved. The
// work follows what changed, not the ring's size.
func (t *turn) moved(st *StepState) []rings.ClusterName {
	if t.all[st] || st.holds() && !t.now.Before(st.heldBy()) {
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
	for _, trial := range st.Trials {
		if t.now.Before(trial.Since.Add(st.convergeIn())) {
			break
		}
		names[trial.Cluster] = true
	}
	return sortedNames(names)
}

func (t *turn) judgeCluster(st *StepState, name rings.ClusterName) {
	c := st.Clusters[name]
	if c == nil {
		c = &ClusterState{}
	}
	next := ClusterTurned{Ref: st.ref(), Cluster: name}
	expected, _ := t.s.expects(st, name)
	why, out := t.s.leftOut(st, name)
	switch {
	case expected:
		t.weigh(st, c, &next)
	case out && has(st.Members, name):
		next.Phase, next.Reason = ClusterSkipped, why
	case c.Expected || c.Phase == ClusterLeft:
		next.Phase, next.Reason = ClusterLeft, "no longer a cluster of "+string(st.Ring)
	default:
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
	switch {
	case v.phase == ClusterReady:
		return
	case c.Phase == ClusterOffline && !c.heardSince(c.Since):
		next.Phase, next.Reason, next.Code = c.Phase, c.Reason, c.Code
		return
	case v.suspect && st.alive(c):
		t.suspect(v, c, next)
	}
	if by := st.dueOf(c, next.Phase); next.Phase != ClusterFailed && !by.IsZero() && !t.now.Before(by) {
		st.giveUp(c, next)
	}
}

// suspect makes an error or a stall that has stood for suspectGrace count.
func (t *turn) suspect(v verdict, c *ClusterState, next *ClusterTurned) {
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

// giveUp turns a cluster that is not ready in time into Failed or Offline.
func (st *StepState) giveUp(c *ClusterState, next *ClusterTurned) {
	if next.Phase != ClusterMissing && !st.alive(c) {
		next.Phase, next.Code, next.Reason = ClusterOffline, CodeOffline, "no sign of its agent since the push"
		return
	}
	next.Reason = fmt.Sprintf("%s (%s) for longer than %s", next.Reason, next.Phase, Duration(st.convergeIn()))
	next.Phase, next.Code = ClusterFailed, CodeNotReady
}

// dueOf is until when a cluster that is in the phase must be ready: its
// converge deadline counts from its own turn. One that Fleet holds back has
// its turn when others have had theirs, so its time counts from when that last
// happened. Zero: it has only now lost its health, or is not expected yet.
func (st *StepState) dueOf(c *ClusterState, phase ClusterPhase) time.Time {
	switch {
	case st.TakenUpAt.IsZero() || !c.Expected || c.Phase == ClusterReady:
		return time.Time{}
	case phase == ClusterWaiting || phase == ClusterMissing:
		return st.heldBy()
	case c.Trying.IsZero():
		return time.Time{}
	}
	return c.Trying.Add(st.convergeIn())
}

// holds reports whether clusters have not had their turn.
func (st *StepState) holds() bool {
	return !st.TakenUpAt.IsZero() && st.Counts[ClusterWaiting]+st.Counts[ClusterMissing] > 0
}

// heldBy is until when a cluster must have had its turn.
func (st *StepState) heldBy() time.Time { return later(st.TakenUpAt, st.MovedAt).Add(st.convergeIn()) }

// clusterDue is when the next cluster is given up; zero when none waits with a
// deadline.
func (st *StepState) clusterDue() time.Time {
	var due time.Time
	if st.holds() {
		due = st.heldBy()
	}
	for _, trial := range st.Trials {
		c := st.Clusters[trial.Cluster]
		if !c.Trying.Equal(trial.Since) || c.Phase == ClusterFailed {
			continue
		}
		if at := trial.Since.Add(st.convergeIn()); due.IsZero() || at.Before(due) {
			due = at
		}
		break
	}
	return due
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

// broken says whether the step's clusters pass what the ring's policy
// tolerates: too many failed, too many cannot be reached, or none is left.
func (t *turn) broken(st *StepState) (Failure, bool) {
	if st.Counts[ClusterFailed]+st.Counts[ClusterOffline] == 0 {
		return Failure{}, false
	}
	failed, offline := t.s.lostClusters(st)
	size, words := len(st.Members), ""
	switch p := st.Policy; {
	case len(failed) > p.MaxFailed.Of(size):
		if p.MaxFailed.Of(size) > 0 {
			words = fmt.Sprintf("; %d of %d clusters of %s failed, %s may", len(failed), size, st.Ring, p.MaxFailed)
		}
	case p.OnOffline == rings.OfflineSkip && len(offline) > p.MaxOffline.Of(size):
		failed, words = offline, fmt.Sprintf("; %d of %d clusters of %s are offline, %s may", len(offline), size, st.Ring, p.MaxOffline)
	case st.waiting() == 0 && st.Counts[ClusterReady] == 0:
		failed, words = append(failed, offline...), "; no cluster is ready"
	default:
		return Failure{}, false
	}
	return st.brokenBy(failed, words)
}

// brokenBy names the first of these clusters that is this step's; when none
// is, another step breaks the ring.
func (st *StepState) brokenBy(names []rings.ClusterName, words string) (Failure, bool) {
	var mine []rings.ClusterName
	for _, name := range names {
		if c := st.Clusters[name]; c != nil && c.lost() {
			mine = append(mine, name)
		}
	}
	if len(mine) == 0 {
		return Failure{}, false
	}
	slices.Sort(mine)
	c := st.Clusters[mine[0]]
	f := Failure{Code: c.Code, Cluster: mine[0], Words: fmt.Sprintf("cluster %q: %s", mine[0], c.Reason)}
	if len(mine) > 1 {
		f.Words += fmt.Sprintf(" (and %d more of %d clusters)", len(mine)-1, st.expected())
	}
	f.Words += words
	return f, true
}

// lost reports whether the cluster counts and is given up.
func (c *ClusterState) lost() bool {
	return c.Expected && (c.Phase == ClusterFailed || c.Phase == ClusterOffline)
}

// lostClusters returns the clusters of the step's ring that count as failed,
// and those that are offline and do not, each once whatever the number of
// services that it failed for; sorted.
func (s *State) lostClusters(st *StepState) (failed, offline []rings.ClusterName) {
	bad, away := map[rings.ClusterName]bool{}, map[rings.ClusterName]bool{}
	for _, o := range s.Steps {
		if o.Ring != st.Ring || o.Undo != st.Undo {
			continue
		}
		for name, c := range o.Clusters {
			switch {
			case !c.lost():
			case c.Phase == ClusterFailed || o.Policy.OnOffline == rings.OfflineFail:
				bad[name] = true
			default:
				away[name] = true
			}
		}
	}
	return sortedNames(bad), sortedNames(away)
}
