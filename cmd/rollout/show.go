package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
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
		if err := barriersOf(ctx, db, s, p.now()); err != nil {
			return err
		}
		past, err := pastOf(ctx, db, s.Scope.App)
		if err != nil {
			return err
		}
		v := showView{p.viewRollout(s, l), viewForecast(s, past, p.now())}
		return p.print(v, func(w io.Writer) error {
			f := p.frame(l)
			f.forecast = f.forecastLine(v.Forecast)
			return printLines(w, f.render(s))
		})
	})
}

// barriersOf tells a live rollout what lets nothing new start, which it may not
// have heard of while nobody drove it.
func barriersOf(ctx context.Context, db *store.DB, s *orchestrator.State, now time.Time) error {
	told := s.Locks
	s.Tell(rings.Barriers{})
	if s.Phase.Ended() {
		return nil
	}
	b, err := db.Barriers(ctx, s.Scope.App, now)
	b = b.Spread(func(group string) (members []rings.ClusterName) { // as the driver saw them
		for _, l := range told {
			if l.Group == group {
				members = append(members, l.Cluster)
			}
		}
		return members
	})
	s.Tell(b)
	return err
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
