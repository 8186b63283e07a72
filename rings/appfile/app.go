package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollout/rings"
)

func writeApp(f *File, a *rings.Application, _ []rings.Cluster) {
	f.Workspace, f.RingLabel, f.Selector = a.Workspace, a.RingLabel, maps.Clone(a.Selector)
}

func compareApp(d *Difference, s State, f *File, wanted *rings.Application) {
	if s.App == nil {
		d.Changes = append(d.Changes, Change{Kind: CreateApp, Words: []string{
			fmt.Sprintf("create application %q: clusters with %s, rings by the label %q", f.Name, labelWords(wanted.Selector), wanted.RingLabel)}})
		return
	}
	what := fmt.Sprintf("application %q: ", f.Name)
	help := fmt.Sprintf("give it another name, or forget the one that is there with \"rollout app delete %s\"", f.Name)
	d.fix(help, what+"ringLabel", s.App.RingLabel, wanted.RingLabel)
	d.fix(help, what+"selector", labelWords(s.App.Selector), labelWords(wanted.Selector))
	if f.Workspace != "" {
		d.fix(help, what+"workspace", s.App.Workspace, f.Workspace)
	}
}

func labelWords(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, ",")
}
