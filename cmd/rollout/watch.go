package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/store"
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

type cancelOptions struct {
	ref, reason string
	background  bool
}

func (p *program) cancelCommand() *cli.Command {
	return &cli.Command{
		Name: "cancel", Category: "Roll out", Usage: "End a rollout: nothing new starts, nothing is undone", ArgsUsage: "ID",
		Description: examples("rollout cancel shop-12", "rollout cancel shop --reason \"not today\""),
		Flags:       []cli.Flag{&cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record"}, p.backgroundFlag()},
		Action: func(c *cli.Context) error {
			return p.runCancel(c.Context, cancelOptions{c.Args().Get(0), c.String("reason"), !c.Bool("no-background")})
		},
	}
}

// cancelWait is how long a driver has to obey.
const cancelWait = 10 * time.Second

func (p *program) runCancel(ctx context.Context, o cancelOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	id, err := resolve(ctx, db, o.ref, false)
	if err != nil {
		return err
	}
	wish := orchestrator.Command{Kind: orchestrator.CommandCancel, By: p.actor(ctx), Reason: o.reason, At: p.now().UTC()}
	if err := db.Send(ctx, id, wish); err != nil {
		return err
	}
	quiet := *p
	quiet.flags.output = "json" // nothing is shown before the end
	f, err := quiet.follower(ctx, db, id)
	if err != nil {
		return err
	}
	s := &session{program: p, db: db, timeout: cancelWait, scope: f.state.Scope}
	err = s.follow(ctx, f)
	if errors.Is(err, errTimeout) || ctx.Err() != nil {
		return s.leave(context.WithoutCancel(ctx), f, o.background, &commandError{exit: exitTimeout, code: "timeout", what: fmt.Sprintf("rollout %s is to be cancelled, but has not ended yet", id)})
	}
	if err != nil {
		return err
	}
	return p.cancelled(ctx, db, f.state)
}

func (p *program) cancelled(ctx context.Context, db *store.DB, s *orchestrator.State) error {
	l, err := db.LeaseOf(ctx, s.ID)
	if err != nil {
		return err
	}
	if s.Phase != orchestrator.Cancelled {
		return conflict(fmt.Sprintf("\"rollout show %s\" shows it", s.ID), "rollout %s ended before it could be cancelled: %s", s.ID, s.Phase)
	}
	return p.done(p.viewRollout(s, l), "rollout %s is cancelled; what was published stays", s.ID)
}
