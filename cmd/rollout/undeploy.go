package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type undeployOptions struct {
	app             rings.AppName
	service         rings.ServiceName
	ring            rings.RingName
	confirm, reason string
	override        bool // go over locks and closed windows
	dryRun          bool
	timeout         time.Duration // 0: the ring's deadlines
}

func (p *program) serviceUndeployCommand() *cli.Command {
	return &cli.Command{
		Name: "undeploy", Usage: "Uninstall a service from the clusters of a ring", ArgsUsage: "APP SERVICE RING",
		Description: "The ring's entry in fleet.yaml gets doNotDeploy: true, and Fleet uninstalls the service there; no other cluster changes.\n" +
			"It takes two steps: first it shows what is uninstalled where, and changes nothing. On a terminal it asks then; elsewhere\n" +
			"it names the second command, with a --confirm that fits only what was shown. --yes does not answer this question.\n" +
			"It ends when Fleet has taken the service away on every cluster and each agent was heard from afterwards; more cannot be\n" +
			"seen from the manager. Run it again to go on waiting. Refused while services that depend on it are deployed on the ring,\n" +
			"while a rollout is live there, and during a halt; also while a lock or a closed window stands on it, without --override.\n" +
			"With \"--publish branch\" the change is proposed, and the exit code is 8: merge the branch, and run it again.\n" +
			"The service stays described, and rollouts skip it on the ring. To have it back, take the line out of fleet.yaml again.\n\n" +
			examples("rollout service undeploy shop docs ring-1 --dry-run", "rollout service undeploy shop docs ring-1 --confirm 3f9a1c07 --reason \"moved to the wiki\""),
		Flags: []cli.Flag{
			confirmFlag(), reasonFlag(), overrideFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "Only show what would happen", DisableDefaultText: true},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to wait for the clusters", DefaultText: "the ring's deadlines"},
		},
		Action: func(c *cli.Context) error {
			return p.runUndeploy(c.Context, undeployOptions{app: rings.AppName(c.Args().Get(0)), service: rings.ServiceName(c.Args().Get(1)), ring: rings.RingName(c.Args().Get(2)),
				confirm: c.String("confirm"), reason: c.String("reason"), override: c.Bool("override"), dryRun: c.Bool("dry-run"), timeout: c.Duration("timeout")})
		},
	}
}

// undeploying is a service on its way off a ring.
type undeploying struct {
	program   *program
	db        *store.DB
	manager   *fleet.Manager
	publisher *gitrepo.Publisher
	app       *rings.Application
	service   rings.Service
	ring      rings.Ring
	reach     fleet.Reach
	keeps     bool // the GitRepo keeps the resources
	override  bool
	over      []string // what is gone over
	job       orchestrator.Job
	view      undeployView
}

func (p *program) runUndeploy(ctx context.Context, o undeployOptions) error {
	u, err := p.undeploying(ctx, o)
	if err != nil {
		return err
	}
	defer u.publisher.Close()
	if err := u.look(ctx); err != nil {
		return err
	}
	u.show()
	if o.dryRun {
		return p.print(u.view, silent)
	}
	if u.view.Confirm != "" {
		if err := p.twoSteps(ctx, o.confirm, u.view.Confirm, fmt.Sprintf("uninstall service %q from %s of ring %q?", o.service, clusterCount(len(u.view.Clusters)), o.ring),
			u.again()); err != nil {
			return err
		}
	}
	if err := u.push(ctx); err != nil {
		return err
	}
	if u.view.Proposal != nil {
		return u.proposed()
	}
	return u.finish(ctx, cmp.Or(o.timeout, u.patience()))
}

// undeploying reads what is to be known, and refuses what can be refused at
// once.
func (p *program) undeploying(ctx context.Context, o undeployOptions) (*undeploying, error) {
	if o.override && o.reason == "" {
		return nil, overrideNeedsReason()
	}
	u := &undeploying{program: p, override: o.override}
	var err error
	if u.db, err = p.open(ctx); err != nil {
		return nil, err
	}
	if u.app, err = u.db.App(ctx, o.app); err != nil {
		return nil, err
	}
	s, err := u.app.Service(o.service)
	if err != nil {
		return nil, err
	}
	r, err := u.app.Ring(o.ring)
	if err != nil {
		return nil, err
	}
	u.service, u.ring = *s, *r
	if err := u.quiet(ctx); err != nil {
		return nil, err
	}
	if u.manager, err = p.managerOf(ctx, scopeOf(u.app)); err != nil {
		return nil, err
	}
	target := orchestrator.TargetOf(u.service)
	u.job = orchestrator.Job{Scope: scopeOf(u.app), Targets: map[rings.ServiceName]orchestrator.Target{s.Name: target}, Actor: p.actor(ctx), Link: p.link(),
		Action: orchestrator.Action{ID: "undeploy", Kind: orchestrator.ActPublish, Ring: r.Name, Items: []orchestrator.Item{{Service: s.Name}}, Reason: o.reason}}
	u.publisher = p.publisher(u.manager)
	return u, nil
}

// quiet refuses while something else is at the ring of this store.
func (u *undeploying) quiet(ctx context.Context) error {
	if err := notWhileLive(ctx, u.db, u.app.Name, u.ring.Name); err != nil {
		return err
	}
	held, err := u.program.holdingNow(ctx, u.db, u.app)
	if err != nil {
		return err
	}
	b := held.on(u.ring.Name, u.service.Name)
	if b.Halt != nil {
		return &store.HaltedError{Halt: *b.Halt}
	}
	if u.over = b.Words(); !b.Empty() && !u.override {
		return &orchestrator.BarredError{Barriers: b}
	}
	return nil
}

// look fills in what would be done, and refuses while others need the service.
func (u *undeploying) look(ctx context.Context) error {
	var err error
	if u.reach, err = u.manager.Reach(ctx, u.job.Scope, u.job.Targets[u.service.Name]); err != nil {
		return err
	}
	ring := clustersOn(u.app, u.ring.Name, u.reach.Clusters)
	if len(ring) == 0 {
		return invalid(fmt.Sprintf("\"rollout cluster list --app %s\" shows where the clusters are", u.app.Name), "ring %q of application %q has no clusters: there is nothing to uninstall", u.ring.Name, u.app.Name)
	}
	repo, err := u.manager.GitRepo(ctx, u.service.GitRepo)
	if err != nil {
		return err
	}
	u.keeps = repo.Spec.KeepResources
	if err := u.unneeded(ctx); err != nil {
		return err
	}
	found, err := u.publisher.Undeploy(ctx, u.job, nil)
	if err != nil {
		return err
	}
	u.view, err = u.viewOf(found)
	return err
}

// unneeded refuses while a service that depends on this one is deployed on the
// ring, as its fleet.yaml says.
func (u *undeploying) unneeded(ctx context.Context) error {
	var needing []string
	for _, name := range u.app.NeedsIt(u.service.Name) {
		s, err := u.app.Service(name)
		if err != nil {
			return err
		}
		deployed, err := u.deployed(ctx, *s)
		if err != nil {
			return err
		}
		if deployed {
			needing = append(needing, string(name))
		}
	}
	if len(needing) == 0 {
		return nil
	}
	return &commandError{exit: exitConflict, code: "in-use", err: rings.ErrInUse,
		what: fmt.Sprintf("service %q on ring %q of application %q: still needed by %s, deployed there", u.service.Name, u.ring.Name, u.app.Name, strings.Join(needing, ", ")),
		hint: fmt.Sprintf("rollout service undeploy %s %s %s", u.app.Name, needing[len(needing)-1], u.ring.Name)}
}

// deployed reports whether a cluster of the ring gets the service.
func (u *undeploying) deployed(ctx context.Context, s rings.Service) (bool, error) {
	file, err := readManifest(ctx, u.publisher, s)
	if err != nil {
		return false, err
	}
	reach, err := u.manager.Reach(ctx, u.job.Scope, orchestrator.TargetOf(s))
	if err != nil {
		return false, err
	}
	view, err := file.View(reach.Targets, fieldsOf(s))
	if err != nil {
		return false, fmt.Errorf("service %q: %w", s.Name, err)
	}
	for _, c := range clustersOn(u.app, u.ring.Name, reach.Clusters) {
		if e, _ := view.Effect(c); e.Deployed { // versions that disagree are deployed, too
			return true, nil
		}
	}
	return false, nil
}

// viewOf is what an edit would do, or did.
func (u *undeploying) viewOf(found gitrepo.Undeployment) (undeployView, error) {
	v := undeployView{App: u.app.Name, Service: u.service.Name, Ring: u.ring.Name, KeepResources: u.keeps, Commit: found.Commit}
	var clusters []rings.ClusterName
	versions := map[string]bool{}
	for _, o := range found.Effects {
		// Those that another entry, or no target, leaves out have nothing to do with it.
		if !o.Ring || !o.Before.Deployed && (found.Changed || len(o.Before.Entries) == 0) {
			continue
		}
		clusters = append(clusters, rings.ClusterName(o.Cluster))
		if o.Before.Deployed {
			versions[o.Before.Version] = true
			v.KeepResources = v.KeepResources || o.Before.KeepResources
		}
	}
	for version := range versions {
		if v.Version = rings.Version(version); len(versions) > 1 {
			v.Version = ""
		}
	}
	v.Clusters = newUninstalling(clusters).views()
	if !found.Changed {
		return v, nil
	}
	v.Confirm = tokenOf(u.job.Scope.Manager, v.App, v.Service, v.Ring, v.Version, v.KeepResources, clusters, u.over)
	var err error
	v.Diff, err = gitrepo.Patch(found.File, found.Before, found.Bytes)
	return v, err
}

// tokenOf is a short word for exactly these values.
func tokenOf(values ...any) string {
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // they are names and numbers
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}

// show says what will be uninstalled where.
func (u *undeploying) show() {
	if u.program.flags.output != "text" {
		return
	}
	v := u.view
	names := leavingNames(v.Clusters)
	if v.Confirm == "" {
		u.program.say("%s of service %q is off ring %q already: commit %s", u.service.File(), v.Service, v.Ring, short(v.Commit))
		return
	}
	for _, words := range u.over {
		u.program.say("goes over: %s", words)
	}
	u.program.say("service %q, %s, is uninstalled from %s of ring %q: %s", v.Service, cmp.Or(string(v.Version), "in several versions"), clusterCount(len(names)), v.Ring, shortNames(names))
	if v.KeepResources {
		u.program.say("keepResources is set: what it deployed stays on the clusters; only Helm's and Fleet's records of it go")
	}
	u.program.say("no other cluster changes. In %s:\n%s", u.service.Repo, strings.TrimRight(v.Diff, "\n"))
}

func leavingNames(views []leavingView) []rings.ClusterName {
	var out []rings.ClusterName
	for _, v := range views {
		out = append(out, v.Name)
	}
	return out
}

// push publishes it, once more only if it is still what was agreed to.
func (u *undeploying) push(ctx context.Context) error {
	claims := u.program.claims(u.db, u.manager)
	defer claims.Close()
	taken := claims.Take(ctx, u.job.Scope, u.ring.Name, orchestrator.ID("undeploy "+string(u.service.Name)))
	if taken.Result != orchestrator.OK {
		return &commandError{exit: cmp.Or(outcomeExits[taken.Code], exitUnexpected), code: string(taken.Code), what: fmt.Sprintf("ring %q of application %q: %s", u.ring.Name, u.app.Name, taken.Words), hint: taken.Hint}
	}
	if taken.Words != "" {
		u.program.say("warning: %s", taken.Words)
	}
	agreed := u.view.Confirm
	found, err := u.publisher.Undeploy(ctx, u.job, func(now gitrepo.Undeployment) error {
		if err := u.quiet(ctx); err != nil {
			return err
		}
		v, err := u.viewOf(now)
		if err != nil {
			return err
		}
		if v.Confirm != agreed {
			return changedSince(u.again())
		}
		return claims.Confirm(ctx, u.job.Scope, u.ring.Name)
	})
	if err != nil {
		return err
	}
	if u.view.Commit = found.Commit; found.Proposal != nil {
		u.view.Proposal = proposalOf(*found.Proposal, u.job.Targets[u.service.Name])
	} else if err := u.record(ctx, found); err != nil {
		return err
	}
	if err := claims.Release(ctx, u.job.Scope, u.ring.Name); err != nil {
		u.program.say("warning: %v", err)
	}
	return nil
}

// proposed ends with what a person has to do first: nothing is uninstalled yet.
func (u *undeploying) proposed() error {
	if u.program.flags.output != "text" {
		if err := u.program.print(u.view, silent); err != nil {
			return err
		}
	}
	return &commandError{exit: exitTimeout, code: string(orchestrator.CodeUnmerged), hint: fmt.Sprintf("merge it, then \"%s\" goes on waiting", u.again()),
		what: fmt.Sprintf("service %q on ring %q: nothing is uninstalled before somebody merges %s", u.service.Name, u.ring.Name, u.view.Proposal.words())}
}

// again is the command once more: it asks anew to go over what still stands.
func (u *undeploying) again() string {
	command := fmt.Sprintf("rollout service undeploy %s %s %s", u.app.Name, u.service.Name, u.ring.Name)
	if len(u.over) > 0 {
		command += " --override --reason WORDS"
	}
	return command
}

// record notes who took it off. What was not pushed just now is of who the commit
// names, and what somebody else pushed is nobody's here.
func (u *undeploying) record(ctx context.Context, found gitrepo.Undeployment) error {
	n := u.program.note(ctx, u.job.Action.Reason)
	n.Service, n.Ring, n.Version, n.Commit, n.Over = u.service.Name, u.ring.Name, u.view.Version, found.Commit, u.over
	if !found.Changed {
		n.By, n.Reason, n.Link, n.Over = found.Actor, "", "", nil
	}
	if err := u.db.Undeployed(ctx, u.app.Name, n); err != nil {
		return err
	}
	if !found.Changed {
		return nil
	}
	u.program.say("commit %s is on branch %s", short(found.Commit), u.service.Branch)
	if hint := u.manager.Hint(ctx, u.job.Scope, u.job.Targets[u.service.Name], found.Commit); hint.Result != orchestrator.OK {
		u.program.say("warning: Fleet could not be told of it: %s", hint.Words)
	}
	return nil
}

// patience is how long the ring's policy lets a commit and its clusters take.
func (u *undeploying) patience() time.Duration {
	return cmp.Or(u.ring.Policy.Uptake, rings.DefaultUptake) + cmp.Or(u.ring.Policy.Converge, rings.DefaultConverge)
}

// finish waits for the clusters, and says how it ended.
func (u *undeploying) finish(ctx context.Context, timeout time.Duration) error {
	again := u.again()
	progress, err := u.await(ctx, timeout)
	if errors.Is(err, context.Canceled) {
		return &commandError{exit: exitInterrupted, code: "interrupted", err: err, hint: again + " goes on waiting",
			what: fmt.Sprintf("interrupted; commit %s takes service %q off ring %q, and Fleet goes on", short(u.view.Commit), u.service.Name, u.ring.Name)}
	}
	if err != nil {
		return err
	}
	u.view.Clusters, u.view.Done, u.view.Confirm = progress.views(), progress.done(), ""
	if !u.view.Done {
		if u.program.flags.output != "text" {
			if err := u.program.print(u.view, silent); err != nil {
				return err
			}
		}
		return &commandError{exit: exitTimeout, code: "timeout", hint: again + " goes on waiting",
			what: fmt.Sprintf("service %q on ring %q: not uninstalled everywhere after %s: %s", u.service.Name, u.ring.Name, orchestrator.Duration(timeout), progress.waiting(u.view.Commit))}
	}
	now, err := u.publisher.Undeploy(ctx, u.job, nil)
	if err != nil {
		return err
	}
	if now.Changed {
		return conflict(again, "service %q on ring %q: it was uninstalled, but somebody has taken doNotDeploy out of %s since", u.service.Name, u.ring.Name, now.File)
	}
	names := leavingNames(u.view.Clusters)
	return u.program.done(u.view, "service %q is uninstalled from ring %q: Fleet has taken it away from %s, and each agent was heard from after that", u.service.Name, u.ring.Name, shortNames(names))
}

// await follows the clusters until all have it uninstalled, or the time is up.
func (u *undeploying) await(ctx context.Context, timeout time.Duration) (*uninstalling, error) {
	w := &departure{uninstalling: newUninstalling(leavingNames(u.view.Clusters)), now: u.program.now, wake: make(chan struct{}, 1)}
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	descends := u.descends(ctx)
	w.watch(ctx, func() error {
		watch := orchestrator.Watch{Scope: u.job.Scope, Ring: u.ring.Name, Targets: []orchestrator.Target{u.job.Targets[u.service.Name]}}
		return u.manager.Watch(ctx, watch, func(facts []orchestrator.Fact) {
			w.change(func() { w.facts(facts, descends, w.now()) })
		})
	})
	w.watch(ctx, func() error {
		return u.manager.WatchClusters(ctx, fleet.ClusterWatch{Labels: u.app.RingLabels(u.ring.Name)}, func(c fleet.Cluster) {
			w.change(func() { w.heard(c.Name, c.LastSeen, w.now()) })
		})
	})
	err := w.follow(ctx, func(words string) {
		if u.program.flags.output == "text" {
			u.program.say("waiting: %s", words)
		}
	}, u.view.Commit)
	stop()
	w.running.Wait()
	return w.uninstalling, err
}

// descends returns whether a commit is the undeployment's or a later one of the
// branch. It fetches when it does not know the commit.
func (u *undeploying) descends(ctx context.Context) func(string) bool {
	later := []string{u.view.Commit}
	job := u.job
	job.Action.Kind, job.Action.Items = orchestrator.ActSurvey, []orchestrator.Item{{Service: u.service.Name, Commit: u.view.Commit}}
	return func(commit string) bool {
		if commit == "" || slices.Contains(later, commit) {
			return commit != ""
		}
		if o := u.publisher.Survey(ctx, job); o.Result == orchestrator.OK && len(o.Surveys) == 1 {
			later = append(later, o.Surveys[0].Lineage...)
		}
		return slices.Contains(later, commit)
	}
}
