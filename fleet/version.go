package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestedVersion is the version of Fleet that the tests run on.
const TestedVersion = "v0.16.0"

// SystemNamespace is where Fleet's own controllers run.
const SystemNamespace = "cattle-fleet-system"

// Version returns Fleet's version: the tag of its controller's image. Where
// there is none to read, it is "", and why says the reason.
func (m *Manager) Version(ctx context.Context) (version, why string, err error) {
	req := request{verb: "get", resource: "deployments.apps", namespace: SystemNamespace, name: "fleet-controller"}
	body, err := m.raw.Get().AbsPath("/apis/apps/v1/namespaces", SystemNamespace, "deployments", req.name).Do(ctx).Raw()
	switch {
	case apierrors.IsForbidden(err):
		return "", fmt.Sprintf("to %s is not permitted", req), nil
	case apierrors.IsNotFound(err):
		return "", fmt.Sprintf("there is no Deployment %q in namespace %q", req.name, req.namespace), nil
	case err != nil:
		return "", "", req.fail(err)
	}
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct{ Image string }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return "", "", fmt.Errorf("%s: %w", req, err)
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		name, _, _ := strings.Cut(c.Image, "@")
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			return name[i+1:], "", nil
		}
	}
	return "", fmt.Sprintf("the image of Deployment %q has no tag", req.name), nil
}
