package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"rollout/fleet"
	"rollout/fleet/discover"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/rings"
	"rollout/rings/appfile"
)

func (p *program) importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Category: "Describe", Usage: "Describe what Fleet runs already, as the file that apply reads", ArgsUsage: "APP",
		Description: "Reads the workspace's Clusters and GitRepos and the fleet.yaml files in their repositories, and prints the\n" +
			"application. Nothing is changed, in git, in Fleet or in the store. Its clusters are those with the selector's\n" +
			"labels; its rings are the values of the label by which the entries tell clusters apart, in the entries' order:\n" +
			"look at that order. What cannot be mapped is named on stderr. What is printed is read again, and it is an\n" +
			"error if rolling out what runs now, or applying the file, would change anything in git or in Fleet.\n\n" +
			examples("rollout import shop --selector app=shop > shop.yaml", "rollout import shop --selector team=a --ring-label stage --gitrepo shop-db --gitrepo shop-api"),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "selector", Usage: "`K=V` that the application's clusters carry; several allowed", DefaultText: "app=APP"},
			&cli.StringFlag{Name: "ring-label", Usage: "`KEY` of the label that carries a cluster's ring", DefaultText: "the one by which the entries tell clusters apart"},
			&cli.StringSliceFlag{Name: "gitrepo", Usage: "`NAME` of a GitRepo that belongs to it; several allowed", DefaultText: "those whose targets ask for the selector's labels, else all that deploy to its clusters"},
			&cli.StringSliceFlag{Name: "field", Usage: "`PATH` at which versions may stand in an entry, the first that fits; several allowed", DefaultText: rings.DefaultField + ", or the only one that ends in tag or version"},
		},
		Action: func(c *cli.Context) error {
			o := importOptions{app: rings.AppName(c.Args().First()), ringLabel: c.String("ring-label"), selector: c.StringSlice("selector"), gitRepos: c.StringSlice("gitrepo")}
			for _, f := range c.StringSlice("field") {
				o.fields = append(o.fields, fleetyaml.Field(f))
			}
			return p.runImport(c.Context, o)
		},
	}
}

type importOptions struct {
	app       rings.AppName
	ringLabel string
	selector  []string
	gitRepos  []string
	fields    []fleetyaml.Field
}

func (p *program) runImport(ctx context.Context, o importOptions) error {
	if fault := rings.CheckName("application", string(o.app)); fault != "" {
		return &rings.InvalidError{What: fmt.Sprintf("application %q", o.app), Faults: []string{fault}}
	}
	selector, err := parseSelector(appCreateOptions{name: o.app, ringLabel: o.ringLabel, selector: o.selector})
	if err != nil {
		return err
	}
	m, err := p.connect(ctx, p.flags.namespace)
	if err != nil {
		return err
	}
	world, err := p.world(ctx, m, selector, o.gitRepos)
	if err != nil {
		return err
	}
	found, err := discover.Find(world, discover.Wish{App: o.app, Selector: selector, RingLabel: o.ringLabel, Fields: o.fields})
	if unclear, ok := errors.AsType[*discover.Unclear](err); ok {
		return invalid(unclear.Hint, "application %q: workspace %q: %v", o.app, m.Workspace(), err)
	}
	if err != nil {
		return err
	}
	found.App.Workspace = m.Workspace()
	f := appfile.Of(found.App, found.Clusters)
	proof, err := prove(f, world, found)
	if err != nil {
		return err
	}
	return p.imported(f, found, proof)
}

// world reads the clusters, and the GitRepos that are named or, if none is,
// those whose targets are clusters with the labels.
func (p *program) world(ctx context.Context, m *fleet.Manager, labels map[string]string, only []string) (w discover.World, err error) {
	if w.Clusters, err = m.Reachable(ctx); err != nil {
		return w, err
	}
	repos, err := m.GitRepos(ctx)
	if err != nil {
		return w, err
	}
	if len(only) > 0 {
		repos, err = named(m, repos, only)
	} else {
		repos, w.Others, err = own(ctx, m, repos, labels)
	}
	if err != nil {
		return w, err
	}
	w.GitRepos = make([]discover.GitRepo, len(repos))
	pub := p.publisher(m)
	defer pub.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range repos {
		group.Go(func() (err error) {
			w.GitRepos[i], err = readGitRepo(ctx, m, pub, &repos[i])
			return err
		})
	}
	return w, group.Wait()
}

// own are the GitRepos that reach clusters with the labels and belong to them,
// or all that reach them when none belongs; others are the names of the rest
// that reach them. Those that reach one only by an overrideTargets in a file of
// theirs are not seen.
func own(ctx context.Context, m *fleet.Manager, all []fleetv1.GitRepo, labels map[string]string) (belong []fleetv1.GitRepo, others []string, err error) {
	var reaching []fleetv1.GitRepo
	for _, g := range all {
		reach, err := m.ReachOf(ctx, &g)
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(reach.Clusters, func(c fleetyaml.Cluster) bool {
			return discover.Carries(c.Labels, labels) && discover.Targeted(reach.Targets, c)
		}) {
			continue
		}
		reaching = append(reaching, g)
		if discover.Belongs(reach.Targets, labels) {
			belong = append(belong, g)
		} else {
			others = append(others, g.Name)
		}
	}
	if len(belong) == 0 {
		return reaching, nil, nil
	}
	return belong, others, nil
}

// named are the GitRepos of these names.
func named(m *fleet.Manager, all []fleetv1.GitRepo, only []string) ([]fleetv1.GitRepo, error) {
	var names []string
	for _, g := range all {
		names = append(names, g.Name)
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, &rings.UnknownError{Kind: "GitRepo", Name: name, Where: fmt.Sprintf("workspace %q", m.Workspace()), Nearest: rings.Nearest(name, names)}
		}
	}
	return slices.DeleteFunc(all, func(g fleetv1.GitRepo) bool { return !slices.Contains(only, g.Name) }), nil
}

// readGitRepo reads a GitRepo's folders. What is wrong with the GitRepo or the
// repository is in the answer.
func readGitRepo(ctx context.Context, m *fleet.Manager, pub *gitrepo.Publisher, g *fleetv1.GitRepo) (discover.GitRepo, error) {
	reach, err := m.ReachOf(ctx, g)
	if err != nil {
		return discover.GitRepo{}, err
	}
	out := discover.GitRepo{Name: g.Name, Repo: g.Spec.Repo, Branch: cmp.Or(g.Spec.Branch, "master"), Targets: reach.Targets}
	if g.Spec.Revision != "" {
		out.Problem = fmt.Sprintf("it follows the revision %q, which no commit on a branch moves", g.Spec.Revision)
		return out, nil
	}
	folders, err := pub.Folders(ctx, out.Repo, out.Branch)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if err != nil {
		out.Problem = err.Error()
		return out, nil
	}
	for _, folder := range folders {
		if fleet.Covers(g.Spec, folder) {
			out.Folders = append(out.Folders, readFolder(ctx, m, pub, g, folder))
		}
	}
	if len(out.Folders) == 0 {
		out.Problem = fmt.Sprintf("branch %q of %s has no fleet.yaml in what it deploys", out.Branch, out.Repo)
	}
	return out, ctx.Err()
}

func readFolder(ctx context.Context, m *fleet.Manager, pub *gitrepo.Publisher, g *fleetv1.GitRepo, at string) discover.Folder {
	out := discover.Folder{Path: at}
	s := rings.Service{Repo: g.Spec.Repo, Branch: cmp.Or(g.Spec.Branch, "master"), Path: at}
	for _, b := range g.Spec.Bundles {
		if path.Clean("/"+b.Base) == path.Clean("/"+at) && b.Options != "" && b.Options != "fleet.yaml" {
			out.Problem = fmt.Sprintf("spec.bundles gives it the options of %q, not of fleet.yaml", b.Options)
			return out
		}
	}
	file, err := readManifest(ctx, pub, s)
	if err != nil {
		out.Problem = err.Error()
		return out
	}
	style, err := styleOf(file.File, at, existsIn(ctx, pub, s))
	if err != nil {
		out.Problem = err.Error()
		return out
	}
	out.File, out.Chart = file.File, style == styleChart
	out.Bundle = file.BundleName()
	if out.Bundle == "" {
		if out.Bundle, err = m.BundleOf(ctx, g, at, ""); err != nil || out.Bundle == "" {
			out.Bundle = fleet.BundleName(g.Name, at) // it is only compared with what dependsOn says
		}
	}
	return out
}

// leftWords name what could not be mapped.
func leftWords(l discover.Left) string {
	words := fmt.Sprintf("left out: %s %s: %s", l.Kind, l.Name, l.Why)
	if l.Hint != "" {
		words += " (" + l.Hint + ")"
	}
	return strings.ReplaceAll(words, "\n", " ")
}
