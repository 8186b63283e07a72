package gitrepo

import (
	"context"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
)

// Inventory knows the Fleet objects that decide what a cluster gets from a
// repository. Package fleet implements it.
type Inventory interface {
	// Reach returns what a service's fleet.yaml can reach. An error that is an
	// [Error] is passed on as it is; any other means that Fleet could not be
	// reached. Safe for concurrent use.
	Reach(ctx context.Context, s orchestrator.Scope, t orchestrator.Target) (Reach, error)
}

// Reach is what one service's fleet.yaml can reach.
type Reach struct {
	// Clusters are all clusters of the workspace, not only the application's:
	// an edit must leave the others as they are.
	Clusters []fleetyaml.Cluster
	// Targets are those of the service's GitRepo.
	Targets []fleetyaml.Target
}

// ring returns the clusters that carry all of the labels.
func (r Reach) ring(labels map[string]string) []fleetyaml.Cluster {
	var out []fleetyaml.Cluster
	for _, c := range r.Clusters {
		if carries(c.Labels, labels) {
			out = append(out, c)
		}
	}
	return out
}

func carries(has, want map[string]string) bool {
	for k, v := range want {
		if got, ok := has[k]; !ok || got != v {
			return false
		}
	}
	return true
}
