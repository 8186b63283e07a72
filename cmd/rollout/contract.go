package main

import (
	"fmt"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// The objects that -o json and yaml print. Names never change and never go. A
// time that has not come is null.

type appView struct {
	Name      rings.AppName       `json:"name"`
	Workspace string              `json:"workspace"`
	Manager   string              `json:"manager"`
	RingLabel string              `json:"ringLabel"`
	Selector  map[string]string   `json:"selector"`
	Rings     []rings.RingName    `json:"rings"`
	Services  []rings.ServiceName `json:"services"`
	Clusters  int                 `json:"clusters"`
	CreatedBy string              `json:"createdBy"`
	CreatedAt *time.Time          `json:"createdAt"`
}

func viewApp(a *rings.Application, clusters int) appView {
	return appView{Name: a.Name, Workspace: a.Workspace, Manager: a.Manager, RingLabel: a.RingLabel, Selector: a.Selector,
		Rings: a.RingNames(), Services: a.ServiceNames(), Clusters: clusters, CreatedBy: a.CreatedBy, CreatedAt: instant(a.CreatedAt)}
}

// ringView is a ring with its policy. Durations are like "15m"; amounts are "2"
// or "10%"; "" for approvalExpires means that approvals do not expire.
type ringView struct {
	App             rings.AppName       `json:"app"`
	Name            rings.RingName      `json:"name"`
	After           rings.RingName      `json:"after"`
	Deadline        string              `json:"deadline"`
	UptakeDeadline  string              `json:"uptakeDeadline"`
	MergeDeadline   string              `json:"mergeDeadline"`
	ApproveBefore   bool                `json:"approveBefore"`
	ApproveAfter    bool                `json:"approveAfter"`
	ApprovalExpires string              `json:"approvalExpires"`
	Soak            string              `json:"soak"`
	MaxFailed       string              `json:"maxFailed"`
	OnOffline       string              `json:"onOffline"` // fail, skip, wait
	MaxOffline      string              `json:"maxOffline"`
	OnFailure       string              `json:"onFailure"` // stop, pause, rollback-ring, rollback
	OnJoin          string              `json:"onJoin"`    // include, later
	FreezeUpstream  bool                `json:"freezeUpstream"`
	Checks          []ringCheckView     `json:"checks"`
	Groups          []rings.RingName    `json:"groups"` // that it is in
	Clusters        []rings.ClusterName `json:"clusters"`
	Starts          startsView          `json:"starts"` // by itself
	policy          rings.Policy
}

// ringCheckView is a check of a policy. spec is what --check takes; command, url,
// query and threshold are "" where the kind has none.
type ringCheckView struct {
	Name      string `json:"name"`
	Spec      string `json:"spec"`
	Kind      string `json:"kind"` // command, http, prometheus
	Command   string `json:"command"`
	URL       string `json:"url"`
	Query     string `json:"query"`
	Threshold string `json:"threshold"`
	Interval  string `json:"interval"`
	Timeout   string `json:"timeout"`
	Samples   int    `json:"samples"`
	Failures  int    `json:"failures"`
}

func viewCheck(c rings.Check) ringCheckView {
	return ringCheckView{Name: c.Name, Spec: checkSpec(c), Kind: string(c.Kind), Command: c.Command, URL: c.URL, Query: c.Query, Threshold: c.Threshold,
		Interval: orchestrator.Duration(c.Every()), Timeout: orchestrator.Duration(c.Within()), Samples: max(c.Samples, 1), Failures: c.FailureLimit}
}

func viewRing(a *rings.Application, i int, clusters []rings.Cluster, now time.Time) ringView {
	r := a.Rings[i]
	v := viewPolicy(r.Policy)
	v.App, v.Name, v.Clusters, v.Groups = a.Name, r.Name, []rings.ClusterName{}, append([]rings.RingName{}, a.GroupsOf(r.Name)...)
	v.Starts = viewStarts(r, now)
	if i > 0 {
		v.After = a.Rings[i-1].Name
	}
	for _, c := range clusters {
		if c.Ring == r.Name {
			v.Clusters = append(v.Clusters, c.Name)
		}
	}
	return v
}

func viewPolicy(p rings.Policy) ringView {
	v := ringView{Deadline: deadline(p.Converge, rings.DefaultConverge), UptakeDeadline: deadline(p.Uptake, rings.DefaultUptake),
		MergeDeadline: deadline(p.Merge, rings.DefaultMerge),
		ApproveBefore: p.ApproveBefore, ApproveAfter: p.ApproveAfter, Soak: orchestrator.Duration(p.Soak), MaxFailed: p.MaxFailed.String(),
		OnOffline: word(p.OnOffline, wordFail), MaxOffline: p.MaxOffline.String(), OnFailure: word(p.OnFailure, wordStop), OnJoin: word(p.OnJoin, wordInclude),
		FreezeUpstream: p.FreezeUpstream, Checks: []ringCheckView{}, policy: p}
	if p.ApprovalExpires > 0 {
		v.ApprovalExpires = orchestrator.Duration(p.ApprovalExpires)
	}
	for _, c := range p.Checks {
		v.Checks = append(v.Checks, viewCheck(c))
	}
	return v
}

func deadline(d, otherwise time.Duration) string {
	if d == 0 {
		d = otherwise
	}
	return orchestrator.Duration(d)
}

type clusterView struct {
	Name    rings.ClusterName `json:"name"`
	App     rings.AppName     `json:"app"`
	Ring    rings.RingName    `json:"ring"`
	AddedBy string            `json:"addedBy"`
	AddedAt *time.Time        `json:"addedAt"`
}

func viewCluster(c rings.Cluster) clusterView {
	return clusterView{Name: c.Name, App: c.App, Ring: c.Ring, AddedBy: c.AddedBy, AddedAt: instant(c.AddedAt)}
}

type planView struct {
	App      rings.AppName                       `json:"app"`
	Services map[rings.ServiceName]planEntryView `json:"services"`
}

type planEntryView struct {
	Version  rings.Version                       `json:"version"` // "": only settings are planned
	By       string                              `json:"by"`
	At       *time.Time                          `json:"at"`
	Settings map[rings.SettingName]planValueView `json:"settings,omitempty"`
}

type planValueView struct {
	Value string     `json:"value"`
	By    string     `json:"by"`
	At    *time.Time `json:"at"`
}

func viewPlan(a *rings.Application) planView {
	v := planView{App: a.Name, Services: map[rings.ServiceName]planEntryView{}}
	for name, e := range a.Plan {
		entry := planEntryView{Version: e.Version, By: e.By, At: instant(e.At)}
		for setting, value := range e.Settings {
			if entry.Settings == nil {
				entry.Settings = map[rings.SettingName]planValueView{}
			}
			entry.Settings[setting] = planValueView{Value: value.Value, By: value.By, At: instant(value.At)}
		}
		v.Services[name] = entry
	}
	return v
}

type driverView struct {
	Host       string     `json:"host"`
	PID        int        `json:"pid"`
	Background bool       `json:"background"`
	Seen       *time.Time `json:"seen"`
	Alive      bool       `json:"alive"`
}

// driver is nil when nobody ever drove. One of this host whose process is gone
// is not alive, although its lease has not run out.
func (p *program) driver(l *orchestrator.Lease) *driverView {
	if l == nil {
		return nil
	}
	gone := l.Driver.Host == p.host && !p.running(l.Driver.PID)
	return &driverView{Host: l.Driver.Host, PID: l.Driver.PID, Background: l.Driver.Background,
		Seen: instant(l.Seen), Alive: l.Expires.After(p.now()) && !gone}
}

// summaryView is a rollout in a list: a rolloutView without its steps.
type summaryView struct {
	ID         orchestrator.ID                     `json:"id"`
	Kind       string                              `json:"kind"`    // forward, retry, rollback, release, deploy, train
	Of         orchestrator.ID                     `json:"of"`      // the rollout that it retries or takes back
	Release    int                                 `json:"release"` // of kind release: its number; else 0
	App        rings.AppName                       `json:"app"`
	Phase      orchestrator.Phase                  `json:"phase"`
	Reason     string                              `json:"reason"`
	Rings      []rings.RingName                    `json:"rings"`
	Plan       map[rings.ServiceName]rings.Version `json:"plan"`
	Settings   map[rings.ServiceName]rings.Values  `json:"settings,omitempty"`
	StartedBy  string                              `json:"startedBy"`
	Link       string                              `json:"link"`
	StartedAt  *time.Time                          `json:"startedAt"`
	FinishedAt *time.Time                          `json:"finishedAt"`
	Driver     *driverView                         `json:"driver"`
}

// wordForward is the word for the kind that most rollouts are of.
const wordForward = "forward"

func (p *program) viewSummary(s store.Summary) summaryView {
	return summaryView{ID: s.ID, Kind: word(s.Kind, wordForward), Of: s.Of, Release: s.Release, App: s.App, Phase: s.Phase, Reason: s.Reason, Rings: s.Rings, Plan: s.Versions, Settings: s.Settings,
		StartedBy: s.StartedBy, Link: s.Link, StartedAt: instant(s.StartedAt), FinishedAt: instant(s.FinishedAt),
		Driver: p.driver(s.Lease)}
}

// liveView is a rollout in the list of those that are live.
type liveView struct {
	summaryView
	Awaits *awaitsView `json:"awaits"`
}

// liveList is the list of what is live, with the halts and locks that stand, the
// rings of the live rollouts that are closed, and what runs ahead of its
// upstream.
type liveList struct {
	list[liveView]
	Halts  []haltView    `json:"halts"`
	Locks  []lockView    `json:"locks"`
	Closed []closureView `json:"closed"`
	Ahead  []aheadView   `json:"ahead"`
}

// awaitsView is what a rollout waits for a person to do; null when nothing.
type awaitsView struct {
	What    string            `json:"what"` // approval, resume, merge
	Ring    rings.RingName    `json:"ring"`
	Gate    orchestrator.Gate `json:"gate"`    // of an approval: before, after
	Command string            `json:"command"` // that does it; "" for a merge, which git or the forge does
	// Proposals are the branches that are to be merged; not there for anything else.
	Proposals []proposalView `json:"proposals,omitempty"`
}

func viewAwaits(s *orchestrator.State) *awaitsView {
	if s.Phase.Ended() {
		return nil
	}
	if s.Pause != nil {
		return awaitsResume(s.ID)
	}
	if ring, gate, ok := s.Awaiting(); ok {
		return &awaitsView{What: "approval", Ring: ring, Gate: gate, Command: fmt.Sprintf("rollout approve %s", s.ID)}
	}
	return viewMerges(s)
}

func awaitsResume(id orchestrator.ID) *awaitsView {
	return &awaitsView{What: "resume", Command: fmt.Sprintf("rollout resume %s", id)}
}

// haltView is a halt; its app is "" when it is of all applications.
type haltView struct {
	App    rings.AppName `json:"app"`
	By     string        `json:"by"`
	Reason string        `json:"reason"`
	At     *time.Time    `json:"at"`
	Until  *time.Time    `json:"until"` // null: until it is lifted
}

func viewHalt(h rings.Halt) haltView {
	return haltView{App: h.App, By: h.By, Reason: h.Reason, At: instant(h.At), Until: instant(h.Until)}
}

func viewHalts(halts []rings.Halt) []haltView {
	out := []haltView{}
	for _, h := range halts {
		out = append(out, viewHalt(h))
	}
	return out
}

type rolloutView struct {
	summaryView
	Hint       string          `json:"hint"`
	Awaits     *awaitsView     `json:"awaits"`
	Halt       *haltView       `json:"halt"`           // that it waits for
	Over       *overView       `json:"over,omitempty"` // what was gone over; not there when nothing was
	Train      *takenView      `json:"train"`          // of kind train
	Left       []leftRingView  `json:"left"`           // rings of a group that go without it
	Warnings   []string        `json:"warnings"`
	RingStates []ringStateView `json:"ringStates"`
	Steps      []stepView      `json:"steps"`
}

// leftRingView is a ring of a group that was left out, and why.
type leftRingView struct {
	Ring   rings.RingName `json:"ring"`
	Reason string         `json:"reason"`
}

func viewLeft(left []orchestrator.LeftRing) []leftRingView {
	out := []leftRingView{}
	for _, l := range left {
		out = append(out, leftRingView{l.Ring, l.Words})
	}
	return out
}

func (v leftRingView) words() string { return string(v.Ring) + ": " + v.Reason }

// ringStateView is a ring of a rollout.
type ringStateView struct {
	Name        rings.RingName         `json:"name"`
	Phase       orchestrator.RingPhase `json:"phase"`
	Reason      string                 `json:"reason"`
	Approvals   []approvalView         `json:"approvals"`
	Checks      []checkStateView       `json:"checks"`
	StartedAt   *time.Time             `json:"startedAt"`
	ConvergedAt *time.Time             `json:"convergedAt"` // all its services were live
	SoakUntil   *time.Time             `json:"soakUntil"`   // while it soaks
	FinishedAt  *time.Time             `json:"finishedAt"`
}

type approvalView struct {
	Gate   orchestrator.Gate `json:"gate"`
	By     string            `json:"by"`
	Reason string            `json:"reason"`
	At     *time.Time        `json:"at"`
}

// checkStateView is how a check has answered; last is ok, refused for a bad
// answer, else inconclusive.
type checkStateView struct {
	Name    string              `json:"name"`
	Good    int                 `json:"good"`
	Bad     int                 `json:"bad"`
	Last    orchestrator.Result `json:"last"`
	Words   string              `json:"words"`
	AskedAt *time.Time          `json:"askedAt"`
}

type stepView struct {
	Ring       rings.RingName         `json:"ring"`
	Service    rings.ServiceName      `json:"service"`
	Wave       int                    `json:"wave"`
	Planned    bool                   `json:"planned"` // false: only looked at, because others depend on it
	Undo       bool                   `json:"undo"`    // it takes what another step did back
	Phase      string                 `json:"phase"`
	Reason     string                 `json:"reason"`
	From       rings.Version          `json:"from"`
	To         rings.Version          `json:"to"`
	Settings   []orchestrator.Changed `json:"settings,omitempty"`
	Commit     string                 `json:"commit"`
	Proposal   *proposalView          `json:"proposal"` // where it waits for a merge, or last did; null when it was not proposed
	StartedAt  *time.Time             `json:"startedAt"`
	FinishedAt *time.Time             `json:"finishedAt"`
	Clusters   []stepClusterView      `json:"clusters"`
}

type stepClusterView struct {
	Name   rings.ClusterName `json:"name"`
	Phase  string            `json:"phase"`
	Reason string            `json:"reason"`
	Since  *time.Time        `json:"since"`
}

func (p *program) viewRollout(s *orchestrator.State, l *orchestrator.Lease) rolloutView {
	v := viewState(s, p.now())
	if !s.Phase.Ended() {
		v.Driver = p.driver(l)
	}
	return v
}

// viewState is the rollout as it was at the time, without its driver.
func viewState(s *orchestrator.State, now time.Time) rolloutView {
	v := rolloutView{Warnings: append([]string{}, s.Warnings...), RingStates: []ringStateView{}, Steps: []stepView{}, Awaits: viewAwaits(s), Train: viewTaken(s.Train), Left: viewLeft(s.Left)}
	v.summaryView = summaryView{ID: s.ID, Kind: word(s.Kind, wordForward), Of: s.Of, Release: s.Release, App: s.Scope.App, Phase: s.Phase, Reason: s.Explain(now), Rings: s.RingNames(), Plan: s.Plan, Settings: s.Settings,
		StartedBy: s.StartedBy, Link: s.Link, StartedAt: instant(s.StartedAt), FinishedAt: instant(s.FinishedAt)}
	if s.Failure != nil {
		v.Hint = s.Failure.Hint
	}
	if s.Halt != nil && !s.Phase.Ended() && s.Halt.Stands(now) {
		h := viewHalt(*s.Halt)
		v.Halt = &h
	}
	v.Over = viewOver(s)
	waits := s.Why(now)
	for _, r := range s.Rings {
		v.RingStates = append(v.RingStates, viewRingState(s, r, waits))
	}
	for _, st := range s.Steps {
		v.Steps = append(v.Steps, viewStep(s, st, now))
	}
	return v
}

func viewRingState(s *orchestrator.State, r *orchestrator.RingState, waits []orchestrator.Wait) ringStateView {
	v := ringStateView{Name: r.Name, Phase: r.Phase, Reason: ringReason(s, r, waits), Approvals: []approvalView{}, Checks: []checkStateView{},
		StartedAt: instant(r.StartedAt), ConvergedAt: instant(r.ConvergedAt), FinishedAt: instant(r.FinishedAt)}
	for _, gate := range []orchestrator.Gate{orchestrator.GateBefore, orchestrator.GateAfter} {
		if a := approvalOf(r, gate); a != nil {
			v.Approvals = append(v.Approvals, approvalView{Gate: gate, By: a.By, Reason: a.Reason, At: instant(a.At)})
		}
	}
	for _, c := range r.Policy.Checks {
		if cs := r.Checks[c.Name]; cs != nil {
			v.Checks = append(v.Checks, checkStateView{Name: c.Name, Good: cs.Good, Bad: cs.Bad, Last: cs.Last, Words: cs.Words, AskedAt: instant(cs.AskedAt)})
		}
	}
	for _, w := range waits {
		if w.Ring == r.Name && w.Gate == "soak" {
			v.SoakUntil = instant(w.Until)
		}
	}
	return v
}

func approvalOf(r *orchestrator.RingState, g orchestrator.Gate) *orchestrator.Approval {
	if g == orchestrator.GateBefore {
		return r.Before
	}
	return r.After
}

func viewStep(s *orchestrator.State, st *orchestrator.StepState, now time.Time) stepView {
	v := stepView{Ring: st.Ring, Service: st.Target.Service, Wave: st.Wave, Planned: !st.Observed, Undo: st.Undo, Phase: phaseWord(st), Reason: stepReason(s, st, now),
		From: fromVersion(st), To: st.To, Settings: stepSettings(st), Commit: st.Attempt.Commit, StartedAt: instant(st.StartedAt), FinishedAt: instant(st.FinishedAt),
		Proposal: viewProposal(st), Clusters: []stepClusterView{}}
	for _, name := range clustersOf(st) {
		c := st.Clusters[name]
		v.Clusters = append(v.Clusters, stepClusterView{Name: name, Phase: string(c.Phase), Reason: c.Reason, Since: instant(c.Since)})
	}
	return v
}

// stepReason is why the step stands where it stands.
func stepReason(s *orchestrator.State, st *orchestrator.StepState, now time.Time) string {
	switch {
	case st.Phase != orchestrator.StepWaiting:
	case ringOf(s, st.Ring).StartedAt.IsZero() && s.Phase != orchestrator.Pending && len(s.Rings) > 1:
		return fmt.Sprintf("waiting for %s to start", st.Ring)
	case len(st.Needs) == 0:
		return "waiting for the rollout to start"
	}
	return st.Explain(now)
}

// phaseWord is the step's phase as people see it.
func phaseWord(st *orchestrator.StepState) string {
	if st.Phase == orchestrator.StepSurveying {
		return string(orchestrator.StepPublishing)
	}
	return string(st.Phase)
}

// fromVersion is what the ring had before, as far as it is known yet.
func fromVersion(st *orchestrator.StepState) rings.Version {
	switch {
	case st.Attempt.Number > 0:
		return st.Attempt.From
	case st.Survey != nil:
		return st.Survey.Version
	}
	return st.Known.Version
}
