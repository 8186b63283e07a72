package sim

import (
	"maps"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// limits bounds how long each kind of action may take, as a Runner does.
var limits = map[orchestrator.ActionKind]time.Duration{
	orchestrator.ActClaim:   30 * time.Second,
	orchestrator.ActSurvey:  2 * time.Minute,
	orchestrator.ActVerify:  2 * time.Minute,
	orchestrator.ActPublish: time.Minute,
	orchestrator.ActTag:     time.Minute,
	orchestrator.ActHint:    10 * time.Second,
	orchestrator.ActNudge:   3 * time.Minute,
}

// limit is how long the action may take.
func limit(a orchestrator.Action) time.Duration {
	if a.Check != nil {
		return a.Check.Within()
	}
	return limits[a.Kind]
}

// act begins what is pending and not begun; false when the driver died over it.
func (d *Driver) act() bool {
	for _, id := range slices.Sorted(maps.Keys(d.state.Pending)) {
		if d.begun[id] != nil {
			continue
		}
		if d.dies(BeforeAction) {
			return false
		}
		d.begin(d.state.Pending[id])
		if d.dies(AfterAction) {
			return false
		}
	}
	return true
}

// begin puts the action in its line when its time has come.
func (d *Driver) begin(a orchestrator.Action) {
	d.begun[a.ID] = func() {}
	if wait := a.After.Sub(d.World.Wall()); !a.After.IsZero() && wait > 0 {
		d.within(wait, func() { d.lineUp(a) })
		return
	}
	d.lineUp(a)
}

// lineUp carries the action out, or lets it wait for those of its repository.
func (d *Driver) lineUp(a orchestrator.Action) {
	q := d.queue(a)
	q.line = append(q.line, a)
	d.serve(q)
}

// queue is the line of the action's repository; actions that touch none have
// one each.
func (d *Driver) queue(a orchestrator.Action) *queue {
	if a.Kind != orchestrator.ActSurvey && a.Kind != orchestrator.ActPublish && a.Kind != orchestrator.ActVerify && a.Kind != orchestrator.ActTag {
		return &queue{}
	}
	t := jobOf(d.state, a).Targets[a.Items[0].Service]
	key := [2]string{t.Repo, t.Branch}
	if d.queues[key] == nil {
		d.queues[key] = &queue{}
	}
	return d.queues[key]
}

// serve begins the line's next action that is still wanted.
func (d *Driver) serve(q *queue) {
	for !q.busy && len(q.line) > 0 {
		a := q.line[0]
		q.line = q.line[1:]
		if _, wanted := d.state.Pending[a.ID]; wanted {
			q.busy = true
			d.do(a, q)
		}
	}
}

// do carries an action out; its answer, or that there is none in time, comes
// into the mail.
func (d *Driver) do(a orchestrator.Action, q *queue) {
	t, answered := d.tenure, false
	done := func(o orchestrator.Outcome) {
		if answered || d.tenure != t {
			return
		}
		answered = true
		o.Action = a.ID
		t.mail.input.Outcomes = append(t.mail.input.Outcomes, o)
		q.busy = false
		d.soon()
		d.serve(q)
	}
	abandon := d.World.Do(jobOf(d.state, a), done)
	if answered {
		return
	}
	d.begun[a.ID] = abandon
	d.within(limit(a), func() {
		if !answered {
			abandon()
			done(late(a))
		}
	})
}

// late is the outcome of an action that took too long.
func late(a orchestrator.Action) orchestrator.Outcome {
	o := orchestrator.Outcome{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, Words: "no answer within " + orchestrator.Duration(limit(a))}
	if a.Kind == orchestrator.ActPublish || a.Kind == orchestrator.ActTag {
		o.Result = orchestrator.Unknown
	}
	return o
}

// jobOf gives an action what the world needs to carry it out; it shares
// nothing with the state that changes.
func jobOf(s *orchestrator.State, a orchestrator.Action) orchestrator.Job {
	j := orchestrator.Job{Action: a, Rollout: s.ID, Scope: s.Scope, Actor: s.StartedBy, Link: s.Link,
		Targets: map[rings.ServiceName]orchestrator.Target{}, Versions: maps.Clone(s.Plan)}
	for _, item := range a.Items {
		for _, st := range s.Steps {
			if st.Target.Service == item.Service {
				j.Targets[item.Service] = st.Target
			}
		}
	}
	return j
}
