package rings

import (
	"fmt"
	"time"
)

// Policy is what a ring demands of a rollout. The zero value is the default.
type Policy struct {
	// Uptake bounds the time from a push until Fleet has taken the commit up.
	// Zero means [DefaultUptake], or three polling intervals if that is longer.
	Uptake time.Duration `json:"uptakeDeadline,omitempty"`
	// Converge bounds, per cluster, the time from then until it is ready.
	// Zero means [DefaultConverge].
	Converge time.Duration `json:"deadline,omitempty"`

	// Merge bounds the time that a person has to merge what is proposed on a
	// branch. Zero means [DefaultMerge].
	Merge time.Duration `json:"mergeDeadline,omitempty"`

	// ApproveBefore and ApproveAfter: a person must approve before the ring
	// begins, or before it counts as done.
	ApproveBefore bool `json:"approveBefore,omitempty"`
	ApproveAfter  bool `json:"approveAfter,omitempty"`
	// ApprovalExpires is how long an approval may wait to be used; zero means
	// that it does not expire.
	ApprovalExpires time.Duration `json:"approvalExpires,omitempty"`

	// Soak is how long all clusters of the ring must stay healthy at what was
	// rolled out before the ring is done.
	Soak time.Duration `json:"soak,omitempty"`

	// MaxFailed is how many of the ring's clusters may fail; zero by default.
	MaxFailed Amount `json:"maxFailed,omitzero"`
	// OnOffline is what becomes of a cluster whose agent gave no sign until
	// its deadline; MaxOffline bounds how many OfflineSkip leaves out.
	OnOffline  OnOffline `json:"onOffline,omitempty"`
	MaxOffline Amount    `json:"maxOffline,omitzero"`

	OnFailure OnFailure `json:"onFailure,omitempty"`
	OnJoin    OnJoin    `json:"onJoin,omitempty"`

	// FreezeUpstream: while a rollout is under way on the ring, from its begin to
	// its end there, nothing begins on the ring that it takes from.
	FreezeUpstream bool `json:"freezeUpstream,omitempty"`

	// Checks are asked when all services of the ring are done, and again and
	// again during the soak.
	Checks []Check `json:"checks,omitempty"`
}

const (
	// DefaultUptake is generous for a git job whose image must be pulled.
	DefaultUptake = 5 * time.Minute
	// DefaultConverge lies above Kubernetes' own progress deadline of 10 min.
	DefaultConverge = 15 * time.Minute
	// DefaultMerge leaves time for a review.
	DefaultMerge = 24 * time.Hour
)

// OnFailure is what a rollout does when the ring fails.
type OnFailure string

// Ways to act on a failure. What runs may finish in each of them.
const (
	FailureStop         OnFailure = ""              // the rollout ends as failed, what was changed stays
	FailurePause        OnFailure = "pause"         // the rollout waits for a person
	FailureRollbackRing OnFailure = "rollback-ring" // what it changed on this ring is taken back
	FailureRollback     OnFailure = "rollback"      // everything that it changed is taken back
)

// OnOffline is what becomes of a cluster that cannot be reached.
type OnOffline string

// Ways to act on an offline cluster.
const (
	OfflineFail OnOffline = ""     // it counts as failed
	OfflineSkip OnOffline = "skip" // it is left out, up to MaxOffline of them; Fleet catches it up when it is back
	OfflineWait OnOffline = "wait" // it is waited for, without a deadline
)

// OnJoin is what becomes of a cluster that enters the ring in the middle.
type OnJoin string

// Ways to act on a cluster that joins.
const (
	JoinInclude OnJoin = ""      // it counts like the others
	JoinLater   OnJoin = "later" // it does not count in this rollout
)

// faults names all that is wrong with the policy.
func (p Policy) faults() []string {
	out := []string{
		checkDuration("uptake deadline", p.Uptake), checkDuration("deadline", p.Converge),
		checkDuration("merge deadline", p.Merge), checkDuration("soak", p.Soak), checkDuration("approval expiry", p.ApprovalExpires),
		oneOf("on failure", p.OnFailure, "stop", FailurePause, FailureRollbackRing, FailureRollback),
		oneOf("on offline", p.OnOffline, "fail", OfflineSkip, OfflineWait),
		oneOf("on join", p.OnJoin, "include", JoinLater),
	}
	if p.MaxOffline != (Amount{}) && p.OnOffline != OfflineSkip {
		out = append(out, `max offline bounds what "on offline: skip" leaves out: set that, too`)
	}
	if p.OnOffline == OfflineSkip && p.MaxOffline == (Amount{}) {
		out = append(out, `on offline "skip": max offline is needed, to say how many may be left out`)
	}
	seen := map[string]bool{}
	for _, c := range p.Checks {
		if seen[c.Name] {
			out = append(out, fmt.Sprintf("check %q is there twice", c.Name))
		}
		seen[c.Name] = true
		out = append(out, c.faults()...)
	}
	return out
}

func checkDuration(what string, d time.Duration) string {
	if d < 0 || d > 0 && d < time.Second {
		return fmt.Sprintf("%s %s: at least 1s is needed", what, d)
	}
	return ""
}

// oneOf checks a choice; its zero value is known to people under a word.
func oneOf[T ~string](what string, got T, zero string, others ...T) string {
	words := fmt.Sprintf("%q", zero)
	for _, o := range others {
		if got == o {
			return ""
		}
		words += fmt.Sprintf(", %q", string(o))
	}
	if got == "" {
		return ""
	}
	return fmt.Sprintf("%s %q: one of %s", what, string(got), words)
}
