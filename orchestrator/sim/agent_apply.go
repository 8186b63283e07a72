package sim

import (
	"fmt"
	"time"
)

// wake has the agent look at a BundleDeployment.
func (w *World) wake(d *deployment) {
	d.turn++
	d.tries, d.since = 0, w.now
	w.act(d, w.draw(w.Delays.Apply))
}

func (w *World) act(d *deployment, after time.Duration) {
	turn := d.turn
	w.After(after, func() {
		c := d.cluster
		if d.turn != turn || c.dead || c.paused || c.offSchedule || d.awaits || d.deleting || d.removed || d.spec == nil {
			return
		}
		if d.spec == d.agent.applied {
			w.skip(d)
			return
		}
		w.upgrade(d)
	})
}

// skip is what an agent does when the deploymentID is the last applied one: no
// upgrade, whatever a failed one has left behind; it only looks.
func (w *World) skip(d *deployment) {
	d.agent.deployError = ""
	if d.agent.installError == "" {
		d.agent.nonce = d.spec.nonce
		d.look()
	}
	w.report(d)
}

// upgrade is a Helm upgrade to the spec.
func (w *World) upgrade(d *deployment) {
	r := d.spec
	beh := w.behaviour(d, r.version)
	d.tries++
	if w.Upgrading != nil {
		w.Upgrading(d.bundle.service.Name, d.cluster.name, r.version)
	}
	switch {
	case d.live.foreign, beh.is(HiddenConflict, w.now-d.since):
		// An HTTP 409 is no error to the agent: nothing changes, nothing is said.
		w.retry(d, 10*time.Second)
	case beh.is(DeployFails, w.now-d.since):
		d.live.half, d.live.healthy, d.live.release = true, false, r
		d.agent.deployError = beh.words(fmt.Sprintf("server-side apply failed for object %[1]s/%[1]s apps/v1, Kind=Deployment: field is immutable", d.bundle.service.Name))
		w.report(d)
		w.retry(d, 5*time.Millisecond)
	case beh.is(WaitsForOthers, w.now-d.since):
		d.agent.deployError = beh.words("dependent bundle(s) are not ready: [base]")
		w.report(d)
		if beh.Heals > 0 {
			w.act(d, 15*time.Second)
		}
	case beh.is(InstallFails, w.now-d.since):
		d.agent.applied, d.agent.ready, d.agent.nonModified, d.agent.deployError = r, false, true, ""
		d.agent.installError = beh.words("not installed: error merging manifests: MalformedYAMLError")
		w.report(d)
	default:
		w.install(d, r, beh)
	}
}

// retry tries again, each time after twice as long, up to 1000 s. A failure
// that never heals looks the same each time, so it is left alone; so is a change
// by hand, as undoing it wakes the agent.
func (w *World) retry(d *deployment, first time.Duration) {
	if d.live.foreign || w.behaviour(d, d.spec.version).Heals == 0 {
		return
	}
	wait := first << min(d.tries-1, 20)
	w.act(d, max(min(wait, 1000*time.Second), time.Second))
}

// install is an upgrade that works: the nonce is acknowledged with the very
// status that says that it is not ready yet.
func (w *World) install(d *deployment, r *release, beh Behaviour) {
	same := sameContent(d.live.release, r) && d.live.healthy && !d.live.half
	d.live = live{release: r, healthy: same}
	if beh.Kind == NeverReady {
		d.live.why = beh.Words
	}
	d.agent.applied, d.agent.nonce, d.agent.installError, d.agent.deployError = r, r.nonce, "", ""
	d.look()
	w.report(d)
	if same {
		return
	}
	if beh.Kind == NeverReady && beh.Heals == 0 {
		return
	}
	wait := w.draw(w.Delays.Ready)
	if beh.Kind == NeverReady {
		wait += beh.Heals
	}
	w.After(wait, func() { w.become(d, r, true) })
	if beh.Kind == ReadyThenFails {
		w.After(wait+beh.After, func() {
			if d.live.release == r {
				d.live.why = beh.Words
			}
			w.become(d, r, false)
		})
		if beh.Heals > 0 {
			w.After(wait+beh.After+beh.Heals, func() { w.become(d, r, true) })
		}
	}
}

// become is a change of what runs; the agent notices it after a while.
func (w *World) become(d *deployment, r *release, healthy bool) {
	if d.live.release != r || d.live.half || d.live.healthy == healthy {
		return
	}
	d.live.healthy = healthy
	w.notice(d)
}

// notice has the agent look at what runs, when its debounce has passed.
func (w *World) notice(d *deployment) {
	w.After(w.Delays.Notice, func() {
		if d.cluster.dead || d.removed || d.cluster.offSchedule || d.agent.applied == nil || d.agent.installError != "" || d.agent.deployError != "" {
			return
		}
		d.look()
		w.report(d)
	})
}

// look takes what runs into the agent's status.
func (d *deployment) look() {
	a := &d.agent
	a.nonModified = d.live.release == a.applied && !d.live.half && !d.live.foreign
	a.ready = d.live.healthy && d.live.release == a.applied
	name := d.bundle.service.Name
	switch {
	case !a.nonModified:
		a.problem = fmt.Sprintf("deployment %[1]s/%[1]s: modified", name)
	case a.ready:
		a.problem = ""
	case d.live.why != "":
		a.problem = d.live.why
	default:
		a.problem = fmt.Sprintf("deployment %[1]s/%[1]s: 0/1 replicas", name)
	}
}

// report writes the agent's status, now or when the API server gets round to
// it; what is written then is how it is by then.
func (w *World) report(d *deployment) {
	lag := time.Duration(0)
	if w.happens(w.Faults.StatusLags) {
		lag = w.draw(Delay{0, 30 * time.Second})
	}
	d.writes = max(d.writes, w.now+lag)
	if d.writes <= w.now {
		w.write(d)
		return
	}
	w.at(d.writes, func() {
		if !d.cluster.dead && !d.removed {
			w.write(d)
		}
	})
}

func (w *World) write(d *deployment) {
	s := d.agent
	s.readyAt, s.readyKnown, s.moved, s.seen = d.status.readyAt, d.status.readyKnown, d.status.moved, d.status.seen
	if s == d.status {
		return
	}
	if condition := s.ready && s.nonModified && s.installError == ""; condition != d.status.condition() || !s.readyKnown {
		s.readyAt, s.readyKnown = w.now, true
	}
	s.moved, s.seen = w.now, w.now+w.offset
	d.status = s
	if s.nonce > d.bundle.maxNonce {
		d.bundle.maxNonce = s.nonce
		w.touchBundle(d.bundle)
	}
	w.touch(d)
	if d.bundle.limit > 0 {
		w.rollOn(d.bundle)
	}
}

// condition is what the Ready condition says.
func (s *status) condition() bool { return s.ready && s.nonModified && s.installError == "" }

// rest brings a BundleDeployment to where its version brings it in time,
// before the world begins.
func (w *World) rest(d *deployment) {
	r := d.spec
	beh := w.versionOn(d.bundle.service.Name, d.cluster.name, r.version)
	d.live = live{release: r, healthy: true}
	d.agent = status{applied: r, nonce: r.nonce}
	d.agent.readyAt, d.agent.readyKnown = w.now-time.Hour, true
	if beh.Kind == NeverReady && beh.Heals == 0 || beh.Kind == ReadyThenFails && beh.Heals == 0 {
		d.live.healthy, d.live.why = false, beh.Words
	}
	d.look()
	d.status = d.agent
	d.bundle.maxNonce = max(d.bundle.maxNonce, r.nonce, d.bundle.content.file.MaxNonce())
}
