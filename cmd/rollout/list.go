package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) listCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Category: "Look", Usage: "List the rollouts that are live, who drives them, and what waits for a person", ArgsUsage: "[APP]",
		Description: "\"rollout history\" lists those that have ended, too.\n\n" + examples("rollout list", "rollout list shop -o json"),
		Action:      func(c *cli.Context) error { return p.runList(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

func (p *program) runList(ctx context.Context, app rings.AppName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		if app != "" {
			if _, err := db.App(ctx, app); err != nil {
				return err
			}
		}
		return p.printLive(ctx, db, app)
	})
}

// runOverview is `rollout` alone.
func (p *program) runOverview(ctx context.Context) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		if err := p.printLive(ctx, db, ""); err != nil {
			return err
		}
		if p.flags.output == "text" {
			p.say(`"rollout --help" shows the commands`)
		}
		return nil
	})
}

// printLive lists what is live, and on stderr what would help where nobody
// drives it.
func (p *program) printLive(ctx context.Context, db *store.DB, app rings.AppName) error {
	page, err := db.Rollouts(ctx, store.Filter{App: app, Live: true})
	if err != nil {
		return err
	}
	l := liveList{list: listOf([]liveView{})}
	for _, r := range page.Rollouts {
		awaits, err := awaitsOf(ctx, db, r)
		if err != nil {
			return err
		}
		l.Items = append(l.Items, liveView{p.viewSummary(r), awaits})
	}
	halts, err := haltsOf(ctx, db, app, p.now())
	if err != nil {
		return err
	}
	l.Halts = viewHalts(halts)
	barriers, err := p.barriersOfLive(ctx, db, app, page.Rollouts)
	if err != nil {
		return err
	}
	ahead, err := aheadOf(ctx, db, app)
	if err != nil {
		return err
	}
	l.Locks, l.Closed, l.Ahead = viewLocks(barriers.locks), barriers.closed, viewAhead(rings.Unlocked(ahead, barriers.locks))
	if p.flags.output != "text" {
		return p.print(l, nil)
	}
	err = printList(p, l.list, "no rollout is live", []string{"ID", "RING", "PHASE", "VERSIONS", "BY", "STARTED", "DRIVER"}, func(v liveView) []string {
		return []string{string(v.ID), join(v.Rings), string(v.Phase), contentWords(v.Plan, v.Settings), v.StartedBy, p.when(*v.StartedAt), p.driverWords(v.Driver)}
	})
	for _, h := range halts {
		p.say("halted: %s; \"%s\" lifts it", haltWords(h), unhaltCommand(h))
	}
	for _, lock := range barriers.locks {
		p.say("locked: %s: %s; \"%s\" releases it", lock.App, lock.Words(), lock.Release())
	}
	for _, c := range l.Closed {
		p.say("closed: %s: %s", c.App, c.Words)
	}
	for _, a := range l.Ahead {
		p.say("warning: %s", a.words())
	}
	for _, v := range l.Items {
		p.sayNeed(v)
	}
	return err
}

// liveBarriers are locks, and the closed rings of live rollouts.
type liveBarriers struct {
	locks  []rings.Lock
	closed []closureView
}

func (p *program) barriersOfLive(ctx context.Context, db *store.DB, app rings.AppName, live []store.Summary) (liveBarriers, error) {
	out := liveBarriers{closed: []closureView{}}
	var err error
	if out.locks, err = db.Locks(ctx, app, p.now()); err != nil {
		return out, err
	}
	for _, row := range live {
		b, err := db.Barriers(ctx, row.App, p.now())
		if err != nil {
			return out, err
		}
		for _, ring := range row.Rings {
			out.closed = append(out.closed, viewClosures(row.App, b.At(p.now()).On(ring, "", nil).Closed)...)
		}
	}
	return out, nil
}

// aheadOf is what runs ahead of its upstream, in the application or in all.
func aheadOf(ctx context.Context, db *store.DB, app rings.AppName) ([]rings.Ahead, error) {
	apps, err := db.Apps(ctx)
	var out []rings.Ahead
	for _, a := range apps {
		if app == "" || a.Name == app {
			out = append(out, a.Ahead()...)
		}
	}
	return out, err
}

// awaitsOf is what a live rollout waits for a person to do. Its state, which
// grows with the fleet, is only read when a gate of it may wait.
func awaitsOf(ctx context.Context, db *store.DB, r store.Summary) (*awaitsView, error) {
	if r.Phase == orchestrator.Paused {
		return awaitsResume(r.ID), nil
	}
	first, err := db.Events(ctx, r.ID, 1, 1)
	if err != nil {
		return nil, err
	}
	if s := orchestrator.Fold(nil, first); s == nil || !asksForPersons(s) {
		return nil, nil
	}
	s, err := db.Rollout(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return viewAwaits(s), nil
}

// asksForPersons reports whether a gate or a protected branch may wait for a person.
func asksForPersons(s *orchestrator.State) bool {
	return slices.ContainsFunc(s.Rings, func(r *orchestrator.RingState) bool { return r.Policy.ApproveBefore || r.Policy.ApproveAfter }) ||
		slices.ContainsFunc(s.Steps, func(st *orchestrator.StepState) bool { return st.Target.Publish == rings.PublishBranch })
}

// sayNeed says what a live rollout needs of a person.
func (p *program) sayNeed(v liveView) {
	if v.Awaits != nil {
		for _, m := range v.Awaits.Proposals {
			p.say("%s waits for a merge: %s", v.ID, m.words())
		}
	}
	switch {
	case v.Awaits != nil && v.Awaits.What == "approval":
		p.say("%s waits for approval of %s (%s): %s", v.ID, v.Awaits.Ring, v.Awaits.Gate, v.Awaits.Command)
	case v.Awaits != nil && v.Awaits.Proposals == nil:
		p.say("%s is paused: %s", v.ID, v.Awaits.Command)
	case v.Driver == nil || !v.Driver.Alive:
		p.say("hint: %s", undrivenHint(v.ID))
	}
}

// haltsOf are the halts that stand: all, or those that stop the application.
func haltsOf(ctx context.Context, db *store.DB, app rings.AppName, now time.Time) ([]rings.Halt, error) {
	halts, err := db.Halts(ctx, now)
	return slices.DeleteFunc(halts, func(h rings.Halt) bool { return app != "" && h.App != "" && h.App != app }), err
}

func undrivenHint(id orchestrator.ID) string {
	return fmt.Sprintf("nobody drives %s; \"rollout watch %s\" or \"rollout run\" goes on with it", id, id)
}

func (p *program) driverWords(d *driverView) string {
	switch {
	case d == nil:
		return "nobody"
	case d.Alive && d.Background:
		return fmt.Sprintf("rollout run, process %d on %s", d.PID, d.Host)
	case d.Alive:
		return fmt.Sprintf("process %d on %s", d.PID, d.Host)
	case p.terminal:
		return "nobody for " + orchestrator.Duration(p.now().Sub(*d.Seen))
	}
	return "nobody since " + p.when(*d.Seen)
}
