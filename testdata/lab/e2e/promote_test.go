package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// trained is what `train -o json` says of a ring.
type trained struct {
	Ring  string            `json:"ring"`
	Takes map[string]string `json:"takes"`
	Train struct {
		From string `json:"from"`
		Left []struct {
			Service string `json:"service"`
			Cause   string `json:"cause"`
		} `json:"left"`
	} `json:"train"`
	Rollout *rollout `json:"rollout"`
}

// causes are why services were left, by name.
func (v trained) causes() map[string]string {
	out := map[string]string{}
	for _, l := range v.Train.Left {
		out[l.Service] = l.Cause
	}
	return out
}

// trains reads what a train to several rings printed.
func (s *scenario) trains(r result) []trained {
	s.Helper()
	var list struct{ Items []trained }
	s.must(json.Unmarshal([]byte(r.stdout), &list))
	return list.Items
}

// train reads what a train to one ring printed.
func (s *scenario) train(r result) trained {
	s.Helper()
	var v trained
	s.must(json.Unmarshal([]byte(r.stdout), &v))
	return v
}

// A release goes ring by ring with trains: each takes only what the ring before
// has proved, the last ring first, and nothing twice. What a person deploys
// directly is not undone by the next one, but by a train as of an earlier time.
func TestPromote(t *testing.T) {
	s := play(t, "promote", 2)
	s.rings = threeRings
	s.setUp(service{name: "db"}, service{name: "api", needs: []string{"db"}})
	s.ok("ring", "group", "create", s.app, "prod", "ring-2", "ring-3")
	s.ok("plan", "set", s.app, "db=v2", "api=v2")
	s.says(s.ok("release", "create", s.app, "--key", "build/1"), "release 1 ", "created")
	s.says(s.ok("release", "create", s.app, "--key", "build/1"), "release 1 ", "is there already")

	// Nothing is verified yet, so nothing moves.
	for _, v := range s.trains(s.ok("train", s.app, "--all-rings", "-o", "json")) {
		if len(v.Takes) > 0 || v.Rollout != nil || v.causes()["db"] != "unverified" {
			t.Errorf("a train before anything was rolled out: %+v", v)
		}
	}
	s.ends(4, "create", s.app, "ring-2", "--release", "1")
	s.ok("create", s.app, "ring-1", "--release", "1")

	// The last ring first: ring-3 has nothing to take yet.
	s.says(s.ok("train", s.app, "prod", "--dry-run"), "train:", "from ring-1")
	s.ok("lock", s.app, "--ring", "ring-2", "--service", "api", "--reason", "a sale")
	if v := s.train(s.ok("train", s.app, "ring-2", "--dry-run", "-o", "json")); v.Takes["db"] != "v2" || v.Takes["api"] != "" || v.causes()["api"] != "locked" {
		t.Errorf("the train while api is locked: %+v", v)
	}
	s.ok("unlock", s.app, "--ring", "ring-2", "--service", "api")
	first := s.trains(s.ok("train", s.app, "prod", "-o", "json"))
	if len(first) != 2 || first[0].Ring != "ring-3" || first[0].Rollout != nil || first[1].Takes["db"] != "v2" || first[1].Takes["api"] != "v2" || first[1].Rollout == nil || first[1].Rollout.Phase != "Succeeded" {
		t.Fatalf("the first train: %+v", first)
	}
	for _, name := range []string{"db", "api"} {
		s.images(name, map[string]string{"c1": "v2", "c2": "v2", "c3": "v2", "c4": "v1"})
	}
	second := s.trains(s.ok("train", s.app, "--all-rings", "-o", "json"))
	if len(second) != 2 || second[0].Ring != "ring-3" || second[0].Takes["api"] != "v2" || second[1].Rollout != nil || second[1].causes()["db"] != "current" {
		t.Fatalf("the second train: %+v", second)
	}
	commits := s.commits("db")

	// A person goes past the ring before. The train leaves that alone.
	s.ends(2, "deploy", s.app, "ring-2", "api=v3")
	s.ok("deploy", s.app, "ring-2", "api=v3", "--reason", "a fix")
	s.images("api", map[string]string{"c1": "v2", "c3": "v3", "c4": "v2"})
	if v := s.train(s.ok("train", s.app, "ring-2", "-o", "json")); v.Rollout != nil || v.causes()["api"] != "newer" || v.causes()["db"] != "current" {
		t.Errorf("the train after the deploy: %+v", v)
	}
	if strings.Contains(s.ok("plan", "show", s.app).stdout, "v3") {
		t.Error("the deploy changed the plan")
	}

	// As it was: only api moves back, and the whole is on the record.
	back := s.train(s.ok("train", s.app, "ring-2", "--from", "ring-2", "--at", first[1].Rollout.ID, "--reason", "the fix was none", "-o", "json"))
	if len(back.Takes) != 1 || back.Takes["api"] != "v2" || back.Rollout == nil || back.Rollout.Phase != "Succeeded" {
		t.Errorf("back to what it was: %+v", back)
	}
	s.images("api", map[string]string{"c1": "v2", "c3": "v2", "c4": "v2"})
	if n := s.commits("db"); n != commits {
		t.Errorf("db has %d commits of rollout, want %d", n, commits)
	}
	s.says(s.ok("show", s.app+"/prod"), "train: from ring-2")
	s.ok("store", "check")
}
