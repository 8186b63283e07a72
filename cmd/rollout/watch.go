package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"
)

type watchOptions struct {
	ref        string
	timeout    time.Duration
	background bool
}

func (p *program) watchCommand() *cli.Command {
	return &cli.Command{
		Name: "watch", Category: "Roll out", Usage: "Follow a live rollout to its end", ArgsUsage: "ID",
		Description: "Drives it, too, if nobody does. Ctrl-C and --timeout leave it to a background process, if it was driven here.\n\n" +
			examples("rollout watch shop-12", "rollout watch shop -o jsonl"),
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to follow at most; the rollout goes on", DefaultText: "to its end"},
			p.backgroundFlag(),
		},
		Action: func(c *cli.Context) error {
			return p.runWatch(c.Context, watchOptions{c.Args().Get(0), c.Duration("timeout"), !c.Bool("no-background")})
		},
	}
}

func (p *program) runWatch(ctx context.Context, o watchOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	id, err := resolve(ctx, db, o.ref, false)
	if err != nil {
		return err
	}
	f, err := p.follower(ctx, db, id)
	if err != nil {
		return err
	}
	s := &session{program: p, db: db, timeout: o.timeout, scope: f.state.Scope}
	return s.watch(ctx, f, o.background)
}
