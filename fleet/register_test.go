package fleet

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

const (
	newCluster = "/apis/fleet.cattle.io/v1alpha1/namespaces/fleet-default/clusters/eu-7"
	newSecret  = "/api/v1/namespaces/fleet-default/secrets/eu-7-kubeconfig"
)

// state puts a status, and what else is given, into an object that is there.
func (f *fakeAPI) state(path string, more obj) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store(path, merge(clone(f.objects[path]), more))
}

// TestRegister makes the Secret and the Cluster, without a label of an
// application; once more, it replaces the kubeconfig and asks Fleet to try again.
func TestRegister(t *testing.T) {
	f := newFakeAPI(t)
	m := f.manager(t, Options{})
	made, err := m.Register(t.Context(), "eu-7", Access{kubeconfig: []byte("first")})
	if diff := cmp.Diff(Made{"secrets/eu-7-kubeconfig", "clusters.fleet.cattle.io/eu-7"}, made); err != nil || diff != "" {
		t.Fatalf("got %v, %s", err, diff)
	}
	spec, labels := f.object(newCluster)["spec"].(obj), f.object(newCluster)["metadata"].(obj)["labels"]
	if spec["kubeConfigSecret"] != "eu-7-kubeconfig" || len(spec["clientID"].(string)) < 20 || fmt.Sprint(labels) != "map[rollout/managed-by:rollout]" {
		t.Errorf("the Cluster is %v with labels %v", spec, labels)
	}
	if got := f.object(newSecret)["data"].(obj)["value"]; got != base64.StdEncoding.EncodeToString([]byte("first")) {
		t.Errorf("the Secret holds %v", got)
	}
	if _, err := m.Register(t.Context(), "eu-7", Access{kubeconfig: []byte("second")}); err != nil {
		t.Fatal(err)
	}
	if got := f.object(newSecret)["data"].(obj)["value"]; got != base64.StdEncoding.EncodeToString([]byte("second")) {
		t.Errorf("the Secret holds %v", got)
	}
	if got := f.object(newCluster)["spec"].(obj); got["redeployAgentGeneration"] != 1.0 || got["clientID"] != spec["clientID"] {
		t.Errorf("the Cluster is %v", got)
	}
	if n := len(f.asked("get secrets")) + len(f.asked("list secrets")); n > 0 {
		t.Errorf("%d secrets were read", n)
	}
}

// TestRegister_Refused leaves alone what is registered in another way, and says
// what it made before it could not go on.
func TestRegister_Refused(t *testing.T) {
	for name, spec := range map[string]obj{
		"its agent has checked in":                     {"spec": obj{"clientID": "x"}, "status": obj{"agent": obj{"lastSeen": "2026-11-20T10:00:00Z"}}},
		"its agent is to be installed on its own side": {"spec": obj{"clientID": "x"}},
		`by the kubeconfig in Secret "mine"`:           {"spec": obj{"kubeConfigSecret": "mine"}},
	} {
		f := newFakeAPI(t)
		f.put(newCluster, spec)
		made, err := f.manager(t, Options{}).Register(t.Context(), "eu-7", Access{})
		if _, is := errors.AsType[*RegisteredError](err); !is || !errors.Is(err, rings.ErrExists) || !strings.Contains(err.Error(), name) || len(made) > 0 || f.object(newSecret) != nil {
			t.Errorf("%s: got %v, %v", name, made, err)
		}
	}
	f := newFakeAPI(t)
	f.put(newSecret, obj{"metadata": obj{"labels": obj{"mine": "true"}}, "data": obj{"value": "bWluZQ=="}})
	made, err := f.manager(t, Options{}).Register(t.Context(), "eu-7", Access{kubeconfig: []byte("s3cret")})
	if !errors.Is(err, rings.ErrExists) || len(made) > 0 || f.object(newSecret)["data"].(obj)["value"] != "bWluZQ==" || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("somebody's Secret: got %v, %v", made, err)
	}
	f = newFakeAPI(t)
	f.deny["create clusters"] = true
	made, err = f.manager(t, Options{}).Register(t.Context(), "eu-7", Access{})
	if !errors.Is(err, ErrForbidden) || fmt.Sprint(made) != "[secrets/eu-7-kubeconfig]" {
		t.Errorf("no permission: got %v, %v", made, err)
	}
}

// TestAwaitAgent tells what is waited for, and ends when the agent has come.
func TestAwaitAgent(t *testing.T) {
	f := newFakeAPI(t)
	m := f.manager(t, Options{})
	if _, err := m.Register(t.Context(), "eu-7", Access{}); err != nil {
		t.Fatal(err)
	}
	next := []obj{
		{"namespace": "cluster-eu-7"},
		{"conditions": []any{obj{"type": "Imported", "status": "False", "message": "dial tcp: refused"}}},
		{"conditions": []any{obj{"type": "Imported", "status": "True"}}, "agentDeployedGeneration": 0},
		{"agent": obj{"lastSeen": "2026-11-20T10:00:00Z"}},
	}
	var told []string
	got, err := m.AwaitAgent(t.Context(), "eu-7", func(c Cluster) {
		told = append(told, c.Joining())
		if len(next) > 0 {
			f.state(newCluster, obj{"status": next[0]})
			next = next[1:]
		}
	})
	want := []string{"Fleet has not taken the Cluster up", "Fleet has not installed its agent", "Fleet cannot install its agent: dial tcp: refused",
		"its agent is installed, and has not checked in"}
	if diff := cmp.Diff(want, told[:min(4, len(told))]); err != nil || diff != "" || !got.Joined() {
		t.Errorf("got %+v, %v, %s", got, err, diff)
	}
}

// TestAwaitAgent_Never ends with Fleet's words when it cannot install the agent,
// and with the last state when the time is up.
func TestAwaitAgent_Never(t *testing.T) {
	old := importGrace
	importGrace = 50 * time.Millisecond
	defer func() { importGrace = old }()
	f := newFakeAPI(t)
	m := f.manager(t, Options{})
	failed := obj{"namespace": "cluster-eu-7", "conditions": []any{obj{"type": "Imported", "status": "False", "message": "Unauthorized"}}}
	f.put(newCluster, obj{"spec": obj{"kubeConfigSecret": "eu-7-kubeconfig"}, "status": failed})
	_, err := m.AwaitAgent(t.Context(), "eu-7", func(Cluster) {})
	if e, is := errors.AsType[*ImportError](err); !is || e.Words != "Unauthorized" {
		t.Errorf("got %v", err)
	}
	f.put(newCluster, obj{"spec": obj{"clientID": "x"}, "status": obj{"namespace": "cluster-eu-7"}})
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	last, err := m.AwaitAgent(ctx, "eu-7", func(Cluster) {})
	if !errors.Is(err, context.DeadlineExceeded) || last.Joining() != "its agent has not checked in" {
		t.Errorf("got %+v, %v", last, err)
	}
}

const (
	newToken  = "/apis/fleet.cattle.io/v1alpha1/namespaces/fleet-default/clusterregistrationtokens/eu-7-registration"
	newValues = "/api/v1/namespaces/fleet-default/secrets/eu-7-registration"
)

// answer plays Fleet, which answers a token.
func (f *fakeAPI) answer() {
	f.put(newValues, obj{"metadata": obj{}, "data": obj{"values": base64.StdEncoding.EncodeToString([]byte("apiServerURL: https://manager\ntoken: s3cret\n"))}})
	f.state(newToken, obj{"status": obj{"secretName": "eu-7-registration", "expires": "2026-11-21T10:00:00Z"}})
}

// TestInvite returns what the agent's chart takes, and the same once more.
func TestInvite(t *testing.T) {
	f := newFakeAPI(t)
	m := f.manager(t, Options{})
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	first, made, err := m.Invite(ctx, "eu-7", time.Hour)
	if !errors.Is(err, context.DeadlineExceeded) || fmt.Sprint(made) != "[clusters.fleet.cattle.io/eu-7 clusterregistrationtokens.fleet.cattle.io/eu-7-registration]" {
		t.Fatalf("before Fleet answers: got %v, %v", made, err)
	}
	if got := f.object(newToken)["spec"].(obj)["ttl"]; got != "1h0m0s" {
		t.Errorf("the token lasts for %v", got)
	}
	f.answer()
	got, _, err := m.Invite(t.Context(), "eu-7", time.Hour)
	want := fmt.Sprintf("apiServerURL: https://manager\nclientID: %s\ntoken: s3cret\n", first.ClientID)
	if err != nil || string(got.Values) != want || got.ClientID != first.ClientID || got.Expires.IsZero() {
		t.Errorf("got %+v, %v, want %s", got, err, want)
	}
	if spec := f.object(newCluster)["spec"].(obj); spec["clientID"] != first.ClientID || spec["kubeConfigSecret"] != nil {
		t.Errorf("the Cluster is %v", spec)
	}
	for words, o := range map[string]obj{
		"its agent has checked in": {"spec": obj{"clientID": "x"}, "status": obj{"agent": obj{"lastSeen": "2026-11-20T10:00:00Z"}}},
		`Secret "mine"`:            {"spec": obj{"kubeConfigSecret": "mine"}},
		"no client id":             {"spec": obj{}},
	} {
		f.put(newCluster, o)
		if _, made, err := m.Invite(t.Context(), "eu-7", time.Hour); !errors.Is(err, rings.ErrExists) || len(made) > 0 || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, %v", words, made, err)
		}
	}
}

// TestMayRegister names what only a registration needs.
func TestMayRegister(t *testing.T) {
	f := newFakeAPI(t)
	f.deny["create secrets"], f.deny["get secrets"] = true, true
	m := f.manager(t, Options{})
	if got, err := m.Permissions(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("got %v, %v, want secrets not to be missed", got, err)
	}
	for want, ask := range map[string]func(context.Context) ([]Missing, error){"create": m.MayRegister, "get": m.MayInvite} {
		got, err := ask(t.Context())
		if err != nil || len(got) != 1 || got[0].String() != want+` secrets in namespace "fleet-default"` {
			t.Errorf("got %v, %v, want %s secrets", got, err, want)
		}
	}
}

// TestAwaitGone waits until Fleet has taken away just the services that are meant.
func TestAwaitGone(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	m := f.manager(t, Options{})
	web := []orchestrator.Target{{Service: "web", GitRepo: "shop-web", Path: "deploy"}, {Service: "none", GitRepo: "gone"}}
	c1, c2 := Cluster{Name: "c1", Namespace: "cluster-c1"}, Cluster{Name: "c2", Namespace: "cluster-c2"}
	var told []string
	ended := make(chan error, 1)
	go func() {
		left, err := m.AwaitGone(t.Context(), c1, web, func(there []rings.ServiceName) { told = append(told, fmt.Sprint(there)) })
		ended <- errors.Join(err, map[bool]error{true: errors.New("something is left")}[len(left) > 0])
	}()
	waitWatches(t, f, 1)
	f.remove(deploymentPath("c1"))
	if err := <-ended; err != nil || fmt.Sprint(told) != "[[web] []]" {
		t.Errorf("got %v, told %v", err, told)
	}
	if left, err := m.AwaitGone(t.Context(), c1, web[1:], nil); err != nil || len(left) > 0 {
		t.Errorf("nothing to wait for: %v, %v", left, err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if left, err := m.AwaitGone(ctx, c2, web, func([]rings.ServiceName) {}); !errors.Is(err, context.DeadlineExceeded) || fmt.Sprint(left) != "[web]" {
		t.Errorf("got %v, %v", left, err)
	}
}
