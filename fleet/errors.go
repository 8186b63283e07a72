package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/orchestrator"
)

var (
	// ErrNoKubeconfig is wrapped when there is no way to a manager: no
	// kubeconfig where one is looked for, or not such a context in it.
	ErrNoKubeconfig = errors.New("no usable kubeconfig")
	// ErrUnreachable is wrapped when the manager's API server does not answer.
	ErrUnreachable = errors.New("the manager cannot be reached")
	// ErrCredentials is wrapped when the API server does not know who we are.
	ErrCredentials = errors.New("the manager does not accept the credentials")
	// ErrNoFleet is wrapped when the cluster has none of Fleet's types.
	ErrNoFleet = errors.New("no Fleet is installed there")
	// ErrNoWorkspace is wrapped when the workspace's namespace is not there.
	ErrNoWorkspace = errors.New("no such workspace")
	// ErrForbidden is wrapped by [ForbiddenError].
	ErrForbidden = errors.New("not permitted")
	// ErrBundle is wrapped by [BundleError].
	ErrBundle = errors.New("the service's Bundle is not known")
	// ErrLabelsOwned is wrapped by [LabelsOwnedError].
	ErrLabelsOwned = errors.New("the labels belong to Rancher")
	// ErrClaimLost is wrapped when a claim is not, or not any more, ours.
	ErrClaimLost = orchestrator.ErrClaimLost
)

// ForbiddenError says what is not permitted. It wraps [ErrForbidden].
type ForbiddenError struct {
	Verb, Resource string // "watch", "bundledeployments.fleet.cattle.io"
	Namespace      string // "" means all
	Err            error  // the API server's answer; may be nil
}

// Error names verb, resource and namespace.
func (e *ForbiddenError) Error() string {
	where := "in all namespaces"
	if e.Namespace != "" {
		where = fmt.Sprintf("in namespace %q", e.Namespace)
	}
	return fmt.Sprintf("%s %s %s: %v", e.Verb, e.Resource, where, ErrForbidden)
}

// Unwrap returns ErrForbidden and the API server's answer.
func (e *ForbiddenError) Unwrap() []error { return []error{ErrForbidden, e.Err} }

// BundleError says that it cannot be told which of a GitRepo's Bundles is a
// service's. It wraps [ErrBundle].
type BundleError struct {
	GitRepo, Path string
	Candidates    []string // sorted; never empty
}

// Error names the candidates.
func (e *BundleError) Error() string {
	return fmt.Sprintf("GitRepo %q, path %q: any of its Bundles %s could be the service's; give its fleet.yaml's name",
		e.GitRepo, e.Path, strings.Join(e.Candidates, ", "))
}

// Unwrap returns ErrBundle.
func (e *BundleError) Unwrap() error { return ErrBundle }

// LabelsOwnedError says where a cluster's labels must be set instead. It wraps
// [ErrLabelsOwned].
type LabelsOwnedError struct {
	Cluster string
	Owner   string // `clusters.management.cattle.io "c-m-1"`
	Sign    string // what shows it: "label management.cattle.io/cluster-name"
	Err     error  // why the owner cannot be changed from here; nil when there is no more to say
}

// Error names the cluster and the object that its labels come from.
func (e *LabelsOwnedError) Error() string {
	words := fmt.Sprintf("cluster %q: Rancher writes its labels (%s); set them on %s", e.Cluster, e.Sign, e.Owner)
	if e.Err != nil {
		words += fmt.Sprintf(", which is not permitted here: %v", e.Err)
	}
	return words
}

// Unwrap returns ErrLabelsOwned, and why it was not done from here.
func (e *LabelsOwnedError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrLabelsOwned}
	}
	return []error{ErrLabelsOwned, e.Err}
}

// request is what was asked of the API server, for the error about it.
type request struct {
	verb, resource, namespace, name string
}

// String names the request in errors.
func (r request) String() string {
	s := r.verb + " " + r.resource
	if r.name != "" {
		s += fmt.Sprintf(" %q", r.name)
	}
	if r.namespace != "" {
		s += fmt.Sprintf(" in namespace %q", r.namespace)
	}
	return s
}

// fail wraps an answer of the API server by what it means; nil stays nil.
func (r request) fail(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return &ForbiddenError{Verb: r.verb, Resource: r.resource, Namespace: r.namespace, Err: err}
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %w: %w", r, ErrCredentials, err)
	case noSuchType(err):
		return fmt.Errorf("%s: %w: %w", r, ErrNoFleet, err)
	case unreachable(err):
		return fmt.Errorf("%s: %w: %w", r, ErrUnreachable, withoutURL(err))
	}
	return fmt.Errorf("%s: %w", r, err)
}

// withoutURL is what went wrong without the request's address: the request
// and the manager are named already.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// noSuchType reports whether the answer is a 404 for the type and not for an
// object: only the latter names one.
func noSuchType(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsNotFound(err) {
		return false
	}
	details := status.Status().Details
	return details == nil || details.Name == ""
}

// unreachable reports whether the request may succeed later: it did not
// arrive, or the API server is starting, stopping or overloaded.
func unreachable(err error) bool {
	if apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) {
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	_, isURL := errors.AsType[*url.Error](err)
	_, isNet := errors.AsType[net.Error](err)
	return isURL || isNet
}

// isConflict reports whether the object changed after it was read.
func isConflict(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && status.Status().Reason == metav1.StatusReasonConflict
}
