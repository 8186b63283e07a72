package discover

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// mapping is what a folder is as a service, or why it is none.
type mapping struct {
	field     fleetyaml.Field
	versions  map[string]rings.Version // by the ring label's value
	several   []string                 // rings whose clusters get several versions
	why, hint string
}

// mapFolder tries the places where the version may stand. What the wish names
// is tried in that order; without it the usual place, then the only one that
// looks like a version's.
func (f *finder) mapFolder(c candidate, label string) mapping {
	if len(f.wish.Fields) > 0 {
		return f.first(c, label, f.wish.Fields)
	}
	usual := f.try(c, label, fleetyaml.DefaultField)
	if usual.why == "" {
		return usual
	}
	var fits []mapping
	var names []string
	for _, field := range c.folder.File.Candidates() {
		if m := f.try(c, label, field); m.why == "" && len(m.versions) > 0 {
			fits, names = append(fits, m), append(names, string(field))
		}
	}
	switch len(fits) {
	case 0:
		return usual
	case 1:
		return fits[0]
	}
	return mapping{why: "its version may stand in " + strings.Join(names, " or "), hint: "say where with --field"}
}

func (f *finder) first(c candidate, label string, fields []fleetyaml.Field) mapping {
	var last mapping
	for i, field := range fields {
		m := f.try(c, label, field)
		if m.why == "" {
			return m
		}
		if i == 0 {
			last = m
		}
	}
	return last
}

// try asks of every ring whether the field there can be edited, and what it
// says.
func (f *finder) try(c candidate, label string, field fleetyaml.Field) mapping {
	m := mapping{field: field, versions: map[string]rings.Version{}}
	fields := []fleetyaml.Field{field}
	if fault := field.Check(); fault != nil {
		m.why, m.hint = fault.Msg, fault.Hint
		return m
	}
	if field.ReadByChart() && !c.folder.Chart {
		m.why, m.hint = fmt.Sprintf("there is no chart in it, so nothing reads %s", field.Path()), "move the version into a chart's values, or say with --field where it stands"
		return m
	}
	view, err := c.folder.File.View(c.repo.Targets, fields)
	if err != nil {
		m.why = err.Error()
		return m
	}
	on := f.byRing(label)
	for _, ring := range slices.Sorted(maps.Keys(on)) {
		if ring == "" {
			continue
		}
		got := versions(view, on[ring])
		if len(got) == 0 {
			continue // it is not deployed there
		}
		found := c.folder.File.Inspect(fleetyaml.Change{Ring: on[ring], All: f.Clusters, Targets: c.repo.Targets, Fields: fields})
		if m.why, m.hint = blocker(ring, found); m.why != "" {
			return m
		}
		if m.versions[ring] = got[0]; len(got) > 1 {
			m.several = append(m.several, ring)
			delete(m.versions, ring)
		}
	}
	return m
}

// versions are the different ones that the clusters get, sorted.
func versions(view *fleetyaml.View, clusters []fleetyaml.Cluster) []rings.Version {
	seen := map[rings.Version]bool{}
	for _, c := range clusters {
		if e, _ := view.Effect(c); e.Deployed { // the effect is complete when the fields disagree
			seen[rings.Version(e.Version)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func blocker(ring string, found []fleetyaml.Finding) (why, hint string) {
	for _, b := range found {
		if b.Severity != fleetyaml.Blocker || b.Code == fleetyaml.CodeNotDeployed {
			continue
		}
		why = fmt.Sprintf("ring %q: %s", ring, b.Msg)
		if b.Line > 0 {
			why = fmt.Sprintf("line %d: %s", b.Line, why)
		}
		if n := len(b.Clusters); n > 0 {
			why += fmt.Sprintf(" (clusters %s)", strings.Join(b.Clusters[:min(n, 5)], ", "))
		}
		return why, b.Hint
	}
	return "", ""
}

// services fills in the services, and names the candidates that are none.
func (f *finder) services() {
	for _, c := range f.folders {
		m := f.mapFolder(c, f.out.App.RingLabel)
		switch {
		case m.why != "":
			f.leave("service", c.String(), m.hint, "%s", m.why)
			continue
		case len(m.versions)+len(m.several) == 0:
			f.leave("service", c.String(), "", "it is deployed on no ring")
			continue
		}
		f.add(c, m)
	}
}

func (f *finder) add(c candidate, m mapping) {
	a := f.out.App
	name := f.name(c)
	if name == "" {
		f.leave("service", c.String(), "give its fleet.yaml a name", "neither its bundle, its folder nor its GitRepo has a name that no other service has")
		return
	}
	f.mapped = append(f.mapped, mapped{c, name})
	a.Services = append(a.Services, rings.Service{Name: name, Repo: c.repo.Repo, Branch: c.repo.Branch, Path: c.folder.Path, GitRepo: c.repo.Name,
		Bundle: c.folder.Bundle, Fields: []string{string(m.field)}})
	of := map[rings.RingName]rings.Version{}
	for _, ring := range a.RingNames() {
		if v, ok := m.versions[string(ring)]; ok {
			of[ring] = v
		}
	}
	f.out.Versions[name] = of
	for _, ring := range m.several {
		f.leave("version", fmt.Sprintf("%s on %s", name, ring), fmt.Sprintf("the next rollout of %s to %s makes them one", name, ring), "the ring's clusters get several versions")
	}
}

// name is the first that is a name and is free, of the file's own, the
// GitRepo's when it deploys nothing else, the folder's and the bundle's; each
// without the application's name before it.
func (f *finder) name(c candidate) rings.ServiceName {
	names := []string{c.folder.File.BundleName()}
	if len(c.repo.Folders) == 1 {
		names = append(names, c.repo.Name)
	}
	if c.folder.Path != "" {
		names = append(names, path.Base(c.folder.Path))
	}
	for _, n := range append(names, c.folder.Bundle, c.repo.Name) {
		n = strings.TrimPrefix(n, string(f.wish.App)+"-")
		if rings.CheckName("service", n) != "" {
			continue
		}
		if _, err := f.out.App.Service(rings.ServiceName(n)); err != nil {
			return rings.ServiceName(n)
		}
	}
	return ""
}

// dependencies takes over what the files depend on, as far as these are
// services.
func (f *finder) dependencies() {
	for _, m := range f.mapped {
		s, err := f.out.App.Service(m.service)
		if err != nil {
			continue // it was mapped, so it is there
		}
		for _, d := range m.folder.File.Dependencies() {
			on, err := f.meant(d, m.service)
			if err != nil {
				f.leave("dependency", fmt.Sprintf("%s on %s", m.service, dependencyWords(d)), "", "%v", err)
			}
			s.DependsOn = append(s.DependsOn, on...)
		}
		slices.Sort(s.DependsOn)
		s.DependsOn = slices.Compact(s.DependsOn)
	}
}

// meant are the services that a dependency is on, without the one that has it.
func (f *finder) meant(d fleetyaml.Dependency, by rings.ServiceName) ([]rings.ServiceName, error) {
	selector := labels.Nothing()
	if d.Selector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(d.Selector); err != nil {
			return nil, err
		}
	}
	var out []rings.ServiceName
	for _, m := range f.mapped {
		of := labels.Set{"fleet.cattle.io/repo-name": m.repo.Name}
		maps.Copy(of, m.folder.File.Labels())
		if m.service != by && (d.Name != "" && d.Name == m.folder.Bundle || d.Selector != nil && selector.Matches(of)) {
			out = append(out, m.service)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no service of the application is that bundle; Fleet goes on seeing to it")
	}
	return out, nil
}

func dependencyWords(d fleetyaml.Dependency) string {
	if d.Name != "" {
		return fmt.Sprintf("bundle %q", d.Name)
	}
	return "bundles with " + metav1.FormatLabelSelector(d.Selector)
}
