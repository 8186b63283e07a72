package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/store"
)

func (p *program) resumeCommand() *cli.Command {
	return &cli.Command{
		Name: "resume", Category: "Roll out", Usage: "Let a paused rollout go on", ArgsUsage: "ID",
		Description: "One that paused because something failed tries that again.\n\n" + examples("rollout resume shop-12", "rollout resume shop --reason \"db is repaired\""),
		Flags:       []cli.Flag{reasonFlag()},
		Action:      func(c *cli.Context) error { return p.tell(c.Context, c.Args().Get(0), c.String("reason"), resumeOrder) },
	}
}

func resumeOrder(_ context.Context, _ *store.DB, s standing) (order, error) {
	o := order{
		command: orchestrator.Command{Kind: orchestrator.CommandResume},
		wish:    fmt.Sprintf("rollout %s is to go on", s.ID),
		done:    fmt.Sprintf("rollout %s goes on", s.ID),
		obeyed:  func(s *orchestrator.State) bool { return s.Pause == nil },
	}
	last := s.held()
	switch {
	case last != nil && last.Kind == orchestrator.CommandResume:
		return o, s.again(o.wish, last)
	case last == nil && s.Pause == nil && s.Halt != nil:
		return o, conflict(fmt.Sprintf("the line is stopped: \"%s\" lets it go on", unhaltCommand(*s.Halt)), "rollout %s is not paused", s.ID)
	case last == nil && s.Pause == nil:
		return o, conflict(fmt.Sprintf("\"rollout explain %s\" says what it waits for", s.ID), "rollout %s is not paused", s.ID)
	}
	return o, nil
}
