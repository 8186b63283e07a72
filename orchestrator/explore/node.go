package explore

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
)

// epoch is when every exploration begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// tick lies between two turns of the driver: all that an exploration does
// together takes less than any deadline.
const tick = time.Microsecond

// long is longer than any deadline.
const long = 24 * time.Hour

const driver = "driver"

// node is a state of everything: of the driver's rollout, as it is stored, and
// of the world.
type node struct {
	state  *orchestrator.State
	world  world
	shadow shadow
	turns  int // of the driver; its clock
	trail  *trail
}

// trail is how a node was reached; it tells a path again.
type trail struct {
	before *trail
	move   move
	length int
}

// start is the node at which everything begins: the rollout is created, and a
// driver takes it up.
func start(l *layout) (*node, error) {
	n := &node{world: newWorld(l), shadow: newShadow(l), trail: &trail{}}
	created := orchestrator.Event{Rollout: "shop-1", Seq: 1, At: epoch, Actor: "ann", Body: l.created()}
	n.state = orchestrator.Apply(nil, created)
	_, err := n.step(l, orchestrator.Input{Taken: true})
	return n, err
}

// next is a copy of the node, to be moved on.
func (n *node) next(m move) *node {
	return &node{state: clone(n.state), world: n.world, shadow: n.shadow, turns: n.turns, trail: &trail{n.trail, m, n.trail.length + 1}}
}

func (n *node) now() time.Time { return epoch.Add(time.Duration(n.turns) * tick) }

// step lets the driver step, stores what it decided and begins the actions. A
// hint is answered in the same breath: nobody sees whether it was.
func (n *node) step(l *layout, in orchestrator.Input) ([]orchestrator.Event, error) {
	var all []orchestrator.Event
	for {
		n.turns++
		in.Now = n.now()
		d := orchestrator.Step(n.state, in, driver)
		all = append(all, d.Events...)
		if err := n.shadow.see(l, n, d); err != nil {
			return all, err
		}
		hints := n.begin(d)
		if len(hints) == 0 {
			return all, nil
		}
		in = orchestrator.Input{Outcomes: hints}
	}
}

// begin keeps the tasks that are still pending, adds what was asked for, and
// returns the answers of the hints.
func (n *node) begin(d orchestrator.Decision) (hints []orchestrator.Outcome) {
	var tasks []task
	for _, t := range n.world.tasks {
		if _, pending := n.state.Pending[t.id]; pending {
			tasks = append(tasks, t)
		}
	}
	for _, a := range d.Actions {
		if a.Kind == orchestrator.ActHint {
			hints = append(hints, orchestrator.Outcome{Action: a.ID, Result: orchestrator.OK})
			continue
		}
		tasks = append(tasks, task{id: a.ID, kind: a.Kind})
	}
	n.world.tasks = tasks
	return hints
}

// stepOf returns the step, or nil.
func stepOf(s *orchestrator.State, r orchestrator.Ref) *orchestrator.StepState {
	for _, st := range s.Steps {
		if st.Undo == r.Undo && st.Target.Service == r.Service && st.Ring == r.Ring {
			return st
		}
	}
	return nil
}

// current is the number of the ring under way; -1 before the first.
func (n *node) current(l *layout) int {
	if n.state.Current == "" {
		return -1
	}
	return l.ring(n.state.Current)
}

// hearing returns the steps of the ring under way that move: forward and back.
func (n *node) hearing() []*orchestrator.StepState {
	var out []*orchestrator.StepState
	for _, st := range n.state.Steps {
		if st.Ring == n.state.Current && !st.Phase.Ended() {
			out = append(out, st)
		}
	}
	return out
}

// hears reports whether a step of the service moves.
func hears(steps []*orchestrator.StepState, l *layout, s int) bool {
	return slices.ContainsFunc(steps, func(st *orchestrator.StepState) bool { return st.Target.Service == l.services[s] })
}

// path tells how the node was reached, with all events.
func (n *node) path(l *layout) string {
	var moves []move
	for t := n.trail; t.before != nil; t = t.before {
		moves = append(moves, t.move)
	}
	slices.Reverse(moves)
	out := fmt.Sprintf("%s\n", l.Shape)
	at, err := start(l)
	for i, m := range moves {
		if err != nil {
			break
		}
		out += fmt.Sprintf("%3d. %s\n", i+1, at.describe(l, m))
		var events []orchestrator.Event
		at, events, err = at.moved(l, m)
		for _, e := range events {
			out += "       " + describe(e) + "\n"
		}
		if at == nil {
			break
		}
	}
	if err != nil {
		out += fmt.Sprintf("     !!! %v\n", err)
	}
	return out
}

// describe is an event in one line.
func describe(e orchestrator.Event) string {
	b, err := orchestrator.EncodeEvent(e)
	if err != nil {
		return fmt.Sprintf("%T: %v", e.Body, err)
	}
	return string(b)
}
