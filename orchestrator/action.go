package orchestrator

import (
	"time"

	"rollout/rings"
)

// ActionKind says what an action does. The list only grows: the names are in
// journals.
type ActionKind string

const (
	// ActClaim takes the Fleet-side claim on (application, ring).
	ActClaim ActionKind = "claim"
	// ActSurvey fetches the branch and says what the file holds for the ring.
	// It serves the start of a step, an answer that was lost, a commit that is
	// not known, a cluster that joined, and the last look before a step is done.
	ActSurvey ActionKind = "survey"
	// ActPublish edits, commits and pushes, to the branch or, where it takes no
	// direct pushes, to one on which the commit is proposed.
	ActPublish ActionKind = "publish"
	// ActHint tells Fleet of the newest commit, so that it need not poll.
	ActHint ActionKind = "hint"
	// ActNudge makes Fleet run a failed git job again.
	ActNudge ActionKind = "nudge"
	// ActVerify is a survey of a ring's upstream, which is not of the rollout:
	// does its file still say what was verified there?
	ActVerify ActionKind = "verify"
	// ActCheck asks a check of the ring's policy. OK is a good answer, Refused a
	// bad one, anything else says nothing: it is inconclusive.
	ActCheck ActionKind = "check"
	// ActTag puts the rollout's tag on a commit.
	ActTag ActionKind = "tag"
)

// Action is something to be done outside: data, safe to repeat, carried out
// by the Runner through the ports. ID is unique in the rollout.
type Action struct {
	ID   string         `json:"id"`
	Kind ActionKind     `json:"kind"`
	Ring rings.RingName `json:"ring"`
	Undo bool           `json:"undo,omitempty"` // its steps take others back
	// For is the ring that asks, when Ring is its upstream.
	For    rings.RingName `json:"for,omitempty"`
	Check  *rings.Check   `json:"check,omitempty"`
	Items  []Item         `json:"items,omitempty"`  // services of one repository and branch; none for a claim
	Commit string         `json:"commit,omitempty"` // for a hint or a tag
	Tag    string         `json:"tag,omitempty"`
	Reason string         `json:"reason"` // why it is done, for people
	// After is when it may begin: a retry's back-off. Zero means at once.
	After time.Time `json:"after,omitzero"`
	// AskedAt is set by the fold: what the answer says is not older.
	AskedAt time.Time `json:"askedAt,omitzero"`
}

// Item is one service's part of an action.
type Item struct {
	Service rings.ServiceName `json:"service"`
	// Version and Nonce are what the attempt writes; for a survey, what to
	// look for, or zero when the attempt is not decided yet.
	Version rings.Version `json:"version,omitempty"`
	Nonce   int64         `json:"nonce,omitempty"`
	From    rings.Version `json:"from,omitempty"` // for the commit message
	// Settings are the values that the attempt writes beside the version.
	Settings rings.Values `json:"settings,omitempty"`
	// Base is the tip that the attempt was decided on; the attempt's commit is
	// the first after it at which the file holds Version and Nonce.
	Base string `json:"base,omitempty"`
	// Commit is the attempt's commit when it is known already: then nothing is
	// searched, and the lineage begins there.
	Commit string `json:"commit,omitempty"`
	// Branch is the one on which the attempt is proposed, once it is.
	Branch string `json:"branch,omitempty"`
	// Labels are set by the fold: the commits on Fleet's objects, at the time
	// of asking, that are not known to be older than the attempt's.
	Labels []string `json:"labels,omitempty"`
}

// Result is how an action ended.
type Result string

const (
	// OK means that it is done, now or by an earlier try.
	OK Result = "ok"
	// Refused means that it cannot succeed as things are: Code and Words say why.
	Refused Result = "refused"
	// Unreachable means that it did not take effect because the other side
	// could not be reached; trying again later may help.
	Unreachable Result = "unreachable"
	// Unknown means that it may have taken effect: ask for a look.
	Unknown Result = "unknown"
)

// Code names why something was refused or failed; exit codes and hints are
// made from it. The list only grows.
type Code string

// Codes of refusals and failures.
const (
	CodeAuth       Code = "authentication"     // git or Fleet did not accept the credentials
	CodeDenied     Code = "permission-denied"  // known, but not allowed to push or write
	CodeProtected  Code = "protected-branch"   // the branch takes no direct pushes
	CodeHook       Code = "hook-rejected"      // a hook on the server said no; Words has its words
	CodeNotFound   Code = "not-found"          // repository, branch, path or GitRepo is not there
	CodeFile       Code = "fleet-yaml"         // the file cannot be edited safely
	CodeNonceTaken Code = "nonce-taken"        // another entry of the file got our nonce first: decide again
	CodeConflict   Code = "conflict"           // the branch moved on faster than we could push, again and again
	CodeClaimed    Code = "claimed"            // another store's rollout holds the claim
	CodeManual     Code = "manual-change"      // a version that this store did not write
	CodeSuperseded Code = "superseded"         // somebody set another version or nonce after us
	CodeRewritten  Code = "history-rewritten"  // the branch does not descend from our commit
	CodeGitJob     Code = "git-job-failed"     // Fleet could not read the repository
	CodeTargeting  Code = "targeting-error"    // Fleet could not compute the Bundle's targets
	CodeInstall    Code = "install-failed"     // Helm refused for good
	CodeDeploy     Code = "deploy-failed"      // Helm refuses again and again
	CodeNotReady   Code = "not-ready"          // the deadline passed before all clusters were ready
	CodeOffline    Code = "offline"            // no sign of an agent until the deadline
	CodeUptake     Code = "not-taken-up"       // Fleet did not take the commit up until the deadline
	CodeUnreach    Code = "unreachable"        // git or Fleet could not be reached until the deadline
	CodeUnexpected Code = "unexpected"         // none of the others; Words has all there is
	CodeTargets    Code = "undeployed-cluster" // a ring cluster that the GitRepo does not reach still runs the service
	CodeUpstream   Code = "upstream-changed"   // the ring before does not say any more what was verified there
	CodeDependency Code = "dependency"         // a dependency outside the plan is not healthy
	CodeSoak       Code = "soak"               // the ring did not stay healthy
	CodeCheck      Code = "check-failed"       // an external check answered badly
	CodeRollback   Code = "rollback-failed"    // what was changed could not be taken back
	CodeUnmerged   Code = "not-merged"         // nobody merged what was proposed until the deadline
	CodeDeclined   Code = "declined"           // somebody deleted the branch with the proposal without merging it
)

// Outcome is an action's answer.
type Outcome struct {
	Action string `json:"action"` // its ID
	Result Result `json:"result"`
	Code   Code   `json:"code,omitempty"`  // set when Refused or Unreachable
	Words  string `json:"words,omitempty"` // for people; the other side's own where there are any
	Hint   string `json:"hint,omitempty"`  // what would help, when the adapter knows
	// Services are the items that a refusal is about; empty means all.
	Services []rings.ServiceName `json:"services,omitempty"`
	// Surveys is a survey's answer, one an item; a publish answers with them
	// too, of the branch as it is after the push.
	Surveys []Survey `json:"surveys,omitempty"`
	// Proposal is where a publish proposed its items, now or by an earlier try;
	// nil when it pushed to the branch itself or had nothing to write.
	Proposal *Proposal `json:"proposal,omitempty"`
}

// Survey is what the branch's tip says about a service on a ring.
type Survey struct {
	Service rings.ServiceName `json:"service"`
	Tip     string            `json:"tip"`
	// Version is what all expected clusters get, "" when they differ or there
	// are none; Versions then lists each once, sorted.
	Version  rings.Version   `json:"version,omitempty"`
	Versions []rings.Version `json:"versions,omitempty"`
	// Settings are the values of the target's settings that all expected clusters
	// get; Unsettled those that differ, or that some have not: each value once,
	// sorted, none when nobody has one.
	Settings  rings.Values                   `json:"settings,omitempty"`
	Unsettled map[rings.SettingName][]string `json:"unsettled,omitempty"`
	// Nonce is what all expected clusters get, 0 when they differ or have none.
	Nonce    int64 `json:"nonce,omitempty"`
	MaxNonce int64 `json:"maxNonce,omitempty"` // largest of the whole file

	// Commit is the attempt's commit, when Item asked for a version and nonce
	// and the branch holds them, and its settings, since Base: the first at which it does, whoever
	// made it. Without a question it is the last commit that touched the path.
	Commit string    `json:"commit,omitempty"`
	Author string    `json:"author,omitempty"` // of Commit
	At     time.Time `json:"at,omitzero"`      // of Commit: committer time
	// Lineage are the commits from Commit to Tip, oldest first, both included.
	Lineage []string `json:"lineage,omitempty"`
	// Superseded is the first commit after Commit that takes Version, Nonce or a
	// value of a setting away again; nil while they hold to the tip.
	Superseded *Foreign `json:"superseded,omitempty"`
	// Rewritten: the tip does not descend from Base (or from the commit that
	// was known before).
	Rewritten bool `json:"rewritten,omitempty"`
	// Closed: the Item's Branch is not there any more, and what was proposed on
	// it is not on the branch that it was proposed for.
	Closed bool `json:"closed,omitempty"`

	// Expected are the ring's clusters that the service is deployed to, sorted;
	// Excluded the others, each with the reason.
	Expected []rings.ClusterName `json:"expected,omitempty"`
	Excluded []Excluded          `json:"excluded,omitempty"`
}

// Foreign is somebody else's commit.
type Foreign struct {
	Commit  string        `json:"commit"`
	Author  string        `json:"author"`
	At      time.Time     `json:"at,omitzero"`
	Version rings.Version `json:"version,omitempty"` // what the ring gets there
	// Settings are the values that the attempt's settings have there.
	Settings rings.Values `json:"settings,omitempty"`
	Nonce    int64        `json:"nonce,omitempty"`
}

// Excluded is a cluster of the ring that the service is not deployed to.
type Excluded struct {
	Cluster rings.ClusterName `json:"cluster"`
	Why     string            `json:"why"` // "not targeted by GitRepo web", "doNotDeploy"
}
