package rings

import "time"

// NoteKind says what a note is about. The list only grows: the words are in
// stores.
type NoteKind string

// What is noted.
const (
	NoteServiceUndeployed NoteKind = "service-undeployed" // its fleet.yaml says so for a ring, at a commit
	NoteServiceRemoved    NoteKind = "service-removed"    // forgotten here
	NoteRingDeleted       NoteKind = "ring-deleted"       // forgotten here
	NoteAppDeleted        NoteKind = "app-deleted"        // forgotten here
	NoteClusterMoved      NoteKind = "cluster-moved"      // put on a ring by a command
	NoteClusterRemoved    NoteKind = "cluster-removed"    // forgotten here; To is where its labels put it still
	NoteLabelChanged      NoteKind = "label-changed"      // its labels put it elsewhere, and no command of ours did
	NoteClusterCaughtUp   NoteKind = "cluster-caught-up"  // left out as offline before, it runs what its ring runs
	NoteStartSkipped      NoteKind = "start-skipped"      // what was to start by itself did not
)

// Note is something that happened to an application beside its rollouts. What
// it is not about is empty.
type Note struct {
	App    AppName   `json:"app"`
	Number uint64    `json:"number"` // set by the store; grows
	At     time.Time `json:"at"`
	Kind   NoteKind  `json:"kind"`
	By     string    `json:"by,omitempty"` // "" for what nobody here did
	Reason string    `json:"reason,omitempty"`
	Link   string    `json:"link,omitempty"`

	Service ServiceName `json:"service,omitempty"`
	Ring    RingName    `json:"ring,omitempty"`
	Version Version     `json:"version,omitempty"` // what was undeployed
	Commit  string      `json:"commit,omitempty"`  // that says so
	Cluster ClusterName `json:"cluster,omitempty"`
	From    RingName    `json:"from,omitempty"` // of a cluster: "" for none
	To      RingName    `json:"to,omitempty"`   // of a cluster: "" for none
	Over    []string    `json:"over,omitempty"` // the locks and closed windows that were gone over, in words

	Moment  time.Time `json:"moment,omitzero"`   // of the schedule that was skipped
	Release int       `json:"release,omitempty"` // that was skipped
}
