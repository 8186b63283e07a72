package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// fromPlan is the word for the plan where the source of versions is named.
const fromPlan = "plan"

func (p *program) releaseCommand() *cli.Command {
	return &cli.Command{
		Name: "release", Category: "Roll out", Usage: "Keep sets of versions that belong together",
		Description: "A release is a numbered set of versions. It never changes, and \"rollout create APP RING --release N\" rolls it out.\n\n" +
			examples("rollout release create shop"),
		Subcommands: []*cli.Command{p.releaseCreateCommand(), p.releaseListCommand(), p.releaseShowCommand()},
	}
}

type releaseOptions struct {
	app     rings.AppName
	from    string
	release rings.Release // what is not taken from elsewhere
}

func (p *program) releaseCreateCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Make a release of the plan, or of what a ring or a rollout has", ArgsUsage: "APP",
		Description: "The same content again (versions, settings, commit, author, message) is the release that is there: under the same key,\n" +
			"or without one the newest. Other content under a key that is taken is refused, and the difference shown.\n\n" +
			examples("rollout release create shop", "rollout release create shop --key \"$BUILD_ID\" --commit c0ffee --message \"faster search\"",
				"rollout release create shop --from ring-1", "rollout release create shop --from shop-12"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "`SOURCE` of the versions: plan, a ring (what is recorded there) or a rollout (its plan)", Value: fromPlan},
			&cli.StringFlag{Name: "key", Usage: "`KEY` by which CI finds the release again when it runs twice"},
			&cli.StringFlag{Name: "commit", Usage: "`COMMIT` that it was built from"},
			&cli.StringFlag{Name: "author", Usage: "`NAME` of whoever wrote what is new in it"},
			&cli.StringFlag{Name: "message", Usage: "`WORDS` on what is new in it"},
		},
		Action: func(c *cli.Context) error {
			if c.IsSet("key") && c.String("key") == "" {
				return &usageError{what: "flag --key is empty", hint: "name what is the same when CI runs twice, or leave the flag out"}
			}
			return p.runReleaseCreate(c.Context, releaseOptions{rings.AppName(c.Args().Get(0)), c.String("from"), rings.Release{
				Key: c.String("key"), Commit: c.String("commit"), Author: c.String("author"), Message: c.String("message"), Link: p.link()}})
		},
	}
}

func (p *program) runReleaseCreate(ctx context.Context, o releaseOptions) error {
	o.release.By, o.release.At = p.actor(ctx), p.now().UTC()
	return p.withApp(ctx, o.app, func(ctx context.Context, db *store.DB, a *rings.Application) error {
		content, from, err := releaseSource(ctx, db, a, o.from)
		if err != nil {
			return err
		}
		o.release.From = from
		r, created, err := db.CreateRelease(ctx, o.app, func(a *rings.Application) (rings.Release, error) {
			o.release.Versions, o.release.Settings = content(a)
			return o.release, emptyRelease(a.Name, o)
		})
		if err != nil {
			return err
		}
		words := "created"
		if !created {
			words = "is there already"
		}
		return p.done(createdReleaseView{viewRelease(r), created}, "release %d of application %q %s: %s", r.Number, r.App, words, contentWords(r.Versions, r.Settings))
	})
}

// emptyRelease is an error for a release of nothing.
func emptyRelease(app rings.AppName, o releaseOptions) error {
	switch {
	case len(o.release.Versions)+len(o.release.Settings) > 0:
		return nil
	case o.from == fromPlan:
		return invalid(fmt.Sprintf("rollout plan set %s SERVICE=VERSION", app), "release of application %q: the plan is empty", app)
	}
	return invalid(fmt.Sprintf("rollout release create %s --from plan", app), "release of application %q: %s has no versions that are known", app, o.release.From)
}

// releaseSource finds what a release is to be made of, and how people call it.
func releaseSource(ctx context.Context, db *store.DB, a *rings.Application, from string) (releaseContent, string, error) {
	if from == fromPlan {
		return planContent, fromPlan, nil
	}
	ring := rings.RingName(from)
	_, err := a.Ring(ring)
	if err == nil {
		return ringContent(ring), fmt.Sprintf("ring %s", ring), notWhileLive(ctx, db, a.Name, ring)
	}
	s, unknown := db.Rollout(ctx, orchestrator.ID(from))
	if errors.Is(unknown, orchestrator.ErrNotFound) {
		return nil, "", unknownSource(a, from, unknown)
	}
	if unknown == nil && s.Scope.App != a.Name {
		unknown = invalid(fmt.Sprintf("\"rollout history %s\" shows its rollouts", a.Name), "rollout %q is not of application %q", s.ID, a.Name)
	}
	if unknown != nil {
		return nil, "", unknown
	}
	return rolloutContent(s), fmt.Sprintf("rollout %s", s.ID), nil
}

// releaseContent is what a release is made of.
type releaseContent func(*rings.Application) (map[rings.ServiceName]rings.Version, map[rings.ServiceName]rings.Values)

func planContent(a *rings.Application) (map[rings.ServiceName]rings.Version, map[rings.ServiceName]rings.Values) {
	return a.Plan.Versions(), a.Plan.Settings()
}

func ringContent(ring rings.RingName) releaseContent {
	return func(a *rings.Application) (map[rings.ServiceName]rings.Version, map[rings.ServiceName]rings.Values) {
		return a.Recorded(ring), a.RecordedSettings(ring)
	}
}

func rolloutContent(s *orchestrator.State) releaseContent {
	return func(*rings.Application) (map[rings.ServiceName]rings.Version, map[rings.ServiceName]rings.Values) {
		return s.Plan, s.Settings
	}
}

// unknownSource says that the word is neither a ring nor a rollout.
func unknownSource(a *rings.Application, from string, err error) error {
	var unknown *rings.UnknownError
	nearest := rings.Nearest(from, append(namesOf(a.RingNames()), fromPlan))
	if errors.As(err, &unknown) && nearest == "" {
		nearest = unknown.Nearest
	}
	return &rings.UnknownError{Kind: "ring or rollout", Name: from, Where: fmt.Sprintf("application %q", a.Name), Nearest: nearest}
}

func namesOf(in []rings.RingName) []string {
	out := make([]string, len(in))
	for i, n := range in {
		out[i] = string(n)
	}
	return out
}

type releaseListOptions struct {
	app    rings.AppName
	limit  int
	before int
}

func (p *program) releaseListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the releases of an application, newest first", ArgsUsage: "APP", Description: examples("rollout release list shop", "rollout release list shop --limit 10 -o json"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Usage: "`N` releases at most; 0 for all", Value: 50},
			&cli.StringFlag{Name: "before", Usage: "`NUMBER` of the release before which the list begins"},
		},
		Action: func(c *cli.Context) error {
			before, err := releaseNumber(c.String("before"))
			if err != nil {
				return err
			}
			return p.runReleaseList(c.Context, releaseListOptions{rings.AppName(c.Args().Get(0)), c.Int("limit"), before})
		},
	}
}

func (p *program) runReleaseList(ctx context.Context, o releaseListOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		page, err := db.Releases(ctx, o.app, o.before, o.limit)
		if err != nil {
			return err
		}
		var views []releaseView
		for _, r := range page.Releases {
			views = append(views, viewRelease(r))
		}
		l := listOf(views)
		if page.Next > 0 {
			l.Next = strconv.Itoa(page.Next)
		}
		return printList(p, l, fmt.Sprintf("application %q has no release; \"rollout release create %s\" makes one", o.app, o.app),
			[]string{"RELEASE", "VERSIONS", "KEY", "COMMIT", "BY", "MADE", "MESSAGE"}, func(v releaseView) []string {
				return []string{strconv.Itoa(v.Number), contentWords(v.Versions, v.Settings), v.Key, v.Commit, v.By, p.when(*v.At), firstLine(v.Message)}
			})
	})
}

func (p *program) releaseShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show a release", ArgsUsage: "APP NUMBER", Description: examples("rollout release show shop 3"),
		Action: func(c *cli.Context) error {
			number, err := releaseNumber(c.Args().Get(1))
			if err != nil {
				return err
			}
			return p.runReleaseShow(c.Context, rings.AppName(c.Args().Get(0)), number)
		},
	}
}

func (p *program) runReleaseShow(ctx context.Context, app rings.AppName, number int) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		r, err := db.ReleaseNumber(ctx, app, number)
		if err != nil {
			return err
		}
		return p.print(viewRelease(r), func(w io.Writer) error {
			return pairs(w, "release", strconv.Itoa(r.Number), "application", string(r.App), "versions", contentWords(r.Versions, r.Settings), "from", r.From, "key", r.Key,
				"commit", r.Commit, "author", r.Author, "message", r.Message, "link", r.Link, "made", p.when(r.At)+" by "+r.By)
		})
	})
}

// releaseOf is the release that --release names; nil without one.
func (p *program) releaseOf(c *cli.Context, app rings.AppName) (*rings.Release, error) {
	number, err := releaseNumber(c.String("release"))
	if err != nil || number == 0 {
		return nil, err
	}
	var r rings.Release
	err = p.inStore(c.Context, func(ctx context.Context, db *store.DB) (err error) {
		r, err = db.ReleaseNumber(ctx, app, number)
		return err
	})
	return &r, err
}

// releaseNumber reads the number of a release; "" is 0.
func releaseNumber(word string) (int, error) {
	if word == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		return 0, &usageError{what: fmt.Sprintf("%q is not the number of a release", word), hint: "releases are numbered from 1"}
	}
	return n, nil
}
