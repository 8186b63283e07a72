package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type serviceAddOptions struct {
	app     rings.AppName
	service rings.Service
	gitRepo string
}

func (p *program) serviceAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "Add a service to an application", ArgsUsage: "APP SERVICE",
		Description: "The GitRepo that deploys it is found in Fleet, or made from the repo.yaml at the repository's root; one that is\n" +
			"there is never changed. Its fleet.yaml is checked against every ring, and so is the right to push.\n" +
			"A format says where in a value the version is: {version} stands for it. What the rings have now must be of the format.\n" +
			"A version in the name of a folder, of a kustomization or of an overlay, needs that folder at the branch's tip.\n\n" +
			examples("rollout service add shop api --repo https://git.example.com/shop/api.git --path deploy --depends-on db",
				"rollout service add shop web --repo https://git.example.com/shop/web.git --field 'helm.values.image=reg.example.com/web:{version}'",
				"rollout service add shop docs --repo https://git.example.com/shop/docs.git --field 'kustomize.dir=overlays/{version}'",
				"rollout service add shop mail --repo https://git.example.com/shop/mail.git --publish branch"),
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "repo", Usage: "`URL` of the git repository, as one clones it"},
			&cli.StringFlag{Name: "branch", Usage: "`BRANCH` that Fleet follows", Value: "main"},
			&cli.StringFlag{Name: "path", Usage: "`FOLDER` of its fleet.yaml in the repository", DefaultText: "the root"},
			&cli.StringFlag{Name: "gitrepo", Usage: "`NAME` of the GitRepo, where several deploy the folder"},
			&cli.StringFlag{Name: "client-secret", Usage: "`NAME` of the secret with which Fleet reads the repository, for a GitRepo that is made"},
			&cli.StringSliceFlag{Name: "field", Usage: "`PATH` of the version in the ring's entry, or PATH=FORMAT where the value has more in it; several allowed", DefaultText: rings.DefaultField},
			&cli.StringSliceFlag{Name: "depends-on", Usage: "`SERVICES` that must be done before it, with commas"},
			publishFlag(),
			&cli.BoolFlag{Name: "accept-redeploy", Usage: "Allow a field whose change redeploys the other rings with the same content", DisableDefaultText: true},
		}, settingFlags()...),
		Action: func(c *cli.Context) error {
			o, err := serviceAddOptionsOf(c)
			if err != nil {
				return err
			}
			return p.runServiceAdd(c.Context, o)
		},
	}
}

func serviceAddOptionsOf(c *cli.Context) (serviceAddOptions, error) {
	publish, wrong := publishOf("flag --publish", c.String("publish"))
	settings, err := settingsOf(c)
	fields := c.StringSlice("field")
	if len(fields) == 0 {
		fields = []string{rings.DefaultField}
	}
	return serviceAddOptions{app: rings.AppName(c.Args().Get(0)), gitRepo: c.String("gitrepo"), service: rings.Service{
		Name: rings.ServiceName(c.Args().Get(1)), Repo: c.String("repo"), Branch: c.String("branch"), Path: strings.Trim(c.String("path"), "/"),
		Secret: c.String("client-secret"), Fields: fields, DependsOn: serviceNames(c.StringSlice("depends-on")), AcceptRedeploy: c.Bool("accept-redeploy"),
		Publish: publish, Settings: settings,
	}}, errors.Join(wrong, err)
}

// checkService says everything that can be said without Fleet and git.
func checkService(a *rings.Application, s rings.Service) error {
	if s.Repo == "" {
		return &usageError{what: "rollout service add: flag --repo is missing", hint: fmt.Sprintf("rollout service add %s %s --repo URL", a.Name, s.Name)}
	}
	if _, err := a.Service(s.Name); err == nil {
		return fmt.Errorf("service %q of application %q: %w", s.Name, a.Name, rings.ErrExists)
	}
	for _, f := range fieldsOf(s) {
		if fault := f.Check(); fault != nil && (fault.Code != fleetyaml.CodeRedeploys || !s.AcceptRedeploy) {
			return invalid(fault.Hint, "service %q: %s", s.Name, fault.Msg)
		}
	}
	for _, other := range a.Services {
		if fleet.SameRepository(other.Repo, s.Repo) && other.Branch == s.Branch && other.File() == s.File() {
			return conflict(fmt.Sprintf("\"rollout service show %s %s\" shows it", a.Name, other.Name),
				"service %q: %s of %s is service %q of application %q already", s.Name, s.File(), s.Repo, other.Name, a.Name)
		}
	}
	with := *a
	with.Services = append(slices.Clone(a.Services), s)
	for i := range with.Services {
		with.Services[i].Settings = typed(with.Services[i].Settings)
	}
	return with.Validate()
}

func (p *program) runServiceAdd(ctx context.Context, o serviceAddOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	a, err := db.App(ctx, o.app)
	if err != nil {
		return err
	}
	if err := checkService(a, o.service); err != nil {
		return err
	}
	m, err := p.managerOf(ctx, scopeOf(a))
	if err != nil {
		return err
	}
	add := &addition{manager: m, publisher: p.publisher(m), app: a, service: o.service}
	defer add.publisher.Close()
	if err := add.prepare(ctx, o.gitRepo); err != nil {
		return err
	}
	p.printFindings(add)
	if err := p.warnShared(ctx, db, add); err != nil {
		return err
	}
	if err := blockers(add.service, add.file.source.Name, add.findings); err != nil {
		p.suggest(add)
		return err
	}
	if err := p.record(ctx, db, add); err != nil {
		return err
	}
	return p.added(add)
}

// addition is a service on its way into an application.
type addition struct {
	manager   *fleet.Manager
	publisher *gitrepo.Publisher
	app       *rings.Application
	service   rings.Service

	gitRepo  *fleetv1.GitRepo
	made     bool // the GitRepo is to be made
	file     manifest
	now      fleet.Reach // whom the GitRepo deploys to
	reach    fleet.Reach // the same, once the clusters carry the labels of relabel
	relabel  map[string]map[string]string
	findings []findingView
	label    string // before what is said of it, where it is one of several
}

// prepare looks at everything and changes nothing.
func (d *addition) prepare(ctx context.Context, gitRepo string) (err error) {
	s := &d.service
	if err := d.publisher.CheckPush(ctx, s.Repo, s.Branch); err != nil {
		return err
	}
	if d.file, err = readManifest(ctx, d.publisher, *s); err != nil {
		return err
	}
	there := existsIn(ctx, d.publisher, *s)
	if err := checkStyle(d.file.File, *s, there); err != nil {
		return err
	}
	if err := d.findGitRepo(ctx, gitRepo); err != nil {
		return err
	}
	s.GitRepo, s.Managed = d.gitRepo.Name, d.made || fleet.Managed(d.gitRepo)
	if d.now, err = d.reachOf(ctx); err != nil {
		return err
	}
	d.reach = relabelled(d.now, d.relabel)
	s.Known = map[rings.RingName]rings.Known{}
	s.LastNonce = d.file.MaxNonce()
	if err := d.inspectRings(); err != nil {
		return err
	}
	if blockers(*s, d.file.source.Name, d.findings) == nil { // else they are said
		if err := findTypes(s, d.findings); err != nil {
			return err
		}
	}
	return checkFolders(*s, knownVersions(*s), there)
}

// inspectRings looks at the file for every ring, and notes what each runs.
func (d *addition) inspectRings() error {
	s := &d.service
	for _, ring := range d.app.RingNames() {
		d.findings = append(d.findings, inspect(d.file, d.app, *s, ring, d.reach)...)
		v, err := runsOn(d.file, d.app, *s, ring, d.reach)
		if err != nil {
			return fmt.Errorf("service %q on ring %q: %w", s.Name, ring, err)
		}
		values, err := settingsOn(d.file, d.app, *s, ring, d.reach)
		if err != nil {
			return fmt.Errorf("service %q on ring %q: %w", s.Name, ring, err)
		}
		if v != "" {
			s.Known[ring] = rings.Known{Version: v, Settings: values, Commit: d.file.source.Commit}
		}
	}
	return nil
}

// knownVersions are what the rings run, sorted.
func knownVersions(s rings.Service) []rings.Version {
	var out []rings.Version
	for _, k := range s.Known {
		out = append(out, k.Version)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// findGitRepo finds the GitRepo that deploys the service, or else what to make
// one from.
func (d *addition) findGitRepo(ctx context.Context, name string) error {
	s := d.service
	if name != "" {
		return d.namedGitRepo(ctx, name)
	}
	found, err := d.manager.FindGitRepos(ctx, s.Repo, s.Branch, s.Path)
	if err != nil {
		return err
	}
	switch len(found) {
	case 1:
		d.gitRepo = &found[0]
		return nil
	case 0:
		return d.fromRepository(ctx, "")
	}
	var names []string
	for _, g := range found {
		names = append(names, g.Name)
	}
	return &usageError{what: fmt.Sprintf("service %q: several GitRepos deploy it: %s", s.Name, strings.Join(names, ", ")), hint: "say which with --gitrepo"}
}

// namedGitRepo takes the GitRepo of that name, from the workspace or, if it is
// not there, from the repository.
func (d *addition) namedGitRepo(ctx context.Context, name string) (err error) {
	if d.gitRepo, err = d.manager.GitRepo(ctx, name); errors.Is(err, rings.ErrUnknown) {
		if other := d.fromRepository(ctx, name); classify(other).exit != exitNotFound {
			return other
		}
	}
	if err != nil {
		return err
	}
	if s := d.service; !deploys(d.gitRepo, s) {
		return invalid("leave --gitrepo out to find the one that does", "GitRepo %q does not deploy %s of %s, branch %q", name, s.File(), s.Repo, s.Branch)
	}
	return nil
}

func deploys(g *fleetv1.GitRepo, s rings.Service) bool {
	return fleet.SameRepository(g.Spec.Repo, s.Repo) && cmp.Or(g.Spec.Branch, "master") == s.Branch && g.Spec.Revision == "" && fleet.Covers(g.Spec, s.Path)
}

// fromRepository takes the GitRepo from the repository's repo.yaml: the one of
// that name, or with "" the first that deploys the service.
func (d *addition) fromRepository(ctx context.Context, name string) error {
	s := d.service
	hint := fmt.Sprintf("write a GitRepo manifest for it into repo.yaml at the repository's root, or create one in workspace %q", d.app.Workspace)
	file, err := d.publisher.ReadFile(ctx, s.Repo, s.Branch, "repo.yaml")
	if isCode(err, orchestrator.CodeNotFound) {
		return notFound(hint, "service %q: no GitRepo in workspace %q deploys %s of %s, branch %q, and the repository has no repo.yaml", s.Name, d.app.Workspace, s.File(), s.Repo, s.Branch)
	}
	if err != nil {
		return err
	}
	all, err := fleet.ParseGitRepoManifests(file.Bytes)
	if err != nil {
		return invalid("repair repo.yaml, or create the GitRepo yourself", "%s: repo.yaml: %v", s.Repo, err)
	}
	i := slices.IndexFunc(all, func(g *fleetv1.GitRepo) bool { return deploys(g, s) && (name == "" || g.Name == name) })
	if i < 0 {
		return notFound(hint, "%s: none of the GitRepos in repo.yaml deploys %s of branch %q", s.Repo, s.File(), s.Branch)
	}
	d.gitRepo, d.made = all[i], true
	if s.Secret != "" {
		d.gitRepo.Spec.ClientSecretName = s.Secret
	}
	return nil
}

// reachOf is whom the GitRepo deploys to, also one that is still to be made.
func (d *addition) reachOf(ctx context.Context) (fleet.Reach, error) {
	if !d.made {
		return d.manager.Reach(ctx, scopeOf(d.app), orchestrator.TargetOf(d.service))
	}
	clusters, err := d.manager.Clusters(ctx)
	if err != nil {
		return fleet.Reach{}, err
	}
	var r fleet.Reach
	for _, c := range clusters {
		r.Clusters = append(r.Clusters, fleetyaml.Cluster{Name: string(c.Name), Labels: c.Labels})
	}
	for _, t := range d.gitRepo.Spec.Targets {
		r.Targets = append(r.Targets, fleetyaml.Target{Name: t.Name, ClusterName: t.ClusterName, ClusterSelector: t.ClusterSelector,
			ClusterGroup: t.ClusterGroup, ClusterGroupSelector: t.ClusterGroupSelector})
	}
	return r, nil
}

// relabelled is the reach when the clusters named carry these labels.
func relabelled(r fleet.Reach, labels map[string]map[string]string) fleet.Reach {
	r.Clusters = slices.Clone(r.Clusters)
	for i, c := range r.Clusters {
		if l, ok := labels[c.Name]; ok {
			r.Clusters[i].Labels = l
		}
	}
	return r
}

// record makes the GitRepo if there is none, and writes the service down.
func (p *program) record(ctx context.Context, db *store.DB, d *addition) (err error) {
	if d.made {
		made, err := d.manager.CreateGitRepo(ctx, d.gitRepo)
		if errors.Is(err, rings.ErrExists) {
			return conflict("give the GitRepo another name in the repository's repo.yaml", "service %q: %v", d.service.Name, err)
		}
		if err != nil {
			return err
		}
		d.gitRepo = made
		p.say("GitRepo %q created from the repository's repo.yaml", d.gitRepo.Name)
	}
	if d.service.Bundle = d.file.BundleName(); d.service.Bundle == "" {
		if d.service.Bundle, err = d.manager.BundleOf(ctx, d.gitRepo, d.service.Path, ""); err != nil {
			return err
		}
	}
	for ring, k := range d.service.Known {
		k.At = p.now().UTC()
		d.service.Known[ring] = k
	}
	return db.UpdateApp(ctx, d.app.Name, func(a *rings.Application) error {
		if err := checkService(a, d.service); err != nil {
			return err
		}
		a.Services = append(a.Services, d.service)
		return nil
	})
}

func (p *program) added(d *addition) error {
	v := serviceAddView{serviceView: viewService(d.app.Name, d.service), Findings: append([]findingView{}, d.findings...)}
	return p.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "service %q added to application %q, deployed by GitRepo %q; it runs %s\n", d.service.Name, d.app.Name, d.service.GitRepo,
			cmp.Or(knownWords(d.app, v.serviceView), "on no ring yet"))
		return err
	})
}

// suggest prints the entries that the rings without one need, pinned to what
// they run now.
func (p *program) suggest(d *addition) {
	var missing []fleetyaml.NewEntry
	for _, f := range d.findings {
		if f.Code == fleetyaml.CodeNoEntry && !slices.ContainsFunc(missing, func(e fleetyaml.NewEntry) bool { return e.Target.Name == string(f.Ring) }) {
			target := fleetyaml.Target{Name: string(f.Ring), ClusterSelector: &metav1.LabelSelector{MatchLabels: d.app.RingLabels(f.Ring)}}
			missing = append(missing, fleetyaml.NewEntry{Target: target, Ring: clustersOn(d.app, f.Ring, d.reach.Clusters)})
		}
	}
	added, err := d.file.AddEntries(missing, fleetyaml.Change{All: d.reach.Clusters, Targets: d.reach.Targets, Fields: fieldsOf(d.service), AcceptRedeploy: d.service.AcceptRedeploy})
	if err == nil && len(missing) > 0 && p.flags.output == "text" {
		p.say("%s needs, at line %d:\n%s", d.file.source.Name, added.Line, strings.TrimRight(added.Text, "\n"))
	}
}

type serviceAddView struct {
	serviceView
	Findings []findingView `json:"findings"`
}

// printFindings shows the entries that will be edited, and what is not as it
// should be; the errors come last, by themselves.
func (p *program) printFindings(d *addition) {
	if p.flags.output != "text" {
		return
	}
	for _, f := range d.findings {
		switch {
		case f.Code == fleetyaml.CodeEntry, f.Code == fleetyaml.CodeSetting:
			p.say("%s%s: entry %q, %s:%d, %s = %q, clusters %s", d.label, f.Ring, f.Entry, d.file.source.Name, f.Line, f.Field, f.Version, shortList(f.Clusters, 5))
		case f.Severity == fleetyaml.Warning, f.Code == fleetyaml.CodeNotDeployed:
			p.say("warning: %s%s", d.label, findingWords(d.file.source.Name, f))
		}
	}
	for _, ring := range d.app.RingNames() {
		if len(clustersOn(d.app, ring, d.reach.Clusters)) == 0 {
			p.say("warning: ring %q has no clusters yet: it could not be checked", ring)
		}
	}
}
