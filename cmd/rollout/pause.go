package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/store"
)

func (p *program) pauseCommand() *cli.Command {
	return &cli.Command{
		Name: "pause", Category: "Roll out", Usage: "Hold a rollout: nothing new starts, what runs may finish", ArgsUsage: "ID",
		Description: "It waits for \"rollout resume\".\n\n" + examples("rollout pause shop-12", "rollout pause shop --reason \"not today\""),
		Flags:       []cli.Flag{reasonFlag()},
		Action:      func(c *cli.Context) error { return p.tell(c.Context, c.Args().Get(0), c.String("reason"), pauseOrder) },
	}
}

func pauseOrder(_ context.Context, _ *store.DB, s standing) (order, error) {
	resume := fmt.Sprintf("\"rollout resume %s\" lets it go on", s.ID)
	o := order{
		command: orchestrator.Command{Kind: orchestrator.CommandPause},
		wish:    fmt.Sprintf("rollout %s is to be paused", s.ID),
		done:    fmt.Sprintf("rollout %s is paused: nothing new starts, what runs may finish; %s", s.ID, resume),
		obeyed:  func(s *orchestrator.State) bool { return s.Pause != nil },
	}
	last := s.held()
	switch {
	case s.Cancel != nil || s.said(orchestrator.CommandCancel) != nil:
		return o, conflict(fmt.Sprintf("\"rollout watch %s\" shows it end", s.ID), "rollout %s is being cancelled", s.ID)
	case last != nil && last.Kind == orchestrator.CommandPause:
		return o, s.again(o.wish, last)
	case last == nil && s.Pause != nil:
		return o, conflict(resume, "rollout %s is paused already, by %s", s.ID, saidBy(*s.Pause))
	}
	return o, nil
}
