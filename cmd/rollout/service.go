package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) serviceCommand() *cli.Command {
	return &cli.Command{
		Name: "service", Category: "Describe", Usage: "Describe the services of an application",
		Description: "A service is one fleet.yaml in a git repository, deployed by a Fleet GitRepo.\n\n" +
			examples("rollout service add shop db --repo https://git.example.com/shop/db.git --path deploy"),
		Subcommands: []*cli.Command{p.serviceAddCommand(), p.serviceListCommand(), p.serviceShowCommand(), p.serviceSetDepsCommand(), p.serviceSetSettingsCommand(), p.serviceSetPublishCommand(),
			p.serviceAdoptCommand(), p.serviceGraphCommand(), p.serviceUndeployCommand(), p.serviceRemoveCommand()},
	}
}

func (p *program) serviceListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List an application's services", ArgsUsage: "APP", Description: examples("rollout service list shop"),
		Action: func(c *cli.Context) error { return p.runServiceList(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

func (p *program) runServiceList(ctx context.Context, app rings.AppName) error {
	return p.withApp(ctx, app, func(_ context.Context, _ *store.DB, a *rings.Application) error {
		views := []serviceView{}
		for _, s := range a.Services {
			views = append(views, viewService(app, s))
		}
		return printList(p, listOf(views), fmt.Sprintf("application %q has no service; \"rollout service add %s SERVICE --repo URL\" adds one", app, app),
			[]string{"SERVICE", "DEPENDS ON", "REPOSITORY", "BRANCH", "PATH", "KNOWN"}, func(v serviceView) []string {
				return []string{string(v.Name), join(v.DependsOn), v.Repo, v.Branch, v.Path, knownWords(a, v)}
			})
	})
}

// knownWords are the recorded versions in the rings' order.
func knownWords(a *rings.Application, v serviceView) string {
	var out []string
	for _, ring := range a.RingNames() {
		if k, ok := v.Known[ring]; ok && k.Version != "" {
			out = append(out, fmt.Sprintf("%s=%s", ring, k.Version))
		}
	}
	return strings.Join(out, " ")
}

func (p *program) serviceShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show a service", ArgsUsage: "APP SERVICE", Description: examples("rollout service show shop db"),
		Action: func(c *cli.Context) error {
			return p.runServiceShow(c.Context, rings.AppName(c.Args().Get(0)), rings.ServiceName(c.Args().Get(1)))
		},
	}
}

func (p *program) runServiceShow(ctx context.Context, app rings.AppName, name rings.ServiceName) error {
	return p.withApp(ctx, app, func(_ context.Context, _ *store.DB, a *rings.Application) error {
		s, err := a.Service(name)
		if err != nil {
			return err
		}
		v := viewService(app, *s)
		return p.print(v, func(w io.Writer) error {
			return pairs(w, "name", string(v.Name), "application", string(v.App), "repository", v.Repo, "branch", v.Branch, "file", s.File(),
				"GitRepo", v.GitRepo, "bundle", v.Bundle, "client secret", v.ClientSecret, "fields", strings.Join(v.Fields, ", "), "settings", settingWords(s.Settings),
				"publish", v.Publish,
				"depends on", join(v.DependsOn), "needed by", join(a.Dependents(name)), "known", knownWords(a, v))
		})
	})
}

func (p *program) serviceSetDepsCommand() *cli.Command {
	return &cli.Command{
		Name: "set-deps", Usage: "Say what a service depends on", ArgsUsage: "APP SERVICE [DEP...]",
		Description: "What it depended on before is replaced; without DEP it depends on nothing. Live rollouts keep their order.\n\n" +
			examples("rollout service set-deps shop api db"),
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			return p.runServiceSetDeps(c.Context, rings.AppName(args[0]), rings.ServiceName(args[1]), args[2:])
		},
	}
}

func (p *program) runServiceSetDeps(ctx context.Context, app rings.AppName, name rings.ServiceName, deps []string) error {
	var v serviceView
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		err := db.UpdateApp(ctx, app, func(a *rings.Application) error {
			s, err := a.Service(name)
			if err != nil {
				return err
			}
			s.DependsOn = serviceNames(deps)
			v = viewService(app, *s)
			return nil
		})
		if err != nil {
			return err
		}
		if len(v.DependsOn) == 0 {
			return p.done(v, "service %q of application %q depends on nothing", name, app)
		}
		return p.done(v, "service %q of application %q depends on %s", name, app, join(v.DependsOn))
	})
}

// serviceNames are the words without empty ones and repetitions, sorted.
func serviceNames(words []string) []rings.ServiceName {
	seen := map[rings.ServiceName]bool{}
	for _, w := range words {
		if w != "" {
			seen[rings.ServiceName(w)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (p *program) serviceRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "Forget a service", ArgsUsage: "APP SERVICE", Flags: []cli.Flag{reasonFlag()},
		Description: "Only what rollout knows of it is forgotten: its GitRepo, its files and what runs stay. It shows what that is, and\n" +
			"asks. To uninstall it, use \"rollout service undeploy\" before. Refused while others depend on it, or a rollout is live.\n\n" +
			examples("rollout service remove shop docs"),
		Action: func(c *cli.Context) error {
			return p.runServiceRemove(c.Context, rings.AppName(c.Args().Get(0)), rings.ServiceName(c.Args().Get(1)), c.String("reason"))
		},
	}
}

func (p *program) runServiceRemove(ctx context.Context, app rings.AppName, name rings.ServiceName, reason string) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, app)
	if err != nil {
		return err
	}
	if err := notWhileLive(ctx, db, app, ""); err != nil {
		return err
	}
	before, after := *a, *a
	after.Services, after.Plan = slices.Clone(a.Services), maps.Clone(a.Plan)
	s, err := after.RemoveService(name)
	if err != nil {
		return err
	}
	left, seen := p.staying(ctx, &before, []rings.Service{s})
	if seen {
		p.showStays(a, left, "")
	}
	if err := p.confirm(ctx, fmt.Sprintf("forget service %q of application %q?", name, app)); err != nil {
		return err
	}
	removed, err := db.RemoveService(ctx, app, name, p.note(ctx, reason))
	if err != nil {
		return err
	}
	v := forgottenServiceView{viewService(app, removed), remainsView{left.services, left.labels}}
	return p.done(v, "service %q of application %q is forgotten, also in the plan; GitRepo %q, its files and what runs stay as they are", name, app, removed.GitRepo)
}
