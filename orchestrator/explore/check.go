package explore

import (
	"fmt"
	"slices"

	"rollout/orchestrator"
	"rollout/rings"
)

// Broken says which invariant of DESIGN section 3 does not hold, and how. 0
// stands for progress.
type Broken struct {
	Invariant int
	Words     string
}

// Error names the invariant.
func (b *Broken) Error() string {
	if b.Invariant == 0 {
		return "no progress: " + b.Words
	}
	return fmt.Sprintf("invariant %d: %s", b.Invariant, b.Words)
}

func broken(invariant int, format string, args ...any) error {
	return &Broken{invariant, fmt.Sprintf(format, args...)}
}

// shadow is what the events so far say: a second fold, which owes nothing to
// the engine's.
type shadow struct {
	failed, undoFailed, undoing, ended bool
	claimed                            [maxRings]bool // granted to the present driver
	rings                              [maxRings]orchestrator.RingPhase
	steps                              [2][maxServices][maxRings]shadowStep // forward, back
}

type shadowStep struct {
	there   bool
	phase   orchestrator.StepPhase
	attempt entry // the last one on record
	ours    bool
	asked   uint8         // the nonce that a push was asked for
	to      rings.Version // of one that takes back
}

func newShadow(l *layout) shadow {
	var sh shadow
	for r := range l.rings {
		sh.rings[r] = orchestrator.RingWaiting
		for s := range l.services {
			sh.steps[0][s][r] = shadowStep{there: true, phase: orchestrator.StepWaiting, to: versions[verNew]}
		}
	}
	return sh
}

func (sh *shadow) step(l *layout, r orchestrator.Ref) *shadowStep {
	return &sh.steps[bit(r.Undo)][l.service(r.Service)][l.ring(r.Ring)]
}

func passed(p orchestrator.StepPhase) bool {
	return p == orchestrator.StepDone || p == orchestrator.StepSkipped
}

// see takes a decision in, and holds every event against what must be.
func (sh *shadow) see(l *layout, n *node, d orchestrator.Decision) error {
	for _, e := range d.Events {
		if sh.ended {
			return broken(4, "%T after the end", e.Body)
		}
		if err := sh.event(l, n, e.Body); err != nil {
			return err
		}
	}
	return waits(n.state, d)
}

func (sh *shadow) event(l *layout, n *node, body orchestrator.Body) error {
	switch b := body.(type) {
	case orchestrator.Driven:
		sh.claimed = [maxRings]bool{}
	case orchestrator.RingStarted:
		return sh.ringStarted(l, l.ring(b.Ring))
	case orchestrator.RingEnded:
		sh.rings[l.ring(b.Ring)] = b.Phase
		sh.failed = sh.failed || b.Phase == orchestrator.RingFailed
		return sh.ringEnded(l, b)
	case orchestrator.StepStarted:
		return sh.started(l, n, b.Ref)
	case orchestrator.StepHeld:
		sh.step(l, b.Ref).phase = orchestrator.StepWaiting
	case orchestrator.AttemptDecided:
		return sh.decided(l, b)
	case orchestrator.Asked:
		return sh.asked(l, n, b.Action)
	case orchestrator.StepEnded:
		return sh.stepEnded(l, n, b)
	case orchestrator.RollbackStarted:
		return sh.rollback(l, n, b)
	case orchestrator.Ended:
		sh.ended = true
		return sh.end(l, n, b)
	}
	return nil
}

// ringStarted is invariants 2 and 4.
func (sh *shadow) ringStarted(l *layout, r int) error {
	if sh.failed {
		return broken(4, "%s starts after a failure", l.rings[r])
	}
	for before := range r {
		if sh.rings[before] != orchestrator.RingDone {
			return broken(2, "%s starts while %s is %s", l.rings[r], l.rings[before], sh.rings[before])
		}
	}
	sh.rings[r] = orchestrator.RingRunning
	return nil
}

// ringEnded: a ring is done when all of its steps are (invariant 2).
func (sh *shadow) ringEnded(l *layout, b orchestrator.RingEnded) error {
	for s := range l.services {
		if p := sh.steps[0][s][l.ring(b.Ring)].phase; b.Phase == orchestrator.RingDone && !passed(p) {
			return broken(2, "%s is done, %s is %s", b.Ring, l.services[s], p)
		}
	}
	return nil
}

// started is invariants 1, 2, 4 and, on the way back, 11.
func (sh *shadow) started(l *layout, n *node, ref orchestrator.Ref) error {
	st, s, r := sh.step(l, ref), l.service(ref.Service), l.ring(ref.Ring)
	first := st.phase == orchestrator.StepWaiting
	st.phase = orchestrator.StepSurveying
	if ref.Undo {
		return sh.undoStarted(l, s, r)
	}
	if first && (sh.failed || sh.undoing) {
		return broken(4, "%s on %s starts after a failure", ref.Service, ref.Ring)
	}
	if sh.rings[r] != orchestrator.RingRunning {
		return broken(2, "%s starts while %s is %s", ref.Service, ref.Ring, sh.rings[r])
	}
	for _, need := range l.needs[s] {
		if p := sh.steps[0][need][r].phase; !passed(p) {
			return broken(1, "%s on %s starts while %s is %s", ref.Service, ref.Ring, l.services[need], p)
		}
		if nonce, ok := n.world.proves(l, need, r, sh.steps[0][need][r].attempt.nonce); !ok {
			return broken(1, "%s on %s starts, a cluster has %s at nonce %d", ref.Service, ref.Ring, l.services[need], nonce)
		}
	}
	return nil
}

// undoStarted: what needs the service was taken back before, and so were the
// later rings.
func (sh *shadow) undoStarted(l *layout, s, r int) error {
	if sh.undoFailed {
		return broken(4, "the rollback of %s on %s starts after it failed", l.services[s], l.rings[r])
	}
	for other := range l.services {
		for ring := range l.rings {
			st := &sh.steps[1][other][ring]
			before := ring > r || ring == r && l.reaches(other, s)
			if before && st.there && !passed(st.phase) {
				return broken(11, "%s on %s is taken back while %s on %s is %s", l.services[s], l.rings[r], l.services[other], l.rings[ring], st.phase)
			}
		}
	}
	return nil
}

// reaches reports whether the service needs the other one, perhaps through
// others.
func (l *layout) reaches(s, need int) bool {
	return slices.ContainsFunc(l.needs[s], func(n int) bool { return n == need || l.reaches(n, need) })
}

// proves reports whether every cluster of the ring was ready with the nonce;
// else the nonce that one has proven.
func (w *world) proves(l *layout, s, r int, nonce uint8) (uint8, bool) {
	for k := range l.Clusters {
		if p := w.cells[s][r][k].proven; p != nonce {
			return p, false
		}
	}
	return nonce, true
}

// decided is invariants 4 and 8.
func (sh *shadow) decided(l *layout, b orchestrator.AttemptDecided) error {
	st := sh.step(l, b.Ref)
	if b.Attempt.Ours && (!b.Undo && (sh.failed || sh.undoing) || sh.undoFailed) {
		return broken(4, "an attempt of %s on %s is decided after a failure", b.Service, b.Ring)
	}
	if b.Attempt.Ours && uint8(b.Attempt.Nonce) <= st.attempt.nonce {
		return broken(8, "nonce %d of %s on %s follows %d", b.Attempt.Nonce, b.Service, b.Ring, st.attempt.nonce)
	}
	st.attempt, st.ours = entry{uint8(versionNumber(b.Attempt.Version)), uint8(b.Attempt.Nonce)}, b.Attempt.Ours
	st.phase = orchestrator.StepPublishing
	return nil
}

// asked is invariants 4, 7 and 8, of a push.
func (sh *shadow) asked(l *layout, n *node, a orchestrator.Action) error {
	if a.Kind != orchestrator.ActPublish {
		return nil
	}
	if !sh.claimed[l.ring(a.Ring)] {
		return broken(7, "a push on %s is asked for, whose claim this driver does not hold", a.Ring)
	}
	for _, i := range a.Items {
		st := sh.step(l, orchestrator.Ref{Ring: a.Ring, Service: i.Service, Undo: a.Undo})
		if st.attempt != wanted(i) || !st.ours {
			return broken(8, "a push of %s %s/%d on %s is asked for, which is not on record", i.Service, i.Version, i.Nonce, a.Ring)
		}
		if st.asked != st.attempt.nonce && (!a.Undo && (sh.failed || sh.undoing) || sh.undoFailed) {
			return broken(4, "%s on %s is pushed for the first time after a failure", i.Service, a.Ring)
		}
		st.asked = st.attempt.nonce
	}
	return sh.together(l, n, a)
}

// together: the steps of one wave that are due in a repository share a commit
// (invariant 8).
func (sh *shadow) together(l *layout, n *node, a orchestrator.Action) error {
	for _, st := range n.state.Steps {
		s := l.service(st.Target.Service)
		due := st.Ring == a.Ring && st.Undo == a.Undo && st.Phase == orchestrator.StepPublishing && !st.Doubt && l.repo[s] == l.repo[l.service(a.Items[0].Service)]
		if due && !n.pushing(st) && sh.step(l, orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}).asked != uint8(st.Attempt.Nonce) {
			return broken(8, "%s and %s on %s do not share a commit", a.Items[0].Service, st.Target.Service, a.Ring)
		}
	}
	return nil
}

// stepEnded is invariants 3, 6 and 12.
func (sh *shadow) stepEnded(l *layout, n *node, b orchestrator.StepEnded) error {
	st := sh.step(l, b.Ref)
	if st.phase.Ended() {
		return broken(4, "%s on %s ends twice", b.Service, b.Ring)
	}
	st.phase = b.Phase
	switch b.Phase {
	case orchestrator.StepFailed:
		sh.failed = true
		sh.undoFailed = sh.undoFailed || b.Undo
		if b.Failure == nil || b.Failure.Code == "" || b.Failure.Words == "" {
			return broken(6, "%s on %s fails without a name", b.Service, b.Ring)
		}
	case orchestrator.StepDone:
		return sh.done(l, n, b.Ref)
	}
	return nil
}

// done holds a step that is done against the truth.
func (sh *shadow) done(l *layout, n *node, ref orchestrator.Ref) error {
	st, s, r := sh.step(l, ref), l.service(ref.Service), l.ring(ref.Ring)
	repo := l.repo[s]
	if st.to != versions[st.attempt.version] {
		return broken(3, "%s on %s is done at %s, it was to be %s", ref.Service, ref.Ring, versions[st.attempt.version], st.to)
	}
	if nonce, ok := n.world.proves(l, s, r, st.attempt.nonce); !ok {
		return broken(3, "%s on %s is done at nonce %d, a cluster was not ready with it, but with %d", ref.Service, ref.Ring, st.attempt.nonce, nonce)
	}
	at := n.world.first(repo, s, r, -1, len(n.world.repos[repo])-1, st.attempt)
	if at < 0 {
		return broken(3, "%s on %s is done, the branch never said so", ref.Service, ref.Ring)
	}
	if n.world.unproven[s][r] {
		return broken(12, "%s on %s is done, somebody set another version before all clusters had proven it", ref.Service, ref.Ring)
	}
	tip := commitNumber(stepOf(n.state, ref).Survey.Tip)
	for i := at; i <= tip; i++ {
		c := n.world.repos[repo][i]
		if c.files[s][r] != st.attempt && !c.ours {
			return broken(12, "%s on %s is done, somebody else's %s was read and not noticed", ref.Service, ref.Ring, l.commits[repo][i])
		}
		if c.files[s][r] != st.attempt {
			return broken(3, "%s on %s is done, the branch that was read says otherwise at %s", ref.Service, ref.Ring, l.commits[repo][i])
		}
	}
	return nil
}

// noteManual notes a manual change that must not go unnoticed (invariant 12).
func (n *node) noteManual(l *layout, s, r int) {
	commits := n.world.repos[l.repo[s]]
	_, proven := n.world.proves(l, s, r, commits[len(commits)-1].files[s][r].nonce)
	n.world.unproven[s][r] = n.world.unproven[s][r] || !proven
}

// pushed holds a commit of ours against what must be: invariants 8, 11 and 12.
func (n *node) pushed(l *layout, repo, made int) error {
	commits := n.world.repos[repo]
	c := commits[made]
	for s := range l.services {
		if c.changed&(1<<s) == 0 {
			continue
		}
		r := int(c.ring)
		where := fmt.Sprintf("%s of %s on %s", l.commits[repo][made], l.services[s], l.rings[r])
		if over := commits[made-1].files[s][r]; over.version == verOther {
			return broken(12, "%s overwrites what somebody else set", where)
		}
		for _, o := range commits[:made] {
			if o.ours && o.undo == c.undo && int(o.ring) == r && o.changed&(1<<s) != 0 {
				return broken(8, "%s is the second commit of its step", where)
			}
		}
		was, changed := n.world.origin(l, s, r)
		if !changed {
			was = commits[made-1].files[s][r].version // perhaps changed, it was thought: a new nonce does no harm
		}
		if c.undo && c.files[s][r].version != was {
			return broken(11, "%s takes back to %s", where, versions[c.files[s][r].version])
		}
	}
	return nil
}

// origin is the version that the ring had before our first commit that changed
// it; false when there was none.
func (w *world) origin(l *layout, s, r int) (uint8, bool) {
	commits := w.repos[l.repo[s]]
	for i, c := range commits {
		if c.ours && !c.undo && int(c.ring) == r && c.changed&(1<<s) != 0 {
			return commits[i-1].files[s][r].version, true
		}
	}
	return 0, false
}

// rollback is invariant 11: what was changed is taken back, to what it was.
func (sh *shadow) rollback(l *layout, n *node, b orchestrator.RollbackStarted) error {
	sh.undoing = true
	for _, x := range b.Steps {
		s, r := l.service(x.Target.Service), l.ring(x.Ring)
		sh.steps[1][s][r] = shadowStep{there: true, phase: orchestrator.StepWaiting, to: x.To}
		was, changed := n.world.origin(l, s, r)
		if st := stepOf(n.state, orchestrator.Ref{Ring: x.Ring, Service: x.Target.Service}); !changed && !st.Doubt {
			return broken(11, "%s on %s is taken back, and was never changed", x.Target.Service, x.Ring)
		}
		if changed && x.To != versions[was] {
			return broken(11, "%s on %s is taken back to %s, it was %s", x.Target.Service, x.Ring, x.To, versions[was])
		}
	}
	for s := range l.services {
		for r := range l.rings {
			within := l.OnFailure == rings.FailureRollback || sh.rings[r] == orchestrator.RingFailed
			if _, changed := n.world.origin(l, s, r); changed && within && !sh.steps[1][s][r].there {
				return broken(11, "%s on %s was changed and is not taken back", l.services[s], l.rings[r])
			}
		}
	}
	return nil
}

// end holds the rollout's end against its parts: invariants 3, 6 and 11.
func (sh *shadow) end(l *layout, n *node, b orchestrator.Ended) error {
	switch b.Phase {
	case orchestrator.Failed:
		if b.Failure == nil || b.Failure.Code == "" || b.Failure.Words == "" {
			return broken(6, "the rollout fails without a name")
		}
	case orchestrator.Succeeded:
		for s := range l.services {
			for r := range l.rings {
				if p := sh.steps[0][s][r].phase; !passed(p) {
					return broken(3, "the rollout succeeded, %s on %s is %s", l.services[s], l.rings[r], p)
				}
			}
		}
	case orchestrator.RolledBack:
		return sh.restored(l, n)
	}
	return nil
}

func (sh *shadow) restored(l *layout, n *node) error {
	for s := range l.services {
		for r := range l.rings {
			commits := n.world.repos[l.repo[s]]
			was, changed := n.world.origin(l, s, r)
			if is := commits[len(commits)-1].files[s][r].version; changed && sh.steps[1][s][r].there && is != was && is != verOther {
				return broken(11, "rolled back, %s on %s says %s and not %s", l.services[s], l.rings[r], versions[is], versions[was])
			}
		}
	}
	return nil
}

// waits is invariant 6: what has not ended waits for an action, which is
// bounded, or for a moment that is named.
func waits(s *orchestrator.State, d orchestrator.Decision) error {
	if s.Phase.Ended() {
		return nil
	}
	if d.Wake.IsZero() && len(s.Pending) == 0 {
		return broken(6, "nothing is pending and nothing wakes it")
	}
	for _, st := range s.Steps {
		moving := st.Phase == orchestrator.StepSurveying || st.Phase == orchestrator.StepPublishing || st.Phase == orchestrator.StepConverging
		if moving && d.Wake.IsZero() {
			pushing := false
			for _, a := range s.Pending {
				pushing = pushing || a.Kind == orchestrator.ActPublish && has(a, st.Target.Service)
			}
			if !pushing {
				return broken(6, "%s is %s without a deadline", st.Target.Service, st.Phase)
			}
		}
	}
	return nil
}

// after holds a turn of the driver against what must be whatever it decided:
// invariants 6 and 13.
func (n *node) after(l *layout, m move, _ []orchestrator.Event) error {
	if m.kind != moveDeadline {
		return nil
	}
	if st := n.state.Steps[m.a]; !st.Phase.Ended() && st.Phase != orchestrator.StepWaiting {
		return broken(6, "the deadlines of %s on %s have passed, it is still %s", st.Target.Service, st.Ring, st.Phase)
	}
	return nil
}

// quiet is invariant 13: what was observed, observed again, decides nothing.
func (n *node) quiet(l *layout) error {
	if n.state.Phase.Ended() || n.state.Current == "" {
		return nil
	}
	in := orchestrator.Input{Now: n.now()}
	for _, st := range n.hearing() {
		if !st.Synced {
			continue
		}
		in.Facts = append(in.Facts, orchestrator.Fact{Service: st.Target.Service, Ring: st.Ring, Members: &orchestrator.Members{Clusters: st.Members}})
		for _, name := range l.clusters[l.ring(st.Ring)] {
			if c := st.Clusters[name]; c != nil && c.Seen != nil {
				again := *c.Seen
				in.Facts = append(in.Facts, orchestrator.Fact{Service: st.Target.Service, Ring: st.Ring, Deployment: &again})
			}
		}
		in.Facts = append(in.Facts, orchestrator.Fact{Service: st.Target.Service, Ring: st.Ring, Synced: true})
	}
	if d := orchestrator.Step(clone(n.state), in, driver); len(d.Events) > 0 {
		return broken(13, "what was observed, observed again, decides %s", describe(d.Events[0]))
	}
	return nil
}
