package orchestrator

import (
	"context"
	"errors"
	"sync"
	"time"

	"rollout/rings"
)

// limits bounds how long each kind of action may take. Past it, its outcome
// says what is known.
var limits = map[ActionKind]time.Duration{
	ActClaim:   30 * time.Second,
	ActSurvey:  2 * time.Minute, // a first clone
	ActPublish: time.Minute,
	ActHint:    10 * time.Second,
	ActNudge:   3 * time.Minute, // a new job, then the old interval again
	ActVerify:  2 * time.Minute,
	ActTag:     time.Minute,
	ActCheck:   time.Minute, // and what the check itself may take
}

// begin starts an action beside the loop. Its outcome goes to the mailbox,
// unless the rollout was let go meanwhile: then it stays pending, and the next
// driver does it again.
func (r *Runner) begin(d *driven, a Action) {
	job, ctx := jobOf(d.state, a), d.ctx
	queue := r.queue(job)
	r.workers.Go(func() {
		if !r.waitUntil(ctx, a.After) {
			return
		}
		queue.Lock()
		defer queue.Unlock()
		bounded, cancel := context.WithTimeout(ctx, a.limit())
		defer cancel()
		o := r.act(bounded, job)
		if ctx.Err() != nil {
			return
		}
		o.Action = a.ID
		r.mail.outcome(job.Rollout, o)
	})
}

// limit bounds how long the action may take.
func (a Action) limit() time.Duration {
	if a.Check != nil {
		return limits[a.Kind] + a.Check.Within()
	}
	return limits[a.Kind]
}

// queue returns the lock of the action's repository; actions that touch none
// have one each. It is called by the loop only.
func (r *Runner) queue(j Job) *sync.Mutex {
	if k := j.Action.Kind; k != ActSurvey && k != ActPublish && k != ActVerify && k != ActTag {
		return &sync.Mutex{}
	}
	t := j.Targets[j.Action.Items[0].Service]
	key := [2]string{t.Repo, t.Branch}
	if r.queues[key] == nil {
		r.queues[key] = &sync.Mutex{}
	}
	return r.queues[key]
}

// waitUntil reports false when ctx ends first.
func (r *Runner) waitUntil(ctx context.Context, at time.Time) bool {
	wait := at.Sub(r.Clock.Now())
	if at.IsZero() || wait <= 0 {
		return ctx.Err() == nil
	}
	c, stop := r.Clock.After(wait)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// act carries an action out through its port.
func (r *Runner) act(ctx context.Context, j Job) Outcome {
	a := j.Action
	switch a.Kind {
	case ActClaim:
		return r.Claim.Take(ctx, j.Scope, a.Ring, j.Rollout)
	case ActSurvey, ActVerify:
		return r.Publisher.Survey(ctx, j)
	case ActCheck:
		return r.Checker.Check(ctx, j)
	case ActPublish:
		if err := r.Claim.Confirm(ctx, j.Scope, a.Ring); err != nil {
			return unclaimed(err)
		}
		return r.Publisher.Publish(ctx, j)
	case ActTag:
		return r.Publisher.Tag(ctx, j)
	case ActHint:
		return r.Fleet.Hint(ctx, j.Scope, j.Targets[a.Items[0].Service], a.Commit)
	case ActNudge:
		return r.Fleet.Nudge(ctx, j.Scope, j.Targets[a.Items[0].Service])
	}
	return Outcome{Result: Refused, Code: CodeUnexpected, Words: "no such action: " + string(a.Kind)}
}

// unclaimed is the outcome of a push that was not begun for want of the claim.
func unclaimed(err error) Outcome {
	if errors.Is(err, ErrClaimLost) {
		return Outcome{Result: Refused, Code: CodeClaimed, Words: "not published, the claim on the ring was lost: " + err.Error()}
	}
	return Outcome{Result: Unreachable, Code: CodeUnreach, Words: "not published, the claim on the ring could not be confirmed: " + err.Error()}
}

// jobOf gives an action what an adapter needs; it shares nothing with the
// state that changes.
func jobOf(s *State, a Action) Job {
	j := Job{Action: a, Rollout: s.ID, Scope: s.Scope, Actor: s.StartedBy, Link: s.Link, Versions: s.Plan, Targets: map[rings.ServiceName]Target{}}
	for _, ref := range a.steps() {
		j.Targets[ref.Service] = s.step(ref).Target
	}
	return j
}
