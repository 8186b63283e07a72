package lab

import (
	"context"
	"fmt"

	"sigs.k8s.io/yaml"
)

// agent describes a cluster's agent. Without the two addresses a second one would die on the ports 8080 and 8081.
func (l *Lab) agent(cluster string) *process {
	p := l.foreign("agent-"+cluster, "fleetagent",
		"--kubeconfig", l.kubeconfig(cluster), "--namespace", systemNamespace, "--agent-scope", systemNamespace,
		"--leader-elect=false", "--checkin-interval", checkinInterval)
	p.Env = append(append(p.Env, fleetEnv...),
		"HOSTNAME="+p.Name, "POD_NAME="+p.Name, "FLEET_AGENT_PPROF_DISABLED=true",
		"FLEET_AGENT_METRICS_BIND_ADDRESS=0", "FLEET_AGENT_PROBE_BIND_ADDRESS=0")
	return p
}

// installAgent installs the agent's chart, which carries the token, and starts the agent, which registers itself with it.
func (l *Lab) installAgent(ctx context.Context, cluster string, token []byte) error {
	values, err := agentValues(token, cluster)
	if err != nil {
		return err
	}
	if err := l.InstallAgent(ctx, cluster, values); err != nil {
		return err
	}
	return l.launch(ctx, l.agent(cluster))
}

// agentValues adds to the values of the registration token who the cluster is.
func agentValues(token []byte, clientID string) ([]byte, error) {
	values := map[string]any{}
	if err := yaml.Unmarshal(token, &values); err != nil {
		return nil, fmt.Errorf("read the registration token's values: %w", err)
	}
	values["clientID"] = clientID
	values["agentTLSMode"] = "strict"
	return yaml.Marshal(values)
}
