package fleet

import (
	"strings"
	"time"
	"unique"
)

// text is an interned string of 8 bytes: a fleet has few distinct commits,
// names and messages. The zero value is "".
type text struct{ h unique.Handle[string] }

func intern(s string) text {
	if s == "" {
		return text{}
	}
	return text{unique.Make(s)}
}

// String returns the text.
func (t text) String() string {
	if t == (text{}) {
		return ""
	}
	return t.h.Value()
}

// key names a BundleDeployment: there is one for each Bundle and Cluster of
// the workspace (internal/cmd/controller/target/target.go:98-122).
type key struct{ bundle, cluster text }

// flags are the yes-or-no fields of a BundleDeployment.
type flags uint16

const (
	staged      flags = 1 << iota // spec.stagedDeploymentID == spec.deploymentID
	applied                       // spec.deploymentID == status.appliedDeploymentID
	ready                         // status.ready
	nonModified                   // status.nonModified
	paused                        // spec.paused
	offSchedule                   // spec.offSchedule
	awaits                        // spec.waitingForValues
	deleting                      // metadata.deletionTimestamp
)

// setIf returns f with the bit set if on.
func (f flags) setIf(bit flags, on bool) flags {
	if on {
		return f | bit
	}
	return f
}

// deployment is what is kept of a BundleDeployment.
type deployment struct {
	commit                           text
	installError, deployError, words text
	specNonce, statusNonce           int64
	status                           uint64 // digest of all that the agent writes
	heard                            int64  // unix nanoseconds of the last change of status that was seen; 0 never
	readyAt                          uint32 // unix seconds of the last change of condition Ready; 0 never
	flags                            flags
}

// same reports whether nothing but the agent's sign of life differs.
func (d deployment) same(o deployment) bool {
	d.heard, d.status = o.heard, o.status
	return d == o
}

// bundle is what is kept of a Bundle.
type bundle struct {
	name, repo, commit text
	err                text  // "targeting error ..."
	nonce              int64 // the largest forceSyncGeneration that it asks for, on any ring
	deleting           bool
}

// gitRepo is what is kept of a GitRepo.
type gitRepo struct {
	name       string
	commit     string
	jobStatus  string // status.gitJobStatus
	stalled    string // message of Stalled=True
	pollError  string // message of GitPolling=False, never "" then
	paused     bool
	generation int64
	polling    time.Duration
	paths      string // joined by newlines, to be comparable
}

// member is what is kept of a Cluster that carries the ring's labels.
type member struct {
	name      text
	namespace string // of its BundleDeployments; "" until Fleet made it
	lastSeen  int64  // unix nanoseconds of status.agent.lastSeen; 0 never
	left      bool   // it carried them, and does not any more
}

// listed are the paths that paths was joined from.
func (g gitRepo) listed() []string {
	if g.paths == "" {
		return nil
	}
	return strings.Split(g.paths, "\n")
}
