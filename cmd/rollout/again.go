package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

func (p *program) retryCommand() *cli.Command {
	return &cli.Command{
		Name: "retry", Category: "Roll out", Usage: "Roll out again what an earlier rollout's plan said", ArgsUsage: "ID",
		Description: "A new rollout from the old one's snapshot, not from today's plan, on its rings with today's policies.\n\n" +
			examples("rollout retry shop-12", "rollout retry shop-12 --only failed"),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "only", Usage: "`failed`: leave out what is done", DefaultText: "everything"},
			overrideFlag(),
			reasonFlag(),
		}, p.shipmentFlags()...),
		Action: func(c *cli.Context) error {
			only := c.String("only")
			if only != "" && only != "failed" {
				return &usageError{what: "rollout retry: --only " + only, hint: "--only failed leaves out what is done"}
			}
			r := orchestrator.Again{Failed: only == "failed", Override: c.Bool("override"), Reason: c.String("reason"), Link: p.link()}
			return p.runAgain(c.Context, c.Args().First(), shipmentOf(c, ""), r, orchestrator.NewRetry)
		},
	}
}

func (p *program) rollbackCommand() *cli.Command {
	return &cli.Command{
		Name: "rollback", Category: "Roll out", Usage: "Take back what a rollout changed", ArgsUsage: "ID",
		Description: "A new rollout to exactly the versions that were there before, only where the old one changed them: the last\n" +
			"ring first, dependents before what they depend on. It asks for no approval, soak or check. The versions that\n" +
			"it takes back are withdrawn from the ring: to start them there again needs --reason.\n\n" +
			examples("rollout rollback shop-12 --reason \"v7 loses orders\"", "rollout rollback shop-12 --ring ring-1"),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "ring", Usage: "Only on `RING`", DefaultText: "all that it changed"},
			overrideFlag(),
			reasonFlag(),
		}, p.shipmentFlags()...),
		Action: func(c *cli.Context) error {
			r := orchestrator.Again{Ring: rings.RingName(c.String("ring")), Override: c.Bool("override"), Reason: c.String("reason"), Link: p.link()}
			return p.runAgain(c.Context, c.Args().First(), shipmentOf(c, ""), r, orchestrator.NewRollback)
		},
	}
}

// overrideFlag is that of the commands that begin a rollout from an earlier one.
func overrideFlag() cli.Flag {
	return &cli.BoolFlag{Name: "override", Usage: "Go over the locks and closed windows that stand now; needs --reason", DisableDefaultText: true}
}

func overrideNeedsReason() error {
	return &usageError{what: "--override needs --reason", hint: "say why a lock or a closed window is gone over"}
}

// runAgain ships a rollout that is made from an earlier one.
func (p *program) runAgain(ctx context.Context, ref string, sh shipment, r orchestrator.Again,
	first func(*rings.Application, orchestrator.Again) (orchestrator.Created, error)) error {
	if r.Override && r.Reason == "" {
		return overrideNeedsReason()
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	id, err := resolve(ctx, db, ref, true)
	if err != nil {
		return err
	}
	if r.Of, err = db.Rollout(ctx, id); err != nil {
		return err
	}
	sh.app = r.Of.Scope.App
	sh.first = func(a *rings.Application, g ground) (orchestrator.Created, error) {
		r.Empty = g.empty
		return first(a, r)
	}
	return p.ship(ctx, sh)
}
