package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rollout/testdata/lab"
)

// estate is what git and the clusters say, without asking rollout.
type estate struct {
	desired map[string]string   // by "service ring": the version, "" when it is not to be deployed
	on      map[string][]string // by ring: its clusters, by their labels
	image   map[string]string   // by "service cluster"
}

// entryOf is what a fleet.yaml says for a ring.
type entryOf struct {
	Name        string `json:"name"`
	DoNotDeploy bool   `json:"doNotDeploy"`
	Helm        struct {
		Values struct {
			Image struct {
				Tag string `json:"tag"`
			} `json:"image"`
		} `json:"values"`
	} `json:"helm"`
}

// versionAt is what the service's file gives the ring at a commit.
func (s *scenario) versionAt(commit, service, ring string) string {
	s.Helper()
	text, err := s.lab.Git(s.ctx, s.app+"-"+service, "show", commit+":deploy/fleet.yaml")
	s.must(err)
	var file struct {
		Entries []entryOf `json:"targetCustomizations"`
	}
	s.must(yaml.Unmarshal([]byte(text), &file))
	for _, e := range file.Entries {
		if e.Name == ring && !e.DoNotDeploy {
			return e.Helm.Values.Image.Tag
		}
	}
	return ""
}

// estate reads the branches' tips and asks the clusters.
func (s *scenario) estate(services []service) estate {
	s.Helper()
	e := estate{desired: map[string]string{}, on: map[string][]string{}, image: map[string]string{}}
	c, err := s.lab.Client()
	s.must(err)
	var all fleetv1.ClusterList
	s.must(c.List(s.ctx, &all, client.InNamespace(lab.Namespace), client.MatchingLabels{s.selector(): "true"}))
	for _, cluster := range all.Items {
		ring := cluster.Labels[s.ringLabel()]
		e.on[ring] = append(e.on[ring], cluster.Name)
	}
	for _, v := range services {
		for _, ring := range s.ringNames() {
			e.desired[v.name+" "+ring] = s.versionAt("main", v.name, ring)
			for _, cluster := range e.on[ring] {
				e.image[v.name+" "+cluster] = s.image(cluster, v.name)
			}
		}
	}
	return e
}

// where compares what `where` says with the estate. What was set by hand has no
// acknowledgement, and may be unknown.
func (s *scenario) where(e estate, byHand string) {
	s.Helper()
	var got struct {
		Places []struct {
			Service, Ring, Desired, Observed, State string
			Drift                                   []string
			Clusters                                []struct{ Name, Observed, Reason string }
		}
	}
	s.must(json.Unmarshal([]byte(s.ok("where", s.app, "-o", "json").stdout), &got))
	if len(got.Places) != len(e.desired) {
		s.Errorf("where names %d places, want %d", len(got.Places), len(e.desired))
	}
	for _, p := range got.Places {
		place := p.Service + " " + p.Ring
		want := e.desired[place]
		if want == "" {
			if p.State != "absent" || len(p.Clusters) > 0 {
				s.Errorf("where: %s is %+v, and is deployed nowhere", place, p)
			}
			continue
		}
		var on []string
		for _, c := range p.Clusters {
			on = append(on, c.Name)
			if runs := e.image[p.Service+" "+c.Name]; c.Observed != runs && (place != byHand || c.Observed != "") {
				s.Errorf("where: %s on %s runs %q, it is %q", p.Service, c.Name, c.Observed, runs)
			}
		}
		slices.Sort(on)
		if p.Desired != want || !slices.Equal(on, slices.Sorted(slices.Values(e.on[p.Ring]))) {
			s.Errorf("where: %s is to be %q on %v, git says %q and the labels %v", place, p.Desired, on, want, e.on[p.Ring])
		}
		if drifted := len(p.Drift) > 0; drifted != (place == byHand) {
			s.Errorf("where: the drift of %s is %q", place, p.Drift)
		}
	}
}

// finds compares where `find` says that a version is with git.
func (s *scenario) finds(e estate, version string) (gone []string) {
	s.Helper()
	var got struct {
		Items []struct {
			Service, Ring, Version, Commit string
			Current                        bool
			Rollout, ReplacedBy            string
			Clusters                       []struct{ Name, Observed string }
		}
	}
	s.must(json.Unmarshal([]byte(s.ok("find", version, "-o", "json").stdout), &got))
	var is, want []string
	for _, f := range got.Items {
		place := f.Service + " " + f.Ring
		if !f.Current {
			gone = append(gone, place+" "+f.Rollout+" "+f.ReplacedBy)
			continue
		}
		is = append(is, place)
		if f.Commit != "" && s.versionAt(f.Commit, f.Service, f.Ring) != version {
			s.Errorf("find: commit %s does not give %s the version %s", f.Commit, place, version)
		}
	}
	for place, v := range e.desired {
		if v == version {
			want = append(want, place)
		}
	}
	slices.Sort(is)
	slices.Sort(want)
	if !slices.Equal(is, want) {
		s.Errorf("find %s: it is on %q, git says %q", version, is, want)
	}
	return gone
}

// recalls compares the last that the history knows of each place with git, and
// every commit of it with what it says it did.
func (s *scenario) recalls(e estate, byHand string) {
	s.Helper()
	var got struct {
		Items []struct {
			ID, Phase string
			Steps     []struct {
				Ring, Service, Phase, To string
				Undo                     bool
				Commits                  []string
			}
		}
	}
	s.must(json.Unmarshal([]byte(s.ok("history", s.app, "-o", "json").stdout), &got))
	last := map[string]string{}
	for _, r := range got.Items { // the latest first
		for _, st := range r.Steps {
			place := st.Service + " " + st.Ring
			if last[place] == "" && st.Phase == "Done" {
				last[place] = st.To
			}
			for _, c := range st.Commits {
				if v := s.versionAt(c, st.Service, st.Ring); v != st.To {
					s.Errorf("history: %s put %s to %s with commit %s, which says %s", r.ID, place, st.To, c, v)
				}
			}
		}
	}
	for place, version := range last {
		if e.desired[place] != version && e.desired[place] != "" && place != byHand {
			s.Errorf("history: %s was last put to %s, git says %s", place, version, e.desired[place])
		}
	}
}

// After rollouts, a rollback, a cluster that somebody moved, a version that
// somebody set, a direct deployment and a service that was undeployed, what
// where, find and history say is what git and the clusters say.
func TestAgree(t *testing.T) {
	s := playFirst(t, "agree", 6)
	s.rings = threeRings
	services := []service{{name: "db"}, {name: "api", needs: []string{"db"}}, {name: "docs"}}
	s.setUp(services...)
	s.ok("plan", "set", s.app, "db=v2", "api=v2", "docs=v2")
	s.ok("create", s.app, "ring-1", "ring-2")
	s.ok("plan", "set", s.app, "db=v3")
	s.ok("create", s.app, "ring-1", "--only", "db")
	bad := s.show().ID
	s.ok("rollback", bad, "--reason", "v3 loses orders")
	back := s.show().ID
	s.label("c2", s.ringLabel(), "ring-2")
	s.ok("deploy", s.app, "ring-3", "api=v4", "--reason", "the till needs it")
	shown := s.undeployed(s.ok("service", "undeploy", s.app, "docs", "ring-3", "--dry-run", "-o", "json"))
	s.ok("service", "undeploy", s.app, "docs", "ring-3", "--confirm", shown.Confirm)
	s.byHand("docs", "v2", "v5")
	s.eventually(2*time.Minute, "the version that was set by hand is live", func() bool { return s.live("c1", "docs") == "v5" })
	s.eventually(2*time.Minute, "c2 runs what its new ring does", func() bool {
		return s.live("c2", "db") == "v2" && s.live("c2", "api") == "v2" && s.live("c2", "docs") == "v2"
	})

	e := s.estate(services)
	want := map[string]string{"db ring-1": "v2", "db ring-2": "v2", "db ring-3": "v1", "api ring-1": "v2", "api ring-2": "v2", "api ring-3": "v4",
		"docs ring-1": "v5", "docs ring-2": "v2", "docs ring-3": ""}
	if fmt.Sprint(e.desired) != fmt.Sprint(want) || len(e.on["ring-2"]) != 2 {
		t.Fatalf("git says %v, the labels %v", e.desired, e.on)
	}
	const byHand = "docs ring-1"
	s.where(e, byHand)
	s.recalls(e, byHand)
	delete(e.desired, byHand) // find knows what was seen from here
	s.finds(e, "v4")
	if gone := s.finds(e, "v3"); !slices.Contains(gone, "db ring-1 "+bad+" "+back) {
		t.Errorf("find v3: it was %q, want db on ring-1 by %s until %s", gone, bad, back)
	}
	if history := s.ok("app", "history", s.app).stdout; !strings.Contains(history, "cluster c2 moved from ring-1 to ring-2") {
		t.Errorf("the history of the application does not know that c2 was moved:\n%s", history)
	}
	s.ok("store", "check")
}
