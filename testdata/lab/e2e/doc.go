// Package e2e tests the program rollout on a real Fleet: it builds the binary,
// starts a lab, and plays every scenario in it as a user would, with the
// command line alone, while it looks at git, at Fleet and at the clusters' own
// API servers to see whether what the program says is true.
//
// Each scenario is an application of its own, with its own repositories, store
// and cluster labels, so that they run side by side in one lab: Fleet's waits
// dominate, not the processor. Scenarios that take a shared part away have a
// lab of their own; the shared one's fifth cluster is for those that take away
// that cluster alone. At the end a table shows the seconds of each beside
// Fleet's floor for its waves. A skipped scenario fails the run.
//
// What orchestrator/sim plays, a scenario here shows the real Fleet doing:
// simulator_test.go has a row for each of its behaviours, by name.
package e2e
