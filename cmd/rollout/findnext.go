package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// nextRings says of everything that is current which ring is next, and what
// keeps it from there.
func (f finder) nextRings(ctx context.Context, db *store.DB, a *rings.Application, places []placeView, found []foundView) error {
	held, err := holdingOn(ctx, db, a.Name, f.now)
	if err != nil {
		return err
	}
	page, err := db.Rollouts(ctx, store.Filter{App: a.Name, Live: true})
	if err != nil {
		return err
	}
	arrived := map[orchestrator.Ref]rings.Version{}
	for _, v := range places {
		if v.State == placeSame {
			arrived[orchestrator.Ref{Ring: v.Ring, Service: v.Service}] = v.Desired
		}
	}
	for i := range found {
		v := &found[i]
		ring := nextWithout(a, arrived, v)
		if ring == "" {
			continue
		}
		bars := held.on(ring, v.Service)
		bars.Frozen = held.on(ring, "").Frozen // they hold rings as a whole
		v.Next = nextOn(a, v.Service, v.Version, ring, page.Rollouts, bars)
	}
	return nil
}

// nextWithout is the first ring after that of v where its version has not
// arrived; "" when there is none.
func nextWithout(a *rings.Application, arrived map[orchestrator.Ref]rings.Version, v *foundView) rings.RingName {
	names := a.RingNames()
	if _, err := a.Service(v.Service); err != nil || !slices.Contains(names, v.Ring) {
		return ""
	}
	for _, ring := range names[slices.Index(names, v.Ring)+1:] {
		if arrived[orchestrator.Ref{Ring: ring, Service: v.Service}] != v.Version {
			return ring
		}
	}
	return ""
}

// nextOn is the ring as the next one of the version. When another one is planned
// and a train takes it there, no plan is needed.
func nextOn(a *rings.Application, service rings.ServiceName, version rings.Version, ring rings.RingName, live []store.Summary, b rings.Barriers) *nextRingView {
	v := &nextRingView{Ring: ring, InTheWay: []string{}, Command: fmt.Sprintf("rollout create %s %s --only %s", a.Name, ring, service)}
	planned := a.Plan[service].Version
	if planned != version {
		if c, err := orchestrator.NewTrain(a, orchestrator.Train{Ring: ring}); err == nil && c.Plan[service] == version {
			planned, v.Command = version, fmt.Sprintf("rollout train %s %s", a.Name, ring)
		}
	}
	v.InTheWay = append(v.InTheWay, inTheWay(a, service, version, planned, ring, live, b)...)
	return v
}

// inTheWay says what keeps a version of a service from a ring: who is at it
// there already, a halt, locks, windows and freezes, another version that is planned,
// a ring before that was not verified, a rollback that withdrew it, a person's approval.
func inTheWay(a *rings.Application, service rings.ServiceName, version, planned rings.Version, ring rings.RingName, live []store.Summary, b rings.Barriers) []string {
	var out []string
	for _, r := range live {
		if !slices.Contains(r.Rings, ring) {
			continue
		}
		if r.Versions[service] == version {
			return []string{fmt.Sprintf("%s is taking it there, %s: \"rollout explain %s\"", r.ID, r.Phase, r.ID)}
		}
		out = append(out, fmt.Sprintf("%s is live on it, %s", r.ID, r.Phase))
	}
	if b.Halt != nil {
		out = append(out, fmt.Sprintf("halted by %s: %s", b.Halt.By, b.Halt.Reason))
	}
	out = append(out, b.Words()...)
	if planned != version {
		out = append(out, fmt.Sprintf("the plan says %s: \"rollout plan set %s %s=%s\"", cmpHint(string(planned), "nothing"), a.Name, service, version))
	}
	if err := refused(a, service, version, ring); err != nil {
		out = append(out, strings.TrimPrefix(err.Error(), fmt.Sprintf("ring %q: ", ring)))
	}
	if r, err := a.Ring(ring); err == nil && r.Policy.ApproveBefore {
		out = append(out, "it waits for a person's approval")
	}
	return out
}

// refused is why the engine would not start a rollout of the version alone, or
// nil.
func refused(a *rings.Application, service rings.ServiceName, version rings.Version, ring rings.RingName) error {
	planned := *a
	planned.Plan = maps.Clone(a.Plan)
	if planned.Plan == nil {
		planned.Plan = rings.Plan{}
	}
	planned.Plan[service] = rings.PlanEntry{Version: version}
	_, err := orchestrator.New(&planned, orchestrator.Request{Rings: []rings.RingName{ring}, Only: []rings.ServiceName{service}})
	return err
}
