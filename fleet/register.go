package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/rings"
)

// Registration is how a cluster's agent comes to the manager: Fleet installs it
// by the kubeconfig in a Secret, or somebody does on the cluster's side.
type Registration struct {
	ClientID  string // of its agent; "" until it has one
	Secret    string // with the kubeconfig; "" when the agent is installed on the cluster's side
	Installed bool   // Fleet has installed the agent as it was last asked to
	Failed    string // why Fleet could not, in its words: the condition Imported is False
	redeploy  int64
}

func (w *wireCluster) registration() Registration {
	return Registration{ClientID: w.Spec.ClientID, Secret: w.Spec.Secret, Failed: w.Status.Conditions.failure("Imported"), redeploy: w.Spec.Redeploy,
		Installed: w.Status.Deployed != nil && *w.Status.Deployed == w.Spec.Redeploy}
}

// Joined reports whether the cluster's agent is there: it has checked in, and
// Fleet has nothing to install.
func (c Cluster) Joined() bool {
	return !c.LastSeen.IsZero() && (c.Registration.Secret == "" || c.Registration.Installed)
}

// Joining says what a cluster that has not joined waits for.
func (c Cluster) Joining() string {
	r := c.Registration
	switch {
	case c.Name == "" || c.Namespace == "":
		return "Fleet has not taken the Cluster up"
	case r.Secret != "" && r.Failed != "":
		return "Fleet cannot install its agent: " + r.Failed
	case r.Secret != "" && !r.Installed:
		return "Fleet has not installed its agent"
	case r.Secret != "":
		return "its agent is installed, and has not checked in"
	}
	return "its agent has not checked in"
}

// KubeconfigSecret is the name of the Secret that Register makes for a cluster.
func KubeconfigSecret(name rings.ClusterName) string { return string(name) + "-kubeconfig" }

// RegisteredError says that a cluster is registered in another way than was
// asked for. It wraps rings.ErrExists.
type RegisteredError struct {
	Cluster rings.ClusterName
	How     string
}

// Error says how it is registered.
func (e *RegisteredError) Error() string {
	return fmt.Sprintf("cluster %q is registered with Fleet already: %s", e.Cluster, e.How)
}

// Unwrap returns rings.ErrExists.
func (e *RegisteredError) Unwrap() error { return rings.ErrExists }

// Made are objects of the workspace that a registration made, as kubectl names
// them: "secrets/eu-7-kubeconfig".
type Made []string

// Register asks Fleet to install its agent in a cluster: it puts the access
// into a Secret, and makes the Cluster, without labels, so that nothing is
// deployed there yet. A Cluster that is registered like this, and has not joined,
// gets the access anew, and Fleet tries again at once. The error wraps
// rings.ErrExists when the Cluster is registered in another way, or the Secret is
// somebody else's. What was made is returned with an error, too.
//
// What Fleet reads is in internal/cmd/controller/agentmanagement/controllers/cluster/import.go
// (importCluster): the Secret's key "value", and spec.clientID, which it would make up.
func (m *Manager) Register(ctx context.Context, name rings.ClusterName, a Access) (Made, error) {
	c, err := m.Cluster(ctx, name)
	fresh := errors.Is(err, rings.ErrUnknown)
	if err != nil && !fresh {
		return nil, err
	}
	if err := c.Registrable(); !fresh && err != nil {
		return nil, err
	}
	if err := m.putAccess(ctx, name, a); err != nil {
		return nil, err
	}
	made := Made{"secrets/" + KubeconfigSecret(name)}
	if fresh {
		err = m.createCluster(ctx, name, fleetv1.ClusterSpec{ClientID: newClientID(), KubeConfigSecret: KubeconfigSecret(name)})
	} else {
		err = m.redeployAgent(ctx, c)
	}
	if err != nil {
		return made, err
	}
	return append(made, resource("clusters")+"/"+string(name)), nil
}

// Registrable returns a *RegisteredError unless the Cluster was made by
// Register and has not joined.
func (c Cluster) Registrable() error {
	switch r := c.Registration; {
	case c.Joined():
		return &RegisteredError{c.Name, "its agent has checked in"}
	case r.Secret == "":
		return &RegisteredError{c.Name, "its agent is to be installed on its own side"}
	case r.Secret != KubeconfigSecret(c.Name):
		return &RegisteredError{c.Name, fmt.Sprintf("by the kubeconfig in Secret %q", r.Secret)}
	}
	return nil
}

// newClientID is a name that only the agent of one cluster knows.
func newClientID() string { return strings.ToLower(rand.Text()) }

// owner is the field manager of what is applied.
const owner = "rollout"

// putAccess makes the Secret, or replaces what it holds. It is applied, so that it
// need not be read, and a value that somebody else has put there stays.
func (m *Manager) putAccess(ctx context.Context, name rings.ClusterName, a Access) error {
	secret := corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{
		Name: KubeconfigSecret(name), Namespace: m.workspace, Labels: map[string]string{ManagedLabel: ManagedValue}},
		Data: map[string][]byte{"value": a.kubeconfig}}
	req := request{verb: "patch", resource: "secrets", namespace: m.workspace, name: secret.Name}
	body, err := json.Marshal(secret)
	if err != nil {
		return fmt.Errorf("%s: %w", req, err)
	}
	err = m.client.Patch(ctx, &secret, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(owner))
	if isConflict(err) { // its words could quote the value
		return fmt.Errorf("the Secret %q in workspace %q: %w, and somebody else's", secret.Name, m.workspace, rings.ErrExists)
	}
	return req.fail(err)
}

func (m *Manager) createCluster(ctx context.Context, name rings.ClusterName, spec fleetv1.ClusterSpec) error {
	c := &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: string(name), Namespace: m.workspace, Labels: map[string]string{ManagedLabel: ManagedValue}}, Spec: spec}
	req := request{verb: "create", resource: resource("clusters"), namespace: m.workspace, name: c.Name}
	return req.fail(m.client.Create(ctx, c))
}

// redeployAgent makes Fleet try at once; it would by itself, later and later.
func (m *Manager) redeployAgent(ctx context.Context, c Cluster) error {
	patch := fmt.Appendf(nil, `{"spec":{"redeployAgentGeneration":%d}}`, c.Registration.redeploy+1)
	obj := &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: string(c.Name), Namespace: m.workspace}}
	req := request{verb: "patch", resource: resource("clusters"), namespace: m.workspace, name: obj.Name}
	return req.fail(m.client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch)))
}

// ImportError says that Fleet cannot install its agent in a cluster.
type ImportError struct {
	Cluster rings.ClusterName
	Words   string // Fleet's
}

// Error quotes Fleet.
func (e *ImportError) Error() string {
	return fmt.Sprintf("cluster %q: Fleet cannot install its agent: %s", e.Cluster, e.Words)
}

// importGrace is how long Fleet may be unable to install an agent: its first
// tries can be before it knows the Secret, and one takes 15 s when nobody answers
// (pkg/durations, RestConfigTimeout).
var importGrace = 30 * time.Second

// errJoined ends the watch of AwaitAgent.
var errJoined = errors.New("it has joined")

// AwaitAgent returns the cluster once it has joined. told is called, from one
// goroutine, with each state before that. The error is an *ImportError when Fleet
// could not install the agent all through a time of grace; Fleet goes on
// trying. With the error of ctx comes the last state that was seen, empty when
// there was none.
func (m *Manager) AwaitAgent(ctx context.Context, name rings.ClusterName, told func(Cluster)) (Cluster, error) {
	watch, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var last Cluster
	var grace *time.Timer
	err := m.WatchClusters(watch, ClusterWatch{Name: name}, func(c Cluster) {
		last = c
		told(c)
		switch failed := c.Registration.Failed; {
		case c.Joined():
			stop(errJoined)
		case failed == "" && grace != nil:
			grace.Stop()
			grace = nil
		case failed != "" && grace == nil:
			grace = time.AfterFunc(importGrace, func() { stop(&ImportError{name, failed}) })
		}
	})
	if grace != nil {
		grace.Stop()
	}
	switch cause := context.Cause(watch); {
	case err != nil:
		return last, err
	case errors.Is(cause, errJoined):
		return last, nil
	case ctx.Err() != nil:
		return last, ctx.Err()
	default:
		return last, cause
	}
}
