package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/rings"
	"rollout/store"
)

func (p *program) appCommand() *cli.Command {
	return &cli.Command{
		Name: "app", Category: "Describe", Usage: "Describe applications",
		Description: "An application is what is rolled out: it owns services, rings and the plan.\n\n" + examples("rollout app create shop"),
		Subcommands: []*cli.Command{p.appCreateCommand(), p.appListCommand(), p.appShowCommand(), p.appHistoryCommand(), p.appDeleteCommand()},
	}
}

// examples is the end of a command's description.
func examples(lines ...string) string {
	return "Examples:\n  " + strings.Join(lines, "\n  ")
}

type appCreateOptions struct {
	name      rings.AppName
	ringLabel string
	selector  []string
}

func (p *program) appCreateCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Describe a new application", ArgsUsage: "APP",
		Description: "Its clusters are those that carry the selector's labels, and the ring label says which ring they are on.\n" +
			"It remembers the workspace and the identity of the Fleet manager: other managers are refused later.\n\n" +
			examples("rollout app create shop", "rollout app create shop --ring-label shop-ring --selector in-shop=true"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "ring-label", Usage: "`KEY` of the label that carries a cluster's ring", Value: "ring"},
			&cli.StringSliceFlag{Name: "selector", Usage: "`K=V` that the application's clusters carry; several allowed", DefaultText: "app=APP"},
		},
		Action: func(c *cli.Context) error {
			return p.runAppCreate(c.Context, appCreateOptions{rings.AppName(c.Args().Get(0)), c.String("ring-label"), c.StringSlice("selector")})
		},
	}
}

func (p *program) runAppCreate(ctx context.Context, o appCreateOptions) error {
	selector, err := parseSelector(o)
	if err != nil {
		return err
	}
	app := &rings.Application{Name: o.name, RingLabel: o.ringLabel, Selector: selector}
	if err := app.Validate(); err != nil {
		return err
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	if _, err := db.App(ctx, o.name); err == nil {
		return fmt.Errorf("application %q: %w", o.name, rings.ErrExists)
	}
	manager, err := p.connect(ctx, p.flags.namespace)
	if err != nil {
		return err
	}
	if err := p.place(ctx, manager, app); err != nil {
		return err
	}
	p.warnOfMissing(ctx, manager)
	if err := p.storeApp(ctx, db, app); err != nil {
		return err
	}
	return p.done(viewApp(app, 0), "application %q created: clusters with %s, rings by the label %q, workspace %q", app.Name, labelWords(app.Selector), app.RingLabel, app.Workspace)
}

// place gives the application its workspace and its manager.
func (p *program) place(ctx context.Context, m *fleet.Manager, app *rings.Application) (err error) {
	app.Workspace = m.Workspace()
	app.Manager, err = m.ID(ctx)
	return err
}

func (p *program) storeApp(ctx context.Context, db *store.DB, app *rings.Application) error {
	app.CreatedBy, app.CreatedAt = p.actor(ctx), p.now().UTC()
	return db.CreateApp(ctx, app)
}

func parseSelector(o appCreateOptions) (map[string]string, error) {
	if len(o.selector) == 0 {
		return map[string]string{"app": string(o.name)}, nil
	}
	out := map[string]string{}
	for _, s := range o.selector {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" || v == "" {
			return nil, &usageError{what: fmt.Sprintf("flag --selector: %q is not KEY=VALUE", s)}
		}
		out[k] = v
	}
	if v, ok := out[o.ringLabel]; ok {
		return nil, &usageError{what: fmt.Sprintf("flag --selector: %s=%s: that label carries the ring", o.ringLabel, v)}
	}
	return out, nil
}

func labelWords(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, ",")
}

func (p *program) appListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the applications", Description: examples("rollout app list", "rollout app list -o json"),
		Action: func(c *cli.Context) error { return p.runAppList(c.Context) },
	}
}

func (p *program) runAppList(ctx context.Context) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		apps, err := db.Apps(ctx)
		if err != nil {
			return err
		}
		clusters, err := db.Clusters(ctx, "")
		if err != nil {
			return err
		}
		count := map[rings.AppName]int{}
		for _, c := range clusters {
			count[c.App]++
		}
		views := []appView{}
		for _, a := range apps {
			views = append(views, viewApp(a, count[a.Name]))
		}
		return printList(p, listOf(views), `there is no application; "rollout app create APP" describes one`,
			[]string{"APP", "WORKSPACE", "RINGS", "SERVICES", "CLUSTERS"}, func(v appView) []string {
				return []string{string(v.Name), v.Workspace, join(v.Rings), fmt.Sprint(len(v.Services)), fmt.Sprint(v.Clusters)}
			})
	})
}

func (p *program) appShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show an application", ArgsUsage: "APP", Description: examples("rollout app show shop"),
		Action: func(c *cli.Context) error { return p.runAppShow(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

func (p *program) runAppShow(ctx context.Context, name rings.AppName) error {
	return p.withApp(ctx, name, func(ctx context.Context, db *store.DB, a *rings.Application) error {
		clusters, err := db.Clusters(ctx, name)
		if err != nil {
			return err
		}
		v := viewApp(a, len(clusters))
		return p.print(v, func(w io.Writer) error {
			return pairs(w, "name", string(v.Name), "workspace", v.Workspace, "manager", v.Manager, "ring label", v.RingLabel,
				"selector", labelWords(v.Selector), "rings", join(v.Rings), "services", join(v.Services),
				"clusters", fmt.Sprint(v.Clusters), "created", p.when(a.CreatedAt)+" by "+v.CreatedBy)
		})
	})
}

func (p *program) appDeleteCommand() *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "Forget an application", ArgsUsage: "APP", Flags: []cli.Flag{reasonFlag()},
		Description: "Only what rollout knows of it is forgotten, and not its history: the clusters' labels, the GitRepos,\n" +
			"the files and what runs stay as they are. It shows what that is, and asks. Refused while a rollout of it is live.\n\n" +
			examples("rollout app delete shop"),
		Action: func(c *cli.Context) error {
			return p.runAppDelete(c.Context, rings.AppName(c.Args().Get(0)), c.String("reason"))
		},
	}
}

func (p *program) runAppDelete(ctx context.Context, name rings.AppName, reason string) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, name)
	if err != nil {
		return err
	}
	if err := notWhileLive(ctx, db, name, ""); err != nil {
		return err
	}
	left, seen := p.staying(ctx, a, a.Services)
	if seen {
		p.showStays(a, left, "")
	}
	held, err := p.holds(ctx, db, name)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("forget application %q with %d services and %d rings%s?", name, len(a.Services), len(a.Rings), held)
	if err := p.confirm(ctx, question); err != nil {
		return err
	}
	if err := db.DeleteApp(ctx, name, p.note(ctx, reason)); err != nil {
		return err
	}
	v := forgottenAppView{viewApp(a, 0), remainsView{left.services, left.labels}}
	return p.done(v, "application %q is forgotten; labels, GitRepos, files and what runs stay as they are, and so does the history", name)
}

// holds names the locks and windows that go with the application; "" for none.
func (p *program) holds(ctx context.Context, db *store.DB, name rings.AppName) (string, error) {
	locks, err := db.Locks(ctx, name, p.now())
	if err != nil {
		return "", err
	}
	windows, err := db.Windows(ctx, name)
	words := ""
	for _, l := range locks {
		words += fmt.Sprintf(", the lock of %s on %s", l.Holder, l.Part())
	}
	for _, w := range windows {
		words += fmt.Sprintf(", window %q", w.Name)
	}
	return words, err
}

// notWhileLive refuses while a rollout of the application is live, on the ring
// if one is named.
func notWhileLive(ctx context.Context, db *store.DB, app rings.AppName, ring rings.RingName) error {
	page, err := db.Rollouts(ctx, store.Filter{App: app, Ring: ring, Live: true, Limit: 1})
	if err != nil || len(page.Rollouts) == 0 {
		return err
	}
	r := page.Rollouts[0]
	if ring == "" {
		ring = r.Rings[0]
	}
	return &store.RingBusyError{ID: r.ID, Ring: ring}
}
