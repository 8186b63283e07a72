package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func publishFlag() cli.Flag {
	return &cli.StringFlag{Name: "publish", Usage: "`HOW` a version gets onto the branch: push or branch; branch proposes it on one of its own, for a person to merge", DefaultText: wordPush}
}

// publishOf reads how a service is published, as people write it.
func publishOf(what, said string) (rings.Publish, error) {
	switch said {
	case "", wordPush:
		return rings.PublishPush, nil
	case string(rings.PublishBranch):
		return rings.PublishBranch, nil
	}
	return "", &usageError{what: fmt.Sprintf("%s %q: one of \"push\", \"branch\"", what, said), hint: "push: to the branch that Fleet follows; branch: to one of its own, which a person merges"}
}

func (p *program) serviceSetPublishCommand() *cli.Command {
	return &cli.Command{
		Name: "set-publish", Usage: "Say how a service's versions get onto its branch", ArgsUsage: "APP SERVICE HOW",
		Description: "HOW is \"push\", or \"branch\" for a branch that takes no direct pushes: then each commit is pushed to a branch of its\n" +
			"own, rollout/APP/RING/ID, and the step waits until somebody has merged that, in whichever way. Live rollouts keep\n" +
			"what they began with.\n\n" +
			examples("rollout service set-publish shop db branch"),
		Action: func(c *cli.Context) error {
			how, err := publishOf("rollout service set-publish: HOW", c.Args().Get(2))
			if err != nil {
				return err
			}
			return p.runServiceSetPublish(c.Context, rings.AppName(c.Args().Get(0)), rings.ServiceName(c.Args().Get(1)), how)
		},
	}
}

func (p *program) runServiceSetPublish(ctx context.Context, app rings.AppName, name rings.ServiceName, how rings.Publish) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		var v serviceView
		err := db.UpdateApp(ctx, app, func(a *rings.Application) error {
			if err := setPublish(a, name, how); err != nil {
				return err
			}
			s, err := a.Service(name)
			if err == nil {
				v = viewService(app, *s)
			}
			return err
		})
		if err != nil {
			return err
		}
		if how == rings.PublishBranch {
			return p.done(v, "service %q of application %q: versions are proposed on branches of their own, and wait for a merge into %q", name, app, v.Branch)
		}
		return p.done(v, "service %q of application %q: versions are pushed to branch %q", name, app, v.Branch)
	})
}

func setPublish(a *rings.Application, name rings.ServiceName, how rings.Publish) error {
	s, err := a.Service(name)
	if err == nil {
		s.Publish = how
	}
	return err
}
