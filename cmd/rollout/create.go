package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type createOptions struct {
	app        rings.AppName
	request    orchestrator.Request
	dryRun     bool
	detach     bool
	timeout    time.Duration
	background bool
}

func (p *program) createCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Category: "Roll out", Usage: "Roll the plan out to a ring", ArgsUsage: "APP RING [RING...]",
		Description: "Says what it is going to ship, and follows the rollout to its end. The first Ctrl-C, --detach and --timeout\n" +
			"leave it to a background process: it goes on.\n\n" +
			examples("rollout create shop ring-1 --dry-run", "rollout create shop ring-1", "rollout create shop ring-1 --only db --timeout 30m -o json"),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "only", Usage: "`SERVICES` of the plan, with commas", DefaultText: "all"},
			&cli.BoolFlag{Name: "redeploy", Usage: "Have Fleet deploy again also what is live already", DisableDefaultText: true},
			&cli.BoolFlag{Name: "dry-run", Usage: "Print what would happen, and change nothing", DisableDefaultText: true},
			&cli.BoolFlag{Name: "detach", Usage: "Do not follow: leave it to a background process", DisableDefaultText: true},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to follow at most; the rollout goes on", DefaultText: "to its end"},
			&cli.BoolFlag{Name: "override", Usage: "Go over versions that somebody else has set; needs --reason", DisableDefaultText: true},
			&cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record"},
			p.backgroundFlag(),
		},
		Action: func(c *cli.Context) error {
			o, err := createOptionsOf(c, p.link())
			if err != nil {
				return err
			}
			return p.runCreate(c.Context, o)
		},
	}
}

// backgroundFlag is set by default where CI would end a background process.
func (p *program) backgroundFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-background", Usage: "Do not leave the rollout to a background process", DefaultText: "where CI=true", Value: p.getenv("CI") == "true"}
}

func createOptionsOf(c *cli.Context, link string) (createOptions, error) {
	args := c.Args().Slice()
	o := createOptions{app: rings.AppName(args[0]), dryRun: c.Bool("dry-run"), detach: c.Bool("detach"), timeout: c.Duration("timeout"),
		background: !c.Bool("no-background"), request: orchestrator.Request{
			Ring: rings.RingName(args[1]), Only: serviceNames(c.StringSlice("only")), Link: link,
			Options: orchestrator.Options{Redeploy: c.Bool("redeploy"), Override: c.Bool("override"), Reason: c.String("reason")}}}
	if len(args) > 2 {
		return o, &usageError{what: "rollout create: one ring at a time", hint: fmt.Sprintf("rollout create %s %s", args[0], args[1])}
	}
	if o.request.Options.Override && o.request.Options.Reason == "" {
		return o, &usageError{what: "rollout create: --override needs --reason", hint: "say why somebody else's version is gone over"}
	}
	return o, nil
}

func (p *program) runCreate(ctx context.Context, o createOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, created, err := p.plan(ctx, db, o)
	if err != nil {
		return err
	}
	m, err := p.managerOf(ctx, created.Scope)
	if err != nil {
		return err
	}
	if err := p.unclaimed(ctx, db, m, created); err != nil {
		return err
	}
	v, err := p.preview(ctx, m, a, created)
	if err != nil {
		return err
	}
	if o.dryRun {
		return p.printPreview(v)
	}
	if p.flags.output == "text" {
		for _, l := range previewLines(v) {
			p.say("%s", l)
		}
	}
	return p.start(ctx, db, m, o)
}

// plan is what would be rolled out, by all that the store knows.
func (p *program) plan(ctx context.Context, db *store.DB, o createOptions) (*rings.Application, orchestrator.Created, error) {
	a, err := db.App(ctx, o.app)
	if err != nil {
		return nil, orchestrator.Created{}, err
	}
	for _, name := range o.request.Only {
		if _, err := a.Service(name); err != nil {
			return nil, orchestrator.Created{}, err
		}
	}
	created, err := orchestrator.New(a, o.request)
	if err != nil {
		var empty *rings.InvalidError
		if errors.As(err, &empty) {
			err = &commandError{exit: exitInvalid, code: "invalid", what: err.Error(), err: err, hint: fmt.Sprintf("rollout plan set %s SERVICE=VERSION", o.app)}
		}
		return nil, created, err
	}
	return a, created, notWhileLive(ctx, db, o.app, o.request.Ring)
}

// start writes the rollout down, and follows it or leaves it to others.
func (p *program) start(ctx context.Context, db *store.DB, m *fleet.Manager, o createOptions) error {
	id, err := db.CreateRollout(ctx, o.app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return orchestrator.New(a, o.request)
	}, p.actor(ctx), p.now().UTC())
	if err != nil {
		return err
	}
	f, err := p.follower(ctx, db, id)
	if err != nil {
		return err
	}
	s := &session{program: p, db: db, manager: m, timeout: o.timeout, scope: f.state.Scope}
	if o.detach {
		return s.detach(ctx, f, o.background)
	}
	return s.watch(ctx, f, o.background)
}

// detach leaves the rollout to others at once.
func (s *session) detach(ctx context.Context, f *follower, background bool) error {
	words, err := s.handOver(ctx, f.state.ID, background)
	if err != nil {
		return err
	}
	s.say("%s", words)
	if err := f.advance(ctx); err != nil || s.flags.output == "text" {
		return err
	}
	return f.finish()
}

// watch follows the rollout to its end, and hands it over if it does not come
// to that.
func (s *session) watch(ctx context.Context, f *follower, background bool) error {
	err := s.follow(ctx, f)
	switch {
	case err == nil:
		if err := f.finish(); err != nil {
			return err
		}
		return ending(f.state)
	case errors.Is(err, errTimeout):
		return s.leave(context.WithoutCancel(ctx), f, background, &commandError{exit: exitTimeout, code: "timeout",
			what: fmt.Sprintf("rollout %s has not ended after %s", f.state.ID, orchestrator.Duration(s.timeout))})
	case ctx.Err() != nil:
		return s.leave(context.WithoutCancel(ctx), f, background, &commandError{exit: exitInterrupted, code: "interrupted", what: "interrupted"})
	}
	return err
}

// leave hands the rollout over, and says so in the error why it does.
func (s *session) leave(ctx context.Context, f *follower, background bool, why *commandError) error {
	why.hint = fmt.Sprintf("\"rollout watch %s\" follows it", f.state.ID)
	words, err := s.handOver(ctx, f.state.ID, background)
	if err != nil {
		words = err.Error()
	}
	why.what += "; " + words
	if s.flags.output == "text" || s.flags.output == "jsonl" {
		return why
	}
	return errors.Join(f.finish(), why)
}
