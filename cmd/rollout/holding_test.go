package main

import (
	"strings"
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

// Locks that name no cluster of the application hold nothing.
func TestIdleLocks(t *testing.T) {
	a := &rings.Application{Name: "shop", RingLabel: "ring", Selector: map[string]string{"app": "shop"}, Rings: []rings.Ring{{Name: "ring-1"}}}
	clusters := []fleetyaml.Cluster{
		{Name: "eu-1", Labels: map[string]string{"app": "shop", "ring": "ring-1"}, Groups: []fleetyaml.Group{{Name: "north"}}},
		{Name: "pay-1", Labels: map[string]string{"app": "pay"}, Groups: []fleetyaml.Group{{Name: "south"}}},
	}
	locks := []rings.Lock{{Cluster: "eu-1"}, {Cluster: "eu-9"}, {Cluster: "pay-1"}, {Group: "north"}, {Group: "south"}, {Group: "nrth"}, {Ring: "ring-1"}, {}}
	var idle []string
	for _, v := range idleLocks(a, locks, clusters) {
		idle = append(idle, strings.TrimPrefix(v.Message, "it holds nothing, for no cluster of the application is meant: "))
	}
	want := []string{"cluster eu-9", "cluster pay-1", "cluster group south", "cluster group nrth"}
	if len(idle) != len(want) {
		t.Fatalf("got %q, want %q", idle, want)
	}
	for i := range want {
		if !strings.HasPrefix(idle[i], want[i]+" is locked") {
			t.Errorf("got %q, want %q", idle[i], want[i])
		}
	}
}
