package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

// rehearsalView is what came of a rehearsal. Moments are durations from the
// start like "1h20m10s", "" for what has not come.
type rehearsalView struct {
	App      rings.AppName                       `json:"app"`
	Sample   bool                                `json:"sample"`
	Seed     uint64                              `json:"seed"`
	Plan     map[rings.ServiceName]rings.Version `json:"plan"`
	Clusters int                                 `json:"clusters"`
	// Refusal is why "rollout create" would refuse it; "" when it would not.
	Refusal    string               `json:"refusal"`
	Phase      orchestrator.Phase   `json:"phase"`
	Reason     string               `json:"reason"`
	Took       string               `json:"took"`
	Commits    int                  `json:"commits"`
	Struck     int                  `json:"struck"` // clusters that a fault struck, each once
	Rings      []rehearsedRingView  `json:"rings"`
	Faults     []rehearsedFaultView `json:"faults"`
	RolledBack []rehearsedUndoView  `json:"rolledBack"`
	Runs       *rehearsedRunsView   `json:"runs"` // null with one run
}

type rehearsedRingView struct {
	Ring      rings.RingName         `json:"ring"`
	Phase     orchestrator.RingPhase `json:"phase"`
	Clusters  int                    `json:"clusters"`
	Hit       int                    `json:"hit"` // by a new version, good or bad
	Failed    int                    `json:"failed"`
	Offline   int                    `json:"offline"`
	Start     string                 `json:"start"`
	Converged string                 `json:"converged"`
	Soaked    string                 `json:"soaked"`
	End       string                 `json:"end"`
}

// rehearsedFaultView is a fault that was asked for. Gate, ring, rule and at are
// "" unless it stopped the rollout. hit are the clusters that it had struck
// then, or at the end; hitInAll those when all that was pushed had arrived.
type rehearsedFaultView struct {
	Kind      sim.FaultKind     `json:"kind"`      // bad-version, failure-rate, offline
	Service   rings.ServiceName `json:"service"`   // of bad-version
	Behaviour sim.BehaviourKind `json:"behaviour"` // "" of offline
	End       sim.FaultEnd      `json:"end"`       // stopped, tolerated, unnoticed, not-met, overtaken, holds
	Gate      sim.FaultGate     `json:"gate"`      // max-failed, deadline, max-offline, soak, check
	Ring      rings.RingName    `json:"ring"`
	Rule      string            `json:"rule"`
	At        string            `json:"at"`
	Hit       int               `json:"hit"`
	HitInAll  int               `json:"hitInAll"`
	Of        int               `json:"of"`
}

type rehearsedUndoView struct {
	Ring    rings.RingName         `json:"ring"`
	Service rings.ServiceName      `json:"service"`
	To      rings.Version          `json:"to"`
	Phase   orchestrator.StepPhase `json:"phase"`
}

// rehearsedRunsView sums up the rehearsals with the seeds that follow.
type rehearsedRunsView struct {
	Runs   int                        `json:"runs"`
	Ends   map[orchestrator.Phase]int `json:"ends"`
	Took   spreadView[string]         `json:"took"`
	Struck spreadView[int]            `json:"struck"`
}

// spreadView is a number over several rehearsals; seed is that of the worst.
type spreadView[T any] struct {
	Median T      `json:"median"`
	Worst  T      `json:"worst"`
	Seed   uint64 `json:"seed"`
}

func viewRehearsal(r *rehearsal, all []sim.Rehearsal) rehearsalView {
	one := all[0]
	v := rehearsalView{App: r.app.Name, Sample: r.sample, Seed: one.Seed, Plan: one.Plan, Refusal: one.Refusal, Phase: one.Phase, Reason: one.Reason,
		Took: elapsed(one.Took), Commits: one.Commits, Struck: one.Struck,
		Rings: []rehearsedRingView{}, Faults: []rehearsedFaultView{}, RolledBack: []rehearsedUndoView{}}
	for _, ring := range one.Rings {
		v.Clusters += ring.Clusters
		v.Rings = append(v.Rings, rehearsedRingView{Ring: ring.Name, Phase: ring.Phase, Clusters: ring.Clusters, Hit: ring.Hit, Failed: ring.Failed, Offline: ring.Offline,
			Start: elapsed(ring.Start), Converged: elapsed(ring.Converged), Soaked: elapsed(ring.Soaked), End: elapsed(ring.End)})
	}
	for _, f := range one.Faults {
		v.Faults = append(v.Faults, viewFault(f))
	}
	for _, u := range one.RolledBack {
		v.RolledBack = append(v.RolledBack, rehearsedUndoView(u))
	}
	if len(all) > 1 {
		v.Runs = viewRuns(sim.Distribute(all))
	}
	return v
}

func viewFault(f sim.RehearsedFault) rehearsedFaultView {
	v := rehearsedFaultView{Kind: f.Kind, Service: f.Service, Behaviour: f.Behaviour, End: f.End, Gate: f.Gate, Ring: f.Ring, Rule: f.Rule,
		Hit: f.Hit, HitInAll: f.InAll, Of: f.Of}
	if f.End == sim.FaultStopped {
		v.At = elapsed(f.At)
	}
	return v
}

func viewRuns(d sim.Distribution) *rehearsedRunsView {
	return &rehearsedRunsView{Runs: d.Runs, Ends: d.Ends, Took: spreadView[string]{elapsed(d.Took.Median), elapsed(d.Took.Worst), d.Took.Seed},
		Struck: spreadView[int](d.Struck)}
}

// elapsed is a time from the start; "" when it has not come.
func elapsed(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return orchestrator.Duration(d)
}

// lines are the report for people.
func (v rehearsalView) lines(s style) []string {
	out := []string{v.title(), v.verdict(s)}
	if v.Refusal != "" {
		out = append(out, s.warn("refused by create: ")+v.Refusal)
	}
	out = append(append(out, ""), v.table()...)
	if len(v.Faults) > 0 {
		out = append(out, "")
	}
	for _, f := range v.Faults {
		out = append(out, f.words(s))
	}
	out = append(out, "", v.effects())
	if v.Runs != nil {
		out = append(append(out, ""), v.Runs.lines()...)
	}
	return out
}

func (v rehearsalView) title() string {
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(v.Plan)) {
		versions = append(versions, fmt.Sprintf("%s %s", name, v.Plan[name]))
	}
	app := string(v.App)
	if v.Sample {
		app = "a sample application"
	}
	return fmt.Sprintf("A rehearsal of %s: %s on %s, simulated, seed %d", app, strings.Join(versions, ", "), clusterCount(v.Clusters), v.Seed)
}

// verdict is how it would end.
func (v rehearsalView) verdict(s style) string {
	words, why := "", strings.TrimPrefix(v.Reason, "rolled back: ")
	switch v.Phase {
	case orchestrator.Succeeded:
		words = s.good("It would succeed") + " after " + v.Took
	case orchestrator.RolledBack:
		words = s.bad("It would be rolled back") + " within " + v.Took
	case orchestrator.Failed:
		words = s.bad("It would fail") + " after " + v.Took
	case orchestrator.Paused:
		words = s.warn("It would pause for a person") + " after " + v.Took
	default:
		words = s.warn("It would still wait") + " after " + v.Took
	}
	return words + ": " + why
}

// table is a line for each ring, in columns.
func (v rehearsalView) table() []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ring\tstart\tconverged\tsoaked\tend\tclusters\thit\tfailed\toffline\t")
	for _, r := range v.Rings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", r.Ring, dash(r.Start), dash(r.Converged), dash(r.Soaked), dash(r.End), r.Clusters, r.Hit, r.Failed, r.Offline, r.Phase)
	}
	_ = w.Flush() // a Builder takes everything
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return lines
}

func dash(text string) string { return cmpHint(text, "-") }

// words are what the fault was, and what became of it.
func (f rehearsedFaultView) words(s style) string {
	hit := fmt.Sprintf("%d of %s hit", f.Hit, clusterCount(f.Of))
	if f.Kind != sim.FaultVersion {
		hit = fmt.Sprintf("%d of them hit", f.Hit)
	}
	switch f.End {
	case sim.FaultStopped:
		words := fmt.Sprintf("%s: %s at the %s of %s (%s) after %s, with %s", f.what(), s.good("stopped"), gateWords[f.Gate], f.Ring, f.Rule, f.At, hit)
		if f.HitInAll > f.Hit {
			words += fmt.Sprintf(" by then and %d in the end", f.HitInAll)
		}
		return words
	case sim.FaultTolerated:
		return fmt.Sprintf("%s: %s by the policies, with %s", f.what(), s.warn("tolerated"), hit)
	case sim.FaultUnnoticed:
		return fmt.Sprintf("%s: %s, no gate stops it, with %s", f.what(), s.bad("not noticed"), hit)
	case sim.FaultHolds:
		return fmt.Sprintf("%s: %s for it, without a deadline, with %s", f.what(), s.warn("waited"), hit)
	case sim.FaultOvertaken:
		return fmt.Sprintf("%s: something else stopped the rollout first, with %s", f.what(), hit)
	}
	return fmt.Sprintf("%s: not met", f.what())
}

// gateWords are the gates, after "at the".
var gateWords = map[sim.FaultGate]string{
	sim.FailsBudget: "failure budget", sim.FailsDeadline: "deadline", sim.FailsOffline: "offline policy", sim.FailsSoak: "soak", sim.FailsCheck: "check",
}

func (f rehearsedFaultView) what() string {
	switch f.Kind {
	case sim.FaultVersion:
		return fmt.Sprintf("bad %s (%s)", f.Service, f.Behaviour)
	case sim.FaultCluster:
		return "never ready by chance on " + clusterCount(f.Of)
	}
	return "agents away of " + clusterCount(f.Of)
}

// effects are what would be left behind.
func (v rehearsalView) effects() string {
	words := counted(v.Commits, "commit")
	if len(v.RolledBack) == 0 {
		return words + ", nothing taken back"
	}
	var back []string
	for _, u := range v.RolledBack {
		w := fmt.Sprintf("%s %s to %s", u.Ring, u.Service, u.To)
		if u.Phase != orchestrator.StepDone {
			w += fmt.Sprintf(" (%s)", u.Phase)
		}
		back = append(back, w)
	}
	return words + ", taken back: " + strings.Join(back, ", ")
}

func (r rehearsedRunsView) lines() []string {
	var ends []string
	for _, phase := range slices.Sorted(maps.Keys(r.Ends)) {
		ends = append(ends, fmt.Sprintf("%d %s", r.Ends[phase], phase))
	}
	return []string{
		fmt.Sprintf("%s: %s", counted(r.Runs, "run"), strings.Join(ends, ", ")),
		fmt.Sprintf("  took             median %s, worst %s (--seed %d)", r.Took.Median, r.Took.Worst, r.Took.Seed),
		fmt.Sprintf("  hit by a fault   median %d, worst %d (--seed %d)", r.Struck.Median, r.Struck.Worst, r.Struck.Seed),
	}
}
