package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// entryView is a rollout in the history.
type entryView struct {
	summaryView
	Why   string          `json:"why"` // the reason that its starter gave
	Steps []entryStepView `json:"steps"`
}

// entryStepView is a step that has begun or ended.
type entryStepView struct {
	Ring        rings.RingName         `json:"ring"`
	Service     rings.ServiceName      `json:"service"`
	Undo        bool                   `json:"undo"` // it takes what another step did back
	Phase       string                 `json:"phase"`
	Reason      string                 `json:"reason"`
	From        rings.Version          `json:"from"` // "" when the clusters had several, or it was not read
	To          rings.Version          `json:"to"`
	Settings    []orchestrator.Changed `json:"settings,omitempty"`
	Commits     []string               `json:"commits"` // on the branch, oldest first
	StartedAt   *time.Time             `json:"startedAt"`
	PublishedAt *time.Time             `json:"publishedAt"` // the branch first said it
	FinishedAt  *time.Time             `json:"finishedAt"`
	Clusters    []entryClusterView     `json:"clusters"`
}

// entryClusterView is a cluster of a step that has ended, or as it is now.
type entryClusterView struct {
	Name  rings.ClusterName `json:"name"`
	Phase string            `json:"phase"`
	Since *time.Time        `json:"since"` // of the phase
	// Took is how long after publishedAt it was ready, as in "1m12s"; "" when
	// it is not, or was before.
	Took string `json:"took"`
	took time.Duration
}

func (p *program) viewEntry(r store.Summary) entryView {
	v := entryView{summaryView: p.viewSummary(r), Why: r.Why, Steps: []entryStepView{}}
	for _, s := range r.Steps {
		v.Steps = append(v.Steps, viewEntryStep(s))
	}
	return v
}

func viewEntryStep(s store.StepSummary) entryStepView {
	v := entryStepView{Ring: s.Ring, Service: s.Service, Undo: s.Undo, Phase: string(s.Phase), Reason: s.Reason, From: s.From, To: s.To, Settings: s.Settings,
		Commits: append([]string{}, s.Commits...), StartedAt: instant(s.StartedAt), PublishedAt: instant(s.PublishedAt), FinishedAt: instant(s.FinishedAt),
		Clusters: []entryClusterView{}}
	if s.Phase == orchestrator.StepSurveying {
		v.Phase = string(orchestrator.StepPublishing)
	}
	for _, c := range s.Clusters {
		x := entryClusterView{Name: c.Name, Phase: string(c.Phase), Since: instant(c.Since)}
		if c.Phase == orchestrator.ClusterReady && !s.PublishedAt.IsZero() && c.Since.After(s.PublishedAt) {
			x.took = c.Since.Sub(s.PublishedAt)
			x.Took = orchestrator.Duration(x.took)
		}
		v.Clusters = append(v.Clusters, x)
	}
	return v
}

// from are the versions that were there before, by service: "db=v1".
func (v entryView) from() string {
	before := map[rings.ServiceName][]string{}
	for _, s := range v.Steps {
		if !s.Undo && s.From != "" && !slices.Contains(before[s.Service], string(s.From)) {
			before[s.Service] = append(before[s.Service], string(s.From))
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		out = append(out, fmt.Sprintf("%s=%s", name, strings.Join(before[name], "|")))
	}
	return strings.Join(append(out, v.settingsFrom()...), " ")
}

// settingsFrom are the values that there were before: "web.maxReplicas=3".
func (v entryView) settingsFrom() []string {
	before := map[string][]string{}
	for _, s := range v.Steps {
		for _, c := range s.Settings {
			name := fmt.Sprintf("%s.%s", s.Service, c.Name)
			if !s.Undo && c.From != "" && !slices.Contains(before[name], c.From) {
				before[name] = append(before[name], c.From)
			}
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		out = append(out, fmt.Sprintf("%s=%s", name, strings.Join(before[name], "|")))
	}
	return out
}

// clusters are how many were ready, and which was the last.
func (v entryView) clusters() string {
	names, ready := map[rings.ClusterName]bool{}, map[rings.ClusterName]bool{}
	var slowest entryClusterView
	for _, s := range v.Steps {
		for _, c := range s.Clusters {
			before := !names[c.Name] || ready[c.Name]
			names[c.Name], ready[c.Name] = true, before && c.Phase == string(orchestrator.ClusterReady)
			if c.took > slowest.took {
				slowest = c
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	good := 0
	for _, is := range ready {
		if is {
			good++
		}
	}
	words := fmt.Sprintf("%d/%d ready", good, len(names))
	if slowest.took > 0 {
		words += fmt.Sprintf(", slowest %s %s", slowest.Name, slowest.Took)
	}
	return words
}

var entryHeader = []string{"ID", "RING", "PHASE", "VERSIONS", "BY", "STARTED", "TOOK", "REASON", "FROM", "CLUSTERS", "WHY", "LINK"}

func (p *program) entryRow(v entryView) []string {
	return []string{string(v.ID), join(v.Rings), string(v.Phase), contentWords(v.Plan, v.Settings), v.StartedBy, p.when(*v.StartedAt), took(v.summaryView, p.now()), firstLine(v.Reason),
		v.from(), v.clusters(), firstLine(v.Why), v.Link}
}

var entryCSVHeader = []string{"id", "kind", "of", "app", "phase", "startedBy", "why", "link", "startedAt", "finishedAt", "reason",
	"ring", "service", "undo", "stepPhase", "from", "to", "commit", "publishedAt", "stepFinishedAt", "cluster", "clusterPhase", "clusterSince", "took", "settings"}

// csv is a row for each cluster of each step; a step without clusters and a
// rollout without steps have one, too.
func (v entryView) csv() [][]string {
	head := []string{string(v.ID), v.Kind, string(v.Of), string(v.App), string(v.Phase), v.StartedBy, v.Why, v.Link, stampOf(v.StartedAt), stampOf(v.FinishedAt), v.Reason}
	if len(v.Steps) == 0 {
		return [][]string{append(head, make([]string, len(entryCSVHeader)-len(head))...)}
	}
	var out [][]string
	for _, s := range v.Steps {
		commit := ""
		if len(s.Commits) > 0 {
			commit = s.Commits[len(s.Commits)-1]
		}
		step := append(slices.Clone(head), string(s.Ring), string(s.Service), fmt.Sprint(s.Undo), s.Phase, string(s.From), string(s.To), commit, stampOf(s.PublishedAt), stampOf(s.FinishedAt))
		clusters := s.Clusters
		if len(clusters) == 0 {
			clusters = []entryClusterView{{}}
		}
		for _, c := range clusters {
			out = append(out, append(slices.Clone(step), string(c.Name), c.Phase, stampOf(c.Since), c.Took, orchestrator.SettingWords(s.Settings)))
		}
	}
	return out
}
