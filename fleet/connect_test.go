package fleet_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollout/fleet"
)

// kubeconfigFor writes a kubeconfig with the context "lab".
func kubeconfigFor(t *testing.T, host string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: lab, contexts: [{name: lab, context: {cluster: lab, user: lab}}],
clusters: [{name: lab, cluster: {server: %q}}], users: [{name: lab, user: {token: x}}]}`, host)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConnect(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	const clusters, namespace = "/apis/fleet.cattle.io/v1alpha1/namespaces/fleet-default/clusters", "/api/v1/namespaces/fleet-default"
	list, found := `200 {"kind":"ClusterList","apiVersion":"fleet.cattle.io/v1alpha1","items":[]}`, `200 {"kind":"Namespace","apiVersion":"v1"}`
	denied, missing := `403 {"kind":"Status","reason":"Forbidden","code":403}`, `404 {"kind":"Status","reason":"NotFound","code":404,"details":{"name":"fleet-default"}}`
	tests := []struct {
		name    string
		answers map[string]string
		want    error
		words   string
	}{
		{"OK", map[string]string{clusters: list, namespace: found}, nil, ""},
		{"may not see namespaces", map[string]string{clusters: list, namespace: denied}, nil, ""},
		{"no Fleet", map[string]string{clusters: "404 page not found"}, fleet.ErrNoFleet, "clusters.fleet.cattle.io"},
		{"no workspace", map[string]string{clusters: list, namespace: missing}, fleet.ErrNoWorkspace, `"fleet-default"`},
		{"forbidden", map[string]string{clusters: denied}, fleet.ErrForbidden, `list clusters.fleet.cattle.io in namespace "fleet-default"`},
		{"unknown to it", map[string]string{clusters: `401 {"kind":"Status","reason":"Unauthorized","code":401}`}, fleet.ErrCredentials, "127.0.0.1"},
		{"starting", map[string]string{clusters: `503 {"kind":"Status","reason":"ServiceUnavailable","code":503}`}, fleet.ErrUnreachable, "127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				code, body, _ := strings.Cut(tt.answers[r.URL.Path], " ")
				w.Header().Set("Content-Type", "application/json")
				var n int
				_, _ = fmt.Sscan(code, &n)
				w.WriteHeader(n)
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			_, err := fleet.Connect(t.Context(), fleet.Options{Kubeconfig: kubeconfigFor(t, server.URL)})
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.words)
			}
		})
	}
}

func TestConnect_NoWay(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	tests := []struct {
		name  string
		o     fleet.Options
		want  error
		words string // how the message ends
	}{
		{"nothing", fleet.Options{}, fleet.ErrNoKubeconfig, "kubeconfig: no usable kubeconfig: neither KUBECONFIG nor ~/.kube/config leads to one"},
		{"no such file", fleet.Options{Kubeconfig: "missing"}, fleet.ErrNoKubeconfig, "no such file or directory"},
		{"no such context", fleet.Options{Kubeconfig: kubeconfigFor(t, "http://127.0.0.1:1"), Context: "other"}, fleet.ErrNoKubeconfig, `context "other" does not exist`},
		{"nobody listens", fleet.Options{Kubeconfig: kubeconfigFor(t, "http://127.0.0.1:1")}, fleet.ErrUnreachable,
			"the manager cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused"},
	}
	for _, tt := range tests {
		if _, err := fleet.Connect(t.Context(), tt.o); !errors.Is(err, tt.want) || !strings.HasSuffix(err.Error(), tt.words) {
			t.Errorf("%s: got %v, want %v that ends with %q", tt.name, err, tt.want, tt.words)
		}
	}
}
