// Package checks asks what is outside of Fleet whether a ring is well: a
// command, an HTTP endpoint, or a Prometheus server.
//
// One sample, followed through the files: [Checker.Check] (checker.go) bounds
// it by the check's own timeout and hands it to its kind (command.go, http.go,
// prometheus.go), which answers with one of
//
//   - OK: it answered well;
//   - Refused with orchestrator.CodeCheck: it answered badly;
//   - Unreachable, or Unknown: it said nothing, which is never taken for either.
//
// How many samples a ring needs, and how many of them may be bad, is for the
// engine to count.
//
// # What a command gets
//
// It is run by /bin/sh with an empty input, in the driver's working directory
// and with the driver's environment, and besides
//
//	ROLLOUT_ID     the rollout                shop-12
//	ROLLOUT_APP    its application            shop
//	ROLLOUT_RING   the ring that is checked   ring-1
//	ROLLOUT_CHECK  the check                  smoke
//	ROLLOUT_PLAN   what is rolled out         api=v7,db=v2
//
// It has a process group of its own, which is killed when the time is up, when
// the driver stops, and also when the shell has ended: what a command leaves in
// the background does not outlive it. A process that puts itself into another
// group or session is not found again, and nothing is killed when the driver
// itself is killed.
//
// # What is shown
//
// The words of an answer hold the numbers, and the beginning or end of what the
// other side said, cut short, on one line, without control characters. URLs
// are shown without user, password and query.
package checks
