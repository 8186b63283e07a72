package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollout/orchestrator"
	"rollout/rings"
)

// frame is how a rollout looks at a moment: a pure function of its state. The
// same one shows a rollout live and by `rollout show`.
type frame struct {
	style         style
	now           time.Time
	relative      bool   // times as distances from now
	driver        string // who drives, "" if that is not to be said
	width, height int    // 0: no limit
	clusters      int    // of a step at most; 0: all
	fold          bool   // no clusters of steps that ended well
	forecast      string // when it will have ended; "" if that is not to be said
}

func (f frame) render(s *orchestrator.State) []string {
	out := f.head(s)
	groups := groupsOf(s)
	if len(groups) == 1 {
		return f.fit(append(append(out, f.waves(groups[0].steps, s)...), f.foot(s)...))
	}
	waits := s.Why(f.now)
	for _, g := range groups {
		out = append(out, f.groupHead(s, g, waits))
		if f.folded(s, g) {
			continue
		}
		for _, l := range f.waves(g.steps, s) {
			out = append(out, "  "+l)
		}
	}
	return f.fit(append(out, f.foot(s)...))
}

// group is the steps of a ring that go in one direction.
type group struct {
	ring  *orchestrator.RingState
	undo  bool
	steps []*orchestrator.StepState
}

// groupsOf are the rings, and then those that are taken back, in the order in
// which they go.
func groupsOf(s *orchestrator.State) []group {
	var forward, back []group
	for _, r := range s.Rings {
		forward = append(forward, group{ring: r})
	}
	for _, st := range s.Steps {
		if !st.Undo {
			i := slices.IndexFunc(forward, func(g group) bool { return g.ring.Name == st.Ring })
			forward[i].steps = append(forward[i].steps, st)
			continue
		}
		if len(back) == 0 || back[len(back)-1].ring.Name != st.Ring {
			back = append(back, group{ring: ringOf(s, st.Ring), undo: true})
		}
		back[len(back)-1].steps = append(back[len(back)-1].steps, st)
	}
	return append(forward, back...)
}

// backWords say how far a ring is taken back.
func (g group) backWords() string {
	words := "taken back"
	for _, st := range g.steps {
		switch {
		case st.Phase == orchestrator.StepFailed:
			return "not taken back"
		case !st.Phase.Ended():
			words = "is being taken back"
		}
	}
	return words
}

func (f frame) groupHead(s *orchestrator.State, g group, waits []orchestrator.Wait) string {
	if g.undo {
		return fmt.Sprintf("  %s  %s", g.ring.Name, f.style.warn(g.backWords()))
	}
	line := fmt.Sprintf("  %s  %s", g.ring.Name, f.ringPhase(g.ring.Phase))
	if reason := ringReason(s, g.ring, waits); reason != "" {
		line += "  " + firstLine(reason)
	}
	return line
}

// folded reports whether the ring's line says enough: while the rollout is
// followed, of one that has ended or not begun.
func (f frame) folded(s *orchestrator.State, g group) bool {
	return f.fold && !s.Phase.Ended() && !g.undo && g.ring.Phase != orchestrator.RingRunning && g.ring.Phase != orchestrator.RingSoaking && g.ring.Phase != orchestrator.RingFailed
}

func (f frame) waves(steps []*orchestrator.StepState, s *orchestrator.State) []string {
	var out []string
	wave := -1
	for _, st := range steps {
		if st.Wave != wave {
			wave = st.Wave
			out = append(out, f.style.dim("  "+waveWord(wave)))
		}
		out = append(out, f.step(s, st)...)
	}
	return out
}

func waveWord(wave int) string {
	if wave == 0 {
		return "not in the plan, but others depend on it"
	}
	return fmt.Sprintf("wave %d", wave)
}

// madeFrom says where a rollout's versions come from, when that is not the plan.
func madeFrom(s *orchestrator.State) []string {
	var out []string
	switch s.Kind {
	case orchestrator.KindRelease:
		return []string{fmt.Sprintf("  release %d", s.Release)}
	case orchestrator.KindDeploy:
		return []string{"  deployed directly, whatever the plan says"}
	case orchestrator.KindTrain:
		for _, l := range viewTaken(s.Train).lines() {
			out = append(out, "  train: "+l)
		}
	}
	return out
}

func (f frame) head(s *orchestrator.State) []string {
	words := []string{string(s.ID), join(s.RingNames()), f.phase(s.Phase), "started " + f.when(s.StartedAt) + " by " + s.StartedBy}
	if !s.FinishedAt.IsZero() {
		words = append(words, "took "+orchestrator.Duration(s.FinishedAt.Sub(s.StartedAt)))
	}
	out := []string{strings.Join(words, "  ")}
	if s.Of != "" {
		out = append(out, fmt.Sprintf("  %s of %s", s.Kind, s.Of))
	}
	out = append(out, madeFrom(s)...)
	for _, l := range viewLeft(s.Left) {
		out = append(out, "  left out: "+l.words())
	}
	if s.Options.Reason != "" {
		out = append(out, "  reason: "+s.Options.Reason)
	}
	if s.Link != "" {
		out = append(out, "  link: "+s.Link)
	}
	if f.driver != "" && !s.Phase.Ended() {
		out = append(out, "  driver: "+f.driver)
	}
	return out
}

func (f frame) phase(p orchestrator.Phase) string {
	switch p {
	case orchestrator.Succeeded:
		return f.style.good(string(p))
	case orchestrator.Failed, orchestrator.RolledBack:
		return f.style.bad(string(p))
	case orchestrator.Cancelled, orchestrator.Paused, orchestrator.RollingBack:
		return f.style.warn(string(p))
	}
	return f.style.busy(string(p))
}

func (f frame) ringPhase(p orchestrator.RingPhase) string {
	switch p {
	case orchestrator.RingDone:
		return f.style.good(string(p))
	case orchestrator.RingFailed:
		return f.style.bad(string(p))
	case orchestrator.RingWaiting, orchestrator.RingSkipped:
		return f.style.dim(string(p))
	}
	return f.style.busy(string(p))
}

func (f frame) step(s *orchestrator.State, st *orchestrator.StepState) []string {
	line := fmt.Sprintf("    %s %-12s %-16s %s", f.mark(st.Phase), st.Target.Service, change(st), f.stepPhase(st))
	if st.Attempt.Commit != "" {
		line += "  commit " + short(st.Attempt.Commit)
	}
	if words := f.stepWords(s, st); words != "" {
		line += "  " + words
	}
	out := []string{line}
	if f.fold && (st.Phase == orchestrator.StepDone || st.Phase == orchestrator.StepSkipped) {
		return out
	}
	return append(out, f.clusterLines(st)...)
}

// change is "v1 -> v2", or "v2" where nothing else is known.
func change(st *orchestrator.StepState) string {
	from := fromVersion(st)
	if st.Observed {
		return string(from)
	}
	to := st.To
	if st.Keep && to == "" {
		to = from
	}
	if from == "" || from == to {
		return withSettings(string(to), stepSettings(st))
	}
	return withSettings(fmt.Sprintf("%s -> %s", from, to), stepSettings(st))
}

// stepWords are the reason, where the clusters do not say it all.
func (f frame) stepWords(s *orchestrator.State, st *orchestrator.StepState) string {
	switch st.Phase {
	case orchestrator.StepConverging:
		return fmt.Sprintf("%d of %d clusters ready", st.Counts[orchestrator.ClusterReady], expected(st))
	case orchestrator.StepFailed:
		return ""
	case orchestrator.StepWaiting:
		if len(st.Needs) == 0 || len(s.Rings) > 1 && ringOf(s, st.Ring).StartedAt.IsZero() {
			return "" // for the rollout or the ring to start
		}
	}
	return firstLine(st.Explain(f.now))
}

func expected(st *orchestrator.StepState) int {
	n := 0
	for _, c := range st.Counts {
		n += c
	}
	if st.Survey != nil {
		n = max(n, len(st.Survey.Expected))
	}
	return n
}

func (f frame) mark(p orchestrator.StepPhase) string {
	switch p {
	case orchestrator.StepDone:
		return f.style.good("✔")
	case orchestrator.StepFailed:
		return f.style.bad("✘")
	case orchestrator.StepSkipped:
		return f.style.dim("-")
	case orchestrator.StepRolledBack:
		return f.style.warn("↺")
	case orchestrator.StepWaiting:
		return f.style.dim("·")
	}
	return f.style.busy("●")
}

func (f frame) stepPhase(st *orchestrator.StepState) string {
	word := fmt.Sprintf("%-10s", phaseWord(st))
	switch st.Phase {
	case orchestrator.StepDone:
		return f.style.good(word)
	case orchestrator.StepFailed:
		return f.style.bad(word)
	case orchestrator.StepWaiting, orchestrator.StepSkipped:
		return f.style.dim(word)
	case orchestrator.StepRollingBack, orchestrator.StepRolledBack:
		return f.style.warn(word)
	}
	return f.style.busy(word)
}

func (f frame) clusterLines(st *orchestrator.StepState) []string {
	names := clustersOf(st)
	slices.SortStableFunc(names, func(a, b rings.ClusterName) int {
		return cmp.Compare(urgency(st.Clusters[a].Phase), urgency(st.Clusters[b].Phase))
	})
	rest := 0
	if f.clusters > 0 && len(names) > f.clusters {
		names, rest = names[:f.clusters], len(names)-f.clusters
	}
	var out []string
	for _, name := range names {
		c := st.Clusters[name]
		line := fmt.Sprintf("        %-16s %s %s", name, f.clusterPhase(c.Phase), f.since(c.Since))
		if c.Reason != "" && c.Phase != orchestrator.ClusterReady {
			line += "  " + firstLine(c.Reason)
		}
		out = append(out, line)
	}
	if rest > 0 {
		out = append(out, f.style.dim(fmt.Sprintf("        and %d more", rest)))
	}
	return out
}

// since is how long it has been so: "for 8s" on a terminal, else since when.
func (f frame) since(t time.Time) string {
	if f.relative {
		return "for " + orchestrator.Duration(f.now.Sub(t))
	}
	return "since " + stamp(t)
}

func (f frame) when(t time.Time) string {
	if f.relative {
		return ago(t, f.now)
	}
	return stamp(t)
}

// clustersOf are the clusters that count for the step, or did, sorted.
func clustersOf(st *orchestrator.StepState) []rings.ClusterName {
	var out []rings.ClusterName
	for _, name := range slices.Sorted(maps.Keys(st.Clusters)) {
		if c := st.Clusters[name]; c.Expected || c.Phase == orchestrator.ClusterLeft || c.Phase == orchestrator.ClusterSkipped {
			out = append(out, name)
		}
	}
	return out
}

// urgency puts first what a person should see.
func urgency(p orchestrator.ClusterPhase) int {
	return slices.Index([]orchestrator.ClusterPhase{orchestrator.ClusterFailed, orchestrator.ClusterOffline, orchestrator.ClusterMissing,
		orchestrator.ClusterNotReady, orchestrator.ClusterApplying, orchestrator.ClusterWaiting, orchestrator.ClusterReady, orchestrator.ClusterSkipped, orchestrator.ClusterLeft}, p)
}

func (f frame) clusterPhase(p orchestrator.ClusterPhase) string {
	word := fmt.Sprintf("%-9s", p)
	switch p {
	case orchestrator.ClusterReady:
		return f.style.good(word)
	case orchestrator.ClusterFailed, orchestrator.ClusterOffline, orchestrator.ClusterMissing:
		return f.style.bad(word)
	case orchestrator.ClusterNotReady:
		return f.style.warn(word)
	}
	return f.style.busy(word)
}

func (f frame) foot(s *orchestrator.State) []string {
	var out []string
	for _, w := range s.Warnings {
		out = append(out, "  "+f.style.warn("warning: ")+w)
	}
	if s.Over != nil {
		for _, words := range s.Over.Words() {
			out = append(out, "  "+f.style.warn("gone over: ")+words)
		}
	}
	if f.forecast != "" {
		out = append(out, "  "+f.forecast)
	}
	for l := range strings.Lines(s.Explain(f.now)) {
		out = append(out, "  "+strings.TrimRight(l, "\n"))
	}
	if s.Failure != nil && s.Failure.Hint != "" {
		out = append(out, "  hint: "+s.Failure.Hint)
	}
	return out
}

// fit cuts what the terminal cannot hold; the last line, which says why it
// waits, stays.
func (f frame) fit(lines []string) []string {
	if f.height > 3 && len(lines) > f.height-1 {
		keep := f.height - 3
		more := fmt.Sprintf("  ... %d more lines", len(lines)-keep-1)
		lines = append(append(slices.Clone(lines[:keep]), f.style.dim(more)), lines[len(lines)-1])
	}
	for i, l := range lines {
		if l = strings.TrimRight(l, " "); f.width > 0 {
			l = ansi.Truncate(l, f.width-1, "…")
		}
		lines[i] = l
	}
	return lines
}

func short(commit string) string {
	return commit[:min(len(commit), 10)]
}
