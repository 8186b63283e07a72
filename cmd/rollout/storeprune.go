package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) storePruneCommand() *cli.Command {
	return &cli.Command{
		Name: "prune", Usage: "Forget old rollouts and releases, so that the store shrinks",
		Description: "Never what is live, what put there or verified what a ring has, or what withdrew a version. Numbers are not used\n" +
			"again. What a ring had before something that is forgotten is not told any more. Other commands wait meanwhile.\n\n" +
			examples("rollout store prune --keep 90d --dry-run", "rollout store prune --keep 500 --yes", "rollout store prune --keep 365d --yes -o json"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "keep", Usage: "`N|TIME`: the newest N of each application, or all since TIME ago, as in 90d or 720h"},
			&cli.BoolFlag{Name: "dry-run", Usage: "Show what would be forgotten", DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			keep, err := keepOf(c.String("keep"), p.now())
			if err != nil {
				return err
			}
			return p.runStorePrune(c.Context, keep, c.Bool("dry-run"))
		},
	}
}

// keepOf reads a number, or how long ago.
func keepOf(word string, now time.Time) (store.Keep, error) {
	const hint = "rollout store prune --keep 500, or --keep 90d"
	if word == "" {
		return store.Keep{}, &usageError{what: "rollout store prune: --keep is missing", hint: hint}
	}
	if n, err := strconv.Atoi(word); err == nil && n >= 0 {
		return store.Keep{Newest: n}, nil
	}
	lasts, err := time.ParseDuration(word)
	if days, ok := strings.CutSuffix(word, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		lasts = time.Duration(n * 24 * float64(time.Hour))
	}
	if err != nil || lasts <= 0 {
		return store.Keep{}, &usageError{what: fmt.Sprintf("flag --keep: %q is neither a number nor a time", word), hint: hint}
	}
	return store.Keep{Since: now.Add(-lasts)}, nil
}

type pruneView struct {
	Store  string          `json:"store"`
	DryRun bool            `json:"dryRun,omitempty"`
	Apps   []pruneViewApp  `json:"apps"`
	Bytes  *pruneViewBytes `json:"bytes,omitempty"`
}

// pruneViewApp is what goes from an application, and what stays.
type pruneViewApp struct {
	App      rings.AppName  `json:"app"`
	Rollouts pruneViewShare `json:"rollouts"`
	Releases pruneViewShare `json:"releases"`
}

type pruneViewShare struct {
	Gone int `json:"gone"`
	Kept int `json:"kept"`
}

// pruneViewBytes is the size of the file.
type pruneViewBytes struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

func viewPruned(path string, dryRun bool, apps []store.Pruned) pruneView {
	v := pruneView{Store: path, DryRun: dryRun, Apps: []pruneViewApp{}}
	for _, a := range apps {
		v.Apps = append(v.Apps, pruneViewApp{App: a.App, Rollouts: pruneViewShare(a.Rollouts), Releases: pruneViewShare(a.Releases)})
	}
	return v
}

// gone is how many rollouts and releases there are to forget.
func (v pruneView) gone() (n int) {
	for _, a := range v.Apps {
		n += a.Rollouts.Gone + a.Releases.Gone
	}
	return n
}

func (v pruneView) lines() []string {
	var out []string
	for _, a := range v.Apps {
		out = append(out, fmt.Sprintf("%s: %d of %s and %d of %s", a.App,
			a.Rollouts.Gone, counted(a.Rollouts.Gone+a.Rollouts.Kept, "rollout"), a.Releases.Gone, counted(a.Releases.Gone+a.Releases.Kept, "release")))
	}
	return out
}

func (p *program) runStorePrune(ctx context.Context, keep store.Keep, dryRun bool) error {
	if _, err := os.Stat(p.storePath()); err != nil {
		return notFound("", "store %s: not found", p.storePath())
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	prunable, err := db.Prunable(ctx, keep)
	if err != nil {
		return err
	}
	v := viewPruned(db.Path(), dryRun, prunable)
	if v.gone() == 0 {
		return p.done(v, "nothing to forget")
	}
	if dryRun {
		return p.print(v, func(w io.Writer) error { return printLines(w, append([]string{"would be forgotten:"}, v.lines()...)) })
	}
	if !p.flags.yes {
		for _, l := range v.lines() {
			p.say("%s", l)
		}
	}
	if err := p.confirm(ctx, "forget these? They do not come back"); err != nil {
		return err
	}
	return p.prune(ctx, db, keep)
}

// prune forgets, then shrinks the file. When only that fails it says so: what is
// free in the file is used again.
func (p *program) prune(ctx context.Context, db *store.DB, keep store.Keep) error {
	pruned, err := db.Prune(ctx, keep)
	if err != nil {
		return err
	}
	v := viewPruned(db.Path(), false, pruned)
	before, after, err := db.Compact(ctx)
	if err != nil {
		return errors.Join(p.print(v, func(w io.Writer) error { return printLines(w, append([]string{"forgotten:"}, v.lines()...)) }),
			fmt.Errorf("the file has not shrunk, its free room will be used: %w", err))
	}
	v.Bytes = &pruneViewBytes{before, after}
	return p.print(v, func(w io.Writer) error {
		return printLines(w, append(append([]string{"forgotten:"}, v.lines()...), fmt.Sprintf("store %s: %s, was %s", v.Store, size(after), size(before))))
	})
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1<<10-1)>>10)
}
