package e2e

import (
	"errors"
	"strings"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// dump logs what Fleet says of the scenario's objects, for whoever reads why it
// failed.
func (s *scenario) dump() {
	s.Helper()
	c, err := s.lab.Client()
	if err != nil {
		s.Logf("what Fleet says cannot be read: %v", err)
		return
	}
	s.dumpBundles(c)
	deployments := &fleetv1.BundleDeploymentList{}
	if err := c.List(s.ctx, deployments); err != nil {
		s.Logf("BundleDeployments cannot be read: %v", err)
	}
	for _, d := range deployments.Items {
		if !strings.HasPrefix(d.Labels["fleet.cattle.io/repo-name"], s.app+"-") {
			continue
		}
		synced := int64(-1)
		if d.Status.SyncGeneration != nil {
			synced = *d.Status.SyncGeneration
		}
		s.Logf("BundleDeployment %s of %s: label %s, staged %s, deployment %s, applied %s, nonce %d acknowledged %d, ready %t, not modified %t, paused %t, awaits values %t, %+v",
			d.Name, d.Labels["fleet.cattle.io/cluster"], d.Labels[commitLabel], d.Spec.StagedDeploymentID, d.Spec.DeploymentID, d.Status.AppliedDeploymentID,
			d.Spec.Options.ForceSyncGeneration, synced, d.Status.Ready, d.Status.NonModified, d.Spec.Paused, d.Spec.WaitingForValues, d.Status.Conditions)
	}
}

func (s *scenario) dumpBundles(c client.Client) {
	s.Helper()
	repos, bundles := &fleetv1.GitRepoList{}, &fleetv1.BundleList{}
	for _, list := range []client.ObjectList{repos, bundles} {
		if err := c.List(s.ctx, list, client.InNamespace(lab.Namespace)); err != nil {
			s.Logf("%T cannot be read: %v", list, err)
		}
	}
	for _, r := range repos.Items {
		if strings.HasPrefix(r.Name, s.app+"-") {
			s.Logf("GitRepo %s: commit %s, job %s, %+v", r.Name, r.Status.Commit, r.Status.GitJobStatus, r.Status.Conditions)
		}
	}
	for _, b := range bundles.Items {
		if strings.HasPrefix(b.Name, s.app+"-") {
			s.Logf("Bundle %s: label %s, generation %d observed %d, unavailable %d of %d, %+v",
				b.Name, b.Labels[commitLabel], b.Generation, b.Status.ObservedGeneration, b.Status.Unavailable, b.Status.MaxUnavailable, b.Status.Conditions)
		}
	}
}

// leave takes the scenario's GitRepos away. Fleet polls each of them every few
// seconds, and with those of all scenarios a small machine would do little else.
// The repositories stay.
func (s *scenario) leave() {
	s.Helper()
	repos := &fleetv1.GitRepoList{}
	c, err := s.lab.Client()
	if err == nil {
		err = c.List(s.ctx, repos, client.InNamespace(lab.Namespace))
	}
	for i := range repos.Items {
		if r := &repos.Items[i]; strings.HasPrefix(r.Name, s.app+"-") {
			err = errors.Join(err, client.IgnoreNotFound(c.Delete(s.ctx, r)))
		}
	}
	if err != nil {
		s.Logf("its GitRepos stay: %v", err)
	}
}
