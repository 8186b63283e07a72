package lab

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// One etcd serves all API servers, each under its own prefix. A lab's data is worth nothing after a power cut, so nothing
// waits for the disk.
func (l *Lab) etcd(s *state) *process {
	client := fmt.Sprintf("http://127.0.0.1:%d", s.Ports["etcd"])
	peer := fmt.Sprintf("http://127.0.0.1:%d", s.Ports["etcd-peer"])
	return l.foreign("etcd", "etcd",
		"--name=lab", "--data-dir="+l.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=lab="+peer)
}

// apiServer describes the API server of a cluster or of the manager. The ServiceAccount admission is off because pods that
// nothing runs need no tokens; authorization is on, so Fleet's own roles are put to the test.
func (l *Lab) apiServer(s *state, server string) *process {
	key := l.path(server, "sa.key")
	return l.foreign(apiPart(server), "kube-apiserver",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", s.Ports["etcd"]), "--etcd-prefix=/"+server,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+strconv.Itoa(s.Ports[server]),
		"--cert-dir="+l.path(server), "--token-auth-file="+l.path("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-signing-key-file="+key,
		"--service-account-key-file="+key, "--service-cluster-ip-range=10.0.0.0/24",
		"--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none", "--profiling=false")
}

func apiPart(server string) string {
	if server == manager {
		return "manager-api"
	}
	return "api-" + server
}

// controllerManager fills in the tokens of service accounts, which Fleet waits for, and collects what has lost its owner.
func (l *Lab) controllerManager() *process {
	return l.foreign("manager-kcm", "kube-controller-manager",
		"--kubeconfig="+l.Kubeconfig(), "--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=false",
		"--service-account-private-key-file="+l.path(manager, "sa.key"),
		"--controllers=serviceaccount-controller,serviceaccount-token-controller,namespace-controller,garbage-collector-controller")
}

// foreign describes a part that runs one of the programs.
func (l *Lab) foreign(part, program string, args ...string) *process {
	return &process{Name: part, Path: l.program(program), Args: args}
}

// program returns the file of one of the programs. The lab has its own links to them, so a rebuild changes nothing in it.
func (l *Lab) program(name string) string { return l.path("bin", name) }

func (l *Lab) caFile(server string) string { return l.path(server, "apiserver.crt") }

// startAPI starts an API server and returns when it is ready and its kubeconfig is written.
func (l *Lab) startAPI(ctx context.Context, s *state, server string) error {
	if err := writeKey(l.path(server, "sa.key")); err != nil {
		return err
	}
	if err := l.launch(ctx, l.apiServer(s, server)); err != nil {
		return err
	}
	// The server writes its certificate by and by, so one that was read too early is read again.
	return l.until(ctx, readyLimit, "the API server of "+server+" is ready", func(ctx context.Context) error {
		if err := l.writeKubeconfig(s, server); err != nil {
			return err
		}
		return l.probeAPI(ctx, server)
	})
}

// writeKey makes the key that an API server signs the tokens of its service accounts with.
func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}
