package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func (p *program) clusterSetRingCommand() *cli.Command {
	return &cli.Command{
		Name: "set-ring", Usage: "Move a cluster to another ring", ArgsUsage: "CLUSTER RING", Flags: []cli.Flag{appFlag(), overrideFlag(), reasonFlag()},
		Description: "Changes the ring label on the Fleet Cluster object. Fleet acts on it at once, so it shows first what Fleet will\n" +
			"deploy, and asks. Refused while a rollout is live on either ring, and while a lock or a closed window stands on one\n" +
			"of them or on the cluster, without --override.\n\n" + examples("rollout cluster set-ring eu-1 ring-2 --app shop"),
		Action: func(c *cli.Context) error {
			o := clusterOptionsOf(c)
			o.ring = rings.RingName(c.Args().Get(1))
			return p.runClusterSetRing(c.Context, o, c.Bool("override"), c.String("reason"))
		},
	}
}

func (p *program) runClusterSetRing(ctx context.Context, o clusterOptions, override bool, reason string) error {
	if override && reason == "" {
		return overrideNeedsReason()
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	c, err := record(ctx, db, o)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, c.App)
	if err != nil {
		return err
	}
	if _, err := a.Ring(o.ring); err != nil {
		return err
	}
	return p.relabel(ctx, db, &move{app: a, cluster: c.Name, to: o.ring, exclusive: true, override: override, reason: reason})
}

// move is a cluster that changes its labels.
type move struct {
	app       *rings.Application
	cluster   rings.ClusterName
	from, to  rings.RingName // from is what the label says now; to is "" to take it off the application
	exclusive bool           // not while a rollout is live on either ring, or something bars it
	override  bool           // go over what bars it, for the reason
	reason    string
	over      []string // what is gone over
	new       bool     // Fleet does not know the cluster yet

	before fleet.Cluster
	labels map[string]string  // all of them, afterwards
	source *fleet.LabelSource // where Rancher takes them from; nil when Rancher does not write them
}

// relabel shows what Fleet will make of the move, asks, and does it.
func (p *program) relabel(ctx context.Context, db *store.DB, mv *move) error {
	m, err := p.managerOf(ctx, scopeOf(mv.app))
	if err != nil {
		return err
	}
	if err := p.notice(ctx, db, m, mv.app); err != nil {
		return err
	}
	if err := mv.check(ctx, db, m); err != nil {
		return err
	}
	view := moveView{clusterView: clusterView{Name: mv.cluster, App: mv.app.Name, Ring: mv.to}, From: mv.from}
	if maps.Equal(mv.labels, mv.before.Labels) {
		return p.moved(ctx, db, mv, view)
	}
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
	p.showMove(mv, view)
	if mv.before.LastSeen.IsZero() {
		p.say("warning: its agent has never checked in: until it does, rollouts on ring %q find it offline", mv.to)
	}
	if err := p.confirm(ctx, fmt.Sprintf("put cluster %q on ring %q of application %q?", mv.cluster, mv.to, mv.app.Name)); err != nil {
		return err
	}
	if err := p.unbarred(ctx, db, mv); err != nil { // the answer may have taken its time
		return err
	}
	if err := p.label(ctx, db, m, mv); err != nil {
		return err
	}
	return p.moved(ctx, db, mv, view)
}

// label sets the labels. What the question was about may have changed while
// nobody answered it.
func (p *program) label(ctx context.Context, db *store.DB, m *fleet.Manager, mv *move) error {
	if mv.exclusive {
		if err := mv.quiet(ctx, db); err != nil {
			return err
		}
	}
	if mv.source != nil {
		p.say("waiting until Rancher has copied the labels to the Fleet Cluster")
	}
	_, err := m.SetLabels(ctx, mv.cluster, mv.set(), mv.remove())
	return mv.owned(err)
}

// unbarred refuses an exclusive move while a lock or a closed window stands on one of
// the rings or on the cluster, and notes what it goes over.
func (p *program) unbarred(ctx context.Context, db *store.DB, mv *move) error {
	if !mv.exclusive || mv.from == mv.to {
		return nil
	}
	held, err := p.holdingNow(ctx, db, mv.app)
	if err != nil {
		return err
	}
	var bars rings.Barriers
	both := []rings.RingName{mv.from, mv.to}
	reaching := held.barriers.Reaching(both, func(rings.RingName) []rings.ClusterName { return []rings.ClusterName{mv.cluster} })
	for _, ring := range both {
		bars.Closed = append(bars.Closed, held.barriers.On(ring, "", nil).Closed...)
		for _, l := range reaching[ring] {
			if !slices.Contains(bars.Locks, l) {
				bars.Locks = append(bars.Locks, l)
			}
		}
	}
	if mv.over = bars.Words(); !bars.Empty() && !mv.override {
		return &orchestrator.BarredError{Barriers: bars}
	}
	return nil
}

// check fills in what the cluster is now, and refuses what must not be.
func (mv *move) check(ctx context.Context, db *store.DB, m *fleet.Manager) (err error) {
	if mv.before, err = m.Cluster(ctx, mv.cluster); err != nil {
		return err
	}
	return mv.plan(ctx, db, m)
}

// plan fills in what the cluster will be, and refuses what must not be.
func (mv *move) plan(ctx context.Context, db *store.DB, m *fleet.Manager) error {
	mv.labels = maps.Clone(mv.before.Labels)
	if mv.labels == nil {
		mv.labels = map[string]string{}
	}
	if maps.Copy(mv.labels, mv.set()); mv.to == "" {
		for _, k := range mv.remove() {
			delete(mv.labels, k)
		}
	}
	if on, ours := mv.app.Owns(mv.before.Labels); ours {
		mv.from = on
	}
	if mv.before.LabelsOwned != nil && !maps.Equal(mv.labels, mv.before.Labels) {
		source, err := m.LabelSource(ctx, mv.before)
		if err != nil {
			return mv.owned(err)
		}
		mv.source = &source
	}
	if err := mv.spareOthers(ctx, db); err != nil || !mv.exclusive {
		return err
	}
	return mv.quiet(ctx, db)
}

// set are the labels to be set.
func (mv *move) set() map[string]string {
	if mv.to == "" {
		return nil
	}
	return mv.app.RingLabels(mv.to)
}

// remove are the labels to be taken off, sorted.
func (mv *move) remove() []string {
	if mv.to != "" {
		return nil
	}
	return slices.Sorted(maps.Keys(mv.app.RingLabels("")))
}

// owned says how to set the labels where Rancher takes them from.
func (mv *move) owned(err error) error {
	var e *fleet.LabelsOwnedError
	if !errors.As(err, &e) {
		return err
	}
	changes := strings.Split(labelChanges(mv.before.Labels, mv.labels), ",")
	return &commandError{exit: exitConflict, code: "labels-owned", what: e.Error(), err: e,
		hint: fmt.Sprintf("%s\nor in Rancher: %s: %s", e.Command(changes...), e.Place(), strings.Join(changes, ", "))}
}

// quiet refuses while a rollout is live on either ring.
func (mv *move) quiet(ctx context.Context, db *store.DB) error {
	for _, ring := range []rings.RingName{mv.from, mv.to} {
		if ring == "" || mv.from == mv.to {
			continue
		}
		if err := notWhileLive(ctx, db, mv.app.Name, ring); err != nil {
			return err
		}
	}
	return nil
}

// spareOthers refuses when the labels would move the cluster within, into or
// out of another application of the same workspace.
func (mv *move) spareOthers(ctx context.Context, db *store.DB) error {
	apps, err := db.Apps(ctx)
	if err != nil {
		return err
	}
	for _, other := range apps {
		if other.Name == mv.app.Name || other.Manager != mv.app.Manager || other.Workspace != mv.app.Workspace {
			continue
		}
		was, in := other.Owns(mv.before.Labels)
		is, stays := other.Owns(mv.labels)
		if in != stays || in && was != is {
			return conflict(fmt.Sprintf("give one of the applications labels of its own: \"rollout app create %s --ring-label %s-ring --selector in-%s=true\"", mv.app.Name, mv.app.Name, mv.app.Name),
				"cluster %q: application %q uses labels that would change: %s", mv.cluster, other.Name, labelChanges(mv.before.Labels, mv.labels))
		}
	}
	return nil
}

// note is the note with what is gone over.
func (mv *move) note(n rings.Note) rings.Note {
	n.Over = mv.over
	return n
}

// labelChanges are as kubectl takes them: K=V for what is set, K- for what goes.
func labelChanges(before, after map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if was, there := before[k]; !there || was != after[k] {
			out = append(out, k+"="+after[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[k]; !stays {
			out = append(out, k+"-")
		}
	}
	return strings.Join(out, ",")
}

type moveView struct {
	clusterView
	From     rings.RingName    `json:"from"`
	Services []moveServiceView `json:"services"`
}

// moveServiceView is what Fleet gives the cluster before and after; "" is not
// deployed.
type moveServiceView struct {
	Service rings.ServiceName `json:"service"`
	Before  rings.Version     `json:"before"`
	After   rings.Version     `json:"after"`
}

// looked is a service with its file at the branch's tip, and whom its GitRepo
// deploys to.
type looked struct {
	service rings.Service
	file    manifest
	reach   fleet.Reach
}

// lookAt reads the files of all of the application's services.
func (p *program) lookAt(ctx context.Context, m *fleet.Manager, a *rings.Application) ([]looked, error) {
	pub := p.publisher(m)
	defer pub.Close()
	out := make([]looked, len(a.Services))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, s := range a.Services {
		group.Go(func() error {
			file, err := readManifest(ctx, pub, s)
			if err != nil {
				return err
			}
			reach, err := m.Reach(ctx, scopeOf(a), orchestrator.TargetOf(s))
			out[i] = looked{s, file, reach}
			return err
		})
	}
	return out, group.Wait()
}

// effects computes by Fleet's rule what each service gives the cluster.
func (mv *move) effects(all []looked) ([]moveServiceView, error) {
	out := make([]moveServiceView, len(all))
	for i, l := range all {
		var err error
		if out[i], err = mv.effect(l.file, l.service, l.reach); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (mv *move) effect(file manifest, s rings.Service, reach fleet.Reach) (moveServiceView, error) {
	v := moveServiceView{Service: s.Name}
	i := slices.IndexFunc(reach.Clusters, func(c fleetyaml.Cluster) bool { return c.Name == string(mv.cluster) })
	if i < 0 && !mv.new {
		return v, nil
	}
	view, err := file.View(reach.Targets, fieldsOf(s))
	if err != nil {
		return v, fmt.Errorf("service %q: %w", s.Name, err)
	}
	var before fleetyaml.Effect // of a new cluster: nothing
	c := fleetyaml.Cluster{Name: string(mv.cluster)}
	if !mv.new {
		c = reach.Clusters[i]
		if before, err = view.Effect(c); err != nil {
			return v, fmt.Errorf("service %q: %w", s.Name, err)
		}
	}
	c.Labels = mv.labels
	after, err := view.Effect(c)
	if err != nil {
		return v, fmt.Errorf("service %q: %w", s.Name, err)
	}
	v.Before, v.After = deployed(before), deployed(after)
	return v, nil
}

func deployed(e fleetyaml.Effect) rings.Version {
	if !e.Deployed {
		return ""
	}
	return rings.Version(e.Version)
}

func (p *program) showMove(mv *move, v moveView) {
	if p.flags.output != "text" {
		return
	}
	where := ""
	if mv.source != nil {
		where = fmt.Sprintf(", on %s, from which Rancher copies them", mv.source)
	}
	verb := "gets"
	if mv.to == "" {
		verb = "loses"
	}
	for _, words := range mv.over {
		p.say("goes over: %s", words)
	}
	p.say("cluster %q %s the labels %s%s; Fleet will deploy:", mv.cluster, verb, labelChanges(mv.before.Labels, mv.labels), where)
	for _, l := range moveLines(v.Services) {
		p.say("  %s", l)
	}
	if len(v.Services) == 0 {
		p.say("  nothing: application %q has no service yet", mv.app.Name)
	}
}

func moveLines(services []moveServiceView) []string {
	var out []string
	for _, s := range services {
		switch {
		case s.Before == s.After && s.After == "":
			out = append(out, fmt.Sprintf("%s: not deployed there", s.Service))
		case s.Before == s.After:
			out = append(out, fmt.Sprintf("%s: %s, as now", s.Service, s.After))
		case s.Before == "":
			out = append(out, fmt.Sprintf("%s: %s, new there", s.Service, s.After))
		case s.After == "":
			out = append(out, fmt.Sprintf("%s: nothing, %s goes away", s.Service, s.Before))
		default:
			out = append(out, fmt.Sprintf("%s: %s -> %s", s.Service, s.Before, s.After))
		}
	}
	return out
}

// moved records that the cluster carries the labels, and prints it.
func (p *program) moved(ctx context.Context, db *store.DB, mv *move, v moveView) error {
	c, err := p.recordCluster(ctx, db, mv.app.Name, mv.cluster, mv.to, mv.note(p.note(ctx, mv.reason)))
	if err != nil {
		return err
	}
	v.clusterView = viewCluster(c)
	if v.Services == nil {
		v.Services = []moveServiceView{}
	}
	return p.done(v, "cluster %q is on ring %q of application %q", mv.cluster, mv.to, mv.app.Name)
}

func (p *program) recordCluster(ctx context.Context, db *store.DB, app rings.AppName, name rings.ClusterName, ring rings.RingName, n rings.Note) (rings.Cluster, error) {
	c := rings.Cluster{Name: name, App: app, Ring: ring, AddedBy: p.actor(ctx), AddedAt: p.now().UTC()}
	return c, db.MoveCluster(ctx, c, n)
}
