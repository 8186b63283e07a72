package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

type appHistoryOptions struct {
	app    rings.AppName
	limit  int
	before uint64
}

func (p *program) appHistoryCommand() *cli.Command {
	return &cli.Command{
		Name: "history", Usage: "Show what happened to an application beside its rollouts", ArgsUsage: "APP",
		Description: "Services that were undeployed or removed, rings that were deleted, clusters that were moved: by commands here, or, as far\n" +
			"as commands here came across it, by somebody else who changed their labels; trains and releases that \"rollout run\"\n" +
			"had to skip, and clusters that caught up after they had been left out as offline. The latest is first, and all of it outlives the application.\n\n" + examples("rollout app history shop", "rollout app history shop -o json"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Usage: "`N` at most; 0 for all", Value: 50},
			&cli.StringFlag{Name: "before", Usage: "`ID` of the entry before which the list begins: its number"},
		},
		Action: func(c *cli.Context) error {
			o := appHistoryOptions{app: rings.AppName(c.Args().Get(0)), limit: c.Int("limit")}
			if text := c.String("before"); text != "" {
				var err error
				if o.before, err = strconv.ParseUint(text, 10, 64); err != nil {
					return &usageError{what: fmt.Sprintf("flag --before: %q is not a number", text)}
				}
			}
			return p.runAppHistory(c.Context, o)
		},
	}
}

func (p *program) runAppHistory(ctx context.Context, o appHistoryOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		notes, more, err := db.Notes(ctx, store.NoteFilter{App: o.app, Limit: max(o.limit, 0), Before: o.before})
		if err != nil {
			return err
		}
		if len(notes) == 0 && o.before == 0 { // one that was deleted has at least that
			if _, err := db.App(ctx, o.app); err != nil {
				return err
			}
		}
		views := []noteView{}
		for _, n := range notes {
			views = append(views, viewNote(n))
		}
		page := listOf(views)
		if more {
			page.Next = strconv.FormatUint(notes[len(notes)-1].Number, 10)
		}
		return printList(p, page, fmt.Sprintf("nothing happened to application %q beside its rollouts; \"rollout history %s\" shows those", o.app, o.app),
			[]string{"WHEN", "WHAT", "BY", "REASON"}, func(v noteView) []string {
				return []string{p.when(*v.At), noteWords(v), cmpHint(v.By, "somebody else"), v.Reason}
			})
	})
}

// noteWords say what happened.
func noteWords(v noteView) string {
	switch v.Kind {
	case rings.NoteServiceUndeployed:
		words := fmt.Sprintf("service %s %s undeployed from %s, commit %s", v.Service, v.Version, v.Ring, short(v.Commit))
		if len(v.Over) > 0 {
			words += ", over " + strings.Join(v.Over, "; ")
		}
		return words
	case rings.NoteServiceRemoved:
		return fmt.Sprintf("service %s forgotten", v.Service)
	case rings.NoteRingDeleted:
		return fmt.Sprintf("ring %s forgotten", v.Ring)
	case rings.NoteAppDeleted:
		return "application forgotten"
	case rings.NoteClusterRemoved:
		return fmt.Sprintf("cluster %s forgotten, was on %s", v.Cluster, v.From)
	case rings.NoteClusterCaughtUp:
		return fmt.Sprintf("cluster %s caught up with %s", v.Cluster, v.Ring)
	case rings.NoteStartSkipped:
		if v.Moment != nil {
			return fmt.Sprintf("train of %s to %s skipped", stamp(*v.Moment), v.Ring)
		}
		return fmt.Sprintf("release %d not started on %s", v.Release, v.Ring)
	case rings.NoteClusterMoved, rings.NoteLabelChanged:
		return fmt.Sprintf("cluster %s moved from %s to %s", v.Cluster, ringOrNone(v.From), ringOrNone(v.To))
	}
	return string(v.Kind) // written by a newer program
}

func ringOrNone(ring rings.RingName) string { return cmpHint(string(ring), "no ring") }
