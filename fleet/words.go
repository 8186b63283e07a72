package fleet

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	maxNamed   = 3   // resources that are named
	maxMessage = 160 // bytes of one resource's message or patch
)

// words names the resources that are not ready, else those that differ from
// what was deployed: "deployment shop/db: 0/1 replicas".
func (s *wireDeploymentStatus) words() string {
	var out []string
	for _, r := range s.NonReady {
		out = append(out, r.wireRef.String()+": "+r.message())
	}
	if len(out) == 0 {
		for _, r := range s.Modified {
			out = append(out, r.wireRef.String()+": "+r.message())
		}
	}
	if n := len(out); n > maxNamed {
		out = append(out[:maxNamed], fmt.Sprintf("and %d more", n-maxNamed))
	}
	return strings.Join(out, "; ")
}

// String names the resource, for people.
func (r wireRef) String() string {
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + name
	}
	return strings.ToLower(r.Kind) + " " + name
}

// available is how Fleet's summarizers word a workload that waits for pods
// (internal/cmd/agent/deployer/summary/summarizers.go).
var available = regexp.MustCompile(`^Available: (\d+/\d+)$`)

func (r wireNonReady) message() string {
	if len(r.Summary.Message) == 0 {
		return r.Summary.State
	}
	var out []string
	for _, m := range r.Summary.Message {
		out = append(out, available.ReplaceAllString(m, "$1 replicas"))
	}
	return cut(strings.Join(out, ", "))
}

// message words what ModifiedStatus.String does (bundledeployment_types.go),
// but never shows the content of a Secret.
func (r wireModified) message() string {
	switch {
	case r.Missing && r.Exist:
		return "not owned by this deployment"
	case r.Missing:
		return "missing"
	case r.Delete:
		return "extra"
	case r.Patch == "" || strings.EqualFold(r.Kind, "Secret"):
		return "modified"
	}
	return "modified " + cut(r.Patch)
}

// cut shortens s to maxMessage bytes, at the end of a rune.
func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "..."
}
