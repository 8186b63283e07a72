package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type clusterAddOptions struct {
	clusterOptions
	register string // the kubeconfig of a cluster that Fleet does not know
	token    bool
	timeout  time.Duration // 0: agentWait
	ttl      time.Duration // 0: tokenTTL
}

func (p *program) clusterAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "Put a cluster on a ring of an application, and register it with Fleet if need be", ArgsUsage: "CLUSTER",
		Flags: []cli.Flag{appFlag(), ringFlag(),
			&cli.StringFlag{Name: "register", Usage: "Register the cluster with Fleet first, by `FILE`: the cluster's own kubeconfig"},
			&cli.BoolFlag{Name: "token", Usage: "Print the command that registers the cluster from its own side", DisableDefaultText: true},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to wait for a new cluster's agent, or for Fleet's token", DefaultText: orchestrator.Duration(agentWait)},
			&cli.DurationFlag{Name: "ttl", Usage: "`TIME` that the token of --token is good for", DefaultText: orchestrator.Duration(tokenTTL)}},
		Description: "Sets the application's labels on the Fleet Cluster object, or on Rancher's provisioning Cluster where Rancher writes\n" +
			"them. Fleet acts on labels at once, so it shows first what Fleet will deploy, and asks. Labels that another application uses are never changed.\n\n" +
			"A cluster that Fleet does not know is registered in one of two ways. With --register, Fleet gets the current context of\n" +
			"that kubeconfig in a Secret and installs its agent in the cluster, which it must be able to reach; the command waits until the agent\n" +
			"has checked in, and sets the labels then. With --token, it prints a command that installs the agent from the cluster's side;\n" +
			"when the agent has checked in, \"cluster add\" puts it on its ring.\n\n" +
			examples("rollout cluster add eu-1 --app shop --ring ring-1", "rollout cluster add eu-1 --app shop --ring ring-1 --yes",
				"rollout cluster add eu-7 --app shop --ring ring-2 --register eu-7.kubeconfig", "rollout cluster add eu-8 --app shop --ring ring-2 --token"),
		Action: func(c *cli.Context) error {
			return p.runClusterAdd(c.Context, clusterAddOptions{clusterOptions: clusterOptionsOf(c), register: c.String("register"), token: c.Bool("token"),
				timeout: c.Duration("timeout"), ttl: c.Duration("ttl")})
		},
	}
}

func (p *program) runClusterAdd(ctx context.Context, o clusterAddOptions) error {
	if o.app == "" || o.ring == "" {
		return &usageError{what: "rollout cluster add: --app and --ring are needed", hint: fmt.Sprintf("rollout cluster add %s --app APP --ring RING", o.name)}
	}
	if err := o.check(); err != nil {
		return err
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	mv, err := moveOnto(ctx, db, o.clusterOptions)
	if err != nil {
		return err
	}
	o.timeout, o.ttl = cmp.Or(o.timeout, agentWait), cmp.Or(o.ttl, tokenTTL)
	switch {
	case o.token:
		return p.runToken(ctx, mv, o)
	case o.register != "":
		return p.runRegister(ctx, db, mv, o)
	}
	return p.orRegister(mv, p.relabel(ctx, db, mv))
}

// orRegister adds to the error the flag that was probably meant, where
// --kubeconfig names something that is not the application's manager: it may be
// that of the new cluster.
func (p *program) orRegister(mv *move, err error) error {
	if err == nil || p.flags.kubeconfig == "" {
		return err
	}
	v := classify(err)
	if v.exit != exitInvalid && v.exit != exitNotFound {
		return err
	}
	return &commandError{exit: v.exit, code: v.code, what: err.Error(), err: err,
		hint: fmt.Sprintf("%s; --kubeconfig is the manager's: a new cluster is registered with \"rollout cluster add %s --app %s --ring %s --register %s\"", v.hint, mv.cluster, mv.app.Name, mv.to, p.flags.kubeconfig)}
}

// check refuses flags that do not go together.
func (o clusterAddOptions) check() error {
	switch {
	case o.register != "" && o.token:
		return &usageError{what: "rollout cluster add: --register and --token exclude each other", hint: "--register lets Fleet install the agent; --token is for installing it from the cluster's side"}
	case o.ttl > 0 && !o.token:
		return &usageError{what: "rollout cluster add: --ttl is for --token", hint: "leave it out"}
	case o.timeout > 0 && o.register == "" && !o.token:
		return &usageError{what: "rollout cluster add: --timeout is for --register and --token", hint: "leave it out"}
	case o.register == "" && !o.token:
		return nil
	}
	if fault := rings.CheckName("cluster", string(o.name)); fault != "" {
		return invalid("choose another name for it", "%s", fault)
	}
	return nil
}

// moveOnto is a cluster's move to a ring that there is, unless it is on another.
func moveOnto(ctx context.Context, db *store.DB, o clusterOptions) (*move, error) {
	a, err := db.App(ctx, o.app)
	if err != nil {
		return nil, err
	}
	if _, err := a.Ring(o.ring); err != nil {
		return nil, err
	}
	if c, err := db.Cluster(ctx, o.app, o.name); err == nil && c.Ring != o.ring {
		return nil, conflict(fmt.Sprintf("rollout cluster set-ring %s %s --app %s", o.name, o.ring, o.app),
			"cluster %q of application %q: it is on ring %q already", o.name, o.app, c.Ring)
	}
	return &move{app: a, cluster: o.name, to: o.ring}, nil
}
