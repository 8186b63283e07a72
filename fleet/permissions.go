package fleet

import (
	"context"
	"fmt"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"golang.org/x/sync/errgroup"
	authv1 "k8s.io/api/authorization/v1"
)

// Missing is a permission that the program has a use for and does not have.
type Missing struct {
	Verb      string // "patch"
	Resource  string // "gitrepos.fleet.cattle.io/status"
	Namespace string // "" means all
	For       string // what it is needed for
	Optional  bool   // the program works without, but worse
	SetUp     bool   // only describing an application needs it, no rollout
}

// String is what a person would grant: `patch gitrepos.fleet.cattle.io/status in namespace "fleet-default"`.
func (m Missing) String() string {
	if m.Namespace == "" {
		return fmt.Sprintf("%s %s in all namespaces", m.Verb, m.Resource)
	}
	return fmt.Sprintf("%s %s in namespace %q", m.Verb, m.Resource, m.Namespace)
}

// need is a permission with its use.
type need struct {
	verbs                        []string
	group, resource, subresource string
	everywhere, optional, setUp  bool
	use                          string
}

// needs are all the permissions that the package uses. BundleDeployments lie in
// a namespace for each cluster, so they are read in all of them.
var needs = []need{
	{verbs: []string{"list", "watch"}, resource: "bundledeployments", everywhere: true, use: "seeing what runs on the clusters"},
	{verbs: []string{"list", "watch"}, resource: "bundles", use: "finding the services' Bundles"},
	{verbs: []string{"get", "list", "watch"}, resource: "clusters", use: "knowing the rings' clusters"},
	{verbs: []string{"list"}, resource: "clustergroups", use: "knowing which clusters a GitRepo deploys to"},
	{verbs: []string{"get", "list", "watch"}, resource: "gitrepos", use: "following the git jobs"},
	{verbs: []string{"patch"}, resource: "gitrepos", subresource: "status", optional: true, use: "telling Fleet of a commit at once, instead of at its next poll"},
	{verbs: []string{"patch"}, resource: "clusters", optional: true, setUp: true, use: "rollout cluster add and set-ring"},
	{verbs: []string{"get", "patch"}, group: provisioning.Group, resource: "clusters", optional: true, setUp: true, use: "rollout cluster add and set-ring of clusters whose labels Rancher writes"},
	{verbs: []string{"create"}, resource: "gitrepos", optional: true, setUp: true, use: "rollout service add of a repository that Fleet does not deploy yet"},
	{verbs: []string{"patch"}, resource: "gitrepos", optional: true, use: "running a failed git job again"},
	{verbs: []string{"get", "create", "update"}, group: "coordination.k8s.io", resource: "leases", optional: true, use: "keeping two stores from rolling out the same ring"},
}

// core is the group of Kubernetes' first types, whose name is empty.
const core = "core"

// registering and inviting are what only the registration of new clusters
// needs. Secrets are among it, so nobody misses them who does not register any.
var (
	registering = []need{
		{verbs: []string{"create", "patch"}, group: core, resource: "secrets", setUp: true, use: "giving Fleet the cluster's kubeconfig"},
		{verbs: []string{"create", "patch"}, resource: "clusters", setUp: true, use: "registering the cluster"},
	}
	inviting = []need{
		{verbs: []string{"create"}, resource: "clusters", setUp: true, use: "registering the cluster"},
		{verbs: []string{"create", "list", "watch"}, resource: "clusterregistrationtokens", setUp: true, use: "asking Fleet for a token"},
		{verbs: []string{"get"}, group: core, resource: "secrets", setUp: true, use: "reading the token"},
	}
)

// Permissions returns what the program needs in the workspace and may not do,
// in a fixed order; nothing when all is well.
func (m *Manager) Permissions(ctx context.Context) ([]Missing, error) { return m.missing(ctx, needs) }

// MayRegister is Permissions for Register.
func (m *Manager) MayRegister(ctx context.Context) ([]Missing, error) {
	return m.missing(ctx, registering)
}

// MayInvite is Permissions for Invite.
func (m *Manager) MayInvite(ctx context.Context) ([]Missing, error) { return m.missing(ctx, inviting) }

func (m *Manager) missing(ctx context.Context, needs []need) ([]Missing, error) {
	reviews := m.reviews(needs)
	denied := make([]bool, len(reviews))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range reviews {
		group.Go(func() error {
			req := request{verb: "create", resource: "selfsubjectaccessreviews.authorization.k8s.io"}
			err := m.client.Create(ctx, reviews[i].review)
			denied[i] = !reviews[i].review.Status.Allowed
			return req.fail(err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var out []Missing
	for i, r := range reviews {
		if denied[i] {
			out = append(out, r.missing)
		}
	}
	return out, nil
}

type review struct {
	review  *authv1.SelfSubjectAccessReview
	missing Missing
}

func (m *Manager) reviews(needs []need) []review {
	var out []review
	for _, n := range needs {
		group, namespace := n.group, m.workspace
		if group == "" {
			group = fleetv1.SchemeGroupVersion.Group
		}
		if n.everywhere {
			namespace = ""
		}
		name := n.resource + "." + group
		if group == core {
			name, group = n.resource, ""
		}
		if n.subresource != "" {
			name += "/" + n.subresource
		}
		for _, verb := range n.verbs {
			a := &authv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: n.resource, Subresource: n.subresource}
			out = append(out, review{
				review:  &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{ResourceAttributes: a}},
				missing: Missing{Verb: verb, Resource: name, Namespace: namespace, For: n.use, Optional: n.optional, SetUp: n.setUp}})
		}
	}
	return out
}
