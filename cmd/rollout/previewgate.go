package main

import (
	"fmt"
	"slices"
	"strings"

	"rollout/orchestrator"
	"rollout/rings"
)

// gates are what the ring demands, in the order in which it is asked.
func (l *prospect) gates(ring orchestrator.NewRing) []gateView {
	var out []gateView
	if l.barriers.Halt != nil && l.begins(ring.Name) {
		out = append(out, gateView{"halt", whenBefore, "halted: " + haltWords(*l.barriers.Halt), true, false})
	}
	out = append(out, l.barrierGates(ring.Name)...)
	if ring.Upstream != "" {
		out = append(out, l.upstreamGate(ring))
	}
	if l.created.Options.Direct {
		out = append(out, l.passedBy(ring)...)
	}
	p := ring.Policy
	if p.ApproveBefore {
		out = append(out, approvalGate(p, whenBefore))
	}
	out = append(out, failureGate(p))
	if p.OnOffline != rings.OfflineFail {
		out = append(out, gateView{"offline", whenDuring, offlineGateWords(p), p.OnOffline == rings.OfflineWait, false})
	}
	if p.OnJoin == rings.JoinLater {
		out = append(out, gateView{"joins", whenDuring, "a cluster that joins does not count", false, false})
	}
	if p.Soak > 0 {
		out = append(out, gateView{"soak", whenAfter, "soak " + orchestrator.Duration(p.Soak), true, false})
	}
	for _, c := range p.Checks {
		out = append(out, gateView{"check", whenAfter, "check " + c.Name, true, false})
	}
	if p.ApproveAfter {
		out = append(out, approvalGate(p, whenAfter))
	}
	return out
}

// barrierGates are the locks on the ring and its services, the later ring that
// freezes it, and the windows that close it now, or will next.
func (l *prospect) barrierGates(ring rings.RingName) []gateView {
	var out []gateView
	held := l.barriers
	held.Locks = slices.DeleteFunc(slices.Clone(held.Locks), func(lock rings.Lock) bool {
		return !slices.ContainsFunc(l.planned(ring), func(n orchestrator.NewStep) bool { return lock.Covers(ring, n.Target.Service, l.on(ring)) })
	})
	for _, lock := range held.Locks {
		out = append(out, l.goneOver(gateView{"lock", whenBefore, lock.Words(), true, false}))
	}
	for _, f := range held.On(ring, "", nil).Frozen {
		out = append(out, l.goneOver(gateView{"freeze", whenBefore, f.Words(), true, false}))
	}
	for _, c := range held.On(ring, "", nil).Closed {
		if c.Stands(l.now) {
			out = append(out, l.goneOver(gateView{"window", whenBefore, c.Told(), true, false}))
			continue
		}
		out = append(out, gateView{"window", whenBefore, fmt.Sprintf("closes at %s: %s", stamp(c.From), c.Told()), false, false})
	}
	return out
}

// goneOver is the gate as a person passes it.
func (l *prospect) goneOver(g gateView) gateView {
	if l.created.Options.GoOver {
		g.Words, g.Holds = fmt.Sprintf("%s: gone over: %s", g.Words, l.created.Options.Reason), false
	}
	return g
}

// begins reports whether the ring is the first one with clusters.
func (l *prospect) begins(ring rings.RingName) bool {
	for _, r := range l.created.Rings {
		if len(l.on(r.Name)) > 0 {
			return r.Name == ring
		}
	}
	return false
}

func approvalGate(p rings.Policy, when string) gateView {
	words := "approval"
	if p.ApprovalExpires > 0 {
		words += fmt.Sprintf(" (expires after %s)", orchestrator.Duration(p.ApprovalExpires))
	}
	return gateView{"approval", when, words, true, false}
}

// onFailureWords say what follows when a ring fails.
var onFailureWords = map[rings.OnFailure]string{
	rings.FailureStop: "the rollout fails, and what was changed stays", rings.FailurePause: "the rollout pauses",
	rings.FailureRollbackRing: "the ring is taken back", rings.FailureRollback: "everything that was changed is taken back",
}

func failureGate(p rings.Policy) gateView {
	budget := "no cluster may fail"
	if p.MaxFailed != (rings.Amount{}) {
		budget = fmt.Sprintf("at most %s of the clusters may fail", p.MaxFailed)
	}
	return gateView{"failure", whenDuring, budget + ", else " + onFailureWords[p.OnFailure], false, false}
}

func offlineGateWords(p rings.Policy) string {
	if p.OnOffline == rings.OfflineWait {
		return "a cluster that cannot be reached is waited for"
	}
	return fmt.Sprintf("at most %s of the clusters are left out when they cannot be reached", p.MaxOffline)
}

// upstreamGate says what the ring before must be.
func (l *prospect) upstreamGate(ring orchestrator.NewRing) gateView {
	g := gateView{Gate: "upstream", When: whenBefore}
	if slices.Contains(l.created.RingNames(), ring.Upstream) {
		g.Words, g.Holds = fmt.Sprintf("%s done in this rollout", ring.Upstream), true
		return g
	}
	by, missing := l.verifiedBy(ring)
	var changed []string
	for _, c := range l.changedSince(ring) {
		changed = append(changed, fmt.Sprintf("%s for %s", c.words, c.service))
	}
	switch {
	case l.created.Options.Override && len(missing) > 0:
		g.Words, g.Over = fmt.Sprintf("%s was not verified at this version of %s: overridden: %s", ring.Upstream, join(missing), l.created.Options.Reason), true
	case len(missing) > 0:
		g.Words, g.Holds = fmt.Sprintf("%s was not verified at this version of %s", ring.Upstream, join(missing)), true
	case len(changed) > 0 && !l.created.Options.Override:
		g.Words, g.Holds = fmt.Sprintf("%s was verified by %s, but says something else now: %s", ring.Upstream, strings.Join(by, ", "), strings.Join(changed, "; ")), true
	default:
		g.Words = fmt.Sprintf("%s verified by %s", ring.Upstream, strings.Join(by, ", "))
	}
	return g
}

// passedBy is the gate of the ring before one that is deployed to directly, if
// it would be shut.
func (l *prospect) passedBy(ring orchestrator.NewRing) []gateView {
	var empty []rings.RingName
	for _, name := range l.app.RingNames() {
		if len(l.on(name)) == 0 {
			empty = append(empty, name)
		}
	}
	ring.Upstream = orchestrator.Upstream(l.app, ring.Name, empty)
	_, missing := l.verifiedBy(ring)
	if ring.Upstream == "" || len(missing) == 0 {
		return nil
	}
	why := "deployed directly: " + cmpHint(l.created.Options.Reason, "the rollout that is retried was")
	if taken := l.created.Train; taken != nil {
		why = fmt.Sprintf("taken as %s had verified it at %s", taken.Ring, stamp(taken.At))
	}
	return []gateView{{Gate: "upstream", When: whenBefore, Over: true, Words: fmt.Sprintf("%s was not verified at this version of %s: %s", ring.Upstream, join(missing), why)}}
}

// verifiedBy are the rollouts that verified the ring's upstream at the versions
// of this one, and the services for which none did.
func (l *prospect) verifiedBy(ring orchestrator.NewRing) (by []string, missing []rings.ServiceName) {
	for _, n := range l.planned(ring.Name) {
		s, err := l.app.Service(n.Target.Service)
		if err != nil {
			continue
		}
		switch k := s.Known[ring.Upstream]; {
		case !n.Keep && k.Version != n.To || !n.Settings.In(k.Settings) || k.Verified == "":
			missing = append(missing, s.Name)
		case !slices.Contains(by, k.Verified):
			by = append(by, k.Verified)
		}
	}
	return by, missing
}

// changedSince says for which services the branch gives the ring's upstream
// another version now than the one to be rolled out.
func (l *prospect) changedSince(ring orchestrator.NewRing) []changedService {
	var out []changedService
	for _, n := range l.planned(ring.Name) {
		look := l.services[n.Target.Service]
		if look == nil || look.err != nil {
			continue
		}
		gets, err := look.gets(l.app, ring.Upstream)
		if err == nil && !n.Keep && slices.ContainsFunc(gets, func(v rings.Version) bool { return v != n.To }) {
			out = append(out, changedService{n.Target.Service, join(gets)})
		}
		values, err := settingsOn(look.file, l.app, look.service, ring.Upstream, look.reach)
		if err == nil && len(gets) > 0 && !n.Settings.In(values) {
			out = append(out, changedService{n.Target.Service, fmt.Sprint(values)})
		}
	}
	return out
}

// planned are the ring's steps that write.
func (l *prospect) planned(ring rings.RingName) []orchestrator.NewStep {
	return slices.DeleteFunc(slices.Clone(l.created.Steps), func(n orchestrator.NewStep) bool { return n.Ring != ring || n.Observed })
}

// gets are the versions that the file at the tip gives the ring's clusters.
func (l *serviceLook) gets(a *rings.Application, ring rings.RingName) ([]rings.Version, error) {
	view, err := l.file.View(l.reach.Targets, fieldsOf(l.service))
	if err != nil {
		return nil, err
	}
	var out []rings.Version
	for _, c := range clustersOn(a, ring, l.reach.Clusters) {
		e, err := view.Effect(c)
		if err != nil {
			return nil, err
		}
		if v := rings.Version(e.Version); e.Deployed && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out, nil
}
