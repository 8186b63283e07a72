package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// view is what one driver was told of the ring that it watches.
type view struct {
	ring   rings.RingName
	epoch  int
	now    time.Time // of the last input, in true time
	jumped time.Time // when the clock was last seen to have jumped, in true time
	// skew is by how much the host's clock was ahead of Fleet's at the last
	// input: the engine compares signs of agents, which are by Fleet's, with it.
	skew   time.Duration
	facts  map[slot]orchestrator.Fact
	seen   map[sightingKey]*sighting
	before map[sightingKey]*sighting // of the driver before
}

// sightingKey is a service on a cluster.
type sightingKey struct {
	service rings.ServiceName
	cluster rings.ClusterName
}

// sighting is what was delivered of one BundleDeployment.
type sighting struct {
	d     orchestrator.Deployment
	heard time.Time // the newest sign of its agent, which an older one does not take back
	nonce int64     // that it acknowledges and is healthy under, else 0
	since time.Time // of the nonce, in true time
	acked time.Time // when that was first seen, whatever happened in a gap
}

// newView begins what a driver is told. What was told before it, and has not been
// lost with the driver before, counts for the gap between them only.
func newView(w orchestrator.Watch, last *view) *view {
	v := &view{ring: w.Ring, epoch: w.Epoch, facts: map[slot]orchestrator.Fact{}, seen: map[sightingKey]*sighting{}}
	if last != nil {
		v.jumped, v.before = last.jumped, last.known(w)
	}
	return v
}

// turn begins the view of another watch.
func (v *view) turn(w orchestrator.Watch) {
	*v = *newView(w, v)
}

// known are the sightings as the next watch has them before: to another one,
// nothing was well before this one ended.
func (v *view) known(w orchestrator.Watch) map[sightingKey]*sighting {
	out := maps.Clone(v.before)
	if out == nil {
		out = map[sightingKey]*sighting{}
	}
	maps.Copy(out, v.seen)
	if v.ring == w.Ring && v.epoch == w.Epoch {
		return out
	}
	for key, s := range out {
		is := *s
		is.since = v.now
		out[key] = &is
	}
	return out
}

// stored is the view as the journal has it now, which outlives the driver.
func (v *view) stored() *view {
	return &view{ring: v.ring, epoch: v.epoch, now: v.now, jumped: v.jumped, before: v.before, seen: maps.Clone(v.seen)}
}

// take takes an input in.
func (v *view) take(in orchestrator.Input, now time.Time) {
	v.now, v.skew = now, in.Now.Sub(now)
	if in.Jumped {
		v.jumped = now
	}
	for _, f := range in.Facts {
		if f.Ring != "" && f.Ring != v.ring {
			continue
		}
		v.facts[slotOf(f)] = f
		if f.Deployment != nil {
			v.see(sightingKey{f.Service, f.Deployment.Cluster}, *f.Deployment)
		}
	}
}

// see keeps since when the deployment has been healthy under its nonce.
func (v *view) see(key sightingKey, d orchestrator.Deployment) {
	was := v.seen[key]
	if was == nil && v.before[key] != nil && v.before[key].d.ReadyAt.Equal(d.ReadyAt) {
		was = v.before[key] // nothing happened in the gap
	}
	is := &sighting{d: d, heard: d.Heard}
	for _, old := range []*sighting{v.seen[key], v.before[key]} {
		if old != nil && old.heard.After(is.heard) {
			is.heard = old.heard
		}
	}
	v.seen[key] = is
	if !acknowledges(d, d.SpecNonce) {
		return
	}
	is.nonce, is.since, is.acked = d.SpecNonce, v.now, v.now
	if old := cmp.Or(v.before[key], was); old != nil && old.nonce == is.nonce {
		is.acked = old.acked
	}
	if was != nil && was.nonce == is.nonce {
		is.since, is.acked = was.since, was.acked
		if !was.d.ReadyAt.Equal(d.ReadyAt) && d.ReadyAt.After(is.since) && !d.ReadyAt.After(v.now) {
			is.since = d.ReadyAt // it was not ready in between
		}
	}
}

// acknowledges is invariant 3's rule for one cluster, but for the commit.
func acknowledges(d orchestrator.Deployment, nonce int64) bool {
	held := d.Gone || d.Deleting || d.Paused || d.OffSchedule || d.AwaitsValues
	failed := d.InstallError != "" || d.DeployError != ""
	return nonce > 0 && d.SpecNonce == nonce && d.StatusNonce == nonce && d.Staged && d.Applied && d.Ready && d.NonModified && !held && !failed
}

// members are the ring's clusters as delivered for the service, sorted.
func (v *view) members(service rings.ServiceName) []rings.ClusterName {
	if f, ok := v.facts[slot{service, 'm', ""}]; ok {
		return f.Members.Clusters
	}
	return nil
}

// synced reports whether all there was has been delivered for the service.
func (v *view) synced(service rings.ServiceName) bool {
	_, ok := v.facts[slot{service, 's', ""}]
	return ok
}

// sighting is what was delivered; the zero value when nothing was.
func (v *view) sighting(service rings.ServiceName, cluster rings.ClusterName) sighting {
	if s := v.seen[sightingKey{service, cluster}]; s != nil {
		return *s
	}
	return sighting{}
}

// all are the facts that stand, in a fixed order.
func (v *view) all() []orchestrator.Fact {
	slots := make([]slot, 0, len(v.facts))
	for s := range v.facts {
		slots = append(slots, s)
	}
	slices.SortFunc(slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.kind, b.kind), cmp.Compare(a.cluster, b.cluster))
	})
	out := make([]orchestrator.Fact, len(slots))
	for i, s := range slots {
		out[i] = v.facts[s]
	}
	return out
}
