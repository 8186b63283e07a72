package fleet

import (
	"context"
	"fmt"
	"io"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
)

// Reach is whom a GitRepo deploys to: its targets and the clusters that they
// are matched against, with their groups.
type Reach struct {
	Clusters []fleetyaml.Cluster
	Targets  []fleetyaml.Target
}

// reachTTL bounds the age of the clusters that Reach answers with. A watch
// that sees a cluster of its ring change makes them be read again at once.
const reachTTL = 2 * time.Second

// reach is the clusters of a workspace as they were at a time.
type reach struct {
	clusters []fleetyaml.Cluster
	at       time.Time
}

// Reach returns the clusters of the workspace, with their groups, and the
// targets of the service's GitRepo. The slices are shared: not to be changed.
// Clusters that a BundleNamespaceMapping adds from other namespaces are not
// among them. The error wraps rings.ErrUnknown when there is no such GitRepo.
func (m *Manager) Reach(ctx context.Context, s orchestrator.Scope, t orchestrator.Target) (Reach, error) {
	repo, err := m.gitRepo(ctx, s.Workspace, t.GitRepo)
	if err != nil {
		return Reach{}, err
	}
	return m.ReachOf(ctx, repo)
}

// ReachOf is Reach for a GitRepo that was read, in its workspace.
func (m *Manager) ReachOf(ctx context.Context, repo *fleetv1.GitRepo) (Reach, error) {
	clusters, err := m.reachable(ctx, repo.Namespace)
	if err != nil {
		return Reach{}, err
	}
	return Reach{Clusters: clusters, Targets: targets(repo)}, nil
}

// Reachable returns the clusters of the workspace, with their groups. The slice
// is shared: not to be changed.
func (m *Manager) Reachable(ctx context.Context) ([]fleetyaml.Cluster, error) {
	return m.reachable(ctx, m.workspace)
}

// targets are the GitRepo's, or Fleet's default: the ClusterGroup "default"
// (internal/cmd/controller/gitops/reconciler/targetsyaml.go:17-60).
func targets(repo *fleetv1.GitRepo) []fleetyaml.Target {
	if len(repo.Spec.Targets) == 0 {
		return []fleetyaml.Target{{Name: "default", ClusterGroup: "default"}}
	}
	var out []fleetyaml.Target
	for _, t := range repo.Spec.Targets {
		out = append(out, fleetyaml.Target{Name: t.Name, ClusterName: t.ClusterName, ClusterSelector: t.ClusterSelector,
			ClusterGroup: t.ClusterGroup, ClusterGroupSelector: t.ClusterGroupSelector})
	}
	return out
}

// reachable returns all clusters of the namespace with their groups.
func (m *Manager) reachable(ctx context.Context, namespace string) ([]fleetyaml.Cluster, error) {
	m.mu.Lock()
	cached := m.reach[namespace]
	m.mu.Unlock()
	began := m.now()
	if cached != nil && began.Sub(cached.at) < reachTTL {
		return cached.clusters, nil
	}
	groups, err := m.groups(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var out []fleetyaml.Cluster
	err = listAll(ctx, m, "clusters", namespace, "", func(w *wireCluster) {
		out = append(out, fleetyaml.Cluster{Name: w.Metadata.Name, Labels: w.Metadata.Labels, Groups: groupsOf(w.Metadata.Labels, groups)})
	})
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reach[namespace] == cached { // else somebody read later, or forgot
		m.reach[namespace] = &reach{clusters: out, at: began}
	}
	return out, nil
}

func (m *Manager) forgetReach(namespace string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reach[namespace] = &reach{} // not the one that a reader has in mind
}

// wireGroup is a ClusterGroup.
type wireGroup struct {
	Metadata struct {
		wireMeta
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Selector *metav1.LabelSelector `json:"selector"`
	} `json:"spec"`
}

type group struct {
	fleetyaml.Group
	selector labels.Selector
}

// groups leaves out what Fleet does: groups without a selector, or with one
// that is not valid (internal/cmd/controller/target/query.go:94-118).
func (m *Manager) groups(ctx context.Context, namespace string) ([]group, error) {
	var out []group
	err := listAll(ctx, m, "clustergroups", namespace, "", func(w *wireGroup) {
		selector, err := metav1.LabelSelectorAsSelector(w.Spec.Selector)
		if w.Spec.Selector == nil || err != nil {
			return
		}
		out = append(out, group{fleetyaml.Group{Name: w.Metadata.Name, Labels: w.Metadata.Labels}, selector})
	})
	return out, err
}

func groupsOf(l map[string]string, groups []group) []fleetyaml.Group {
	var out []fleetyaml.Group
	for _, g := range groups {
		if g.selector.Matches(labels.Set(l)) {
			out = append(out, g.Group)
		}
	}
	return out
}

// listAll reads all pages of a list. The visited object must not be kept.
func listAll[W any, P wire[W]](ctx context.Context, m *Manager, plural, namespace, selector string, visit func(P)) error {
	req := request{verb: "list", resource: resource(plural), namespace: namespace}
	o := metav1.ListOptions{Limit: pageSize, LabelSelector: selector}
	for {
		list, err := listPage(ctx, m, plural, namespace, o, visit)
		if expired(err) && o.Continue != "" {
			return fmt.Errorf("%s: changed too fast to be read: %w", req, err)
		}
		if err != nil {
			return req.fail(err)
		}
		if o.Continue = list.Continue; o.Continue == "" {
			return nil
		}
	}
}

func listPage[W any, P wire[W]](ctx context.Context, m *Manager, plural, namespace string, o metav1.ListOptions, visit func(P)) (metav1.ListMeta, error) {
	var body io.ReadCloser
	body, err := m.raw.Get().Namespace(namespace).Resource(plural).VersionedParams(&o, metav1.ParameterCodec).Stream(ctx)
	if err != nil {
		return metav1.ListMeta{}, err
	}
	defer body.Close()
	return readList(body, visit)
}

// gitRepo reads one GitRepo.
func (m *Manager) gitRepo(ctx context.Context, namespace, name string) (*fleetv1.GitRepo, error) {
	var out fleetv1.GitRepo
	err := m.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &out)
	if err != nil {
		return nil, m.notFound(ctx, request{verb: "get", resource: resource("gitrepos"), namespace: namespace, name: name}, err)
	}
	return &out, nil
}
