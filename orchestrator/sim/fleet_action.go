package sim

import (
	"fmt"

	"rollout/orchestrator"
	"rollout/rings"
)

// task is an action that is being carried out.
type task struct {
	w      *World
	job    orchestrator.Job
	answer func(orchestrator.Outcome)
	repo   *repo // of its services; nil without
	gone   bool  // nobody waits for the answer
}

// Do carries an action out. The answer is called once, from within
// [World.Step]; never after abandon was called, which says that the process
// that did the action died, or stopped waiting: what was on its way may take
// effect all the same (Faults.Outlives).
func (w *World) Do(j orchestrator.Job, answer func(orchestrator.Outcome)) (abandon func()) {
	w.begin()
	t := &task{w: w, job: j, answer: answer}
	if len(j.Action.Items) > 0 {
		t.repo = w.bundle(j.Action.Items[0].Service).repo
	}
	switch j.Action.Kind {
	case orchestrator.ActSurvey, orchestrator.ActVerify:
		t.survey()
	case orchestrator.ActPublish:
		t.begin(0)
	case orchestrator.ActTag:
		t.tag()
	case orchestrator.ActClaim:
		t.call(t.claim)
	case orchestrator.ActHint:
		t.call(t.hint)
	case orchestrator.ActNudge:
		t.call(t.nudge)
	case orchestrator.ActCheck:
		w.After(w.draw(w.Delays.Check), t.check)
	default:
		w.After(0, func() {
			t.refuse(orchestrator.CodeUnexpected, "no such action: "+string(j.Action.Kind))
		})
	}
	return func() { t.gone = true }
}

// reply answers, if anybody waits for it.
func (t *task) reply(o orchestrator.Outcome) {
	if t.gone {
		return
	}
	t.gone = true
	o.Action = t.job.Action.ID
	t.answer(o)
}

func (t *task) ok(words string) {
	t.reply(orchestrator.Outcome{Result: orchestrator.OK, Words: words})
}

func (t *task) refuse(code orchestrator.Code, words string) {
	t.reply(orchestrator.Outcome{Result: orchestrator.Refused, Code: code, Words: words})
}

// unreachable answers that, after the time that it takes to find out.
func (t *task) unreachable(words string) {
	t.w.After(t.w.draw(t.w.Delays.Timeout), func() {
		t.reply(orchestrator.Outcome{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, Words: words})
	})
}

// call is a call of the manager's API. One whose caller died before it arrived
// arrives only if Faults let it.
func (t *task) call(f func()) {
	t.w.After(t.w.draw(t.w.Delays.Call), func() {
		if !t.gone || t.w.happens(t.w.Faults.Outlives) {
			f()
		}
	})
}

// begin publishes as the service's branch has it.
func (t *task) begin(try int) {
	if t.proposes() {
		t.propose(try)
		return
	}
	t.publish(try)
}

func (t *task) proposes() bool {
	return t.job.Targets[t.job.Action.Items[0].Service].Publish == rings.PublishBranch
}

func (t *task) survey() {
	t.w.After(t.w.draw(t.w.Delays.Fetch), func() {
		if t.gone || t.cutOff() {
			return
		}
		t.finish(nil)
	})
}

// cutOff answers, and reports true, when the git server cannot be reached.
func (t *task) cutOff() bool {
	if t.repo.down <= t.w.now && !t.w.happens(t.w.Faults.Unreachable) {
		return false
	}
	t.unreachable(t.repo.url + ": cannot be reached: connection refused")
	return true
}

// claimKey names a claim.
type claimKey struct {
	workspace string
	app       rings.AppName
	ring      rings.RingName
}

func claimOf(j orchestrator.Job) claimKey {
	return claimKey{j.Scope.Workspace, j.Scope.App, j.Action.Ring}
}

// TakeClaim lets another store's rollout hold the claim on an application's
// ring, in these words; "" gives it up.
func (w *World) TakeClaim(s orchestrator.Scope, ring rings.RingName, words string) {
	k := claimKey{s.Workspace, s.App, ring}
	if words == "" {
		delete(w.claims, k)
		return
	}
	w.claims[k] = words
}

func (t *task) claim() {
	w := t.w
	words := w.claims[claimOf(t.job)]
	if w.happens(w.Faults.ClaimRefused) {
		words = fmt.Sprintf("claim on ring %q of application %q is held by bob@elsewhere", t.job.Action.Ring, t.job.Scope.App)
	}
	switch {
	case words != "":
		t.refuse(orchestrator.CodeClaimed, words)
	case w.happens(w.Faults.ClaimUnreachable):
		t.unreachable("the manager cannot be reached: i/o timeout")
	default:
		t.ok("")
	}
}

// unclaimed answers, and reports true, when the claim on the ring was lost.
func (t *task) unclaimed() bool {
	words := t.w.claims[claimOf(t.job)]
	if words != "" {
		t.refuse(orchestrator.CodeClaimed, "not published, the claim on the ring was lost: "+words)
	}
	return words != ""
}

func (t *task) gitRepo() *gitRepo { return t.w.bundle(t.job.Action.Items[0].Service).gitRepo }

func (t *task) hint() {
	w, g := t.w, t.gitRepo()
	switch {
	case g.removed:
		t.refuse(orchestrator.CodeNotFound, fmt.Sprintf("GitRepo %q: not found", g.name))
	case w.happens(w.Faults.HintRefused):
		t.refuse(orchestrator.CodeDenied, "patch gitrepos.fleet.cattle.io/status: not permitted; Fleet sees the commit at its next poll")
	case w.happens(w.Faults.HintLost):
		t.ok("")
	default:
		w.hint(g, t.job.Action.Commit)
		t.ok("")
	}
}

func (t *task) nudge() {
	w, g := t.w, t.gitRepo()
	switch {
	case g.removed:
		t.refuse(orchestrator.CodeNotFound, fmt.Sprintf("GitRepo %q: not found", g.name))
	case !g.managed:
		t.reply(orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeDenied,
			Words: fmt.Sprintf("GitRepo %q was not made by rollout, so its spec is not changed", g.name),
			Hint:  fmt.Sprintf(`kubectl -n %s patch gitrepo %s --type merge -p '{"spec":{"pollingInterval":"16s"}}'`, t.job.Scope.Workspace, g.name)})
	case w.happens(w.Faults.NudgeUnreachable):
		t.unreachable("the manager cannot be reached: i/o timeout")
	default:
		w.nudge(g, func() { t.ok("") })
	}
}

func (t *task) check() {
	w := t.w
	if w.Answer != nil {
		if o, ok := w.Answer(t.job); ok {
			t.reply(o)
			return
		}
	}
	switch sick := t.sick(); {
	case w.happens(w.Faults.CheckSilent):
		t.unreachable("no answer: connection refused")
	case w.happens(w.Faults.CheckBad):
		t.refuse(orchestrator.CodeCheck, "answered badly: 0.12 of <= 0.01")
	case sick != "":
		t.refuse(orchestrator.CodeCheck, sick)
	default:
		t.ok("answered well: 0.002 of <= 0.01")
	}
}

// sick says what of the ring is not well to those who are asked outside of
// Fleet.
func (t *task) sick() string {
	for _, name := range t.w.Members(t.job.Scope.Labels(t.job.Action.Ring)) {
		for _, b := range t.w.bundles {
			v, _, _ := t.w.Running(b.service.Name, name)
			if v == "" {
				continue
			}
			if beh := t.w.versionOn(b.service.Name, name, v); beh.Kind == FailsChecks {
				return beh.words(fmt.Sprintf("%s %s on %s answers badly: 0.31 of <= 0.01", b.service.Name, v, name))
			}
		}
	}
	return ""
}
