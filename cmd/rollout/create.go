package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// shipment is a rollout that is to be created, and what is to become of it.
type shipment struct {
	app rings.AppName
	// first makes the rollout's first event from the application as it is.
	first      func(a *rings.Application, g ground) (orchestrator.Created, error)
	dryRun     bool
	detach     bool
	timeout    time.Duration
	background bool
	tag        string // for the repositories that it changes; "" for none
}

// ground is what is known of the rings before a rollout begins.
type ground struct {
	empty  []rings.RingName                // that no cluster carries the label of
	locked map[rings.RingName][]rings.Lock // that reach it
	// changed are the services that a train leaves, each with who changed its file.
	changed map[rings.ServiceName]string
}

// shipmentFlags are those of every command that creates a rollout.
func (p *program) shipmentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Usage: "Print what would happen, and change nothing", DisableDefaultText: true},
		&cli.BoolFlag{Name: "detach", Usage: "Do not follow: leave it to a background process", DisableDefaultText: true},
		&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to follow at most; the rollout goes on", DefaultText: "to its end"},
		&cli.StringFlag{Name: "tag", Usage: "Put an annotated tag `NAME` on each repository that was changed, when the rollout ends well"},
		p.backgroundFlag(),
	}
}

func shipmentOf(c *cli.Context, app rings.AppName) shipment {
	return shipment{app: app, dryRun: c.Bool("dry-run"), detach: c.Bool("detach"), timeout: c.Duration("timeout"), tag: c.String("tag"), background: !c.Bool("no-background")}
}

func (p *program) createCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Category: "Roll out", Usage: "Roll the plan, or a release, out to rings, one after the other", ArgsUsage: "APP [RING...]",
		Description: "Says what it is going to ship, and follows the rollout to its end. The first Ctrl-C, --detach and --timeout\n" +
			"leave it to a background process: it goes on. A ring whose upstream is not of the rollout needs that the\n" +
			"same versions were verified there before.\n\n" +
			examples("rollout create shop ring-1 --dry-run", "rollout create shop ring-1 ring-2", "rollout create shop --through ring-3",
				"rollout create shop ring-1 --release 3", "rollout create shop ring-1 --only db --timeout 30m -o json"),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "through", Usage: "All rings up to `RING`; those before it may be empty"},
			&cli.StringSliceFlag{Name: "only", Usage: "`SERVICES` of the plan, with commas", DefaultText: "all"},
			&cli.StringFlag{Name: "release", Usage: "`NUMBER` of a release to roll out instead of the plan"},
			&cli.BoolFlag{Name: "redeploy", Usage: "Have Fleet deploy again also what is live already", DisableDefaultText: true},
			&cli.BoolFlag{Name: "override", Usage: "Go over versions that somebody else has set, rings that were not verified, and the locks and closed windows that stand now; needs --reason", DisableDefaultText: true},
			&cli.BoolFlag{Name: "allow-unhealthy-dependency", Usage: "Do not wait until services outside the plan are healthy; needs --reason", DisableDefaultText: true},
			&cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record; versions that a rollback withdrew need them"},
		}, p.shipmentFlags()...),
		Action: func(c *cli.Context) error {
			r, err := requestOf(c, p.link())
			if err != nil {
				return err
			}
			s := shipmentOf(c, rings.AppName(c.Args().First()))
			if r.Release, err = p.releaseOf(c, s.app); err != nil {
				return err
			}
			s.first = func(a *rings.Application, g ground) (orchestrator.Created, error) {
				r.Empty, r.Locked = g.empty, g.locked
				return newRollout(a, r)
			}
			return p.ship(c.Context, s)
		},
	}
}

// backgroundFlag is set by default where CI would end a background process.
func (p *program) backgroundFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-background", Usage: "Do not leave the rollout to a background process", DefaultText: "where CI=true", Value: p.getenv("CI") == "true"}
}

func requestOf(c *cli.Context, link string) (orchestrator.Request, error) {
	args := c.Args().Slice()
	r := orchestrator.Request{Only: serviceNames(c.StringSlice("only")), Link: link, Options: orchestrator.Options{
		Redeploy: c.Bool("redeploy"), Override: c.Bool("override"), GoOver: c.Bool("override"), AllowUnhealthy: c.Bool("allow-unhealthy-dependency"), Reason: c.String("reason")}}
	for _, ring := range args[1:] {
		r.Rings = append(r.Rings, rings.RingName(ring))
	}
	through := rings.RingName(c.String("through"))
	switch {
	case through != "" && len(r.Rings) > 0:
		return r, &usageError{what: "rollout create: rings and --through exclude each other", hint: fmt.Sprintf("rollout create %s --through %s", args[0], through)}
	case through != "":
		r.Rings, r.Through = []rings.RingName{through}, true
	case len(r.Rings) == 0:
		return r, &usageError{what: "rollout create: a RING or --through is missing", hint: fmt.Sprintf("\"rollout ring list %s\" shows the rings", args[0])}
	}
	return r, needReason(r.Options)
}

// needReason refuses to go over what protects without a word on the record.
func needReason(o orchestrator.Options) error {
	switch {
	case o.Reason != "":
	case o.Override:
		return &usageError{what: "rollout create: --override needs --reason", hint: "say why somebody else's version, a ring that was not verified, a lock or a closed window is gone over"}
	case o.AllowUnhealthy:
		return &usageError{what: "rollout create: --allow-unhealthy-dependency needs --reason", hint: "say why its health does not matter now"}
	}
	return nil
}

// newRollout is orchestrator.New with the hint for a plan that is not fit.
func newRollout(a *rings.Application, r orchestrator.Request) (orchestrator.Created, error) {
	for _, name := range r.Only {
		if _, err := a.Service(name); err != nil {
			return orchestrator.Created{}, err
		}
	}
	created, err := orchestrator.New(a, r)
	var unfit *rings.InvalidError
	if errors.As(err, &unfit) {
		hint := fmt.Sprintf("rollout plan set %s SERVICE=VERSION", a.Name)
		if r.Release != nil {
			hint = fmt.Sprintf("\"rollout release show %s %d\" shows what is in it", a.Name, r.Release.Number)
		}
		err = &commandError{exit: exitInvalid, code: "invalid", what: err.Error(), err: err, hint: hint}
	}
	return created, err
}

// tagged has the rollout end with a tag, if one is asked for.
func (sh *shipment) tagged() error {
	if sh.tag == "" {
		return nil
	}
	first := sh.first
	sh.first = func(a *rings.Application, g ground) (orchestrator.Created, error) {
		c, err := first(a, g)
		c.Options.Tag = sh.tag
		return c, err
	}
	return orchestrator.CheckTag(sh.tag)
}

// ship shows what a rollout would do, refuses what cannot end well, and begins
// it.
func (p *program) ship(ctx context.Context, sh shipment) error {
	if err := sh.tagged(); err != nil {
		return err
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, err := p.shippable(ctx, db, sh)
	if err != nil {
		return err
	}
	m, err := p.managerOf(ctx, orchestrator.Scope{App: a.Name, Workspace: a.Workspace, Manager: a.Manager})
	if err != nil {
		return err
	}
	v, on, err := p.prepare(ctx, db, m, a, sh)
	if err != nil {
		return err
	}
	if sh.dryRun {
		return p.printPreview(v)
	}
	if p.flags.output == "text" {
		for _, l := range previewLines(v) {
			p.say("%s", l)
		}
	}
	return p.start(ctx, db, m, sh, on)
}

// prepare says what the shipment would do, and on what ground, and refuses what
// cannot end well.
func (p *program) prepare(ctx context.Context, db *store.DB, m *fleet.Manager, a *rings.Application, sh shipment) (v previewView, on ground, err error) {
	if !sh.dryRun {
		if err := p.notice(ctx, db, m, a); err != nil {
			return v, on, err
		}
	}
	held, err := p.holdingNow(ctx, db, a)
	if err != nil {
		return v, on, err
	}
	on.locked = held.reaching(a)
	if on.empty, err = emptyRings(ctx, m, a); err != nil {
		return v, on, err
	}
	created, v, err := p.foresee(ctx, db, m, a, sh, on)
	if without, ok := errors.AsType[*changedError](err); ok {
		on.changed = without.services
		created, v, err = p.foresee(ctx, db, m, a, sh, on)
	}
	if err != nil || sh.dryRun {
		return v, on, err
	}
	// The store asks again when the rollout begins; on which ring a locked
	// cluster is, it does not know.
	return v, on, created.Pass(held.barriers, held.there, p.now())
}

// foresee makes the rollout as it would be now, and looks at what it would do.
func (p *program) foresee(ctx context.Context, db *store.DB, m *fleet.Manager, a *rings.Application, sh shipment, on ground) (c orchestrator.Created, v previewView, err error) {
	if c, err = sh.first(a, on); err != nil {
		return c, v, err
	}
	if err = p.unclaimed(ctx, db, m, c); err != nil {
		return c, v, err
	}
	v, err = p.preview(ctx, m, a, c)
	return c, v, err
}

// shippable returns the application, if by all that the store knows the
// rollout is possible. What the ring before has verified is asked later,
// when it is known which rings have clusters.
func (p *program) shippable(ctx context.Context, db *store.DB, sh shipment) (*rings.Application, error) {
	a, err := db.App(ctx, sh.app)
	if err != nil {
		return nil, err
	}
	held, err := holdingOn(ctx, db, sh.app, p.now())
	if err != nil {
		return nil, err
	}
	created, err := sh.first(a, ground{locked: held.anywhere().reaching(a)})
	if err != nil && !errors.Is(err, orchestrator.ErrUnverified) && !errors.Is(err, orchestrator.ErrNothing) {
		return nil, err
	}
	for _, ring := range created.RingNames() {
		if err := notWhileLive(ctx, db, sh.app, ring); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// emptyRings are the application's rings that no cluster carries the label of.
func emptyRings(ctx context.Context, m *fleet.Manager, a *rings.Application) ([]rings.RingName, error) {
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	empty := a.RingNames()
	for _, c := range clusters {
		if on, ours := a.Owns(c.Labels); ours {
			empty = slices.DeleteFunc(empty, func(r rings.RingName) bool { return r == on })
		}
	}
	return empty, nil
}

// start writes the rollout down, and follows it or leaves it to others.
func (p *program) start(ctx context.Context, db *store.DB, m *fleet.Manager, sh shipment, on ground) error {
	id, err := db.CreateRollout(ctx, sh.app, func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		return sh.first(a, on)
	}, p.actor(ctx), p.now().UTC())
	if err != nil {
		return err
	}
	f, err := p.follower(ctx, db, id)
	if err != nil {
		return err
	}
	s := &session{program: p, db: db, manager: m, timeout: sh.timeout, scope: f.state.Scope}
	if sh.detach {
		return s.detach(ctx, f, sh.background)
	}
	return s.watch(ctx, f, sh.background)
}

// detach leaves the rollout to others at once.
func (s *session) detach(ctx context.Context, f *follower, background bool) error {
	words, err := s.handOver(ctx, f.state.ID, background)
	if err != nil {
		return err
	}
	s.say("%s", words)
	if err := f.advance(ctx); err != nil || s.flags.output == "text" {
		return err
	}
	return f.finish()
}

// watch follows the rollout to its end, and hands it over if it does not come
// to that.
func (s *session) watch(ctx context.Context, f *follower, background bool) error {
	s.patient = s.terminal && s.flags.output == "text"
	err := s.follow(ctx, f)
	switch {
	case errors.Is(err, errWaits):
		return s.leave(context.WithoutCancel(ctx), f, background, &commandError{exit: exitTimeout, code: "waiting", err: errWaits,
			what: fmt.Sprintf("rollout %s %s: %s", f.state.ID, errWaits, f.state.Explain(s.now()))})
	case err == nil:
		if err := f.finish(); err != nil {
			return err
		}
		return ending(f.state)
	case errors.Is(err, errTimeout):
		return s.leave(context.WithoutCancel(ctx), f, background, &commandError{exit: exitTimeout, code: "timeout",
			what: fmt.Sprintf("rollout %s has not ended after %s", f.state.ID, orchestrator.Duration(s.timeout))})
	case ctx.Err() != nil:
		return s.leave(context.WithoutCancel(ctx), f, background, &commandError{exit: exitInterrupted, code: "interrupted", what: "interrupted"})
	}
	return err
}

// leave hands the rollout over, and says so in the error why it does.
func (s *session) leave(ctx context.Context, f *follower, background bool, why *commandError) error {
	why.hint = fmt.Sprintf("\"rollout watch %s\" follows it", f.state.ID)
	if help := helpOf(f.state); help != "" && errors.Is(why.err, errWaits) {
		why.hint = help
	}
	words, err := s.handOver(ctx, f.state.ID, background)
	if err != nil {
		words = err.Error()
	}
	why.what += "; " + words
	if s.flags.output == "text" || s.flags.output == "jsonl" {
		return why
	}
	return errors.Join(f.finish(), why)
}

// helpOf is what would let the rollout go on, "" when nothing of a person's
// would.
func helpOf(s *orchestrator.State) string {
	for _, w := range s.Why(s.At) {
		if w.Help != "" {
			return w.Help
		}
	}
	return ""
}
