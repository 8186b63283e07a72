package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
)

// preview says what the rollout would do, and refuses what would fail. Nothing
// is written anywhere.
func (p *program) preview(ctx context.Context, m *fleet.Manager, a *rings.Application, c orchestrator.Created) (previewView, error) {
	if err := p.needPermissions(ctx, m); err != nil {
		return previewView{}, err
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return previewView{}, err
	}
	l := &prospect{app: a, created: c, clusters: clusters, now: p.now()}
	if l.live, l.barriers, err = p.underWay(ctx, a); err != nil {
		return previewView{}, err
	}
	if l.barriers.Grouped() {
		reachable, err := m.Reachable(ctx)
		if err != nil {
			return previewView{}, err
		}
		l.barriers = l.barriers.Spread(membersOf(reachable))
	}
	look := previewer{manager: m, pub: p.publisher(m), prospect: l}
	defer look.pub.Close()
	look.all(ctx)
	if c.Options.Tag != "" {
		l.taken = look.takenTags(ctx)
	}
	return l.view()
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
		if !slices.Contains(words, err.Error()) {
			words = append(words, err.Error())
		}
	}
	v := classify(faults[0])
	return &commandError{exit: v.exit, code: v.code, hint: v.hint, err: faults[0], what: strings.Join(words, "\n       ")}
}

// printPreview prints all that there is to see, with the diffs.
func (p *program) printPreview(v previewView) error {
	return p.print(v, func(w io.Writer) error {
		return printLines(w, v.lines(p.style(p.terminal)))
	})
}

// previewLines is the preview in short, for a rollout that begins at once.
func previewLines(v previewView) []string {
	var out []string
	for _, l := range v.Train.lines() {
		out = append(out, "train: "+l)
	}
	for _, l := range v.Left {
		out = append(out, "left out: "+l.words())
	}
	for _, r := range v.Rings {
		if r.Skipped {
			out = append(out, fmt.Sprintf("%s on %s: %s", v.App, r.Ring, wordsSkipped))
			continue
		}
		out = append(out, fmt.Sprintf("%s on %s, %s:", v.App, r.Ring, clusterCount(len(r.Clusters))))
		for _, g := range r.Gates {
			if g.Over {
				out = append(out, "  warning: "+g.Words)
			}
		}
		for _, s := range r.Steps {
			out = append(out, fmt.Sprintf("  %s  %s  %s  %s", s.place(), s.Service, s.change(), s.Words))
			for _, words := range append(s.absences(), s.warnings()...) {
				out = append(out, "    warning: "+words)
			}
		}
	}
	for _, l := range v.Locks {
		out = append(out, "  "+l.kept())
	}
	for _, o := range v.Others {
		out = append(out, "  warning: "+o.words())
	}
	return out
}
