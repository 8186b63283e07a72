package orchestrator

import (
	"time"

	"rollout/rings"
)

// Command is what a person asked of a rollout.
type Command struct {
	Seq    uint64      `json:"seq"` // the store's, to take it off the inbox
	Kind   CommandKind `json:"kind"`
	By     string      `json:"by"`
	Reason string      `json:"reason,omitempty"`
	At     time.Time   `json:"at"`

	// Ring is for approve, and for skip: alone, or to narrow Service down.
	Ring rings.RingName `json:"ring,omitempty"`
	// Service and Cluster are for skip, one of them.
	Service rings.ServiceName `json:"service,omitempty"`
	Cluster rings.ClusterName `json:"cluster,omitempty"`
	// Gate and Content are for approve: what was approved, see
	// [State.Content]. An approval of something else than what waits is void.
	Gate    Gate   `json:"gate,omitempty"`
	Content string `json:"content,omitempty"`
}

// CommandKind names a command. The list only grows.
type CommandKind string

const (
	// CommandCancel ends the rollout: nothing new starts, nothing is undone.
	CommandCancel CommandKind = "cancel"
	// CommandPause lets nothing new start; what runs may finish.
	CommandPause CommandKind = "pause"
	// CommandResume ends a pause, and tries again what had failed.
	CommandResume CommandKind = "resume"
	// CommandApprove opens the gate of a ring.
	CommandApprove CommandKind = "approve"
	// CommandSkip leaves a ring, a service or a cluster out of what remains.
	CommandSkip CommandKind = "skip"
)
