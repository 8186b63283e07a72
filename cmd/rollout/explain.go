package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Category: "Look", Usage: "Say why a rollout stands where it stands, now or at any moment", ArgsUsage: "ID",
		Description: "What holds it, since when, until when, and what would let it go on.\n\n" +
			examples("rollout explain shop", "rollout explain shop-12 --at 10m", "rollout explain shop-12 --at 14:30"),
		Flags: []cli.Flag{&cli.StringFlag{Name: "at", Usage: "`TIME` in the past: 10m ago, 14:30 or 14:30:15 today, or as in 2026-11-20T14:30:00Z", DefaultText: "now"}},
		Action: func(c *cli.Context) error {
			at, err := parseMoment("at", c.String("at"), p.now())
			if err != nil {
				return err
			}
			return p.runExplain(c.Context, c.Args().Get(0), at)
		},
	}
}

// parseMoment reads a flag's time in the past: how long ago, a time of today, a
// day, or in full; "" is zero.
func parseMoment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, ok := moment(text, now)
	if !ok {
		return at, &usageError{what: fmt.Sprintf("flag --%s: %q is not a time", flag, text), hint: "say how long ago (10m), a time of today (14:30), or one in full (" + stamp(now) + ")"}
	}
	if at.After(now) {
		return at, invalid("it is "+stamp(now)+" now; a time of another day is written in full", "flag --%s: %s is in the future", flag, stamp(at))
	}
	return at, nil
}

func moment(text string, now time.Time) (time.Time, bool) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), true
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return day, true
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}

// explainView is a rollout with all that it waits for.
type explainView struct {
	rolloutView
	At    *time.Time `json:"at"`
	Waits []waitView `json:"waits"`
}

// waitView is one thing that a rollout waits for. until is null with unbounded
// true when it never ends by itself, with false when it is not known yet.
type waitView struct {
	Ring      rings.RingName    `json:"ring"`
	Service   rings.ServiceName `json:"service"`
	Gate      string            `json:"gate"` // cancel, pause, halt, lock, window, failure, claim, upstream, approval, step, soak, check
	Words     string            `json:"words"`
	Since     *time.Time        `json:"since"`
	Until     *time.Time        `json:"until"`
	Unbounded bool              `json:"unbounded"`
	Help      string            `json:"help"`
}

func viewWaits(waits []orchestrator.Wait) []waitView {
	out := []waitView{}
	for _, w := range waits {
		out = append(out, waitView{Ring: w.Ring, Service: w.Service, Gate: w.Gate, Words: w.Words, Since: instant(w.Since), Until: instant(w.Until),
			Unbounded: w.Unbounded, Help: w.Help})
	}
	return out
}

// runExplain explains the rollout as it is, or with a time as it was then.
func (p *program) runExplain(ctx context.Context, ref string, at time.Time) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		s, l, err := load(ctx, db, ref)
		if err != nil {
			return err
		}
		if at.IsZero() {
			if err := barriersOf(ctx, db, s, p.now()); err != nil {
				return err
			}
			return p.printExplanation(s, p.viewRollout(s, l), p.now(), p.neglected(s, l))
		}
		then, err := db.StatesAt(ctx, at, s.ID)
		if err != nil {
			return err
		}
		was := then[s.ID]
		if was == nil {
			return invalid(fmt.Sprintf("\"rollout show %s\" says when it began", s.ID), "rollout %s had not begun at %s", s.ID, stamp(at))
		}
		return p.printExplanation(was, viewState(was, at), at, "")
	})
}

// neglected is the hint for a rollout that somebody should drive; "" when it
// needs none.
func (p *program) neglected(s *orchestrator.State, l *orchestrator.Lease) string {
	awaits := viewAwaits(s) // a merge is noticed by who drives
	if v := p.driver(l); s.Phase.Ended() || v != nil && v.Alive || awaits != nil && awaits.Proposals == nil {
		return ""
	}
	return undrivenHint(s.ID)
}

func (p *program) printExplanation(s *orchestrator.State, v rolloutView, at time.Time, hint string) error {
	waits := s.Why(at)
	return p.print(explainView{v, instant(at), viewWaits(waits)}, func(w io.Writer) error {
		f := p.frame(nil)
		f.now = at
		if err := printLines(w, f.explanation(s, waits)); err != nil {
			return err
		}
		for _, h := range []string{v.Hint, hint} {
			if h != "" {
				fmt.Fprintf(w, "hint: %s\n", h)
			}
		}
		return nil
	})
}

// explanation is one screen: what holds the rollout, and where its rings stand.
func (f frame) explanation(s *orchestrator.State, waits []orchestrator.Wait) []string {
	out := []string{fmt.Sprintf("%s on %s: %s", s.ID, join(s.RingNames()), f.phase(s.Phase))}
	if len(waits) == 0 {
		out[0] += ": " + s.Explain(f.now)
	}
	for _, w := range waits {
		out = append(out, f.wait(w)...)
	}
	for _, r := range s.Rings {
		if len(s.Rings) > 1 {
			out = append(out, f.groupHead(s, group{ring: r}, nil))
		}
	}
	return out
}

func (f frame) wait(w orchestrator.Wait) []string {
	words := w.Words
	switch {
	case w.Service != "":
		words = fmt.Sprintf("%s %s: %s", w.Ring, w.Service, words)
	case w.Ring != "":
		words = fmt.Sprintf("%s: %s", w.Ring, trimRing(w.Ring, words))
	}
	out := []string{"  " + firstLine(words)}
	if times := f.waitTimes(w); times != "" {
		out = append(out, "      "+f.style.dim(times))
	}
	if w.Help != "" {
		out = append(out, "      "+w.Help)
	}
	return out
}

// waitTimes are since when and until when.
func (f frame) waitTimes(w orchestrator.Wait) string {
	var out []string
	if !w.Since.IsZero() {
		out = append(out, f.since(w.Since))
	}
	switch {
	case !w.Until.IsZero():
		out = append(out, fmt.Sprintf("until %s (in %s)", stamp(w.Until), orchestrator.Duration(w.Until.Sub(f.now))))
	case w.Unbounded:
		out = append(out, "no deadline")
	}
	return strings.Join(out, ", ")
}
