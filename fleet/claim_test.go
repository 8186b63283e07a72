package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

const leasePath = "/apis/coordination.k8s.io/v1/namespaces/fleet-default/leases/rollout-shop.ring-1"

// claimant is a process with a store.
func claimant(t *testing.T, f *fakeAPI, store string, o Options) *Claims {
	t.Helper()
	c := NewClaims(f.manager(t, o), ClaimOptions{Store: store, Holder: "user@" + store, Duration: time.Minute})
	t.Cleanup(c.Close)
	return c
}

func take(t *testing.T, c *Claims, id orchestrator.ID) orchestrator.Outcome {
	t.Helper()
	return c.Take(t.Context(), testScope, "ring-1", id)
}

func mustTake(t *testing.T, c *Claims, id orchestrator.ID) {
	t.Helper()
	if out := take(t, c, id); out.Result != orchestrator.OK || out.Words != "" {
		t.Fatalf("got %+v, want OK", out)
	}
}

func TestClaims_TakeConfirmRelease(t *testing.T) {
	f := newFakeAPI(t)
	a, b := claimant(t, f, "store-a", Options{}), claimant(t, f, "store-b", Options{})
	mustTake(t, a, "shop-1")
	mustTake(t, a, "shop-1")
	if err := a.Confirm(t.Context(), testScope, "ring-1"); err != nil {
		t.Error(err)
	}
	out := take(t, b, "shop-7")
	if out.Result != orchestrator.Refused || out.Code != orchestrator.CodeClaimed {
		t.Fatalf("got %+v, want it refused", out)
	}
	for _, want := range []string{"user@store-a", `"shop-1"`, "since 20", "until 20"} {
		if !strings.Contains(out.Words, want) {
			t.Errorf("got words %q, want %q in them", out.Words, want)
		}
	}
	if who, held := b.Holder(t.Context(), testScope, "ring-1"); !held || !strings.Contains(who, "user@store-a") {
		t.Errorf("got holder %q, %t", who, held)
	}
	if _, held := a.Holder(t.Context(), testScope, "ring-1"); held {
		t.Error("got another holder, want none: it is ours")
	}
	if err := b.Confirm(t.Context(), testScope, "ring-1"); !errors.Is(err, ErrClaimLost) {
		t.Errorf("got %v, want ErrClaimLost", err)
	}
	if err := a.Release(t.Context(), testScope, "ring-1"); err != nil {
		t.Fatal(err)
	}
	mustTake(t, b, "shop-7")
	if err := a.Confirm(t.Context(), testScope, "ring-1"); !errors.Is(err, ErrClaimLost) {
		t.Errorf("got %v, want ErrClaimLost", err)
	}
	if err := a.Release(t.Context(), testScope, "ring-1"); err != nil {
		t.Errorf("releasing what is not held: %v", err)
	}
	if err := b.Confirm(t.Context(), testScope, "ring-1"); err != nil {
		t.Errorf("got %v, want it to be held still", err)
	}
}

// A rollout takes its rings' claims one after the other and holds them to its
// end, beside other rollouts of the same process.
func TestClaims_SeveralRings(t *testing.T) {
	f := newFakeAPI(t)
	a, b := claimant(t, f, "store-a", Options{}), claimant(t, f, "store-b", Options{})
	docs := testScope
	docs.App = "docs"
	takeRing := func(c *Claims, s orchestrator.Scope, ring rings.RingName, id orchestrator.ID) orchestrator.Outcome {
		t.Helper()
		return c.Take(t.Context(), s, ring, id)
	}
	all := []struct {
		scope orchestrator.Scope
		ring  rings.RingName
		id    orchestrator.ID
	}{{testScope, "ring-1", "shop-1"}, {testScope, "ring-2", "shop-1"}, {testScope, "ring-3", "shop-2"}, {docs, "ring-1", "docs-1"}}
	for _, x := range slices.Concat(all, all) {
		if out := takeRing(a, x.scope, x.ring, x.id); out.Result != orchestrator.OK || out.Words != "" {
			t.Fatalf("%s %s: got %+v, want OK", x.scope.App, x.ring, out)
		}
	}
	if got := len(f.asked("create leases")) + len(f.asked("update leases")); got != len(all) {
		t.Errorf("got %d writes, want one for each of %d claims", got, len(all))
	}
	// held are the claims that a holds and b is refused, by their places in all.
	held := func(want ...int) {
		t.Helper()
		for i, x := range all {
			err := a.Confirm(t.Context(), x.scope, x.ring)
			who, other := b.Holder(t.Context(), x.scope, x.ring)
			if want := slices.Contains(want, i); (err == nil) != want || other != want || want && !strings.Contains(who, fmt.Sprintf("%q", x.id)) {
				t.Errorf("%s %s: got %v, holder %q, want it held %t", x.scope.App, x.ring, err, who, want)
			}
		}
	}
	held(0, 1, 2, 3)
	release := func(i int) {
		t.Helper()
		if err := a.Release(t.Context(), all[i].scope, all[i].ring); err != nil {
			t.Error(err)
		}
		if err := a.Confirm(t.Context(), all[i].scope, all[i].ring); !errors.Is(err, ErrClaimLost) {
			t.Errorf("%s %s: got %v, want it to be released", all[i].scope.App, all[i].ring, err)
		}
	}
	release(1)
	held(0, 2, 3)
	if out := takeRing(b, testScope, "ring-2", "shop-7"); out.Result != orchestrator.OK {
		t.Errorf("got %+v, want the released one to be free", out)
	}
	if out := takeRing(b, testScope, "ring-1", "shop-7"); out.Code != orchestrator.CodeClaimed {
		t.Errorf("got %+v, want the others to be claimed", out)
	}
	if out := takeRing(a, testScope, "ring-2", "shop-1"); out.Code != orchestrator.CodeClaimed || !strings.Contains(out.Words, `"shop-7"`) {
		t.Errorf("got %+v, want it to be claimed by then", out)
	}
	release(0)
	release(3)
	if err := a.Confirm(t.Context(), testScope, "ring-3"); err != nil {
		t.Errorf("got %v, want the last one to be held still", err)
	}
}

func TestClaims_SameStoreTakesOver(t *testing.T) {
	f := newFakeAPI(t)
	before, after := claimant(t, f, "store-a", Options{}), claimant(t, f, "store-a", Options{})
	mustTake(t, before, "shop-1")
	mustTake(t, after, "shop-1")
	if err := before.Confirm(t.Context(), testScope, "ring-1"); !errors.Is(err, ErrClaimLost) {
		t.Errorf("got %v for the earlier process, want ErrClaimLost", err)
	}
	if err := before.Release(t.Context(), testScope, "ring-1"); err != nil {
		t.Fatal(err)
	}
	if err := after.Confirm(t.Context(), testScope, "ring-1"); err != nil {
		t.Errorf("got %v, want the earlier one's release to change nothing", err)
	}
}

func TestClaims_Expiry(t *testing.T) {
	f := newFakeAPI(t)
	server := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	local := time.Now()
	pass := func(d time.Duration) {
		mu.Lock()
		local = local.Add(d)
		mu.Unlock()
		f.mu.Lock()
		f.date = server.Add(d)
		f.mu.Unlock()
		server = server.Add(d)
	}
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return local
	}
	pass(0)
	a, b := claimant(t, f, "store-a", Options{Now: now}), claimant(t, f, "store-b", Options{Now: now})
	a.m.clock.now, b.m.clock.now = now, now
	if _, err := a.m.ID(t.Context()); err == nil { // any answer, for its date
		t.Fatal("there should be no kube-system")
	}
	mustTake(t, a, "shop-1")
	pass(59 * time.Second)
	if out := take(t, b, "shop-2"); out.Code != orchestrator.CodeClaimed {
		t.Errorf("after 59 s: got %+v, want it claimed", out)
	}
	// Renewed by a clock that is an hour late: alive all the same.
	lease := f.object(leasePath)
	lease["spec"].(obj)["renewTime"] = "2026-11-20T11:00:59.000000Z"
	f.put(leasePath, lease)
	pass(2 * time.Second)
	if out := take(t, b, "shop-2"); out.Code != orchestrator.CodeClaimed {
		t.Errorf("renewed by a late clock: got %+v, want it claimed", out)
	}
	pass(61 * time.Second)
	mustTake(t, b, "shop-2")
	if err := a.Confirm(t.Context(), testScope, "ring-1"); !errors.Is(err, ErrClaimLost) {
		t.Errorf("got %v for the one that slept, want ErrClaimLost", err)
	}
}

func TestClaims_Race(t *testing.T) {
	f := newFakeAPI(t)
	a, b := claimant(t, f, "store-a", Options{}), claimant(t, f, "store-b", Options{})
	mustTake(t, b, "shop-0")
	if err := b.Release(t.Context(), testScope, "ring-1"); err != nil {
		t.Fatal(err)
	}
	f.onWrite = func() { mustTake(t, b, "shop-2") } // between a's read and its write
	if out := take(t, a, "shop-1"); out.Code != orchestrator.CodeClaimed {
		t.Errorf("got %+v, want it claimed", out)
	}
}

func TestClaims_Renewed(t *testing.T) {
	f := newFakeAPI(t)
	c := NewClaims(f.manager(t, Options{}), ClaimOptions{Store: "store-a", Duration: 100 * time.Millisecond})
	mustTake(t, c, "shop-1")
	renewals := func() int { return len(f.asked("update leases")) }
	for deadline := time.Now().Add(10 * time.Second); renewals() < 3 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if renewals() < 3 {
		t.Fatalf("got %d renewals, want them to go on", renewals())
	}
	c.Close()
	before := renewals()
	time.Sleep(200 * time.Millisecond)
	if after := renewals(); after != before {
		t.Errorf("got %d renewals after Close", after-before)
	}
}

func TestClaims_NotPermitted(t *testing.T) {
	f := newFakeAPI(t)
	f.deny["get leases"] = true
	c := claimant(t, f, "store-a", Options{})
	out := take(t, c, "shop-1")
	if out.Result != orchestrator.OK || !strings.Contains(out.Words, "get leases.coordination.k8s.io") {
		t.Errorf("got %+v, want OK with a warning", out)
	}
	mustTake(t, c, "shop-1")
	if err := c.Confirm(t.Context(), testScope, "ring-1"); err != nil {
		t.Errorf("got %v, want nil where there are no claims", err)
	}
}

func TestClaims_Unreachable(t *testing.T) {
	f := newFakeAPI(t)
	c := claimant(t, f, "store-a", Options{})
	f.Server.CloseClientConnections()
	f.Close()
	if out := take(t, c, "shop-1"); out.Result != orchestrator.Unreachable || out.Code != orchestrator.CodeUnreach {
		t.Errorf("got %+v, want Unreachable", out)
	}
}
