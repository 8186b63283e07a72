package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type clusterRemoveOptions struct {
	clusterOptions
	uninstall       bool
	override        bool // go over locks and closed windows
	confirm, reason string
	timeout         time.Duration
}

// goneWait is how long Fleet may take until it has taken a cluster's deployments
// away.
const goneWait = 2 * time.Minute

func (p *program) clusterRemoveCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "Forget a cluster, or take it off an application", ArgsUsage: "CLUSTER",
		Flags: []cli.Flag{appFlag(), &cli.BoolFlag{Name: "uninstall", Usage: "Take the application's labels off the cluster, so that Fleet uninstalls it there", DisableDefaultText: true},
			confirmFlag(), overrideFlag(), reasonFlag(),
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to wait until Fleet has taken everything away, with --uninstall", Value: goneWait, DefaultText: orchestrator.Duration(goneWait)}},
		Description: "Without --uninstall only the record is forgotten: the cluster keeps its labels, and so it stays on its ring, for Fleet\n" +
			"and for rollouts. It shows what stays deployed there, and asks.\n" +
			"With --uninstall the application's labels are taken off, too, and Fleet uninstalls what it deployed by them. That takes two\n" +
			"steps: the first shows what goes; on a terminal it asks then, elsewhere it names the second command, with a --confirm that\n" +
			"fits only what was shown. It ends when Fleet has taken everything away; whether the cluster's agent has uninstalled it by then\n" +
			"cannot be seen. The cluster itself stays registered with Fleet. Refused while a rollout is live on its ring; with --uninstall\n" +
			"also while a lock or a closed window stands there, without --override.\n\n" +
			examples("rollout cluster remove eu-1 --app shop", "rollout cluster remove eu-1 --app shop --uninstall"),
		Action: func(c *cli.Context) error {
			return p.runClusterRemove(c.Context, clusterRemoveOptions{clusterOptionsOf(c), c.Bool("uninstall"), c.Bool("override"), c.String("confirm"), c.String("reason"), c.Duration("timeout")})
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
		if o.override && o.reason == "" {
			return overrideNeedsReason()
		}
		return p.takeOff(ctx, db, &move{app: a, cluster: c.Name, exclusive: true, override: o.override}, o)
	}
	left, seen := p.staying(ctx, a, a.Services)
	if seen {
		left = left.on(c.Name)
		p.showStays(a, left, fmt.Sprintf("rollout cluster remove %s --app %s --uninstall", c.Name, c.App))
	}
	if err := p.confirm(ctx, fmt.Sprintf("forget cluster %q of application %q?", c.Name, c.App)); err != nil {
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
		if err := p.unbarred(ctx, db, mv); err != nil {
			return err
		}
		p.showMove(mv, view.moveView)
		view.Confirm = tokenOf(mv.app.Manager, mv.app.Name, mv.cluster, mv.from, view.Services, mv.over)
		again := fmt.Sprintf("rollout cluster remove %s --app %s --uninstall", mv.cluster, mv.app.Name)
		if len(mv.over) > 0 {
			again += " --override --reason WORDS"
		}
		if err := p.twoSteps(ctx, o.confirm, view.Confirm, fmt.Sprintf("uninstall application %q from cluster %q?", mv.app.Name, mv.cluster), again); err != nil {
			return err
		}
		if err := cmp.Or(mv.quiet(ctx, db), p.unbarred(ctx, db, mv)); err != nil { // the answer may have taken its time
			return err
		}
		if _, err := m.SetLabels(ctx, mv.cluster, nil, mv.remove()); err != nil {
			return mv.owned(err)
		}
	}
	if _, err := db.RemoveCluster(ctx, mv.app.Name, mv.cluster, mv.note(p.note(ctx, o.reason))); err != nil {
		return err
	}
	if view.Confirm = ""; view.Services == nil {
		view.Services = []moveServiceView{}
	}
	return p.awaitGone(ctx, m, mv, view, o.timeout)
}

// awaitGone waits until Fleet has taken away what the labels had brought, and
// says what cannot be seen.
func (p *program) awaitGone(ctx context.Context, m *fleet.Manager, mv *move, view takenOffView, timeout time.Duration) error {
	waiting, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	left, err := m.AwaitGone(waiting, mv.before, mv.targets(view.gone()), func(there []rings.ServiceName) {
		if len(there) > 0 && p.flags.output == "text" {
			p.say("waiting: Fleet has not taken away %s", join(there))
		}
	})
	off := fmt.Sprintf("cluster %q has no label of application %q any more, and is forgotten", mv.cluster, mv.app.Name)
	hint := fmt.Sprintf("\"kubectl get bundledeployments --namespace %s\" shows what is there", mv.before.Namespace)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &commandError{exit: exitTimeout, code: "timeout", err: err, hint: hint, what: fmt.Sprintf("%s; but after %s Fleet has not taken away %s", off, orchestrator.Duration(timeout), join(left))}
	case errors.Is(err, context.Canceled):
		return &commandError{exit: exitInterrupted, code: "interrupted", err: err, hint: hint, what: fmt.Sprintf("interrupted; %s; Fleet goes on taking away %s", off, join(left))}
	case err != nil:
		return fmt.Errorf("%s; whether Fleet has taken everything away could not be seen: %w", off, err)
	case len(view.gone()) == 0:
		return p.done(view, "%s; nothing goes away by that", off)
	}
	return p.done(view, "%s; Fleet has taken away %s. Whether its agent has uninstalled it cannot be seen from here: it %s, and does it as soon as it hears of it",
		off, join(view.gone()), lastSign(mv.before))
}

// lastSign is when the cluster's agent was heard from.
func lastSign(c fleet.Cluster) string {
	if c.LastSeen.IsZero() {
		return "has never checked in"
	}
	return "last checked in at " + stamp(c.LastSeen)
}

// targets are where Fleet has the services.
func (mv *move) targets(services []rings.ServiceName) []orchestrator.Target {
	var out []orchestrator.Target
	for _, s := range mv.app.Services {
		if slices.Contains(services, s.Name) {
			out = append(out, orchestrator.TargetOf(s))
		}
	}
	return out
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
