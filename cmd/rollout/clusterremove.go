package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

type clusterRemoveOptions struct {
	clusterOptions
	uninstall       bool
	confirm, reason string
}

func (p *program) clusterRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "Forget a cluster, or take it off an application", ArgsUsage: "CLUSTER",
		Flags: []cli.Flag{appFlag(), &cli.BoolFlag{Name: "uninstall", Usage: "Take the application's labels off the cluster, so that Fleet uninstalls it there", DisableDefaultText: true},
			confirmFlag(), reasonFlag()},
		Description: "Without --uninstall only the record is forgotten: the cluster keeps its labels, and so it stays on its ring, for Fleet\n" +
			"and for rollouts. It shows what stays deployed there, and asks.\n" +
			"With --uninstall the application's labels are taken off, too, and Fleet uninstalls what it deployed by them. That takes two\n" +
			"steps: the first shows what goes; on a terminal it asks then, elsewhere it names the second command, with a --confirm that\n" +
			"fits only what was shown. The cluster itself stays registered with Fleet. Refused while a rollout is live on its ring.\n\n" +
			examples("rollout cluster remove eu-1 --app shop", "rollout cluster remove eu-1 --app shop --uninstall"),
		Action: func(c *cli.Context) error {
			return p.runClusterRemove(c.Context, clusterRemoveOptions{clusterOptionsOf(c), c.Bool("uninstall"), c.String("confirm"), c.String("reason")})
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
	if o.uninstall {
		return p.takeOff(ctx, db, &move{app: a, cluster: c.Name, exclusive: true}, o)
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

// takeOff takes the application's labels off a cluster, in two steps, and
// forgets it.
func (p *program) takeOff(ctx context.Context, db *store.DB, mv *move, o clusterRemoveOptions) error {
	m, err := p.managerOf(ctx, scopeOf(mv.app))
	if err != nil {
		return err
	}
	if err := mv.check(ctx, db, m); err != nil {
		return err
	}
	view := takenOffView{moveView: moveView{clusterView: clusterView{Name: mv.cluster, App: mv.app.Name}, From: mv.from}}
	if !maps.Equal(mv.labels, mv.before.Labels) {
		looked, err := p.lookAt(ctx, m, mv.app)
		if err != nil {
			return err
		}
		if view.Services, err = mv.effects(looked); err != nil {
			return err
		}
		p.showMove(mv, view.moveView)
		view.Confirm = tokenOf(mv.app.Manager, mv.app.Name, mv.cluster, mv.from, view.Services)
		again := fmt.Sprintf("rollout cluster remove %s --app %s --uninstall", mv.cluster, mv.app.Name)
		if err := p.twoSteps(o.confirm, view.Confirm, fmt.Sprintf("uninstall application %q from cluster %q?", mv.app.Name, mv.cluster), again); err != nil {
			return err
		}
		if err := mv.quiet(ctx, db); err != nil { // the answer may have taken its time
			return err
		}
		if _, err := m.SetLabels(ctx, mv.cluster, nil, mv.remove()); err != nil {
			return mv.owned(err)
		}
	}
	if _, err := db.RemoveCluster(ctx, mv.app.Name, mv.cluster, p.note(ctx, o.reason)); err != nil {
		return err
	}
	if view.Confirm = ""; view.Services == nil {
		view.Services = []moveServiceView{}
	}
	return p.done(view, "cluster %q has no label of application %q any more, and is forgotten; Fleet uninstalls %s there as soon as its agent hears of it",
		mv.cluster, mv.app.Name, cmpHint(join(view.gone()), "nothing"))
}

// gone are the services that are not deployed there afterwards.
func (v takenOffView) gone() []rings.ServiceName {
	var out []rings.ServiceName
	for _, s := range v.Services {
		if s.Before != "" && s.After == "" {
			out = append(out, s.Service)
		}
	}
	return out
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
