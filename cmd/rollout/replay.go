package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/store"
)

func (p *program) replayCommand() *cli.Command {
	return &cli.Command{
		Name: "replay", Category: "Look", Usage: "Make a rollout's decisions again from what it saw, and compare them", ArgsUsage: "ID",
		Description: "Those of this version of the engine must be the same; for those of others the differences are shown.\n\n" + examples("rollout replay shop-12"),
		Action:      func(c *cli.Context) error { return p.runReplay(c.Context, c.Args().Get(0)) },
	}
}

// replayView is what came of a replay; engine is this program's.
type replayView struct {
	ID          orchestrator.ID           `json:"id"`
	Engine      int                       `json:"engine"`
	Engines     []int                     `json:"engines"` // that drove the rollout
	Turns       int                       `json:"turns"`
	Differences []orchestrator.Difference `json:"differences"` // seq, engine, recorded[], now[]
}

func (p *program) runReplay(ctx context.Context, ref string) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		id, err := resolve(ctx, db, ref, true)
		if err != nil {
			return err
		}
		events, err := db.Events(ctx, id, 1, 0)
		if err != nil {
			return err
		}
		r, err := orchestrator.Replay(events)
		if err != nil {
			return err
		}
		v := replayView{ID: id, Engine: orchestrator.Engine, Engines: r.Engines, Turns: r.Turns, Differences: append([]orchestrator.Difference{}, r.Differences...)}
		if err := p.print(v, func(w io.Writer) error { return printLines(w, replayLines(v)) }); err != nil {
			return err
		}
		return v.verdict()
	})
}

func replayLines(v replayView) []string {
	if len(v.Differences) == 0 {
		return []string{fmt.Sprintf("%s: %s replayed: every decision the same", v.ID, counted(v.Turns, "turn"))}
	}
	var out []string
	for _, d := range v.Differences {
		out = append(out, fmt.Sprintf("event %d, decided by engine %d:", d.Seq, d.Engine))
		for _, line := range without(d.Recorded, d.Now) {
			out = append(out, "  - "+line)
		}
		for _, line := range without(d.Now, d.Recorded) {
			out = append(out, "  + "+line)
		}
	}
	return append(out, fmt.Sprintf("%s: %s replayed by engine %d: %d decided otherwise", v.ID, counted(v.Turns, "turn"), v.Engine, len(v.Differences)))
}

// without returns the lines that the others are not among.
func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(others, l) })
}

// verdict is an error when this very engine has decided otherwise.
func (v replayView) verdict() error {
	if !slices.ContainsFunc(v.Differences, func(d orchestrator.Difference) bool { return d.Engine == v.Engine }) {
		return nil
	}
	return &commandError{exit: exitUnexpected, code: "replay-differs", what: fmt.Sprintf("rollout %s: the same engine does not come to the same decisions", v.ID),
		hint: "this is a fault of rollout: keep the store for a report"}
}

// counted is the number with its noun: "1 turn", "2 turns".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
