package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

const (
	// keeperRest is how long the keeper rests between two rounds at least: a
	// store that is written to often changes little for it.
	keeperRest = time.Second
	// keeperLook is how long it rests at most: a clock that was set, or a machine
	// that slept, makes a timer wrong.
	keeperLook = time.Minute
	// catchUpEvery is how often it looks who has caught up, while somebody has
	// not: that reads the branches.
	catchUpEvery = 5 * time.Minute
)

// keeper starts what is due by itself, round after round. All that it must not
// forget is in the store.
type keeper struct {
	*program
	db    *store.DB
	clock orchestrator.Clock
	// ours are the applications that it keeps, and begin starts what is due of
	// one.
	ours  func(*rings.Application) bool
	begin func(context.Context, *rings.Application, orchestrator.Due) (orchestrator.ID, error)
	// catchUp notes clusters of one that caught up after they were left out.
	catchUp func(context.Context, *rings.Application) ([]rings.Note, error)
	// changed receives when this process has written something that may let
	// something start.
	changed chan struct{}

	tried map[rings.AppName]map[orchestrator.Due]orchestrator.Try
	told  map[string]string // why something waits, as it was said last
	seen  time.Time         // when it was last looked who caught up
}

// heard makes the keeper look again when a ring is free.
func (k *keeper) heard(events []orchestrator.Event) {
	for _, e := range events {
		switch e.Body.(type) {
		case orchestrator.RingEnded, orchestrator.Ended:
			select {
			case k.changed <- struct{}{}:
			default:
			}
		}
	}
}

// keep keeps as long as ctx goes on.
func (k *keeper) keep(ctx context.Context) {
	changes := k.db.Changes(ctx)
	k.tried, k.told = map[rings.AppName]map[orchestrator.Due]orchestrator.Try{}, map[string]string{}
	for ctx.Err() == nil {
		wake := k.round(ctx)
		if !k.sleep(ctx, keeperRest, nil, nil) {
			return
		}
		rest := keeperLook
		if !wake.IsZero() {
			rest = min(rest, max(0, wake.Sub(k.clock.Now())))
		}
		if !k.sleep(ctx, rest, changes, k.changed) {
			return
		}
	}
}

// sleep waits for the time, or for one of the channels; false when ctx ended.
func (k *keeper) sleep(ctx context.Context, d time.Duration, others, own <-chan struct{}) bool {
	c, stop := k.clock.After(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-c:
	case <-others:
	case <-own:
	}
	return true
}

// round starts all that is due, and returns when to look again.
func (k *keeper) round(ctx context.Context) time.Time {
	apps, err := k.db.Apps(ctx)
	if err != nil {
		k.complain(ctx, "what is due", err)
		return k.clock.Now().Add(orchestrator.RetryAfter)
	}
	var wake time.Time
	look := k.looks()
	for _, a := range apps {
		if !k.ours(a) {
			continue
		}
		if look {
			k.sayCaughtUp(ctx, a)
		}
		next, err := k.roundOf(ctx, a)
		if err != nil {
			k.complain(ctx, fmt.Sprintf("what is due of application %q", a.Name), err)
			next = k.clock.Now().Add(orchestrator.RetryAfter)
		}
		if !next.IsZero() && (wake.IsZero() || next.Before(wake)) {
			wake = next
		}
	}
	return wake
}

// looks reports whether it is time to look again who caught up: a cluster that
// is back tells nobody here.
func (k *keeper) looks() bool {
	now := k.clock.Now()
	if since := now.Sub(k.seen); since >= 0 && since < catchUpEvery {
		return false
	}
	k.seen = now
	return true
}

func (k *keeper) sayCaughtUp(ctx context.Context, a *rings.Application) {
	noted, err := k.catchUp(ctx, a)
	if err != nil {
		k.complain(ctx, fmt.Sprintf("whether clusters of application %q have caught up", a.Name), err)
	}
	for _, n := range noted {
		fmt.Fprintf(k.stdout, "%s %s %s: %s\n", stamp(n.At), a.Name, noteWords(viewNote(n)), n.Reason)
	}
}

func (k *keeper) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		k.say("warning: %s could not be seen: %v", what, err)
	}
}

// roundOf does so for one application.
func (k *keeper) roundOf(ctx context.Context, a *rings.Application) (time.Time, error) {
	in, err := keepingOf(ctx, k.db, a, k.clock.Now())
	if err != nil {
		return time.Time{}, err
	}
	in.Tried = k.tried[a.Name]
	due, wake, err := orchestrator.Keep(in)
	if err != nil {
		return time.Time{}, err
	}
	tried := map[orchestrator.Due]orchestrator.Try{} // of what is due still
	for _, d := range due {
		if try, ok := in.Tried[d.Due]; ok {
			tried[d.Due] = try
		}
	}
	k.tried[a.Name] = tried
	for _, d := range due {
		if err := k.carryOut(ctx, a, d); err != nil {
			return time.Time{}, err
		}
	}
	for _, try := range tried {
		if again := try.At.Add(orchestrator.RetryAfter); wake.IsZero() || again.Before(wake) {
			wake = again
		}
	}
	return wake, nil
}

// keepingOf is all that is recorded for the decision what starts by itself.
func keepingOf(ctx context.Context, db *store.DB, a *rings.Application, now time.Time) (orchestrator.Keeping, error) {
	in := orchestrator.Keeping{App: a, Live: map[rings.RingName]orchestrator.ID{}, Now: now, Zones: time.LoadLocation}
	held, err := holdingOn(ctx, db, a.Name, in.Now)
	if err != nil {
		return in, err
	}
	in.Barriers, in.Clusters = held.barriers, held.clusters
	if in.Newest, err = newestRelease(ctx, db, a.Name); err != nil {
		return in, err
	}
	live, err := db.Rollouts(ctx, store.Filter{App: a.Name, Live: true})
	for _, row := range live.Rollouts {
		for _, ring := range row.Rings {
			in.Live[ring] = row.ID
		}
	}
	return in, err
}

// carryOut does what was decided of something that is due. An error is of the
// store.
func (k *keeper) carryOut(ctx context.Context, a *rings.Application, d orchestrator.Kept) error {
	switch d.Act {
	case orchestrator.KeepWait:
		k.tell(a, d.Due, "waits: "+d.Why)
		return nil
	case orchestrator.KeepSkip:
		return k.pass(ctx, a, d.Due, d.Why, true)
	}
	id, err := k.begin(ctx, a, d.Due)
	delete(k.tried[a.Name], d.Due)
	switch {
	case err == nil:
		k.tell(a, d.Due, fmt.Sprintf("started %s", id))
	case errors.Is(err, orchestrator.ErrHandled) || ctx.Err() != nil: // by another keeper, or at the next start
	case errors.Is(err, orchestrator.ErrNothing):
		return k.pass(ctx, a, d.Due, nothingWords(err), false)
	case isFinal(err):
		return k.pass(ctx, a, d.Due, err.Error(), true)
	default:
		k.tried[a.Name][d.Due] = orchestrator.Try{At: k.clock.Now(), Words: err.Error()}
		k.tell(a, d.Due, "waits: "+err.Error())
	}
	return nil
}

// pass notes that nothing is started for what is due.
func (k *keeper) pass(ctx context.Context, a *rings.Application, d orchestrator.Due, why string, skipped bool) error {
	err := k.db.PassDue(ctx, a.Name, d, why, skipped, k.clock.Now())
	switch {
	case errors.Is(err, orchestrator.ErrHandled):
		return nil
	case err != nil:
		return err
	case skipped:
		k.tell(a, d, "skipped: "+why)
	default:
		k.tell(a, d, "none: "+why)
	}
	return nil
}

// tell prints what becomes of something that is due, once.
func (k *keeper) tell(a *rings.Application, d orchestrator.Due, words string) {
	key := fmt.Sprintf("%s %s %t", a.Name, d.Ring, d.Release > 0)
	line := fmt.Sprintf("%s: %s", d, words)
	if k.told[key] != line {
		k.told[key] = line
		fmt.Fprintf(k.stdout, "%s %s %s\n", stamp(k.clock.Now()), a.Name, line)
	}
}

// finalExits are those of errors that no waiting changes: somebody has to.
var finalExits = map[int]bool{exitUsage: true, exitNotFound: true, exitInvalid: true}

// isFinal reports whether to try again is of no use.
func isFinal(err error) bool {
	return finalExits[classify(err).exit] || errors.Is(err, orchestrator.ErrHeld) || errors.Is(err, orchestrator.ErrUnverified)
}

// nothingWords say why nothing is taken.
func nothingWords(err error) string {
	var nothing *orchestrator.NothingError
	if !errors.As(err, &nothing) {
		return err.Error()
	}
	return nothing.Words()
}
