// Package store keeps applications, clusters and rollouts in one bbolt file,
// and implements [orchestrator.Store].
//
// The file is shared by processes: it is opened for one operation and closed
// again, so there is nothing to close and no process keeps others out. Every
// operation is one transaction, takes and returns values of the domain, and is
// safe for concurrent use, also by other processes. Names that are not there
// are a [rings.UnknownError] with the nearest one that is. When the file itself
// cannot be used, the error wraps one of [ErrBusy], [ErrReadOnly], [ErrNoSpace],
// [ErrCorrupt] and [ErrTooNew] and names the file. The ctx bounds the wait for
// the file; a transaction that has begun is finished.
//
// # Schema
//
// Change this tree together with the names in migrate.go, and add a migration;
// a test compares it with a file.
//
//	meta
//	  schema                     number of migrations that the file has seen
//	  events                     number of events that were ever written
//	apps
//	  <app>                      rings.Application, JSON
//	clusters
//	  <app-cluster>              rings.Cluster, JSON
//	rollouts
//	  <rollout>                  Summary, JSON
//	times
//	  <time-rollout>             every rollout, in the order they were started
//	live
//	  <time-rollout>             those that have not ended
//	journal
//	  <rollout>
//	    <seq>                    events from that number on, see chunk.go
//	snapshots
//	  <rollout>                  the fold up to an event, in parts
//	    seq                      of that event
//	    head                     orchestrator.State without its steps and the parts below, JSON
//	    counted/<r>              Counted of one of its Rings, JSON
//	    step/<n>                 orchestrator.StepState without the parts below, JSON
//	    members/<n>              its Members, JSON
//	    survey/<n>               its Survey, JSON
//	    cluster/<n>/<cluster>    one of its Clusters, JSON
//	leases
//	  <rollout>                  orchestrator.Lease, JSON
//	inbox
//	  <rollout-seq>              orchestrator.Command, JSON
//	halts
//	  <app>                      rings.Halt of the application, JSON
//	  *                          rings.Halt of all applications, JSON
//	locks
//	  <app-part-holder>          rings.Lock, JSON
//	windows
//	  <app-window>               rings.Window, JSON
//	steps
//	  <rollout-step>             StepSummary without its clusters, JSON
//	timings
//	  <rollout-step>             the ClusterSummaries of a step that has ended, JSON
//	placed
//	  <place-time-step>          what was put on a ring, in that order
//	words
//	  <word-place-step>          the same by version and by commit
//	log
//	  <number>                   <rollout> and <seq> of the event with that number, see log.go
//	releases
//	  <app-number>               rings.Release, JSON
//	release-keys
//	  <app-key>                  number of the application's release with that key
//	notes
//	  <app-n>                    rings.Note, JSON
//
// Numbers are 8 bytes, big-endian, and so is <seq>. <rollout> is the
// application's name, a zero byte and the rollout's number, so that an
// application's rollouts lie in order. <app-cluster> is both names with a zero
// byte between, and so are <app-window>, <app-key>, and with a number <app-number>
// and <app-n>, the note's; <app-part-holder> is the application, ring, service,
// cluster (for a cluster group: "group ", and its name) and holder. <time-rollout> is 8 bytes of seconds and 4 of nanoseconds
// before the rollout; its value is empty. <n> is the step's index in six
// digits, <r> the ring's. <rollout-step> ends with the step's index as a number.
// <place> is an application, a service and a ring, with a zero byte after each,
// and <word> is a version or a commit with one; <step> is <rollout-step>, and the
// values of both lists are empty.
//
// # Files
//
// Beside FILE lies FILE.lock, empty: whoever wants FILE waits in line for
// FILE.lock, then for FILE's own lock, and gives FILE.lock to the next one in
// line. Reads share FILE. FILE.new is there only while a new store is made, or a
// compact one.
package store
