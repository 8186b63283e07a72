package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
)

// previewView is what a rollout is going to ship.
type previewView struct {
	App      rings.AppName       `json:"app"`
	Ring     rings.RingName      `json:"ring"`
	Clusters []rings.ClusterName `json:"clusters"`
	Steps    []previewStepView   `json:"steps"`
}

type previewStepView struct {
	Service  rings.ServiceName   `json:"service"`
	Wave     int                 `json:"wave"`
	From     rings.Version       `json:"from"`
	To       rings.Version       `json:"to"`
	Words    string              `json:"words"`
	Clusters []rings.ClusterName `json:"clusters"`
	Excluded []excludedView      `json:"excluded"`
	Modified []rings.ClusterName `json:"modified"`
	Findings []findingView       `json:"findings"`
}

type excludedView struct {
	Cluster rings.ClusterName `json:"cluster"`
	Why     string            `json:"why"`
}

// previewer looks at git and Fleet for a rollout that is not there yet.
type previewer struct {
	manager *fleet.Manager
	pub     *gitrepo.Publisher
	app     *rings.Application
	created orchestrator.Created
}

// preview says what the rollout would do, and refuses what would fail.
func (p *program) preview(ctx context.Context, m *fleet.Manager, a *rings.Application, c orchestrator.Created) (previewView, error) {
	v := previewView{App: a.Name, Ring: c.Rings[0].Name, Clusters: []rings.ClusterName{}}
	if err := p.needPermissions(ctx, m); err != nil {
		return v, err
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return v, err
	}
	for _, x := range clusters {
		if on, ours := a.Owns(x.Labels); ours && on == v.Ring {
			v.Clusters = append(v.Clusters, x.Name)
		}
	}
	if len(v.Clusters) == 0 {
		return v, invalid(fmt.Sprintf("rollout cluster add CLUSTER --app %s --ring %s", a.Name, v.Ring),
			"ring %q of application %q has no clusters: none in workspace %q has the labels %s", v.Ring, a.Name, a.Workspace, labelWords(a.RingLabels(v.Ring)))
	}
	look := previewer{manager: m, pub: p.publisher(m), app: a, created: c}
	defer look.pub.Close()
	v.Steps, err = look.steps(ctx)
	return v, err
}

// steps are looked at together; all that is wrong with them is said at once.
func (l previewer) steps(ctx context.Context) ([]previewStepView, error) {
	out := make([]previewStepView, len(l.created.Steps))
	faults := make([]error, len(l.created.Steps))
	var group errgroup.Group
	group.SetLimit(8)
	for i, n := range l.created.Steps {
		group.Go(func() error {
			out[i], faults[i] = l.step(ctx, n)
			return nil
		})
	}
	_ = group.Wait() // every step has its own fault
	return out, joinFaults(faults)
}

// joinFaults is all faults in one error, with the code and the hint of the first.
func joinFaults(faults []error) error {
	faults = slices.DeleteFunc(faults, func(err error) bool { return err == nil })
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return faults[0]
	}
	var words []string
	for _, err := range faults {
		words = append(words, err.Error())
	}
	v := classify(faults[0])
	return &commandError{exit: v.exit, code: v.code, hint: v.hint, err: faults[0], what: strings.Join(words, "\n       ")}
}

// stepWait bounds how long a preview waits for a repository.
const stepWait = 15 * time.Second

// step looks at a service. A repository that cannot be reached now is no
// reason to refuse: the rollout tries again until its deadline.
func (l previewer) step(ctx context.Context, n orchestrator.NewStep) (previewStepView, error) {
	ctx, cancel := context.WithTimeout(ctx, stepWait)
	defer cancel()
	v, err := l.look(ctx, n)
	var git *gitrepo.Error
	if errors.As(err, &git) && git.Result == orchestrator.Unreachable {
		v.Words, err = "cannot be looked at now: "+git.Error(), nil
	}
	return v, err
}

func (l previewer) look(ctx context.Context, n orchestrator.NewStep) (previewStepView, error) {
	v := previewStepView{Service: n.Target.Service, Wave: n.Wave, To: n.To, Clusters: []rings.ClusterName{}, Excluded: []excludedView{},
		Modified: []rings.ClusterName{}, Findings: []findingView{}}
	survey, err := l.survey(ctx, n)
	if err != nil {
		return v, err
	}
	v.From, v.Clusters = survey.Version, append(v.Clusters, survey.Expected...)
	for _, x := range survey.Excluded {
		v.Excluded = append(v.Excluded, excludedView{x.Cluster, x.Why})
	}
	if err := l.inspect(ctx, n, &v); err != nil {
		return v, err
	}
	if err := l.foreign(n, survey); err != nil {
		return v, err
	}
	if err := l.modified(ctx, n, &v); err != nil {
		return v, err
	}
	v.Words = stepPreview(v, survey, l.created.Options)
	return v, nil
}

// survey reads what the branch gives the ring.
func (l previewer) survey(ctx context.Context, n orchestrator.NewStep) (orchestrator.Survey, error) {
	service := n.Target.Service
	o := l.pub.Survey(ctx, orchestrator.Job{Scope: l.created.Scope, Targets: map[rings.ServiceName]orchestrator.Target{service: n.Target},
		Action: orchestrator.Action{ID: "preview", Kind: orchestrator.ActSurvey, Ring: n.Ring, Items: []orchestrator.Item{{Service: service}}}})
	if o.Result != orchestrator.OK || len(o.Surveys) != 1 {
		return orchestrator.Survey{}, fmt.Errorf("service %q: %w", service, &gitrepo.Error{Result: o.Result, Code: o.Code, Words: o.Words, Hint: o.Hint})
	}
	return o.Surveys[0], nil
}

// foreign refuses a version that was not recorded here, as the engine would.
func (l previewer) foreign(n orchestrator.NewStep, survey orchestrator.Survey) error {
	if l.created.Options.Override || n.Known.Version == "" && n.Known.Attempted == "" {
		return nil
	}
	present := survey.Versions
	if survey.Version != "" {
		present = []rings.Version{survey.Version}
	}
	for _, v := range present {
		if v != n.To && !n.Known.Wrote(v) {
			return &commandError{exit: exitConflict, code: string(orchestrator.CodeManual),
				what: fmt.Sprintf("service %q: its fleet.yaml says %s for %s, last recorded here is %s: commit %s by %s on %s", n.Target.Service, v, n.Ring,
					cmpHint(string(n.Known.Version), string(n.Known.Attempted)), short(survey.Commit), cmpHint(survey.Author, "unknown"), stamp(survey.At)),
				hint: fmt.Sprintf("\"rollout service adopt %s %s\" records it as known; --override --reason WORDS goes over it", l.app.Name, n.Target.Service)}
		}
	}
	return nil
}

// inspect refuses what the editor would.
func (l previewer) inspect(ctx context.Context, n orchestrator.NewStep, v *previewStepView) error {
	s, err := l.app.Service(n.Target.Service)
	if err != nil {
		return err
	}
	file, err := readManifest(ctx, l.pub, *s)
	if err != nil {
		return err
	}
	reach, err := l.manager.Reach(ctx, l.created.Scope, n.Target)
	if err != nil {
		return err
	}
	v.Findings = append(v.Findings, inspect(file, l.app, *s, n.Ring, reach)...)
	return blockers(*s, file.source.Name, v.Findings)
}

// modified finds the clusters whose next upgrade will probably hang.
func (l previewer) modified(ctx context.Context, n orchestrator.NewStep, v *previewStepView) error {
	all, err := l.manager.DeployedOn(ctx, n.Target.GitRepo, v.Clusters)
	if err != nil {
		return err
	}
	s, err := l.app.Service(n.Target.Service)
	if err != nil {
		return err
	}
	for _, d := range all {
		if !d.NonModified && !d.Gone && (s.Bundle == "" || d.Bundle == s.Bundle) && d.Applied {
			v.Modified = append(v.Modified, d.Cluster)
		}
	}
	return nil
}

// stepPreview is what will be done, in words.
func stepPreview(v previewStepView, survey orchestrator.Survey, o orchestrator.Options) string {
	switch {
	case len(v.Clusters) == 0:
		return "not deployed on the ring: skipped"
	case v.From == v.To && o.Redeploy:
		return "deployed again"
	case v.From == v.To && survey.Nonce > 0:
		return "the file says so already: nothing is written if it is live"
	case v.From == v.To:
		return "the file says so already: a commit for the acknowledgement"
	}
	return fmt.Sprintf("on %d clusters", len(v.Clusters))
}

func (p *program) printPreview(v previewView) error {
	return p.print(v, func(w io.Writer) error { return printLines(w, previewLines(v)) })
}

func previewLines(v previewView) []string {
	out := []string{fmt.Sprintf("%s on %s, %d clusters:", v.App, v.Ring, len(v.Clusters))}
	for _, s := range v.Steps {
		versions := string(s.To)
		if s.From != "" && s.From != s.To {
			versions = fmt.Sprintf("%s -> %s", s.From, s.To)
		}
		out = append(out, fmt.Sprintf("  wave %d  %s  %s  %s", s.Wave, s.Service, versions, s.Words))
		for _, x := range s.Excluded {
			out = append(out, fmt.Sprintf("    warning: not on %s: %s", x.Cluster, x.Why))
		}
		for _, name := range s.Modified {
			out = append(out, fmt.Sprintf("    warning: %s is modified now, so its upgrade will probably hang", name))
		}
		for _, f := range s.Findings {
			if f.Severity == fleetyaml.Warning {
				out = append(out, "    warning: "+f.Message)
			}
		}
	}
	return out
}
