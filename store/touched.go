package store

import (
	"maps"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// touched is what events may have changed of a state, beyond the rollout's,
// the rings' and the steps' own small records.
type touched struct {
	all     bool // everything, and parts may be gone
	counted map[rings.RingName]bool

	rings    map[rings.RingName]bool   // all parts of the ring's steps
	whole    map[orchestrator.Ref]bool // all parts of the step
	wide     map[orchestrator.Ref]bool // its members and survey
	clusters map[orchestrator.Ref]map[rings.ClusterName]bool

	// Facts name a service only; they are about the ring under way.
	current rings.RingName
	facts   map[scope]*seen
	asked   map[string]orchestrator.Action // those that may be answered, by id
}

// scope is whose facts they are: a service's, on the steps of the ring that was
// under way. No ring was before the first began; then it is those of all.
type scope struct {
	ring    rings.RingName
	service rings.ServiceName
}

// seen is what facts were about.
type seen struct {
	wide     bool
	clusters map[rings.ClusterName]bool
}

// touchedSince returns what the events after the snapshot, which is nil when
// there is none yet, touched.
func touchedSince(tx *bolt.Tx, id orchestrator.ID, b *bolt.Bucket, since uint64) (*touched, error) {
	t := &touched{
		all:      since == 0,
		counted:  map[rings.RingName]bool{},
		rings:    map[rings.RingName]bool{},
		whole:    map[orchestrator.Ref]bool{},
		wide:     map[orchestrator.Ref]bool{},
		clusters: map[orchestrator.Ref]map[rings.ClusterName]bool{},
		facts:    map[scope]*seen{},
		asked:    map[string]orchestrator.Action{},
	}
	if t.all {
		return t, nil
	}
	var head orchestrator.State
	if _, err := get(b, keyHead, &head); err != nil {
		return nil, err
	}
	t.current = head.Current
	maps.Copy(t.asked, head.Pending)
	return t, eachEvent(tx, id, since+1, func(e orchestrator.Event) (bool, error) {
		t.note(e)
		return !t.all, nil
	})
}

// note must know every type of event; of one that it does not know it expects
// the worst.
func (t *touched) note(e orchestrator.Event) {
	switch b := e.Body.(type) {
	case orchestrator.Observed:
		t.fact(b.Fact)
	case orchestrator.Asked:
		t.asked[b.ID] = b.Action
	case orchestrator.Answered:
		t.answer(b.Outcome)
	case orchestrator.Driven, orchestrator.ClockJumped:
		t.underWay()
	case orchestrator.StepStarted:
		t.wide[b.Ref] = true
	case orchestrator.StepHeld:
		t.wide[b.Ref] = true
	case orchestrator.ClusterTurned:
		t.cluster(b.Ref, b.Cluster)
	case orchestrator.RingStarted:
		t.current = b.Ring
	case orchestrator.RingCounted:
		t.counted[b.Ring] = true
	case orchestrator.RollbackStarted:
		for _, n := range b.Steps {
			t.whole[orchestrator.Ref{Ring: n.Ring, Service: n.Target.Service, Undo: n.Undo}] = true
		}
	case orchestrator.RollbackRing:
		t.current = b.Ring
	case orchestrator.Commanded, orchestrator.Halted, orchestrator.Barred, orchestrator.Started, orchestrator.Dropped,
		orchestrator.AttemptDecided, orchestrator.Published, orchestrator.TakenUp, orchestrator.StepEnded,
		orchestrator.Warned, orchestrator.RingVerified, orchestrator.RingConverged, orchestrator.SoakRestarted,
		orchestrator.RingSoaked, orchestrator.RingEnded, orchestrator.Approved, orchestrator.ApprovalFell, orchestrator.Held, orchestrator.Ended:
	case orchestrator.Resumed: // it is rare, and sets much back
		t.all = true
	default:
		t.all = true
	}
}

// underWay notes what is about every cluster of the ring under way; of all
// rings when none was.
func (t *touched) underWay() {
	if t.current == "" {
		t.all = true
	}
	t.rings[t.current] = true
}

func (t *touched) fact(f orchestrator.Fact) {
	key := scope{t.current, f.Service}
	if t.facts[key] == nil {
		t.facts[key] = &seen{clusters: map[rings.ClusterName]bool{}}
	}
	if f.Deployment != nil {
		t.facts[key].clusters[f.Deployment.Cluster] = true
	} else {
		t.facts[key].wide = true
	}
}

// answer notes the steps that the action was about. One that was not asked, or
// not any more, changes nothing.
func (t *touched) answer(o orchestrator.Outcome) {
	a := t.asked[o.Action]
	for _, item := range a.Items {
		t.wide[orchestrator.Ref{Ring: a.Ring, Service: item.Service, Undo: a.Undo}] = true
	}
}

func (t *touched) cluster(ref orchestrator.Ref, name rings.ClusterName) {
	if t.clusters[ref] == nil {
		t.clusters[ref] = map[rings.ClusterName]bool{}
	}
	t.clusters[ref][name] = true
}

// counts reports whether it may have changed which of the ring's clusters
// count.
func (t *touched) counts(ring rings.RingName) bool { return t.all || t.counted[ring] }

// isWhole reports whether all parts of the step may have changed.
func (t *touched) isWhole(st *orchestrator.StepState) bool {
	return t.all || t.rings[st.Ring] || t.whole[refOf(st)]
}

// isWide reports whether the step's members or its survey may have changed.
func (t *touched) isWide(st *orchestrator.StepState) bool {
	if t.isWhole(st) || t.wide[refOf(st)] {
		return true
	}
	for _, f := range t.factsOf(st) {
		if f.wide {
			return true
		}
	}
	return false
}

// clustersOf returns the clusters of the step that may have changed.
func (t *touched) clustersOf(st *orchestrator.StepState) map[rings.ClusterName]bool {
	out := map[rings.ClusterName]bool{}
	maps.Copy(out, t.clusters[refOf(st)])
	for _, f := range t.factsOf(st) {
		maps.Copy(out, f.clusters)
	}
	return out
}

// factsOf returns what the facts about the step's service were about.
func (t *touched) factsOf(st *orchestrator.StepState) []*seen {
	var out []*seen
	for _, key := range []scope{{st.Ring, st.Target.Service}, {"", st.Target.Service}} {
		if f := t.facts[key]; f != nil {
			out = append(out, f)
		}
	}
	return out
}

// refOf names the step.
func refOf(st *orchestrator.StepState) orchestrator.Ref {
	return orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}
}
