package lab

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// agentDeployment is what Fleet, or its chart, installs in a cluster.
const agentDeployment = "fleet-agent"

// AddCluster adds a cluster that Fleet does not know: an API server, and what plays its machines. As soon as somebody makes
// the agent's Deployment there the agent runs, as long as the Deployment is there; the parts are api-NAME, kwok-NAME,
// kubelet-NAME and agent-NAME. It returns when the API server is ready: DownstreamKubeconfig leads into it.
func (l *Lab) AddCluster(ctx context.Context, name string) error {
	ports, err := freePorts([]string{name})
	if err != nil {
		return err
	}
	err = updateState(ctx, l.dir, func(s *state) error {
		if s.cluster(name) == nil {
			return fmt.Errorf("there is a cluster %q already", name)
		}
		s.Clusters, s.Ports[name] = append(s.Clusters, Cluster{Name: name}), ports[name]
		return nil
	})
	if err != nil {
		return err
	}
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	if err := l.startAPI(ctx, s, name); err != nil {
		return err
	}
	if err := l.launch(ctx, l.kwok(name)); err != nil {
		return err
	}
	return l.launch(ctx, l.foreign(kubeletPart(name), own.name, "run-agent", "--dir", l.dir, "--cluster", name))
}

// RemoveCluster ends all parts of a cluster that was added, and forgets it. Its Cluster object, if it has one, stays.
func (l *Lab) RemoveCluster(ctx context.Context, name string) error {
	parts := []string{kubeletPart(name), "agent-" + name, "kwok-" + name, apiPart(name)}
	var errs []error
	for _, part := range parts {
		if err := l.Stop(ctx, part); err != nil && l.has(part) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	l.clients.Delete(name)
	return updateState(ctx, l.dir, func(s *state) error {
		s.Clusters = slices.DeleteFunc(s.Clusters, func(c Cluster) bool { return c.Name == name })
		s.Processes = slices.DeleteFunc(s.Processes, func(p *process) bool { return slices.Contains(parts, p.Name) })
		return nil
	})
}

func kubeletPart(cluster string) string { return "kubelet-" + cluster }

// has tells whether the lab has such a part, running or not.
func (l *Lab) has(part string) bool {
	s, err := readState(l.dir)
	if err != nil {
		return false
	}
	_, err = s.part(part)
	return err == nil
}

// InstallAgent installs the agent's chart in a cluster with these values, as `helm install fleet-agent` does there.
func (l *Lab) InstallAgent(ctx context.Context, cluster string, values []byte) error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	file := l.path(cluster, "agent-values.yaml")
	if err := os.WriteFile(file, values, 0o600); err != nil {
		return err
	}
	return l.helm(ctx, cluster, "install", agentDeployment, s.Charts+"/fleet-agent", "--values", file)
}

// RunAgent plays the kubelet for one Deployment of a cluster of the lab in dir, until ctx ends: the agent of Fleet runs while
// its Deployment is there, and starts again with a new one. It is what the part kubelet-NAME runs.
func RunAgent(ctx context.Context, dir, cluster string) error {
	l, err := Open(dir)
	if err != nil {
		return err
	}
	clients, err := l.clientset(cluster)
	if err != nil {
		return err
	}
	k := &kubelet{lab: l, cluster: cluster, log: log.New(os.Stderr, "", log.LstdFlags|log.Lmicroseconds)}
	return k.run(ctx, clients)
}

// kubelet runs one agent.
type kubelet struct {
	lab     *Lab
	cluster string
	log     *log.Logger
	running types.UID // of the Deployment; only the informer's goroutine uses it
}

func (k *kubelet) run(ctx context.Context, clients kubernetes.Interface) error {
	source := cache.NewListWatchFromClient(clients.AppsV1().RESTClient(), "deployments", systemNamespace,
		fields.OneTermEqualSelector("metadata.name", agentDeployment))
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: source, ObjectType: &appsv1.Deployment{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { k.follow(ctx, o.(*appsv1.Deployment).UID) },
			UpdateFunc: func(_, o any) { k.follow(ctx, o.(*appsv1.Deployment).UID) },
			DeleteFunc: func(any) { k.follow(ctx, "") },
		}})
	informer.RunWithContext(ctx)
	return nil
}

// follow lets the agent run for the Deployment, or not run when there is none.
func (k *kubelet) follow(ctx context.Context, deployment types.UID) {
	if deployment == k.running {
		return
	}
	part := k.lab.agent(k.cluster)
	err := k.lab.runOnly(ctx, part, deployment != "")
	if err != nil {
		k.log.Printf("%s: %v", part.Name, err)
		return
	}
	k.running = deployment
	k.log.Printf("%s follows Deployment %q", part.Name, deployment)
}

// runOnly ends the part if it runs, and starts it anew if it is to run.
func (l *Lab) runOnly(ctx context.Context, part *process, wanted bool) error {
	if l.has(part.Name) {
		if err := l.Stop(ctx, part.Name); err != nil || !wanted {
			return err
		}
		return l.Start(ctx, part.Name)
	}
	if !wanted {
		return nil
	}
	return l.launch(ctx, part)
}
