package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// Input is what a Step is asked about: facts, outcomes and commands that came
// since the last one, in the order they came, and the time. All may be empty:
// then only the time has passed.
type Input struct {
	Now time.Time
	// Taken: this driver has just taken the rollout up. What was pending must
	// be done again, and what was seen must be seen again.
	Taken bool
	// Jumped: the wall clock moved by itself since the last input.
	Jumped bool
	// Halt is what the store says of a halt; nil when it was not asked.
	Halt     *Halted
	Facts    []Fact
	Outcomes []Outcome
	Commands []Command
}

// Decision is what a Step decided.
type Decision struct {
	// Events are new, in order, with sequence numbers that follow the state's.
	// None: nothing has changed.
	Events []Event
	// Actions became pending by these events. They may be started when the
	// events are on disk.
	Actions []Action
	// Wake is when to ask again if nothing happens. Zero: only an input helps.
	Wake time.Time
}

// Step decides what happens next. It is pure: the same state and input give
// the same decision. It takes ownership of s and folds its own events into it,
// so that s is the state after the decision; when the events cannot be stored,
// s must be thrown away and read again. The driver's name is the events'
// actor, where no person is.
//
// A step of a ring goes Waiting, Surveying (what does the branch say, what do
// the clusters run?), Publishing (the attempt is recorded, then pushed),
// Converging, Done. Each has one function here that looks at the level of
// things and not at what just came in, so that asking twice changes nothing.
func Step(s *State, in Input, driver string) Decision {
	t := &turn{s: s, now: in.Now, actor: driver, dirty: map[*StepState]map[rings.ClusterName]bool{}, all: map[*StepState]bool{}}
	t.take(in)
	if !s.Phase.Ended() {
		t.advance()
	}
	return Decision{Events: t.events, Actions: t.actions(), Wake: t.wake()}
}

// turn is one Step under way.
type turn struct {
	s      *State
	now    time.Time
	actor  string
	events []Event

	dirty map[*StepState]map[rings.ClusterName]bool // clusters to judge again
	all   map[*StepState]bool                       // steps whose clusters must all be judged again
	index map[Ref]*StepState                        // all steps; nil until it is needed
}

// emit records an event and folds it.
func (t *turn) emit(b Body) { t.emitBy(t.actor, b) }

func (t *turn) emitBy(actor string, b Body) {
	e := Event{Rollout: t.s.ID, Seq: t.s.Version + 1, At: t.now, Actor: actor, Body: b}
	t.events = append(t.events, e)
	Apply(t.s, e)
}

// actions returns what became pending in this turn and still is, in order.
func (t *turn) actions() []Action {
	var out []Action
	for _, e := range t.events {
		if asked, ok := e.Body.(Asked); ok {
			if a, pending := t.s.Pending[asked.ID]; pending {
				out = append(out, a)
			}
		}
	}
	return out
}

// take records the input where it says something new.
func (t *turn) take(in Input) {
	if t.s.Phase.Ended() {
		return
	}
	if in.Taken {
		t.taken()
	}
	for _, c := range in.Commands {
		t.emitBy(c.By, Commanded{c})
	}
	for _, o := range in.Outcomes {
		t.outcome(o)
	}
	for _, f := range in.Facts {
		if !t.s.Phase.Ended() {
			t.fact(f)
		}
	}
}

// taken begins a new driver's part. A push that the last one left behind is
// not repeated blindly: it is given up, and the branch is looked at first.
func (t *turn) taken() {
	t.emit(Driven{})
	for _, id := range t.pendingIDs() {
		if k := t.s.Pending[id].Kind; k == ActPublish || k == ActClaim {
			t.emit(Dropped{Action: id})
		}
	}
}

func (t *turn) fact(f Fact) {
	for _, st := range t.s.Steps {
		if st.Target.Service == f.Service && !st.Phase.Ended() && st.news(f) {
			t.emit(Observed{f})
			t.mark(st, f)
			return
		}
	}
}

// mark remembers what must be judged again because of the fact.
func (t *turn) mark(st *StepState, f Fact) {
	if f.Members != nil || f.Synced {
		t.all[st] = true
	}
	if f.Deployment != nil {
		if t.dirty[st] == nil {
			t.dirty[st] = map[rings.ClusterName]bool{}
		}
		t.dirty[st][f.Deployment.Cluster] = true
	}
}

// news reports whether the fact says something that the step does not know.
func (st *StepState) news(f Fact) bool {
	switch {
	case f.Deployment != nil:
		c := st.Clusters[f.Deployment.Cluster]
		if c == nil || c.Seen == nil {
			return true
		}
		was, is := *c.Seen, *f.Deployment
		heard := st.alive(&was) != st.alive(&is)
		was.Heard, is.Heard = time.Time{}, time.Time{}
		return was != is || heard
	case f.Bundle != nil:
		return st.Bundle == nil || *st.Bundle != *f.Bundle
	case f.GitRepo != nil:
		return st.GitRepo == nil || *st.GitRepo != *f.GitRepo
	case f.Members != nil:
		return !slices.Equal(st.Members, f.Members.Clusters)
	}
	return f.Synced && !st.Synced
}

// advance moves the rollout as far as it can go now.
func (t *turn) advance() {
	switch {
	case t.s.Cancel != nil:
		t.cancel()
	case t.s.Phase == Pending:
		t.emit(Started{})
		t.claim()
	default:
		t.claim()
		t.steps()
		t.finish()
	}
}

// claim asks for the ring's claim when this driver does not hold it.
func (t *turn) claim() {
	ring := t.s.Rings[0]
	if ring.Claimed {
		return
	}
	for _, a := range t.s.Pending {
		if a.Kind == ActClaim {
			return
		}
	}
	a := Action{Kind: ActClaim, Ring: ring.Name, Reason: "no other store may roll out on the same ring"}
	if ring.ClaimTries > 0 {
		a.After = t.now.Add(backoff(ring.ClaimTries))
	}
	t.ask(a)
}

// cancel ends the rollout as soon as no push of this driver is under way: its
// answer is waited for, so that the record says what is on the branch. A push
// that an earlier driver left behind is not repeated, and one that waits for
// its time is not begun.
func (t *turn) cancel() {
	for _, a := range t.s.Pending {
		if a.Kind == ActPublish && !a.After.After(t.now) {
			return
		}
	}
	for _, st := range t.s.Steps {
		if st.arrived() {
			t.emit(Published{Ref: st.ref(), Commit: st.Survey.Commit})
		}
	}
	t.end(Cancelled, nil)
}

func (t *turn) pendingIDs() []string {
	ids := make([]string, 0, len(t.s.Pending))
	for id := range t.s.Pending {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// ask makes an action pending.
func (t *turn) ask(a Action) {
	a.ID = fmt.Sprintf("%d-%s", t.s.Actions+1, a.Kind)
	t.emit(Asked{a})
}

// steps lets every step move. What several steps want from one repository at
// the same time is asked for together, so that they share a commit.
func (t *turn) steps() {
	for before := -1; before != len(t.events); {
		before = len(t.events) // a failure is news for the steps before it, too
		for _, st := range t.s.Steps {
			t.moveStep(st)
		}
	}
	t.askSurveys()
	t.askPublishes()
}

func (t *turn) moveStep(st *StepState) {
	if st.Phase == StepWaiting {
		t.start(st)
	}
	if st.Phase == StepSurveying {
		t.decide(st)
	}
	if st.Phase == StepPublishing {
		t.publishing(st)
	}
	if st.Phase == StepConverging {
		t.converge(st)
	}
}

// start begins a step when all that it needs is done (invariant 1), and
// nothing has failed (invariant 4).
func (t *turn) start(st *StepState) {
	if !t.s.ring(st.Ring).Claimed || t.s.Failure != nil {
		return
	}
	for _, need := range st.Needs {
		if p := t.step(Ref{st.Ring, need, st.Undo}).Phase; p != StepDone && p != StepSkipped {
			return
		}
	}
	t.emit(StepStarted{st.ref()})
}

// step returns the step. Every waiting step asks for those that it needs in
// every turn, so a search for each would take the square of their number.
func (t *turn) step(r Ref) *StepState {
	if t.index == nil {
		t.index = make(map[Ref]*StepState, len(t.s.Steps))
		for _, st := range t.s.Steps {
			t.index[st.ref()] = st
		}
	}
	return t.index[r]
}

// finish ends the rollout when nothing can move any more.
func (t *turn) finish() {
	if t.s.Phase.Ended() {
		return
	}
	waiting := false
	for _, st := range t.s.Steps {
		if !st.Phase.Ended() && st.Phase != StepWaiting {
			return
		}
		waiting = waiting || st.Phase == StepWaiting
	}
	switch {
	case t.s.Failure != nil:
		t.end(Failed, t.s.Failure)
	case !waiting:
		t.end(Succeeded, nil)
	}
}

// end ends the rollout; what is pending is not wanted any more.
func (t *turn) end(p Phase, f *Failure) {
	for _, id := range t.pendingIDs() {
		t.emit(Dropped{Action: id})
	}
	t.emit(Ended{Phase: p, Failure: f})
}

// fail ends a step.
func (t *turn) fail(st *StepState, f Failure) {
	f.Service = st.Target.Service
	t.dropFor(st)
	t.emit(StepEnded{Ref: st.ref(), Phase: StepFailed, Reason: f.Words, Failure: &f})
}

// done ends a step well.
func (t *turn) done(st *StepState, p StepPhase, reason string) {
	t.dropFor(st)
	t.emit(StepEnded{Ref: st.ref(), Phase: p, Reason: reason})
}

// dropFor gives up what is pending for the step alone.
func (t *turn) dropFor(st *StepState) {
	for _, id := range t.pendingIDs() {
		a := t.s.Pending[id]
		if len(a.Items) == 1 && a.Items[0].Service == st.Target.Service && a.Kind != ActHint {
			t.emit(Dropped{Action: id})
		}
	}
}

// isPending reports whether an action of the kind is pending for the step.
func (t *turn) isPending(st *StepState, kind ActionKind) bool {
	for _, a := range t.s.Pending {
		if a.Kind == kind && a.Ring == st.Ring && itemOf(a, st) >= 0 {
			return true
		}
	}
	return false
}

func itemOf(a Action, st *StepState) int {
	return slices.IndexFunc(a.Items, func(i Item) bool { return i.Service == st.Target.Service })
}
