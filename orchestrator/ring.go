package orchestrator

import (
	"time"

	"rollout/rings"
)

// RingPhase is where a ring of a rollout stands. RingDone, RingFailed and
// RingSkipped are final, unless a person resumes the rollout after a failure.
type RingPhase string

// Phases of a ring. The list only grows.
const (
	RingWaiting RingPhase = "Waiting" // for its gates
	RingRunning RingPhase = "Running" // its steps move
	RingSoaking RingPhase = "Soaking" // its steps are done; soak, checks and approval follow
	RingDone    RingPhase = "Done"
	RingFailed  RingPhase = "Failed"
	RingSkipped RingPhase = "Skipped" // it has no clusters, or was left out by a person; it verifies nothing
)

// Ended reports whether the phase is final.
func (p RingPhase) Ended() bool { return p == RingDone || p == RingFailed || p == RingSkipped }

// Gate is one of the two gates of a ring that a person opens.
type Gate string

// Gates of a ring.
const (
	GateBefore Gate = "before" // before the ring begins
	GateAfter  Gate = "after"  // before it counts as done
)

// Approval is a person's word that a ring may begin or end. It is bound to
// what was to be rolled out when it was given.
type Approval struct {
	Word
	Content string `json:"content"`
}

// RingState is one ring of a rollout.
type RingState struct {
	Name   rings.RingName `json:"name"`
	Policy rings.Policy   `json:"policy"`
	// Named: a person asked for it by name, so it must have clusters; one that
	// is only passed through is skipped when it has none.
	Named bool `json:"named,omitempty"`
	// Peopled: one that is only passed through was seen to have clusters.
	Peopled bool `json:"peopled,omitempty"`
	// Upstream is the nearest ring before it that had clusters when the rollout
	// was created, "" when there is none or none is asked for.
	Upstream rings.RingName `json:"upstream,omitempty"`
	// Verified: the upstream, which is not of this rollout, was found to still
	// say what was verified there.
	Verified bool      `json:"verified,omitempty"`
	Phase    RingPhase `json:"phase"`
	Reason   string    `json:"reason,omitempty"` // why Done, Failed or Skipped
	Failure  *Failure  `json:"failure,omitempty"`

	Before *Approval `json:"before,omitempty"`
	After  *Approval `json:"after,omitempty"`
	Skip   *Word     `json:"skip,omitempty"` // a person wants it left out

	// Claimed: the claim on the ring was granted to this driver (or cannot be
	// had, and was warned of).
	Claimed    bool `json:"claimed,omitempty"`
	ClaimTries int  `json:"claimTries,omitempty"`
	// Tries and Words are of reading the upstream.
	Tries int    `json:"tries,omitempty"`
	Words string `json:"words,omitempty"`

	// Counted are the clusters that count when those that join later do not.
	Counted []rings.ClusterName `json:"counted,omitempty"`
	// Checks are those of the policy, by name, since they were first asked.
	Checks map[string]*CheckState `json:"checks,omitempty"`

	StartedAt   time.Time `json:"startedAt,omitzero"`
	ConvergedAt time.Time `json:"convergedAt,omitzero"` // all steps were done
	// TimedFrom is since when the time to get through soak and checks counts: a
	// person's word, or a clock that jumped, begins it anew.
	TimedFrom time.Time `json:"timedFrom,omitzero"`
	// SoakFrom is the earliest that the soak may count from: it is moved when
	// the clock jumped, or something happened while nobody watched.
	SoakFrom time.Time `json:"soakFrom,omitzero"`
	// SoakedAt is when soak and checks had passed, and only approval was
	// missing.
	SoakedAt   time.Time `json:"soakedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
}

// CheckState is how a check has answered since the ring was healthy.
type CheckState struct {
	Good   int `json:"good,omitempty"`
	Bad    int `json:"bad,omitempty"`
	Silent int `json:"silent,omitempty"` // without an answer that says anything, in a row
	// Last is the last answer: OK, Refused for a bad one, else inconclusive.
	Last  Result `json:"last,omitempty"`
	Words string `json:"words,omitempty"`
	// AskedAt is when the last answer was asked for.
	AskedAt time.Time `json:"askedAt,omitzero"`
}
