package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"rollout/rings"
)

// Engine is the version of what Step decides: it is raised with every change
// after which the same inputs lead to other events, so that [Replay] knows
// which rollouts it must come to the same decisions for.
const Engine = 4

// Input is what a Step is asked about: facts, outcomes and commands that came
// since the last one, in the order they came, and the time. All may be empty:
// then only the time has passed.
type Input struct {
	Now time.Time
	// Taken: this driver has just taken the rollout up. What was pending must
	// be done again, and what was seen must be seen again.
	Taken bool
	// Jumped: the wall clock moved by itself since the last input. That it went
	// back to before the last event is noticed without being told.
	Jumped bool
	// Barriers are what the store says lets nothing new start; nil when it was
	// not asked.
	Barriers *rings.Barriers
	Commands []Command
	Outcomes []Outcome
	Facts    []Fact
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
// The rings go one after the other: Waiting for their gates, Running, Soaking,
// Done. A step of the ring under way goes Waiting, Surveying (what does the
// branch say, what do the clusters run?), Publishing (the attempt is recorded,
// then pushed), where a person merges Proposed, Converging, Done. Each phase has one function that looks at the
// level of things and not at what just came in, so that asking twice changes
// nothing.
func Step(s *State, in Input, driver string) Decision {
	t := &turn{s: s, now: moment(s, in.Now), actor: driver, dirty: map[*StepState]map[rings.ClusterName]bool{}, all: map[*StepState]bool{}}
	t.take(in)
	if !s.Phase.Ended() {
		t.advance()
	}
	return Decision{Events: t.events, Actions: t.actions(), Wake: t.wake()}
}

// clockSlack is how far the wall clock may be corrected without notice.
const clockSlack = 2 * time.Second

// moment is the time of the turn. Two turns never share one, so that the
// journal shows which events were decided together.
func moment(s *State, now time.Time) time.Time {
	now = now.Round(0).UTC()
	if now.Equal(s.At) {
		return now.Add(1)
	}
	return now
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

	soakEnd *time.Time // see soakUntil; nil until it is needed
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
	jumped := in.Jumped || t.now.Before(t.s.At.Add(-clockSlack))
	if in.Taken {
		t.taken()
	}
	if jumped {
		t.emit(ClockJumped{})
		t.judgeAll()
	}
	if in.Barriers != nil && t.newHalt(in.Barriers.Halt) {
		t.emit(Halted{in.Barriers.Halt})
	}
	t.bar(in.Barriers)
	for _, c := range in.Commands {
		t.command(c)
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

// newHalt reports whether what the store says of a halt is news. One that ran
// out by itself is not.
func (t *turn) newHalt(is *rings.Halt) bool {
	was := t.s.Halt
	if was == nil || is == nil {
		return was != is && (is != nil || was.Stands(t.now))
	}
	return *was != *is
}

// taken begins a new driver's part. A push that the last one left behind is
// not repeated blindly: it is given up, and the branch is looked at first.
func (t *turn) taken() {
	t.emit(Driven{Engine: Engine})
	for _, id := range t.pendingIDs() {
		if k := t.s.Pending[id].Kind; k == ActPublish || k == ActClaim {
			t.emit(Dropped{Action: id})
		}
	}
}

// fact takes a fact about the ring under way in, once for each step that it is
// news for: a service may have one that goes forward and one that takes it back.
func (t *turn) fact(f Fact) {
	if f.Ring != "" && f.Ring != t.s.Current {
		return
	}
	f.Ring = "" // the fold knows which one is under way
	for _, st := range t.s.Steps {
		if t.s.hears(st, f.Service) && t.news(st, f) {
			t.emit(Observed{f})
			t.mark(st, f)
			return
		}
	}
}

// hears reports whether facts about the service are about the step: it is of
// the ring under way and still of interest.
func (s *State) hears(st *StepState, service rings.ServiceName) bool {
	if st.Target.Service != service || !s.current(st) {
		return false
	}
	return !st.Phase.Ended() || st.Phase == StepDone && !st.Undo && s.ring(st.Ring).lingers()
}

// current reports whether the step's ring is under way. In journals of before
// rings went one after the other the only one always is.
func (s *State) current(st *StepState) bool {
	return st.Ring == s.Current || s.Current == "" && len(s.Rings) == 1
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

// judgeAll makes this turn judge every cluster of the ring under way again.
func (t *turn) judgeAll() {
	for _, st := range t.s.Steps {
		if st.Ring == t.s.Current {
			t.all[st] = true
		}
	}
}

// news reports whether the fact says something that the step does not know.
func (t *turn) news(st *StepState, f Fact) bool {
	switch {
	case f.Deployment != nil:
		c := st.Clusters[f.Deployment.Cluster]
		if c == nil || c.Seen == nil {
			return true
		}
		return t.newSign(st, c, f.Deployment) || newDeployment(*c.Seen, *f.Deployment)
	case f.Bundle != nil:
		return st.Bundle == nil || *st.Bundle != *f.Bundle
	case f.GitRepo != nil:
		return st.GitRepo == nil || *st.GitRepo != *f.GitRepo
	case f.Members != nil:
		return !slices.Equal(st.Members, f.Members.Clusters)
	}
	return f.Synced && !st.Synced
}

// newDeployment compares what was and what is, but for when the agent was
// heard from.
func newDeployment(was, is Deployment) bool {
	was.Heard, is.Heard = time.Time{}, time.Time{}
	return was != is
}

// newSign reports whether that the agent was heard again is news: it was not
// alive before, was given up, or the soak waits for it. By a clock that is ahead of
// ours every sign is later than what the soak will wait for: only that it was seen
// before tells it from a new one, should it be delivered again.
func (t *turn) newSign(st *StepState, c *ClusterState, is *Deployment) bool {
	if !is.Heard.After(c.Heard) {
		return false
	}
	if !st.alive(c) && is.Heard.After(st.PublishedAt) || c.Phase == ClusterOffline && is.Heard.After(c.Since) {
		return true
	}
	r := t.s.ring(st.Ring)
	if r.Policy.Soak > 0 && is.Heard.After(t.now.Add(clockSlack)) {
		return true
	}
	until := t.soakUntil(r)
	return !until.IsZero() && is.Heard.After(until) && !c.heardSince(until)
}

// soakUntil is when the time of the ring's soak is up, if it soaks and is
// healthy; else zero. It is asked once a turn, before the turn's facts count.
func (t *turn) soakUntil(r *RingState) time.Time {
	if t.soakEnd == nil {
		until := t.s.soakUntil(r)
		t.soakEnd = &until
	}
	return *t.soakEnd
}

// heardSince reports whether the agent gave a sign after the time, by its
// clock and by ours.
func (c *ClusterState) heardSince(at time.Time) bool {
	return c.Heard.After(at) && c.HeardAt.After(at)
}

// advance moves the rollout as far as it can go now.
func (t *turn) advance() {
	if h := t.s.Halt; h != nil && !h.Stands(t.now) {
		t.emit(Halted{})
	}
	if t.s.Cancel != nil {
		t.cancel()
		return
	}
	if t.s.Phase == Pending {
		t.emit(Started{})
	}
	for before := -1; before != len(t.events) && !t.s.Phase.Ended(); {
		before = len(t.events) // what one step or ring does is news for the others
		t.moveRings()
		t.moveSteps()
		t.finish()
	}
	if !t.s.Phase.Ended() {
		t.ask()
	}
}

// ask makes pending what is wanted of the outside. What several steps want
// from one repository at the same time is asked for together, so that they
// share a commit.
func (t *turn) ask() {
	t.askClaim()
	t.askVerify()
	t.askSurveys()
	t.askPublishes()
	t.askChecks()
}

// stopped reports whether nothing new may start: a person or a failure said so
// (invariant 4). What takes back is not stopped by the failure that it follows.
func (t *turn) stopped(undo bool) bool {
	failure := t.s.Failure
	if undo {
		failure = t.s.Rollback.Failure
	}
	return t.held() || failure != nil
}

// held reports whether a person lets nothing new start.
func (t *turn) held() bool { return t.s.Pause != nil || t.s.Halt != nil }

// askClaim asks for the claim on the ring under way when this driver does not
// hold it.
func (t *turn) askClaim() {
	r := t.s.ring(t.s.Current)
	if r == nil || r.Claimed || r.Phase.Ended() && t.s.Rollback == nil {
		return
	}
	for _, a := range t.s.Pending {
		if a.Kind == ActClaim && a.Ring == r.Name {
			return
		}
	}
	a := Action{Kind: ActClaim, Ring: r.Name, Reason: "no other store may roll out on the same ring"}
	if r.ClaimTries > 0 {
		a.After = t.now.Add(backoff(r.ClaimTries))
	}
	t.request(a)
}

func (t *turn) pendingIDs() []string {
	ids := make([]string, 0, len(t.s.Pending))
	for id := range t.s.Pending {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// request makes an action pending.
func (t *turn) request(a Action) {
	a.ID = fmt.Sprintf("%d-%s", t.s.Actions+1, a.Kind)
	t.emit(Asked{a})
}

// moveSteps lets every step of the ring under way move.
func (t *turn) moveSteps() {
	for _, st := range t.s.Steps {
		if st.Ring == t.s.Current && !st.Phase.Ended() {
			t.moveStep(st)
		}
	}
}

func (t *turn) moveStep(st *StepState) {
	if st.Phase == StepProposed {
		t.proposed(st)
		return
	}
	if st.Skip != nil && !t.isPending(st, ActPublish) {
		t.leaveOut(st, st.Skip.leftOut())
	}
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

// start begins a step when all that it needs is done (invariant 1), nothing has
// failed or is held (invariant 4), and no lock or closed window is in the way. What only looks needs no claim.
func (t *turn) start(st *StepState) {
	r := t.s.ring(st.Ring)
	if t.holds(st) || !r.Claimed && !st.Observed {
		return
	}
	if st.Undo && t.s.Rollback.Ring != st.Ring || !st.Undo && r.Phase != RingRunning {
		return
	}
	if t.needed(st) {
		t.emit(StepStarted{st.ref()})
	}
}

// needed reports whether all that the step needs is done; of one that was left
// out, what that one needed.
func (t *turn) needed(st *StepState) bool {
	for _, need := range st.Needs {
		n := t.step(Ref{st.Ring, need, st.Undo})
		if n.Phase != StepDone && (n.Phase != StepSkipped || !t.needed(n)) {
			return false
		}
	}
	return true
}

// step returns the step. Every waiting step asks for those that it needs in
// every turn, so a search for each would take the square of their number.
func (t *turn) step(r Ref) *StepState {
	if t.index == nil || len(t.index) != len(t.s.Steps) {
		t.index = make(map[Ref]*StepState, len(t.s.Steps))
		for _, st := range t.s.Steps {
			t.index[st.ref()] = st
		}
	}
	return t.index[r]
}

// end ends the rollout; what is pending is not wanted any more.
func (t *turn) end(p Phase, f *Failure) {
	for _, st := range t.s.Unmerged() {
		t.leave(st)
	}
	for _, id := range t.pendingIDs() {
		t.emit(Dropped{Action: id})
	}
	t.emit(Ended{Phase: p, Failure: f})
}

// fail ends a step.
func (t *turn) fail(st *StepState, f Failure) {
	f.Service = st.Target.Service
	t.leave(st)
	if st.Observed {
		f.Code, f.Hint = CodeDependency, "make it healthy, then try again; or create with --allow-unhealthy-dependency --reason"
	}
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
		if len(a.Items) == 1 && a.concerns(st) && a.Kind != ActHint {
			t.emit(Dropped{Action: id})
		}
	}
}

// isPending reports whether an action of the kind is pending for the step.
func (t *turn) isPending(st *StepState, kind ActionKind) bool {
	for _, a := range t.s.Pending {
		if a.Kind == kind && a.concerns(st) {
			return true
		}
	}
	return false
}

// steps are the names of the steps that the action is for, in order.
func (a Action) steps() []Ref {
	ring := a.Ring
	if a.For != "" {
		ring = a.For
	}
	refs := make([]Ref, len(a.Items))
	for i, item := range a.Items {
		refs[i] = Ref{ring, item.Service, a.Undo}
	}
	return refs
}

// concerns reports whether one of the action's items is for the step.
func (a Action) concerns(st *StepState) bool { return slices.Contains(a.steps(), st.ref()) }
