package orchestrator

import (
	"time"

	"rollout/rings"
)

// Fact is something that was seen of one service: exactly one of its parts is
// set. Facts are levels, not edges: the latest of a kind (and cluster) wins,
// and the same one twice changes nothing.
type Fact struct {
	Service rings.ServiceName `json:"service"`
	// Ring is the watched ring. It is not recorded: a fact about another ring
	// than the one under way came late, and is dropped.
	Ring       rings.RingName `json:"-"`
	Deployment *Deployment    `json:"deployment,omitempty"`
	Bundle     *Bundle        `json:"bundle,omitempty"`
	GitRepo    *GitRepo       `json:"gitRepo,omitempty"`
	// Members are the clusters that carry the ring's labels now. Whether the
	// service is deployed there is the repository's to say (Survey).
	Members *Members `json:"members,omitempty"`
	// Synced says that every fact that there was when watching began has been
	// delivered: from now on a missing BundleDeployment is a fact.
	Synced bool `json:"synced,omitempty"`
}

// Members are the clusters of the ring under way, sorted.
type Members struct {
	Clusters []rings.ClusterName `json:"clusters"`
}

// Deployment is one BundleDeployment of the service on a cluster that is, or
// was while we watched, of the ring; with the fields of DESIGN section 4 and
// nothing else. The ids are only ever compared with each
// other, so the comparison is what is kept.
type Deployment struct {
	Cluster rings.ClusterName `json:"cluster"`
	Gone    bool              `json:"gone,omitempty"`   // there is none (any more)
	Commit  string            `json:"commit,omitempty"` // label fleet.cattle.io/commit

	SpecNonce   int64 `json:"spec,omitempty"`   // spec.options.forceSyncGeneration
	StatusNonce int64 `json:"status,omitempty"` // status.syncGeneration

	Staged      bool `json:"staged,omitempty"`      // spec.stagedDeploymentID == spec.deploymentID
	Applied     bool `json:"applied,omitempty"`     // spec.deploymentID == status.appliedDeploymentID
	Ready       bool `json:"ready,omitempty"`       // status.ready
	NonModified bool `json:"nonModified,omitempty"` // status.nonModified

	InstallError string `json:"installError,omitempty"` // condition Installed=False: its message, never "" then
	DeployError  string `json:"deployError,omitempty"`  // condition Deployed=False: its message, never "" then

	Paused       bool `json:"paused,omitempty"`
	OffSchedule  bool `json:"offSchedule,omitempty"`
	AwaitsValues bool `json:"awaitsValues,omitempty"`
	Deleting     bool `json:"deleting,omitempty"`

	// ReadyAt is when the Ready condition last changed, in whole seconds of the
	// clock that wrote it; zero when it never did. It does not move while the
	// condition says the same.
	ReadyAt time.Time `json:"readyAt,omitzero"`
	// Words are of the resource that is not ready or was modified, for people.
	Words string `json:"words,omitempty"`
	// Heard is when the agent last gave a sign: its check-in, or a change of
	// this object's status that we saw. Zero: never. A fact that differs in
	// Heard only is worth sending, but usually changes nothing.
	Heard time.Time `json:"heard,omitzero"`
}

// Bundle is the service's Bundle.
type Bundle struct {
	Name   string `json:"name"`
	Commit string `json:"commit,omitempty"` // label fleet.cattle.io/commit
	// Error is the message of Ready=False when it is a "targeting error ..."
	// that Fleet does not mend by itself.
	Error string `json:"error,omitempty"`
	// MaxNonce is the largest forceSyncGeneration of the Bundle's targets, which
	// are every ring's, and forceSyncGeneration or syncGeneration of the
	// service's BundleDeployments: those of the ring, and of every other one
	// where the watch reaches that far.
	MaxNonce int64 `json:"maxNonce,omitempty"`
}

// GitRepo is the Fleet GitRepo that deploys the service.
type GitRepo struct {
	Commit     string `json:"commit,omitempty"` // status.commit
	JobFailed  bool   `json:"jobFailed,omitempty"`
	JobError   string `json:"jobError,omitempty"`   // Fleet's words when JobFailed
	PollError  string `json:"pollError,omitempty"`  // condition GitPolling=False: its message, never "" then
	Paused     bool   `json:"paused,omitempty"`     // spec.paused
	Generation int64  `json:"generation,omitempty"` // metadata.generation
	// Polling is the interval at which Fleet looks at the branch by itself.
	Polling time.Duration `json:"polling,omitempty"`
	Gone    bool          `json:"gone,omitempty"` // there is none
}
