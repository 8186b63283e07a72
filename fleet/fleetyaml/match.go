package fleetyaml

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// displayNameLabel is where Rancher keeps the name that people gave a cluster. `clusterName` matches it, too
// (controller/target/matcher/clustermatcher.go:31-38).
const displayNameLabel = "management.cattle.io/cluster-display-name"

// Cluster is a Fleet Cluster object as Fleet's matching sees it. Within one call names are unique: two clusters of one
// name, in two namespaces, are taken for one, and are then both in the ring or both outside.
type Cluster struct {
	Name   string
	Labels map[string]string
	Groups []Group // the ClusterGroups that select it
}

// Group is a ClusterGroup: its name and its own labels.
type Group struct {
	Name   string
	Labels map[string]string
}

// Target says which clusters are meant: a target of a GitRepo, an overrideTargets item, or the criteria of a
// targetCustomizations entry. Its fields are named as Fleet names them.
type Target struct {
	Name                 string                `json:"name,omitempty"`
	ClusterName          string                `json:"clusterName,omitempty"`
	ClusterSelector      *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	ClusterGroup         string                `json:"clusterGroup,omitempty"`
	ClusterGroupSelector *metav1.LabelSelector `json:"clusterGroupSelector,omitempty"`
	DoNotDeploy          bool                  `json:"doNotDeploy,omitempty"`
}

// Matches reports whether the target means the cluster, by Fleet's rule (matcher/clustermatcher.go): all criteria that
// are given must hold, and for one and the same group; without any criterion it means no cluster; a selector that is
// given but empty means every cluster. DoNotDeploy plays no part. The error is a selector that Kubernetes refuses.
func (t Target) Matches(c Cluster) (bool, error) {
	m, err := t.compile()
	if err != nil {
		return false, err
	}
	return m.matches(c), nil
}

// matcher is a Target with its selectors compiled, for asking about many clusters.
type matcher struct {
	target   Target
	clusters labels.Selector // nil: no criterion
	groups   labels.Selector // nil: no criterion
}

func (t Target) compile() (matcher, error) {
	m := matcher{target: t}
	var err error
	if t.ClusterSelector != nil {
		if m.clusters, err = metav1.LabelSelectorAsSelector(t.ClusterSelector); err != nil {
			return m, fmt.Errorf("clusterSelector: %w", err)
		}
	}
	if t.ClusterGroupSelector != nil {
		if m.groups, err = metav1.LabelSelectorAsSelector(t.ClusterGroupSelector); err != nil {
			return m, fmt.Errorf("clusterGroupSelector: %w", err)
		}
	}
	return m, nil
}

// matches tries the cluster once for each of its groups, and once without a group if it has none
// (matcher/bundlematch.go: match, matchCustomization). So `clusterGroupSelector: {}` also means a cluster without groups.
func (m matcher) matches(c Cluster) bool {
	if len(c.Groups) == 0 {
		return m.matchesIn(c, Group{})
	}
	for _, g := range c.Groups {
		if m.matchesIn(c, g) {
			return true
		}
	}
	return false
}

func (m matcher) matchesIn(c Cluster, g Group) bool {
	t := m.target
	if t.ClusterName == "" && t.ClusterGroup == "" && m.clusters == nil && m.groups == nil {
		return false
	}
	return (t.ClusterName == "" || t.ClusterName == c.Name || t.ClusterName == c.Labels[displayNameLabel]) &&
		(t.ClusterGroup == "" || t.ClusterGroup == g.Name) &&
		(m.groups == nil || m.groups.Matches(labels.Set(g.Labels))) &&
		(m.clusters == nil || m.clusters.Matches(labels.Set(c.Labels)))
}
