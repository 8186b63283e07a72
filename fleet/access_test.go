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

// aKubeconfig has two contexts; the current one has this user.
func aKubeconfig(t *testing.T, server, user string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "s3cret\n", "kubeconfig": fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: eu-7,
contexts: [{name: eu-7, context: {cluster: eu-7, user: admin}}, {name: other, context: {cluster: other, user: other}}],
clusters: [{name: eu-7, cluster: {server: %q, insecure-skip-tls-verify: true}}, {name: other, cluster: {server: "https://other"}}],
users: [{name: admin, user: %s}, {name: other, user: {token: 0ther}}]}`, server, user)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "kubeconfig")
}

// TestReadAccess takes what works anywhere, and refuses what works only here,
// without a word of what is secret.
func TestReadAccess(t *testing.T) {
	tests := []struct{ name, server, user, want, hint string }{
		{"token", "https://eu-7", "{token: s3cret}", "", ""},
		{"token in a file", "https://eu-7", "{tokenFile: token}", "", ""},
		{"command", "https://eu-7", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}}", `user "admin" logs in with the command "aws"`, "create token"},
		{"provider", "https://eu-7", "{auth-provider: {name: oidc}}", `auth-provider "oidc"`, "create token"},
		{"none, and no server", "", "{}", `context "eu-7" names no server; user "admin" has no credentials`, "create token"},
		{"a file that is not there", "https://eu-7", "{client-certificate: gone, client-key: gone}", "gone: no such file", ""},
		{"bad data", "https://eu-7", "{client-key-data: s3cret!}", "it cannot be read as a kubeconfig", ""},
		{"half a certificate", "https://eu-7", "{client-certificate-data: czNjcmV0}", "cannot be used", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := fleet.ReadAccess(aKubeconfig(t, tt.server, tt.user))
			if tt.want == "" {
				if err != nil || a.Context != "eu-7" || a.Server != "https://eu-7" {
					t.Errorf("got %+v, %v", a, err)
				}
				return
			}
			e, ok := errors.AsType[*fleet.AccessError](err)
			if !ok || !strings.Contains(err.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := fleet.ReadAccess(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fleet.ErrAccess) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}

// TestAccess_Look tells wrong credentials from what says nothing.
func TestAccess_Look(t *testing.T) {
	answers := map[string]int{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("got %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "application/json")
		code := answers[filepath.Base(r.URL.Path)]
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","code":%d,"reason":%q,"metadata":{"uid":"u-7"},"details":{"name":"x"}}`, code,
			map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}[code])
	}))
	defer server.Close()
	a, err := fleet.ReadAccess(aKubeconfig(t, server.URL, "{tokenFile: token}"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		namespace, agent int
		want             fleet.Sight
		refused, unseen  bool
	}{
		{200, 404, fleet.Sight{ID: "u-7"}, false, false},
		{200, 200, fleet.Sight{ID: "u-7", Agent: true}, false, false},
		{401, 401, fleet.Sight{}, true, true},
		{403, 403, fleet.Sight{}, false, true},
		{200, 403, fleet.Sight{ID: "u-7"}, false, true},
	}
	for _, tt := range tests {
		answers["kube-system"], answers["fleet-agent"] = tt.namespace, tt.agent
		got, err := a.Look(t.Context())
		if got != tt.want || errors.Is(err, fleet.ErrAccess) != tt.refused || err != nil != tt.unseen {
			t.Errorf("%d, %d: got %+v, %v", tt.namespace, tt.agent, got, err)
		}
	}
}
