package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/rings"
)

// Cluster is a Fleet Cluster object, as the commands show it.
type Cluster struct {
	Name      rings.ClusterName
	Namespace string // of its BundleDeployments: status.namespace; "" until Fleet made it
	Labels    map[string]string
	LastSeen  time.Time // the agent's last check-in; zero: never
	Ready     bool      // all its Bundles are: its Ready condition is not False, and its agent checked in once
	NotReady  string    // the Ready condition's words when it is False: "NotReady(1) [Bundle db]; ..."
	Paused    bool
	// LabelsOwned is not nil when Rancher writes the labels; see SetLabels.
	LabelsOwned *LabelsOwnedError
	// Registration is how its agent comes, or came, to the manager.
	Registration Registration

	version string // metadata.resourceVersion
}

// Clusters returns the workspace's clusters, sorted by name.
func (m *Manager) Clusters(ctx context.Context) ([]Cluster, error) {
	out := []Cluster{}
	err := listAll(ctx, m, "clusters", m.workspace, "", func(w *wireCluster) { out = append(out, w.cluster()) })
	slices.SortFunc(out, func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
}

// Cluster returns one cluster of the workspace. The error wraps
// rings.ErrUnknown when there is none of that name.
func (m *Manager) Cluster(ctx context.Context, name rings.ClusterName) (Cluster, error) {
	req := request{verb: "get", resource: resource("clusters"), namespace: m.workspace, name: string(name)}
	body, err := m.raw.Get().Namespace(m.workspace).Resource("clusters").Name(req.name).Do(ctx).Raw()
	if err != nil {
		return Cluster{}, m.notFound(ctx, req, err)
	}
	var w wireCluster
	if err := json.Unmarshal(body, &w); err != nil {
		return Cluster{}, fmt.Errorf("%s: %w", req, err)
	}
	return w.cluster(), nil
}

func (w *wireCluster) cluster() Cluster {
	c := Cluster{Name: rings.ClusterName(w.Metadata.Name), Namespace: w.Status.Namespace, Labels: w.Metadata.Labels,
		LastSeen: w.lastSeen(), NotReady: w.Status.Conditions.failure("Ready"), Paused: w.Spec.Paused,
		LabelsOwned: w.labelsOwned(), Registration: w.registration(), version: w.Metadata.ResourceVersion}
	c.Ready = c.NotReady == "" && !c.LastSeen.IsZero()
	return c
}

// SetLabels sets and removes labels of a cluster and returns it as it is then.
// Labels that stand as wanted are no change, and no write. Where Rancher would
// write its own back they are set on Rancher's object, and it returns once the
// Fleet Cluster shows them; see [Manager.LabelSource] for when that cannot be
// done. An object that
// changed meanwhile is read again, since every check-in of an agent changes
// it; when it is one of these labels that somebody changed, that is a conflict
// and nothing is written.
func (m *Manager) SetLabels(ctx context.Context, name rings.ClusterName, set map[string]string, remove []string) (Cluster, error) {
	first, err := m.Cluster(ctx, name)
	if err != nil {
		return first, err
	}
	c := first
	if c.LabelsOwned != nil && len(labelChanges(c.Labels, set, remove)) > 0 {
		return m.setSource(ctx, c, set, remove)
	}
	err = retry.RetryOnConflict(labelBackoff, func() error {
		if c, err = m.setLabels(ctx, c, set, remove); !apierrors.IsConflict(err) {
			return err
		}
		conflict := err
		if c, err = m.Cluster(ctx, name); err != nil {
			return err
		}
		if moved(first.Labels, c.Labels, set, remove) {
			return fmt.Errorf("cluster %q: somebody changed the same labels at the same time", name)
		}
		return conflict
	})
	return c, err
}

// labelBackoff bounds the tries of SetLabels; others write in milliseconds.
var labelBackoff = wait.Backoff{Steps: 20, Duration: 10 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Cap: time.Second}

// moved reports whether one of the labels to change is not what it was.
func moved(was, is, set map[string]string, remove []string) bool {
	for _, k := range slices.AppendSeq(slices.Clone(remove), maps.Keys(set)) {
		if was[k] != is[k] {
			return true
		}
	}
	return false
}

func (m *Manager) setLabels(ctx context.Context, c Cluster, set map[string]string, remove []string) (Cluster, error) {
	changes := labelChanges(c.Labels, set, remove)
	if len(changes) == 0 {
		return c, nil
	}
	if c.LabelsOwned != nil {
		return c, c.LabelsOwned
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": c.version, "labels": changes}})
	if err != nil {
		return c, fmt.Errorf("cluster %q: %w", c.Name, err)
	}
	obj := &fleetv1.Cluster{}
	obj.Namespace, obj.Name = m.workspace, string(c.Name)
	if err := m.client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch)); err != nil {
		req := request{verb: "patch", resource: resource("clusters"), namespace: m.workspace, name: string(c.Name)}
		return c, req.fail(err)
	}
	m.forgetReach(m.workspace)
	c.Labels, c.version = obj.Labels, obj.ResourceVersion
	return c, nil
}

// labelChanges are what a merge patch needs: null removes.
func labelChanges(have, set map[string]string, remove []string) map[string]any {
	out := map[string]any{}
	for _, k := range remove {
		if _, there := have[k]; there {
			out[k] = nil
		}
	}
	for k, v := range set {
		delete(out, k)
		if old, there := have[k]; !there || old != v {
			out[k] = v
		}
	}
	return out
}

const (
	managementName = "management.cattle.io/cluster-name"
	ownerKind      = "objectset.rio.cattle.io/owner-gvk"
	ownerName      = "objectset.rio.cattle.io/owner-name"
	ownerNamespace = "objectset.rio.cattle.io/owner-namespace"
)

// rancherGroups are the API groups of the objects that Rancher makes Fleet
// Clusters from.
var rancherGroups = []string{"management.cattle.io", "provisioning.cattle.io"}

// labelsOwned tells a Cluster that Rancher generates: from its provisioning
// Cluster, with the labels of the management Cluster, which are written back
// (rancher/rancher pkg/controllers/provisioningv2/fleetcluster/fleetcluster.go,
// createCluster). The signs: the label with the management Cluster's name,
// which is set there; wrangler's owner annotations; an owner reference.
func (w *wireCluster) labelsOwned() *LabelsOwnedError {
	e := &LabelsOwnedError{Cluster: w.Metadata.Name}
	if name := w.Metadata.Labels[managementName]; name != "" {
		e.Owner, e.Sign = fmt.Sprintf("clusters.management.cattle.io %q", name), "label "+managementName
		return e
	}
	if kind := w.Metadata.Annotations[ownerKind]; fromRancher(kind) {
		group, _, _ := strings.Cut(kind, "/")
		name := strings.TrimPrefix(w.Metadata.Annotations[ownerNamespace]+"/"+w.Metadata.Annotations[ownerName], "/")
		e.Owner, e.Sign = fmt.Sprintf("clusters.%s %q", group, name), "annotation "+ownerKind
		return e
	}
	for _, o := range w.Metadata.Owners {
		if fromRancher(o.APIVersion) {
			group, _, _ := strings.Cut(o.APIVersion, "/")
			e.Owner, e.Sign = fmt.Sprintf("clusters.%s %q", group, o.Name), "owner reference"
			return e
		}
	}
	return nil
}

// fromRancher takes "provisioning.cattle.io/v1" and what may follow.
func fromRancher(apiVersion string) bool {
	group, _, _ := strings.Cut(apiVersion, "/")
	return slices.Contains(rancherGroups, group)
}

// notFound makes a rings.UnknownError, with the nearest name there is, of a 404
// for an object.
func (m *Manager) notFound(ctx context.Context, r request, err error) error {
	if !apierrors.IsNotFound(err) || noSuchType(err) {
		return r.fail(err)
	}
	plural, _, _ := strings.Cut(r.resource, ".")
	var names []string
	// Without the names there is no suggestion; that is all.
	_ = listAll(ctx, m, plural, r.namespace, "", func(w *wireGroup) { names = append(names, w.Metadata.Name) })
	kind := map[string]string{"clusters": "cluster", "gitrepos": "GitRepo"}[plural]
	return &rings.UnknownError{Kind: kind, Name: r.name, Where: fmt.Sprintf("workspace %q", r.namespace),
		Nearest: rings.Nearest(r.name, names)}
}
