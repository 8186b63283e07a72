package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rollout/rings"
)

const (
	// LeaseTTL is how long a driver that is gone keeps others waiting.
	LeaseTTL = 10 * time.Second
	// renewEvery leaves two more tries before the lease runs out.
	renewEvery = 3 * time.Second
)

// Runner drives rollouts: a thin shell around [Step]. In order, and again and
// again, it
//
//  1. takes what came in: facts, outcomes, commands, the time;
//  2. steps every rollout that is touched;
//  3. appends all the events in one transaction;
//  4. starts the actions that became pending, which run beside it, one at a
//     time for a repository, each with a deadline, and come back as inputs.
//
// It has no opinion about rollouts. What was pending when a driver ended is
// started again by the next, so a kill at any point loses nothing.
//
// The fields are set before Drive is called and not changed after. A Runner is
// used for one Drive at a time.
type Runner struct {
	Store     Store
	Publisher Publisher
	Fleet     Fleet
	Claim     Claim
	Checker   Checker
	Clock     Clock
	Driver    Driver
	Log       *slog.Logger // nil: nothing is logged
	// Notify, if set, is called by the Runner's goroutine with each driven
	// rollout's state after its events are on disk. It must not keep or change
	// the state, and should be quick.
	Notify func(*State, []Event)

	until   Until
	mail    *mailbox
	driven  map[ID]*driven
	unsaved []Batch
	look    bool // other live rollouts may be there
	errs    map[ID]error
	queues  map[[2]string]*sync.Mutex
	workers sync.WaitGroup
	last    time.Time // of the last round, with its monotonic reading
	retried time.Time // when what could not be driven was last tried again
}

// driven is one rollout that this Runner holds the lease of.
type driven struct {
	state *State
	lease Lease
	stop  context.CancelFunc // ends its watch and its actions
	ctx   context.Context
	// watching is the ring that is watched, "" for none, and epoch its watch's;
	// blind ends the watch, and blinded is closed when it has ended.
	watching rings.RingName
	epoch    int
	blind    context.CancelFunc
	blinded  chan struct{}
	wake     time.Time
	begun    map[string]bool // actions that are running
	unread   bool            // its commands must be looked at
}

// Until says when Drive ends.
type Until int

// Ends of Drive: when the named rollouts have ended, when no rollout of the
// store is live, or only with its context.
const (
	UntilEnded Until = iota
	UntilIdle
	Forever
)

// Drive takes the leases of the rollouts and moves them on. With UntilEnded
// it drives exactly the named ones and returns when all have ended; otherwise
// all live rollouts of the store that nobody drives, those named and those
// that appear later. It returns nil when its end is reached, ctx.Err() when
// ctx ends (the leases are then free at once), a [LeasedError] when a named
// rollout is driven elsewhere, and the reason when a rollout could not be
// driven on (its lease was taken over, Fleet cannot be watched).
func (r *Runner) Drive(ctx context.Context, until Until, ids ...ID) error {
	r.reset()
	r.until = until
	run, cancel := context.WithCancel(ctx)
	defer r.leave()
	defer cancel()
	for _, id := range ids {
		if err := r.takeUp(run, id); err != nil {
			return err
		}
	}
	return r.loop(run, until)
}

func (r *Runner) reset() {
	r.mail, r.driven, r.unsaved = newMailbox(), map[ID]*driven{}, nil
	r.last, r.retried = time.Time{}, r.Clock.Now()
	r.look, r.errs, r.queues = true, map[ID]error{}, map[[2]string]*sync.Mutex{}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
}

// takeUp takes a rollout's lease, reads it, and begins to watch.
func (r *Runner) takeUp(ctx context.Context, id ID) error {
	lease, err := r.Store.Acquire(ctx, id, r.Driver, r.Clock.Now(), LeaseTTL)
	if err != nil {
		return err
	}
	state, err := r.Store.Rollout(ctx, id)
	if err != nil {
		return errors.Join(err, r.Store.Release(ctx, lease))
	}
	unwatched := make(chan struct{})
	close(unwatched)
	r.drive(ctx, state, lease, unwatched)
	return nil
}

// drive begins to drive a rollout from the state on. It is watched once
// unwatched is closed.
func (r *Runner) drive(ctx context.Context, s *State, lease Lease, unwatched chan struct{}) {
	d := &driven{state: s, lease: lease, begun: map[string]bool{}, unread: true, blind: func() {}, blinded: unwatched}
	d.ctx, d.stop = context.WithCancel(ctx)
	r.driven[s.ID] = d
	r.mail.begin(s.ID)
	r.watch(d)
}

// watch sends the facts about a rollout's ring under way to the mailbox, until
// another ring is or the rollout is let go.
func (r *Runner) watch(d *driven) {
	w, ok := d.state.Watched()
	if w.Ring == d.watching && w.Epoch == d.epoch {
		return
	}
	d.blind()
	d.watching, d.epoch, d.blind = w.Ring, w.Epoch, func() {}
	if !ok {
		return
	}
	id := d.state.ID
	ctx, blind := context.WithCancel(d.ctx)
	before, after := d.blinded, make(chan struct{})
	d.blind, d.blinded = blind, after
	r.workers.Go(func() {
		defer close(after)
		<-before // two watches of a large fleet would hold it twice
		err := r.Fleet.Watch(ctx, w, func(facts []Fact) { r.mail.facts(ctx, id, facts) })
		if err != nil && ctx.Err() == nil {
			r.mail.failed(id, fmt.Errorf("watch Fleet for rollout %q: %w", id, err))
		}
	})
}

// loop is the Runner's goroutine.
func (r *Runner) loop(ctx context.Context, until Until) error {
	changes := r.Store.Changes(ctx)
	renew := r.after(renewEvery)
	defer func() { renew.stop() }()
	for {
		r.adopt(ctx, until)
		if done, err := r.round(ctx, until); done || err != nil {
			return err
		}
		wake := r.timer()
		select {
		case <-ctx.Done():
		case <-r.mail.ready:
		case <-wake.c:
		case <-changes:
			r.unread()
		case <-renew.c:
			r.look = true // a lease of another driver may have run out
			r.forgive()
			renew = r.after(renewEvery)
			r.renew(ctx)
		}
		wake.stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// alarm is a timer of the Clock.
type alarm struct {
	c    <-chan time.Time
	stop func()
}

func (r *Runner) after(d time.Duration) alarm {
	c, stop := r.Clock.After(d)
	return alarm{c, stop}
}

// forgiveEvery is how long a rollout that could not be driven rests.
const forgiveEvery = time.Minute

// forgive has a Runner without an end try again what it could not drive.
func (r *Runner) forgive() {
	if now := r.Clock.Now(); r.until == Forever && now.Sub(r.retried) >= forgiveEvery {
		r.retried, r.errs = now, map[ID]error{}
	}
}

// timer is set for the earliest moment at which a rollout wants to be asked.
func (r *Runner) timer() alarm {
	var next time.Time
	for _, d := range r.driven {
		if !d.wake.IsZero() && (next.IsZero() || d.wake.Before(next)) {
			next = d.wake
		}
	}
	if len(r.unsaved) > 0 {
		next = r.Clock.Now().Add(time.Second)
	}
	if next.IsZero() {
		return alarm{stop: func() {}}
	}
	return r.after(max(0, next.Sub(r.Clock.Now())))
}

// unread makes the next round read the commands of every driven rollout, and
// look for new ones.
func (r *Runner) unread() {
	r.look = true
	for _, d := range r.driven {
		d.unread = true
	}
}

// adopt takes up the live rollouts that nobody drives, unless only the named
// ones are wanted. One that cannot be taken up does not keep the others.
func (r *Runner) adopt(ctx context.Context, until Until) {
	if until == UntilEnded || !r.look {
		return
	}
	live, err := r.Store.Live(ctx)
	if err != nil {
		r.Log.Warn("cannot look for live rollouts, trying again", "err", err)
		return
	}
	r.look = false
	for _, id := range live {
		if r.driven[id] != nil || r.errs[id] != nil {
			continue
		}
		err := r.takeUp(ctx, id)
		if err == nil || errors.Is(err, ErrLeased) || ctx.Err() != nil {
			continue
		}
		r.errs[id] = fmt.Errorf("take up rollout %q: %w", id, err)
		r.Log.Error("rollout is not driven", "rollout", id, "err", err)
	}
}

// round is one turn of the loop: read, step, append, act. It reports whether
// the Runner's end is reached.
func (r *Runner) round(ctx context.Context, until Until) (bool, error) {
	if len(r.unsaved) == 0 {
		r.stepAll(ctx)
	}
	if err := r.save(ctx); err != nil {
		return false, err
	}
	return r.finished(until)
}

// finished lets go of what has ended and says whether Drive is done.
func (r *Runner) finished(until Until) (bool, error) {
	if len(r.driven) > 0 {
		return false, nil
	}
	switch until {
	case UntilEnded:
		return true, r.err()
	case UntilIdle:
		live, err := r.Store.Live(context.Background())
		return err == nil && len(live) == len(r.errs), errors.Join(err, r.err())
	}
	return false, nil
}

// err joins what ended the driving of single rollouts, in the order of ids.
func (r *Runner) err() error {
	ids := make([]ID, 0, len(r.errs))
	for id := range r.errs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var all []error
	for _, id := range ids {
		all = append(all, r.errs[id])
	}
	return errors.Join(all...)
}

// stepAll steps every rollout that has input or whose time has come.
func (r *Runner) stepAll(ctx context.Context) {
	mail := r.mail.take()
	now := r.Clock.Now()
	jumped := r.jumped(now)
	for id, d := range r.driven {
		l := mail[id]
		if l == nil {
			l = &letters{}
		}
		if l.err != nil {
			r.abandon(id, l.err)
			continue
		}
		due := !d.wake.IsZero() && !d.wake.After(now)
		d.unread = d.unread || due || jumped // a window may have opened or closed
		r.readCommands(ctx, d, l)
		l.input.Jumped = jumped
		if due || jumped || l.input.Taken || l.input.Barriers != nil || len(l.input.Facts)+len(l.input.Outcomes)+len(l.input.Commands) > 0 {
			r.step(d, l.input, now)
		}
	}
}

// jumped reports whether the wall clock moved by itself since the last round:
// otherwise than the monotonic one. A machine that slept looks like that, too.
func (r *Runner) jumped(now time.Time) bool {
	last := r.last
	r.last = now
	if last.IsZero() {
		return false
	}
	off := now.Round(0).Sub(last.Round(0)) - now.Sub(last)
	return off.Abs() > clockSlack
}

// readCommands adds what waits in the store: the commands, and what lets nothing
// new start. When they cannot be read now, the next round tries again.
func (r *Runner) readCommands(ctx context.Context, d *driven, l *letters) {
	if !d.unread {
		return
	}
	commands, err := r.Store.Commands(ctx, d.state.ID)
	barriers, err2 := r.Store.Barriers(ctx, d.state.Scope.App, r.Clock.Now())
	if err := errors.Join(err, err2); err != nil {
		r.Log.Warn("the commands cannot be read, trying again", "rollout", d.state.ID, "err", err)
		return
	}
	d.unread, l.input.Commands, l.input.Barriers = false, commands, &barriers
}

func (r *Runner) step(d *driven, in Input, now time.Time) {
	in.Now = now
	decision := Step(d.state, in, r.Driver.Name)
	d.wake = decision.Wake
	for _, o := range in.Outcomes {
		delete(d.begun, o.Action)
	}
	if len(decision.Events) == 0 && len(in.Commands) == 0 && !d.state.Phase.Ended() {
		return
	}
	b := Batch{Lease: d.lease, Events: decision.Events, State: d.state}
	for _, c := range in.Commands {
		b.Consumed = append(b.Consumed, c.Seq)
	}
	r.unsaved = append(r.unsaved, b)
}

// save appends what was decided; only then is it told and acted on. What
// cannot be written now is tried again, until the leases have run out.
func (r *Runner) save(ctx context.Context) error {
	if len(r.unsaved) == 0 {
		return nil
	}
	err := r.Store.Append(ctx, r.unsaved)
	var fenced *FencedError
	switch {
	case errors.As(err, &fenced):
		r.fenced(fenced)
		return r.save(ctx)
	case errors.Is(err, ErrOutOfOrder):
		err = r.driveAnew(ctx)
	}
	switch {
	case err != nil && r.expired():
		return fmt.Errorf("write the journal: %w", err)
	case err != nil:
		r.Log.Warn("the journal cannot be written, trying again", "err", err)
		return nil
	}
	saved := r.unsaved
	r.unsaved = nil
	for _, b := range saved {
		r.saved(b)
	}
	return nil
}

// driveAnew drives what is unsaved from what the journal has, as a new driver
// would: an append that was reported as failed has taken effect, so what is in
// memory is not what is on disk.
func (r *Runner) driveAnew(ctx context.Context) error {
	for len(r.unsaved) > 0 {
		b := r.unsaved[0]
		s, err := r.Store.Rollout(ctx, b.Lease.Rollout)
		if err != nil {
			return err
		}
		r.Log.Warn("the journal has other events than expected, reading it again", "rollout", s.ID, "event", s.Version)
		if r.Notify != nil && s.Version == b.State.Version {
			r.Notify(s, b.Events)
		}
		d := r.driven[s.ID]
		d.stop()
		r.drive(ctx, s, d.lease, d.blinded)
		r.unsaved = r.unsaved[1:]
	}
	return nil
}

// saved tells of a batch that is on disk, and starts what is pending.
func (r *Runner) saved(b Batch) {
	d := r.driven[b.Lease.Rollout]
	if r.Notify != nil {
		r.Notify(d.state, b.Events)
	}
	if d.state.Phase.Ended() {
		r.release(d)
		return
	}
	r.watch(d)
	for _, a := range d.state.Pending {
		if !d.begun[a.ID] {
			d.begun[a.ID] = true
			r.begin(d, a)
		}
	}
}
