package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"

	"rollout/orchestrator"
	"rollout/rings"
)

// Deployment is a BundleDeployment, as previews show it.
type Deployment struct {
	Bundle string
	orchestrator.Deployment

	gitRepo string
}

// nearTTL bounds the age of what DeployedOn answers with: a preview asks for
// one service after the other.
const nearTTL = 2 * time.Second

// near are the BundleDeployments of one cluster as they were at a time.
type near struct {
	deployments []Deployment
	at          time.Time
}

// Deployed returns the BundleDeployments of a GitRepo of the workspace, of all
// its Bundles and on all clusters, sorted by Bundle and cluster. Heard is not set.
func (m *Manager) Deployed(ctx context.Context, gitRepo string) ([]Deployment, error) {
	return m.deployments(ctx, "", fleetv1.RepoLabel+"="+gitRepo)
}

// DeployedOn is Deployed for some clusters only. When they are few in a large
// fleet, only what lies in their namespaces is read.
func (m *Manager) DeployedOn(ctx context.Context, gitRepo string, clusters []rings.ClusterName) ([]Deployment, error) {
	all, err := m.countClusters(ctx, m.workspace)
	if err != nil {
		return nil, request{verb: "list", resource: resource("clusters"), namespace: m.workspace}.fail(err)
	}
	if len(clusters) > narrowUpTo || all <= pageSize {
		found, err := m.Deployed(ctx, gitRepo)
		return slices.DeleteFunc(found, func(d Deployment) bool { return !slices.Contains(clusters, d.Cluster) }), err
	}
	out := []Deployment{}
	for _, name := range clusters {
		found, err := m.near(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if d.gitRepo == gitRepo {
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, byBundle)
	return out, nil
}

// near returns what is deployed on a cluster, of all GitRepos.
func (m *Manager) near(ctx context.Context, name rings.ClusterName) ([]Deployment, error) {
	m.mu.Lock()
	known, began := m.nearby[name], m.now()
	m.mu.Unlock()
	if !known.at.IsZero() && began.Sub(known.at) < nearTTL {
		return known.deployments, nil
	}
	c, err := m.Cluster(ctx, name)
	if err != nil || c.Namespace == "" {
		return nil, err
	}
	found, err := m.deployments(ctx, c.Namespace, fleetv1.ClusterLabel+"="+string(name))
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nearby[name] = near{found, began}
	return found, nil
}

func (m *Manager) deployments(ctx context.Context, namespace, selector string) ([]Deployment, error) {
	out := []Deployment{}
	selector += "," + fleetv1.BundleNamespaceLabel + "=" + m.workspace
	err := listAll(ctx, m, "bundledeployments", namespace, selector, func(w *wireDeployment) {
		l := w.Metadata.Labels
		out = append(out, Deployment{Bundle: l.Bundle, Deployment: *w.record().fact(rings.ClusterName(l.Cluster)), gitRepo: l.Repo})
	})
	slices.SortFunc(out, byBundle)
	return out, err
}

func byBundle(a, b Deployment) int {
	return cmp.Or(cmp.Compare(a.Bundle, b.Bundle), cmp.Compare(a.Cluster, b.Cluster))
}

// Standing returns the clusters that have a BundleDeployment of the service,
// sorted; none when its GitRepo, or its Bundle, is not there. The error wraps
// ErrBundle when it cannot be told which Bundle is the service's.
func (m *Manager) Standing(ctx context.Context, t orchestrator.Target) ([]rings.ClusterName, error) {
	bundle, err := m.bundleOf(ctx, t)
	if err != nil || bundle == "" {
		return nil, err
	}
	found, err := m.Deployed(ctx, t.GitRepo)
	if err != nil {
		return nil, err
	}
	var out []rings.ClusterName
	for _, d := range found {
		if d.Bundle == bundle {
			out = append(out, d.Cluster)
		}
	}
	slices.Sort(out)
	return out, nil
}

// bundleOf is the name of the service's Bundle, "" when it, or its GitRepo, is
// not there.
func (m *Manager) bundleOf(ctx context.Context, t orchestrator.Target) (string, error) {
	repo, err := m.GitRepo(ctx, t.GitRepo)
	if errors.Is(err, rings.ErrUnknown) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return m.BundleOf(ctx, repo, t.Path, t.Bundle)
}
