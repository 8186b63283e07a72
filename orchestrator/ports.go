package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollout/rings"
)

// Store keeps the journal. Every method is one transaction, and safe for
// concurrent use, also by other processes on the same file.
type Store interface {
	// Rollout returns the fold of the rollout's events; the caller owns it.
	// ErrNotFound when there is none.
	Rollout(ctx context.Context, id ID) (*State, error)
	// Live returns the rollouts that have not ended, oldest first.
	Live(ctx context.Context) ([]ID, error)
	// Acquire takes the rollout's lease for the driver until now+ttl. It
	// returns a [LeasedError] while another driver's lease runs; the same
	// driver gets its lease again, with a new epoch.
	Acquire(ctx context.Context, id ID, d Driver, now time.Time, ttl time.Duration) (Lease, error)
	// Renew extends leases until now+ttl; it returns those that are still
	// held. A lease that another driver took over in between is left out.
	Renew(ctx context.Context, held []Lease, now time.Time, ttl time.Duration) ([]Lease, error)
	// Release gives the lease up, at once free for others. Releasing one that
	// is not held any more does nothing.
	Release(ctx context.Context, l Lease) error
	// Append writes the batches in one transaction, all or none, and they are
	// on disk when it returns. A batch whose lease's epoch is not the present
	// one makes it a [FencedError]; one whose events do not follow the last
	// stored one, ErrOutOfOrder. After any other error it may have taken effect
	// all the same, and is safe to repeat. The store reads a batch's State only
	// until it returns.
	Append(ctx context.Context, batches []Batch) error
	// Commands returns the commands that no batch has consumed, oldest first.
	Commands(ctx context.Context, id ID) ([]Command, error)
	// Barriers returns what lets nothing new start for the application: the halt
	// that stands, its own or that of all. One that has run out by now is none.
	Barriers(ctx context.Context, app rings.AppName, now time.Time) (rings.Barriers, error)
	// Changes returns a channel that receives (without blocking, coalesced)
	// after other processes wrote, until ctx ends. A missed change is made up
	// for within a second.
	Changes(ctx context.Context) <-chan struct{}
}

// Batch is what one Step of one rollout decided.
type Batch struct {
	Lease    Lease
	Events   []Event
	State    *State   // after the events; for snapshots
	Consumed []uint64 // Seq of the commands that are answered by the events
}

// Driver is a process that may move rollouts on.
type Driver struct {
	Name string `json:"name"` // unique to the process: "host/pid/random"
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// Background: it is a `rollout run`, and takes over what others hand it.
	Background bool `json:"background,omitempty"`
}

// Lease is the right to append to a rollout's journal. A later epoch fences
// an earlier one.
type Lease struct {
	Rollout ID        `json:"rollout"`
	Driver  Driver    `json:"driver"`
	Epoch   uint64    `json:"epoch"`
	Expires time.Time `json:"expires"`
	Seen    time.Time `json:"seen"` // last renewed
}

var (
	// ErrNotFound is wrapped when there is no such rollout.
	ErrNotFound = errors.New("not found")
	// ErrLeased is wrapped by [LeasedError].
	ErrLeased = errors.New("driven by another process")
	// ErrClaimLost is wrapped by [Claim].Confirm when another holds the claim.
	ErrClaimLost = errors.New("the claim is not held")
	// ErrFenced is wrapped by [FencedError].
	ErrFenced = errors.New("the lease was taken over")
	// ErrOutOfOrder is wrapped when events to append do not follow the last one
	// of the journal. Nothing of the Append was written.
	ErrOutOfOrder = errors.New("events out of order")
)

// LeasedError says who drives the rollout.
type LeasedError struct{ Lease Lease }

// Error names the driver.
func (e *LeasedError) Error() string {
	return fmt.Sprintf("rollout %q: driven by process %d on %s", e.Lease.Rollout, e.Lease.Driver.PID, e.Lease.Driver.Host)
}

// Unwrap returns ErrLeased.
func (e *LeasedError) Unwrap() error { return ErrLeased }

// FencedError names the rollouts that other drivers have taken over. Nothing
// of the Append was written.
type FencedError struct{ Rollouts []ID }

// Error names the rollouts.
func (e *FencedError) Error() string {
	return fmt.Sprintf("rollouts %q: %v", e.Rollouts, ErrFenced)
}

// Unwrap returns ErrFenced.
func (e *FencedError) Unwrap() error { return ErrFenced }

// Job is an action with everything that an adapter needs to carry it out.
type Job struct {
	Action  Action
	Rollout ID
	Scope   Scope
	Targets map[rings.ServiceName]Target // of the action's items
	Actor   string                       // who started the rollout, for the commit's trailer
	Link    string
	// Versions are the rollout's plan, for a check.
	Versions map[rings.ServiceName]rings.Version
}

// Publisher reads and writes the services' repositories. An answer is always
// an [Outcome], never an error: whatever went wrong is named there. The ctx's
// deadline bounds the call; past it the outcome is Unreachable, or Unknown if
// a push may have arrived. Safe for concurrent use; one repository's calls are
// made one after the other.
type Publisher interface {
	// Survey fetches the branch and answers one [Survey] an item.
	Survey(ctx context.Context, j Job) Outcome
	// Publish makes the items' versions and nonces hold on the branch, with
	// one commit for all of them, and none when they hold already. OK comes
	// with the surveys of the branch as it is then. All items or none. Where the
	// items' targets say so, it makes them hold on a branch of the job's own
	// instead, and answers with that Proposal: the one that is there already, if it
	// still fits. It pushes over no branch, and makes none anew that was deleted.
	Publish(ctx context.Context, j Job) Outcome
	// Tag puts an annotated tag, with the action's name, on its commit. OK when
	// it is there already; Refused when another commit has the name.
	Tag(ctx context.Context, j Job) Outcome
}

// Fleet is the manager. Safe for concurrent use.
type Fleet interface {
	// Watch sends facts about the watched services to sink, first all there
	// are (then Synced for each service), later what changes, from one
	// goroutine at a time. It reconnects by itself and returns only when ctx
	// ends, with nil, or when watching cannot ever work (permissions, no such
	// workspace), with the reason. What is sent twice does no harm.
	Watch(ctx context.Context, w Watch, sink func([]Fact)) error
	// Hint tells Fleet of the newest commit on the service's branch. It is
	// only a hint: Refused without permission, and nothing depends on it.
	Hint(ctx context.Context, s Scope, t Target, commit string) Outcome
	// Nudge makes Fleet run the GitRepo's failed git job again.
	Nudge(ctx context.Context, s Scope, t Target) Outcome
}

// Watch says what to observe: the clusters of a ring and the services'
// BundleDeployments on them; on the clusters of other rings where that is cheap.
type Watch struct {
	Scope   Scope
	Ring    rings.RingName
	Targets []Target
	// Epoch tells two watches of one ring apart: a new one must say again all
	// there is.
	Epoch int
}

// Claim keeps two stores apart that meet on one Fleet. Safe for concurrent use.
type Claim interface {
	// Take takes the claim on (application, ring) for the rollout, and keeps
	// it renewed until Release. Taking what this process holds is OK. Refused
	// with CodeClaimed and the holder's words when another holds it. OK with
	// Words is a warning: claims cannot be had here.
	Take(ctx context.Context, s Scope, ring rings.RingName, id ID) Outcome
	// Confirm returns nil when the claim is held at this moment, with the
	// epoch it was taken with, or cannot be had here. Else the reason, which
	// wraps ErrClaimLost when it is lost for good; any other may pass, and is
	// asked again later.
	Confirm(ctx context.Context, s Scope, ring rings.RingName) error
	// Release gives the claim up. Releasing what is not held does nothing.
	Release(ctx context.Context, s Scope, ring rings.RingName) error
}

// Checker asks what is outside of Fleet whether a ring is well. Safe for
// concurrent use.
type Checker interface {
	// Check takes one sample of the job's check: OK when it answered well,
	// Refused when it answered badly, Unreachable or Unknown when it said
	// nothing (no data, no connection, no time). Words are for people, with the
	// numbers. It ends with ctx, and leaves no process behind.
	Check(ctx context.Context, j Job) Outcome
}

// Clock is the time, real or played. Safe for concurrent use.
type Clock interface {
	Now() time.Time
	// After returns a channel that receives once after d; stop ends it early.
	After(d time.Duration) (c <-chan time.Time, stop func())
}
