package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) listCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Category: "Look", Usage: "List the rollouts that are live, and who drives them", ArgsUsage: "[APP]",
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
	l := p.summaries(page)
	err = printList(p, l, "no rollout is live", []string{"ID", "RING", "PHASE", "VERSIONS", "BY", "STARTED", "DRIVER"}, func(v summaryView) []string {
		return []string{string(v.ID), join(v.Rings), string(v.Phase), versionWords(v.Plan), v.StartedBy, p.when(*v.StartedAt), p.driverWords(v.Driver)}
	})
	if err != nil || p.flags.output != "text" {
		return err
	}
	for _, v := range l.Items {
		if v.Driver == nil || !v.Driver.Alive {
			p.say("hint: %s", undrivenHint(v.ID))
		}
	}
	return nil
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
