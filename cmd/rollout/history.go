package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) historyCommand() *cli.Command {
	return &cli.Command{
		Name: "history", Category: "Look", Usage: "List who rolled out what, where, when, and how it ended", ArgsUsage: "[APP]",
		Description: examples("rollout history shop", "rollout history -o json --limit 10", "rollout history shop --service db --outcome failed,rolled-back --since 2026-11-01"),
		Flags: []cli.Flag{
			ringFlag(),
			&cli.StringFlag{Name: "service", Usage: "`SERVICE` that was rolled out"},
			&cli.StringFlag{Name: "cluster", Usage: "`CLUSTER` that was rolled out to"},
			&cli.StringFlag{Name: "by", Usage: "`WHO` started it, as it stands in the history"},
			&cli.StringFlag{Name: "outcome", Usage: "`OUTCOME`: succeeded, failed, cancelled, rolled-back or live; several with commas between"},
			&cli.StringFlag{Name: "since", Usage: "`TIME` at which it started at the earliest: 2h ago, 14:30 today, 2026-11-20 or in full"},
			&cli.StringFlag{Name: "until", Usage: "`TIME` before which it started"},
			&cli.IntFlag{Name: "limit", Usage: "`N` rollouts at most; 0 for all", Value: 50},
			&cli.StringFlag{Name: "before", Usage: "`ID` of the rollout before which the list begins"},
		},
		Action: func(c *cli.Context) error {
			f, err := p.historyFilter(c)
			if err != nil {
				return err
			}
			return p.runHistory(c.Context, f)
		},
	}
}

func (p *program) historyFilter(c *cli.Context) (store.Filter, error) {
	f := store.Filter{App: rings.AppName(c.Args().Get(0)), Ring: rings.RingName(c.String("ring")), Service: rings.ServiceName(c.String("service")),
		Cluster: rings.ClusterName(c.String("cluster")), By: c.String("by"), Limit: c.Int("limit"), Before: orchestrator.ID(c.String("before")), Steps: true}
	var err error
	if f.Phases, err = parseOutcomes(c.String("outcome")); err != nil {
		return f, err
	}
	if f.Since, err = parseMoment("since", c.String("since"), p.now()); err != nil {
		return f, err
	}
	f.Until, err = parseMoment("until", c.String("until"), p.now())
	return f, err
}

// outcomes are the words for how rollouts end, and for those that have not.
var outcomes = map[string][]orchestrator.Phase{
	"succeeded": {orchestrator.Succeeded}, "failed": {orchestrator.Failed}, "cancelled": {orchestrator.Cancelled}, "rolled-back": {orchestrator.RolledBack},
	"live": {orchestrator.Pending, orchestrator.Running, orchestrator.Paused, orchestrator.RollingBack},
}

func parseOutcomes(text string) ([]orchestrator.Phase, error) {
	var out []orchestrator.Phase
	for _, word := range strings.Split(text, ",") {
		phases, known := outcomes[strings.ToLower(strings.TrimSpace(word))]
		if !known && text != "" {
			e := &usageError{what: fmt.Sprintf("flag --outcome: %q is not succeeded, failed, cancelled, rolled-back or live", word), hint: usageHint("rollout history")}
			if near := rings.Nearest(word, slices.Sorted(maps.Keys(outcomes))); near != "" {
				e.hint = fmt.Sprintf("did you mean %q?", near)
			}
			return nil, e
		}
		out = append(out, phases...)
	}
	return out, nil
}

func (p *program) runHistory(ctx context.Context, f store.Filter) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		page, err := db.Rollouts(ctx, f)
		if err != nil {
			return err
		}
		if len(page.Rollouts) == 0 {
			if err := knownNames(ctx, db, f); err != nil {
				return err
			}
		}
		return p.printHistory(page, f)
	})
}

// knownNames is a [rings.UnknownError] for an application, a ring or a service that
// is not there. What was removed is asked for only when it was rolled out once.
func knownNames(ctx context.Context, db *store.DB, f store.Filter) error {
	apps, err := appsOr(ctx, db, f.App)
	if err != nil {
		return err
	}
	var ringNames, services []string
	for _, a := range apps {
		for _, r := range slices.Concat(a.RingNames(), a.GroupNames()) {
			ringNames = append(ringNames, string(r))
		}
		for _, s := range a.ServiceNames() {
			services = append(services, string(s))
		}
	}
	where := "any application"
	if f.App != "" {
		where = fmt.Sprintf("application %q", f.App)
	}
	for _, x := range []struct {
		kind, name string
		known      []string
	}{{"ring", string(f.Ring), ringNames}, {"service", string(f.Service), services}} {
		if x.name != "" && !slices.Contains(x.known, x.name) {
			return &rings.UnknownError{Kind: x.kind, Name: x.name, Where: where, Nearest: rings.Nearest(x.name, x.known)}
		}
	}
	return nil
}

func (p *program) printHistory(page store.Page, f store.Filter) error {
	l := listOf([]entryView{})
	for _, r := range page.Rollouts {
		l.Items = append(l.Items, p.viewEntry(r))
	}
	l.Next = string(page.Next)
	if p.flags.output == "csv" {
		return p.printEntries(l)
	}
	none := "nothing has been rolled out yet"
	if asked := (store.Filter{App: f.App, Limit: f.Limit, Steps: true}); !reflect.DeepEqual(f, asked) {
		none = "nothing that was rolled out fits these flags"
	}
	return printList(p, l, none, entryHeader, p.entryRow)
}

func (p *program) printEntries(l list[entryView]) error {
	var rows [][]string
	for _, v := range l.Items {
		rows = append(rows, v.csv()...)
	}
	if err := p.printCSV(entryCSVHeader, rows); err != nil || l.Next == "" {
		return err
	}
	p.say("there are more: --before %s", l.Next)
	return nil
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
