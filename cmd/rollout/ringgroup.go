package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) ringGroupCommand() *cli.Command {
	return &cli.Command{
		Name: "group", Usage: "Name several rings at once",
		Description: "A group can be named where rings are rolled out or listed. The rings go in their order.\n\n" + examples("rollout ring group create shop prod ring-2 ring-3"),
		Subcommands: []*cli.Command{p.ringGroupCreateCommand(), p.ringGroupListCommand(), p.ringGroupDeleteCommand()},
	}
}

// ringGroupView is a group of rings as scripts read it.
type ringGroupView struct {
	App   rings.AppName    `json:"app"`
	Name  rings.RingName   `json:"name"`
	Rings []rings.RingName `json:"rings"`
	By    string           `json:"by"`
	At    *time.Time       `json:"at"`
}

func viewRingGroup(app rings.AppName, g rings.Group) ringGroupView {
	return ringGroupView{App: app, Name: g.Name, Rings: g.Rings, By: g.By, At: instant(g.At)}
}

func (p *program) ringGroupCreateCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Make a group of rings", ArgsUsage: "APP GROUP RING...",
		Description: examples("rollout ring group create shop prod ring-2 ring-3", "rollout create shop prod"),
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			g := rings.Group{Name: rings.RingName(args[1])}
			for _, ring := range args[2:] {
				g.Rings = append(g.Rings, rings.RingName(ring))
			}
			return p.runRingGroupCreate(c.Context, rings.AppName(args[0]), g)
		},
	}
}

func (p *program) runRingGroupCreate(ctx context.Context, app rings.AppName, g rings.Group) error {
	g.By, g.At = p.actor(ctx), p.now().UTC()
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		err := db.UpdateApp(ctx, app, func(a *rings.Application) error {
			for _, name := range slices.Concat(a.RingNames(), a.GroupNames()) {
				if name == g.Name {
					return fmt.Errorf("ring %q of application %q: %w", g.Name, a.Name, rings.ErrExists)
				}
			}
			for _, name := range g.Rings {
				if _, err := a.Ring(name); err != nil {
					return err
				}
			}
			a.Groups = append(a.Groups, g)
			return nil
		})
		if err != nil {
			return err
		}
		return p.done(viewRingGroup(app, g), "ring group %q of application %q created: %s", g.Name, app, join(g.Rings))
	})
}

func (p *program) ringGroupListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List an application's groups of rings", ArgsUsage: "APP", Description: examples("rollout ring group list shop"),
		Action: func(c *cli.Context) error {
			return p.withApp(c.Context, rings.AppName(c.Args().Get(0)), func(_ context.Context, _ *store.DB, a *rings.Application) error { return p.printRingGroups(a) })
		},
	}
}

func (p *program) printRingGroups(a *rings.Application) error {
	var views []ringGroupView
	for _, g := range a.Groups {
		views = append(views, viewRingGroup(a.Name, g))
	}
	return printList(p, listOf(views), fmt.Sprintf("application %q has no group of rings; \"rollout ring group create %s GROUP RING...\" makes one", a.Name, a.Name),
		[]string{"GROUP", "RINGS", "BY", "SINCE"}, func(v ringGroupView) []string {
			return []string{string(v.Name), join(v.Rings), v.By, p.when(*v.At)}
		})
}

func (p *program) ringGroupDeleteCommand() *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "Forget a group of rings", ArgsUsage: "APP GROUP",
		Description: "Its rings stay as they are.\n\n" + examples("rollout ring group delete shop prod"),
		Action: func(c *cli.Context) error {
			return p.runRingGroupDelete(c.Context, rings.AppName(c.Args().Get(0)), rings.RingName(c.Args().Get(1)))
		},
	}
}

func (p *program) runRingGroupDelete(ctx context.Context, app rings.AppName, name rings.RingName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		var was rings.Group
		err := db.UpdateApp(ctx, app, func(a *rings.Application) error {
			g, err := a.Group(name)
			if err != nil {
				return err
			}
			was = *g
			a.Groups = slices.DeleteFunc(a.Groups, func(g rings.Group) bool { return g.Name == name })
			return nil
		})
		if err != nil {
			return err
		}
		return p.done(viewRingGroup(app, was), "ring group %q of application %q is forgotten; its rings %s stay", name, app, join(was.Rings))
	})
}
