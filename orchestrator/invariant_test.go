package orchestrator_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollout/orchestrator"
	"rollout/rings"
)

// checker asserts what DESIGN section 3 says must always hold, after every
// step of every story and of the random test. It reads events and the world,
// and shares no code with what it checks.
type checker struct {
	w       *world
	created orchestrator.Created
	steps   map[orchestrator.Ref]*shadow
	failed  bool // a step failed
	ended   bool
	pushing map[orchestrator.Ref]int64 // the nonce a push was asked for

	state  *orchestrator.State // the fold of what the journal says so far
	folded int

	// The checks that copy the state are dear; one step in so many has them.
	steps1in, count int
}

// shadow is what the events so far say of a step.
type shadow struct {
	phase   orchestrator.StepPhase
	decided []orchestrator.Attempt
}

func newChecker(w *world, c orchestrator.Created) *checker {
	k := &checker{w: w, created: c, steps1in: 1, steps: map[orchestrator.Ref]*shadow{}, pushing: map[orchestrator.Ref]int64{}}
	for _, s := range c.Steps {
		k.steps[orchestrator.Ref{Ring: s.Ring, Service: s.Target.Service}] = &shadow{phase: orchestrator.StepWaiting}
	}
	return k
}

// step steps the state, and asserts everything about it.
func (k *checker) step(t *testing.T, s *orchestrator.State, in orchestrator.Input, journal []orchestrator.Event) orchestrator.Decision {
	t.Helper()
	d := k.decide(t, s, in, journal)
	for _, e := range d.Events {
		k.event(t, s, e)
	}
	k.deadlines(t, s, d)
	for _, url := range slices.Sorted(maps.Keys(k.w.repos)) {
		for _, fault := range k.w.repos[url].check() {
			t.Fatalf("invariants 8, 9, 12: %s\n%s", fault, k.w.repos[url])
		}
	}
	return d
}

// decide steps the state, and compares it with what copies of it become.
func (k *checker) decide(t *testing.T, s *orchestrator.State, in orchestrator.Input, journal []orchestrator.Event) orchestrator.Decision {
	t.Helper()
	if k.count++; k.count%k.steps1in != 0 {
		return orchestrator.Step(s, in, "driver")
	}
	before := asJSON(t, s)
	d := orchestrator.Step(s, in, "driver")
	after := asJSON(t, s)
	k.pure(t, before, after, in, d)
	k.fold(t, after, journal, d.Events)
	k.quiet(t, after, in)
	return d
}

// pure: the same state, read back from a snapshot, and the same input decide
// the same.
func (k *checker) pure(t *testing.T, before, after []byte, in orchestrator.Input, d orchestrator.Decision) {
	t.Helper()
	s := snapshot(t, before)
	again := orchestrator.Step(s, in, "driver")
	if !reflect.DeepEqual(d, again) {
		t.Fatalf("Step is not deterministic, or a snapshot loses something (-first +again):\n%s", gocmp.Diff(d, again))
	}
	same(t, "the same decision, another state (-first +again)", after, s)
}

// fold: the state is the fold of its events, also after they were on disk.
// The fold goes on where it stood after the last step.
func (k *checker) fold(t *testing.T, after []byte, journal, events []orchestrator.Event) {
	t.Helper()
	for _, e := range slices.Concat(journal[k.folded:], events) {
		if k.folded++; e.Seq != uint64(k.folded) {
			t.Fatalf("event %d has the sequence number %d", k.folded, e.Seq)
		}
		k.state = orchestrator.Apply(k.state, roundTrip(t, e))
	}
	same(t, "the state is not the fold of its journal (-state +fold)", after, k.state)
}

// same fails when the state is another one than the snapshot's.
func same(t *testing.T, what string, want []byte, s *orchestrator.State) {
	t.Helper()
	if !bytes.Equal(want, asJSON(t, s)) {
		t.Fatalf("%s:\n%s", what, gocmp.Diff(snapshot(t, want), s, cmpopts.EquateEmpty()))
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snapshot is the state as it comes back from one.
func snapshot(t *testing.T, b []byte) *orchestrator.State {
	t.Helper()
	s := new(orchestrator.State)
	if err := json.Unmarshal(b, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// quiet is invariant 13: the same input again decides nothing.
func (k *checker) quiet(t *testing.T, after []byte, in orchestrator.Input) {
	t.Helper()
	again := orchestrator.Input{Now: in.Now, Facts: in.Facts, Outcomes: in.Outcomes}
	s := snapshot(t, after)
	if d := orchestrator.Step(s, again, "driver"); len(d.Events) > 0 {
		t.Fatalf("invariant 13: the same input twice decides %s\nstate: %s", describe(d.Events[0]), s.Explain(in.Now))
	}
}

func (k *checker) event(t *testing.T, s *orchestrator.State, e orchestrator.Event) {
	t.Helper()
	if k.ended {
		t.Fatalf("invariant 4: %s after the end", describe(e))
	}
	switch b := e.Body.(type) {
	case orchestrator.Asked:
		k.asked(t, s, b)
	case orchestrator.StepStarted:
		k.started(t, b.Ref)
	case orchestrator.StepHeld:
		k.steps[b.Ref].phase = orchestrator.StepWaiting
	case orchestrator.AttemptDecided:
		k.decided(t, b)
	case orchestrator.Proposed:
		k.steps[b.Ref].phase = orchestrator.StepProposed
	case orchestrator.Published:
		k.steps[b.Ref].phase = orchestrator.StepConverging
	case orchestrator.StepEnded:
		k.stepEnded(t, s, b)
	case orchestrator.Resumed:
		k.failed = false
		for _, sh := range k.steps {
			if sh.phase == orchestrator.StepFailed {
				sh.phase = orchestrator.StepWaiting
			}
		}
	case orchestrator.RollbackStarted:
		k.failed = false // what takes back may start
		k.created.Steps = append(k.created.Steps, b.Steps...)
		for _, st := range b.Steps {
			k.steps[orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: true}] = &shadow{phase: orchestrator.StepWaiting}
		}
	case orchestrator.Ended:
		k.ended = true
		k.finished(t, s, b)
	}
}

// started is invariants 1 and 4.
func (k *checker) started(t *testing.T, r orchestrator.Ref) {
	t.Helper()
	first := k.steps[r].phase == orchestrator.StepWaiting
	k.steps[r].phase = orchestrator.StepSurveying
	if k.failed && first {
		t.Fatalf("invariant 4: %s starts after a failure", r.Service)
	}
	for _, n := range k.created.Steps {
		if n.Target.Service != r.Service || n.Ring != r.Ring || n.Undo != r.Undo {
			continue
		}
		for _, need := range n.Needs {
			if p := k.steps[orchestrator.Ref{Ring: r.Ring, Service: need, Undo: r.Undo}].phase; p != orchestrator.StepDone && p != orchestrator.StepSkipped {
				t.Fatalf("invariant 1: %s starts while %s is %s", r.Service, need, p)
			}
		}
	}
}

func (k *checker) decided(t *testing.T, b orchestrator.AttemptDecided) {
	t.Helper()
	sh := k.steps[b.Ref]
	if k.failed {
		t.Fatalf("invariant 4: an attempt of %s is decided after a failure", b.Service)
	}
	for _, a := range sh.decided {
		if a.Nonce >= b.Attempt.Nonce && b.Attempt.Ours || a.Number >= b.Attempt.Number {
			t.Fatalf("invariant 8: attempt %+v follows %+v", b.Attempt, a)
		}
	}
	sh.decided = append(sh.decided, b.Attempt)
	sh.phase = orchestrator.StepPublishing
	if !b.Attempt.Ours {
		sh.phase = orchestrator.StepConverging
	}
}

// asked is invariant 4, and invariant 8: a push is of an attempt that is on
// record.
func (k *checker) asked(t *testing.T, s *orchestrator.State, b orchestrator.Asked) {
	t.Helper()
	if s.Cancel != nil && b.Kind != orchestrator.ActSurvey { // who only looks starts nothing
		t.Fatalf("invariant 4: %s is asked for after a cancel", b.Kind)
	}
	if b.Kind != orchestrator.ActPublish {
		return
	}
	for _, i := range b.Items {
		r := orchestrator.Ref{Ring: b.Ring, Service: i.Service, Undo: b.Undo}
		attempts := k.steps[r].decided
		if len(attempts) == 0 || attempts[len(attempts)-1].Nonce != i.Nonce || attempts[len(attempts)-1].Version != i.Version {
			t.Fatalf("invariant 8: push of %+v, which is not on record", i)
		}
		if k.failed && k.pushing[r] != i.Nonce {
			t.Fatalf("invariant 4: %s is pushed for the first time after a failure", i.Service)
		}
		k.pushing[r] = i.Nonce
	}
}

func (k *checker) stepEnded(t *testing.T, s *orchestrator.State, b orchestrator.StepEnded) {
	t.Helper()
	sh := k.steps[b.Ref]
	if sh.phase.Ended() {
		t.Fatalf("step %s ends twice", b.Service)
	}
	sh.phase = b.Phase
	switch b.Phase {
	case orchestrator.StepFailed:
		k.failed = true
		if b.Failure == nil || b.Failure.Code == "" || b.Failure.Words == "" {
			t.Fatalf("invariant 6: %s fails without a name: %+v", b.Service, b.Failure)
		}
	case orchestrator.StepDone:
		for _, st := range s.Steps {
			if st.Target.Service == b.Service && st.Ring == b.Ring && st.Undo == b.Undo && !st.Observed {
				k.evidence(t, s, st)
			}
		}
	}
}

// evidence is invariant 3, as DESIGN section 4 says it, and the truth of it.
func (k *checker) evidence(t *testing.T, s *orchestrator.State, st *orchestrator.StepState) {
	t.Helper()
	a, v, expected := st.Attempt, st.Survey, 0
	if v == nil || v.Version != st.To || v.Nonce != a.Nonce || v.Superseded != nil || v.Rewritten || a.Version != st.To {
		t.Fatalf("invariant 3: %s is done, the branch says %+v of attempt %+v", st.Target.Service, v, a)
	}
	for name, c := range st.Clusters {
		if !slices.Contains(st.Members, name) || !slices.Contains(v.Expected, name) {
			continue
		}
		if st.Policy.MaxFailed.Of(len(st.Members)) > 0 && c.Phase == orchestrator.ClusterFailed || st.Policy.OnOffline == rings.OfflineSkip && c.Phase == orchestrator.ClusterOffline {
			continue
		}
		if _, skipped := s.Skips[name]; skipped || c.Phase == orchestrator.ClusterSkipped {
			continue
		}
		expected++
		d := c.Seen
		if d == nil || d.Gone || !slices.Contains(v.Lineage, d.Commit) || d.SpecNonce != a.Nonce || d.StatusNonce != a.Nonce ||
			!d.Staged || !d.Applied || !d.Ready || !d.NonModified || d.InstallError+d.DeployError != "" ||
			d.Paused || d.OffSchedule || d.AwaitsValues || d.Deleting {
			t.Fatalf("invariant 3: %s is done on this evidence of %s: %+v", st.Target.Service, name, d)
		}
		if c.Since.After(st.SurveyedAt) {
			t.Fatalf("invariant 3: %s is done, the branch was not read after %s became ready", st.Target.Service, name)
		}
		k.truth(t, st, name)
	}
	if expected == 0 {
		t.Fatalf("invariant 3: %s is done on no cluster", st.Target.Service)
	}
}

// truth: the cluster runs the version, unless somebody changed the branch, or
// the cluster's ring, in the meantime.
func (k *checker) truth(t *testing.T, st *orchestrator.StepState, name rings.ClusterName) {
	t.Helper()
	u, want := k.w.units[st.Target.Service], entry{st.To, st.Attempt.Nonce}
	moved := k.w.clusters[name].ring != st.Ring || u.repo.tip().files[at{u.name, st.Ring}] != want
	if b := u.bds[name]; !moved && b != nil && b.lie == nil && b.runs != want {
		t.Fatalf("%s is done with %v, cluster %s runs %v", u.name, want, name, b.runs)
	}
}

// finished: an end says what the steps say.
func (k *checker) finished(t *testing.T, s *orchestrator.State, b orchestrator.Ended) {
	t.Helper()
	if len(s.Pending) > 0 {
		t.Fatalf("ended with %d actions pending", len(s.Pending))
	}
	for r, sh := range k.steps {
		if b.Phase == orchestrator.Succeeded && sh.phase != orchestrator.StepDone && sh.phase != orchestrator.StepSkipped {
			t.Fatalf("succeeded, but %s is %s", r.Service, sh.phase)
		}
	}
	if b.Phase == orchestrator.Failed && (b.Failure == nil || b.Failure.Code == "") {
		t.Fatal("invariant 6: failed without a name")
	}
}

// deadlines is invariant 6: a rollout that is not at its end waits for an
// action, which the Runner bounds, or for a moment that is named; and a step
// that is under way has a deadline of its own.
func (k *checker) deadlines(t *testing.T, s *orchestrator.State, d orchestrator.Decision) {
	t.Helper()
	if s.Phase.Ended() {
		return
	}
	if d.Wake.IsZero() && len(s.Pending) == 0 && !s.Why(k.w.now)[0].Unbounded {
		t.Fatalf("invariant 6: nothing is pending and nothing wakes it: %s", s.Explain(k.w.now))
	}
	if !d.Wake.IsZero() && !d.Wake.After(k.w.now) {
		t.Fatalf("asked to be woken at %s, which is not after now", d.Wake)
	}
	for _, st := range s.Steps {
		waits := st.Phase == orchestrator.StepProposed || st.Phase == orchestrator.StepSurveying || st.Phase == orchestrator.StepConverging || st.Phase == orchestrator.StepPublishing
		if waits && d.Wake.IsZero() && !pushes(s, st) && st.Policy.OnOffline != rings.OfflineWait {
			t.Fatalf("invariant 6: %s is %s without a deadline: %s", st.Target.Service, st.Phase, st.Explain(k.w.now))
		}
	}
}

// pushes reports whether a push is pending for the step: it is waited for.
func pushes(s *orchestrator.State, st *orchestrator.StepState) bool {
	for _, a := range s.Pending {
		if a.Kind == orchestrator.ActPublish && slices.ContainsFunc(a.Items, func(i orchestrator.Item) bool { return i.Service == st.Target.Service }) {
			return true
		}
	}
	return false
}

// roundTrip is the event as the journal gives it back. It must be the same.
func roundTrip(t *testing.T, e orchestrator.Event) orchestrator.Event {
	t.Helper()
	out := reread(t, e)
	if !reflect.DeepEqual(e, out) {
		if diff := gocmp.Diff(e, out, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the event on disk is another one (-event +decoded):\n%s", diff)
		}
	}
	return out
}

// reread is the event as the journal gives it back.
func reread(t *testing.T, e orchestrator.Event) orchestrator.Event {
	t.Helper()
	b, err := orchestrator.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	out, err := orchestrator.DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	out.Rollout, out.Seq = e.Rollout, e.Seq
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// since is a moment as seconds after the beginning.
func since(at time.Time) string {
	return fmt.Sprintf("%gs", at.Sub(epoch).Round(time.Millisecond).Seconds())
}
