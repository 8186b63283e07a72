package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

type haltOptions struct {
	app    rings.AppName
	reason string
	lasts  time.Duration // 0: until it is lifted
}

func (p *program) haltCommand() *cli.Command {
	return &cli.Command{
		Name: "halt", Category: "Roll out", Usage: "Stop the line: nothing new starts, anywhere or of one application", ArgsUsage: "[APP]",
		Description: "What runs may finish; no rollout, ring or service starts until \"rollout unhalt\". A second halt replaces the first.\n\n" +
			examples("rollout halt --reason \"not today\"", "rollout halt shop --reason \"not today\" --for 2h"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record; needed"},
			&cli.DurationFlag{Name: "for", Usage: "`TIME` after which it ends by itself", DefaultText: "until it is lifted"},
		},
		Action: func(c *cli.Context) error {
			return p.runHalt(c.Context, haltOptions{rings.AppName(c.Args().Get(0)), c.String("reason"), c.Duration("for")})
		},
	}
}

func (p *program) runHalt(ctx context.Context, o haltOptions) error {
	if o.reason == "" {
		return &usageError{what: "rollout halt: --reason is missing", hint: "say why nothing may start: those who wait will read it"}
	}
	h := rings.Halt{App: o.app, By: p.actor(ctx), Reason: o.reason, At: p.now().UTC()}
	if o.lasts > 0 {
		h.Until = h.At.Add(o.lasts)
	}
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		if err := db.Halt(ctx, h); err != nil {
			return err
		}
		return p.done(viewHalt(h), "%s: nothing new starts, %s; \"%s\" lifts it", haltScope(h), haltEnd(h), unhaltCommand(h))
	})
}

// haltScope is what a halt stops.
func haltScope(h rings.Halt) string {
	if h.App == "" {
		return "all applications"
	}
	return fmt.Sprintf("application %q", h.App)
}

func haltEnd(h rings.Halt) string {
	if h.Until.IsZero() {
		return "until it is lifted"
	}
	return "until " + stamp(h.Until)
}

// haltWords are who stops what, since when, until when and why.
func haltWords(h rings.Halt) string {
	return fmt.Sprintf("%s by %s since %s, %s: %s", haltScope(h), h.By, stamp(h.At), haltEnd(h), h.Reason)
}

func unhaltCommand(h rings.Halt) string {
	if h.App == "" {
		return "rollout unhalt"
	}
	return fmt.Sprintf("rollout unhalt %s", h.App)
}
