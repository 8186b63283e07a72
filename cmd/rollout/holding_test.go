package main

import (
	"testing"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// TestHolding_placed holds the ring that a locked cluster's labels put it on, not
// the one that is recorded.
func TestHolding_placed(t *testing.T) {
	a := &rings.Application{Name: "shop", RingLabel: "ring", Selector: map[string]string{"app": "shop"}, Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}}}
	recorded := holding{rings.Barriers{Locks: []rings.Lock{{App: "shop", Cluster: "eu-7", Holder: "bob"}}}, []rings.Cluster{{Name: "eu-7", App: "shop", Ring: "ring-1"}}}
	if !recorded.onClusters() || recorded.on("ring-1", "db").Empty() {
		t.Error("as recorded, it is not held")
	}
	now := recorded.placed(a, []fleetyaml.Cluster{{Name: "eu-7", Labels: map[string]string{"app": "shop", "ring": "ring-2"}}, {Name: "eu-8", Labels: map[string]string{"ring": "ring-1"}}})
	if !now.on("ring-1", "db").Empty() || len(now.on("ring-2", "db").Locks) != 1 {
		t.Errorf("by its labels: %v on ring-1, %v on ring-2", now.on("ring-1", "db"), now.on("ring-2", "db"))
	}
	group := holding{barriers: rings.Barriers{Locks: []rings.Lock{{App: "shop", Group: "north", Holder: "bob"}}}}
	if group.on("ring-1", "db").Empty() {
		t.Error("a group whose clusters are not known holds nothing")
	}
	seen := group.placed(a, []fleetyaml.Cluster{{Name: "eu-7", Labels: map[string]string{"app": "shop", "ring": "ring-2"}, Groups: []fleetyaml.Group{{Name: "north"}}}})
	if !seen.on("ring-1", "db").Empty() || seen.on("ring-2", "db").Empty() {
		t.Errorf("a group: %v on ring-1, %v on ring-2", seen.on("ring-1", "db"), seen.on("ring-2", "db"))
	}
}
