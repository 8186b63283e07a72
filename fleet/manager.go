package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	authv1 "k8s.io/api/authorization/v1"
	coordv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/rings"
)

// DefaultWorkspace is the namespace in which Rancher keeps Fleet's objects.
const DefaultWorkspace = "fleet-default"

// A process that takes 100 rollouts up asks 900 times at once, and hardly ever
// after that; API servers have a fairness of their own.
const (
	defaultQPS   = 200
	defaultBurst = 400
)

// Options say which manager is meant and how to speak with it.
type Options struct {
	Kubeconfig string // a file; "" means KUBECONFIG, ~/.kube/config, or the pod's own account
	Context    string // of the kubeconfig; "" means its current one
	Workspace  string // "" means DefaultWorkspace
	UserAgent  string // "" means "rollout"
	// QPS and Burst bound what is asked of the API server; 0 means defaultQPS
	// and defaultBurst.
	QPS   float32
	Burst int
	// Log takes what the libraries below have to say, mostly about
	// connections that break and come back. The zero value says nothing.
	Log logr.Logger
	// Now is the local clock; nil means time.Now.
	Now func() time.Time
}

// Manager is a Fleet manager. Safe for concurrent use.
type Manager struct {
	host      string
	workspace string
	client    client.Client  // Fleet's and Kubernetes' types, uncached
	raw       rest.Interface // Fleet's types as bytes
	clock     *serverClock
	log       logr.Logger
	now       func() time.Time

	mu     sync.Mutex
	hints  map[string][]string // by namespace/name: the commits hinted, oldest first
	reach  map[string]*reach   // by namespace
	nearby map[rings.ClusterName]near
}

// Connect finds the manager and makes sure that it answers, has Fleet's types
// and the workspace, and lets us list clusters in it. Errors wrap
// ErrNoKubeconfig, ErrUnreachable, ErrCredentials, ErrNoFleet, ErrNoWorkspace
// or ErrForbidden.
func Connect(ctx context.Context, o Options) (*Manager, error) {
	config, err := restConfig(o)
	if err != nil {
		return nil, err
	}
	m, err := newManager(config, o)
	if err != nil {
		return nil, fmt.Errorf("manager %s: %w", config.Host, err)
	}
	if err := m.check(ctx); err != nil {
		return nil, fmt.Errorf("manager %s: %w", m.host, err)
	}
	return m, nil
}

// restConfig follows kubectl's rules, the pod's own account last.
func restConfig(o Options) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) { // its words are about a variable of other programs
			err = errors.New("neither KUBECONFIG nor ~/.kube/config leads to one")
		}
		return nil, fmt.Errorf("%s: %w: %w", kubeconfigName(o), ErrNoKubeconfig, err)
	}
	config.UserAgent = cmp.Or(o.UserAgent, "rollout")
	config.QPS = cmp.Or(o.QPS, defaultQPS)
	config.Burst = cmp.Or(o.Burst, defaultBurst)
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

func kubeconfigName(o Options) string {
	s := "kubeconfig"
	if o.Kubeconfig != "" {
		s += fmt.Sprintf(" %q", o.Kubeconfig)
	}
	if o.Context != "" {
		s += fmt.Sprintf(", context %q", o.Context)
	}
	return s
}

func newManager(config *rest.Config, o Options) (*Manager, error) {
	m := &Manager{host: config.Host, workspace: cmp.Or(o.Workspace, DefaultWorkspace), log: o.Log, now: o.Now,
		hints: map[string][]string{}, reach: map[string]*reach{}, nearby: map[rings.ClusterName]near{}}
	if m.now == nil {
		m.now = time.Now
	}
	if m.log.GetSink() == nil {
		m.log = logr.Discard()
	}
	m.clock = &serverClock{now: m.now}
	config.ContentType = runtime.ContentTypeJSON // Fleet's types have no other
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return m.clock.wrap(next) })
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	scheme := newScheme()
	if m.raw, err = newRaw(config, shared, scheme); err != nil {
		return nil, err
	}
	m.client, err = client.New(config, client.Options{HTTPClient: shared, Scheme: scheme, Mapper: newMapper()})
	return m, err
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		fleetv1.AddToScheme, corev1.AddToScheme, coordv1.AddToScheme, authv1.AddToScheme,
	} {
		utilruntime.Must(add(s)) // can only fail for conflicting types
	}
	return s
}

// newMapper knows the few types that are used, so that no discovery is needed.
func newMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{fleetv1.SchemeGroupVersion})
	for _, kind := range []string{"Cluster", "ClusterGroup", "ClusterRegistrationToken", "GitRepo", "Bundle", "BundleDeployment"} {
		m.Add(fleetv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	m.Add(provisioning, meta.RESTScopeNamespace)
	m.Add(coordv1.SchemeGroupVersion.WithKind("Lease"), meta.RESTScopeNamespace)
	m.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	m.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	m.Add(authv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"), meta.RESTScopeRoot)
	return m
}

// newRaw makes a client for Fleet's types whose answers are read as bytes.
func newRaw(config *rest.Config, shared *http.Client, scheme *runtime.Scheme) (rest.Interface, error) {
	c := rest.CopyConfig(config)
	gv := fleetv1.SchemeGroupVersion
	c.GroupVersion, c.APIPath = &gv, "/apis"
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientForConfigAndClient(c, shared)
}

// check asks for what every command needs. A list in a namespace that is not
// there is empty, so the namespace is asked for by name; who may not see
// namespaces is believed.
func (m *Manager) check(ctx context.Context) error {
	req := request{verb: "list", resource: resource("clusters"), namespace: m.workspace}
	err := m.raw.Get().Namespace(m.workspace).Resource("clusters").Param("limit", "1").Do(ctx).Error()
	if err := req.fail(err); err != nil {
		return err
	}
	err = m.client.Get(ctx, client.ObjectKey{Name: m.workspace}, &corev1.Namespace{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("workspace %q: %w", m.workspace, ErrNoWorkspace)
	}
	if apierrors.IsForbidden(err) {
		return nil
	}
	return request{verb: "get", resource: "namespaces", name: m.workspace}.fail(err)
}

// Workspace is the namespace that the commands work in.
func (m *Manager) Workspace() string { return m.workspace }

// Host is the address of the manager's API server.
func (m *Manager) Host() string { return m.host }

// ID returns the uid of the manager's kube-system namespace, which stays the
// same for the cluster's life. It needs "get namespaces".
func (m *Manager) ID(ctx context.Context) (string, error) {
	var ns corev1.Namespace
	req := request{verb: "get", resource: "namespaces", name: "kube-system"}
	if err := m.client.Get(ctx, client.ObjectKey{Name: req.name}, &ns); err != nil {
		return "", req.fail(err)
	}
	return string(ns.UID), nil
}

// resource is the full name of one of Fleet's resources.
func resource(plural string) string { return plural + "." + fleetv1.SchemeGroupVersion.Group }
