package orchestrator

import (
	"time"

	"rollout/rings"
)

// ID names a rollout: the application's name and a number, "shop-12". Ids of
// one application sort by that number, not as text.
type ID string

// Phase is where a rollout stands. Succeeded, Failed, Cancelled and RolledBack
// are final.
type Phase string

// Phases of a rollout. The list only grows.
const (
	Pending     Phase = "Pending"
	Running     Phase = "Running"
	Paused      Phase = "Paused"      // nothing new starts until a person says so
	RollingBack Phase = "RollingBack" // it takes back what it changed
	Succeeded   Phase = "Succeeded"
	Failed      Phase = "Failed"
	Cancelled   Phase = "Cancelled"
	RolledBack  Phase = "RolledBack" // it failed, and what it changed was taken back
)

// Ended reports whether the phase is final.
func (p Phase) Ended() bool {
	return p == Succeeded || p == Failed || p == Cancelled || p == RolledBack
}

// Kind is what a rollout is for.
type Kind string

// Kinds of rollouts. The list only grows.
const (
	KindForward  Kind = ""         // to what the plan says
	KindRetry    Kind = "retry"    // to what an earlier rollout's plan said
	KindRollback Kind = "rollback" // to what was there before an earlier rollout
	KindRelease  Kind = "release"  // to what a release says
	KindDeploy   Kind = "deploy"   // to versions that a person named, past the plan and the ring before
	KindTrain    Kind = "train"    // to what is verified on a ring before
)

// StepPhase is where a step stands. StepDone, StepFailed, StepSkipped and
// StepRolledBack are final, unless a person resumes the rollout after a failure.
type StepPhase string

// Phases of a step. The list only grows.
const (
	StepWaiting    StepPhase = "Waiting"    // for its dependencies
	StepSurveying  StepPhase = "Surveying"  // reading the branch and the clusters before deciding; shown as Publishing
	StepPublishing StepPhase = "Publishing" // attempt recorded, not yet seen on the branch
	StepProposed   StepPhase = "Proposed"   // on a branch of its own, not yet merged by a person
	StepConverging StepPhase = "Converging" // on the branch, not yet acknowledged everywhere
	StepDone       StepPhase = "Done"
	StepFailed     StepPhase = "Failed"
	StepSkipped    StepPhase = "Skipped" // not deployed on this ring, or left out by a person
	// The two phases of a step whose Undo takes it back.
	StepRollingBack StepPhase = "RollingBack"
	StepRolledBack  StepPhase = "RolledBack"
)

// Ended reports whether the phase is final.
func (p StepPhase) Ended() bool {
	return p == StepDone || p == StepFailed || p == StepSkipped || p == StepRollingBack || p == StepRolledBack
}

// ClusterPhase is where a cluster stands within a step. None is final:
// observations never latch.
type ClusterPhase string

// Phases of a cluster. The list only grows.
const (
	ClusterWaiting  ClusterPhase = "Waiting"  // Fleet has not taken the commit up for it
	ClusterApplying ClusterPhase = "Applying" // taken up, not acknowledged by the agent
	ClusterNotReady ClusterPhase = "NotReady" // acknowledged, not ready or modified
	ClusterReady    ClusterPhase = "Ready"
	ClusterFailed   ClusterPhase = "Failed"
	ClusterOffline  ClusterPhase = "Offline" // no sign of its agent until the deadline
	ClusterMissing  ClusterPhase = "Missing" // no BundleDeployment
	ClusterLeft     ClusterPhase = "Left"    // no longer of the ring
	ClusterSkipped  ClusterPhase = "Skipped" // left out: by a person, or because it joined later
)

// State is a rollout: the fold of its events by [Apply], and nothing else.
// It is not safe for concurrent use; whoever holds it owns all it points to.
type State struct {
	ID      ID                                  `json:"id"`
	Kind    Kind                                `json:"kind,omitempty"`
	Of      ID                                  `json:"of,omitempty"`      // the rollout that it retries or takes back
	Release int                                 `json:"release,omitempty"` // the number of the release that it rolls out
	Train   *Taken                              `json:"train,omitempty"`   // what a train was made from
	Left    []LeftRing                          `json:"left,omitempty"`    // rings of a group that go without it
	Scope   Scope                               `json:"scope"`
	Rings   []*RingState                        `json:"ringStates"` // in the order they go
	Plan    map[rings.ServiceName]rings.Version `json:"plan"`       // the snapshot
	// Settings are the values of settings that are rolled out; a service may have
	// some without a version in the plan.
	Settings map[rings.ServiceName]rings.Values `json:"settings,omitempty"`
	Options  Options                            `json:"options"`
	Phase    Phase                              `json:"phase"`
	// Current is the ring under way, which is watched and which facts are
	// about; "" before the first.
	Current rings.RingName `json:"current,omitempty"`
	// Epoch counts how often what was seen of the ring under way was forgotten.
	Epoch int `json:"epoch,omitempty"`
	// Failure is the first one; set before Phase is Failed when running steps
	// may still finish, and taken away when a person resumes.
	Failure *Failure    `json:"failure,omitempty"`
	Cancel  *Word       `json:"cancel,omitempty"` // set before Phase is Cancelled while a push is under way
	Pause   *Word       `json:"pause,omitempty"`  // while nothing new may start
	Halt    *rings.Halt `json:"halt,omitempty"`   // the line is stopped
	// Locks are those that stand, Frozen the rings that others' rollouts freeze,
	// and Closed when its rings are closed or will be next. Over are those of them that a person goes over. FreedAt is when a
	// lock or closure last ended.
	Locks    []rings.Lock    `json:"locks,omitempty"`
	Closed   []rings.Closure `json:"closed,omitempty"`
	Frozen   []rings.Freeze  `json:"frozen,omitempty"`
	Over     *rings.Barriers `json:"over,omitempty"`
	FreedAt  time.Time       `json:"freedAt,omitzero"`
	Rollback *Rollback       `json:"rollback,omitempty"`
	// Skips are the clusters that a person left out.
	Skips    map[rings.ClusterName]Word `json:"skips,omitempty"`
	Steps    []*StepState               `json:"steps"`              // ring by ring, wave by wave; those that take others back at the end
	Pending  map[string]Action          `json:"pending,omitempty"`  // asked for, not answered
	Actions  int                        `json:"actions,omitempty"`  // asked for so far; the next one gets this number plus 1 in its id
	Tags     []Tag                      `json:"tags,omitempty"`     // those that were asked for
	Warnings []string                   `json:"warnings,omitempty"` // each once, for people

	StartedBy  string    `json:"startedBy"`
	Link       string    `json:"link,omitempty"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// DrivenAt is since when the present driver, or the last one, has driven,
	// and Engine the version of its decisions.
	DrivenAt time.Time `json:"drivenAt,omitzero"`
	Engine   int       `json:"engine,omitempty"`
	// Version is the number of events folded: the next event's sequence number.
	// At is the last one's time.
	Version uint64    `json:"version"`
	At      time.Time `json:"at,omitzero"`
}

// RingNames returns the names of the rings, in the order they go.
func (s *State) RingNames() []rings.RingName {
	out := make([]rings.RingName, len(s.Rings))
	for i, r := range s.Rings {
		out[i] = r.Name
	}
	return out
}

// Watched says what is to be watched now; false when nothing is, because the
// rollout has ended or no ring is under way.
func (s *State) Watched() (Watch, bool) {
	r := s.ring(s.Current)
	if s.Phase.Ended() || r == nil || r.Phase.Ended() && s.Rollback == nil {
		return Watch{}, false
	}
	w := Watch{Scope: s.Scope, Ring: r.Name, Epoch: s.Epoch}
	for _, st := range s.Steps {
		if st.Ring == r.Name && !st.Undo {
			w.Targets = append(w.Targets, st.Target)
		}
	}
	return w, true
}

// Word is what a person said of a rollout, or what it did by itself.
type Word struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Rollback is the taking back of what the rollout changed.
type Rollback struct {
	Reason string         `json:"reason"`
	At     time.Time      `json:"at"`
	Ring   rings.RingName `json:"ring,omitempty"` // the ring under way; "" before the first
	// Failure is why it stopped; a person is needed then.
	Failure *Failure `json:"failure,omitempty"`
}

// Options are what the person who started the rollout asked for.
type Options struct {
	Redeploy bool `json:"redeploy,omitempty"` // a new nonce even where the version is live
	Override bool `json:"override,omitempty"` // go over versions that this store did not write, and over rings that were not verified
	// AllowUnhealthy: dependencies outside the plan need not be healthy.
	AllowUnhealthy bool `json:"allowUnhealthy,omitempty"`
	// GoOver: go over the locks and closed windows that stand at the start.
	GoOver bool `json:"goOver,omitempty"`
	// Direct: the rings before need not have verified the versions, because a
	// person named them.
	Direct bool   `json:"direct,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Tag is put on each repository that was changed, when the rollout has ended
	// well; "" for none.
	Tag string `json:"tag,omitempty"`
}

// Failure says why a rollout or a step ended badly.
type Failure struct {
	Code    Code              `json:"code"`
	Words   string            `json:"words"`
	Hint    string            `json:"hint,omitempty"`
	Service rings.ServiceName `json:"service,omitempty"`
	Cluster rings.ClusterName `json:"cluster,omitempty"`
}

// StepState is one (ring, service).
type StepState struct {
	Ring   rings.RingName      `json:"ring"`
	Target Target              `json:"target"`
	Needs  []rings.ServiceName `json:"needs,omitempty"` // steps of the same ring and direction that must be done before
	Wave   int                 `json:"wave"`            // from 1; 0 for one that is observed
	Policy rings.Policy        `json:"policy"`          // its ring's
	// Undo: it takes another step of the same ring and service back.
	Undo bool `json:"undo,omitempty"`
	// Observed: the service is not in the plan. Nothing is written; it is done
	// when the service is healthy, so that its dependents may go.
	Observed bool          `json:"observed,omitempty"`
	To       rings.Version `json:"to"`
	// Settings are the wanted values. Keep: no version is wanted; the ring keeps
	// the one that it has, which To says when the attempt is decided.
	Settings rings.Values `json:"settings,omitempty"`
	Keep     bool         `json:"keep,omitempty"`
	Known    rings.Known  `json:"known"` // what the store knew when the rollout was created
	Floor    int64        `json:"floor"` // the store's last nonce of the service then
	Phase    StepPhase    `json:"phase"`
	Failure  *Failure     `json:"failure,omitempty"`
	Reason   string       `json:"reason,omitempty"` // why Done, Failed or Skipped
	Skip     *Word        `json:"skip,omitempty"`   // a person wants it left out
	// UpstreamSame: the ring's upstream still says To.
	UpstreamSame bool `json:"upstreamSame,omitempty"`
	// Changed: an attempt put another version or other settings on the branch;
	// Was and Before are those before the first of them, Was "" when the clusters
	// had several.
	Changed bool          `json:"changed,omitempty"`
	Was     rings.Version `json:"was,omitempty"`
	Before  rings.Values  `json:"before,omitempty"`

	Attempt Attempt `json:"attempt,omitzero"`
	// Proposal is where the attempt waits, or last waited, for a merge; nil
	// while it was not proposed.
	Proposal *Proposal `json:"proposal,omitempty"`
	// Survey is the last one that was answered, SurveyedAt when it was asked
	// for: what it says of the branch is at least as new as that.
	Survey     *Survey   `json:"survey,omitempty"`
	SurveyedAt time.Time `json:"surveyedAt,omitzero"`
	// Tries counts surveys that reached nothing, in a row; Pushes the pushes of
	// the attempt that did not succeed; Words and Hint are of the last of both.
	Tries  int    `json:"tries,omitempty"`
	Pushes int    `json:"pushes,omitempty"`
	Words  string `json:"words,omitempty"`
	Hint   string `json:"hint,omitempty"`
	// Doubt: a push did not succeed for sure, and did not fail for sure.
	Doubt bool `json:"doubt,omitempty"`
	// Strange are commits that were seen on Fleet's objects and that a later
	// survey did not find among the descendants of the attempt's: older ones.
	Strange []string `json:"strange,omitempty"`

	GitRepo *GitRepo `json:"gitRepo,omitempty"`
	Nudge   Nudge    `json:"nudge,omitempty"`
	// JobFailedAt is when the git job was first seen failed.
	JobFailedAt time.Time `json:"jobFailedAt,omitzero"`
	Bundle      *Bundle   `json:"bundle,omitempty"`
	// BundleErrorSince is since when the Bundle has shown its error under its
	// present commit.
	BundleErrorSince time.Time `json:"bundleErrorSince,omitzero"`
	Synced           bool      `json:"synced,omitempty"`

	Members []rings.ClusterName `json:"members,omitempty"`
	// Unplaced: a member is unknown to the survey. It is kept, and not asked of
	// all members in every turn.
	Unplaced bool                                `json:"unplaced,omitempty"`
	Clusters map[rings.ClusterName]*ClusterState `json:"clusters,omitempty"`
	Counts   map[ClusterPhase]int                `json:"counts,omitempty"` // of the expected clusters
	// Suspicions are the clusters whose Suspect runs, oldest first, until it
	// comes due; one in the middle may be over already.
	Suspicions []Suspicion `json:"suspicions,omitempty"`
	// Trials are the clusters that have had their turn and are not ready, in
	// the order in which their deadlines come; one in the middle may be over.
	Trials []Trial `json:"trials,omitempty"`
	// ReadySince is since when all expected clusters have been ready, those
	// that joined included and those that are given up left out; zero while
	// one is not.
	ReadySince time.Time `json:"readySince,omitzero"`
	// MovedAt is when a cluster last had its turn, or became or ceased to be
	// ready: those that Fleet holds back have the converge deadline from then.
	MovedAt time.Time `json:"movedAt,omitzero"`

	StartedAt   time.Time `json:"startedAt,omitzero"`
	PublishedAt time.Time `json:"publishedAt,omitzero"` // seen on the branch
	TakenUpAt   time.Time `json:"takenUpAt,omitzero"`   // first BundleDeployment with the commit or a later one
	FinishedAt  time.Time `json:"finishedAt,omitzero"`
}

// Nudge is how far the one nudge of a step has come.
type Nudge string

// Stages of a nudge: not asked, asked, and the failed job was seen replaced,
// so that a failed one is a new failure.
const (
	NudgeNone  Nudge = ""
	NudgeAsked Nudge = "asked"
	NudgeTaken Nudge = "taken"
)

// Attempt is one try at a step: decided once, recorded before anything is
// written. The zero value means that none was decided.
type Attempt struct {
	Number  int           `json:"number,omitempty"` // from 1
	Version rings.Version `json:"version,omitempty"`
	From    rings.Version `json:"from,omitempty"`
	// Settings are the values that it writes, Had those that they had.
	Settings rings.Values `json:"settings,omitempty"`
	Had      rings.Values `json:"had,omitempty"`
	Nonce    int64        `json:"nonce,omitempty"`
	Base     string       `json:"base,omitempty"`
	Commit   string       `json:"commit,omitempty"` // "" until seen on the branch
	Ours     bool         `json:"ours,omitempty"`   // we publish it; else it was found on the branch and is waited for
}

// Suspicion is a cluster's Suspect, in line with the others'.
type Suspicion struct {
	Cluster rings.ClusterName `json:"cluster"`
	Since   time.Time         `json:"since"`
}

// Trial is a cluster that has been trying to become ready.
type Trial struct {
	Cluster rings.ClusterName `json:"cluster"`
	Since   time.Time         `json:"since"`
}

// ClusterState is one cluster within a step.
type ClusterState struct {
	Expected bool         `json:"expected,omitempty"`
	Phase    ClusterPhase `json:"phase"`
	Reason   string       `json:"reason,omitempty"`
	Code     Code         `json:"code,omitempty"` // set when Failed
	Since    time.Time    `json:"since"`          // of the phase
	Seen     *Deployment  `json:"seen,omitempty"` // nil: never reported
	// Suspect is since when the agent has been alive with a deployment error
	// or a hidden conflict under our nonce.
	Suspect time.Time `json:"suspect,omitzero"`
	// Heard is the newest sign of the agent, HeardAt when it was seen: a sign
	// counts by both, whatever the clocks say.
	Heard   time.Time `json:"heard,omitzero"`
	HeardAt time.Time `json:"heardAt,omitzero"`
	// Trying is since when the cluster has had our deployment and not been
	// ready; zero before its turn and while it is ready.
	Trying time.Time `json:"trying,omitzero"`
}
