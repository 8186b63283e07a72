package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// trainOptions are what is asked of `train`.
type trainOptions struct {
	ring rings.RingName // or a group; "" for all but the first
	at   string
	// train is what is the same for all rings.
	train orchestrator.Train
}

// passage is a train to one ring or several, the last one first.
type passage struct {
	trainOptions
	rings   []rings.RingName
	several bool // so that one which cannot go does not stop the others
}

func (p *program) trainCommand() *cli.Command {
	return &cli.Command{
		Name: "train", Category: "Roll out", Usage: "Take to a ring what is verified on the ring before", ArgsUsage: "APP [RING]",
		Description: "Service by service, and none without what it depends on. What is not verified there, is locked, was withdrawn by a rollback,\n" +
			"or was decided on for the ring since, is left, and why is said. Nothing is taken twice: after a train that failed,\n" +
			"\"rollout retry\" tries again. Of several rings the last one goes first, so that it gets what the one before has proved.\n\n" +
			examples("rollout train shop ring-2", "rollout train shop ring-2 --dry-run", "rollout train shop --all-rings",
				"rollout train shop ring-2 --at shop-12", "rollout train shop ring-2 --from ring-2 --at 2026-11-20T10:00:00Z --reason \"as on Friday\""),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "`RING` that versions are taken from", DefaultText: "the ring before"},
			&cli.StringFlag{Name: "at", Usage: "`TIME|ROLLOUT` whose versions are taken: what the ring had then, or when that rollout had ended", DefaultText: "now"},
			&cli.BoolFlag{Name: "all-rings", Usage: "To every ring but the first, the last one first", DisableDefaultText: true},
			reasonFlag(),
		}, p.shipmentFlags()...),
		Action: func(c *cli.Context) error {
			o := trainOptions{ring: rings.RingName(c.Args().Get(1)), at: c.String("at"), train: orchestrator.Train{
				From: rings.RingName(c.String("from")), Options: orchestrator.Options{Reason: c.String("reason")}, Link: p.link()}}
			sh := shipmentOf(c, rings.AppName(c.Args().First()))
			if err := o.check(sh, c.Bool("all-rings")); err != nil {
				return err
			}
			return p.runTrain(c.Context, sh, o)
		},
	}
}

func (o trainOptions) check(sh shipment, all bool) error {
	switch {
	case all && o.ring != "":
		return &usageError{what: "rollout train: a RING and --all-rings exclude each other", hint: fmt.Sprintf("rollout train %s %s", sh.app, o.ring)}
	case !all && o.ring == "":
		return &usageError{what: "rollout train: a RING or --all-rings is missing", hint: fmt.Sprintf("\"rollout ring list %s\" shows the rings", sh.app)}
	case all && o.train.From != "":
		return &usageError{what: "rollout train: --from and --all-rings exclude each other", hint: "each ring takes from the one before it"}
	}
	return nil
}

func (p *program) runTrain(ctx context.Context, sh shipment, o trainOptions) error {
	w, err := p.passageOf(ctx, sh.app, o)
	if err != nil {
		return err
	}
	if w.several && sh.detach {
		return &usageError{what: "rollout train: --detach cannot follow one ring after the other", hint: "name one ring, or leave --detach out"}
	}
	views, faults := []trainView{}, []error{}
	for _, ring := range w.rings {
		v, err := p.trainRing(ctx, sh, w, ring)
		if w.several || err == nil || v.Rollout != nil {
			views = append(views, v)
		}
		if faults = append(faults, err); stopsTrains(err) {
			break
		}
	}
	if err := p.printTrains(w, views); err != nil {
		return err
	}
	return joinFaults(faults)
}

// stopsTrains reports whether a rollout ended badly, or has not ended, so that
// no further ring is begun.
func stopsTrains(err error) bool {
	return err != nil && slices.Contains([]int{exitFailed, exitCancelled, exitTimeout, exitInterrupted, exitUnexpected}, classify(err).exit)
}

// passageOf finds the rings, and what they ran when it is of the past.
func (p *program) passageOf(ctx context.Context, app rings.AppName, o trainOptions) (passage, error) {
	w := passage{trainOptions: o}
	err := p.withApp(ctx, app, func(ctx context.Context, db *store.DB, a *rings.Application) error {
		if err := w.name(a); err != nil || o.at == "" {
			return err
		}
		at, err := momentOf(ctx, db, a, o.at, p.now())
		if err != nil {
			return err
		}
		w.train.At, w.train.Then = at, map[rings.RingName]map[rings.ServiceName]rings.Known{}
		for _, ring := range a.RingNames() {
			if w.train.Then[ring], err = db.AsOf(ctx, app, ring, at); err != nil {
				return err
			}
		}
		return nil
	})
	return w, err
}

// name finds the rings that are meant, the last one first.
func (w *passage) name(a *rings.Application) error {
	if w.ring == "" {
		w.rings, w.several = a.RingNames(), true
		if len(w.rings) < 2 {
			return invalid(fmt.Sprintf("rollout ring create %s RING", a.Name), "application %q has no ring after the first one", a.Name)
		}
		w.rings = w.rings[1:]
	} else {
		var err error
		if w.rings, err = a.Expand([]rings.RingName{w.ring}); err != nil {
			return err
		}
		w.several = len(w.rings) > 1
	}
	slices.Reverse(w.rings)
	return nil
}

// momentOf is the time that is meant: itself, or a rollout's end.
func momentOf(ctx context.Context, db *store.DB, a *rings.Application, word string, now time.Time) (time.Time, error) {
	at, ok := moment(word, now)
	if ok && at.After(now) {
		return at, invalid("name a time that is over, like "+stamp(now.Add(-time.Hour)), "--at %s has not come yet", word)
	}
	if ok {
		return at, nil
	}
	row, err := db.Summary(ctx, orchestrator.ID(word))
	switch {
	case errors.Is(err, orchestrator.ErrNotFound):
		return at, notFound(fmt.Sprintf("name a time like %s, or a rollout: \"rollout history %s\" shows them", stamp(now), a.Name), "--at %s is no time, and no rollout", word)
	case err != nil:
		return at, err
	case row.App != a.Name:
		return at, invalid(fmt.Sprintf("\"rollout history %s\" shows its rollouts", a.Name), "rollout %q is not of application %q", row.ID, a.Name)
	case !row.Phase.Ended():
		return at, conflict(fmt.Sprintf("\"rollout watch %s\" follows it", row.ID), "rollout %q has not ended", row.ID)
	}
	return row.FinishedAt, nil
}

// trainRing takes to the ring what there is to take, and follows the rollout.
// The error is of the rollout, or why there is none; that there is nothing to
// take is none.
func (p *program) trainRing(ctx context.Context, sh shipment, w passage, ring rings.RingName) (trainView, error) {
	v := trainView{App: sh.app, Ring: ring, Takes: map[rings.ServiceName]rings.Version{}}
	sh.first = func(a *rings.Application, g ground) (orchestrator.Created, error) {
		t := w.train
		t.Ring, t.Empty, t.Locked, t.Changed = ring, g.empty, g.lockedOn(a, ring), g.changed
		if err := w.passes(a, t); err != nil {
			return orchestrator.Created{}, err
		}
		c, err := orchestrator.NewTrain(a, t)
		if c.Plan != nil {
			v.Takes, v.Train = c.Plan, viewTaken(c.Train)
		}
		return c, err
	}
	result, err := p.aside(func(p *program) error { return p.ship(ctx, sh) })
	if v.Rollout = result; sh.dryRun {
		v.Rollout, v.Preview = nil, result
	}
	if errors.Is(err, orchestrator.ErrNothing) {
		v.stay(err)
		return v, p.sayStay(v)
	}
	if err != nil && result == nil {
		v.Reason = err.Error()
	}
	return v, err
}

// lockedOn are the services that are locked on the ring, each with who locked it
// and why.
func (g ground) lockedOn(a *rings.Application, ring rings.RingName) map[rings.ServiceName]string {
	out := map[rings.ServiceName]string{}
	for _, s := range a.ServiceNames() {
		for _, l := range g.locked[ring] {
			if l.Reaches(ring, s) && out[s] == "" {
				out[s] = l.Words()
			}
		}
	}
	return out
}

// passes is why one of several rings is not gone to.
func (w passage) passes(a *rings.Application, t orchestrator.Train) error {
	switch {
	case !w.several:
		return nil
	case slices.Contains(t.Empty, t.Ring):
		return fmt.Errorf("%w: it has no clusters", orchestrator.ErrNothing)
	case t.From == "" && orchestrator.Upstream(a, t.Ring, t.Empty) == "":
		return fmt.Errorf("%w: no ring with clusters comes before it", orchestrator.ErrNothing)
	}
	return nil
}

// stay notes why the ring stays as it is.
func (v *trainView) stay(err error) {
	v.Takes, v.Train, v.Reason = map[rings.ServiceName]rings.Version{}, nil, err.Error()
	var nothing *orchestrator.NothingError
	if errors.As(err, &nothing) {
		v.Train, v.Reason = viewTaken(&nothing.Taken), orchestrator.ErrNothing.Error()
	}
}

// sayStay says so to people.
func (p *program) sayStay(v trainView) error {
	if p.flags.output != "text" {
		return nil
	}
	return printLines(p.stdout, v.stayLines())
}

func (v trainView) stayLines() []string {
	out := []string{fmt.Sprintf("%s on %s: %s", v.App, v.Ring, v.Reason)}
	for _, l := range v.Train.lines() {
		out = append(out, "  "+l)
	}
	return out
}

// printTrains prints what was done for scripts; people have seen it. A ring that was
// refused is only in the list of several.
func (p *program) printTrains(w passage, views []trainView) error {
	quiet := func(io.Writer) error { return nil }
	switch {
	case w.several:
		return p.print(listOf(views), quiet)
	case len(views) > 0:
		return p.print(views[0], quiet)
	}
	return nil
}

// aside runs fn, and returns what it prints for scripts instead of printing it.
// Text is printed.
func (p *program) aside(fn func(*program) error) (json.RawMessage, error) {
	if p.flags.output == "text" {
		return nil, fn(p)
	}
	var b bytes.Buffer
	other := *p
	other.stdout, other.flags.output = &b, "json"
	err := fn(&other)
	if b.Len() == 0 {
		return nil, err
	}
	return json.RawMessage(b.Bytes()), err
}
