package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// ailment is what `doctor -o json` lists.
type ailment struct {
	Area, Severity, Service, Ring, Message, Repair string
	Clusters                                       []string
}

// ails returns what doctor finds wrong, and wants its code to say the same.
func (s *scenario) ails() []ailment {
	s.Helper()
	r := s.run("doctor", s.app, "-o", "json")
	var list struct{ Items []ailment }
	s.must(json.Unmarshal([]byte(r.stdout), &list))
	var out []ailment
	for _, a := range list.Items {
		if a.Severity != "info" {
			out = append(out, a)
		}
	}
	if (r.code == 0) != (len(out) == 0) {
		s.Errorf("exit code %d with %d findings", r.code, len(out))
	}
	return out
}

// finding wants just one thing to be wrong: with these words, and this repair.
func (s *scenario) finding(area, message, repair string) {
	s.Helper()
	if found := s.ails(); !only(found, area, message, repair) {
		s.Errorf("doctor finds %+v, want %s: %q, repair: %q", found, area, message, repair)
	}
}

func only(found []ailment, area, message, repair string) bool {
	return len(found) == 1 && found[0].Area == area && strings.Contains(found[0].Message, message) && strings.Contains(found[0].Repair, repair)
}

// deadCluster is a cluster on ring-1 whose agent does not run.
func (s *scenario) deadCluster(name string) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	s.must(c.Create(s.ctx, &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: lab.Namespace,
		Labels: map[string]string{s.selector(): "true", s.ringLabel(): "ring-1"}}, Spec: fleetv1.ClusterSpec{ClientID: name}}))
}

// lastSeen writes when a cluster's agent was. Fleet's cluster controller may write
// an older status over it, as it may over an agent's.
func (s *scenario) lastSeen(name string, at time.Time) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	o := &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: lab.Namespace}}
	s.must(c.Status().Patch(s.ctx, o, client.RawPatch(types.MergePatchType, []byte(`{"status":{"agent":{"lastSeen":"`+at.UTC().Format(time.RFC3339)+`"}}}`))))
}

func (s *scenario) deleteCluster(name string) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	o := &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: lab.Namespace}}
	s.must(c.Delete(s.ctx, o))
	s.eventually(time.Minute, "the Cluster is gone", func() bool { return apierrors.IsNotFound(c.Get(s.ctx, client.ObjectKeyFromObject(o), o)) })
}

// A healthy application is clean. Each thing that is broken is found, alone, with
// the repair, and after it all is clean again.
func TestDoctor(t *testing.T) {
	s := play(t, "doctor", 0)
	s.rings = []ring{{"ring-1", []string{"c1"}}, {"ring-2", []string{"c2"}}}
	s.setUp(pair...)
	s.eventuallyBy(aLook, 2*time.Minute, "every agent has checked in", func() bool { return s.look("doctor", s.app).code == 0 })
	s.says(s.ok("doctor", s.app), "nothing is wrong")

	s.deadCluster("doctor-c9")
	s.finding("clusters", "its agent has never checked in", "see that the agent runs there")
	s.eventuallyBy(aLook, time.Minute, "it is offline", func() bool {
		s.lastSeen("doctor-c9", time.Now().Add(-2*time.Hour))
		return only(s.ails(), "clusters", "offline: no sign of its agent since", "rollout ring update doctor ring-1 --on-offline skip")
	})
	s.deleteCluster("doctor-c9")

	s.label("c4", s.selector(), "true")
	s.finding("clusters", `it is of the application and on no ring: the label "`+s.ringLabel()+`" is missing`, "rollout cluster set-ring c4 RING --app doctor")
	s.label("c4", s.selector(), "false")

	file := s.fleetYAML("db")
	s.commitFile("db", "deploy/fleet.yaml", file+inTurns("0").tail)
	for _, a := range s.ails() { // on both rings
		if a.Area != "file" || a.Service != "db" || !strings.Contains(a.Message, "never lets a healthy cluster be updated") || !strings.Contains(a.Repair, "maxUnavailable: 1") {
			t.Errorf("the strategy: %+v", a)
		}
	}
	s.commitFile("db", "deploy/fleet.yaml", file)

	s.must(s.lab.SetGitFault(s.ctx, s.app+"-api", lab.GitFault{Status: 500}))
	found := s.ails()
	if len(found) == 0 {
		t.Error("a repository that does not answer is not found")
	}
	for _, a := range found {
		if a.Service != "api" || a.Repair == "" {
			t.Errorf("the repository: %+v", a)
		}
	}
	s.must(s.lab.SetGitFault(s.ctx, s.app+"-api", lab.GitFault{}))
	s.eventuallyBy(aLook, 2*time.Minute, "it is clean again", func() bool { return s.look("doctor", s.app).code == 0 })
	s.says(s.ok("doctor", s.app), "nothing is wrong")
}
