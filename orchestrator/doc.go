// Package orchestrator decides what happens next in a rollout, and why.
//
// # The pure part
//
//	Step(State, Input) Decision{Events, Actions, Wake}    decides
//	Apply(State, Event) State                             the fold, and the only way a state changes
//
// A rollout is the fold of its events, and nothing else: what people are told,
// what a new driver continues from and what the history shows is read from the
// journal. Facts about Fleet, outcomes of actions, people's commands and the
// time are inputs; those that say something new become events themselves, so
// that every decision stands in the journal behind what it was made from.
//
// A rollout goes through its rings, one after the other:
//
//   - create.go: what a person asks for becomes the first event; again.go: the
//     same for a retry and a rollback of an earlier rollout; train.go: what is
//     taken from a ring before;
//   - keeper.go: what starts without a person, when, and once;
//   - gate.go: the ring before is verified, a person has approved, so the ring
//     begins (invariant 2); its steps have ended, so it soaks, is done, or has
//     failed;
//   - soak.go: it stays healthy, its agents were heard from, its checks answer
//     well (invariant 5);
//   - rollback.go: what was changed is taken back (invariant 11);
//   - commanded.go: what people say meanwhile.
//
// One step, which is one service on one ring, followed through the files:
//
//   - step.go: its dependencies are done, so it starts (invariant 1);
//   - publish.go: the branch was surveyed; the attempt's version and nonce are
//     decided, once, and recorded before anything is written (invariant 8);
//   - outcome.go: the push was answered, refused, or its answer was lost; a
//     lost one is looked for and never repeated blindly;
//   - propose.go: where a branch takes no direct pushes, the commit waits on one
//     of its own until a person has merged it, in whichever way;
//   - judge.go: what Fleet says of one cluster is held against the attempt's
//     commit and nonce: the convergence rule, where unknown, missing, stale or
//     empty is never success (invariant 3);
//   - converge.go: all clusters are ready, the branch is read once more, and
//     the step is done; or an error or a deadline ends it (invariant 6);
//   - weigh.go: what time makes of the clusters' verdicts, and how many may
//     fail;
//   - why.go, explain.go: at any moment, why it stands where it stands.
//
// Step looks at levels, not at edges: observing the same thing twice changes
// nothing and writes nothing (invariant 13). Its work follows what the input
// changed, not the size of the ring.
//
// # The shell
//
// The [Runner] feeds Step and carries out its actions through the ports of
// ports.go: [Store], [Publisher], [Fleet], [Claim], [Checker] and [Clock]. Its duties, in
// order: step, append the events, and only then act; what was pending when a
// driver ended belongs to the next one. It has no opinion about rollouts.
//
// # What an adapter must do
//
//  1. Answer every action with an [Outcome]; [Unknown] when it may have taken
//     effect, [Unreachable] only when it has not.
//  2. Be idempotent by content: an action may come again after any crash.
//  3. Deliver facts as levels, the latest wins, and say Synced when all that
//     there is has been delivered.
//
// This package does no I/O, reads no clock and knows neither Kubernetes nor
// git; a test holds it to that.
package orchestrator
