package rings

import (
	"fmt"
	"regexp"
)

// AppName is the name of an application, unique in a store.
type AppName string

// ServiceName is the name of a service, unique in its application.
type ServiceName string

// RingName is the name of a ring, unique in its application; it is the value
// of the ring label on the clusters.
type RingName string

// ClusterName is the name of a Fleet Cluster object in the application's
// workspace.
type ClusterName string

// maxName is the length of a DNS label (RFC 1123), which is also what a
// Kubernetes label value and object name can hold.
const maxName = 63

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// CheckName returns a fault when name is not a DNS label, else "". The kind
// ("service", "ring") is the word that the fault calls it by.
func CheckName(kind, name string) string {
	switch {
	case name == "":
		return fmt.Sprintf("%s %q: the name is empty", kind, name)
	case len(name) > maxName:
		return fmt.Sprintf("%s %q: the name has %d characters, at most %d are allowed", kind, name, len(name), maxName)
	case !dnsLabel.MatchString(name):
		return fmt.Sprintf("%s %q: a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit", kind, name)
	}
	return ""
}
