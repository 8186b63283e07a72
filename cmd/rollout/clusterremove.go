package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/rings"
)

type clusterRemoveOptions struct {
	clusterOptions
	reason string
}

func (p *program) clusterRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "Forget a cluster", ArgsUsage: "CLUSTER", Flags: []cli.Flag{appFlag(), reasonFlag()},
		Description: "Only the record is forgotten: the cluster keeps its labels, and so it stays on its ring, for Fleet and for rollouts.\n" +
			"It shows what stays deployed there, and asks. Refused while a rollout is live on its ring.\n\n" +
			examples("rollout cluster remove eu-1 --app shop"),
		Action: func(c *cli.Context) error {
			return p.runClusterRemove(c.Context, clusterRemoveOptions{clusterOptions: clusterOptionsOf(c), reason: c.String("reason")})
		},
	}
}

func (p *program) runClusterRemove(ctx context.Context, o clusterRemoveOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	c, err := record(ctx, db, o.clusterOptions)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, c.App)
	if err != nil {
		return err
	}
	if err := notWhileLive(ctx, db, c.App, c.Ring); err != nil {
		return err
	}
	left, seen := p.staying(ctx, a, a.Services)
	if seen {
		left = left.on(c.Name)
		p.showStays(a, left)
	}
	if err := p.confirm(fmt.Sprintf("forget cluster %q of application %q?", c.Name, c.App)); err != nil {
		return err
	}
	if _, err := db.RemoveCluster(ctx, c.App, c.Name, p.note(ctx, o.reason)); err != nil {
		return err
	}
	v := forgottenClusterView{viewCluster(c), remainsView{left.services, left.labels}}
	return p.done(v, "cluster %q of application %q is forgotten; its labels stay (%s), and so it stays on ring %q for Fleet and for rollouts",
		c.Name, c.App, labelWords(a.RingLabels(c.Ring)), c.Ring)
}

// on is what stays on one cluster.
func (s remains) on(cluster rings.ClusterName) remains {
	out := remains{services: []staysView{}, labels: []labelsView{}}
	for _, v := range s.services {
		if slices.Contains(v.Clusters, cluster) {
			v.Clusters = []rings.ClusterName{cluster}
			out.services = append(out.services, v)
		}
	}
	for _, l := range s.labels {
		if l.Cluster == cluster {
			out.labels = append(out.labels, l)
		}
	}
	return out
}
