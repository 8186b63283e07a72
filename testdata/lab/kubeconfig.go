package lab

import (
	"context"
	"fmt"
	"os"
	"strings"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writeKubeconfig writes the administrator's way into an API server, once the server has made its certificate.
func (l *Lab) writeKubeconfig(s *state, server string) error {
	ca, err := os.ReadFile(l.caFile(server))
	if err != nil {
		return err
	}
	name := server
	if server == manager {
		name = Context
	}
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[name] = &clientcmdapi.Cluster{Server: s.url(server), CertificateAuthorityData: ca}
	cfg.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: s.Token}
	cfg.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	cfg.CurrentContext = name
	return clientcmd.WriteToFile(*cfg, l.kubeconfig(server))
}

// restConfig is for our own requests, which wait for nothing but the server.
func (l *Lab) restConfig(server string) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig(server))
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	return cfg, nil
}

func (l *Lab) clientset(server string) (*kubernetes.Clientset, error) {
	cfg, err := l.restConfig(server)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

// Client returns a client of the manager that knows Kubernetes' own types and Fleet's.
func (l *Lab) Client() (client.WithWatch, error) { return l.client(manager) }

// DownstreamClient returns a client of a cluster's API server.
func (l *Lab) DownstreamClient(cluster string) (client.WithWatch, error) {
	s, err := readState(l.dir)
	if err != nil {
		return nil, err
	}
	if err := s.cluster(cluster); err != nil {
		return nil, err
	}
	return l.client(cluster)
}

// DownstreamImages returns what runs in a namespace of a cluster: the first image of each Deployment, by its name. It is empty
// when there is none.
func (l *Lab) DownstreamImages(ctx context.Context, cluster, namespace string) (map[string]string, error) {
	c, err := l.DownstreamClient(cluster)
	if err != nil {
		return nil, err
	}
	var deployments appsv1.DeploymentList
	if err := c.List(ctx, &deployments, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	images := map[string]string{}
	for _, d := range deployments.Items {
		images[d.Name] = d.Spec.Template.Spec.Containers[0].Image
	}
	return images, nil
}

// client returns the one client of a server: who asks often pays once for the connection and for learning what there is.
func (l *Lab) client(server string) (client.WithWatch, error) {
	if c, found := l.clients.Load(server); found {
		return c.(client.WithWatch), nil
	}
	c, err := l.newClient(server)
	if err == nil {
		l.clients.Store(server, c)
	}
	return c, err
}

func (l *Lab) newClient(server string) (client.WithWatch, error) {
	cfg, err := l.restConfig(server)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1 // it is shared
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := fleetv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.NewWithWatch(cfg, client.Options{Scheme: scheme})
}

// waitAPI returns when the API server, which has run before, says that it is ready.
func (l *Lab) waitAPI(ctx context.Context, server string) error {
	return l.until(ctx, readyLimit, "the API server of "+server+" is ready", func(ctx context.Context) error {
		return l.probeAPI(ctx, server)
	})
}

func (l *Lab) probeAPI(ctx context.Context, server string) error {
	clients, err := l.clientset(server)
	if err != nil {
		return err
	}
	body, err := clients.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	if failing := failingChecks(string(body)); err != nil && failing != nil {
		return fmt.Errorf("not ready: %v", failing)
	}
	return err
}

// failingChecks returns the lines of an API server's answer that say what is not ready.
func failingChecks(answer string) []string {
	var failing []string
	for line := range strings.Lines(answer) {
		if check, found := strings.CutPrefix(line, "[-]"); found {
			failing = append(failing, strings.TrimSpace(check))
		}
	}
	return failing
}
