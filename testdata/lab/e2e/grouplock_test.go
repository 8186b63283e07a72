package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// A lock on one of Fleet's cluster groups holds the ring that its clusters are on,
// for a new rollout and for one that is live, as long as they are in it.
func TestGroupLock(t *testing.T) {
	s := play(t, "grouped", 2)
	s.setUp(service{name: "db"})
	c, err := s.lab.Client()
	s.must(err)
	selector := metav1.LabelSelector{MatchLabels: map[string]string{s.ringLabel(): "ring-2"}}
	group := &fleetv1.ClusterGroup{ObjectMeta: metav1.ObjectMeta{Name: "grouped-north", Namespace: lab.Namespace}, Spec: fleetv1.ClusterGroupSpec{Selector: &selector}}
	s.must(c.Create(s.ctx, group))
	s.Cleanup(func() { s.must(c.Delete(context.WithoutCancel(s.ctx), group)) })
	choose := func(ring string) {
		patch := `{"spec":{"selector":{"matchLabels":{"` + s.ringLabel() + `":"` + ring + `"}}}}`
		s.must(c.Patch(s.ctx, group, client.RawPatch(types.MergePatchType, []byte(patch))))
	}

	s.ok("plan", "set", s.app, "db=v2")
	create := s.begin("create", s.app, "ring-1", "ring-2", "--no-background")
	s.phase("db", "Converging", time.Minute)
	s.ok("lock", s.app, "--cluster-group", "grouped-north", "--reason", "stocktaking")
	s.awaits(2*time.Minute, "ring-2 waits for the lock", func(r rollout) bool {
		return r.ring("ring-1") == "Done" && strings.Contains(r.Reason, "of group grouped-north")
	})
	s.says(s.ok("explain", s.app), "cluster c3 of group grouped-north is locked", "stocktaking", "rollout unlock grouped --cluster-group grouped-north")
	s.images("db", map[string]string{"c1": "v2", "c2": "v2", "c3": "v1", "c4": "v1"})

	// When its clusters leave the group, nothing holds them any more.
	choose("ring-9")
	if code := create.code(long); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.runs("v2", []service{{name: "db"}}, "c1", "c2", "c3", "c4")
	choose("ring-1")
	s.ok("plan", "set", s.app, "db=v3")
	s.says(s.ends(4, "create", s.app, "ring-1", "--no-background"), "cluster c1 of group grouped-north is locked by e2e@grouped")
	s.ok("create", s.app, "ring-1", "--no-background", "--override", "--reason", "it is the repair")
	s.images("db", map[string]string{"c1": "v3", "c3": "v2"})

	// Of a group of rings the locked one is left out, and the other one goes.
	s.ok("ring", "group", "create", s.app, "all", "ring-1", "ring-2")
	s.says(s.ends(4, "create", s.app, "ring-1", "ring-2", "--no-background"), "cluster c1 of group grouped-north is locked")
	deploy := []string{"deploy", s.app, "all", "db=v4", "--reason", "a repair", "--no-background"}
	s.says(s.ok(append(deploy, "--dry-run")...), "left out:", "ring-1: cluster c1 of group grouped-north is locked by e2e@grouped")
	s.ok(deploy...)
	s.images("db", map[string]string{"c1": "v3", "c3": "v4"})
	s.says(s.ok("show", s.app), "left out: ring-1: cluster c1 of group grouped-north is locked")
	s.says(s.ok("replay", s.app), "every decision the same")
}
