package e2e

import (
	"testing"
	"time"
)

// A train over three rings with a lock and a closed window in the way: it takes
// what is free, names what is not, and takes that when it is.
func TestTrainHeld(t *testing.T) {
	s := play(t, "trains", 5)
	s.rings = threeRings
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.ok("create", s.app, "ring-1")
	s.ok("lock", s.app, "--ring", "ring-2", "--service", "api", "--reason", "a sale")
	at := time.Now().UTC()
	s.ok("window", "add", s.app, "freeze", "--deny", "--ring", "ring-3", "--from", at.Add(-time.Minute).Format(time.RFC3339), "--to", at.Add(24*time.Hour).Format(time.RFC3339), "--reason", "stocktaking")

	// The last ring first: nothing is verified for it. The one before gets db.
	first := s.trains(s.ok("train", s.app, "--all-rings", "-o", "json"))
	if len(first) != 2 || first[0].Rollout != nil || first[0].causes()["db"] != "unverified" || first[1].causes()["api"] != "locked" || first[1].Rollout == nil || first[1].Rollout.Phase != "Succeeded" {
		t.Fatalf("the first train: %+v", first)
	}
	s.images("db", map[string]string{"c1": "v2", "c3": "v2", "c4": "v1"})
	s.images("api", map[string]string{"c1": "v2", "c3": "v1", "c4": "v1"})

	// Now db could go to ring-3, which is closed; api is locked still.
	closed := s.ends(4, "train", s.app, "--all-rings")
	s.says(closed, `ring-3 is closed by the window "freeze"`, "stocktaking", "service api on ring-2 is locked by e2e@trains", "a sale")
	if n := s.commitsFor("db", "ring-3") + s.commitsFor("api", "ring-2"); n != 0 {
		t.Errorf("%d commits went through the window or the lock", n)
	}

	// The lock goes, the window stays: ring-2 gets api, ring-3 nothing.
	s.ok("unlock", s.app, "--ring", "ring-2", "--service", "api")
	s.says(s.ends(4, "train", s.app, "--all-rings"), `ring-3 is closed by the window "freeze"`)
	s.images("api", map[string]string{"c1": "v2", "c3": "v2", "c4": "v1"})

	s.ok("window", "remove", s.app, "freeze")
	last := s.trains(s.ok("train", s.app, "--all-rings", "-o", "json"))
	if len(last) != 2 || last[0].Takes["db"] != "v2" || last[0].Takes["api"] != "v2" || last[0].Rollout == nil || last[0].Rollout.Phase != "Succeeded" || last[1].Rollout != nil || last[1].causes()["api"] != "current" {
		t.Fatalf("the last train: %+v", last)
	}
	s.runs("v2", pair, "c1", "c2", "c3", "c4")

	// Nothing is taken twice.
	commits := s.commits("db") + s.commits("api")
	for _, v := range s.trains(s.ok("train", s.app, "--all-rings", "-o", "json")) {
		if v.Rollout != nil {
			t.Errorf("one more train: %+v", v)
		}
	}
	if n := s.commits("db") + s.commits("api"); n != commits || n != 6 {
		t.Errorf("%d commits, were %d, want 6", n, commits)
	}
	s.ok("store", "check")
}

// What somebody changed by hand, on the ring or on the one before, is left with
// its words, and the rest goes.
func TestTrainChanged(t *testing.T) {
	s := play(t, "trainchanged", 1)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.ok("create", s.app, "ring-1")
	hash := s.byHand("api", "v1", "v9")
	s.says(s.ok("train", s.app, "ring-2", "--dry-run"), "left: api: its fleet.yaml says v9 for ring-2", hash[:7], "rollout service adopt "+s.app+" api")
	if v := s.train(s.ok("train", s.app, "ring-2", "-o", "json")); v.Takes["db"] != "v2" || v.Takes["api"] != "" || v.causes()["api"] != "changed" || v.Rollout == nil || v.Rollout.Phase != "Succeeded" {
		t.Fatalf("api changed on ring-2: %+v", v)
	}
	s.images("db", map[string]string{"c1": "v2", "c3": "v2"})
	if n := s.commitsFor("api", "ring-2"); n != 0 {
		t.Errorf("%d commits over the one by hand", n)
	}

	s.ok("plan", "set", s.app, "db=v3")
	s.ok("create", s.app, "ring-1", "--only", "db")
	s.byHand("db", "v3", "v7")
	if v := s.train(s.ok("train", s.app, "ring-2", "-o", "json")); v.Rollout != nil || v.causes()["db"] != "changed" {
		t.Errorf("db changed on ring-1: %+v", v)
	}
}
