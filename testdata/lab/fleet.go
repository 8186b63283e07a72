package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// GitSecret is the Secret in Namespace that lets Fleet read the lab's repositories: a GitRepo's clientSecretName.
	GitSecret = "git-auth"

	tokenName       = "lab"
	checkinInterval = "10s"
)

// Fleet's programs refuse to start without the times of a leader election, even when they hold none.
var fleetEnv = []string{
	"NAMESPACE=" + systemNamespace,
	"CATTLE_ELECTION_LEASE_DURATION=30s", "CATTLE_ELECTION_RETRY_PERIOD=10s", "CATTLE_ELECTION_RENEW_DEADLINE=25s",
	"FLEET_AGENT_ELECTION_LEASE_DURATION=30s", "FLEET_AGENT_ELECTION_RETRY_PERIOD=10s", "FLEET_AGENT_ELECTION_RENEW_DEADLINE=25s",
}

// fleetControllers describes Fleet's three controllers. Their Deployments, which the chart makes, run nowhere. Schedules are
// on, which Fleet still calls an experiment.
func (l *Lab) fleetControllers(s *state) []*process {
	addr := func(name string) string { return fmt.Sprintf("127.0.0.1:%d", s.Ports[name]) }
	fleet := func(part string, env []string, args ...string) *process {
		p := l.foreign(part, "fleetcontroller", args...)
		p.Env = append(append(p.Env, fleetEnv...), env...)
		return p
	}
	return []*process{
		fleet("fleetcontroller", []string{"FLEET_HEALTHPROBE_BIND_ADDRESS=" + addr("health"), "KUBECONFIG=" + l.Kubeconfig(), "EXPERIMENTAL_SCHEDULES=true"},
			"--leader-elect=false", "--disable-metrics"),
		// It asks for tokens by what the environment says, whatever its flag does (controllers/cluster/import.go, client.Getter).
		fleet("agentmanagement", []string{"KUBECONFIG=" + l.Kubeconfig()},
			"agentmanagement", "--kubeconfig", l.Kubeconfig(), "--namespace", systemNamespace, "--disable-bootstrap"),
		fleet("gitjob", []string{"KUBECONFIG=" + l.Kubeconfig()},
			"gitjob", "--namespace", systemNamespace, "--leader-elect=false", "--disable-metrics", "--listen", addr("webhook")),
	}
}

// installFleet installs Fleet's charts in the manager, without the hooks: they are Jobs that nothing would run.
func (l *Lab) installFleet(ctx context.Context, s *state) error {
	values, err := l.fleetValues(s)
	if err != nil {
		return err
	}
	if err := l.helm(ctx, manager, "install", "fleet-crd", s.Charts+"/fleet-crd"); err != nil {
		return err
	}
	return l.helm(ctx, manager, "install", "fleet", s.Charts+"/fleet", "--no-hooks", "--values", values)
}

func (l *Lab) fleetValues(s *state) (file string, err error) {
	ca, err := os.ReadFile(l.caFile(manager))
	if err != nil {
		return "", err
	}
	values, err := yaml.Marshal(map[string]any{
		"apiServerURL":         s.url(manager),
		"apiServerCA":          string(ca),
		"agentTLSMode":         "strict",
		"agentCheckinInterval": checkinInterval,
		"bootstrap":            map[string]any{"enabled": false},
	})
	if err != nil {
		return "", err
	}
	file = l.path(manager, "fleet-values.yaml")
	return file, os.WriteFile(file, values, 0o600)
}

// helm runs helm against an API server, in Fleet's namespace.
func (l *Lab) helm(ctx context.Context, server string, args ...string) error {
	args = append(args, "--kubeconfig", l.kubeconfig(server), "--namespace", systemNamespace, "--create-namespace")
	cmd := exec.CommandContext(ctx, l.program("helm"), args...)
	cmd.Dir, cmd.Env = l.dir, environment(l.dir)
	_, err := output(cmd)
	return err
}

// createWorkspace makes the workspace and what it holds from the beginning: the way into git, a registration token, and the Clusters.
// A Cluster that is there before its agent registers keeps its readable name; its client id says which agent it belongs to.
func (l *Lab) createWorkspace(ctx context.Context, c client.Client, clusters []Cluster) error {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}},
		&corev1.Secret{
			ObjectMeta: inWorkspace(GitSecret),
			Type:       corev1.SecretTypeBasicAuth,
			StringData: map[string]string{"username": GitUser, "password": GitPassword},
		},
		&fleetv1.ClusterRegistrationToken{ObjectMeta: inWorkspace(tokenName)},
	}
	for _, cluster := range clusters {
		meta := inWorkspace(cluster.Name)
		meta.Labels = cluster.Labels
		objects = append(objects, &fleetv1.Cluster{ObjectMeta: meta, Spec: fleetv1.ClusterSpec{ClientID: cluster.Name}})
	}
	for _, o := range objects {
		if err := c.Create(ctx, o); err != nil {
			return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

func inWorkspace(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: Namespace}
}

// tokenValues waits for Fleet to answer the registration token, with the values that an agent's chart takes.
func (l *Lab) tokenValues(ctx context.Context, c client.Client) ([]byte, error) {
	var values []byte
	err := l.until(ctx, readyLimit, "Fleet answers the registration token", func(ctx context.Context) error {
		var token fleetv1.ClusterRegistrationToken
		if err := c.Get(ctx, key(tokenName), &token); err != nil {
			return err
		}
		if token.Status.SecretName == "" {
			return errors.New("the token has no secret yet")
		}
		var secret corev1.Secret
		if err := c.Get(ctx, key(token.Status.SecretName), &secret); err != nil {
			return err
		}
		values = secret.Data["values"]
		return nil
	})
	return values, err
}

func key(name string) client.ObjectKey { return client.ObjectKey{Namespace: Namespace, Name: name} }

// waitRegistered returns when Fleet has given the cluster its namespace and its agent has deployed something from there. (The
// first is the agent's own bundle. The agent's first check-in comes one interval later and is not waited for.)
func (l *Lab) waitRegistered(ctx context.Context, c client.Client, name string) error {
	return l.until(ctx, 2*time.Minute, name+" is registered", func(ctx context.Context) error {
		var cluster fleetv1.Cluster
		if err := c.Get(ctx, key(name), &cluster); err != nil {
			return err
		}
		if cluster.Status.Namespace == "" {
			return errors.New("Fleet has not given it a namespace")
		}
		var deployments fleetv1.BundleDeploymentList
		if err := c.List(ctx, &deployments, client.InNamespace(cluster.Status.Namespace)); err != nil {
			return err
		}
		for _, d := range deployments.Items {
			if d.Status.AppliedDeploymentID != "" {
				return nil
			}
		}
		return errors.New("its agent has deployed nothing yet")
	})
}
