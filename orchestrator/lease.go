package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// abandon stops driving a rollout without touching it; its lease is free.
func (r *Runner) abandon(id ID, err error) {
	d := r.driven[id]
	if d == nil {
		return
	}
	d.stop()
	delete(r.driven, id)
	r.errs[id] = err
	r.Log.Error("rollout is not driven on", "rollout", id, "err", err)
	r.free(d)
}

// free gives a rollout's lease up.
func (r *Runner) free(d *driven) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Store.Release(ctx, d.lease); err != nil {
		r.Log.Warn("the lease stays until it runs out", "rollout", d.state.ID, "err", err)
	}
}

// release lets go of a rollout that has ended: the claim and the lease.
func (r *Runner) release(d *driven) {
	d.stop()
	delete(r.driven, d.state.ID)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, ring := range d.state.RingNames() {
		if err := r.Claim.Release(ctx, d.state.Scope, ring); err != nil {
			r.Log.Warn("the claim stays until it runs out", "rollout", d.state.ID, "ring", ring, "err", err)
		}
	}
	r.free(d)
}

// renew extends the leases; one that was lost ends the driving of its rollout.
func (r *Runner) renew(ctx context.Context) {
	held := make([]Lease, 0, len(r.driven))
	for _, d := range r.driven {
		held = append(held, d.lease)
	}
	if len(held) == 0 {
		return
	}
	kept, err := r.Store.Renew(ctx, held, r.Clock.Now(), LeaseTTL)
	if err != nil {
		r.Log.Warn("the leases cannot be renewed, trying again", "err", err)
		return
	}
	lost := &FencedError{}
	for _, l := range held {
		if i := slices.IndexFunc(kept, func(k Lease) bool { return k.Rollout == l.Rollout }); i >= 0 {
			r.driven[l.Rollout].lease = kept[i]
			continue
		}
		lost.Rollouts = append(lost.Rollouts, l.Rollout)
	}
	r.fenced(lost)
}

// leave ends everything that Drive began: the watches, the actions, the
// leases of rollouts that are still live.
func (r *Runner) leave() {
	for _, d := range r.driven {
		d.stop()
	}
	r.workers.Wait()
	for _, d := range r.driven {
		r.free(d)
	}
}

// expired reports whether a lease of what is unsaved has run out, so that
// another driver may have taken over.
func (r *Runner) expired() bool {
	now := r.Clock.Now()
	return slices.ContainsFunc(r.unsaved, func(b Batch) bool { return now.After(r.driven[b.Lease.Rollout].lease.Expires) })
}

func (r *Runner) fenced(f *FencedError) {
	for _, id := range f.Rollouts {
		r.abandon(id, fmt.Errorf("rollout %q: %w", id, ErrFenced))
		if r.until != UntilEnded {
			delete(r.errs, id) // it is taken up again when nobody drives it
		}
	}
	r.unsaved = slices.DeleteFunc(r.unsaved, func(b Batch) bool { return slices.Contains(f.Rollouts, b.Lease.Rollout) })
}
