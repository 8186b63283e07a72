package sim

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Truth is what people have said in the store, and what rollouts have written, as
// it can be read now: the checker works out by itself what that holds.
type Truth interface {
	Locks() []rings.Lock
	Windows() []rings.Window
	Events(orchestrator.ID) []orchestrator.Event
}

// standing is where the steps stood before a decision.
func standing(s *orchestrator.State) map[orchestrator.Ref]orchestrator.StepPhase {
	out := map[orchestrator.Ref]orchestrator.StepPhase{}
	for _, st := range s.Steps {
		out[orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}] = st.Phase
	}
	return out
}

// invariant14Barred: nothing starts through a lock or a closed window, and no ring
// that a later one freezes, without an override on record. What takes back is not
// held by windows.
func (k *Checker) invariant14Barred(s *orchestrator.State, before map[orchestrator.Ref]orchestrator.StepPhase, events []orchestrator.Event) string {
	if k.Truth == nil {
		return ""
	}
	for _, e := range events {
		var what string
		at := orchestrator.Ref{}
		switch b := e.Body.(type) {
		case orchestrator.RingStarted:
			at.Ring, what = b.Ring, fmt.Sprintf("ring %s starts", b.Ring)
		case orchestrator.StepStarted:
			if before[b.Ref] == orchestrator.StepWaiting {
				at, what = b.Ref, ref(b.Ref)+" starts"
			}
		case orchestrator.AttemptDecided:
			if b.Attempt.Ours {
				at, what = b.Ref, fmt.Sprintf("attempt %d of %s is decided", b.Attempt.Number, ref(b.Ref))
			}
		case orchestrator.Asked:
			for _, i := range b.Items {
				again := orchestrator.Ref{Ring: b.Ring, Service: i.Service, Undo: b.Undo}
				if b.Kind == orchestrator.ActPublish && before[again] == orchestrator.StepProposed {
					at, what = again, ref(again)+" is proposed anew"
				}
			}
		case orchestrator.RollbackRing:
			at.Ring, at.Undo, what = b.Ring, true, fmt.Sprintf("the rollback of %s starts", b.Ring)
		}
		if what == "" {
			continue
		}
		if by := k.bars(s, at, e.At); by != "" {
			return fmt.Sprintf("%s at %s through %s", what, e.At.Format(time.TimeOnly), by)
		}
	}
	return ""
}

// bars says what holds the step, or with an empty service the ring; "" for
// nothing.
func (k *Checker) bars(s *orchestrator.State, at orchestrator.Ref, now time.Time) string {
	var members []rings.ClusterName
	for _, st := range s.Steps {
		if st.Ring == at.Ring && st.Target.Service == at.Service && st.Undo == at.Undo {
			if st.Observed {
				return ""
			}
			members = st.Members
		}
	}
	over := k.runs[s.ID].created.Over
	if over == nil {
		over = &rings.Barriers{}
	}
	for _, l := range k.Truth.Locks() {
		holds := (l.Ring == "" || l.Ring == at.Ring) && (l.Service == "" || l.Service == at.Service) && (l.Cluster == "" || slices.Contains(members, l.Cluster))
		passed := slices.ContainsFunc(over.Locks, func(o rings.Lock) bool { return o == l })
		if holds && !passed && (l.Until.IsZero() || now.Before(l.Until)) {
			return "a lock: " + l.Words()
		}
	}
	if at.Undo {
		return ""
	}
	for name, closed := range closings(k.Truth.Windows(), at.Ring) {
		passed := slices.ContainsFunc(over.Closed, func(c rings.Closure) bool {
			return c.Ring == at.Ring && closingName(c.Kind, c.Windows) == name
		})
		if closed(now) && !(passed && throughout(closed, s.StartedAt, now)) {
			return "a closed window: " + name
		}
	}
	if at.Service == "" {
		return k.frozen(s.ID, at.Ring, over.Frozen)
	}
	return ""
}

// frozen says where another rollout is under way that freezes the ring.
func (k *Checker) frozen(id orchestrator.ID, ring rings.RingName, over []rings.Freeze) string {
	for _, other := range k.order {
		passed := slices.ContainsFunc(over, func(f rings.Freeze) bool { return f.Ring == ring && f.Rollout == string(other) })
		if other == id || passed {
			continue
		}
		r := newRun(k.runs[other].app)
		for _, e := range k.Truth.Events(other) {
			r.fold(e)
		}
		for name, on := range r.rings {
			if r.ended == nil && on.Policy.FreezeUpstream && on.underWay() && r.takesFrom(name) == ring {
				return fmt.Sprintf("the freeze of %s by %s on %s", ring, other, name)
			}
		}
	}
	return ""
}

func (r *ringRun) underWay() bool {
	return r.phase == orchestrator.RingRunning || r.phase == orchestrator.RingSoaking
}

// takesFrom is the ring before the named one, of the rollout or not, that had
// clusters.
func (r *run) takesFrom(name rings.RingName) rings.RingName {
	up := r.ring(name).Upstream
	for before := r.ring(up); before.phase == orchestrator.RingSkipped && !before.skipped; before = r.ring(up) {
		up = before.Upstream
	}
	return up
}

// throughout reports whether it was closed all the time: what was gone over is
// that one closing, and not the next one.
func throughout(closed func(time.Time) bool, from, to time.Time) bool {
	for at := from; at.Before(to); at = at.Add(time.Second) {
		if !closed(at) {
			return false
		}
	}
	return true
}

// closings are what closes the ring by itself, by name: a window that denies,
// or all that allow of a scope.
func closings(windows []rings.Window, ring rings.RingName) map[string]func(time.Time) bool {
	out := map[string]func(time.Time) bool{}
	allows := map[rings.RingName][]rings.Window{}
	for _, w := range windows {
		switch {
		case w.Ring != "" && w.Ring != ring:
		case w.Kind == rings.WindowDeny:
			out[closingName(w.Kind, []rings.WindowName{w.Name})] = func(at time.Time) bool { return isOn(w, at) }
		default:
			allows[w.Ring] = append(allows[w.Ring], w)
		}
	}
	for _, all := range allows {
		var names []rings.WindowName
		for _, w := range all {
			names = append(names, w.Name)
		}
		out[closingName(rings.WindowAllow, names)] = func(at time.Time) bool {
			return !slices.ContainsFunc(all, func(w rings.Window) bool { return isOn(w, at) })
		}
	}
	return out
}

func closingName(kind rings.WindowKind, names []rings.WindowName) string {
	return fmt.Sprint(kind, " ", names)
}

// isOn is what a clock says: the windows that are played are spans, or begin
// every so many minutes of the hour.
func isOn(w rings.Window, at time.Time) bool {
	if w.Cron == "" {
		return !at.Before(w.From) && at.Before(w.To)
	}
	var every int
	if _, err := fmt.Sscanf(w.Cron, "*/%d * * * *", &every); err != nil {
		panic(fmt.Sprintf("sim: window %q: %v", w.Name, err))
	}
	at = at.UTC()
	return time.Duration(at.Minute()%every)*time.Minute+at.Sub(at.Truncate(time.Minute)) < w.Lasts
}
