package store

import (
	"errors"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// StepSummary is a step of a rollout that has begun or ended: what a ring got
// of a service, when, and by which rollout. Steps that only look at a service
// have none.
type StepSummary struct {
	Rollout  orchestrator.ID        `json:"rollout"`
	App      rings.AppName          `json:"app"`
	Ring     rings.RingName         `json:"ring"`
	Service  rings.ServiceName      `json:"service"`
	Undo     bool                   `json:"undo,omitempty"` // it takes another step back
	Phase    orchestrator.StepPhase `json:"phase"`
	Reason   string                 `json:"reason,omitempty"`
	From     rings.Version          `json:"from,omitempty"` // "" when the clusters had several, or when that was never read
	To       rings.Version          `json:"to"`
	Settings []orchestrator.Changed `json:"settings,omitempty"` // how its settings went
	Changed  bool                   `json:"changed,omitempty"`  // it put another version, or other settings, on the branch
	Commits  []string               `json:"commits,omitempty"`  // of its attempts on the branch, oldest first
	// StartedAt is when it first began, PublishedAt when the branch first had
	// To, both zero before; FinishedAt is zero while it has not ended.
	StartedAt   time.Time `json:"startedAt,omitzero"`
	PublishedAt time.Time `json:"publishedAt,omitzero"`
	FinishedAt  time.Time `json:"finishedAt,omitzero"`
	// Since is since when the ring's branch has said To without interruption,
	// and By the rollout that put it there. Zero and "": since before anything
	// that is recorded here.
	Since time.Time       `json:"since,omitzero"`
	By    orchestrator.ID `json:"by,omitempty"`
	// Unlisted: it is not found by place, version or commit any more, because
	// something that came after it there was pruned.
	Unlisted bool `json:"unlisted,omitempty"`
	// Clusters are those that counted, by name, as they were when the step, or
	// the rollout, ended; nil before. They are stored apart, and read where it says so.
	Clusters []ClusterSummary `json:"-"`
}

// ClusterSummary is a cluster of a step that has ended.
type ClusterSummary struct {
	Name  rings.ClusterName         `json:"name"`
	Phase orchestrator.ClusterPhase `json:"phase"`
	Since time.Time                 `json:"since"` // of the phase
}

// recorder keeps the steps' summaries in a transaction.
type recorder struct{ tx *bolt.Tx }

// record brings the summaries of the steps that the events are about up to
// date. What it writes grows with these steps; the clusters of one are written
// when it ends, or the rollout does. s is the state after the events.
func (r recorder) record(s *orchestrator.State, events []orchestrator.Event) error {
	about := stepsOf(events)
	if len(about) == 0 {
		return nil
	}
	ended, over := endedBy(events), s.Phase.Ended()
	for i, st := range s.Steps {
		if st.Observed || !about[scope{}] && !about[scope{st.Ring, st.Target.Service}] && !about[scope{"", st.Target.Service}] {
			continue
		}
		if err := r.step(s, i, ended[refOf(st)] || over && !st.Phase.Ended()); err != nil {
			return err
		}
	}
	return nil
}

// stepsOf says whose steps the events may have moved: of a ring and service,
// with no ring those of the service on all rings, with neither all.
func stepsOf(events []orchestrator.Event) map[scope]bool {
	about := map[scope]bool{}
	for _, e := range events {
		switch b := e.Body.(type) {
		case orchestrator.StepStarted:
			about[scope{b.Ring, b.Service}] = true
		case orchestrator.StepHeld:
			about[scope{b.Ring, b.Service}] = true
		case orchestrator.AttemptDecided:
			about[scope{b.Ring, b.Service}] = true
		case orchestrator.Published:
			about[scope{b.Ring, b.Service}] = true
		case orchestrator.StepEnded:
			about[scope{b.Ring, b.Service}] = true
		case orchestrator.Answered:
			for _, v := range b.Surveys { // may find what a failed attempt has left
				about[scope{"", v.Service}] = true
			}
		case orchestrator.Resumed, orchestrator.RollbackStarted, orchestrator.Ended:
			about[scope{}] = true
		}
	}
	return about
}

func endedBy(events []orchestrator.Event) map[orchestrator.Ref]bool {
	ended := map[orchestrator.Ref]bool{}
	for _, e := range events {
		if b, ok := e.Body.(orchestrator.StepEnded); ok {
			ended[b.Ref] = true
		}
	}
	return ended
}

// step writes the summary of the state's step with that index, unless it has
// never moved.
func (r recorder) step(s *orchestrator.State, i int, ended bool) error {
	st := s.Steps[i]
	row := summarizeStep(s, st)
	var old StepSummary
	key := stepKey(s.ID, i)
	there, err := get(r.tx.Bucket(bucketSteps), key, &old)
	if err != nil || !there && row.StartedAt.IsZero() && !row.Phase.Ended() {
		return err
	}
	row.keep(old)
	if row.isPlaced() && !old.isPlaced() {
		if err := r.place(&row, key, s.At.UTC()); err != nil {
			return err
		}
	}
	_, err = put(r.tx.Bucket(bucketSteps), key, row)
	err = errors.Join(err, r.note(row, key))
	if ended && err == nil {
		_, err = put(r.tx.Bucket(bucketTimings), key, clusterSummaries(st))
	}
	return err
}

// summarizeStep is what the state says of the step.
func summarizeStep(s *orchestrator.State, st *orchestrator.StepState) StepSummary {
	row := StepSummary{Rollout: s.ID, App: s.Scope.App, Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo, Phase: st.Phase, Reason: st.Reason,
		To: st.To, Settings: orchestrator.ChangedSettings(st.WasSettings(), st.Settings), Changed: st.Changed, StartedAt: inUTCorZero(st.StartedAt), FinishedAt: inUTCorZero(st.FinishedAt)}
	switch {
	case st.Changed:
		row.From = st.Was
	case st.Attempt.Number > 0:
		row.From = st.Attempt.From
	case st.Survey != nil:
		row.From = st.Survey.Version
	}
	if st.Attempt.Commit != "" {
		row.Commits, row.PublishedAt = []string{st.Attempt.Commit}, inUTCorZero(st.PublishedAt)
	}
	return row
}

// keep takes over what the state forgets when a step is tried again.
func (row *StepSummary) keep(old StepSummary) {
	row.Since, row.By, row.Unlisted = old.Since, old.By, old.Unlisted
	if !old.StartedAt.IsZero() {
		row.StartedAt = old.StartedAt
	}
	if old.isPlaced() {
		row.PublishedAt = old.PublishedAt
	}
	for _, c := range row.Commits {
		if !slices.Contains(old.Commits, c) {
			old.Commits = append(old.Commits, c)
		}
	}
	row.Commits = old.Commits
}

// isPlaced reports whether the branch has been seen to say To for the step.
func (row StepSummary) isPlaced() bool { return len(row.Commits) > 0 }

// isListed reports whether it is among what was placed.
func (row StepSummary) isListed() bool { return row.isPlaced() && !row.Unlisted }

// clusterSummaries are the step's clusters that count, by name.
func clusterSummaries(st *orchestrator.StepState) []ClusterSummary {
	out := []ClusterSummary{}
	for _, name := range slices.Sorted(maps.Keys(st.Clusters)) {
		if c := st.Clusters[name]; c.Expected {
			out = append(out, ClusterSummary{Name: name, Phase: c.Phase, Since: c.Since.UTC()})
		}
	}
	return out
}

// inUTCorZero keeps a zero time zero, which it would not be in another zone.
func inUTCorZero(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// stepKey is the key of the rollout's step with that index.
func stepKey(id orchestrator.ID, i int) []byte {
	key, _ := rolloutKey(id)
	return append(key, number(uint64(i))...)
}
