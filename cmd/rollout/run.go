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
		Name: "run", Category: "Roll out", Usage: "Drive all live rollouts that nobody drives",
		Description: "Goes on until it is interrupted; what it drove is then free for others. Prints an event a line.\n\n" +
			examples("rollout run", "rollout run --until-idle"),
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "until-idle", Usage: "End when no rollout is live", DisableDefaultText: true}},
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
	e.Notify = func(s *orchestrator.State, events []orchestrator.Event) {
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
	err = e.Drive(ctx, until)
	stop()
	beside.Wait()
	if errors.Is(err, context.Canceled) {
		return &commandError{exit: exitInterrupted, code: "interrupted", err: err, what: "interrupted; what was driven here is free for others"}
	}
	return err
}
