package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/store"
)

func (p *program) showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Category: "Look", Usage: "Show a rollout: its waves, services and clusters", ArgsUsage: "ID",
		Description: examples("rollout show shop-12", "rollout show shop", "rollout show shop/ring-1 -o json"),
		Action:      func(c *cli.Context) error { return p.runShow(c.Context, c.Args().Get(0)) },
	}
}

func (p *program) runShow(ctx context.Context, ref string) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		s, l, err := load(ctx, db, ref)
		if err != nil {
			return err
		}
		return p.print(p.viewRollout(s, l), func(w io.Writer) error {
			return printLines(w, p.frame(l).render(s))
		})
	})
}

// load returns the rollout that is meant, and its lease.
func load(ctx context.Context, db *store.DB, ref string) (*orchestrator.State, *orchestrator.Lease, error) {
	id, err := resolve(ctx, db, ref, true)
	if err != nil {
		return nil, nil, err
	}
	s, err := db.Rollout(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	l, err := db.LeaseOf(ctx, id)
	return s, l, err
}

func (p *program) frame(l *orchestrator.Lease) frame {
	return frame{style: p.style(p.terminal), now: p.now(), relative: p.terminal, driver: p.driverWords(p.driver(l)), clusters: 20}
}

func printLines(w io.Writer, lines []string) error {
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Category: "Look", Usage: "Say why a rollout stands where it stands", ArgsUsage: "ID",
		Description: examples("rollout explain shop"),
		Action:      func(c *cli.Context) error { return p.runExplain(c.Context, c.Args().Get(0)) },
	}
}

func (p *program) runExplain(ctx context.Context, ref string) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		s, l, err := load(ctx, db, ref)
		if err != nil {
			return err
		}
		v := p.viewRollout(s, l)
		return p.print(v, func(w io.Writer) error {
			fmt.Fprintf(w, "%s on %s: %s: %s\n", v.ID, join(v.Rings), v.Phase, v.Reason)
			for _, st := range v.Steps {
				fmt.Fprintf(w, "  %s: %s: %s\n", st.Service, st.Phase, st.Reason)
			}
			if v.Hint != "" {
				fmt.Fprintf(w, "hint: %s\n", v.Hint)
			}
			if !s.Phase.Ended() && (v.Driver == nil || !v.Driver.Alive) {
				fmt.Fprintf(w, "hint: %s\n", undrivenHint(v.ID))
			}
			return nil
		})
	})
}
