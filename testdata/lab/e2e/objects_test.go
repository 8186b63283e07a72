package e2e

import (
	"strings"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// label sets a label of a Cluster object by hand.
func (s *scenario) label(cluster, key, value string) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	object := &fleetv1.Cluster{}
	object.Name, object.Namespace = cluster, lab.Namespace
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+key+`":"`+value+`"}}}`))
	s.must(c.Patch(s.ctx, object, patch))
}

// scaleByHand changes a Deployment on a cluster as kubectl scale does: another
// field manager then owns the replicas.
func (s *scenario) scaleByHand(cluster, service string, replicas int) {
	s.Helper()
	c, err := s.lab.DownstreamClient(cluster)
	s.must(err)
	d := s.deployment(cluster, service)
	if d == nil {
		s.Fatalf("no deployment of %s on %s", service, cluster)
	}
	n := int32(replicas)
	d.Spec.Replicas = &n
	s.must(c.Update(s.ctx, d, client.FieldOwner("kubectl")))
}

// imageByHand changes the image of a Deployment on a cluster as kubectl set
// image does.
func (s *scenario) imageByHand(cluster, service, version string) {
	s.Helper()
	c, err := s.lab.DownstreamClient(cluster)
	s.must(err)
	d := s.deployment(cluster, service)
	if d == nil {
		s.Fatalf("no deployment of %s on %s", service, cluster)
	}
	container := &d.Spec.Template.Spec.Containers[0]
	container.Image = container.Image[:strings.LastIndex(container.Image, ":")+1] + version
	s.must(c.Update(s.ctx, d, client.FieldOwner("kubectl")))
}
