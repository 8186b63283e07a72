package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type historyOptions struct {
	app    rings.AppName
	ring   rings.RingName
	limit  int
	before orchestrator.ID
}

func (p *program) historyCommand() *cli.Command {
	return &cli.Command{
		Name: "history", Category: "Look", Usage: "List who rolled out what, where, when, and how it ended", ArgsUsage: "[APP]",
		Description: examples("rollout history shop", "rollout history -o json --limit 10"),
		Flags: []cli.Flag{
			ringFlag(),
			&cli.IntFlag{Name: "limit", Usage: "`N` rollouts at most; 0 for all", Value: 50},
			&cli.StringFlag{Name: "before", Usage: "`ID` of the rollout before which the list begins"},
		},
		Action: func(c *cli.Context) error {
			return p.runHistory(c.Context, historyOptions{rings.AppName(c.Args().Get(0)), rings.RingName(c.String("ring")), c.Int("limit"), orchestrator.ID(c.String("before"))})
		},
	}
}

func (p *program) runHistory(ctx context.Context, o historyOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		page, err := db.Rollouts(ctx, store.Filter{App: o.app, Ring: o.ring, Limit: o.limit, Before: o.before})
		if err != nil {
			return err
		}
		if o.app != "" && len(page.Rollouts) == 0 {
			if _, err := db.App(ctx, o.app); err != nil {
				return err
			}
		}
		l := p.summaries(page)
		return printList(p, l, "nothing has been rolled out yet",
			[]string{"ID", "RING", "PHASE", "VERSIONS", "BY", "STARTED", "TOOK", "REASON"}, p.historyRow)
	})
}

func (p *program) summaries(page store.Page) list[summaryView] {
	views := []summaryView{}
	for _, r := range page.Rollouts {
		views = append(views, p.viewSummary(r))
	}
	l := listOf(views)
	l.Next = string(page.Next)
	return l
}

func (p *program) historyRow(v summaryView) []string {
	return []string{string(v.ID), join(v.Rings), string(v.Phase), versionWords(v.Plan), v.StartedBy, p.when(*v.StartedAt), took(v, p.now()), firstLine(v.Reason)}
}

func took(v summaryView, now time.Time) string {
	if v.FinishedAt != nil {
		now = *v.FinishedAt
	}
	return orchestrator.Duration(now.Sub(*v.StartedAt))
}

func versionWords(plan map[rings.ServiceName]rings.Version) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		out = append(out, fmt.Sprintf("%s=%s", name, plan[name]))
	}
	return strings.Join(out, " ")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
