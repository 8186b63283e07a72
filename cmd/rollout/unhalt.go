package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) unhaltCommand() *cli.Command {
	return &cli.Command{
		Name: "unhalt", Category: "Roll out", Usage: "Lift a halt: what waited goes on", ArgsUsage: "[APP]",
		Description: "Without APP the halt of all applications is lifted, and not those of single ones.\n\n" + examples("rollout unhalt", "rollout unhalt shop"),
		Action:      func(c *cli.Context) error { return p.runUnhalt(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

func (p *program) runUnhalt(ctx context.Context, app rings.AppName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		h, err := db.Unhalt(ctx, app)
		var unknown *rings.UnknownError
		if errors.As(err, &unknown) && unknown.Kind == "halt" {
			return notFound("\"rollout list\" shows those that stand", "%s: no halt stands", haltScope(rings.Halt{App: app}))
		}
		if err != nil {
			return err
		}
		return p.done(viewHalt(h), "the halt of %s is lifted (by %s since %s: %s)", haltScope(h), h.By, stamp(h.At), h.Reason)
	})
}
