package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollout/rings"
)

func writeServices(f *File, a *rings.Application, _ []rings.Cluster) {
	for _, s := range a.Services {
		f.Services = append(f.Services, serviceOf(s))
	}
}

// serviceOf leaves out what is the default.
func serviceOf(s rings.Service) Service {
	out := Service{Name: s.Name, Repo: s.Repo, Branch: s.Branch, Path: s.Path, GitRepo: s.GitRepo, ClientSecret: s.Secret,
		Fields: s.Fields, Settings: settingsOf(s.Settings), DependsOn: s.DependsOn, AcceptRedeploy: s.AcceptRedeploy, Publish: s.Publish}
	if slices.Equal(s.Fields, []string{rings.DefaultField}) {
		out.Fields = nil
	}
	return out
}

func (s Service) service() rings.Service {
	out := rings.Service{Name: s.Name, Repo: s.Repo, Branch: or(s.Branch, DefaultBranch), Path: strings.Trim(s.Path, "/"), GitRepo: s.GitRepo,
		Secret: s.ClientSecret, Fields: slices.Clone(s.Fields), Settings: s.settings(), DependsOn: sorted(s.DependsOn), AcceptRedeploy: s.AcceptRedeploy,
		Publish: choice(s.Publish, wordPush)}
	if len(out.Fields) == 0 {
		out.Fields = []string{rings.DefaultField}
	}
	return out
}

func sorted(in []rings.ServiceName) []rings.ServiceName {
	out := slices.Clone(in)
	slices.Sort(out)
	return out
}

func compareServices(d *Difference, s State, f *File, wanted *rings.Application) {
	stored := map[rings.ServiceName]rings.Service{}
	if s.App != nil {
		for _, old := range s.App.Services {
			stored[old.Name] = old
		}
	}
	deps := map[rings.ServiceName][]rings.ServiceName{}
	for _, v := range inOrder(wanted) {
		old, there := stored[v.Name]
		if !there {
			d.Changes = append(d.Changes, Change{Kind: AddService, Service: v, Words: []string{addWords(v)}})
			continue
		}
		d.fixService(s, f, old, v)
		d.setPublish(old, v)
		d.setSettings(old, v)
		if !slices.Equal(sorted(old.DependsOn), v.DependsOn) {
			deps[v.Name] = v.DependsOn
		}
	}
	d.setDeps(stored, deps)
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if _, err := wanted.Service(name); err != nil {
			d.Extra = append(d.Extra, Extra{Kind: "service", Name: string(name), Command: fmt.Sprintf("rollout service remove %s %s", f.Name, name)})
		}
	}
}

func addWords(s rings.Service) string {
	words := fmt.Sprintf("add service %q: %s of %s, branch %q", s.Name, s.File(), s.Repo, s.Branch)
	if len(s.Settings) > 0 {
		words += ", settings " + settingWords(s.Settings)
	}
	if len(s.DependsOn) > 0 {
		words += ", depends on " + join(s.DependsOn)
	}
	return words
}

// fixService notes what differs and only another service could have.
func (d *Difference) fixService(s State, f *File, old, v rings.Service) {
	what := fmt.Sprintf("service %q: ", v.Name)
	help := fmt.Sprintf("\"rollout service remove %s %s\" forgets it; applying the file then adds it anew", f.Name, v.Name)
	if s.SameRepo == nil || !s.SameRepo(old.Repo, v.Repo) {
		d.fix(help, what+"repo", old.Repo, v.Repo)
	}
	d.fix(help, what+"branch", old.Branch, v.Branch)
	d.fix(help, what+"path", old.Path, v.Path)
	d.fix(help, what+"clientSecret", old.Secret, v.Secret)
	d.fix(help, what+"fields", strings.Join(old.Fields, ", "), strings.Join(v.Fields, ", "))
	d.fix(help, what+"acceptRedeploy", fmt.Sprint(old.AcceptRedeploy), fmt.Sprint(v.AcceptRedeploy))
	if v.GitRepo != "" {
		d.fix(help, what+"gitRepo", old.GitRepo, v.GitRepo)
	}
}

func (d *Difference) setPublish(old, v rings.Service) {
	if old.Publish == v.Publish {
		return
	}
	d.Changes = append(d.Changes, Change{Kind: SetPublish, Service: v,
		Words: []string{fmt.Sprintf("service %q: publish %s -> %s", v.Name, or(string(old.Publish), wordPush), or(string(v.Publish), wordPush))}})
}

// setDeps is one change for all services.
func (d *Difference) setDeps(stored map[rings.ServiceName]rings.Service, deps map[rings.ServiceName][]rings.ServiceName) {
	if len(deps) == 0 {
		return
	}
	c := Change{Kind: SetDeps, Deps: deps}
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		c.Words = append(c.Words, fmt.Sprintf("service %q: depends on %s -> %s", name, orNothing(sorted(stored[name].DependsOn)), orNothing(deps[name])))
	}
	d.Changes = append(d.Changes, c)
}

func orNothing(names []rings.ServiceName) string {
	return or(join(names), "nothing")
}

func join[T ~string](names []T) string {
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	return strings.Join(out, ", ")
}
