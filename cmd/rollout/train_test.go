package main

import (
	"encoding/json"
	"maps"
	"testing"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// A train leaves what is locked on the ring, each with who locked it; with the
// whole ring locked it takes nothing.
func TestTrain_locked(t *testing.T) {
	w := newShopWorld(t)
	w.verified(t, "ring-1", "db", "web")
	w.lock(t, "--ring", "ring-2", "--service", "web")
	w.lock(t, "--ring", "ring-3")
	w.trains(t, map[rings.ServiceName]rings.Version{"db": "v1"}, map[rings.ServiceName]orchestrator.LeftCause{"web": orchestrator.LeftLocked, "docs": orchestrator.LeftUnrecorded})
	w.lock(t, "--ring", "ring-2")
	w.trains(t, nil, map[rings.ServiceName]orchestrator.LeftCause{"db": orchestrator.LeftLocked, "web": orchestrator.LeftLocked, "docs": orchestrator.LeftUnrecorded})
	w.unchanged(t)
}

// A train leaves what somebody changed on the ring before, and takes the rest.
func TestTrain_changed(t *testing.T) {
	w := newShopWorld(t)
	w.verified(t, "ring-1", "db", "web")
	w.record(t, "ring-1", "web", "v0")
	w.trains(t, map[rings.ServiceName]rings.Version{"db": "v1"}, map[rings.ServiceName]orchestrator.LeftCause{"web": orchestrator.LeftChanged, "docs": orchestrator.LeftUnrecorded})
	w.unchanged(t)
}

// verified lets the ring have been verified with v1 of the services.
func (w *shopWorld) verified(t *testing.T, ring rings.RingName, services ...rings.ServiceName) {
	t.Helper()
	for _, name := range services {
		w.record(t, ring, name, "v1")
	}
}

// record lets the ring have been verified with the version of the service.
func (w *shopWorld) record(t *testing.T, ring rings.RingName, name rings.ServiceName, v rings.Version) {
	t.Helper()
	kept, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = kept.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		s, err := a.Service(name)
		if err == nil {
			s.Known = map[rings.RingName]rings.Known{ring: {Version: v, Commit: w.now, At: started, Verified: "shop-1", VerifiedAt: started}}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *shopWorld) lock(t *testing.T, part ...string) {
	t.Helper()
	if code := w.rollout(t, append([]string{"lock", "shop", "--reason", "a sale"}, part...)...); code != exitDone {
		t.Fatalf("exit %d: %s", code, w.complaints.String())
	}
}

// trains wants what a train to ring-2 would take and leave.
func (w *shopWorld) trains(t *testing.T, takes map[rings.ServiceName]rings.Version, leaves map[rings.ServiceName]orchestrator.LeftCause) {
	t.Helper()
	if code := w.rollout(t, "train", "shop", "ring-2", "--dry-run", "-o", "json"); code != exitDone {
		t.Fatalf("exit %d: %s", code, w.complaints.String())
	}
	var v trainView
	if err := json.Unmarshal(w.out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	left := map[rings.ServiceName]orchestrator.LeftCause{}
	for _, l := range v.Train.Left {
		left[l.Service] = l.Cause
	}
	if !maps.Equal(v.Takes, takes) || !maps.Equal(left, leaves) {
		t.Errorf("it takes %v and leaves %v, want %v and %v", v.Takes, left, takes, leaves)
	}
}
