package sim

// Lie is something that a real Fleet says, or keeps to itself, when all is well
// with it. The world tells them all, always: they are not faults, and cannot be
// switched off. They have names so that a test against a real Fleet can be set
// beside each.
type Lie string

// Lies of a Fleet.
const (
	// LabelBeforeContent: the GitRepo's status names a commit as soon as its
	// git job is made, before anything is cloned; the Bundle carries it before
	// any BundleDeployment does.
	LabelBeforeContent Lie = "label-before-content"
	// ContentBeyondLabel: the job clones the branch's tip, and labels it with
	// the commit that it was made for.
	ContentBeyondLabel Lie = "content-beyond-label"
	// CommitSkipped: a GitRepo jumps to the newest commit; one in between is
	// never seen as a label.
	CommitSkipped Lie = "commit-skipped"
	// JobNotRetried: a failed git job is run again only for a new commit or a
	// change of the GitRepo's spec.
	JobNotRetried Lie = "job-not-retried"
	// JobOfAll: one broken file fails the job of all services of the GitRepo.
	JobOfAll Lie = "job-of-all"
	// FailureMasked: for 30 s after a hint the status does not follow the job of
	// a commit on top of the hinted one.
	FailureMasked Lie = "failure-masked"
	// OldTargetingWords: a targeting error stands for 5 s under the label of the
	// commit that mends it.
	OldTargetingWords Lie = "old-targeting-words"
	// OldErrorWords: the error of the last deployment stands under the new label
	// and the new nonce until the agent acts; for ever, if it is dead.
	OldErrorWords Lie = "old-error-words"
	// IdenticalSkipped: a deploymentID that equals the last applied one is not
	// deployed, whatever a failed upgrade has changed since.
	IdenticalSkipped Lie = "identical-skipped"
	// ReadyOfBefore: ready and nonModified stay true of the release before while
	// an upgrade fails or waits.
	ReadyOfBefore Lie = "ready-of-before"
	// ReadyLate: a live agent sees 5 s late that a workload turned.
	ReadyLate Lie = "ready-late"
	// ReadyOfTheDead: a dead agent's status says ready for ever.
	ReadyOfTheDead Lie = "ready-of-the-dead"
	// LabelOfTheHeld: a cluster that is held back, by a pause or the Bundle's
	// rolloutStrategy, carries the new label and is ready with the old content.
	LabelOfTheHeld Lie = "label-of-the-held"
	// MovesWithLabel: a relabelled cluster gets its new ring's content at once,
	// and looks ready with the old one until then.
	MovesWithLabel Lie = "moves-with-label"
	// FolderForAll: a file of the folder other than fleet.yaml and values files
	// is content: a change of it upgrades the clusters of every ring.
	FolderForAll Lie = "folder-for-all"
	// EditBlocks: what was changed by hand is an upgrade that hangs in silence.
	EditBlocks Lie = "edit-blocks"
)

// Lies are all of them.
var Lies = []Lie{LabelBeforeContent, ContentBeyondLabel, CommitSkipped, JobNotRetried, JobOfAll, FailureMasked, OldTargetingWords,
	OldErrorWords, IdenticalSkipped, ReadyOfBefore, ReadyLate, ReadyOfTheDead, LabelOfTheHeld, MovesWithLabel, FolderForAll, EditBlocks}
