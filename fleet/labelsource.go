package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// provisioning is Rancher's type of a cluster, whose labels it copies to the
// Fleet Cluster of the same namespace and name, by way of its management
// Cluster (pkg/controllers/provisioningv2 in rancher/rancher).
var provisioning = schema.GroupVersionKind{Group: "provisioning.cattle.io", Version: "v1", Kind: "Cluster"}

const provisioningClusters = "clusters.provisioning.cattle.io"

// copyWait bounds the wait for Rancher to copy labels.
const copyWait = 2 * time.Minute

// LabelSource is the object of Rancher that a Fleet Cluster's labels come from,
// which may be changed.
type LabelSource struct {
	Namespace, Name string
	labels          map[string]string
	version         string
}

// String names the object.
func (s LabelSource) String() string {
	return fmt.Sprintf("%s %q", provisioningClusters, s.Namespace+"/"+s.Name)
}

// LabelSource returns where the labels of a cluster are to be set that Rancher
// writes. It is a [LabelsOwnedError] when there is no such object or it must
// not be changed with these credentials.
func (m *Manager) LabelSource(ctx context.Context, c Cluster) (LabelSource, error) {
	if c.LabelsOwned == nil {
		return LabelSource{}, fmt.Errorf("cluster %q: nobody but Fleet owns its labels", c.Name)
	}
	s, err := m.readSource(ctx, m.workspace, string(c.Name))
	if errors.Is(err, ErrForbidden) {
		return s, c.LabelsOwned.forbidden(s, err)
	}
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return s, c.LabelsOwned
	}
	if err != nil {
		return s, err
	}
	if err := m.mayPatch(ctx, s); err != nil {
		return s, c.LabelsOwned.forbidden(s, err)
	}
	return s, nil
}

// readSource reads the provisioning Cluster; a 404 is returned as it is.
func (m *Manager) readSource(ctx context.Context, namespace, name string) (LabelSource, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(provisioning)
	s := LabelSource{Namespace: namespace, Name: name}
	err := m.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, u)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return s, err
	}
	s.labels, s.version = u.GetLabels(), u.GetResourceVersion()
	return s, s.request("get").fail(err)
}

func (s LabelSource) request(verb string) request {
	return request{verb: verb, resource: provisioningClusters, namespace: s.Namespace, name: s.Name}
}

// mayPatch returns a ForbiddenError when the object must not be changed.
func (m *Manager) mayPatch(ctx context.Context, s LabelSource) error {
	r := &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authv1.ResourceAttributes{
		Namespace: s.Namespace, Verb: "patch", Group: provisioning.Group, Resource: "clusters", Name: s.Name}}}
	req := request{verb: "create", resource: "selfsubjectaccessreviews.authorization.k8s.io"}
	if err := m.client.Create(ctx, r); err != nil {
		return req.fail(err)
	}
	if !r.Status.Allowed {
		return &ForbiddenError{Verb: "patch", Resource: provisioningClusters, Namespace: s.Namespace}
	}
	return nil
}

// setSource sets and removes labels where Rancher takes them from, and returns
// the Fleet Cluster once it shows them.
func (m *Manager) setSource(ctx context.Context, c Cluster, set map[string]string, remove []string) (Cluster, error) {
	var s LabelSource
	err := retry.RetryOnConflict(labelBackoff, func() (err error) {
		if s, err = m.LabelSource(ctx, c); err == nil {
			err = m.patchSource(ctx, s, labelChanges(s.labels, set, remove))
		}
		return err
	})
	if errors.Is(err, ErrForbidden) {
		err = c.LabelsOwned.forbidden(s, err)
	}
	if err != nil {
		return c, err
	}
	return m.awaitLabels(ctx, c, s, set, remove)
}

// patchSource changes labels of the object, if it is as it was read.
func (m *Manager) patchSource(ctx context.Context, s LabelSource, changes map[string]any) error {
	if len(changes) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": s.version, "labels": changes}})
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(provisioning)
	u.SetNamespace(s.Namespace)
	u.SetName(s.Name)
	return s.request("patch").fail(m.client.Patch(ctx, u, client.RawPatch(types.MergePatchType, patch)))
}

// awaitLabels returns the Fleet Cluster once it has the labels.
func (m *Manager) awaitLabels(ctx context.Context, c Cluster, s LabelSource, set map[string]string, remove []string) (Cluster, error) {
	defer m.forgetReach(m.workspace)
	watch, stop := context.WithTimeout(ctx, copyWait)
	defer stop()
	copied := false
	err := m.WatchClusters(watch, ClusterWatch{Name: c.Name}, func(now Cluster) {
		if !copied && len(labelChanges(now.Labels, set, remove)) == 0 {
			c, copied = now, true
			stop()
		}
	})
	switch {
	case copied:
		return c, nil
	case err != nil:
		return c, err
	case ctx.Err() != nil:
		return c, fmt.Errorf("cluster %q: its labels are set on %s, and not on the Fleet Cluster yet: %w", c.Name, s, ctx.Err())
	}
	return c, &LabelsLateError{Cluster: string(c.Name), Source: s, Waited: copyWait}
}

// LabelsLateError says that Rancher has not copied labels in time. It wraps
// [ErrLabelsOwned].
type LabelsLateError struct {
	Cluster string
	Source  LabelSource
	Waited  time.Duration
}

// Error names the cluster and the object that has the labels already.
func (e *LabelsLateError) Error() string {
	return fmt.Sprintf("cluster %q: its labels are set on %s, but after %s the Fleet Cluster does not show them", e.Cluster, e.Source, e.Waited)
}

// Unwrap returns ErrLabelsOwned.
func (e *LabelsLateError) Unwrap() error { return ErrLabelsOwned }

// forbidden is the error of a source that must not be changed with these
// credentials.
func (e *LabelsOwnedError) forbidden(s LabelSource, err error) error {
	if _, is := errors.AsType[*ForbiddenError](err); !is {
		return err
	}
	var already *LabelsOwnedError
	if errors.As(err, &already) {
		return err
	}
	named := *e
	named.Owner, named.Err = s.String(), err
	return &named
}

// Place is where Rancher's pages have the labels, for people.
func (e *LabelsOwnedError) Place() string {
	return fmt.Sprintf("Cluster Management > Clusters > %s > Edit Config > Labels & Annotations", e.Cluster)
}

// Command is what sets the labels on their owner by hand; changes are like
// `ring=ring-1` and, to remove one, `ring-`.
func (e *LabelsOwnedError) Command(changes ...string) string {
	kind, name, _ := strings.Cut(strings.ReplaceAll(e.Owner, `"`, ""), " ")
	command := "kubectl label --overwrite " + kind
	if namespace, short, ok := strings.Cut(name, "/"); ok {
		command, name = fmt.Sprintf("kubectl -n %s label --overwrite %s", namespace, kind), short
	}
	return strings.Join(append([]string{command, name}, changes...), " ")
}
