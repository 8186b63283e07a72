package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) clusterCommand() *cli.Command {
	return &cli.Command{
		Name: "cluster", Category: "Describe", Usage: "Put clusters on the rings of applications",
		Description: "A cluster's ring is a label on its Fleet Cluster object; what is recorded here is who put it there.\n\n" +
			examples("rollout cluster add eu-1 --app shop --ring ring-1"),
		Subcommands: []*cli.Command{p.clusterAddCommand(), p.clusterListCommand(), p.clusterShowCommand(), p.clusterSiblingsCommand(),
			p.clusterSetRingCommand(), p.clusterRemoveCommand()},
	}
}

type clusterOptions struct {
	name rings.ClusterName
	app  rings.AppName
	ring rings.RingName
}

func clusterOptionsOf(c *cli.Context) clusterOptions {
	return clusterOptions{name: rings.ClusterName(c.Args().Get(0)), app: rings.AppName(c.String("app")), ring: rings.RingName(c.String("ring"))}
}

func appFlag() cli.Flag {
	return &cli.StringFlag{Name: "app", Usage: "`APP` that is meant"}
}

func ringFlag() cli.Flag {
	return &cli.StringFlag{Name: "ring", Usage: "`RING` that is meant"}
}

func (p *program) clusterListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List the clusters of all applications, or of one", Flags: []cli.Flag{appFlag(), ringFlag()},
		Description: examples("rollout cluster list", "rollout cluster list --app shop --ring ring-1"),
		Action:      func(c *cli.Context) error { return p.runClusterList(c.Context, clusterOptionsOf(c)) },
	}
}

func (p *program) runClusterList(ctx context.Context, o clusterOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		on := []rings.RingName{o.ring}
		if o.app != "" {
			a, err := db.App(ctx, o.app)
			if err == nil && o.ring != "" {
				on, err = a.Expand(on)
			}
			if err != nil {
				return err
			}
		}
		all, err := db.Clusters(ctx, o.app)
		if err != nil {
			return err
		}
		return p.printClusters(slices.DeleteFunc(all, func(c rings.Cluster) bool { return o.ring != "" && !slices.Contains(on, c.Ring) }),
			`no cluster is recorded; "rollout cluster add CLUSTER --app APP --ring RING" adds one`)
	})
}

func (p *program) printClusters(clusters []rings.Cluster, none string) error {
	views := []clusterView{}
	for _, c := range clusters {
		views = append(views, viewCluster(c))
	}
	return printList(p, listOf(views), none, []string{"CLUSTER", "APP", "RING", "ADDED BY", "ADDED"}, func(v clusterView) []string {
		return []string{string(v.Name), string(v.App), string(v.Ring), v.AddedBy, p.when(*v.AddedAt)}
	})
}

// records are what all applications, or one, know of the cluster.
func records(ctx context.Context, db *store.DB, o clusterOptions) ([]rings.Cluster, error) {
	all, err := db.Clusters(ctx, o.app)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range all {
		names = append(names, string(c.Name))
	}
	found := slices.DeleteFunc(all, func(c rings.Cluster) bool { return c.Name != o.name })
	if len(found) == 0 {
		e := &rings.UnknownError{Kind: "cluster", Name: string(o.name), Nearest: rings.Nearest(string(o.name), names)}
		if o.app != "" {
			e.Where = fmt.Sprintf("application %q", o.app)
		}
		return nil, e
	}
	return found, nil
}

// record is what the application knows of the cluster; without an application
// there must be just one that knows it.
func record(ctx context.Context, db *store.DB, o clusterOptions) (rings.Cluster, error) {
	found, err := records(ctx, db, o)
	if err != nil {
		return rings.Cluster{}, err
	}
	if len(found) > 1 {
		var apps []rings.AppName
		for _, c := range found {
			apps = append(apps, c.App)
		}
		return rings.Cluster{}, &usageError{what: fmt.Sprintf("cluster %q belongs to several applications: %s", o.name, join(apps)), hint: "say which with --app"}
	}
	return found[0], nil
}

func (p *program) clusterShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show which applications and rings a cluster belongs to", ArgsUsage: "CLUSTER", Flags: []cli.Flag{appFlag()},
		Description: examples("rollout cluster show eu-1"),
		Action:      func(c *cli.Context) error { return p.runClusterShow(c.Context, clusterOptionsOf(c)) },
	}
}

func (p *program) runClusterShow(ctx context.Context, o clusterOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		found, err := records(ctx, db, o)
		if err != nil {
			return err
		}
		return p.printClusters(found, "")
	})
}

func (p *program) clusterSiblingsCommand() *cli.Command {
	return &cli.Command{
		Name: "siblings", Usage: "List the other clusters on a cluster's ring", ArgsUsage: "CLUSTER", Flags: []cli.Flag{appFlag()},
		Description: examples("rollout cluster siblings eu-1 --app shop"),
		Action:      func(c *cli.Context) error { return p.runClusterSiblings(c.Context, clusterOptionsOf(c)) },
	}
}

func (p *program) runClusterSiblings(ctx context.Context, o clusterOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		c, err := record(ctx, db, o)
		if err != nil {
			return err
		}
		all, err := db.Clusters(ctx, c.App)
		if err != nil {
			return err
		}
		others := slices.DeleteFunc(all, func(s rings.Cluster) bool { return s.Ring != c.Ring || s.Name == c.Name })
		return p.printClusters(others, fmt.Sprintf("cluster %q is alone on ring %q of application %q", c.Name, c.Ring, c.App))
	})
}
