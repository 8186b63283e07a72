package explore

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// move is one thing that may happen next.
type move struct {
	kind    kind
	a, b, c uint8
	on      [maxClusters]advance // how far the agents of the ring have come meanwhile
}

type kind uint8

const (
	moveEffect    kind = iota // task a takes effect
	moveAnswer                // task a's answer reaches the driver
	moveLabel                 // Fleet notes the tip for service a
	moveContent               // Fleet's job has cloned the tip for service a
	moveRelabel               // Fleet takes a tip up that changes nothing on ring b for service a, and the driver is told
	moveSync                  // the driver is told all that there is on ring b
	moveSyncStale             // the same, of service a on cluster c what was before
	moveFact                  // the driver is told of service a on cluster c of ring b
	moveFactStale             // the same, what was before
	moveDeadline              // the deadlines of step a pass
	moveCrash                 // the driver dies, and another one takes over
	moveManual                // somebody else sets a version of service a on ring b
)

// advance is what an agent did since somebody last looked: it is played when
// somebody looks, or when Fleet wants something else of it.
type advance uint8

const (
	advanceNot   advance = iota
	advanceApply         // it applied what Fleet wants
	advanceReady         // that is ready, too
	advanceTurn          // what was applied before has become ready
	advanceBad           // it applied what Fleet wants, which will not become ready
)

func (a advance) String() string {
	return [...]string{"as it was", "applied", "applied and ready", "ready", "applied, and will not become ready"}[a]
}

// describe is the move in words.
func (n *node) describe(l *layout, m move) string {
	where := func() string {
		return fmt.Sprintf("%s on %s", l.services[m.a], l.clusters[m.b][m.c])
	}
	switch m.kind {
	case moveEffect:
		return fmt.Sprintf("%s takes effect", n.world.tasks[m.a].id)
	case moveAnswer:
		return fmt.Sprintf("%s is answered", n.world.tasks[m.a].id)
	case moveLabel:
		return fmt.Sprintf("Fleet takes the tip of %s up: %s", l.services[m.a], l.commits[l.repo[m.a]][n.world.tip(l, int(m.a))])
	case moveContent:
		return fmt.Sprintf("Fleet has the content of %s: %s; meanwhile the clusters: %v", l.services[m.a], l.commits[l.repo[m.a]][n.world.tip(l, int(m.a))], m.on[:l.Clusters])
	case moveRelabel:
		return fmt.Sprintf("Fleet takes the tip of %s up, which changes nothing on %s, and the driver is told: %s", l.services[m.a], l.rings[m.b], l.commits[l.repo[m.a]][n.world.tip(l, int(m.a))])
	case moveSync:
		return fmt.Sprintf("the driver is told all of %s", l.rings[m.b])
	case moveSyncStale:
		return fmt.Sprintf("the driver is told all of %s, old news of %s", l.rings[m.b], where())
	case moveFact:
		return fmt.Sprintf("the driver is told of %s: %s", where(), m.on[m.c])
	case moveFactStale:
		return "the driver is told old news of " + where()
	case moveDeadline:
		st := n.state.Steps[m.a]
		return fmt.Sprintf("the deadlines of %s on %s pass (taking back: %t)", st.Target.Service, st.Ring, st.Undo)
	case moveCrash:
		return "the driver dies, and another one takes over"
	case moveManual:
		return fmt.Sprintf("somebody else sets %s to %s on %s", l.services[m.a], versions[verOther], l.rings[m.b])
	}
	return fmt.Sprint(m)
}

// moves are all that may happen next. An ended rollout is over.
func (n *node) moves(l *layout, out []move) []move {
	if n.state.Phase.Ended() {
		return out
	}
	out = n.taskMoves(l, out)
	steps, r := n.hearing(), n.current(l)
	if r >= 0 {
		out = n.ringMoves(l, steps, r, out)
	}
	for i, st := range n.state.Steps {
		if n.expires(st) {
			out = append(out, move{kind: moveDeadline, a: uint8(i)})
		}
	}
	if n.world.left.Crash > 0 {
		out = append(out, move{kind: moveCrash})
	}
	if n.world.left.Manual > 0 {
		for s := range l.services {
			for r := range l.rings {
				out = append(out, move{kind: moveManual, a: uint8(s), b: uint8(r)})
			}
		}
	}
	return out
}

// taskMoves: what only reads takes effect when it is answered, unless somebody
// may push in between.
func (n *node) taskMoves(l *layout, out []move) []move {
	for i, t := range n.world.tasks {
		switch {
		case t.done:
			out = append(out, move{kind: moveAnswer, a: uint8(i)})
		case t.kind == orchestrator.ActPublish || t.kind == orchestrator.ActSurvey && n.mayPush(l, t):
			out = append(out, move{kind: moveEffect, a: uint8(i)})
		default:
			out = append(out, move{kind: moveAnswer, a: uint8(i)})
		}
	}
	return out
}

// mayPush reports whether the branch that the task reads may get a commit
// before the task is answered.
func (n *node) mayPush(l *layout, t task) bool {
	repo := func(t task) int { return l.repo[l.service(n.state.Pending[t.id].Items[0].Service)] }
	return n.world.left.Manual > 0 || slices.ContainsFunc(n.world.tasks, func(o task) bool {
		return o.kind == orchestrator.ActPublish && !o.done && repo(o) == repo(t)
	})
}

// ringMoves are those of Fleet, its agents and the watch, as far as somebody
// looks: the ring under way, and services with a step there that moves.
func (n *node) ringMoves(l *layout, steps []*orchestrator.StepState, r int, out []move) []move {
	unsynced := !n.hearsAll(l)
	if unsynced {
		out = append(out, move{kind: moveSync, b: uint8(r)})
	}
	for s := range l.services {
		if !hears(steps, l, s) {
			continue
		}
		for k := range l.Clusters {
			out = n.factMoves(l, steps, move{a: uint8(s), b: uint8(r), c: uint8(k)}, unsynced, out)
		}
		if !moving(steps, l, s) {
			continue
		}
		switch f := n.world.fleet[s]; {
		case f.job:
			out = n.contentMoves(l, s, r, out)
		case f.label == n.world.tip(l, s):
		case n.world.spec(l, s, r) == n.world.wants(l, s, r):
			out = append(out, move{kind: moveRelabel, a: uint8(s), b: uint8(r)})
		default:
			out = append(out, move{kind: moveLabel, a: uint8(s)})
		}
	}
	return out
}

// contentMoves: when Fleet wants something else of the ring's clusters, it
// matters how far they have come with what it wanted before.
func (n *node) contentMoves(l *layout, s, r int, out []move) []move {
	m := move{kind: moveContent, a: uint8(s), b: uint8(r)}
	if n.world.spec(l, s, r) == n.world.wants(l, s, r) {
		return append(out, m)
	}
	var each func(k int)
	each = func(k int) {
		if k == l.Clusters {
			out = append(out, m)
			return
		}
		for _, a := range n.advances(l, s, r, k) {
			if a == advanceBad || a == advanceApply {
				continue // what is replaced before it became ready is as good as not applied
			}
			m.on[k] = a
			each(k + 1)
		}
	}
	each(0)
	return out
}

// advances are what the cell's agent may have done since somebody looked.
func (n *node) advances(l *layout, s, r, k int) []advance {
	switch c := &n.world.cells[s][r][k]; {
	case c.applied == n.world.spec(l, s, r) && (c.ready || c.bad):
		return still
	case c.applied == n.world.spec(l, s, r):
		return turning
	case n.world.spec(l, s, r).version == verOther:
		return elsewhere
	case n.world.left.Cluster > 0:
		return applyingBad
	}
	return applying
}

var (
	still       = []advance{advanceNot}
	turning     = []advance{advanceNot, advanceTurn}
	applying    = []advance{advanceNot, advanceApply, advanceReady}
	elsewhere   = []advance{advanceNot, advanceReady}
	applyingBad = []advance{advanceNot, advanceApply, advanceReady, advanceBad}
)

// advance lets the cell's agent have come so far.
func (w *world) advance(l *layout, s, r, k int, a advance) {
	c := &w.cells[s][r][k]
	show := func(change func()) {
		was := w.sight(l, s, r, k)
		change()
		if w.sight(l, s, r, k) != was {
			c.before = was
		}
	}
	if a == advanceApply || a == advanceReady || a == advanceBad {
		show(func() { c.applied, c.ready, c.bad = w.spec(l, s, r), false, a == advanceBad })
	}
	if a == advanceReady || a == advanceTurn {
		show(func() { c.ready = true })
		if c.applied.version != verOther {
			c.proven = c.applied.nonce
		}
	}
	if a == advanceBad {
		w.left.happens(&w.left.Cluster)
	}
}

// factMoves: what is told of a step that has not begun, or that is about to be
// pushed, is only noted; it is told later.
func (n *node) factMoves(l *layout, steps []*orchestrator.StepState, m move, unsynced bool, out []move) []move {
	as := func(k kind) move { return move{kind: k, a: m.a, b: m.b, c: m.c} }
	s, r, k := int(m.a), int(m.b), int(m.c)
	is, before := n.world.sight(l, s, r, k), n.world.cells[s][r][k].before
	stale := n.world.left.Stale > 0 && before != is
	if unsynced {
		if stale {
			out = append(out, as(moveSyncStale))
		}
		return out
	}
	if !listening(steps, l, s) {
		return out
	}
	for _, a := range n.advances(l, s, r, k) {
		if a == advanceNot && !news(steps, l, m, is) {
			continue
		}
		told := as(moveFact)
		told.on[k] = a
		out = append(out, told)
	}
	if stale && news(steps, l, m, before) {
		out = append(out, as(moveFactStale))
	}
	return out
}

// hearsAll reports whether the driver was told all that there is on the ring
// under way.
func (n *node) hearsAll(l *layout) bool {
	return !slices.ContainsFunc(n.hearing(), func(st *orchestrator.StepState) bool { return !st.Synced })
}

// moving reports whether a step of the service has begun.
func moving(steps []*orchestrator.StepState, l *layout, s int) bool {
	return slices.ContainsFunc(steps, func(st *orchestrator.StepState) bool {
		return st.Target.Service == l.services[s] && st.Phase != orchestrator.StepWaiting
	})
}

// listening reports whether a step of the service acts on what it is told.
func listening(steps []*orchestrator.StepState, l *layout, s int) bool {
	return slices.ContainsFunc(steps, func(st *orchestrator.StepState) bool {
		return st.Target.Service == l.services[s] && (st.Phase == orchestrator.StepSurveying || st.Phase == orchestrator.StepConverging)
	})
}

// news reports whether a step of the service has seen something else.
func news(steps []*orchestrator.StepState, l *layout, m move, v sight) bool {
	return slices.ContainsFunc(steps, func(st *orchestrator.StepState) bool {
		if st.Target.Service != l.services[m.a] {
			return false
		}
		c := st.Clusters[l.clusters[m.b][m.c]]
		return c == nil || c.Seen == nil || seen(c.Seen) != v
	})
}

// expires reports whether the step has a deadline. One that waits for the
// answer of a push has none: the push itself is bounded.
func (n *node) expires(st *orchestrator.StepState) bool {
	if st.Ring != n.state.Current {
		return false
	}
	switch st.Phase {
	case orchestrator.StepSurveying, orchestrator.StepPublishing:
		return !n.pushing(st)
	case orchestrator.StepConverging:
		return true
	}
	return false
}

func (n *node) pushing(st *orchestrator.StepState) bool {
	for _, a := range n.state.Pending {
		if a.Kind == orchestrator.ActPublish && a.Ring == st.Ring && a.Undo == st.Undo && has(a, st.Target.Service) {
			return true
		}
	}
	return false
}

func has(a orchestrator.Action, s rings.ServiceName) bool {
	return slices.ContainsFunc(a.Items, func(i orchestrator.Item) bool { return i.Service == s })
}

// moved returns the node after the move, with the driver's events. The error
// says which invariant does not hold.
func (n *node) moved(l *layout, m move) (*node, []orchestrator.Event, error) {
	x := n.next(m)
	if m.kind < moveRelabel && m.kind != moveAnswer || m.kind == moveManual {
		return x, nil, x.happens(l, m)
	}
	var events []orchestrator.Event
	var err error
	switch m.kind {
	case moveAnswer:
		events, err = x.answer(l, int(m.a))
	case moveCrash:
		x.world.left.happens(&x.world.left.Crash)
		x.world.tasks = asked(x.world.tasks)
		events, err = x.step(l, orchestrator.Input{Taken: true})
	case moveDeadline:
		events, err = x.deadline(l, int(m.a))
	case moveRelabel:
		s := int(m.a)
		x.world.alter(l, s, func() { x.world.fleet[s] = gitRepo{label: x.world.tip(l, s), content: x.world.tip(l, s)} })
		if x.hearsAll(l) {
			events, err = x.step(l, orchestrator.Input{Facts: x.facts(l, m)})
		}
	default:
		events, err = x.step(l, orchestrator.Input{Facts: x.facts(l, m)})
	}
	if err == nil {
		err = x.after(l, m, events)
	}
	return x, events, err
}

// asked are the tasks, none of which has begun.
func asked(tasks []task) []task {
	out := make([]task, len(tasks))
	for i, t := range tasks {
		out[i] = task{id: t.id, kind: t.kind}
	}
	return out
}

func (n *node) answer(l *layout, i int) ([]orchestrator.Event, error) {
	t := n.world.tasks[i]
	a := n.state.Pending[t.id]
	if !t.done && t.kind == orchestrator.ActSurvey {
		t.tip = n.world.tip(l, l.service(a.Items[0].Service))
	}
	if t.kind == orchestrator.ActClaim {
		n.shadow.claimed[l.ring(a.Ring)] = true
	}
	return n.step(l, orchestrator.Input{Outcomes: []orchestrator.Outcome{n.world.outcome(l, t, a)}})
}

// facts are what the watch says, at once.
func (n *node) facts(l *layout, m move) []orchestrator.Fact {
	s, r, k := int(m.a), int(m.b), int(m.c)
	stale := m.kind == moveSyncStale || m.kind == moveFactStale
	if stale {
		n.world.left.happens(&n.world.left.Stale)
	}
	sight := func(s, k int) sight {
		if stale && s == int(m.a) && k == int(m.c) {
			return n.world.cells[s][r][k].before
		}
		return n.world.sight(l, s, r, k)
	}
	if m.kind == moveFact || m.kind == moveFactStale {
		n.world.advance(l, s, r, k, m.on[k])
		return []orchestrator.Fact{l.fact(s, r, k, sight(s, k))}
	}
	var out []orchestrator.Fact
	if m.kind == moveRelabel {
		for k := range l.Clusters {
			out = append(out, l.fact(s, r, k, sight(s, k)))
		}
		return out
	}
	for s := range l.services {
		out = append(out, orchestrator.Fact{Service: l.services[s], Ring: l.rings[r], Members: &orchestrator.Members{Clusters: l.clusters[r]}})
		for k := range l.Clusters {
			out = append(out, l.fact(s, r, k, sight(s, k)))
		}
		out = append(out, orchestrator.Fact{Service: l.services[s], Ring: l.rings[r], Synced: true})
	}
	return out
}

// happens is a move of the world alone.
func (n *node) happens(l *layout, m move) error {
	w, s, r := &n.world, int(m.a), int(m.b)
	switch m.kind {
	case moveEffect:
		return n.effect(l, s)
	case moveLabel:
		w.alter(l, s, func() { w.fleet[s].label, w.fleet[s].job = w.tip(l, s), true })
	case moveContent:
		for k := range l.Clusters {
			w.advance(l, s, r, k, m.on[k])
		}
		w.alter(l, s, func() { w.fleet[s].content, w.fleet[s].job = w.tip(l, s), false })
	case moveManual:
		w.manual(l, s, r)
		n.noteManual(l, s, r)
	}
	return nil
}

// manual sets another version, and nothing else: the nonce stays as it is.
func (w *world) manual(l *layout, s, r int) {
	w.left.happens(&w.left.Manual)
	repo := l.repo[s]
	files := w.repos[repo][len(w.repos[repo])-1].files
	files[s][r].version = verOther
	w.push(repo, commit{changed: 1 << s, ring: uint8(r), files: files})
}

// effect lets a task take effect: a survey reads the tip, a publish pushes.
func (n *node) effect(l *layout, i int) error {
	w := &n.world
	w.tasks = slices.Clone(w.tasks)
	t := &w.tasks[i]
	a := n.state.Pending[t.id]
	t.done = true
	if t.kind == orchestrator.ActPublish {
		repo := l.repo[l.service(a.Items[0].Service)]
		made, code, service := w.publish(l, a)
		t.refused, t.service = code, uint8(service)
		if made >= 0 {
			if err := n.pushed(l, repo, made); err != nil {
				return err
			}
		}
	}
	t.tip = w.tip(l, l.service(a.Items[0].Service))
	return nil
}

// deadline lets the deadlines of the step pass, and no others: what they count
// from was long ago. Afterwards they run anew, for what did not end.
func (n *node) deadline(l *layout, i int) ([]orchestrator.Event, error) {
	shift(n.state, i, -long)
	events, err := n.step(l, orchestrator.Input{})
	shift(n.state, i, long)
	return events, err
}

// shift moves all that the deadlines of the step count from; on the way back
// only what was moved.
func shift(s *orchestrator.State, i int, by time.Duration) {
	st := s.Steps[i]
	move := func(t *time.Time) {
		if !t.IsZero() && (by < 0 || t.Before(epoch)) {
			*t = t.Add(by)
		}
	}
	for _, t := range []*time.Time{&s.DrivenAt, &st.StartedAt, &st.PublishedAt, &st.TakenUpAt, &st.MovedAt, &st.ReadySince, &st.SurveyedAt} {
		move(t)
	}
	for _, c := range st.Clusters {
		move(&c.Trying)
	}
	st.Trials = slices.Clone(st.Trials)
	for i := range st.Trials {
		move(&st.Trials[i].Since)
	}
}
