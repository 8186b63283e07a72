package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) approveCommand() *cli.Command {
	return &cli.Command{
		Name: "approve", Category: "Roll out", Usage: "Open the gate that a rollout waits at", ArgsUsage: "ID",
		Description: "The approval is for what is to be rolled out now: when that changes, it falls.\n\n" +
			examples("rollout approve shop-12", "rollout approve shop --ring ring-2 --reason \"smoke tests are good\""),
		Flags: []cli.Flag{ringFlag(), reasonFlag()},
		Action: func(c *cli.Context) error {
			ring := rings.RingName(c.String("ring"))
			return p.tell(c.Context, c.Args().Get(0), c.String("reason"), func(_ context.Context, _ *store.DB, s standing) (order, error) {
				return approveOrder(s, ring)
			})
		},
	}
}

// approveOrder is for the gate that waits now; a ring that is named must be its.
func approveOrder(s standing, named rings.RingName) (order, error) {
	if named != "" && !slices.Contains(s.RingNames(), named) {
		return order{}, unknownIn(s.State, "ring", string(named), names(s.RingNames()))
	}
	ring, gate, ok := s.Awaiting()
	switch {
	case !ok:
		return order{}, conflict(fmt.Sprintf("\"rollout explain %s\" says what it waits for", s.ID), "rollout %s waits for no approval", s.ID)
	case named != "" && named != ring:
		return order{}, conflict(fmt.Sprintf("rollout approve %s --ring %s", s.ID, ring), "ring %q of rollout %s waits for no approval; ring %q does", named, s.ID, ring)
	}
	what := fmt.Sprintf("ring %q of rollout %s", ring, s.ID)
	o := order{
		command: orchestrator.Command{Kind: orchestrator.CommandApprove, Ring: ring, Gate: gate, Content: s.Content(ring)},
		wish:    what + " is to be approved",
		done:    what + " is approved: " + map[orchestrator.Gate]string{orchestrator.GateBefore: "it may begin", orchestrator.GateAfter: "it counts as done"}[gate],
		obeyed: func(s *orchestrator.State) bool {
			r := ringOf(s, ring)
			return approvalOf(r, gate) != nil || r.Phase.Ended()
		},
	}
	if c := s.same(o.command); c != nil {
		return o, s.again(o.wish, c)
	}
	return o, nil
}
