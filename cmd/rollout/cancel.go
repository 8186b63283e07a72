package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/store"
)

type cancelOptions struct {
	ref, reason string
	background  bool
}

func (p *program) cancelCommand() *cli.Command {
	return &cli.Command{
		Name: "cancel", Category: "Roll out", Usage: "End a rollout: nothing new starts, nothing is undone", ArgsUsage: "ID",
		Description: examples("rollout cancel shop-12", "rollout cancel shop --reason \"not today\""),
		Flags:       []cli.Flag{reasonFlag(), p.backgroundFlag()},
		Action: func(c *cli.Context) error {
			return p.runCancel(c.Context, cancelOptions{c.Args().Get(0), c.String("reason"), !c.Bool("no-background")})
		},
	}
}

// cancelWait is how long a driver has to obey.
const cancelWait = 10 * time.Second

func (p *program) runCancel(ctx context.Context, o cancelOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	id, err := resolve(ctx, db, o.ref, false)
	if err != nil {
		return err
	}
	wish := orchestrator.Command{Kind: orchestrator.CommandCancel, By: p.actor(ctx), Reason: o.reason, At: p.now().UTC()}
	if err := db.Send(ctx, id, wish); err != nil {
		return err
	}
	quiet := *p
	quiet.flags.output = "json" // nothing is shown before the end
	f, err := quiet.follower(ctx, db, id)
	if err != nil {
		return err
	}
	s := &session{program: p, db: db, timeout: cancelWait, scope: f.state.Scope, patient: true} // what a person was waited for is over
	err = s.follow(ctx, f)
	if errors.Is(err, errTimeout) || ctx.Err() != nil {
		return s.leave(context.WithoutCancel(ctx), f, o.background, &commandError{exit: exitTimeout, code: "timeout", what: fmt.Sprintf("rollout %s is to be cancelled, but has not ended yet", id)})
	}
	if err != nil {
		return err
	}
	return p.cancelled(ctx, db, f.state)
}

func (p *program) cancelled(ctx context.Context, db *store.DB, s *orchestrator.State) error {
	l, err := db.LeaseOf(ctx, s.ID)
	if err != nil {
		return err
	}
	if s.Phase != orchestrator.Cancelled {
		return conflict(fmt.Sprintf("\"rollout show %s\" shows it", s.ID), "rollout %s ended before it could be cancelled: %s", s.ID, s.Phase)
	}
	return p.print(p.viewRollout(s, l), func(w io.Writer) error { return printLines(w, cancelledLines(s)) })
}

// cancelledLines say what stays changed, and how to take it back.
func cancelledLines(s *orchestrator.State) []string {
	changed := changedLines(s)
	if len(changed) == 0 {
		return []string{fmt.Sprintf("rollout %s is cancelled; it had changed nothing", s.ID)}
	}
	out := append([]string{fmt.Sprintf("rollout %s is cancelled; what was published stays:", s.ID)}, changed...)
	return append(out, fmt.Sprintf("\"rollout rollback %s\" takes it back", s.ID))
}

// changedLines are the services that were changed and not taken back, a line a
// ring.
func changedLines(s *orchestrator.State) []string {
	var out []string
	for _, r := range s.Rings {
		var services []string
		for _, st := range s.Steps {
			if st.Ring == r.Name && stays(st) {
				services = append(services, fmt.Sprintf("%s %s", st.Target.Service, changeOf(st)))
			}
		}
		if len(services) > 0 {
			out = append(out, fmt.Sprintf("  %s: %s", r.Name, strings.Join(services, ", ")))
		}
	}
	return out
}

// stays reports whether the step has changed something that was not taken back.
func stays(st *orchestrator.StepState) bool {
	return !st.Undo && st.Attempt.Ours && st.Attempt.Commit != "" && st.Phase != orchestrator.StepRolledBack
}

// changeOf is what the step has written: "v1 -> v2, maxReplicas 3 -> 5".
func changeOf(st *orchestrator.StepState) string {
	switch {
	case st.Changed && len(st.Settings) > 0:
		return attemptWords(orchestrator.Attempt{From: st.Was, Version: st.To, Had: st.Before, Settings: st.Settings})
	case st.Changed && st.Was != "":
		return fmt.Sprintf("%s -> %s", st.Was, st.To)
	case st.Changed:
		return "-> " + string(st.To)
	}
	return fmt.Sprintf("%s again", st.To)
}
