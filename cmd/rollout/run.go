package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
)

func (p *program) runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Category: "Roll out", Usage: "Drive all live rollouts that nobody drives, and start what is due",
		Description: "The keeper of the applications of one workspace: it drives rollouts, starts trains on their schedule and new releases\n" +
			"where the rings say so (\"rollout ring update --help\"), notes clusters that others move, and those that a rollout left\n" +
			"out as offline when they have caught up: Fleet does that, nothing is deployed again. It goes on until it is\n" +
			"interrupted; all that it knows is in the store, so it can end and start again at any time, and several may run. Prints a\n" +
			"line for each event, for what it starts, and for what waits or is skipped, with the reason. With --until-idle it\n" +
			"only drives, starts nothing, and ends when no rollout is live.\n\n" +
			examples("rollout run", "rollout run --until-idle"),
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "until-idle", Usage: "Start nothing, and end when no rollout is live", DisableDefaultText: true}},
		Action: func(c *cli.Context) error { return p.runRun(c.Context, c.Bool("until-idle")) },
	}
}

func (p *program) runRun(ctx context.Context, untilIdle bool) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	m, err := p.connect(ctx, p.flags.namespace)
	if err != nil {
		return err
	}
	id, err := m.ID(ctx)
	if err != nil {
		return err
	}
	e := p.engine(db, m, true, p.stderr)
	defer e.close()
	e.Store = &hold{DB: db, manager: id, foreign: map[orchestrator.ID]bool{}}
	k := p.newKeeper(db, m, id)
	e.Notify = func(s *orchestrator.State, events []orchestrator.Event) {
		k.heard(events)
		for _, event := range events {
			if line := eventLine(s, event); line != "" {
				fmt.Fprintln(p.stdout, line)
			}
		}
	}
	until := orchestrator.Forever
	if untilIdle {
		until = orchestrator.UntilIdle
	}
	noticing, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { p.keepNoticing(noticing, db, m, id) })
	if !untilIdle {
		beside.Go(func() { k.keep(noticing) })
	}
	err = e.Drive(ctx, until)
	stop()
	beside.Wait()
	if errors.Is(err, context.Canceled) {
		return &commandError{exit: exitInterrupted, code: "interrupted", err: err, what: "interrupted; what was driven here is free for others"}
	}
	return err
}
