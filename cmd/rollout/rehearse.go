package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"rollout/orchestrator/sim"
	"rollout/rings"
	"rollout/store"
)

const (
	// madeUp is how many clusters are simulated when none are recorded.
	madeUp = 100
	// mostClusters is more than anybody waits for.
	mostClusters = 100_000
)

func (p *program) rehearseCommand() *cli.Command {
	return &cli.Command{
		Name: "rehearse", Category: "Roll out", Usage: "Try a rollout on a simulated fleet: how long, and what stops which fault", ArgsUsage: "[APP] [RING...]",
		Description: "The real engine, editor and policies, in virtual time; it needs no Fleet and no network, and changes nothing.\n" +
			"Without APP it rolls a sample out: db, api and web, on three rings that soak for an hour. Without RING it goes\n" +
			"through all rings. The fleet has the clusters that are recorded for APP; --clusters shares another number out\n" +
			"among the rings in the same proportion, or doubling from ring to ring when none are recorded. Delays spread from\n" +
			"half to one and a half of their time. A BEHAVIOUR is never-ready (if none is given), install-fails, deploy-fails,\n" +
			"fails-checks, or ready-then-fails:TIME.\n\n" +
			examples("rollout rehearse", "rollout rehearse --clusters 1000 --bad api=ready-then-fails:20m",
				"rollout rehearse shop --through ring-2 --failure-rate 1% --max-failed 5%", "rollout rehearse shop --offline 2% --runs 20 -o json"),
		Flags:  slices.Concat(rehearsalFlags(), triedPolicyFlags()),
		Action: func(c *cli.Context) error { return p.runRehearse(c) },
	}
}

func rehearsalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "through", Usage: "All rings up to `RING`", DefaultText: "all rings"},
		&cli.StringSliceFlag{Name: "only", Usage: "`SERVICES` of the plan, with commas", DefaultText: "all"},
		&cli.StringSliceFlag{Name: "plan", Usage: "`SERVICE=VERSION` that the plan would have", DefaultText: "as it is; an empty plan is \"next\" of every service"},
		&cli.IntFlag{Name: "clusters", Usage: "`N` clusters in all", DefaultText: "those that are recorded, or 100"},
		&cli.StringSliceFlag{Name: "bad", Usage: "`SERVICE[=BEHAVIOUR]` whose new version is bad on every cluster"},
		&cli.StringFlag{Name: "failure-rate", Usage: "`N%` of the new versions, for each cluster and service, that never get ready", DefaultText: "0%"},
		&cli.StringFlag{Name: "offline", Usage: "`N%` of the clusters whose agent is away", DefaultText: "0%"},
		&cli.DurationFlag{Name: "uptake", Usage: "`TIME` from a push until Fleet has read it", Value: 5 * time.Second},
		&cli.DurationFlag{Name: "apply", Usage: "`TIME` until an agent has applied it", Value: 20 * time.Second},
		&cli.DurationFlag{Name: "ready", Usage: "`TIME` from then until a service is ready", Value: 40 * time.Second},
		&cli.DurationFlag{Name: "approval-delay", Usage: "`TIME` that persons take to approve", DefaultText: "0s"},
		&cli.IntFlag{Name: "seed", Usage: "`N` that all chance is drawn from; the same one gives the same rehearsal", Value: 1},
		&cli.IntFlag{Name: "runs", Usage: "`N` rehearsals, from that seed on: the first one, and the median and worst of all", Value: 1},
	}
}

// triedPolicyFlags are those of a ring's policy that can be tried on all rings.
func triedPolicyFlags() []cli.Flag {
	const own = "each ring's own"
	return []cli.Flag{
		&cli.DurationFlag{Name: "soak", Usage: "Try `TIME` as the soak of all rings", DefaultText: own},
		&cli.StringFlag{Name: "max-failed", Usage: "Try `N` or N% as what may fail in all rings", DefaultText: own},
		&cli.StringFlag{Name: "on-failure", Usage: "Try `WHAT` as what follows when a ring fails: stop, pause, rollback-ring or rollback", DefaultText: own},
	}
}

// rehearsal is what is to be rehearsed.
type rehearsal struct {
	app     *rings.Application
	sample  bool
	options sim.RehearseOptions
	runs    int
}

func (p *program) runRehearse(c *cli.Context) error {
	r, err := p.rehearsalOf(c)
	if err != nil {
		return err
	}
	all, err := r.play(c.Context)
	if err != nil {
		return r.explain(err)
	}
	v := viewRehearsal(r, all)
	if err := p.print(v, func(w io.Writer) error { return printLines(w, v.lines(p.style(p.terminal))) }); err != nil {
		return err
	}
	if len(v.Faults) == 0 && p.flags.output == "text" {
		p.say("hint: see what would stop a fault: --bad %s, --failure-rate 1%%, --offline 2%%", r.app.Services[0].Name)
	}
	return nil
}

func (p *program) rehearsalOf(c *cli.Context) (*rehearsal, error) {
	r, recorded, err := p.rehearsedApp(c)
	if err != nil {
		return nil, err
	}
	for _, set := range []func(*cli.Context) error{r.setRings, r.setPlan, r.setPolicies, r.setFaults, r.setSeeds} {
		if err := set(c); err != nil {
			return nil, r.explain(err)
		}
	}
	return r, r.setClusters(c, recorded)
}

// rehearsedApp is the application that is named, with its recorded clusters, or
// the sample.
func (p *program) rehearsedApp(c *cli.Context) (*rehearsal, []rings.Cluster, error) {
	if c.Args().Len() == 0 {
		return &rehearsal{app: sim.Sample(), sample: true}, nil, nil
	}
	r := &rehearsal{}
	var recorded []rings.Cluster
	err := p.withApp(c.Context, rings.AppName(c.Args().First()), func(ctx context.Context, db *store.DB, a *rings.Application) (err error) {
		r.app = a
		recorded, err = db.Clusters(ctx, a.Name)
		return err
	})
	switch {
	case err != nil:
		return nil, nil, err
	case len(r.app.Rings) == 0:
		return nil, nil, invalid(fmt.Sprintf("rollout ring create %s RING", r.app.Name), "application %q has no rings", r.app.Name)
	case len(r.app.Services) == 0:
		return nil, nil, invalid(fmt.Sprintf("rollout service add %s SERVICE --repo URL", r.app.Name), "application %q has no services", r.app.Name)
	}
	return r, recorded, nil
}

// explain gives an error about the sample a hint that fits it.
func (r *rehearsal) explain(err error) error {
	if r.sample && errors.Is(err, rings.ErrUnknown) {
		return notFound(fmt.Sprintf("the sample has the services %s and the rings %s", join(r.app.ServiceNames()), join(r.app.RingNames())), "%s", err)
	}
	return err
}

func (r *rehearsal) setRings(c *cli.Context) error {
	q := &r.options.Request
	for _, name := range c.Args().Tail() {
		q.Rings = append(q.Rings, rings.RingName(name))
	}
	through := rings.RingName(c.String("through"))
	if through != "" && len(q.Rings) > 0 {
		return &usageError{what: "rollout rehearse: rings and --through exclude each other", hint: fmt.Sprintf("rollout rehearse %s --through %s", r.app.Name, through)}
	}
	if len(q.Rings) == 0 {
		names := r.app.RingNames()
		q.Rings, q.Through = []rings.RingName{rings.RingName(cmpHint(string(through), string(names[len(names)-1])))}, true
	}
	return nil
}

// setPlan makes the plan what it would be; an empty one is "next" of all.
func (r *rehearsal) setPlan(c *cli.Context) error {
	wanted, err := assignments(c.StringSlice("plan"))
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if w.setting != "" {
			return &usageError{what: fmt.Sprintf("%s: a rehearsal is about versions, not settings", w), hint: "name a version: --plan SERVICE=VERSION"}
		}
	}
	if err := checkPlan(r.app, wanted, nil); err != nil {
		return err
	}
	plan := rings.Plan{}
	for name, v := range r.app.Plan.Versions() {
		plan[name] = rings.PlanEntry{Version: v}
	}
	for _, w := range wanted {
		plan[w.service] = rings.PlanEntry{Version: w.version}
	}
	if len(plan) == 0 {
		for _, name := range r.app.ServiceNames() {
			plan[name] = rings.PlanEntry{Version: "next"}
		}
	}
	r.app.Plan = plan
	r.options.Request.Only = serviceNames(c.StringSlice("only"))
	for _, name := range r.options.Request.Only {
		if _, err := r.app.Service(name); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsal) setPolicies(c *cli.Context) error {
	change := policyChangeOf(c)
	for i := range r.app.Rings {
		if err := change.apply(r.app.Name, &r.app.Rings[i]); err != nil {
			return err
		}
		if err := r.app.Rings[i].Validate(); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsal) setFaults(c *cli.Context) (err error) {
	o := &r.options
	o.Uptake, o.Apply, o.Ready, o.ApproveAfter = c.Duration("uptake"), c.Duration("apply"), c.Duration("ready"), c.Duration("approval-delay")
	if o.FailureRate, err = rate(c, "failure-rate"); err != nil {
		return err
	}
	if o.Offline, err = rate(c, "offline"); err != nil {
		return err
	}
	o.Bad = map[rings.ServiceName]sim.Behaviour{}
	for _, word := range c.StringSlice("bad") {
		service, what, _ := strings.Cut(word, "=")
		if _, err := r.app.Service(rings.ServiceName(service)); err != nil {
			return err
		}
		if o.Bad[rings.ServiceName(service)], err = behaviour(what); err != nil {
			return err
		}
	}
	return nil
}

// rate reads a share: "5%".
func rate(c *cli.Context, flag string) (float64, error) {
	text := c.String(flag)
	if text == "" {
		return 0, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(n >= 0 && n <= 100) {
		return 0, &usageError{what: fmt.Sprintf("flag --%s: %q is not a percentage such as 5%%", flag, text)}
	}
	return n / 100, nil
}

// behaviours are those that a person can ask for; the first is meant when none
// is named.
var behaviours = []sim.BehaviourKind{sim.NeverReady, sim.InstallFails, sim.DeployFails, sim.FailsChecks, sim.ReadyThenFails}

func behaviour(text string) (sim.Behaviour, error) {
	kind, after, timed := strings.Cut(cmpHint(text, string(behaviours[0])), ":")
	b := sim.Behaviour{Kind: sim.BehaviourKind(kind)}
	wrong := &usageError{what: fmt.Sprintf("flag --bad: there is no behaviour %q", text), hint: "never-ready, install-fails, deploy-fails, fails-checks or ready-then-fails:20m"}
	if !slices.Contains(behaviours, b.Kind) || timed != (b.Kind == sim.ReadyThenFails) {
		return b, wrong
	}
	if !timed {
		return b, nil
	}
	var err error
	if b.After, err = time.ParseDuration(after); err != nil || b.After <= 0 {
		return b, wrong
	}
	return b, nil
}

func (r *rehearsal) setSeeds(c *cli.Context) error {
	r.options.Seed, r.runs = uint64(c.Int("seed")), c.Int("runs")
	if r.runs == 0 {
		return &usageError{what: "flag --runs: at least 1 is needed"}
	}
	return nil
}

// setClusters gives the fleet the clusters that are recorded, or as many as are
// asked for.
func (r *rehearsal) setClusters(c *cli.Context, recorded []rings.Cluster) error {
	names, there := map[rings.RingName][]rings.ClusterName{}, map[rings.RingName]int{}
	known := 0
	for _, cluster := range recorded {
		if _, err := r.app.Ring(cluster.Ring); err == nil {
			names[cluster.Ring] = append(names[cluster.Ring], cluster.Name)
			there[cluster.Ring]++
			known++
		}
	}
	switch n := c.Int("clusters"); {
	case c.IsSet("clusters") && (n == 0 || n > mostClusters):
		return &usageError{what: fmt.Sprintf("flag --clusters: %d is not from 1 to %d", n, mostClusters)}
	case c.IsSet("clusters"):
		names = sim.ClusterNames(r.app, there, n)
	case known == 0:
		names = sim.ClusterNames(r.app, there, madeUp)
	}
	r.options.Clusters = names
	return nil
}

// play makes the rehearsals, several at a time, in the order of their seeds.
func (r *rehearsal) play(ctx context.Context) ([]sim.Rehearsal, error) {
	all := make([]sim.Rehearsal, r.runs)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i := range all {
		g.Go(func() (err error) {
			o := r.options
			o.Seed, o.Stop = o.Seed+uint64(i), ctx.Err
			all[i], err = sim.Rehearse(r.app, o)
			return err
		})
	}
	return all, g.Wait()
}
