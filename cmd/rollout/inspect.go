package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
)

// manifest is a service's fleet.yaml at the branch's tip.
type manifest struct {
	*fleetyaml.File
	source gitrepo.File
}

// readManifest reads a service's fleet.yaml, and the values files that it names.
func readManifest(ctx context.Context, pub *gitrepo.Publisher, s rings.Service) (manifest, error) {
	source, err := pub.Read(ctx, s.Repo, s.Branch, s.Path)
	if err != nil {
		return manifest{}, err
	}
	file, err := fleetyaml.Parse(source.Name, source.Bytes)
	if err != nil {
		return manifest{}, fmt.Errorf("%s: %w", s.Repo, err)
	}
	values := map[string][]byte{}
	for _, name := range file.ValuesFiles() {
		v, err := pub.ReadFile(ctx, s.Repo, s.Branch, path.Join(path.Dir(source.Name), name))
		if isCode(err, orchestrator.CodeNotFound) {
			continue // the file says so itself when that matters
		}
		if err != nil {
			return manifest{}, err
		}
		values[name] = v.Bytes
	}
	if file, err = file.WithValuesFiles(values); err != nil {
		return manifest{}, fmt.Errorf("%s: %w", s.Repo, err)
	}
	return manifest{file, source}, nil
}

func isCode(err error, code orchestrator.Code) bool {
	var e *gitrepo.Error
	return errors.As(err, &e) && e.Code == code
}

func fieldsOf(s rings.Service) []fleetyaml.Field {
	var out []fleetyaml.Field
	for _, f := range s.Fields {
		out = append(out, fleetyaml.Field(f))
	}
	return out
}

// findingView is something that a fleet.yaml says about a ring.
type findingView struct {
	Ring     rings.RingName     `json:"ring"`
	Severity fleetyaml.Severity `json:"severity"`
	Code     fleetyaml.Code     `json:"code"`
	Entry    string             `json:"entry"`
	Line     int                `json:"line"`
	Field    fleetyaml.Field    `json:"field"`
	Version  string             `json:"version"`
	Type     rings.SettingType  `json:"type,omitempty"` // of a setting, whose value is version
	Clusters []string           `json:"clusters"`
	Message  string             `json:"message"`
	Hint     string             `json:"hint"`
}

// inspect looks at a service on a ring: what the file holds for it, and what
// stands in the way of rolling it out. Nothing comes of a ring without clusters.
func inspect(m manifest, a *rings.Application, s rings.Service, ring rings.RingName, reach fleet.Reach) []findingView {
	clusters := clustersOn(a, ring, reach.Clusters)
	if len(clusters) == 0 {
		return nil
	}
	found := m.Inspect(fleetyaml.Change{Ring: clusters, All: reach.Clusters, Targets: reach.Targets, Fields: fieldsOf(s), AcceptRedeploy: s.AcceptRedeploy,
		Settings: undecided(s)})
	var out []findingView
	for _, f := range found {
		if f.Code == fleetyaml.CodeNoEntry {
			f.Hint = fmt.Sprintf("give ring %q an entry with the version that it runs now, push it, and run this again", ring)
		}
		out = append(out, findingView{Ring: ring, Severity: f.Severity, Code: f.Code, Entry: f.Entry, Line: f.Line, Field: f.Field,
			Version: f.Version, Type: f.Type, Clusters: append([]string{}, f.Clusters...), Message: f.Msg, Hint: f.Hint})
	}
	return out
}

// clustersOn are the application's clusters with the ring's label.
func clustersOn(a *rings.Application, ring rings.RingName, all []fleetyaml.Cluster) []fleetyaml.Cluster {
	return slices.DeleteFunc(slices.Clone(all), func(c fleetyaml.Cluster) bool {
		on, ours := a.Owns(c.Labels)
		return !ours || on != ring
	})
}

// blockers is an error about everything that stands in the way, or nil. That a
// service is not deployed on a ring at all is not in the way: it is skipped.
func blockers(s rings.Service, file string, found []findingView) error {
	var faults, hints []string
	for _, f := range found {
		if f.Severity != fleetyaml.Blocker || f.Code == fleetyaml.CodeNotDeployed {
			continue
		}
		if f.Entry == "" && len(f.Clusters) == 0 { // it is about the file, and so the same for every ring
			f.Ring = ""
		}
		if words := findingWords(file, f); !slices.Contains(faults, words) {
			faults = append(faults, words)
		}
		if f.Hint != "" && !slices.Contains(hints, f.Hint) {
			hints = append(hints, f.Hint)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return &commandError{exit: exitInvalid, code: string(orchestrator.CodeFile), hint: strings.Join(hints, "; "),
		what: fmt.Sprintf("service %q: %s:\n  %s", s.Name, s.Repo, strings.Join(faults, "\n  "))}
}

// findingWords is the finding as a compiler would say it.
func findingWords(file string, f findingView) string {
	where := file
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", file, f.Line)
	}
	if f.Ring != "" {
		where += fmt.Sprintf(": ring %q", f.Ring)
	}
	if f.Entry != "" && !strings.Contains(f.Message, f.Entry) {
		where += fmt.Sprintf(": entry %q", f.Entry)
	}
	words := where + ": " + f.Message
	if len(f.Clusters) > 0 {
		words += fmt.Sprintf(" (clusters %s)", shortList(f.Clusters, 5))
	}
	return words
}

func shortList(names []string, limit int) string {
	if len(names) <= limit {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), len(names)-limit)
}

// runsOn is the version that the file gives the ring's clusters, "" when they
// get none, or not the same.
func runsOn(m manifest, a *rings.Application, s rings.Service, ring rings.RingName, reach fleet.Reach) (rings.Version, error) {
	view, err := m.View(reach.Targets, fieldsOf(s))
	if err != nil {
		return "", err
	}
	seen := map[rings.Version]bool{}
	version := rings.Version("")
	for _, c := range clustersOn(a, ring, reach.Clusters) {
		e, err := view.Effect(c)
		if err != nil {
			return "", err
		}
		if e.Deployed {
			version = rings.Version(e.Version)
			seen[version] = true
		}
	}
	if len(seen) != 1 {
		return "", nil
	}
	return version, nil
}
