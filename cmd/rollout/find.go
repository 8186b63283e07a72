package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) findCommand() *cli.Command {
	return &cli.Command{
		Name: "find", Category: "Look", Usage: "Find the rings and clusters that a version or a commit was put on, and what keeps it from the next ring", ArgsUsage: "VERSION|COMMIT",
		Description: "The answer is what was seen from here; \"rollout where\" asks the clusters. A commit is one that a rollout made on a\n" +
			"service's branch, or found there; 7 characters of it will do. A version is named in full.\n\n" +
			examples("rollout find v2", "rollout find 3f2c9ab --app shop -o json"),
		Flags: []cli.Flag{&cli.StringFlag{Name: "app", Usage: "`APP` that alone is of interest"}},
		Action: func(c *cli.Context) error {
			return p.runFind(c.Context, c.Args().Get(0), rings.AppName(c.String("app")))
		},
	}
}

func (p *program) runFind(ctx context.Context, word string, app rings.AppName) error {
	l := listOf([]foundView{})
	err := p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		f := finder{word: word, now: p.now(), sought: map[rings.AppName][]store.Sighting{}}
		found, err := db.Sought(ctx, word)
		if err != nil {
			return err
		}
		for _, s := range found {
			f.sought[s.App] = append(f.sought[s.App], s)
		}
		apps, err := appsOr(ctx, db, app)
		if err != nil {
			return err
		}
		for _, a := range apps {
			views, err := f.in(ctx, db, a)
			if err != nil {
				return err
			}
			l.Items = append(l.Items, views...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(l.Items) == 0 {
		return notFound("a version is named in full, a commit by at least 7 characters; \"rollout history\" shows what was rolled out", "version or commit %q was never seen on a ring", word)
	}
	return p.printFound(l)
}

func (p *program) printFound(l list[foundView]) error {
	if p.flags.output == "csv" {
		var rows [][]string
		for _, v := range l.Items {
			rows = append(rows, v.csv()...)
		}
		return p.printCSV(foundCSVHeader, rows)
	}
	if p.flags.output == "text" {
		p.say("as recorded here, at %s: the clusters were not asked", stamp(p.now()))
	}
	return printList(p, l, "", foundHeader, p.foundRow)
}

// appsOr is the named application, or all.
func appsOr(ctx context.Context, db *store.DB, name rings.AppName) ([]*rings.Application, error) {
	if name == "" {
		return db.Apps(ctx)
	}
	a, err := db.App(ctx, name)
	return []*rings.Application{a}, err
}

// finder looks for a version or a commit.
type finder struct {
	word   string
	now    time.Time
	sought map[rings.AppName][]store.Sighting
}

// in is what there is of it in the application: first where it is now, in the
// order of services and rings, then where it was.
func (f finder) in(ctx context.Context, db *store.DB, a *rings.Application) ([]foundView, error) {
	before, err := f.adopted(ctx, db, a.Name)
	if err != nil || len(f.sought[a.Name]) == 0 && len(before) == 0 && !f.isKnown(a) {
		return nil, err
	}
	r, err := recordOf(ctx, db, a, time.Time{}, f.now)
	if err != nil {
		return nil, err
	}
	var out []foundView
	current := map[orchestrator.Ref]bool{}
	places := r.places()
	for _, v := range places {
		ref := orchestrator.Ref{Ring: v.Ring, Service: v.Service}
		if commit, fits := f.fits(r, ref, v); fits {
			current[ref] = true
			out = append(out, foundView{App: a.Name, Service: v.Service, Ring: v.Ring, Version: v.Desired, Commit: commit, Source: sourceRecord, Current: true,
				Since: v.Since, Rollout: v.Rollout, State: v.State, Clusters: v.Clusters})
		}
	}
	if err := f.nextRings(ctx, db, a, places, out); err != nil {
		return nil, err
	}
	for _, s := range f.sought[a.Name] {
		ref := orchestrator.Ref{Ring: s.Ring, Service: s.Service}
		if !current[ref] {
			out = append(out, f.past(r, s))
		}
		delete(before, ref)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(before), compareRefs) {
		if !current[ref] {
			out = append(out, pastAdopted(a.Name, ref, before[ref]))
		}
	}
	return out, nil
}

// adopted is where it was before the first rollout.
func (f finder) adopted(ctx context.Context, db *store.DB, app rings.AppName) (map[orchestrator.Ref]store.Recorded, error) {
	all, err := db.Recorded(ctx, app, time.Time{})
	maps.DeleteFunc(all, func(_ orchestrator.Ref, r store.Recorded) bool {
		return string(r.Version) != f.word && !f.isCommit(r.Commit)
	})
	return all, err
}

// pastAdopted is where it was when a rollout wrote over it for the first time.
func pastAdopted(app rings.AppName, ref orchestrator.Ref, r store.Recorded) foundView {
	return foundView{App: app, Service: ref.Service, Ring: ref.Ring, Version: r.Version, Commit: r.Commit, Source: sourceRecord,
		Since: instant(r.At), Until: instant(r.Next.PublishedAt), ReplacedBy: r.Next.Rollout, Clusters: []placeClusterView{}}
}

// isKnown reports whether the application's services are said to have it on a
// ring, whoever put it there.
func (f finder) isKnown(a *rings.Application) bool {
	return slices.ContainsFunc(a.Services, func(s rings.Service) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(s.Known)), func(k rings.Known) bool { return string(k.Version) == f.word || f.isCommit(k.Commit) })
	})
}

// isCommit reports whether the commit is meant.
func (f finder) isCommit(commit string) bool {
	return len(f.word) >= 7 && strings.HasPrefix(commit, f.word)
}

// fits reports whether it is what the ring is recorded to have now, and the
// commit that is recorded for that.
func (f finder) fits(r *whereRecord, ref orchestrator.Ref, v placeView) (string, bool) {
	if v.Desired == "" {
		return "", false
	}
	commits := []string{r.known(ref).Commit}
	if x := r.placed[ref]; x.To == v.Desired && v.Rollout != "" {
		commits = x.Commits
	}
	last := commits[len(commits)-1]
	return last, string(v.Desired) == f.word || slices.ContainsFunc(commits, f.isCommit)
}

// past is where it was the last time.
func (f finder) past(r *whereRecord, s store.Sighting) foundView {
	v := foundView{App: s.App, Service: s.Service, Ring: s.Ring, Version: s.To, Commit: s.Commits[len(s.Commits)-1], Source: sourceRecord,
		Since: instant(s.Since), Rollout: s.By, Clusters: r.clusters(s.Placement)}
	if s.Next != nil {
		v.Until, v.ReplacedBy = instant(s.Next.PublishedAt), s.Next.Rollout
	}
	return v
}
