package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A person's direct way: a version on a ring at once, kept there by a lock, with
// a tag on the repository; a train takes it on while its ring is judged, and the
// ring before it stands still meanwhile. What nobody needs any more is pruned.
func TestDirect(t *testing.T) {
	s := play(t, "direct", 3)
	s.rings = []ring{{"ring-1", []string{"c1"}}, {"ring-2", []string{"c2"}}}
	db := []service{{name: "db"}}
	s.setUp(db...)
	s.ok("deploy", s.app, "ring-1", "db=v2", "--reason", "hotfix", "--lock", "--tag", "hot-1")
	s.runs("v2", db, "c1")
	tags, err := s.lab.Git(s.ctx, s.app+"-db", "for-each-ref", "--format=%(refname:short) %(objecttype) %(*objectname)", "refs/tags")
	s.must(err)
	if want := "hot-1 tag " + s.head("db"); strings.TrimSpace(tags) != want {
		t.Errorf("tags %q, want %q", tags, want)
	}
	s.says(s.ends(4, "deploy", s.app, "ring-1", "db=v1", "--reason", "back", "--override", "--tag", "hot-1", "--dry-run"), "tag \"hot-1\" is on commit "+s.head("db")[:7], "take another name")
	s.ok("deploy", s.app, "ring-1", "db=v2", "--reason", "hotfix, again", "--override", "--tag", "hot-1", "--dry-run")
	s.says(s.ok("locks", s.app), "ring-1", "db", "hotfix")
	s.ok("plan", "set", s.app, "db=v3")
	s.says(s.ends(4, "create", s.app, "ring-1"), "is locked by e2e@direct", "hotfix")

	s.ok("ring", "update", s.app, "ring-2", "--freeze-upstream", "--soak", "20s")
	train := s.begin("train", s.app, "ring-2")
	s.awaits(2*time.Minute, "ring-2 soaks", func(r rollout) bool { return r.Kind == "train" && r.ring("ring-2") == "Soaking" })
	s.ok("unlock", s.app, "--ring", "ring-1", "--service", "db")
	s.says(s.ends(4, "create", s.app, "ring-1"), "ring-1 is frozen by ring-2", "is being judged there")
	if code := train.code(long); code != 0 {
		t.Errorf("train: exit code %d\n%s", code, train.out.String())
	}
	s.ok("create", s.app, "ring-1")
	s.runs("v3", db, "c1")
	s.runs("v2", db, "c2")

	before, err := os.Stat(s.store)
	s.must(err)
	s.ok("create", s.app, "ring-1", "--redeploy")
	s.says(s.ok("store", "prune", "--keep", "1", "--yes"), "1 of 4 rollouts") // what runs on a ring has its history
	after, err := os.Stat(s.store)
	s.must(err)
	if after.Size() >= before.Size() {
		t.Errorf("the store has %d bytes, before it was pruned %d", after.Size(), before.Size())
	}
	s.says(s.ok("where", s.app), "v3", "v2")
	s.says(s.ok("find", "v2", "--app", s.app), "ring-2")
	s.ok("store", "check")
}
