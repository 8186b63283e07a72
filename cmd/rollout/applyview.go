package main

import (
	"fmt"
	"io"

	"rollout/rings"
	"rollout/rings/appfile"
)

// applyView is what apply did, or with dryRun would do. An empty list of
// changes: the application is what the file says.
type applyView struct {
	App     rings.AppName `json:"app"`
	DryRun  bool          `json:"dryRun"`
	Changes []changeView  `json:"changes"`
	Extra   []extraView   `json:"extra"`
}

// changeView is one change. services is what Fleet gives the cluster before and
// after, for a change of labels.
type changeView struct {
	Kind     appfile.ChangeKind `json:"kind"`
	Words    []string           `json:"words"`
	Services []moveServiceView  `json:"services"`
	Done     bool               `json:"done"`
}

// extraView is something that the file does not name. keep is why --prune does
// not remove it, command what does; both may be "".
type extraView struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Words   string `json:"words"`
	Command string `json:"command"`
	Keep    string `json:"keep"`
}

func (ap *applier) view() applyView {
	v := applyView{App: ap.file.Name, DryRun: ap.options.dryRun, Changes: []changeView{}, Extra: []extraView{}}
	for _, c := range ap.changes {
		v.Changes = append(v.Changes, changeView{Kind: c.Kind, Words: c.Words, Services: append([]moveServiceView{}, c.moves...), Done: c.done})
	}
	for _, e := range ap.extra {
		v.Extra = append(v.Extra, extraView(e))
	}
	return v
}

func (ap *applier) print() error {
	return ap.program.print(ap.view(), func(w io.Writer) error {
		if len(ap.changes) == 0 {
			_, err := fmt.Fprintf(w, "application %q is what the file says: nothing to change\n", ap.file.Name)
			return err
		}
		for _, c := range ap.changes {
			for _, l := range c.lines() {
				if _, err := fmt.Fprintln(w, l); err != nil {
					return err
				}
			}
		}
		ap.say("%s; nothing was changed", counted(len(ap.changes), "change"))
		return nil
	})
}

// lines are the change and, indented, what it makes Fleet deploy.
func (c planned) lines() []string {
	out := append([]string{}, c.Words...)
	for _, l := range moveLines(c.moves) {
		out = append(out, "  "+l)
	}
	return out
}

// showExtra names what was made by hand.
func (ap *applier) showExtra() {
	if ap.flags.output != "text" {
		return
	}
	for _, e := range ap.extra {
		if ap.options.prune && e.Keep == "" {
			continue
		}
		words := fmt.Sprintf("not in the file: %s %q", e.Kind, e.Name)
		if e.Words != "" {
			words += ", " + e.Words
		}
		if e.Command != "" {
			words += fmt.Sprintf("; %q would forget it", e.Command)
		}
		ap.say("%s", words)
	}
}
