package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

// lockOptions are locks of one holder on parts of an application.
type lockOptions struct {
	app            rings.AppName
	parts          []rings.Lock
	holder, reason string
	link           string
	lasts          time.Duration // 0: see until
	until          time.Time     // zero: until it is released
}

func partFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "ring", Usage: "Only on `RINGS`, or those of groups, with commas", DefaultText: "the whole application"},
		&cli.StringSliceFlag{Name: "service", Usage: "Only `SERVICES`, with commas", DefaultText: "all"},
		&cli.StringSliceFlag{Name: "cluster", Usage: "Every ring that one of the `CLUSTERS` is on, with commas"},
		&cli.StringSliceFlag{Name: "cluster-group", Usage: "Every ring that a cluster of one of Fleet's ClusterGroups `GROUPS` is on, with commas, as they are at any time"},
		&cli.StringFlag{Name: "holder", Usage: "`HOLDER` whose lock it is; each has their own", DefaultText: "who you are"},
	}
}

func (p *program) lockCommand() *cli.Command {
	return &cli.Command{
		Name: "lock", Category: "Roll out", Usage: "Keep automation and new starts away from an application, or a part of it", ArgsUsage: "APP",
		Description: "No rollout, ring or service starts there; what runs may finish. A person goes over the locks that stand with\n" +
			"--override and --reason: \"rollout help locks\" says more. A rollout that is live waits, an automatic rollback too.\n" +
			"Several holders may lock the same: it is free when none does. A second lock of one holder replaces the first.\n\n" +
			examples("rollout lock shop --ring ring-3 --reason \"stocktaking\" --for 48h", "rollout lock shop --service web --reason \"INC-17\" --holder incident-17",
				"rollout lock shop --cluster-group stores-north --reason \"stocktaking\"", "rollout lock shop --cluster eu-7 --reason \"in repair\" --until 2026-12-24T18:00:00Z"),
		Flags: append(partFlags(),
			&cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record; needed"},
			&cli.DurationFlag{Name: "for", Usage: "`TIME` after which it ends by itself", DefaultText: "until it is released"},
			&cli.StringFlag{Name: "until", Usage: "`TIME` at which it ends by itself, as in 2026-12-24T18:00:00Z", DefaultText: "until it is released"}),
		Action: func(c *cli.Context) error {
			o, err := p.lockOptionsOf(c)
			if err != nil {
				return err
			}
			o.reason, o.lasts, o.link = c.String("reason"), c.Duration("for"), p.link()
			if c.IsSet("for") && o.lasts <= 0 {
				return &usageError{what: fmt.Sprintf("flag --for: %s is no time from now", c.Duration("for")), hint: "leave it out for a lock that stands until it is released"}
			}
			if err := o.times(c.String("until")); err != nil {
				return err
			}
			return p.runLock(c.Context, o)
		},
	}
}

// lockOptionsOf reads whose lock is meant, on what. A flag that is given says
// something: an empty one would be the whole application.
func (p *program) lockOptionsOf(c *cli.Context) (lockOptions, error) {
	for _, name := range []string{"ring", "service", "cluster", "cluster-group"} {
		if given := c.StringSlice(name); c.IsSet(name) && (len(given) == 0 || slices.Contains(given, "")) {
			return lockOptions{}, &usageError{what: fmt.Sprintf("flag --%s is empty", name), hint: "name what is meant, or leave the flag out for the whole application"}
		}
	}
	o := lockOptions{app: rings.AppName(c.Args().First()), holder: cmp.Or(c.String("holder"), p.actor(c.Context))}
	named, err := p.ringsNamed(c.Context, o.app, c.StringSlice("ring"))
	if err != nil {
		return o, err
	}
	o.parts = lockParts(o.app, named, c.StringSlice("service"), c.StringSlice("cluster"), c.StringSlice("cluster-group"))
	return o, nil
}

// ringsNamed are the rings that are named, by themselves or by a group.
func (p *program) ringsNamed(ctx context.Context, app rings.AppName, words []string) (out []rings.RingName, err error) {
	if len(words) == 0 {
		return nil, nil
	}
	for _, w := range words {
		out = append(out, rings.RingName(w))
	}
	err = p.withApp(ctx, app, func(_ context.Context, _ *store.DB, a *rings.Application) error {
		out, err = a.Expand(out)
		return err
	})
	return out, err
}

// times reads until when the locks are to stand.
func (o *lockOptions) times(until string) error {
	if until == "" {
		return nil
	}
	var err error
	if o.until, err = time.Parse(time.RFC3339, until); err != nil {
		return &usageError{what: fmt.Sprintf("flag --until: %q is not a time", until), hint: "write it in full, as in 2026-12-24T18:00:00Z"}
	}
	if o.lasts > 0 {
		return &usageError{what: "rollout lock: --for and --until exclude each other", hint: "leave one of them out"}
	}
	return nil
}

// lockParts are the parts that the flags name: each service on each ring, each
// cluster and each group; the whole application when nothing is named.
func lockParts(app rings.AppName, named []rings.RingName, services, clusters, groups []string) []rings.Lock {
	places := []rings.Lock{}
	for _, r := range named {
		places = append(places, rings.Lock{App: app, Ring: r})
	}
	for _, c := range clusters {
		places = append(places, rings.Lock{App: app, Cluster: rings.ClusterName(c)})
	}
	for _, g := range groups {
		places = append(places, rings.Lock{App: app, Group: g})
	}
	if len(places) == 0 {
		places = append(places, rings.Lock{App: app})
	}
	if len(services) == 0 {
		return places
	}
	var out []rings.Lock
	for _, s := range services {
		for _, l := range places {
			l.Service = rings.ServiceName(s)
			out = append(out, l)
		}
	}
	return out
}

func (p *program) runLock(ctx context.Context, o lockOptions) error {
	if strings.TrimSpace(o.reason) == "" {
		return &usageError{what: "rollout lock: --reason is missing", hint: "say why nothing may start: those who wait will read it"}
	}
	locks := slices.Clone(o.parts)
	for i := range locks {
		l := &locks[i]
		l.Holder, l.By, l.Reason, l.Link, l.At, l.Until = o.holder, p.actor(ctx), o.reason, o.link, p.now().UTC(), o.until
		if o.lasts > 0 {
			l.Until = l.At.Add(o.lasts)
		}
	}
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		were, err := db.Locks(ctx, o.app, p.now())
		if err != nil {
			return err
		}
		if err := db.Lock(ctx, locks...); err != nil {
			return err
		}
		for _, was := range were {
			if slices.ContainsFunc(locks, was.Same) {
				p.say("replaced: %s", was.Words())
			}
		}
		if err := p.warnOfStrangers(ctx, db, locks); err != nil {
			return err
		}
		return p.doneLocks(locks, func(l rings.Lock) string {
			return fmt.Sprintf("%s; \"%s\" releases it", l.Words(), l.Release())
		})
	})
}

// warnOfStrangers warns of locks on clusters that were not added here: those may
// be on a ring by their labels alone, or misspelt.
func (p *program) warnOfStrangers(ctx context.Context, db *store.DB, locks []rings.Lock) error {
	known, err := db.Clusters(ctx, locks[0].App)
	if err != nil {
		return err
	}
	for _, l := range locks {
		if l.Cluster != "" && !slices.ContainsFunc(known, func(c rings.Cluster) bool { return c.Name == l.Cluster }) {
			p.say("warning: no cluster %q was added to application %q: the lock holds something only if Fleet has one on a ring", l.Cluster, l.App)
		}
	}
	return nil
}

func (p *program) unlockCommand() *cli.Command {
	return &cli.Command{
		Name: "unlock", Category: "Roll out", Usage: "Release a lock: nothing starts by that, but a rollout that waited goes on", ArgsUsage: "APP",
		Description: "Say the part as it was locked. A lock of somebody else is released by naming its holder.\n\n" +
			examples("rollout unlock shop --ring ring-3", "rollout unlock shop --service web --holder incident-17"),
		Flags: partFlags(),
		Action: func(c *cli.Context) error {
			o, err := p.lockOptionsOf(c)
			if err != nil {
				return err
			}
			return p.runUnlock(c.Context, o)
		},
	}
}

func (p *program) runUnlock(ctx context.Context, o lockOptions) error {
	for i := range o.parts {
		o.parts[i].Holder = o.holder
	}
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		released, err := db.Unlock(ctx, o.parts...)
		var unknown *rings.UnknownError
		if errors.As(err, &unknown) && unknown.Kind == "lock" {
			return p.notLocked(ctx, db, o, unknown)
		}
		if err != nil {
			return err
		}
		return p.doneLocks(released, func(l rings.Lock) string { return "released: " + l.Words() })
	})
}

// notLocked says who else holds what was to be released.
func (p *program) notLocked(ctx context.Context, db *store.DB, o lockOptions, unknown *rings.UnknownError) error {
	all, err := db.Locks(ctx, o.app, p.now())
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s of application %q is not locked by %s", unknown.Name, o.app, o.holder)
	if unknown.Name == (rings.Lock{App: o.app}).Part() {
		what = fmt.Sprintf("application %q is not locked by %s", o.app, o.holder)
	}
	for _, l := range all {
		if l.Part() == unknown.Name {
			return notFound(fmt.Sprintf("\"%s\" releases the lock of %s", l.Release(), l.Holder), "%s; %s", what, l.Words())
		}
	}
	return notFound(fmt.Sprintf("\"rollout locks %s\" shows those that stand", o.app), "%s", what)
}

func (p *program) doneLocks(locks []rings.Lock, words func(rings.Lock) string) error {
	return p.print(listOf(viewLocks(locks)), linesOf(locks, words))
}

func (p *program) locksCommand() *cli.Command {
	return &cli.Command{
		Name: "locks", Category: "Look", Usage: "List the locks that stand", ArgsUsage: "[APP]",
		Description: examples("rollout locks", "rollout locks shop -o json"),
		Action:      func(c *cli.Context) error { return p.runLocks(c.Context, rings.AppName(c.Args().First())) },
	}
}

func (p *program) runLocks(ctx context.Context, app rings.AppName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		locks, err := db.Locks(ctx, app, p.now())
		if err != nil {
			return err
		}
		header := []string{"APP", "PART", "HOLDER", "SINCE", "UNTIL", "REASON"}
		return printList(p, listOf(viewLocks(locks)), "no lock stands", header, func(v lockView) []string {
			until := "released"
			if v.Until != nil {
				until = stamp(*v.Until)
			}
			return []string{string(v.App), v.Part, v.Holder, p.when(*v.At), until, v.Reason}
		})
	})
}
