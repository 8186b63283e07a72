package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// doctor collects what is wrong.
type doctor struct {
	*program
	found []ailmentView
}

func (d *doctor) say(v ailmentView) {
	if v.Severity == "" {
		v.Severity = fleetyaml.Blocker
	}
	if v.Clusters == nil {
		v.Clusters = []rings.ClusterName{}
	}
	d.found = append(d.found, v)
}

// fault says an error, with its hint for a repair.
func (d *doctor) fault(v ailmentView, err error) {
	v.Message, v.Repair = err.Error(), cmpHint(classify(err).hint, "see what it says, then run this again")
	d.say(v)
}

// examine looks at everything, or at all that has to do with one application.
// What cannot be looked at is a finding; the error is about the command only.
func (d *doctor) examine(ctx context.Context, name rings.AppName) error {
	if _, err := os.Stat(d.storePath()); errors.Is(err, fs.ErrNotExist) {
		return d.unmade(ctx)
	}
	db, err := d.open(ctx)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	apps, err := appsOr(waiting, db, name)
	if err != nil {
		return err
	}
	if err := d.rollouts(waiting, db, name); err != nil {
		return err
	}
	d.store(ctx, db)
	if len(apps) == 0 {
		d.anyManager(ctx)
	}
	seen := map[string]bool{}
	for _, a := range apps {
		if err := d.unkept(waiting, db, a); err != nil {
			return err
		}
		if err := d.app(ctx, db, a, seen); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// unmade is for a store that is not there, and makes none: it may be misspelt.
func (d *doctor) unmade(ctx context.Context) error {
	v := ailmentView{Area: areaStore, Message: fmt.Sprintf("store %s: there is no such file", d.storePath())}
	if v.Severity = fleetyaml.Info; d.flags.store != "" || d.getenv("ROLLOUT_STORE") != "" {
		v.Severity, v.Repair = fleetyaml.Blocker, "name the right one with --store or ROLLOUT_STORE; \"rollout app create APP\" makes a new one"
	}
	d.say(v)
	d.anyManager(ctx)
	return ctx.Err()
}

// anyManager looks at the manager that is named, where no application says which.
func (d *doctor) anyManager(ctx context.Context) {
	m, err := d.connect(ctx, d.flags.namespace)
	if err != nil {
		d.fault(ailmentView{Area: areaConnection}, err)
		return
	}
	d.manager(ctx, m)
}

// store looks for damage in a copy, so that nobody waits for it.
func (d *doctor) store(ctx context.Context, db *store.DB) {
	dir, err := os.MkdirTemp("", "rollout-doctor-")
	if err != nil {
		d.fault(ailmentView{Area: areaStore}, err)
		return
	}
	defer os.RemoveAll(dir)
	var faults []error
	path := filepath.Join(dir, "rollout.db")
	if err := db.Backup(ctx, path); err != nil {
		faults = []error{err}
	} else if copied, err := store.Open(ctx, path, store.Options{NoSync: true}); err != nil {
		faults = []error{err}
	} else {
		faults = copied.Check(ctx)
	}
	if err := errors.Join(faults...); err != nil {
		v := ailmentView{Area: areaStore, Message: fmt.Sprintf("store %s: %v", db.Path(), err), Repair: classify(err).hint}
		v.Repair = cmpHint(v.Repair, "put a backup in its place; \"rollout store check\" says whether it is sound")
		d.say(v)
	}
}

// rollouts are those that stand still because nobody drives them.
func (d *doctor) rollouts(ctx context.Context, db *store.DB, name rings.AppName) error {
	page, err := db.Rollouts(ctx, store.Filter{App: name, Live: true})
	if err != nil {
		return err
	}
	for _, r := range page.Rollouts {
		awaits, err := awaitsOf(ctx, db, r)
		if err != nil {
			return err
		}
		if v := d.driver(r.Lease); awaits == nil && (v == nil || !v.Alive) {
			d.say(ailmentView{Area: areaRollouts, App: r.App, Message: fmt.Sprintf("nobody drives %s", r.ID), Repair: fmt.Sprintf("rollout watch %s", r.ID)})
		}
	}
	return nil
}

// keptWithin is how long something may be due, with nothing in its way, until it seems
// that nobody keeps.
const keptWithin = 5 * time.Minute

// unkept says what should have started by itself, and has not.
func (d *doctor) unkept(ctx context.Context, db *store.DB, a *rings.Application) error {
	in, err := keepingOf(ctx, db, a, d.now())
	if err != nil {
		return err
	}
	due, _, err := orchestrator.Keep(in)
	for _, one := range due {
		since := one.Moment
		if one.Release > 0 {
			r, err := db.ReleaseNumber(ctx, a.Name, one.Release)
			if err != nil {
				return err
			}
			since = r.At
		}
		if one.Act != orchestrator.KeepWait && d.now().Sub(since) > keptWithin {
			d.say(ailmentView{Area: areaRollouts, App: a.Name, Ring: one.Ring, Message: fmt.Sprintf("the %s is due, nothing is in its way, and nobody starts it", one.Due),
				Repair: "have \"rollout run\" running; what it prints says why it cannot start something"})
		}
	}
	return err
}

// app looks at all that the application needs. A manager's workspace is looked
// at once.
func (d *doctor) app(ctx context.Context, db *store.DB, a *rings.Application, seen map[string]bool) error {
	m, err := d.managerOf(ctx, scopeOf(a))
	if err != nil {
		d.fault(ailmentView{Area: areaConnection, App: a.Name}, err)
		return ctx.Err()
	}
	if key := a.Manager + "/" + a.Workspace; !seen[key] {
		seen[key] = true
		d.manager(ctx, m)
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		d.fault(ailmentView{Area: areaConnection, App: a.Name}, err)
		return ctx.Err()
	}
	waiting, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	records, err := db.Clusters(waiting, a.Name)
	if err != nil {
		return err
	}
	d.found = append(d.found, ringAilments(a, clusters, records)...)
	d.found = append(d.found, silentAilments(a, clusters, d.now())...)
	if err := d.shared(waiting, db, a, clusters); err != nil {
		return err
	}
	if err := d.locks(ctx, db, m, a); err != nil {
		return err
	}
	l := d.services(ctx, m, a, clusters)
	all, err := absences(waiting, db, a)
	if err != nil {
		return err
	}
	d.absent(a, all, l)
	return ctx.Err()
}

// manager looks at permissions and at Fleet itself.
func (d *doctor) manager(ctx context.Context, m *fleet.Manager) {
	missing, err := m.Permissions(ctx)
	if err != nil {
		d.fault(ailmentView{Area: areaPermissions}, err)
	}
	for _, x := range together(missing) {
		v := ailmentView{Area: areaPermissions, Message: fmt.Sprintf("missing: %s (%s)", x, x.For), Repair: "grant it; the README has a manifest with all of them"}
		if x.Optional {
			v.Severity = fleetyaml.Warning
		}
		d.say(v)
	}
	version, why, err := m.Version(ctx)
	switch {
	case err != nil:
		d.fault(ailmentView{Area: areaFleet}, err)
	case version == "":
		d.say(ailmentView{Area: areaFleet, Severity: fleetyaml.Info, Message: "its version is not known: " + why})
	case version != fleet.TestedVersion:
		d.say(ailmentView{Area: areaFleet, Severity: fleetyaml.Info, Message: fmt.Sprintf("version %s; rollout is tested with %s", version, fleet.TestedVersion)})
	}
}

// services looks at every repository and every file, and returns what it saw.
func (d *doctor) services(ctx context.Context, m *fleet.Manager, a *rings.Application, clusters []fleet.Cluster) *prospect {
	look := previewer{manager: m, pub: d.publisher(m), prospect: &prospect{app: a, created: everything(a, a.RingNames()), clusters: clusters}}
	defer look.pub.Close()
	look.all(ctx)
	pushed := map[string]bool{}
	for _, s := range a.Services {
		v := ailmentView{App: a.Name, Service: s.Name}
		if key := s.Repo + " " + s.Branch; !pushed[key] {
			pushed[key] = true
			v.Area = areaGit
			if err := within(ctx, lookWait, func(ctx context.Context) error { return look.pub.CheckPush(ctx, s.Repo, s.Branch) }); err != nil {
				d.fault(v, err)
			}
		}
		v.Area = areaFleet
		d.gitRepo(ctx, m, s, v)
	}
	for _, n := range look.created.Steps {
		d.step(look.prospect, n)
	}
	return look.prospect
}

func within(ctx context.Context, limit time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return fn(ctx)
}

// gitRepo looks whether Fleet deploys the service, and its last git job.
func (d *doctor) gitRepo(ctx context.Context, m *fleet.Manager, s rings.Service, v ailmentView) {
	g, err := m.GitRepo(ctx, s.GitRepo)
	switch {
	case err != nil:
		d.fault(v, err)
	case !deploys(g, s):
		v.Message = fmt.Sprintf("GitRepo %q does not deploy %s of %s, branch %q, any more", s.GitRepo, s.File(), s.Repo, s.Branch)
		v.Repair = fmt.Sprintf("put its spec back, or \"rollout service remove %s %s\" and add it again", v.App, s.Name)
		d.say(v)
	case g.Status.GitJobStatus == "Failed":
		v.Message = fmt.Sprintf("the git job of GitRepo %q failed at commit %s", s.GitRepo, short(g.Status.Commit))
		v.Repair = fmt.Sprintf("\"kubectl get gitrepo -n %s %s -o yaml\" shows its words; repair what it names and push", m.Workspace(), s.GitRepo)
		d.say(v)
	}
}

// step looks at what the file gives the ring, and whether a rollout there could
// finish.
func (d *doctor) step(l *prospect, n orchestrator.NewStep) {
	look, survey := l.services[n.Target.Service], l.surveys[refOfNew(n)]
	v := ailmentView{Area: areaFile, App: l.app.Name, Service: n.Target.Service, Ring: n.Ring}
	if survey == nil { // a ring without clusters
		return
	}
	for _, err := range []error{survey.err, look.err} {
		if err != nil {
			d.once(v, err)
			return
		}
	}
	st := &stepLook{prospect: l, step: n, look: look, survey: survey.Survey}
	for _, f := range st.findings() {
		if f.Severity == fleetyaml.Info || f.Code == fleetyaml.CodeNotDeployed { // a ring may go without it, as after an undeploy
			continue
		}
		v.Severity, v.Message, v.Repair = f.Severity, findingWords(look.file.source.Name, f), cmpHint(f.Hint, "edit the file and push")
		d.say(v)
	}
	v.Severity = fleetyaml.Blocker
	for _, err := range []error{st.stray(), st.foreign()} {
		if err != nil {
			d.fault(v, err)
		}
	}
	if look.unseen != "" {
		v.Area, v.Message, v.Repair = areaFleet, look.unseen, "give the fleet.yaml a name that is the Bundle's, or a GitRepo of its own"
		d.say(v)
	}
}

// once says an error that is the same for all rings only at the first, and not
// where the repository is known to be at fault.
func (d *doctor) once(v ailmentView, err error) {
	if slices.ContainsFunc(d.found, func(x ailmentView) bool {
		return x.App == v.App && (x.Message == err.Error() || x.Service == v.Service && x.Area == areaGit)
	}) {
		return
	}
	v.Ring = ""
	d.fault(v, err)
}

// ringAilments are clusters of the application without a ring, on one that
// there is not, or on two: the label says another than was set from here.
func ringAilments(a *rings.Application, clusters []fleet.Cluster, records []rings.Cluster) []ailmentView {
	var out []ailmentView
	labelled := map[rings.ClusterName]rings.RingName{}
	say := func(name rings.ClusterName, ring rings.RingName, message, repair string) {
		out = append(out, ailmentView{Area: areaClusters, Severity: fleetyaml.Blocker, App: a.Name, Ring: ring, Clusters: []rings.ClusterName{name}, Message: message, Repair: repair})
	}
	there := map[rings.ClusterName]bool{}
	for _, c := range clusters {
		there[c.Name] = true
		ring, ours := a.Owns(c.Labels)
		if !ours {
			continue
		}
		labelled[c.Name] = ring
		set := fmt.Sprintf("rollout cluster set-ring %s RING --app %s", c.Name, a.Name)
		if _, err := a.Ring(ring); ring == "" {
			say(c.Name, "", fmt.Sprintf("it is of the application and on no ring: the label %q is missing", a.RingLabel), set)
		} else if err != nil {
			say(c.Name, "", fmt.Sprintf("its label %s=%s names no ring of the application", a.RingLabel, ring), set)
		}
	}
	for _, r := range records {
		on, ours := labelled[r.Name]
		switch {
		case !there[r.Name]:
			say(r.Name, r.Ring, "it was added, and Fleet does not have it any more", fmt.Sprintf("rollout cluster remove %s --app %s", r.Name, a.Name))
		case !ours:
			say(r.Name, r.Ring, fmt.Sprintf("it was added, and does not have the labels %s any more", labelWords(a.Selector)), fmt.Sprintf("rollout cluster add %s --app %s --ring %s", r.Name, a.Name, r.Ring))
		case on != r.Ring && slices.Contains(a.RingNames(), on):
			say(r.Name, r.Ring, fmt.Sprintf("it was put on %s from here, and its label says %s", r.Ring, on), fmt.Sprintf("rollout cluster set-ring %s %s --app %s", r.Name, on, a.Name))
		}
	}
	return out
}

// silence is how long an agent may say nothing: it checks in every 15 minutes,
// if nothing else is configured.
const silence = 45 * time.Minute

// silentAilments are clusters of the application whose agent says nothing, or
// where Fleet applies nothing.
func silentAilments(a *rings.Application, clusters []fleet.Cluster, now time.Time) []ailmentView {
	var out []ailmentView
	for _, c := range clusters {
		ring, ours := a.Owns(c.Labels)
		if !ours {
			continue
		}
		v := ailmentView{Area: areaClusters, Severity: fleetyaml.Blocker, App: a.Name, Ring: ring, Clusters: []rings.ClusterName{c.Name}}
		switch {
		case c.LastSeen.IsZero():
			v.Message, v.Repair = "its agent has never checked in", "see that the agent runs there and reaches the manager"
		case now.Sub(c.LastSeen) > silence:
			v.Message = fmt.Sprintf("offline: no sign of its agent since %s", stamp(c.LastSeen))
			v.Repair = fmt.Sprintf("bring its agent back; until then \"rollout ring update %s %s --on-offline skip\" leaves it out", a.Name, cmpHint(string(ring), "RING"))
		case c.Paused:
			v.Message, v.Repair = "paused: Fleet applies nothing there", "set spec.paused of the Cluster to false"
		default:
			continue
		}
		out = append(out, v)
	}
	return out
}

// locks looks for those that hold nothing.
func (d *doctor) locks(ctx context.Context, db *store.DB, m *fleet.Manager, a *rings.Application) error {
	held, err := holdingOn(ctx, db, a.Name, d.now())
	if err != nil || !held.onClusters() {
		return err
	}
	clusters, err := m.Reachable(ctx)
	if err != nil {
		d.fault(ailmentView{Area: areaConnection, App: a.Name}, err)
		return ctx.Err()
	}
	d.found = append(d.found, idleLocks(a, held.barriers.Locks, clusters)...)
	return nil
}

// idleLocks are locks on clusters that are not of the application, or on cluster
// groups without any that is: they hold nothing, and may be misspelt.
func idleLocks(a *rings.Application, locks []rings.Lock, clusters []fleetyaml.Cluster) []ailmentView {
	var out []ailmentView
	members := membersOf(clusters)
	for _, l := range locks {
		on := []rings.ClusterName{l.Cluster}
		if l.Group != "" {
			on = members(l.Group)
		} else if l.Cluster == "" {
			continue
		}
		if !slices.ContainsFunc(clusters, func(c fleetyaml.Cluster) bool {
			_, ours := a.Owns(c.Labels)
			return ours && slices.Contains(on, rings.ClusterName(c.Name))
		}) {
			out = append(out, ailmentView{Area: areaClusters, Severity: fleetyaml.Warning, App: a.Name, Clusters: []rings.ClusterName{},
				Message: "it holds nothing, for no cluster of the application is meant: " + l.Words(), Repair: l.Release()})
		}
	}
	return out
}
