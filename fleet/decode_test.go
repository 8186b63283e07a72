package fleet

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
)

// The samples in testdata are what a Fleet 0.16.0 answered.
func sample[W any](t testing.TB, name string) *W {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var w W
	if err := json.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	return &w
}

func TestDecode_BundleDeployment(t *testing.T) {
	tests := []struct {
		sample string
		bundle string
		want   orchestrator.Deployment
	}{
		{"ready", "web", orchestrator.Deployment{Cluster: "c1", Commit: "54f86c59227e05583f751e6708e0c1211c25de2d",
			Staged: true, Applied: true, Ready: true, NonModified: true, ReadyAt: time.Date(2026, 11, 20, 14, 18, 26, 0, time.UTC)}},
		{"notready", "db", orchestrator.Deployment{Cluster: "c1", Commit: "712993276e66dc8b3f6959628140703954761b0b",
			SpecNonce: 7, StatusNonce: 7, Staged: true, Applied: true, NonModified: true,
			ReadyAt: time.Date(2026, 11, 20, 14, 26, 47, 0, time.UTC), Words: "deployment shop/db: 0/1 replicas"}},
	}
	for _, tt := range tests {
		t.Run(tt.sample, func(t *testing.T) {
			w := sample[wireDeployment](t, tt.sample)
			if k := w.key(); k.bundle.String() != tt.bundle || k.cluster.String() != "c1" {
				t.Errorf("got key %s on %s, want %s on c1", k.bundle, k.cluster, tt.bundle)
			}
			if diff := cmp.Diff(tt.want, *w.record().fact("c1")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDecode_Others(t *testing.T) {
	b := sample[wireBundle](t, "bundle").record()
	if b.name.String() != "db" || b.repo.String() != "shop-db" || b.commit.String() == "" || b.err != (text{}) {
		t.Errorf("bundle: got %s of %s, commit %q, error %q", b.name, b.repo, b.commit, b.err)
	}
	g := sample[wireGitRepo](t, "gitrepo").record()
	if g.name != "shop-db" || g.commit == "" || g.jobStatus != "Current" || g.polling != 15*time.Second || g.paths != "deploy" || g.pollError != "" {
		t.Errorf("gitrepo: got %+v", g)
	}
	w := sample[wireCluster](t, "cluster")
	c := w.cluster()
	if c.Name != "c1" || c.Ready || !strings.HasPrefix(c.NotReady, "NotReady(1)") || c.Labels["ring"] != "ring-1" || c.LastSeen.IsZero() || !strings.HasPrefix(c.Namespace, "cluster-fleet-default-c1") {
		t.Errorf("cluster: got %+v", c)
	}
}

// TestDecode_TargetingError: what Fleet mends by itself is no error of the
// targets.
func TestDecode_TargetingError(t *testing.T) {
	for message, want := range map[string]string{
		"targeting error: no such label": "targeting error: no such label",
		"targeting error: hash mismatch between secret and bundledeployment: actual 79 != expected d6": "",
		"NotReady(1) [Cluster fleet-default/c1]":                                                       "",
	} {
		var w wireBundle
		w.Status.Conditions = wireConditions{{Type: "Ready", Status: "False", Message: message}}
		if got := w.record().err.String(); got != want {
			t.Errorf("%s: got %q", message, got)
		}
	}
}

// change applies a merge patch to the sample "ready" and returns its record.
func change(t testing.TB, patch string) deployment {
	t.Helper()
	var o, p obj
	b, err := os.ReadFile("testdata/ready.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(patch), &p); err != nil {
		t.Fatal(err)
	}
	b, err = json.Marshal(merge(o, p))
	if err != nil {
		t.Fatal(err)
	}
	var w wireDeployment
	if err := json.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	return w.record()
}

func TestDecode_Fields(t *testing.T) {
	ready := *change(t, `{}`).fact("c1")
	tests := []struct {
		name, patch string
		want        func(*orchestrator.Deployment)
	}{
		{"commit", `{"metadata":{"labels":{"fleet.cattle.io/commit":"abc"}}}`, func(d *orchestrator.Deployment) { d.Commit = "abc" }},
		{"spec nonce", `{"spec":{"options":{"forceSyncGeneration":4}}}`, func(d *orchestrator.Deployment) { d.SpecNonce = 4 }},
		{"staged nonce does not count", `{"spec":{"stagedOptions":{"forceSyncGeneration":4}}}`, func(*orchestrator.Deployment) {}},
		{"status nonce", `{"status":{"syncGeneration":4}}`, func(d *orchestrator.Deployment) { d.StatusNonce = 4 }},
		{"held back", `{"spec":{"stagedDeploymentID":"x"}}`, func(d *orchestrator.Deployment) { d.Staged = false }},
		{"not applied", `{"status":{"appliedDeploymentID":"x"}}`, func(d *orchestrator.Deployment) { d.Applied = false }},
		{"not ready", `{"status":{"ready":null}}`, func(d *orchestrator.Deployment) { d.Ready = false }},
		{"modified", `{"status":{"nonModified":false,"modifiedStatus":[{"kind":"Deployment","apiVersion":"apps/v1","namespace":"shop","name":"db","patch":"{\"spec\":{\"replicas\":2}}"}]}}`,
			func(d *orchestrator.Deployment) {
				d.NonModified, d.Words = false, `deployment shop/db: modified {"spec":{"replicas":2}}`
			}},
		{"a modified Secret shows nothing", `{"status":{"modifiedStatus":[{"kind":"Secret","namespace":"shop","name":"s","patch":"{\"data\":\"c2VjcmV0\"}"}]}}`,
			func(d *orchestrator.Deployment) { d.Words = "secret shop/s: modified" }},
		{"missing", `{"status":{"modifiedStatus":[{"kind":"ClusterRole","name":"r","missing":true}]}}`,
			func(d *orchestrator.Deployment) { d.Words = "clusterrole r: missing" }},
		{"install error", `{"status":{"conditions":[{"type":"Installed","status":"False","message":"not installed: x"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt, d.InstallError = time.Time{}, "not installed: x" }},
		{"install error without words", `{"status":{"conditions":[{"type":"Installed","status":"False"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt, d.InstallError = time.Time{}, "no message" }},
		{"deploy error by reason", `{"status":{"conditions":[{"type":"Deployed","status":"False","reason":"Error"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt, d.DeployError = time.Time{}, "Error" }},
		{"unknown is not False", `{"status":{"conditions":[{"type":"Deployed","status":"Unknown","message":"x"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt = time.Time{} }},
		{"Ready since", `{"status":{"conditions":[{"type":"Ready","status":"False","lastUpdateTime":"2026-11-20T13:00:00+01:00"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt = noon }},
		{"Ready without a time", `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt = time.Time{} }},
		{"Ready at no time", `{"status":{"conditions":[{"type":"Ready","status":"True","lastUpdateTime":"0001-01-01T00:00:00Z"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt = time.Time{} }},
		{"Ready at nonsense", `{"status":{"conditions":[{"type":"Ready","status":"True","lastUpdateTime":"yesterday"}]}}`,
			func(d *orchestrator.Deployment) { d.ReadyAt = time.Time{} }},
		{"paused", `{"spec":{"paused":true}}`, func(d *orchestrator.Deployment) { d.Paused = true }},
		{"off schedule", `{"spec":{"offSchedule":true}}`, func(d *orchestrator.Deployment) { d.OffSchedule = true }},
		{"waiting for values", `{"spec":{"waitingForValues":true}}`, func(d *orchestrator.Deployment) { d.AwaitsValues = true }},
		{"deleting", `{"metadata":{"deletionTimestamp":"2026-11-20T14:18:18Z"}}`, func(d *orchestrator.Deployment) { d.Deleting = true }},
		{"display says nothing", `{"status":{"display":{"state":"ErrApplied"}}}`, func(*orchestrator.Deployment) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := ready
			tt.want(&want)
			if diff := cmp.Diff(want, *change(t, tt.patch).fact("c1")); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.patch, diff)
			}
		})
	}
}

func TestDecode_Digest(t *testing.T) {
	ready := change(t, `{}`).status
	tests := []struct {
		name, patch string
		moved       bool
	}{
		{"spec", `{"spec":{"paused":true}}`, false},
		{"display, which the controller writes", `{"status":{"display":{"state":"NotReady"}}}`, false},
		{"the time of a condition", `{"status":{"conditions":[{"type":"Ready","status":"True","lastUpdateTime":"x"}]}}`, true},
		{"release", `{"status":{"release":"shop/web:9"}}`, true},
		{"counts", `{"status":{"resourceCounts":{"ready":0}}}`, true},
		{"ready", `{"status":{"ready":false}}`, true},
	}
	for _, tt := range tests {
		if got := change(t, tt.patch).status != ready; got != tt.moved {
			t.Errorf("%s: got moved %t, want %t", tt.name, got, tt.moved)
		}
	}
}

func TestDecode_GitRepo(t *testing.T) {
	decode := func(text string) gitRepo {
		var w wireGitRepo
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			t.Fatal(err)
		}
		return w.record()
	}
	tests := []struct {
		name, text string
		want       gitRepo
	}{
		{"default polling", `{"spec":{}}`, gitRepo{polling: 15 * time.Second}},
		{"zero is the default", `{"spec":{"pollingInterval":"0s"}}`, gitRepo{polling: 15 * time.Second}},
		{"own polling", `{"spec":{"pollingInterval":"1h0m0s"}}`, gitRepo{polling: time.Hour}},
		{"no polling", `{"spec":{"pollingInterval":"1h","disablePolling":true}}`, gitRepo{}},
		{"stalled", `{"status":{"gitJobStatus":"Failed","conditions":[{"type":"Stalled","status":"True","message":"words"}]}}`,
			gitRepo{polling: 15 * time.Second, jobStatus: "Failed", stalled: "words"}},
		{"git away", `{"status":{"conditions":[{"type":"GitPolling","status":"False","message":"refused"}]}}`,
			gitRepo{polling: 15 * time.Second, pollError: "refused"}},
		{"driven scan", `{"spec":{"bundles":[{"base":"a"},{"base":"b","options":"prod.yaml"}]}}`, gitRepo{polling: 15 * time.Second, paths: "a\nb/prod"}},
	}
	for _, tt := range tests {
		if got := decode(tt.text); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestReadList(t *testing.T) {
	text := `{"kind":"List","metadata":{"resourceVersion":"7","continue":"more"},"items":[{"metadata":{"name":"a","labels":{"x":"1"}}},{"metadata":{"name":"b"}}]}`
	var got []string
	list, err := readList(strings.NewReader(text), func(w *wireCluster) {
		got = append(got, w.Metadata.Name+w.Metadata.Labels["x"])
	})
	if err != nil || list.ResourceVersion != "7" || list.Continue != "more" {
		t.Errorf("got %+v, %v", list, err)
	}
	if diff := cmp.Diff([]string{"a1", "b"}, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`[]`, `{"items":7}`, `{"items":[{"metadata"`, ``} {
		if _, err := readList(strings.NewReader(bad), func(*wireCluster) {}); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
	if _, err := readList(strings.NewReader(`{"items":null}`), func(*wireCluster) {}); err != nil {
		t.Errorf("no items: %v", err)
	}
}
