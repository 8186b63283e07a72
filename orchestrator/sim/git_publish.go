package sim

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// us is the author of our commits.
const us = "rollout <rollout@localhost>"

// maxPushes bounds the pushes of one job when others push at the same time.
const maxPushes = 8

// draft is a commit that is not pushed yet.
type draft struct {
	base    *commit // the tip that it was made for
	files   map[string][]byte
	message string
}

// publish fetches, applies the intent to the tip and pushes, until the push
// meets the tip that it was made for.
func (t *task) publish(try int) {
	t.intent(func(_ []orchestrator.Survey, d *draft) {
		d.base = t.repo.tip()
		t.w.After(t.w.draw(t.w.Delays.Push), func() { t.push(d, try) })
	})
}

// intent fetches and hands on what is to be written, with what the branch says; it
// answers when there is nothing to write, or nothing may be.
func (t *task) intent(write func([]orchestrator.Survey, *draft)) {
	w := t.w
	w.After(w.draw(w.Delays.Fetch), func() {
		if t.gone || t.cutOff() || t.unclaimed() {
			return
		}
		qs := w.queries(t.job)
		found, no := surveys(qs)
		if no != nil {
			t.reply(*no)
			return
		}
		open, no := unpublished(qs, found)
		closed := slices.ContainsFunc(found, func(s orchestrator.Survey) bool { return s.Closed })
		if no != nil || len(open) == 0 || closed {
			t.finish(no)
			return
		}
		d, no := t.draft(open)
		if no != nil {
			t.reply(*no)
			return
		}
		write(found, d)
	})
}

// arrives reports whether a push that is on its way comes to the server, and is not
// refused there. The process that sent it may have died since.
func (t *task) arrives() bool {
	w := t.w
	if t.gone && !w.happens(w.Faults.Outlives) {
		return false
	}
	if w.happens(w.Faults.PushRaced) {
		w.somebodyElse(t.repo)
	}
	switch {
	case w.happens(w.Faults.PushRefused):
		t.refuse(orchestrator.CodeHook, t.repo.url+": pre-receive hook declined: not today")
	case w.happens(w.Faults.PushDropped):
		t.reply(lostAnswer)
	default:
		return true
	}
	return false
}

// push lets the server judge a push.
func (t *task) push(d *draft, try int) {
	w, r := t.w, t.repo
	switch {
	case !t.arrives():
	case r.tip() != d.base && !t.gone:
		t.again(try + 1)
	case r.tip() == d.base:
		c := w.commit(r, d.files, us, d.message, w.Wall())
		w.tell("we push %.8s to %s", c.hash, r.url)
		if w.happens(w.Faults.PushLost) {
			t.reply(lostAnswer)
			return
		}
		t.finish(nil)
	}
}

var lostAnswer = orchestrator.Outcome{Result: orchestrator.Unknown, Words: "the push was sent, but its answer was lost: unexpected EOF"}

// again is another try after a push that was rejected because the branch moved
// on (non-fast-forward).
func (t *task) again(try int) {
	if try < maxPushes {
		t.begin(try)
		return
	}
	t.reply(orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeConflict,
		Words: fmt.Sprintf("%s: branch %q moved on during each of %d pushes", t.repo.url, t.repo.branch, maxPushes)})
}

// finish answers a publish: with the refusal, or with what the branch says now.
func (t *task) finish(no *orchestrator.Outcome) {
	var found []orchestrator.Survey
	if no == nil {
		found, no = surveys(t.w.queries(t.job))
	}
	if no != nil {
		t.reply(*no)
		return
	}
	t.reply(orchestrator.Outcome{Result: orchestrator.OK, Surveys: found})
}

// unpublished returns the queries that are to be written. What the branch held
// since the base was published, even if it was taken away again.
func unpublished(qs []*query, found []orchestrator.Survey) (open []*query, no *orchestrator.Outcome) {
	for i, q := range qs {
		s := found[i]
		if s.Rewritten {
			return nil, q.refuse(orchestrator.CodeRewritten, fmt.Sprintf("branch %q no longer holds commit %s, on which this was decided", q.bundle.repo.branch, q.item.Base))
		}
		if s.Commit != "" && q.item.Base != "" || q.item.Commit != "" || s.Version == q.item.Version && s.Nonce == q.item.Nonce && q.item.Settings.In(s.Settings) {
			continue
		}
		if no := q.check(s); no != nil {
			return nil, no
		}
		open = append(open, q)
	}
	return open, nil
}

// check refuses what must be decided again, by the engine or by a person.
func (q *query) check(s orchestrator.Survey) *orchestrator.Outcome {
	if !q.asks() {
		return q.refuse(orchestrator.CodeUnexpected, fmt.Sprintf("service %q: no version and nonce to publish", q.item.Service))
	}
	if q.changedMeanwhile(s) {
		var last orchestrator.Survey
		q.last(&last)
		return q.refuse(orchestrator.CodeManual, fmt.Sprintf("commit %.8s by %s changed service %q of this ring to %s meanwhile; it is not overwritten",
			last.Commit, last.Author, q.item.Service, s.Version))
	}
	if s.MaxNonce >= q.item.Nonce {
		return q.refuse(orchestrator.CodeNonceTaken, fmt.Sprintf("service %q: the file has forceSyncGeneration %d by now, ours would be %d",
			q.item.Service, s.MaxNonce, q.item.Nonce))
	}
	return nil
}

// changedMeanwhile reports whether somebody set another version for the ring
// after the attempt was decided.
func (q *query) changedMeanwhile(now orchestrator.Survey) bool {
	if q.item.Base == "" || q.item.Base == now.Tip || now.Version == q.item.Version && q.item.Settings.In(now.Settings) {
		return false
	}
	r := q.bundle.repo
	then := q.state(r.commits[r.index[q.item.Base]])
	return then.err == nil && (then.version != now.Version || !slices.Equal(then.versions, now.Versions) ||
		!maps.Equal(then.settings.Only(q.item.Settings), now.Settings.Only(q.item.Settings)))
}

// draft applies the intents to the files at the tip, with the real editor.
func (t *task) draft(qs []*query) (*draft, *orchestrator.Outcome) {
	d := &draft{files: map[string][]byte{}}
	var parts []string
	var services []rings.ServiceName
	for _, q := range qs {
		all, ring := q.clusters()
		tip := t.repo.tip()
		k := q.bundle.at(tip)
		e, err := k.file.Edit(fleetyaml.Change{Settings: fleetyaml.SettingsOf(q.target.Settings, q.item.Settings), Ring: ring, All: all, Targets: q.bundle.gitRepo.targets, Fields: q.bundle.fields,
			Version: string(q.item.Version), Nonce: q.item.Nonce, AcceptRedeploy: q.target.AcceptRedeploy})
		if err != nil {
			return nil, q.refuse(orchestrator.CodeFile, err.Error())
		}
		name := path.Join(q.bundle.root(), "fleet.yaml")
		d.files[name] = e.Bytes
		parts = append(parts, change(q.item.Service, q.state(tip).version, q.item.Version))
		services = append(services, q.item.Service)
	}
	d.message = commitMessage(t.job, parts, services)
	return d, nil
}

func change(s rings.ServiceName, from, to rings.Version) string {
	if from == to {
		return fmt.Sprintf("%s %s again", s, to)
	}
	return fmt.Sprintf("%s %s -> %s", s, from, to)
}

// commitMessage is our commit's message, with trailers for machines.
func commitMessage(j orchestrator.Job, parts []string, services []rings.ServiceName) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n\n", j.Scope.App, j.Action.Ring, strings.Join(parts, ", "))
	if j.Action.Reason != "" {
		fmt.Fprintf(&b, "%s\n\n", j.Action.Reason)
	}
	fmt.Fprintf(&b, "Rollout: %s\nRing: %s\n", j.Rollout, j.Action.Ring)
	for _, s := range services {
		fmt.Fprintf(&b, "Service: %s\n", s)
	}
	if j.Actor != "" {
		fmt.Fprintf(&b, "Actor: %s\n", j.Actor)
	}
	return b.String()
}
