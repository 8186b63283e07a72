package sim

import (
	"time"

	"rollout/rings"
)

// Behaviour is what becomes of a version on a cluster. The zero value is good.
type Behaviour struct {
	Kind BehaviourKind
	// After is how long a version that is ReadyThenFails stays ready.
	After time.Duration
	// Heals is when it becomes good by itself; zero: never.
	Heals time.Duration
	// Words are what Fleet says of it; "" are its usual ones.
	Words string
}

// BehaviourKind is one way to behave.
type BehaviourKind string

// Ways to behave.
const (
	// Good becomes ready.
	Good BehaviourKind = ""
	// NeverReady is applied and acknowledged, and its workload never runs: an
	// image that cannot be pulled is no error to Fleet.
	NeverReady BehaviourKind = "never-ready"
	// InstallFails is refused by Helm for good: Installed=False, the new
	// deploymentID is applied, the nonce is not acknowledged, and nothing is
	// tried again until the next one.
	InstallFails BehaviourKind = "install-fails"
	// DeployFails is a failure that looks soft: Deployed=False, retried for
	// ever, ready and nonModified stay true of the release before, and some of
	// the objects were changed already.
	DeployFails BehaviourKind = "deploy-fails"
	// WaitsForOthers is dependsOn of fleet.yaml: it shows as Deployed=False,
	// too, and is looked at again every 15 s.
	WaitsForOthers BehaviourKind = "waits-for-others"
	// HiddenConflict is a field that somebody else owns: Helm's HTTP 409 is no
	// error to the agent, so Deployed=True, the ids differ for ever, and no
	// object says why.
	HiddenConflict BehaviourKind = "hidden-conflict"
	// ReadyThenFails is ready for a while, and then is not.
	ReadyThenFails BehaviourKind = "ready-then-fails"
	// FailsChecks is ready, and whoever is asked outside of Fleet says that it
	// is not well.
	FailsChecks BehaviourKind = "fails-checks"
)

// is reports whether it is of the kind, and still is when it has gone on for
// that long.
func (b Behaviour) is(kind BehaviourKind, age time.Duration) bool {
	return b.Kind == kind && (b.Heals == 0 || age < b.Heals)
}

func (b Behaviour) words(usual string) string {
	if b.Words != "" {
		return b.Words
	}
	return usual
}

// behaviour is that of a version on the deployment's cluster. Faults may upset
// an upgrade, for a while: what they decided at its first try holds.
func (w *World) behaviour(d *deployment, v rings.Version) Behaviour {
	if d.tries == 0 {
		d.upset = w.upset()
	}
	if d.upset.Kind != Good {
		return d.upset
	}
	return w.versionOn(d.bundle.service.Name, d.cluster.name, v)
}

func (w *World) upset() Behaviour {
	if w.happens(w.Faults.SoftFailures) {
		return Behaviour{Kind: DeployFails, Heals: w.draw(Delay{time.Second, 40 * time.Second}), Words: "etcdserver: request timed out"}
	}
	return Behaviour{}
}

func (w *World) versionOn(s rings.ServiceName, c rings.ClusterName, v rings.Version) Behaviour {
	if w.Behave != nil {
		if b, ok := w.Behave(s, c, v); ok {
			return b
		}
	}
	return w.Versions[v]
}

// Faults say how often things go wrong: each is the probability with which it
// happens when it can. The zero value is a world without faults. What happens
// by itself, and not to something that is done, is a [Happening].
type Faults struct {
	// Unreachable: the git server does not answer a survey or a publish, and
	// nothing takes effect.
	Unreachable float64
	// PushRaced: somebody else pushes between our fetch and our push, which is
	// then rejected as non-fast-forward.
	PushRaced float64
	// PushRefused: a hook on the server declines our push.
	PushRefused float64
	// PushLost: our push arrives and takes effect, its answer is lost.
	PushLost float64
	// PushDropped: our push is lost on its way; like PushLost, it cannot be told.
	PushDropped float64
	// Outlives: what a process that died had sent takes effect after its death.
	Outlives float64

	// ClaimRefused: another store holds the claim.
	ClaimRefused float64
	// ClaimUnreachable: the manager does not answer about the claim.
	ClaimUnreachable float64
	// HintRefused: we may not patch the GitRepo's status.
	HintRefused float64
	// HintLost: the hint is answered with success and changes nothing; Fleet
	// sees the commit at its next poll.
	HintLost float64
	// NudgeUnreachable: the manager does not answer a nudge.
	NudgeUnreachable float64
	// CheckBad: a check answers badly.
	CheckBad float64
	// CheckSilent: a check says nothing: no data, no connection, no time.
	CheckSilent float64

	// JobFails: a git job fails once, over nothing; Fleet never runs it again.
	JobFails float64
	// JobSlow: a git job's Pod starts late, so that it clones what was pushed
	// long after its commit was chosen.
	JobSlow float64
	// AwaitsValues: the values of a BundleDeployment come up to a minute late,
	// and its agent waits for them.
	AwaitsValues float64
	// SoftFailures: an upgrade fails with Deployed=False for a while.
	SoftFailures float64
	// StatusLags: a status is written up to 30 s late.
	StatusLags float64
	// CheckInLost: Fleet's cluster controller, which looks after a Cluster whenever
	// a BundleDeployment of it changes, writes a whole status that it had read
	// before the agent's last check-in: the one before it stands there until the
	// next.
	CheckInLost float64

	// WatchLate: events arrive seconds late.
	WatchLate float64
	// WatchDoubled: events arrive twice.
	WatchDoubled float64
	// WatchStale: after an event an older read of the same object arrives, as
	// after a list from a server that lags; the newer one comes again with the
	// resync.
	WatchStale float64
	// WatchLost: events do not arrive until the resync.
	WatchLost float64

	// Unrest is the mean time between two happenings; zero: there are none.
	Unrest time.Duration
	// May are those that may happen; nil means all.
	May []Happening
}
