package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// tracked is a tracker of the service web, of GitRepo shop-web, on a ring with
// the clusters c1 and c2, whose first facts were taken. c3 is on another ring.
func tracked(t *testing.T) *tracker {
	t.Helper()
	tr := newTracker("ring-1", []orchestrator.Target{{Service: "web", GitRepo: "shop-web", Path: "deploy"}})
	tr.setGitRepo(gitRepo{name: "shop-web", commit: "A", paths: "deploy"})
	tr.setBundle(bundle{name: intern("web"), repo: intern("shop-web"), commit: intern("A")})
	for _, c := range []string{"c1", "c2"} {
		tr.setMember(member{name: intern(c)})
	}
	for _, c := range []string{"c1", "c2", "c3"} {
		tr.setDeployment(at("web", c), deployment{commit: intern("A"), flags: ready, status: 1}, time.Time{})
	}
	tr.facts(false)
	return tr
}

// ofRing1 says of facts that ring-1 was watched.
func ofRing1(facts []orchestrator.Fact) []orchestrator.Fact {
	for i := range facts {
		facts[i].Ring = "ring-1"
	}
	return facts
}

func at(bundle, cluster string) key { return key{intern(bundle), intern(cluster)} }

func TestTracker_Start(t *testing.T) {
	tr := newTracker("ring-1", []orchestrator.Target{{Service: "web", GitRepo: "shop-web", Path: "deploy"}, {Service: "api", GitRepo: "none"}})
	tr.setMember(member{name: intern("c1"), lastSeen: noon.UnixNano()})
	tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), specNonce: 3}, time.Time{})
	tr.setDeployment(at("web", "c3"), deployment{statusNonce: 9}, time.Time{})
	tr.setBundle(bundle{name: intern("web"), repo: intern("shop-web"), commit: intern("A")})
	tr.setGitRepo(gitRepo{name: "shop-web", commit: "A", paths: "deploy"})
	want := ofRing1([]orchestrator.Fact{
		{Service: "web", Members: &orchestrator.Members{Clusters: []rings.ClusterName{"c1"}}},
		{Service: "web", GitRepo: &orchestrator.GitRepo{Commit: "A"}},
		{Service: "web", Bundle: &orchestrator.Bundle{Name: "web", Commit: "A", MaxNonce: 9}},
		{Service: "api", Members: &orchestrator.Members{Clusters: []rings.ClusterName{"c1"}}},
		{Service: "api", GitRepo: &orchestrator.GitRepo{Gone: true}},
		{Service: "api", Bundle: &orchestrator.Bundle{}},
		{Service: "web", Deployment: &orchestrator.Deployment{Cluster: "c1", Commit: "A", SpecNonce: 3, Heard: noon}},
		{Service: "web", Synced: true},
		{Service: "api", Synced: true},
	})
	if diff := cmp.Diff(want, tr.facts(false)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if again := tr.facts(true); len(again) > 0 {
		t.Errorf("got %v the second time, want nothing", again)
	}
}

func TestTracker_Events(t *testing.T) {
	web := func(f orchestrator.Fact) orchestrator.Fact { f.Service = "web"; return f }
	dep := func(d orchestrator.Deployment) orchestrator.Fact { return web(orchestrator.Fact{Deployment: &d}) }
	listed := time.Time{}
	tests := []struct {
		name string
		do   func(*tracker)
		want []orchestrator.Fact
	}{
		{"the same again", func(tr *tracker) {
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), flags: ready, status: 1}, noon)
			tr.setMember(member{name: intern("c1")})
			tr.setGitRepo(gitRepo{name: "shop-web", commit: "A", paths: "deploy"})
			tr.setBundle(bundle{name: intern("web"), repo: intern("shop-web"), commit: intern("A")})
		}, nil},
		{"a change of status is a sign of the agent", func(tr *tracker) {
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), status: 2}, noon)
		}, []orchestrator.Fact{dep(orchestrator.Deployment{Cluster: "c1", Commit: "A", Heard: noon})}},
		{"a change of spec is not", func(tr *tracker) {
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("B"), flags: ready, status: 1}, noon)
		}, []orchestrator.Fact{dep(orchestrator.Deployment{Cluster: "c1", Commit: "B", Ready: true})}},
		{"Ready changed its time only", func(tr *tracker) {
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), flags: ready, status: 1, readyAt: 1795176000}, listed)
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), flags: ready, status: 1, readyAt: 1795176000}, noon)
		}, []orchestrator.Fact{dep(orchestrator.Deployment{Cluster: "c1", Commit: "A", Ready: true, ReadyAt: noon})}},
		{"nor is a listed change", func(tr *tracker) {
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), status: 2}, listed)
		}, []orchestrator.Fact{dep(orchestrator.Deployment{Cluster: "c1", Commit: "A"})}},
		{"the latest wins", func(tr *tracker) {
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("B"), status: 1}, noon)
			tr.setDeployment(at("web", "c1"), deployment{commit: intern("C"), status: 1}, noon)
		}, []orchestrator.Fact{dep(orchestrator.Deployment{Cluster: "c1", Commit: "C"})}},
		{"another ring's", func(tr *tracker) {
			tr.setDeployment(at("web", "c3"), deployment{commit: intern("B")}, noon)
		}, nil},
		{"another ring's nonce", func(tr *tracker) {
			tr.setDeployment(at("web", "c3"), deployment{commit: intern("A"), specNonce: 5}, noon)
		}, []orchestrator.Fact{web(orchestrator.Fact{Bundle: &orchestrator.Bundle{Name: "web", Commit: "A", MaxNonce: 5}})}},
		{"another Bundle's", func(tr *tracker) {
			tr.setDeployment(at("docs", "c1"), deployment{commit: intern("A"), specNonce: 5}, noon)
		}, nil},
		{"gone", func(tr *tracker) { tr.deleteDeployment(at("web", "c1")) },
			[]orchestrator.Fact{dep(orchestrator.Deployment{Cluster: "c1", Gone: true})}},
		{"a cluster joins", func(tr *tracker) { tr.setMember(member{name: intern("c3")}) }, []orchestrator.Fact{
			web(orchestrator.Fact{Members: &orchestrator.Members{Clusters: []rings.ClusterName{"c1", "c2", "c3"}}}),
			dep(orchestrator.Deployment{Cluster: "c3", Commit: "A", Ready: true})}},
		{"a cluster leaves, and is still followed", func(tr *tracker) {
			tr.deleteMember(intern("c2"))
			tr.setDeployment(at("web", "c2"), deployment{commit: intern("A"), status: 1}, noon)
		}, []orchestrator.Fact{
			web(orchestrator.Fact{Members: &orchestrator.Members{Clusters: []rings.ClusterName{"c1"}}}),
			dep(orchestrator.Deployment{Cluster: "c2", Commit: "A"})}},
		{"a targeting error", func(tr *tracker) {
			tr.setBundle(bundle{name: intern("web"), repo: intern("shop-web"), commit: intern("A"), err: intern("targeting error: x")})
		}, []orchestrator.Fact{web(orchestrator.Fact{Bundle: &orchestrator.Bundle{Name: "web", Commit: "A", Error: "targeting error: x"}})}},
		{"a failed job", func(tr *tracker) {
			tr.setGitRepo(gitRepo{name: "shop-web", commit: "B", paths: "deploy", jobStatus: "Failed", stalled: "words"})
		}, []orchestrator.Fact{web(orchestrator.Fact{GitRepo: &orchestrator.GitRepo{Commit: "B", JobFailed: true, JobError: "words"}})}},
		{"stalled by an old poll error", func(tr *tracker) {
			tr.setGitRepo(gitRepo{name: "shop-web", commit: "B", paths: "deploy", jobStatus: "Current", stalled: "words"})
		}, []orchestrator.Fact{web(orchestrator.Fact{GitRepo: &orchestrator.GitRepo{Commit: "B"}})}},
		{"git away", func(tr *tracker) {
			tr.setGitRepo(gitRepo{name: "shop-web", commit: "A", paths: "deploy", pollError: "refused", polling: time.Minute, paused: true, generation: 4})
		}, []orchestrator.Fact{web(orchestrator.Fact{GitRepo: &orchestrator.GitRepo{Commit: "A", PollError: "refused",
			Polling: time.Minute, Paused: true, Generation: 4}})}},
		{"the GitRepo is deleted", func(tr *tracker) { tr.deleteGitRepo("shop-web") },
			[]orchestrator.Fact{web(orchestrator.Fact{GitRepo: &orchestrator.GitRepo{Gone: true}})}},
		{"the Bundle is deleted", func(tr *tracker) { tr.deleteBundle(intern("web")) }, []orchestrator.Fact{
			web(orchestrator.Fact{Bundle: &orchestrator.Bundle{}}),
			dep(orchestrator.Deployment{Cluster: "c1", Gone: true}), dep(orchestrator.Deployment{Cluster: "c2", Gone: true})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := tracked(t)
			tt.do(tr)
			got := tr.facts(false)
			if len(got) == 0 && len(tt.want) == 0 {
				return
			}
			if diff := cmp.Diff(ofRing1(tt.want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTracker_Heard(t *testing.T) {
	tr := tracked(t)
	tr.setDeployment(at("web", "c1"), deployment{commit: intern("A"), flags: ready, status: 2}, noon)
	tr.setMember(member{name: intern("c2"), lastSeen: noon.Add(time.Minute).UnixNano()})
	if got := tr.facts(false); len(got) > 0 {
		t.Errorf("got %v, want signs of life to be kept", got)
	}
	if more, heard := tr.pending(); more || !heard {
		t.Errorf("got pending %t, %t, want only signs of life", more, heard)
	}
	var got []string
	for _, f := range tr.facts(true) {
		got = append(got, fmt.Sprint(f.Deployment.Cluster, f.Deployment.Heard.Format(" 15:04"), f.Deployment.Ready))
	}
	if diff := cmp.Diff([]string{"c1 12:00true", "c2 12:01true"}, got); diff != "" {
		t.Error(diff)
	}
	// A later change carries them.
	tr.setDeployment(at("web", "c1"), deployment{commit: intern("B"), status: 2}, noon.Add(time.Hour))
	if f := tr.facts(false); len(f) != 1 || !f[0].Deployment.Heard.Equal(noon) {
		t.Errorf("got %+v, want Heard as before", f)
	}
	// Fleet's controllers write an older sign over a newer one.
	tr.setMember(member{name: intern("c2"), namespace: "cluster-c2"})
	tr.setDeployment(at("web", "c2"), deployment{commit: intern("B"), flags: ready, status: 1}, time.Time{})
	if f := tr.facts(false); len(f) != 1 || !f[0].Deployment.Heard.Equal(noon.Add(time.Minute)) {
		t.Errorf("got %+v, want the sign that was given", f)
	}
}

func TestPickBundle(t *testing.T) {
	tests := []struct {
		name, dir, named string
		names, listed    []string
		want             string
		ambiguous        bool
	}{
		{"none yet", "deploy", "", nil, []string{"deploy"}, "", false},
		{"the only one", "deploy", "", []string{"web"}, []string{"deploy"}, "web", false},
		{"derived", "deploy", "", []string{"shop-web-deploy"}, []string{"deploy"}, "shop-web-deploy", false},
		{"derived among several", "/a/", "", []string{"shop-web-a", "shop-web-b", "x"}, []string{"a", "b", "c"}, "shop-web-a", false},
		{"the only one that is not derived", "a", "", []string{"alpha", "shop-web-b"}, []string{"a", "b"}, "alpha", false},
		{"two that are not derived", "a", "", []string{"alpha", "beta"}, []string{"a", "b"}, "", true},
		{"one of a folder below", "sub/a", "", []string{"alpha"}, []string{"sub"}, "", true},
		{"a neighbour that is there first", "b", "", []string{"shop-web-a"}, []string{"a", "b"}, "", true},
		{"named", "a", "alpha", []string{"alpha", "beta"}, []string{"a", "b"}, "alpha", false},
		{"named, not there yet", "a", "alpha", []string{"shop-web-a"}, []string{"a"}, "", false},
		{"the root", "", "", []string{"web"}, nil, "web", false},
		{"an agent's", "", "", []string{"fleet-agent-c1"}, nil, "", false},
	}
	for _, tt := range tests {
		got, err := pickBundle("shop-web", tt.dir, tt.named, tt.names, tt.listed)
		if got != tt.want || (err != nil) != tt.ambiguous {
			t.Errorf("%s: got %q, %v, want %q, ambiguous %t", tt.name, got, err, tt.want, tt.ambiguous)
		}
	}
}

// The names were made by Fleet 0.16.0's names.HelmReleaseName.
func TestBundleName(t *testing.T) {
	tests := []struct{ repo, dir, want string }{
		{"shop-web", "", "shop-web"},
		{"shop-web", "/deploy/", "shop-web-deploy"},
		{"shop-web", "./deploy//x", "shop-web-deploy-x"},
		{"Shop", "A/b_c", "shop-a-b-c-776cd605"},
		{"shop-web", "apps/_x.y/", "shop-web-apps-x-y-fd4cd243"},
		{"shop-web", "a-very-long-path/that-goes-on-and-on/until-the-name-is-longer", "shop-web-a-very-long-path-that-goes-on-and-on-u-1a362"},
		{"shop-web", "12345678901234567890123456789012345678/x-0123456789", "shop-web-12345678901234567890123456789012345678-77909"},
	}
	for _, tt := range tests {
		if got := BundleName(tt.repo, tt.dir); got != tt.want {
			t.Errorf("%s, %q: got %q, want %q", tt.repo, tt.dir, got, tt.want)
		}
	}
}
