// Package rings is the model: applications, their services and rings, the
// clusters that carry a ring's label, the plan of what should run, and the
// graph of dependencies with its waves.
//
// It holds no clock, does no I/O and knows no Kubernetes type, so that every
// other package can speak its words. The words are used for nothing else:
//
//   - an [Application] is the unit that is rolled out; it owns services, rings
//     and the plan, and lives in one Fleet workspace of one manager;
//   - a [Service] is one fleet.yaml in a git repository; it depends on other
//     services of its application, and the dependencies form a DAG;
//   - a [Ring] is an ordered group of clusters, chosen by a label that can be
//     changed at any time;
//   - a [Plan] says which version is wanted for each service, and which values
//     of its [Setting]s; it is not used up by a rollout, and a service without an
//     entry is not touched;
//   - a [Lock] keeps new starts away from a part of an application, a [Window]
//     says when its rings are open; [Barriers] are all that holds at a time.
//
// One rollout, followed through the program: a command in cmd/rollout reads the
// application from the store, checks it here, and writes the first event of a
// rollout. The Runner of package orchestrator takes a lease on it, feeds what
// it sees into Step, appends what Step decided to the journal and carries out
// the actions: package fleet/gitrepo edits fleet.yaml (fleet/fleetyaml knows
// how) and pushes, package fleet tells Fleet and watches its
// BundleDeployments, package checks asks what else must answer well. What comes
// back is input for the next Step.
//
// Values of this package are plain data: safe to copy shallowly and to read
// from many goroutines, not to write from several. Validation names all the
// faults at once, as an [InvalidError].
package rings
