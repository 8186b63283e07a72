package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) windowCommand() *cli.Command {
	return &cli.Command{
		Name: "window", Category: "Describe", Usage: "Say when rings of an application are open, and when they are closed",
		Subcommands: []*cli.Command{p.windowAddCommand(), p.windowListCommand(), p.windowRemoveCommand()},
	}
}

// windowOptions are those of `window add`, as they were said.
type windowOptions struct {
	window   rings.Window
	allow    bool
	deny     bool
	from, to string
}

func (p *program) windowAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "Add a window, or replace the one of that name", ArgsUsage: "APP WINDOW",
		Description: "While a denying window is on, nothing starts on its rings; where there are allowing ones, nothing starts while\n" +
			"none of them is on, and those of the application and of the ring must both allow. What runs may finish.\n" +
			"Cron and duration are read on the clock on the wall of the zone: 22:00 for 8h ends at 06:00 in every night, also\n" +
			"when clocks are changed; an hour that is skipped is not there, and one that comes twice counts both times.\n" +
			"So are --from and --to without a zone of their own; of an hour that comes twice the first begins, the second ends.\n\n" +
			examples("rollout window add shop weekend --deny --cron \"0 18 * * 5\" --duration 62h --time-zone Europe/Berlin --reason \"nobody is there\"",
				"rollout window add shop office --allow --ring ring-3 --cron \"0 9 * * 1-5\" --duration 8h --time-zone America/New_York",
				"rollout window add shop holidays --deny --from 2026-12-23 --to 2027-01-04 --time-zone Europe/Berlin"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "allow", Usage: "Something may start only while it is on", DisableDefaultText: true},
			&cli.BoolFlag{Name: "deny", Usage: "Nothing may start while it is on", DisableDefaultText: true},
			&cli.StringFlag{Name: "ring", Usage: "Only for `RING`; of a group each ring gets one, named after both", DefaultText: "all rings"},
			&cli.StringFlag{Name: "cron", Usage: "`FIELDS` of when it begins: minute hour day month weekday"},
			&cli.DurationFlag{Name: "duration", Usage: "`TIME` for which it is on then"},
			&cli.StringFlag{Name: "from", Usage: "`TIME` from which on it is on, once: 2026-12-23, 2026-12-23T18:00 or in full"},
			&cli.StringFlag{Name: "to", Usage: "`TIME` until which it is on, once"},
			&cli.StringFlag{Name: "time-zone", Usage: "IANA `NAME` of the zone that times are meant in", Value: "UTC"},
			reasonFlag(),
		},
		Action: func(c *cli.Context) error {
			return p.runWindowAdd(c.Context, windowOptions{allow: c.Bool("allow"), deny: c.Bool("deny"), from: c.String("from"), to: c.String("to"),
				window: rings.Window{App: rings.AppName(c.Args().Get(0)), Name: rings.WindowName(c.Args().Get(1)), Ring: rings.RingName(c.String("ring")),
					Cron: c.String("cron"), Lasts: c.Duration("duration"), Zone: c.String("time-zone"), Reason: c.String("reason")}})
		},
	}
}

func (p *program) runWindowAdd(ctx context.Context, o windowOptions) error {
	w := o.window
	switch {
	case o.allow == o.deny:
		return &usageError{what: "rollout window add: one of --allow and --deny is needed", hint: "--deny: nothing may start while it is on; --allow: only then"}
	case o.allow:
		w.Kind = rings.WindowAllow
	default:
		w.Kind = rings.WindowDeny
	}
	w.By, w.At = p.actor(ctx), p.now().UTC()
	var err error
	if w.From, err = timeIn("from", o.from, w.Zone, rings.SinceWall); err != nil {
		return err
	}
	if w.To, err = timeIn("to", o.to, w.Zone, rings.UntilWall); err != nil {
		return err
	}
	return p.withApp(ctx, w.App, func(ctx context.Context, db *store.DB, a *rings.Application) error {
		windows, err := forEachRing(a, w)
		if err != nil {
			return err
		}
		if err := db.SetWindow(ctx, windows...); err != nil {
			return err
		}
		return p.madeWindows(windows)
	})
}

// forEachRing makes of a window of a group of rings one for each of them, named
// after both.
func forEachRing(a *rings.Application, w rings.Window) ([]rings.Window, error) {
	if _, err := a.Group(w.Ring); err != nil {
		return []rings.Window{w}, nil
	}
	on, err := a.Expand([]rings.RingName{w.Ring})
	var out []rings.Window
	for _, ring := range on {
		one := w
		one.Name, one.Ring = w.Name+"-"+rings.WindowName(ring), ring
		out = append(out, one)
	}
	return out, err
}

func (p *program) madeWindows(windows []rings.Window) error {
	var views []windowView
	var lines []string
	for _, w := range windows {
		v, err := viewWindow(w, p.now())
		if err != nil {
			return err
		}
		views = append(views, v)
		lines = append(lines, fmt.Sprintf("window %q of application %q: %s, %s", w.Name, w.App, windowWords(v, w), turnWords(v)))
	}
	print := func(w io.Writer) error { return printLines(w, lines) }
	if len(views) == 1 {
		return p.print(views[0], print)
	}
	return p.print(listOf(views), print)
}

// timeIn reads a time; one without a zone is of the clock on the wall of the
// window's, and turn says when that shows it. "" is zero. What the zone lacks is told by the
// window itself.
func timeIn(flag, text, zone string, turn func(time.Time, *time.Location) time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return turn(wall, loc), nil
		}
	}
	return time.Time{}, &usageError{what: fmt.Sprintf("flag --%s: %q is not a time", flag, text), hint: "write it as in 2026-12-23, 2026-12-23T18:00 or 2026-12-23T18:00:00Z"}
}

func (p *program) windowListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the windows of an application, and which rings are open", ArgsUsage: "APP",
		Description: examples("rollout window list shop", "rollout window list shop -o json"),
		Action:      func(c *cli.Context) error { return p.runWindowList(c.Context, rings.AppName(c.Args().First())) },
	}
}

func (p *program) runWindowList(ctx context.Context, app rings.AppName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		windows, err := db.Windows(ctx, app)
		if err != nil {
			return err
		}
		a, err := db.App(ctx, app)
		if err != nil {
			return err
		}
		l, err := viewWindows(windows, a.RingNames(), p.now())
		if err != nil {
			return err
		}
		return p.print(l, func(w io.Writer) error { return p.printWindows(w, windows, l) })
	})
}

func (p *program) printWindows(w io.Writer, windows []rings.Window, l windowList) error {
	if len(windows) == 0 {
		p.say("no window: all rings are always open")
		return nil
	}
	var rows [][]string
	for i, v := range l.Items {
		rows = append(rows, []string{string(v.Name), string(v.Kind), ringOrAll(v.Ring), windows[i].When(), turnWords(v), v.By, v.Reason})
	}
	if err := p.table(w, []string{"NAME", "KIND", "RING", "WHEN", "NOW", "BY", "REASON"}, rows); err != nil {
		return err
	}
	for _, r := range l.Rings {
		p.say("%s", r.words())
	}
	return nil
}

func (p *program) windowRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "Remove a window", ArgsUsage: "APP WINDOW", Description: examples("rollout window remove shop weekend"),
		Action: func(c *cli.Context) error {
			return p.runWindowRemove(c.Context, rings.AppName(c.Args().Get(0)), rings.WindowName(c.Args().Get(1)))
		},
	}
}

func (p *program) runWindowRemove(ctx context.Context, app rings.AppName, name rings.WindowName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		w, err := db.RemoveWindow(ctx, app, name)
		if err != nil {
			return err
		}
		v, err := viewWindow(w, p.now())
		if err != nil {
			return err
		}
		return p.done(v, "window %q of application %q is removed: %s", name, app, windowWords(v, w))
	})
}

func windowWords(v windowView, w rings.Window) string {
	words := fmt.Sprintf("%s %s: %s", map[rings.WindowKind]string{rings.WindowAllow: "allows", rings.WindowDeny: "denies"}[v.Kind], ringOrAll(v.Ring), w.When())
	if v.Reason != "" {
		words += " (" + v.Reason + ")"
	}
	return words
}

func ringOrAll(ring rings.RingName) string {
	if ring == "" {
		return "all rings"
	}
	return string(ring)
}

// turnWords say whether the window is on, and until when that is so.
func turnWords(v windowView) string {
	word := "off"
	if v.On {
		word = "on"
	}
	if v.Until == nil {
		return word + " for good"
	}
	return fmt.Sprintf("%s until %s", word, stamp(*v.Until))
}

// closedRings are those that are closed at the time, each once.
func closedRings(closed []rings.Closure, now time.Time) []rings.RingName {
	var out []rings.RingName
	for _, c := range closed {
		if c.Stands(now) && !slices.Contains(out, c.Ring) {
			out = append(out, c.Ring)
		}
	}
	return out
}
