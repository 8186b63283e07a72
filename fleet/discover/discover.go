// Package discover finds an application in what a Fleet has: its clusters by
// their labels, its rings by the label that the entries of the fleet.yaml files
// tell clusters apart by, its services and their dependencies by the files. It
// is pure: what there is is handed to it. It never guesses: what it cannot map
// it names.
package discover

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// World is what there is in a workspace and in its repositories.
type World struct {
	Clusters []fleetyaml.Cluster
	GitRepos []GitRepo
	Others   []string // GitRepos that deploy to the application's clusters, and that are not its own: see Belongs
}

// GitRepo is a Fleet GitRepo with the folders that it deploys.
type GitRepo struct {
	Name, Repo, Branch string
	Targets            []fleetyaml.Target
	Folders            []Folder
	Problem            string // why nothing of it can be a service; "": nothing
}

// Folder is a folder with a fleet.yaml. File is nil when Problem says why it
// cannot be read.
type Folder struct {
	Path    string // "" is the root
	Bundle  string // its Bundle's name
	File    *fleetyaml.File
	Chart   bool // it is a chart or names one; without one nothing reads helm values
	Problem string
}

// Wish is what the application is to be.
type Wish struct {
	App       rings.AppName
	Selector  map[string]string
	RingLabel string            // "": to be found
	Fields    []fleetyaml.Field // where versions may stand; none: where they usually do
}

// Found is the application, and what could not be mapped. Versions is what
// each service's file gives each ring that gets it; a ring whose clusters get
// several has none.
type Found struct {
	App      *rings.Application
	Clusters []rings.Cluster
	Versions map[rings.ServiceName]map[rings.RingName]rings.Version
	Left     []Left
}

// Left is something that could not be mapped: it is not in the application.
type Left struct {
	Kind string // cluster, ring, GitRepo, service or dependency
	Name string
	Why  string
	Hint string // what would help, or ""
}

// Find finds the application. It has no workspace and no manager yet. The
// error is a [*Unclear], or of the application's validation.
func Find(w World, wish Wish) (*Found, error) {
	f := &finder{World: w, wish: wish, out: &Found{Versions: map[rings.ServiceName]map[rings.RingName]rings.Version{}}}
	for _, c := range w.Clusters {
		if Carries(c.Labels, wish.Selector) {
			f.clusters = append(f.clusters, c)
		}
	}
	if len(f.clusters) == 0 {
		return nil, &Unclear{What: "no cluster carries the labels " + words(wish.Selector), Hint: "name the labels that the application's clusters carry with --selector"}
	}
	if len(w.Others) > 0 {
		f.leave("GitRepo", strings.Join(w.Others, ", "), "name with --gitrepo all that belong to the application, if these do", "deployed to its clusters, but not by the labels %s", words(wish.Selector))
	}
	f.candidates()
	label, err := f.ringLabel()
	if err != nil {
		return nil, err
	}
	f.out.App = &rings.Application{Name: wish.App, RingLabel: label, Selector: wish.Selector}
	f.rings()
	f.services()
	f.dependencies()
	return f.out, f.out.App.Validate()
}

// Unclear says that there is nothing to be found, or too much.
type Unclear struct{ What, Hint string }

// Error says what is unclear.
func (e *Unclear) Error() string { return e.What }

// finder is a search.
type finder struct {
	World
	wish     Wish
	clusters []fleetyaml.Cluster // of the application
	folders  []candidate
	mapped   []mapped
	out      *Found
}

// candidate is a folder that is deployed on a cluster of the application.
type candidate struct {
	repo   GitRepo
	folder Folder
}

// mapped is a candidate that became a service.
type mapped struct {
	candidate
	service rings.ServiceName
}

func (c candidate) String() string {
	if c.folder.Path == "" {
		return fmt.Sprintf("%s (the root of %s)", c.repo.Name, c.repo.Repo)
	}
	return fmt.Sprintf("%s (%s of %s)", c.repo.Name, c.folder.Path, c.repo.Repo)
}

func (f *finder) leave(kind, name, hint, format string, args ...any) {
	f.out.Left = append(f.out.Left, Left{Kind: kind, Name: name, Why: fmt.Sprintf(format, args...), Hint: hint})
}

// candidates are the folders that are deployed on one of the application's
// clusters; those that would be, could they be read, are named.
func (f *finder) candidates() {
	seen := map[string]string{}
	for _, g := range f.GitRepos {
		if g.Problem != "" {
			if f.targeted(g) {
				f.leave("GitRepo", g.Name, "", "%s", g.Problem)
			}
			continue
		}
		for _, folder := range g.Folders {
			c := candidate{g, folder}
			place := g.Repo + " " + g.Branch + " " + folder.Path
			switch {
			case folder.File == nil && f.targeted(g):
				f.leave("service", c.String(), "", "%s", folder.Problem)
			case folder.File == nil || !f.deployed(c):
			case seen[place] != "":
				f.leave("service", c.String(), "let one GitRepo deploy it", "GitRepo %q deploys the same folder", seen[place])
			default:
				seen[place] = g.Name
				f.folders = append(f.folders, c)
			}
		}
	}
}

func (f *finder) targeted(g GitRepo) bool {
	return slices.ContainsFunc(f.clusters, func(c fleetyaml.Cluster) bool {
		return Targeted(g.Targets, c)
	})
}

// Targeted reports whether one of a GitRepo's targets means the cluster.
func Targeted(targets []fleetyaml.Target, c fleetyaml.Cluster) bool {
	return slices.ContainsFunc(targets, func(t fleetyaml.Target) bool {
		ok, err := t.Matches(c)
		return ok && err == nil
	})
}

// deployed reports whether any of the application's clusters gets the folder.
// One whose file nobody can make sense of counts: it is named later.
func (f *finder) deployed(c candidate) bool {
	view, err := c.folder.File.View(c.repo.Targets, nil)
	if err != nil {
		return f.targeted(c.repo)
	}
	return slices.ContainsFunc(f.clusters, func(cl fleetyaml.Cluster) bool {
		e, _ := view.Effect(cl) // the effect is complete when the fields disagree
		return e.Deployed
	})
}

// Belongs reports whether a GitRepo is the application's own: one of its targets
// asks for the labels of the selector. Where none of the GitRepos that reach the
// application's clusters does, any of them may be.
func Belongs(targets []fleetyaml.Target, selector map[string]string) bool {
	return slices.ContainsFunc(targets, func(t fleetyaml.Target) bool {
		asked := map[string]string{}
		for _, r := range requirements(t) {
			if r.Operator == metav1.LabelSelectorOpIn && len(r.Values) == 1 {
				asked[r.Key] = r.Values[0]
			}
		}
		return Carries(asked, selector)
	})
}

// Carries reports whether all of the labels are among a cluster's.
func Carries(labels, all map[string]string) bool {
	for k, v := range all {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func words(labels map[string]string) string {
	var out []string
	for k, v := range labels {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}
