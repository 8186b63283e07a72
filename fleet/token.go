package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rollout/rings"
)

// Invitation is what a cluster's agent is installed with on its own side.
type Invitation struct {
	Cluster  rings.ClusterName
	ClientID string
	Token    string    // the name of the ClusterRegistrationToken
	Expires  time.Time // of the token; zero when it does not say
	Values   []byte    // of the chart fleet-agent, YAML, with a secret token in it
}

// RegistrationToken is the name of the ClusterRegistrationToken, and of its
// Secret, that Invite makes for a cluster.
func RegistrationToken(name rings.ClusterName) string { return string(name) + "-registration" }

// Invite makes a Cluster, without labels, that an agent with its client id
// becomes, and a registration token that lasts for ttl. It returns when
// Fleet has answered the token, or with the error of ctx. A Cluster that was invited
// and has not joined is invited again, with the token that is still there. The error
// wraps rings.ErrExists when it is registered in another way.
//
// A Cluster that is there before its agent comes keeps its name; it would be called
// after a hash of the client id (internal/cmd/controller/agentmanagement/controllers/clusterregistration/controller.go,
// createOrGetCluster).
func (m *Manager) Invite(ctx context.Context, name rings.ClusterName, ttl time.Duration) (Invitation, Made, error) {
	inv := Invitation{Cluster: name, Token: RegistrationToken(name)}
	var err error
	if inv.ClientID, err = m.expect(ctx, name); err != nil {
		return inv, nil, err
	}
	made := Made{resource("clusters") + "/" + string(name)}
	if err := m.createToken(ctx, inv.Token, ttl); err != nil {
		return inv, made, err
	}
	made = append(made, resource("clusterregistrationtokens")+"/"+inv.Token)
	answered, err := m.awaitToken(ctx, inv.Token)
	if err != nil {
		return inv, made, err
	}
	inv.Expires = answered.expires
	inv.Values, err = m.tokenValues(ctx, answered.secret, inv.ClientID)
	return inv, made, err
}

// expect returns the client id of a Cluster that an agent may become, and makes it
// if there is none.
func (m *Manager) expect(ctx context.Context, name rings.ClusterName) (clientID string, err error) {
	c, err := m.Cluster(ctx, name)
	switch {
	case errors.Is(err, rings.ErrUnknown):
		clientID = newClientID()
		return clientID, m.createCluster(ctx, name, fleetv1.ClusterSpec{ClientID: clientID})
	case err != nil:
		return "", err
	case c.Joined():
		return "", &RegisteredError{name, "its agent has checked in"}
	case c.Registration.Secret != "":
		return "", &RegisteredError{name, fmt.Sprintf("Fleet installs its agent by the kubeconfig in Secret %q", c.Registration.Secret)}
	case c.Registration.ClientID == "":
		return "", &RegisteredError{name, "its Cluster has no client id that an agent could come with"}
	}
	return c.Registration.ClientID, nil
}

func (m *Manager) createToken(ctx context.Context, name string, ttl time.Duration) error {
	t := &fleetv1.ClusterRegistrationToken{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: m.workspace, Labels: map[string]string{ManagedLabel: ManagedValue}},
		Spec: fleetv1.ClusterRegistrationTokenSpec{TTL: &metav1.Duration{Duration: ttl}}}
	err := m.client.Create(ctx, t)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return request{verb: "create", resource: resource("clusterregistrationtokens"), namespace: m.workspace, name: name}.fail(err)
}

// wireToken is a ClusterRegistrationToken.
type wireToken struct {
	Metadata wireMeta `json:"metadata"`
	Status   struct {
		Secret  string `json:"secretName"`
		Expires string `json:"expires"`
	} `json:"status"`
}

// token is one that Fleet has answered when it has a secret.
type token struct {
	secret  string
	expires time.Time
}

func (w *wireToken) record() token {
	expires, _ := time.Parse(time.RFC3339, w.Status.Expires) // zero: it does not say
	return token{w.Status.Secret, expires}
}

// awaitToken returns the token once Fleet has made its Secret.
func (m *Manager) awaitToken(ctx context.Context, name string) (token, error) {
	var answered token
	watch, give := context.WithCancelCause(klog.NewContext(ctx, m.log))
	defer give(nil)
	s := newSource(m, "clusterregistrationtokens", (*wireToken).record)
	s.namespace, s.fieldSelect = m.workspace, fields.OneTermEqualSelector("metadata.name", name).String()
	s.give, s.listed, s.delete = give, func() {}, func(token) {}
	s.set = func(t token, _ bool) {
		if answered.secret == "" && t.secret != "" {
			answered = t
			give(nil)
		}
	}
	s.replace = func(all []token) {
		for _, t := range all {
			s.set(t, true)
		}
	}
	s.run(watch)
	switch {
	case answered.secret != "":
		return answered, nil
	case ctx.Err() != nil:
		return answered, fmt.Errorf("ClusterRegistrationToken %q: Fleet has not answered it: %w", name, ctx.Err())
	}
	return answered, context.Cause(watch)
}

// tokenValues reads what the agent's chart takes, and adds the client id to it.
// This is the one Secret that is read: that of a token which was made here.
func (m *Manager) tokenValues(ctx context.Context, name, clientID string) ([]byte, error) {
	var secret corev1.Secret
	req := request{verb: "get", resource: "secrets", namespace: m.workspace, name: name}
	err := retry.OnError(labelBackoff, apierrors.IsNotFound, func() error {
		return m.client.Get(ctx, client.ObjectKey{Namespace: m.workspace, Name: name}, &secret)
	})
	if err != nil {
		return nil, req.fail(err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(secret.Data["values"], &values); err != nil || values["token"] == nil {
		return nil, fmt.Errorf("the Secret %q in workspace %q: there are no values for an agent in it", name, m.workspace)
	}
	values["clientID"] = clientID
	return yaml.Marshal(values)
}
