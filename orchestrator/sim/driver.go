package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

const (
	// renewEvery leaves two more tries before the lease runs out.
	renewEvery = 3 * time.Second
	// storeRetry is how long a driver waits after the journal failed.
	storeRetry = time.Second
)

// Boundary is a place at which a driver may die.
type Boundary string

// Boundaries of a driver, in the order in which it comes by.
const (
	BeforeAppend Boundary = "before-append" // it decided, nothing is stored
	AfterAppend  Boundary = "after-append"  // stored, nothing is begun
	BeforeAction Boundary = "before-action" // the next action of several is not begun
	AfterAction  Boundary = "after-action"  // begun, and not answered
)

// Driver is what [orchestrator.Runner] is, for one rollout, in the virtual time
// of a [World] and without a goroutine: it takes the lease, folds the journal,
// feeds Step, appends what was decided and only then begins the actions. When
// the lease is another's it waits for it; when it loses it, it begins again.
//
// The fields are set before [Driver.Drive] and not changed after.
type Driver struct {
	World   *World
	Journal Journal
	Self    orchestrator.Driver
	// Step decides; nil is [orchestrator.Step].
	Step func(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision
	// Dies, if set, is asked at every boundary whether the driver dies there.
	Dies func(Boundary) bool
	// Saved, if set, is called after each append that succeeded. It must not
	// keep or change the state.
	Saved func(*orchestrator.State, []orchestrator.Event)
	// Gone, if set, is called once, when the driver has ended: because the
	// rollout has, or because it died.
	Gone func(died bool)

	id    orchestrator.ID
	over  bool          // dead, or the rollout has ended
	sleep time.Time     // suspended until then, in true time
	skew  time.Duration // of the wall clock against the true time
	tick  int           // the present ticker's number: older ones are off

	*tenure // nil while the lease is another's
}

// tenure is what a driver has while it holds the lease.
type tenure struct {
	state *orchestrator.State
	lease orchestrator.Lease
	mail  letters

	wake   time.Time // as Step said
	alarm  int       // the present alarm's number: older ones are off
	due    bool      // a turn is on its way
	unread bool      // commands and barriers must be looked at
	told   *rings.Barriers

	watch     orchestrator.Watch
	stopWatch func()

	begun  map[string]func() // actions under way or in line, and how to abandon them
	queues map[[2]string]*queue
}

// queue is the line of a repository's actions, one at a time.
type queue struct {
	busy bool
	line []orchestrator.Action
}

// Drive begins to drive the rollout, or to wait for its lease. It returns at
// once: all happens as the world's time goes by.
func (d *Driver) Drive(id orchestrator.ID) {
	d.id = id
	if d.Step == nil {
		d.Step = orchestrator.Step
	}
	d.skew = d.World.Wall().Sub(d.World.Now())
	d.takeUp()
	d.ticker()
}

// Kill ends the driver at once, as if its process had died: its lease stays
// until it runs out, and what is under way is answered to nobody.
func (d *Driver) Kill() { d.end(true) }

// Leave ends the driver in order: its lease is free at once.
func (d *Driver) Leave() {
	if d.tenure != nil {
		d.free()
	}
	d.end(false)
}

// Suspend stops the process for a while. It goes on where it was, and does not
// know that time has passed.
func (d *Driver) Suspend(span time.Duration) { d.sleep = d.World.Now().Add(span) }

// Over reports whether the driver has ended.
func (d *Driver) Over() bool { return d.over }

// State is the rollout as the driver knows it, nil while it does not hold the
// lease. It must not be kept or changed.
func (d *Driver) State() *orchestrator.State {
	if d.tenure == nil {
		return nil
	}
	return d.state
}

// Notice makes the driver look for commands and barriers, as a change of the
// store's file does.
func (d *Driver) Notice() {
	if t := d.tenure; t != nil {
		t.unread = true
		d.soon()
	}
}

func (d *Driver) end(died bool) {
	if d.over {
		return
	}
	d.over = true
	d.drop()
	if d.Gone != nil {
		d.Gone(died)
	}
}

// drop lets everything go that belongs to the tenure.
func (d *Driver) drop() {
	t := d.tenure
	if t == nil {
		return
	}
	d.tenure = nil
	if t.stopWatch != nil {
		t.stopWatch()
	}
	for _, id := range slices.Sorted(maps.Keys(t.begun)) {
		t.begun[id]()
	}
}

// free gives the lease up; when that fails it runs out by itself.
func (d *Driver) free() {
	_ = d.Journal.Release(context.Background(), d.lease)
}

// later runs f after the time, unless the driver has ended by then; a
// suspended one runs it when it goes on.
func (d *Driver) later(after time.Duration, f func()) {
	d.World.After(max(0, after), func() {
		switch left := d.sleep.Sub(d.World.Now()); {
		case d.over:
		case left > 0:
			d.later(left, f)
		default:
			f()
		}
	})
}

// within is later, for what belongs to the present tenure.
func (d *Driver) within(after time.Duration, f func()) {
	t := d.tenure
	d.later(after, func() {
		if d.tenure == t {
			f()
		}
	})
}

// ticker renews the lease, or tries to get it, again and again. It also looks
// at the clock and at the store, as a Runner does with every renewal.
func (d *Driver) ticker() {
	d.tick++
	n := d.tick
	d.later(renewEvery, func() {
		if n != d.tick {
			return
		}
		if d.tenure == nil {
			d.takeUp()
		} else {
			d.renew()
		}
		d.ticker()
	})
}

// takeUp takes the lease, reads the rollout and begins to watch.
func (d *Driver) takeUp() {
	ctx := context.Background()
	lease, err := d.Journal.Acquire(ctx, d.id, d.Self, d.World.Wall(), orchestrator.LeaseTTL)
	if err != nil {
		return // another's, or the journal fails: the ticker tries again
	}
	state, err := d.Journal.Rollout(ctx, d.id)
	if err != nil {
		return
	}
	d.tenure = &tenure{state: state, lease: lease, unread: true, begun: map[string]func(){}, queues: map[[2]string]*queue{}}
	if state.Phase.Ended() {
		d.free()
		d.end(false)
		return
	}
	d.mail.input.Taken = true
	d.follow()
	d.soon()
}

// renew extends the lease; who has lost it begins again.
func (d *Driver) renew() {
	now := d.World.Wall()
	kept, err := d.Journal.Renew(context.Background(), []orchestrator.Lease{d.lease}, now, orchestrator.LeaseTTL)
	switch {
	case err == nil && len(kept) == 0:
		d.drop()
		return
	case err == nil:
		d.lease = kept[0]
	}
	d.unread = true
	if d.jumped() || d.news() {
		d.soon()
	}
}

// news reports whether the store has something that the rollout was not told.
func (d *Driver) news() bool {
	commands, err := d.Journal.Commands(context.Background(), d.id)
	is, err2 := d.barriers()
	return err == nil && len(commands) > 0 || err2 == nil && !d.knows(is)
}

func (d *Driver) jumped() bool { return d.World.Wall().Sub(d.World.Now()) != d.skew }

// follow watches the ring that is to be watched, if it is not already.
func (d *Driver) follow() {
	spec, ok := d.state.Watched()
	if t := d.tenure; ok == (t.stopWatch != nil) && (!ok || spec.Ring == t.watch.Ring && spec.Epoch == t.watch.Epoch) {
		return
	}
	if d.stopWatch != nil {
		d.stopWatch()
		d.stopWatch = nil
	}
	if !ok {
		return
	}
	t := d.tenure
	t.watch = spec
	t.stopWatch = d.World.Watch(spec, func(facts []orchestrator.Fact) {
		if d.tenure == t && t.watch.Ring == spec.Ring {
			t.mail.facts(facts)
			d.soon()
		}
	})
}

// soon makes a turn happen now, once for all that comes in at the same time.
func (d *Driver) soon() {
	if d.due {
		return
	}
	d.due = true
	d.within(0, func() {
		d.due = false
		d.turn()
	})
}

// arm sets the alarm for the moment at which Step wants to be asked again.
func (d *Driver) arm() {
	d.alarm++
	n := d.alarm
	if d.wake.IsZero() {
		return
	}
	d.within(d.wake.Sub(d.World.Wall()), func() {
		if n == d.alarm {
			d.turn()
		}
	})
}

// turn is one turn of a Runner's loop: read, step, append, act.
func (d *Driver) turn() {
	in, some := d.input()
	if !some {
		return
	}
	for _, o := range in.Outcomes {
		delete(d.begun, o.Action)
	}
	decision := d.Step(d.state, in, d.Self.Name)
	d.wake = decision.Wake
	if len(decision.Events)+len(in.Commands) > 0 && !d.save(decision.Events, in.Commands) {
		return
	}
	if d.state.Phase.Ended() {
		d.free()
		d.end(false)
		return
	}
	d.follow()
	if len(decision.Events) > 0 && !d.act() {
		return
	}
	d.arm()
}

// input takes what came in; false when there is nothing to step for.
func (d *Driver) input() (orchestrator.Input, bool) {
	in := d.mail.take()
	now := d.World.Now()
	in.Now, in.Jumped = d.World.Wall(), d.jumped()
	d.skew = in.Now.Sub(now)
	due := !d.wake.IsZero() && !d.wake.After(in.Now)
	d.unread = d.unread || due || in.Jumped // a window may have opened or closed
	d.ask(&in)
	return in, due || in.Taken || in.Jumped || in.Barriers != nil || len(in.Facts)+len(in.Outcomes)+len(in.Commands) > 0
}

// ask adds what waits in the store. When it cannot be read now, a later turn
// tries again.
func (d *Driver) ask(in *orchestrator.Input) {
	if !d.unread {
		return
	}
	commands, err := d.Journal.Commands(context.Background(), d.id)
	is, err2 := d.barriers()
	if err != nil || err2 != nil {
		return
	}
	in.Commands, d.unread = commands, false
	if !d.knows(is) {
		in.Barriers = &is
	}
	d.told = &is
}

func (d *Driver) barriers() (rings.Barriers, error) {
	return d.Journal.Barriers(context.Background(), d.state.Scope.App, d.World.Wall())
}

// knows reports whether the engine was told of the barriers already.
func (d *Driver) knows(is rings.Barriers) bool { return d.told != nil && d.told.Equal(is) }

// save appends what was decided. When that fails the state is thrown away, and
// the driver begins again: what was written is read then.
func (d *Driver) save(events []orchestrator.Event, commands []orchestrator.Command) bool {
	if d.dies(BeforeAppend) {
		return false
	}
	b := orchestrator.Batch{Lease: d.lease, Events: events, State: d.state}
	for _, c := range commands {
		b.Consumed = append(b.Consumed, c.Seq)
	}
	err := d.Journal.Append(context.Background(), []orchestrator.Batch{b})
	if errors.Is(err, orchestrator.ErrFenced) {
		d.drop() // the ticker waits for the lease
		return false
	}
	if err != nil {
		d.drop()
		d.later(storeRetry, func() {
			if d.tenure == nil {
				d.takeUp()
			}
		})
		return false
	}
	if d.Saved != nil {
		d.Saved(d.state, events)
	}
	return !d.dies(AfterAppend)
}

// dies asks whether the driver dies here, and lets it.
func (d *Driver) dies(at Boundary) bool {
	if d.Dies != nil && d.Dies(at) {
		d.Kill()
	}
	return d.over
}
