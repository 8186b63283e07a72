package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// undeployed is what `service undeploy -o json` says.
type undeployed struct {
	Version, Confirm, Commit string
	Done                     bool
	Clusters                 []struct{ Name, Phase string }
}

func (s *scenario) undeployed(r result) undeployed {
	s.Helper()
	var out undeployed
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		s.Fatalf("%v in %s", err, r.stdout)
	}
	return out
}

// A service is uninstalled from one ring, in two steps, and only when nothing
// there depends on it; the other ring does not notice.
func TestUndeploy(t *testing.T) {
	s := play(t, "undeploy", 1)
	services := []service{{name: "db"}, {name: "api", needs: []string{"db"}}, {name: "docs"}}
	s.setUp(services...)
	before := map[string]string{"c3": s.release("c3", "docs"), "c4": s.release("c4", "docs")}
	base := s.head("docs")

	s.says(s.ends(4, "service", "undeploy", s.app, "db", "ring-1"), "still needed by api", "rollout service undeploy undeploy api ring-1")
	shown := s.undeployed(s.ok("service", "undeploy", s.app, "docs", "ring-1", "--dry-run", "-o", "json"))
	if shown.Version != "v1" || shown.Confirm == "" || shown.Commit != "" || len(shown.Clusters) != 2 {
		t.Errorf("it shows %+v", shown)
	}
	s.says(s.ends(2, "service", "undeploy", s.app, "docs", "ring-1", "--yes"), "c1, c2", "doNotDeploy: true", "--confirm "+shown.Confirm)
	s.ends(4, "service", "undeploy", s.app, "docs", "ring-1", "--confirm", "00000000")
	if s.head("docs") != base {
		t.Error("the first step changed the branch")
	}
	s.runs("v1", services, "c1", "c2")

	done := s.undeployed(s.ok("service", "undeploy", s.app, "docs", "ring-1", "--confirm", shown.Confirm, "--reason", "moved to the wiki", "-o", "json"))
	if !done.Done || done.Commit != s.head("docs") {
		t.Errorf("it ends with %+v, the branch is at %s", done, s.head("docs"))
	}
	s.images("docs", map[string]string{"c1": "", "c2": ""})
	s.runs("v1", services, "c3", "c4")
	s.runs("v1", services[:2], "c1", "c2")
	for c, was := range before {
		if got := s.release(c, "docs"); got != was {
			t.Errorf("docs was upgraded on %s: %s, was %s", c, got, was)
		}
	}
	if c := s.bundleDeployment("c1", "docs"); c != nil {
		t.Errorf("c1 still has %s", c.Name)
	}

	s.says(s.ok("service", "undeploy", s.app, "docs", "ring-1"), "already", "uninstalled")
	if s.head("docs") != done.Commit {
		t.Error("once more made another commit")
	}
	s.eventuallyBy(aLook, time.Minute, "nothing is wrong: a ring may go without a service", func() bool { return s.look("doctor", s.app).code == 0 })
	s.ok("plan", "set", s.app, "docs=v2")
	s.ok("create", s.app, "ring-1", "ring-2")
	s.images("docs", map[string]string{"c1": "", "c2": "", "c3": "v2", "c4": "v2"})

	s.says(s.ok("service", "remove", s.app, "docs", "--yes"), "nothing is uninstalled", `ring "ring-2": c3, c4`)
	s.runs("v2", []service{{name: "docs"}}, "c3", "c4")
	history := s.ok("app", "history", s.app).stdout
	for _, words := range []string{"service docs v1 undeployed from ring-1, commit " + done.Commit[:7], "moved to the wiki", "service docs forgotten", "e2e@" + s.app} {
		if !strings.Contains(history, words) {
			t.Errorf("the history does not say %q:\n%s", words, history)
		}
	}
}

// A cluster is taken off an application, in two steps; it keeps what others
// deployed there. To forget it uninstalls nothing.
func TestTakeOff(t *testing.T) {
	s := play(t, "takeoff", 0)
	services := []service{{name: "db"}}
	s.setUp(services...)
	s.ok("lock", s.app, "--cluster", "c2", "--reason", "in repair")
	s.says(s.ends(4, "cluster", "remove", "c2", "--app", s.app, "--uninstall", "--yes"), "cluster c2 is locked", "in repair", "--override --reason WORDS")
	s.says(s.ends(4, "cluster", "set-ring", "c2", "ring-2", "--app", s.app, "--yes"), "cluster c2 is locked")
	s.says(s.ends(2, "cluster", "remove", "c2", "--app", s.app, "--uninstall", "--override", "--reason", "it burns"), "goes over: cluster c2 is locked", "--override --reason WORDS --confirm")
	s.ok("unlock", s.app, "--cluster", "c2")
	shown := s.ends(2, "cluster", "remove", "c2", "--app", s.app, "--uninstall", "--yes")
	s.says(shown, "nothing, v1 goes away", s.ringLabel()+"-", "rollout cluster remove c2 --app "+s.app+" --uninstall --confirm ")
	s.runs("v1", services, "c1", "c2")
	_, after, _ := strings.Cut(shown.stderr, "--confirm ")
	s.says(s.ok("cluster", "remove", "c2", "--app", s.app, "--uninstall", "--confirm", strings.TrimSpace(after)), "Fleet has taken away db", "cannot be seen from here")
	s.eventually(time.Minute, "db is gone from c2", func() bool { return s.image("c2", "db") == "" })
	if labels := s.labels("c2"); len(labels) != 0 {
		t.Errorf("c2 keeps the labels %v", labels)
	}
	s.says(s.ok("cluster", "remove", "c3", "--app", s.app, "--yes"), "nothing is uninstalled", "its labels stay")
	s.runs("v1", services, "c1", "c3", "c4")
	if list := s.ok("cluster", "list", "--app", s.app).stdout; strings.Contains(list, "c2") || strings.Contains(list, "c3") {
		t.Errorf("they are still recorded:\n%s", list)
	}
}
