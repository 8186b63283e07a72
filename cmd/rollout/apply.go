package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/fleet"
	"rollout/rings"
	"rollout/rings/appfile"
	"rollout/store"
)

func (p *program) applyCommand() *cli.Command {
	return &cli.Command{
		Name: "apply", Category: "Describe", Usage: "Make an application what a file says",
		Description: "Does what \"app create\", \"ring create\", \"ring update\", \"ring group create\", \"cluster add\", \"cluster set-ring\",\n" +
			"\"service add\", \"service set-deps\", \"service set-settings\", \"window add\" and \"lock\" would do, with all their checks,\n" +
			"and nothing if one of these refuses. It asks before labels change, since Fleet acts on them at once. Applying again\n" +
			"changes nothing, or goes on where it was stopped. What the file does not name is shown, and taken away only with\n" +
			"--prune; a cluster never is, and a lock only if the file has the key \"locks\".\n\n" +
			examples("rollout apply -f shop.yaml --dry-run", "rollout apply -f shop.yaml --yes", "rollout apply -f shop.yaml --prune"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`FILE` that describes the application; - is the standard input"},
			&cli.BoolFlag{Name: "dry-run", Usage: "Print what would change, and change nothing", DisableDefaultText: true},
			&cli.BoolFlag{Name: "prune", Usage: "Forget services, rings, groups, windows and locks that the file does not name", DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			return p.runApply(c.Context, applyOptions{file: c.String("file"), dryRun: c.Bool("dry-run"), prune: c.Bool("prune")})
		},
	}
}

type applyOptions struct {
	file          string
	dryRun, prune bool
}

// command is how the same is asked for again.
func (o applyOptions) command() string {
	words := "rollout apply -f " + o.file
	if o.prune {
		words += " --prune"
	}
	return words
}

func (p *program) readAppFile(name string) (*appfile.File, error) {
	if name == "" {
		return nil, &usageError{what: "rollout apply: --file is missing", hint: "rollout apply -f FILE"}
	}
	if name == "-" {
		text, err := io.ReadAll(p.stdin)
		if err != nil {
			return nil, fmt.Errorf("the standard input: %w", err)
		}
		return appfile.Parse("the standard input", text)
	}
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, notFound("\"rollout export APP\" writes one of an application that there is", "file %q: not found", name)
	case err != nil:
		return nil, fmt.Errorf("file %q: %w", name, err)
	}
	return appfile.Parse(name, text)
}

func (p *program) runApply(ctx context.Context, o applyOptions) error {
	f, err := p.readAppFile(o.file)
	if err != nil {
		return err
	}
	ap := &applier{program: p, options: o, file: f}
	if ap.db, err = p.open(ctx); err != nil {
		return err
	}
	if err := ap.look(ctx); err != nil {
		return err
	}
	if err := ap.foresee(ctx); err != nil {
		return err
	}
	ap.showExtra()
	if o.dryRun || len(ap.changes) == 0 {
		return ap.print()
	}
	if err := ap.confirm(ctx); err != nil {
		return err
	}
	return ap.carryOut(ctx)
}

// applier is a file on its way into the store and Fleet.
type applier struct {
	*program
	options applyOptions
	file    *appfile.File

	db       *store.DB
	state    appfile.State
	manager  *fleet.Manager     // nil: nothing of Fleet's is needed
	wanted   *rings.Application // as it will be, for looking ahead
	clusters []fleet.Cluster    // of the workspace
	changes  []planned
	extra    []appfile.Extra
}

// planned is a change with what it means, and whether it is made.
type planned struct {
	appfile.Change
	moves []moveServiceView // what Fleet will deploy on the cluster
	done  bool
}

// look compares the file with what there is.
func (ap *applier) look(ctx context.Context) (err error) {
	if err := ap.lookIntoStore(ctx); err != nil {
		return err
	}
	if err := ap.lookAtHolds(ctx); err != nil {
		return err
	}
	if err := ap.lookIntoFleet(ctx); err != nil {
		return err
	}
	ap.state.SameRepo = fleet.SameRepository
	d := appfile.Compare(ap.state, ap.file)
	if err := fixedError(d.Fixed); err != nil {
		return err
	}
	ap.extra = d.Extra
	for _, c := range d.Changes {
		ap.changes = append(ap.changes, planned{Change: c})
	}
	if !ap.options.prune {
		return nil
	}
	if err := keptError(ap.file.Name, d.Extra); err != nil {
		return err
	}
	for _, c := range d.Prune(ap.state) {
		ap.changes = append(ap.changes, planned{Change: c})
	}
	return nil
}

func (ap *applier) lookIntoStore(ctx context.Context) (err error) {
	ap.state.App, err = ap.db.App(ctx, ap.file.Name)
	if errors.Is(err, rings.ErrUnknown) {
		ap.state.App = nil
		return nil
	}
	if err == nil {
		ap.state.Clusters, err = ap.db.Clusters(ctx, ap.file.Name)
	}
	return err
}

// lookIntoFleet connects, unless the file says nothing that Fleet knows of, and
// reads the clusters' labels.
func (ap *applier) lookIntoFleet(ctx context.Context) (err error) {
	if ap.wanted, err = ap.file.Application(); err != nil {
		return err
	}
	if err := ap.wanted.CheckZones(time.LoadLocation); err != nil {
		return err
	}
	stored := ap.state.App
	if stored == nil {
		err = ap.connectNew(ctx)
	} else {
		ap.wanted.Workspace, ap.wanted.Manager = stored.Workspace, stored.Manager
		if !ap.needsFleet() {
			return nil
		}
		ap.manager, err = ap.managerOf(ctx, scopeOf(stored))
	}
	if err != nil {
		return err
	}
	if ap.clusters, err = ap.manager.Clusters(ctx); err != nil {
		return err
	}
	ap.state.On = map[rings.ClusterName]rings.RingName{}
	for _, c := range ap.clusters {
		if ring, ours := ap.wanted.Owns(c.Labels); ours {
			ap.state.On[c.Name] = ring
		}
	}
	return ap.clustersAreThere()
}

func (ap *applier) connectNew(ctx context.Context) (err error) {
	workspace := ap.file.Workspace
	if w := ap.flags.namespace; workspace != "" && w != "" && w != workspace {
		return invalid("leave --namespace out", "application %q: the file says workspace %q, not %q", ap.file.Name, workspace, w)
	}
	if ap.manager, err = ap.connect(ctx, cmpHint(workspace, ap.flags.namespace)); err != nil {
		return err
	}
	if err := ap.place(ctx, ap.manager, ap.wanted); err != nil {
		return err
	}
	ap.warnOfMissing(ctx, ap.manager)
	return nil
}

// needsFleet reports whether the file names clusters, whose labels are the
// truth, or services that are new.
func (ap *applier) needsFleet() bool {
	if slices.ContainsFunc(ap.file.Rings, func(r appfile.Ring) bool { return len(r.Clusters) > 0 }) || len(ap.state.Clusters) > 0 {
		return true
	}
	return slices.ContainsFunc(ap.file.Services, func(s appfile.Service) bool {
		old, err := ap.state.App.Service(s.Name)
		return err != nil || len(old.Settings)+len(s.Settings) > 0
	})
}

// clustersAreThere names the clusters of the file that Fleet does not have.
func (ap *applier) clustersAreThere() error {
	var known, missing []string
	for _, c := range ap.clusters {
		known = append(known, string(c.Name))
	}
	for _, r := range ap.file.Rings {
		for _, c := range r.Clusters {
			if !slices.Contains(known, string(c)) {
				e := &rings.UnknownError{Kind: "cluster", Name: string(c), Where: fmt.Sprintf("workspace %q", ap.wanted.Workspace), Nearest: rings.Nearest(string(c), known)}
				missing = append(missing, e.Error())
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return notFound(fmt.Sprintf("\"kubectl get clusters.fleet.cattle.io -n %s\" shows what there is", ap.wanted.Workspace), "%s", strings.Join(missing, "\n  "))
}

// fixedError is about what the file says differently and no command changes.
func fixedError(all []appfile.Fixed) error {
	var lines, hints []string
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%s is %q, and the file says %q: that cannot be changed", f.What, f.Stored, f.Wanted))
		if !slices.Contains(hints, f.Help) {
			hints = append(hints, f.Help)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return conflict(strings.Join(hints, "; "), "%s", strings.Join(lines, "\n  "))
}

// keptError is about what --prune does not remove.
func keptError(app rings.AppName, extra []appfile.Extra) error {
	var lines, hints []string
	for _, e := range extra {
		if e.Keep == "" || e.Kind == "lock" { // which stands in nobody's way here
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %q is not in the file, and --prune does not remove it: %s", e.Kind, e.Name, e.Keep))
		if e.Command != "" && e.Kind == "cluster" {
			hints = append(hints, fmt.Sprintf("%q", e.Command))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	hints = append(hints, fmt.Sprintf("or name them in the file: \"rollout export %s\" shows how", app))
	return conflict(strings.Join(hints, ", "), "%s", strings.Join(lines, "\n  "))
}
