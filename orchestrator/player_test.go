package orchestrator_test

import (
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// player does what a Runner does, in virtual time and without one: it steps a
// rollout against a world, keeps its journal, and carries out its actions.
// The invariants are checked after every step.
type player struct {
	t       *testing.T
	w       *world
	watch   *watch
	s       *orchestrator.State
	journal []orchestrator.Event
	check   *checker
	wake    time.Time

	answers  []orchestrator.Outcome
	jumped   bool
	barriers *rings.Barriers
	commands []orchestrator.Command
	taken    bool
	life     int             // drivers so far: an answer to an earlier one is lost
	bornAt   time.Time       // of the present driver
	begun    map[string]bool // actions under way

	// told is called after every step that decided something.
	told func(orchestrator.Decision)
	// delays are how long an action takes until it acts, and until it is answered.
	delays func(orchestrator.Action) (act, answer time.Duration)
	// facts filters what the watch says on its way to the step.
	facts func([]orchestrator.Fact) []orchestrator.Fact
	// crash reports whether the driver dies after it decided, before it could
	// store anything or right after, and how long nobody drives then.
	crash func() (before, after bool, idle time.Duration)
}

func newPlayer(t *testing.T, w *world, c orchestrator.Created) *player {
	p := &player{t: t, w: w, begun: map[string]bool{}}
	p.told = func(orchestrator.Decision) {}
	p.delays = func(orchestrator.Action) (time.Duration, time.Duration) { return 100 * time.Millisecond, 0 }
	p.facts = func(f []orchestrator.Fact) []orchestrator.Fact { return f }
	p.crash = func() (bool, bool, time.Duration) { return false, false, 0 }
	first := orchestrator.Event{Rollout: "shop-1", Seq: 1, At: w.now, Actor: "ann", Body: c}
	p.journal = []orchestrator.Event{first}
	p.check = newChecker(w, c)
	p.restart()
	return p
}

// restart is a new driver: it knows the journal and nothing else.
func (p *player) restart() {
	p.s = orchestrator.Fold(nil, p.decoded())
	p.life, p.bornAt = p.life+1, p.w.now
	p.watch, p.begun, p.answers, p.wake, p.taken = nil, map[string]bool{}, nil, time.Time{}, true
}

// decoded is the journal as it comes back from the disk.
func (p *player) decoded() []orchestrator.Event {
	out := make([]orchestrator.Event, len(p.journal))
	for i, e := range p.journal {
		out[i] = roundTrip(p.t, e)
	}
	return out
}

// play lets time pass until the time is reached, stop says so, or the rollout
// has ended and nobody asks for more.
func (p *player) play(until time.Time, stop func() bool) {
	for {
		p.turn()
		if stop() {
			return
		}
		next := p.w.next()
		if !p.wake.IsZero() && p.wake.Before(next) {
			next = p.wake
		}
		if next.After(until) {
			p.w.elapse(until)
			return
		}
		p.w.elapse(next)
	}
}

func (p *player) ended() bool { return p.s.Phase.Ended() }

// turn is a turn of a Runner's loop, and another one when it has begun to
// watch.
func (p *player) turn() {
	p.once()
	spec, watched := p.s.Watched()
	if !watched {
		p.watch = nil
		return
	}
	if !p.taken && (p.watch == nil || p.watch.ring != spec.Ring || p.watch.epoch != spec.Epoch) {
		p.watch = p.w.watch(spec.Ring)
		p.watch.epoch = spec.Epoch
		p.turn()
	}
}

// seen is what the watch says.
func (p *player) seen() []orchestrator.Fact {
	if p.watch == nil {
		return nil
	}
	return p.facts(p.watch.news())
}

// once is read, step, store, act.
func (p *player) once() {
	in := orchestrator.Input{Now: p.w.now, Taken: p.taken, Facts: p.seen(), Outcomes: p.answers, Commands: p.commands, Jumped: p.jumped, Barriers: p.barriers}
	due := !p.wake.IsZero() && !p.wake.After(p.w.now)
	if !due && !in.Taken && !in.Jumped && in.Barriers == nil && len(in.Facts)+len(in.Outcomes)+len(in.Commands) == 0 {
		return
	}
	before, after, idle := p.crash()
	if before {
		orchestrator.Step(p.s, in, "driver")
		p.die(idle)
		return
	}
	p.taken, p.answers, p.commands, p.jumped, p.barriers = false, nil, nil, false, nil
	for _, o := range in.Outcomes {
		delete(p.begun, o.Action)
	}
	d := p.check.step(p.t, p.s, in, p.journal)
	p.journal = append(p.journal, d.Events...)
	p.wake = d.Wake
	if len(d.Events) > 0 {
		p.told(d)
	}
	if after && !p.ended() {
		p.die(idle)
		return
	}
	p.act()
}

// die ends the driver; the next one comes when it has been idle for a while.
func (p *player) die(idle time.Duration) {
	p.life++ // what is under way now is answered to nobody
	p.bornAt = p.w.now
	p.w.elapse(p.w.now.Add(idle))
	p.restart()
}

// act begins what is pending and not under way.
func (p *player) act() {
	if p.ended() {
		return
	}
	for _, id := range sortedKeys(p.s.Pending) {
		a := p.s.Pending[id]
		if p.begun[id] {
			continue
		}
		p.begun[id] = true
		p.perform(a)
	}
}

// perform lets an action happen in the world. One that had begun when its
// driver died happens nevertheless; its answer is lost.
func (p *player) perform(a orchestrator.Action) {
	act, answer := p.delays(a)
	life, begins := p.life, p.w.now.Add(max(0, a.After.Sub(p.w.now)))
	p.w.after(begins.Add(act).Sub(p.w.now), func() {
		if life != p.life && p.bornAt.Before(begins) || p.ended() {
			return
		}
		o := p.w.exec(a)
		p.w.after(answer, func() {
			if life == p.life {
				p.answers = append(p.answers, o)
			}
		})
	})
}
