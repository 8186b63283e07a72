package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

func (p *program) ringCommand() *cli.Command {
	return &cli.Command{
		Name: "ring", Category: "Describe", Usage: "Describe the rings of an application",
		Description: "A ring is a group of clusters that is rolled out together; rings have an order.\n\n" + examples("rollout ring create shop ring-1"),
		Subcommands: []*cli.Command{p.ringCreateCommand(), p.ringListCommand(), p.ringShowCommand(), p.ringUpdateCommand(), p.ringDeleteCommand(), p.ringGroupCommand()},
	}
}

type ringOptions struct {
	app    rings.AppName
	ring   rings.RingName
	after  rings.RingName
	policy policyChange
}

func ringFlags() []cli.Flag {
	flags := []cli.Flag{&cli.StringFlag{Name: "after", Usage: "`RING` that goes before it", DefaultText: "the last one"}}
	for _, f := range policyFlags() {
		flags = append(flags, f.flag)
	}
	return flags
}

func ringOptionsOf(c *cli.Context) ringOptions {
	return ringOptions{app: rings.AppName(c.Args().Get(0)), ring: rings.RingName(c.Args().Get(1)), after: rings.RingName(c.String("after")),
		policy: policyChangeOf(c)}
}

func (p *program) ringCreateCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "Add a ring to an application", ArgsUsage: "APP RING", Flags: ringFlags(),
		Description: "A deadline of 0 is the default.\n\n" + checkUsage + "\n\n" + startsUsage + "\n\n" +
			examples("rollout ring create shop ring-1", "rollout ring create shop canary --after ring-1 --soak 1h --on-failure rollback",
				"rollout ring create shop ring-2 --approve-before --check 'smoke=command ./smoke.sh; interval=30s'"),
		Action: func(c *cli.Context) error { return p.runRingCreate(c.Context, ringOptionsOf(c)) },
	}
}

func (p *program) runRingCreate(ctx context.Context, o ringOptions) error {
	return p.changeRing(ctx, o, "created", func(a *rings.Application) error {
		ring := rings.Ring{Name: o.ring}
		if err := o.policy.apply(a.Name, &ring); err != nil {
			return err
		}
		return addRing(a, ring, o.after)
	})
}

// addRing adds a new ring after the named one, or at the end.
func addRing(a *rings.Application, ring rings.Ring, after rings.RingName) error {
	if _, err := a.Ring(ring.Name); err == nil {
		return fmt.Errorf("ring %q of application %q: %w", ring.Name, a.Name, rings.ErrExists)
	}
	if err := ring.Validate(); err != nil {
		return err
	}
	return insertRing(a, ring, after)
}

// insertRing puts the ring after the named one, or at the end.
func insertRing(a *rings.Application, ring rings.Ring, after rings.RingName) error {
	at := len(a.Rings)
	if after != "" {
		if _, err := a.Ring(after); err != nil {
			return err
		}
		at = slices.Index(a.RingNames(), after) + 1
	}
	a.Rings = slices.Insert(a.Rings, at, ring)
	return nil
}

// changeRing changes the application and prints the ring as it is then.
func (p *program) changeRing(ctx context.Context, o ringOptions, done string, change func(*rings.Application) error) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		newest, err := newestRelease(ctx, db, o.app)
		if err != nil {
			return err
		}
		if err := db.UpdateApp(ctx, o.app, startingFrom(o.ring, p.now(), newest, change)); err != nil {
			return err
		}
		v, err := p.loadRing(ctx, db, o.app, o.ring)
		if err != nil {
			return err
		}
		return p.done(v, "ring %q of application %q %s: %s", o.ring, o.app, done, ringWords(v))
	})
}

// startingFrom is the change of a ring after which what starts there by itself
// counts from now on.
func startingFrom(name rings.RingName, now time.Time, newest int, change func(*rings.Application) error) func(*rings.Application) error {
	return func(a *rings.Application) error {
		var was rings.Ring
		if r, err := a.Ring(name); err == nil {
			was = *r
		}
		if err := change(a); err != nil {
			return err
		}
		r, err := a.Ring(name)
		if err == nil {
			r.StartsFrom(was, now, newest)
		}
		return err
	}
}

func ringWords(v ringView) string {
	place := "goes first"
	if v.After != "" {
		place = fmt.Sprintf("after %q", v.After)
	}
	words := append([]string{place, "deadline " + v.Deadline, "uptake deadline " + v.UptakeDeadline}, v.policyWords()...)
	return strings.Join(words, ", ")
}

// policyWords are what differs from the default, deadlines apart.
func (v ringView) policyWords() []string { return append(policyWords(v.policy), v.Starts.words()...) }

func (p *program) loadRing(ctx context.Context, db *store.DB, app rings.AppName, name rings.RingName) (ringView, error) {
	views, err := p.loadRings(ctx, db, app)
	if err != nil {
		return ringView{}, err
	}
	i := slices.IndexFunc(views, func(v ringView) bool { return v.Name == name })
	if i < 0 {
		a, err := db.App(ctx, app)
		if err == nil {
			_, err = a.Ring(name)
		}
		return ringView{}, err
	}
	return views[i], nil
}

func (p *program) loadRings(ctx context.Context, db *store.DB, app rings.AppName) ([]ringView, error) {
	a, err := db.App(ctx, app)
	if err != nil {
		return nil, err
	}
	clusters, err := db.Clusters(ctx, app)
	if err != nil {
		return nil, err
	}
	views := []ringView{}
	for i := range a.Rings {
		views = append(views, viewRing(a, i, clusters, p.now()))
	}
	return views, nil
}

func (p *program) ringListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "List an application's rings in their order", ArgsUsage: "APP", Description: examples("rollout ring list shop"),
		Action: func(c *cli.Context) error { return p.runRingList(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

func (p *program) runRingList(ctx context.Context, app rings.AppName) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		views, err := p.loadRings(ctx, db, app)
		if err != nil {
			return err
		}
		return printList(p, listOf(views), fmt.Sprintf("application %q has no ring; \"rollout ring create %s RING\" adds one", app, app),
			[]string{"RING", "AFTER", "DEADLINE", "UPTAKE", "CLUSTERS", "POLICY"}, func(v ringView) []string {
				return []string{string(v.Name), string(v.After), v.Deadline, v.UptakeDeadline, fmt.Sprint(len(v.Clusters)), strings.Join(v.policyWords(), ", ")}
			})
	})
}

func (p *program) ringShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "Show a ring", ArgsUsage: "APP RING", Description: examples("rollout ring show shop ring-1"),
		Action: func(c *cli.Context) error { return p.runRingShow(c.Context, ringOptionsOf(c)) },
	}
}

func (p *program) runRingShow(ctx context.Context, o ringOptions) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		v, err := p.loadRing(ctx, db, o.app, o.ring)
		if err != nil {
			return err
		}
		return p.print(v, func(w io.Writer) error {
			return pairs(w, ringPairs(v)...)
		})
	})
}

// ringPairs are all that there is to say of a ring.
func ringPairs(v ringView) []string {
	out := []string{"name", string(v.Name), "application", string(v.App), "after", string(v.After),
		"deadline", v.Deadline, "uptake deadline", v.UptakeDeadline, "merge deadline", v.MergeDeadline, "approval", approvalWords(v.policy), "soak", soakWords(v.policy),
		"max failed", v.MaxFailed, "on offline", offlineWords(v.policy), "on failure", v.OnFailure, "on join", v.OnJoin, "freeze upstream", yesNo(v.FreezeUpstream)}
	for _, c := range v.policy.Checks {
		out = append(out, "check "+c.Name, checkSpec(c))
	}
	out = append(out, v.Starts.pairs()...)
	return append(out, "groups", join(v.Groups), "clusters", join(v.Clusters))
}

func (p *program) ringUpdateCommand() *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "Change a ring's place or policy", ArgsUsage: "APP RING", Flags: ringFlags(),
		Description: "What is not named stays. A deadline of 0 is the default. Live rollouts keep what they began with.\n\n" +
			checkUsage + "\n\n" + startsUsage + "\n\n" +
			examples("rollout ring update shop ring-2 --train \"0 6 * * 1-5\" --time-zone Europe/Berlin", "rollout ring update shop ring-1 --on-release start",
				"rollout ring update shop ring-2 --deadline 30m --approve-before=false", "rollout ring update shop ring-2 --max-failed 10% --on-failure pause",
				"rollout ring update shop ring-2 --check 'errors=prometheus http://prom:9090 sum(rate(errors[5m])) <= 0.01; samples=5'"),
		Action: func(c *cli.Context) error { return p.runRingUpdate(c.Context, ringOptionsOf(c)) },
	}
}

func (p *program) runRingUpdate(ctx context.Context, o ringOptions) error {
	if o.after == "" && len(o.policy.given) == 0 {
		return &usageError{what: "rollout ring update: nothing to change", hint: "name --after or a flag of the policy: \"rollout ring update --help\" lists them"}
	}
	return p.changeRing(ctx, o, "updated", func(a *rings.Application) error { return updateRing(a, o) })
}

func updateRing(a *rings.Application, o ringOptions) error {
	r, err := a.Ring(o.ring)
	if err != nil {
		return err
	}
	if err := o.policy.apply(a.Name, r); err != nil {
		return err
	}
	if err := r.Validate(); err != nil || o.after == "" {
		return err
	}
	return moveRing(a, o.ring, o.after)
}

// moveRing puts the ring after the named one.
func moveRing(a *rings.Application, name, after rings.RingName) error {
	if after == name {
		return &usageError{what: fmt.Sprintf("ring %q cannot go after itself", name)}
	}
	r, err := a.Ring(name)
	if err != nil {
		return err
	}
	ring := *r
	a.Rings = slices.DeleteFunc(a.Rings, func(r rings.Ring) bool { return r.Name == name })
	return insertRing(a, ring, after)
}

func (p *program) ringDeleteCommand() *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "Forget a ring", ArgsUsage: "APP RING", Flags: []cli.Flag{reasonFlag()},
		Description: "Only what rollout knows of it is forgotten: its policy, and which versions are there; files and what runs stay. It\n" +
			"asks. Refused while clusters are on it, recorded here or by their labels in Fleet, or a rollout is live there.\n\n" +
			examples("rollout ring delete shop ring-2"),
		Action: func(c *cli.Context) error { return p.runRingDelete(c.Context, ringOptionsOf(c), c.String("reason")) },
	}
}

func (p *program) runRingDelete(ctx context.Context, o ringOptions, reason string) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	v, err := p.loadRing(ctx, db, o.app, o.ring)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, o.app)
	if err != nil {
		return err
	}
	if err := notWhileLive(ctx, db, o.app, o.ring); err != nil {
		return err
	}
	if err := cmp.Or(ringInUse(o, "cluster", v.Clusters), ringInUse(o, "ring group", v.Groups)); err != nil {
		return err
	}
	left, seen := p.staying(ctx, a, nil)
	if err := ringInUse(o, kindLabel, left.labelled(o.ring)); err != nil {
		return err
	}
	if seen && p.flags.output == "text" {
		p.say("nothing is uninstalled: no cluster is on ring %q; its entries in the files stay as they are", o.ring)
	}
	if err := p.confirm(ctx, fmt.Sprintf("forget ring %q of application %q with its policy?", o.ring, o.app)); err != nil {
		return err
	}
	if _, err := db.RemoveRing(ctx, o.app, o.ring, p.note(ctx, reason)); err != nil {
		return err
	}
	return p.done(v, "ring %q of application %q is forgotten; labels, files and what runs stay as they are", o.ring, o.app)
}

// kindLabel is of clusters that were not added here, and whose labels put them on
// a ring all the same.
const kindLabel = "label of cluster"

// ringInUse refuses while anything of the kind needs the ring.
func ringInUse[N ~string](o ringOptions, kind string, by []N) error {
	if len(by) == 0 {
		return nil
	}
	e := &rings.InUseError{Kind: "ring", Name: string(o.ring), App: o.app, ByKind: kind}
	for _, name := range by {
		e.By = append(e.By, string(name))
	}
	return e
}
