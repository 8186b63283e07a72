package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"rollout/rings"
)

// namesShown is how many names a line of a preview has at most.
const namesShown = 8

// shortNames are the names, the first of them when they are many.
func shortNames(names []rings.ClusterName) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return shortList(out, namesShown)
}

// lines are all that there is to see, for people: what happens ring by ring in
// the order of time, what does not, and at the end the diffs.
func (v previewView) lines(s style) []string {
	var out []string
	for _, r := range v.Rings {
		out = append(append(out, r.lines(v.App, s)...), "")
	}
	out = append(out, section("train:", v.Train.lines(), func(l string) string { return l })...)
	out = append(out, section("left out:", v.Left, leftRingView.words)...)
	out = append(out, section("kept:", v.Locks, lockView.kept)...)
	out = append(out, section("untouched:", v.Untouched, untouchedView.words)...)
	out = append(out, section("also under way:", v.Others, otherView.words)...)
	return append(out, v.diffs(s)...)
}

// section is a heading with what stands below it and an empty line; nothing
// when there is nothing.
func section[T any](heading string, items []T, words func(T) string) []string {
	if len(items) == 0 {
		return nil
	}
	out := []string{heading}
	for _, item := range items {
		out = append(out, "  "+words(item))
	}
	return append(out, "")
}

func (u untouchedView) words() string {
	where := "no ring"
	if u.Ring != "" {
		where = string(u.Ring)
	}
	if u.Service != "" {
		where += " " + string(u.Service)
	}
	return fmt.Sprintf("%s: %s, %s: %s", where, clusterCount(len(u.Clusters)), shortNames(u.Clusters), u.Why)
}

func clusterCount(n int) string {
	if n == 1 {
		return "1 cluster"
	}
	return fmt.Sprintf("%d clusters", n)
}

func (r previewRingView) lines(app rings.AppName, s style) []string {
	if r.Skipped {
		return []string{fmt.Sprintf("%s on %s: %s", app, r.Ring, wordsSkipped)}
	}
	out := []string{fmt.Sprintf("%s on %s, %s: %s", app, r.Ring, clusterCount(len(r.Clusters)), shortNames(r.Clusters))}
	out = append(out, r.gateLine(whenBefore, s)...)
	rows := r.rows()
	for i, step := range r.Steps {
		out = append(out, "  "+rows[i])
		for _, words := range step.now() {
			out = append(out, "          "+words)
		}
		for _, words := range step.warnings() {
			out = append(out, "          "+s.warn("warning: ")+words)
		}
	}
	return append(append(out, r.gateLine(whenDuring, s)...), r.gateLine(whenAfter, s)...)
}

// gateLine is what is demanded at that time, in one line.
func (r previewRingView) gateLine(when string, s style) []string {
	var words []string
	for _, g := range r.Gates {
		if g.When != when {
			continue
		}
		w := g.Words
		if g.Holds || g.Over {
			w = s.warn(w)
		}
		words = append(words, w)
	}
	if len(words) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("  %-8s%s", when, strings.Join(words, "; "))}
}

// rows are the steps, a line each, in columns.
func (r previewRingView) rows() []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, st := range r.Steps {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", st.place(), st.Service, st.change(), strings.Join(append([]string{st.Words}, st.allRun()...), "; "))
	}
	_ = w.Flush() // a Builder takes everything
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// place is the step's wave.
func (s previewStepView) place() string {
	if s.Observed {
		return "first "
	}
	return fmt.Sprintf("wave %d", s.Wave)
}

// change is the version, before and after.
func (s previewStepView) change() string {
	switch {
	case s.Observed:
		return string(s.From)
	case s.From != "" && s.From != s.To:
		return withSettings(fmt.Sprintf("%s -> %s", s.From, s.To), s.Settings)
	}
	return withSettings(string(s.To), s.Settings)
}

// allRun says what runs on all clusters, when that is one version and all is
// well.
func (s previewStepView) allRun() []string {
	if len(s.Clusters) == 0 || s.mixed() {
		return nil
	}
	return []string{"all run " + string(s.Clusters[0].Runs)}
}

// mixed reports whether the clusters differ, or something is wrong with one.
func (s previewStepView) mixed() bool {
	return slices.ContainsFunc(s.Clusters, func(c previewClusterView) bool { return c.Reason != "" || c.Runs != s.Clusters[0].Runs })
}

// now says what runs on which clusters, when they differ.
func (s previewStepView) now() []string {
	if !s.mixed() {
		return nil
	}
	type kind struct{ runs, reason string }
	of := map[kind][]rings.ClusterName{}
	var order []kind
	for _, c := range s.Clusters {
		k := kind{cmpHint(string(c.Runs), "unknown"), c.Reason}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], c.Name)
	}
	var out []string
	for _, k := range order {
		out = append(out, strings.TrimSuffix(fmt.Sprintf("now %s on %s: %s", k.runs, shortNames(of[k]), k.reason), ": "))
	}
	return out
}

// diffs are what the commits change, in the order in which they are made.
func (v previewView) diffs(s style) []string {
	var out []string
	for _, r := range v.Rings {
		for _, st := range r.Steps {
			if st.Diff == "" {
				continue
			}
			out = append(out, fmt.Sprintf("%s %s, in %s on %s:", r.Ring, st.Service, st.Repo, st.Branch))
			out = append(append(out, s.diff(st.Diff)...), "")
		}
	}
	if len(out) == 0 {
		return []string{"nothing is written"}
	}
	return append([]string{"What the commits change; forceSyncGeneration is what comes next by what is known now:", ""}, out[:len(out)-1]...)
}

// diff is a diff in lines, with the usual colours, and without what only
// programs need.
func (s style) diff(text string) []string {
	var out []string
	inside := false // of a hunk, where every line begins with a sign of its own
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		header, hunk := strings.CutPrefix(l, "@@ ")
		switch {
		case hunk:
			inside = true
			lines, _, _ := strings.Cut(header, " @@")
			out = append(out, s.busy("@@ "+lines+" @@"))
		case !inside && (strings.HasPrefix(l, "--- ") || strings.HasPrefix(l, "+++ ")):
			out = append(out, s.dim(l))
		case !inside:
		case strings.HasPrefix(l, "+"):
			out = append(out, s.good(l))
		case strings.HasPrefix(l, "-"):
			out = append(out, s.bad(l))
		default:
			out = append(out, l)
		}
	}
	return out
}
