package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
	"rollout/store"
)

// TestGroupLocks makes of a group's lock one for each of its clusters, looks
// again while it stands, and holds everything when it cannot be seen.
func TestGroupLocks(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rollout.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	a := &rings.Application{Name: "shop", Workspace: "w", Manager: "m", RingLabel: "ring", Selector: map[string]string{"app": "shop"}, Rings: []rings.Ring{{Name: "ring-1"}}, CreatedBy: "ann", CreatedAt: at}
	lock := rings.Lock{App: "shop", Group: "north", Holder: "ann", By: "ann", Reason: "stocktaking", At: at}
	if err := errors.Join(db.CreateApp(t.Context(), a), db.Lock(t.Context(), lock)); err != nil {
		t.Fatal(err)
	}
	var unseen error
	g := (&program{}).groupLocks(db, func(context.Context) ([]fleetyaml.Cluster, error) {
		return []fleetyaml.Cluster{{Name: "eu-1", Groups: []fleetyaml.Group{{Name: "north"}}}, {Name: "us-1"}}, unseen
	})
	g.every = time.Millisecond
	changes := g.Changes(t.Context())
	b, err := g.Barriers(t.Context(), "shop", at)
	if err != nil || len(b.Locks) != 1 || b.Locks[0].Cluster != "eu-1" || b.On("ring-1", "db", []rings.ClusterName{"us-1"}).Empty() != true {
		t.Errorf("got %+v, %v", b, err)
	}
	select {
	case <-changes:
	case <-time.After(20 * time.Second):
		t.Error("it does not look again")
	}
	unseen = errors.New("the manager cannot be reached")
	b, err = g.Barriers(t.Context(), "shop", at)
	if err != nil || b.On("ring-1", "", nil).Empty() || !strings.Contains(b.Locks[0].Words(), "which clusters are in cluster group north cannot be seen") {
		t.Errorf("got %+v, %v", b, err)
	}
	if _, err := db.Unlock(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	if b, err := g.Barriers(t.Context(), "shop", at); err != nil || !b.Empty() || g.stand.Load() {
		t.Errorf("released: %+v, %v", b, err)
	}
}
