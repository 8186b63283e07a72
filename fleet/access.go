package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ErrAccess is wrapped by [AccessError].
var ErrAccess = errors.New("not usable by Fleet")

// AccessError says why a kubeconfig cannot let Fleet into a cluster. It wraps
// [ErrAccess]. It never quotes the file.
type AccessError struct {
	File   string
	Faults []string
	Hint   string // what to do; "" when the faults say it
}

// Error names all faults.
func (e *AccessError) Error() string {
	return fmt.Sprintf("kubeconfig %q: %v: %s", e.File, ErrAccess, strings.Join(e.Faults, "; "))
}

// Unwrap returns ErrAccess.
func (e *AccessError) Unwrap() error { return ErrAccess }

// tokenHint is how a cluster is given credentials that work without a program.
const tokenHint = `write a token in its place, as of an account made for this:
  kubectl -n kube-system create serviceaccount fleet-import
  kubectl create clusterrolebinding fleet-import --clusterrole cluster-admin --serviceaccount kube-system:fleet-import
  kubectl -n kube-system create token fleet-import --duration 24h`

// Access is a way into a cluster that works from anywhere: a kubeconfig with
// one context, and with nothing that lies elsewhere on this machine.
type Access struct {
	Context  string // that was the file's current one
	Server   string
	Loopback bool // the server's address means this machine, wherever it is used

	kubeconfig []byte // secret: never printed
	config     *rest.Config
}

// ReadAccess reads the current context of a kubeconfig. Files that it refers to
// are put into it. What runs a program here to log in is refused, because Fleet's
// controller (internal/cmd/controller/agentmanagement/controllers/cluster/import.go,
// restConfigFromKubeConfig) has only what is in the Secret. The error is an
// *AccessError with all faults.
func ReadAccess(file string) (Access, error) {
	refuse := func(hint string, faults ...string) (Access, error) {
		return Access{}, &AccessError{File: file, Faults: faults, Hint: hint}
	}
	config, err := clientcmd.LoadFromFile(file)
	if path, is := errors.AsType[*fs.PathError](err); is {
		return refuse("", path.Err.Error())
	}
	if err != nil { // its words may quote what is secret
		return refuse("", "it cannot be read as a kubeconfig")
	}
	a := Access{Context: config.CurrentContext}
	if config.Contexts[a.Context] == nil {
		return refuse("kubectl config use-context CONTEXT --kubeconfig "+file, fmt.Sprintf("its current context %q is not in it", a.Context))
	}
	if err := clientcmdapi.MinifyConfig(config); err != nil {
		return refuse("", err.Error())
	}
	if hint, faults := accessFaults(config); len(faults) > 0 {
		return refuse(hint, faults...)
	}
	if err := inline(config, filepath.Dir(file)); err != nil {
		return refuse("", err.Error())
	}
	a.Server = config.Clusters[config.Contexts[a.Context].Cluster].Server
	if a.kubeconfig, err = clientcmd.Write(*config); err != nil {
		return refuse("", "it cannot be written again")
	}
	a.Loopback = loopback(a.Server)
	if a.config, err = clientcmd.RESTConfigFromKubeConfig(a.kubeconfig); err != nil {
		return refuse("", "its certificates or its credentials cannot be used")
	}
	return a, nil
}

func loopback(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// accessFaults are what is missing, or would work only here.
func accessFaults(config *clientcmdapi.Config) (hint string, faults []string) {
	c := config.Contexts[config.CurrentContext]
	cluster, user := config.Clusters[c.Cluster], config.AuthInfos[c.AuthInfo]
	if cluster == nil || cluster.Server == "" {
		faults = append(faults, fmt.Sprintf("context %q names no server", config.CurrentContext))
	}
	switch {
	case user == nil:
		faults = append(faults, fmt.Sprintf("context %q names no user", config.CurrentContext))
	case user.Exec != nil:
		hint = tokenHint
		faults = append(faults, fmt.Sprintf("user %q logs in with the command %q, which Fleet's controller does not have", c.AuthInfo, user.Exec.Command))
	case user.AuthProvider != nil:
		hint = tokenHint
		faults = append(faults, fmt.Sprintf("user %q logs in with the auth-provider %q, which Fleet's controller does not have", c.AuthInfo, user.AuthProvider.Name))
	case cmp.Or(user.Token, user.TokenFile, user.Username, user.ClientCertificate) == "" && len(user.ClientCertificateData) == 0:
		hint = tokenHint
		faults = append(faults, fmt.Sprintf("user %q has no credentials", c.AuthInfo))
	}
	return hint, faults
}

// inline puts what files hold into the kubeconfig; their names are relative to
// its folder.
func inline(config *clientcmdapi.Config, dir string) error {
	for _, user := range config.AuthInfos {
		if user.TokenFile == "" {
			continue
		}
		token, err := os.ReadFile(clientcmdapi.ResolvePath(user.TokenFile, dir))
		if err != nil {
			return err
		}
		user.Token, user.TokenFile = strings.TrimSpace(string(token)), ""
	}
	return clientcmdapi.FlattenConfig(config)
}

// Sight is what is seen of a cluster from here.
type Sight struct {
	ID    string // the uid of its kube-system namespace
	Agent bool   // a Fleet agent is installed
}

// lookWait bounds a look at a cluster, which may not be reachable from here.
const lookWait = 10 * time.Second

// Look looks at the cluster from here, and returns what it saw of it also with an
// error. That it cannot be seen says nothing about Fleet's controller, which may be
// elsewhere; only wrong credentials are wrong everywhere, and then the error wraps
// [ErrAccess].
func (a Access) Look(ctx context.Context) (Sight, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	config := rest.CopyConfig(a.config)
	config.NegotiatedSerializer, config.WarningHandler = serializer.NewCodecFactory(newScheme()).WithoutConversion(), rest.NoWarnings{}
	c, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return Sight{}, err
	}
	var s Sight
	body, err := c.Get().AbsPath("/api/v1/namespaces/kube-system").Do(ctx).Raw()
	if err != nil {
		return s, a.unseen(err)
	}
	var namespace struct{ Metadata struct{ UID string } }
	if err := json.Unmarshal(body, &namespace); err != nil {
		return s, fmt.Errorf("%s: it is no Kubernetes API server", a.Server)
	}
	s.ID = namespace.Metadata.UID
	err = c.Get().AbsPath("/apis/apps/v1/namespaces", SystemNamespace, "deployments", agentDeployment).Do(ctx).Error()
	if s.Agent = err == nil; s.Agent || apierrors.IsNotFound(err) {
		return s, nil
	}
	return s, a.unseen(err)
}

// agentDeployment is the agent in its cluster (internal/config/config.go, AgentConfigName).
const agentDeployment = "fleet-agent"

func (a Access) unseen(err error) error {
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s does not accept the credentials of context %q: %w", a.Server, a.Context, ErrAccess)
	}
	return fmt.Errorf("%s: %w", a.Server, withoutURL(err))
}
