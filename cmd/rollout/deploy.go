package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

type deployOptions struct {
	ring     rings.RingName
	versions []string
	request  orchestrator.Request
	lock     bool // keep what is deployed
}

func (p *program) deployCommand() *cli.Command {
	return &cli.Command{
		Name: "deploy", Category: "Roll out", Usage: "Roll versions that you name out to a ring, whatever the plan says", ArgsUsage: "APP RING SERVICE=VERSION...",
		Description: "A rollout like any other, with the ring's own gates and on the record; only the ring before need not have\n" +
			"verified the versions. The plan stays as it is: to keep a version, plan it, too, or lock the services on the ring with\n" +
			"--lock until \"rollout unlock\", whatever becomes of the rollout.\n\n" +
			examples("rollout deploy shop ring-2 web=v9 --reason \"fixes the checkout\"", "rollout deploy shop ring-2 web.maxReplicas=20 --reason \"the fair\"", "rollout deploy shop ring-2 web=v9 api=v8 --reason \"incident 17\" --dry-run",
				"rollout deploy shop ring-2 web=v7 --reason \"incident 17\" --lock"),
		Flags: append([]cli.Flag{
			reasonFlag(),
			&cli.BoolFlag{Name: "lock", Usage: "Keep the versions: lock the services on the ring from the start on, for everybody else", DisableDefaultText: true},
			&cli.BoolFlag{Name: "redeploy", Usage: "Have Fleet deploy again also what is live already", DisableDefaultText: true},
			&cli.BoolFlag{Name: "override", Usage: "Go over versions that somebody else has set, locks and closed windows", DisableDefaultText: true},
			&cli.BoolFlag{Name: "allow-unhealthy-dependency", Usage: "Do not wait until the services that these depend on are healthy", DisableDefaultText: true},
		}, p.shipmentFlags()...),
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			o := deployOptions{ring: rings.RingName(args[1]), versions: args[2:], lock: c.Bool("lock"), request: orchestrator.Request{Link: p.link(), Options: orchestrator.Options{
				Redeploy: c.Bool("redeploy"), Override: c.Bool("override"), GoOver: c.Bool("override"), AllowUnhealthy: c.Bool("allow-unhealthy-dependency"), Reason: c.String("reason")}}}
			return p.runDeploy(c.Context, shipmentOf(c, rings.AppName(args[0])), o)
		},
	}
}

func (p *program) runDeploy(ctx context.Context, sh shipment, o deployOptions) error {
	wanted, err := assignments(o.versions)
	if err != nil {
		return err
	}
	if o.request.Options.Reason == "" {
		return &usageError{what: "rollout deploy: --reason is missing", hint: fmt.Sprintf("say why this goes past the plan; \"rollout plan set %s SERVICE=VERSION\" and \"rollout create %s %s\" is the usual way", sh.app, sh.app, o.ring)}
	}
	o.request.Rings = []rings.RingName{o.ring}
	o.request.Deploy = rings.Plan{}
	who, now := p.actor(ctx), p.now().UTC() // first runs with the store locked
	sh.first = func(a *rings.Application, g ground) (orchestrator.Created, error) {
		if err := checkPlan(a, wanted, nil); err != nil {
			return orchestrator.Created{}, err
		}
		setPlan(o.request.Deploy, wanted, "", time.Time{})
		r := o.request
		r.Empty, r.Locked = g.empty, g.locked
		created, err := orchestrator.New(a, r)
		if o.lock {
			created.Locks = keeping(created, who, now)
		}
		return created, err
	}
	return p.ship(ctx, sh)
}

// keeping are locks on what the rollout brings, by who starts it.
func keeping(c orchestrator.Created, who string, now time.Time) []rings.Lock {
	var out []rings.Lock
	for _, st := range c.Steps {
		if !st.Observed {
			out = append(out, rings.Lock{App: c.Scope.App, Ring: st.Ring, Service: st.Target.Service, Holder: who, By: who,
				Reason: "deployed " + st.Wants() + ": " + c.Options.Reason, Link: c.Link, At: now})
		}
	}
	return out
}
