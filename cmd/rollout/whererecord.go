package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// whereRecord is what the store knows of where things are.
type whereRecord struct {
	app    *rings.Application
	at     time.Time
	past   bool // at was asked for
	placed map[orchestrator.Ref]store.Placement
	before map[orchestrator.Ref]store.Recorded     // of a past time: what a later rollout wrote over
	ahead  []aheadView                             // of now
	under  map[orchestrator.ID]*orchestrator.State // rollouts that were at work at the time, as they stood then
}

func (p *program) whereRecord(ctx context.Context, o whereOptions) (*whereRecord, error) {
	var r *whereRecord
	err := p.withApp(ctx, o.app, func(ctx context.Context, db *store.DB, a *rings.Application) (err error) {
		if r, err = recordOf(ctx, db, a, o.at, p.now()); err != nil || r.past {
			return err
		}
		locks, err := db.Locks(ctx, a.Name, p.now())
		r.ahead = viewAhead(rings.Unlocked(a.Ahead(), locks))
		return err
	})
	return r, err
}

// recordOf reads what the store knows of the application, at a time of the
// past or, when that is zero, now.
func recordOf(ctx context.Context, db *store.DB, a *rings.Application, at, now time.Time) (*whereRecord, error) {
	r := &whereRecord{app: a, at: at, past: !at.IsZero(), placed: map[orchestrator.Ref]store.Placement{}}
	if !r.past {
		r.at = now
	}
	all, err := db.Placed(ctx, a.Name, at)
	if err != nil {
		return nil, err
	}
	if r.past {
		if r.before, err = db.Recorded(ctx, a.Name, at); err != nil {
			return nil, err
		}
	}
	var open []orchestrator.ID
	for _, x := range all {
		r.placed[orchestrator.Ref{Ring: x.Ring, Service: x.Service}] = x
		if x.FinishedAt.IsZero() || x.FinishedAt.After(r.at) {
			open = append(open, x.Rollout)
		}
	}
	r.under, err = db.StatesAt(ctx, at, open...)
	return r, err
}

// places are all services on all rings, those that are gone at the end.
func (r *whereRecord) places() []placeView {
	out, seen := []placeView{}, map[orchestrator.Ref]bool{}
	for _, s := range r.app.Services {
		for _, ring := range r.app.RingNames() {
			ref := orchestrator.Ref{Ring: ring, Service: s.Name}
			seen[ref] = true
			out = append(out, r.place(ref))
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(r.placed), compareRefs) {
		if !seen[ref] {
			out = append(out, r.place(ref))
		}
	}
	return out
}

// place is what is recorded of the service on the ring. What somebody recorded
// by hand after the last rollout counts, and nothing is known of its clusters.
func (r *whereRecord) place(ref orchestrator.Ref) placeView {
	v := placeView{Service: ref.Service, Ring: ref.Ring, Drift: []string{}, Clusters: []placeClusterView{}}
	x, there := r.placed[ref]
	known := r.known(ref)
	v.Settings = known.Settings
	switch {
	case known.Version != "" && (!there || known.At.After(x.PublishedAt) && known.Version != x.To):
		v.Desired, v.Since, v.Reason = known.Version, instant(known.At), "recorded when it was adopted, and not rolled out since"
		if r.before[ref].Version != "" {
			v.Reason = "recorded when it was adopted, and not rolled out until then"
		}
	case there:
		v.Desired, v.Since, v.Rollout = x.To, instant(x.Since), x.By
		v.Clusters = r.clusters(x)
	default:
		v.Reason = "nothing is recorded of it"
	}
	v.judge()
	return v
}

func compareRefs(a, b orchestrator.Ref) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Ring, b.Ring))
}

// known is what was recorded of the service on the ring at the time, by whomever.
func (r *whereRecord) known(ref orchestrator.Ref) rings.Known {
	if b, written := r.before[ref]; written {
		if b.At.After(r.at) {
			return rings.Known{}
		}
		return b.Known
	}
	s, err := r.app.Service(ref.Service)
	if err != nil || s.Known[ref.Ring].At.After(r.at) {
		return rings.Known{}
	}
	return s.Known[ref.Ring]
}

// clusters are those of the step, with its version where they acknowledged it.
func (r *whereRecord) clusters(x store.Placement) []placeClusterView {
	out := []placeClusterView{}
	for _, c := range r.seen(x) {
		v := placeClusterView{Name: c.Name}
		if c.Phase == orchestrator.ClusterReady || c.Phase == orchestrator.ClusterNotReady { // it acknowledged the version
			v.Observed = x.To
		}
		if c.Phase != orchestrator.ClusterReady {
			v.Reason = fmt.Sprintf("%s in %s since %s", c.Phase, x.Rollout, stamp(c.Since))
		}
		out = append(out, v)
	}
	return out
}

// seen are the step's clusters at the time.
func (r *whereRecord) seen(x store.Placement) []store.ClusterSummary {
	s := r.under[x.Rollout]
	if s == nil {
		return x.Clusters
	}
	var out []store.ClusterSummary
	for _, st := range s.Steps {
		if st.Ring != x.Ring || st.Target.Service != x.Service || st.Undo != x.Undo {
			continue
		}
		for _, name := range clustersOf(st) {
			if c := st.Clusters[name]; c.Expected {
				out = append(out, store.ClusterSummary{Name: name, Phase: c.Phase, Since: c.Since})
			}
		}
	}
	return out
}
