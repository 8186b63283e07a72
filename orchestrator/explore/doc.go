// Package explore follows every order of events, over the real
// [orchestrator.Step], in a world that is small enough for it.
//
// # The world
//
// A [Shape] says how many services, rings and clusters there are. Each
// repository is a list of commits, which say version and nonce for each service
// and ring. Fleet takes tips up, a service at a time: first the label shows,
// then the content, which is what the tip is by then. Agents apply it, and it
// becomes ready, or not for good. The driver steps one rollout over all rings;
// its actions take effect and are answered. A node is all of that together; a
// move (moves.go) leads to the next one.
//
// At most so many times as the Shape says, in one path: the driver dies at any
// moment (before it stored a decision is the moment before, after it stored one
// and before the effects is the moment after) and another one takes over; a
// fact is told that was true before the latest; a service on a cluster does not
// become ready for good; somebody sets another version for a service on a ring,
// and leaves the nonce as it is.
//
// # Time
//
// A turn of the driver takes a microsecond, so no deadline passes by itself. A
// deadline that runs may pass at any moment, alone: all that the step's
// deadlines count from is then moved into the past, for one turn. So the order
// in which deadlines come, and how long they are, is not looked at: all orders
// are allowed, and more than there are in truth. Not covered: two deadlines in
// one turn, a deadline in the turn of an answer, agents that are silent, clocks
// that jump, soaks, checks and approvals. The simulator plays these.
//
// # When are two nodes the same?
//
// When they have the same code (code.go): what the future depends on. It has no
// times; of those that Step compares with each other it says which is first
// (was the branch read after all clusters were ready?), and of a deadline
// whether it runs. It forgets commits that nothing refers to any more, steps
// that are over, and services that nobody will look at. Clusters of a ring are
// interchangeable, and so are numbers of actions, attempts and events. A test
// holds nodes of one code against each other: their futures must have the same
// codes.
//
// # What is not followed, and why nothing is lost
//
//   - What an agent does is played when somebody looks at it, or when Fleet
//     wants something else: until then nobody can tell when it was.
//   - What only reads takes effect when it is answered, unless somebody may push
//     in between: it reads the same.
//   - A new driver takes over at once: what the world does meanwhile it may as
//     well do just after. A hint is answered at once: it changes nothing.
//   - Fleet and its agents stand still for services without a step that moves,
//     and facts are not told while a step waits or is pushed: they are only
//     noted then, and told after.
//   - An end is an end: what the world does after it is not followed.
//
// # What is left out
//
// These are cuts: orders that may happen and are not followed.
//
//   - A tip that changes nothing for a service on the ring under way is taken up
//     and told at once, for all of its clusters.
//   - All services of a ring are told to a new watch in one turn.
//   - An agent that has applied a change and is not ready yet when the next one
//     comes is not told from one that has not applied it; and of another
//     version than ours it is seen only when it is ready.
//   - A push of a driver that died arrives before that or never.
//
// # What is checked
//
// Invariants 1 to 4, 6 to 8 and 11 to 13 of DESIGN section 3, by the truth of
// the world and a fold of the events of its own (check.go): after every move
// what the driver decided, and in every node that what was observed, observed
// again, decides nothing. That every node has a move until the rollout has
// ended, and that no path runs in a circle: so each comes to an end.
// Invariants 5, 9 and 10 have nothing to break them here. That the checks can
// fail is shown by engines with one line changed (mutant_test.go).
package explore
