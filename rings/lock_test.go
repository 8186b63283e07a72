package rings_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"rollout/rings"
)

// TestLock_group holds every ring that one of the group's clusters is on, once it
// is known which these are; it stays one lock, and its own part to release.
func TestLock_group(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	lock := rings.Lock{App: "shop", Service: "web", Group: "north", Holder: "ann", By: "ann", Reason: "r", At: at}
	b := rings.Barriers{Locks: []rings.Lock{lock, {App: "shop", Ring: "ring-3", Holder: "bob"}}}
	if !b.Grouped() || !b.On("ring-1", "web", []rings.ClusterName{"eu-1"}).Empty() {
		t.Errorf("before it is known who is in it: %v", b)
	}
	in := []rings.ClusterName{"eu-1", "eu-2"}
	members := func(string) []rings.ClusterName { return in }
	spread := b.Spread(members)
	for _, tt := range []struct {
		ring     rings.RingName
		service  rings.ServiceName
		clusters []rings.ClusterName
		want     int
	}{
		{"ring-1", "web", []rings.ClusterName{"eu-2", "eu-9"}, 1}, {"ring-1", "db", []rings.ClusterName{"eu-2"}, 0}, {"ring-2", "web", []rings.ClusterName{"us-1"}, 0},
		{"ring-3", "web", []rings.ClusterName{"eu-1"}, 2}, {"ring-1", "", []rings.ClusterName{"eu-1"}, 0},
	} {
		if got := spread.On(tt.ring, tt.service, tt.clusters).Locks; len(got) != tt.want {
			t.Errorf("%s on %s with %v: %v, want %d", tt.service, tt.ring, tt.clusters, got, tt.want)
		}
	}
	if spread.Grouped() || !spread.Spread(members).Equal(spread) {
		t.Error("to spread it again changes it")
	}
	if words := spread.Locks[0].Part(); words != "service web on cluster eu-1 of group north" || lock.Part() != "service web on cluster group north" {
		t.Errorf("it is called %q, and %q", words, lock.Part())
	}
	if got := spread.Locks[1].Release(); got != "rollout unlock shop --service web --cluster-group north --holder ann" || got != lock.Release() {
		t.Errorf("it is released by %q", got)
	}
	if left := spread.Without(rings.Barriers{Locks: []rings.Lock{lock}}); len(left.Locks) != 1 || left.Locks[0].Ring != "ring-3" {
		t.Errorf("gone over, it leaves %v", left)
	}
	in = in[:1]
	if b.Spread(members).Equal(spread) {
		t.Error("a cluster that left the group makes no difference")
	}
	for _, wrong := range []rings.Lock{{Group: "north", Ring: "ring-1"}, {Group: "north", Cluster: "eu-1"}} {
		wrong.Holder, wrong.Reason = "ann", "r"
		if _, is := errors.AsType[*rings.InvalidError](wrong.Validate()); !is {
			t.Errorf("%+v is taken", wrong)
		}
	}
	if got := fmt.Sprint(lock.Validate()); got != "<nil>" {
		t.Error(got)
	}
}
