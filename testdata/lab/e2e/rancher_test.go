package e2e

import (
	"context"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

const managementLabel = "management.cattle.io/cluster-name"

// rancher plays the part of Rancher that owns a cluster's labels: a
// provisioning Cluster whose labels are copied over those of the Fleet Cluster,
// whoever set them.
type rancher struct {
	*scenario
	client client.Client
	name   string
}

// provisions makes the type, the two objects of a cluster without an agent, and
// copies labels until the scenario ends.
func (s *scenario) provisions(name string) *rancher {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	r := &rancher{s, c, name}
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "clusters.provisioning.cattle.io"},
		"spec": map[string]any{"group": "provisioning.cattle.io", "scope": "Namespaced",
			"names": map[string]any{"kind": "Cluster", "listKind": "ClusterList", "plural": "clusters", "singular": "cluster"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}}}
	r.make(crd)
	s.eventually(time.Minute, "the API server serves Rancher's type", func() bool {
		return apierrors.IsNotFound(c.Get(s.ctx, client.ObjectKey{Namespace: lab.Namespace, Name: "none"}, r.object())) && r.served()
	})
	r.make(r.object())
	meta := metav1.ObjectMeta{Name: name, Namespace: lab.Namespace, Labels: map[string]string{managementLabel: "c-m-" + name}}
	r.make(&fleetv1.Cluster{ObjectMeta: meta, Spec: fleetv1.ClusterSpec{ClientID: name}})
	done := make(chan struct{})
	ctx, stop := context.WithCancel(s.ctx)
	go func() {
		defer close(done)
		r.copy(ctx)
	}()
	s.Cleanup(func() { stop(); <-done })
	return r
}

// make creates an object, and deletes it at the end.
func (r *rancher) make(o client.Object) {
	r.Helper()
	r.must(r.client.Create(r.ctx, o))
	r.Cleanup(func() { r.must(client.IgnoreNotFound(r.client.Delete(context.WithoutCancel(r.ctx), o))) })
}

// object is Rancher's cluster, as far as it is known without reading it.
func (r *rancher) object() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("provisioning.cattle.io/v1")
	u.SetKind("Cluster")
	u.SetNamespace(lab.Namespace)
	u.SetName(r.name)
	return u
}

// served reports whether the type can be listed.
func (r *rancher) served() bool {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("provisioning.cattle.io/v1")
	list.SetKind("ClusterList")
	return r.client.List(r.ctx, list, client.InNamespace(lab.Namespace)) == nil
}

// copy overwrites the Fleet Cluster's labels, as Rancher does.
func (r *rancher) copy(ctx context.Context) {
	for ctx.Err() == nil {
		from, to := r.object(), &fleetv1.Cluster{}
		key := client.ObjectKeyFromObject(from)
		if r.client.Get(ctx, key, from) == nil && r.client.Get(ctx, key, to) == nil {
			want := map[string]string{managementLabel: "c-m-" + r.name}
			maps.Copy(want, from.GetLabels())
			if !maps.Equal(to.Labels, want) {
				to.Labels = want
				_ = r.client.Update(ctx, to) // when it changed meanwhile: the next time
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// labels are those of Rancher's object.
func (r *rancher) labels() map[string]string {
	r.Helper()
	u := r.object()
	r.must(r.client.Get(r.ctx, client.ObjectKeyFromObject(u), u))
	return u.GetLabels()
}

// relabel sets a label of Rancher's object as a person would in its pages.
func (r *rancher) relabel(key, value string) {
	r.Helper()
	u := r.object()
	r.must(r.client.Get(r.ctx, client.ObjectKeyFromObject(u), u))
	labels := u.GetLabels()
	labels[key] = value
	u.SetLabels(labels)
	r.must(r.client.Update(r.ctx, u))
}

// A cluster whose labels Rancher writes: they are set where Rancher takes them
// from; without permission it is said where that is; and a label that somebody
// else changes is noted.
func TestRancherLabels(t *testing.T) {
	s := play(t, "rancher", 0)
	const name = "rancher-c9"
	r := s.provisions(name)
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	s.ok("ring", "create", s.app, "ring-1")
	s.ok("ring", "create", s.app, "ring-2")

	s.label(name, s.ringLabel(), "ring-9")
	s.eventually(time.Minute, "Rancher writes its labels back", func() bool {
		return s.object(&fleetv1.Cluster{}, name).GetLabels()[s.ringLabel()] == ""
	})

	all := readRoles(t)
	denied := s.with(t)
	denied.as("denied", all.without("clusters", "patch"))
	denied.says(denied.ends(4, "cluster", "add", name, "--app", s.app, "--ring", "ring-1", "--yes"),
		`clusters.provisioning.cattle.io "fleet-default/`+name+`"`, "not permitted", "kubectl -n fleet-default label --overwrite clusters.provisioning.cattle.io "+name,
		"Cluster Management > Clusters > "+name)

	s.as("allowed", all)
	s.says(s.ok("cluster", "add", name, "--app", s.app, "--ring", "ring-1", "--yes"), "from which Rancher copies them")
	s.ok("cluster", "set-ring", name, "ring-2", "--app", s.app, "--yes")
	if got := r.labels(); got[s.ringLabel()] != "ring-2" || got[s.selector()] != "true" {
		t.Errorf("Rancher's cluster has the labels %v", got)
	}
	if got := s.object(&fleetv1.Cluster{}, name).GetLabels()[s.ringLabel()]; got != "ring-2" {
		t.Errorf("the Fleet Cluster is on %q, want ring-2", got)
	}

	run := s.begin("run")
	r.relabel(s.ringLabel(), "ring-1")
	s.eventuallyBy(time.Second, 2*time.Minute, "the history has it", func() bool {
		return strings.Contains(s.look("app", "history", s.app).stdout, "cluster "+name+" moved from ring-2 to ring-1\tsomebody else")
	})
	s.must(run.Process.Signal(os.Interrupt))
	if code := run.code(time.Minute); code != 130 {
		t.Errorf("run ends with %d", code)
	}
	s.says(s.ok("cluster", "list", "--app", s.app), name+"\trancher\tring-1")
}
