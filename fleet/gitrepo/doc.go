// Package gitrepo reads and writes the services' git repositories: it says
// what a branch gives the clusters of a ring, and makes a version and a nonce
// hold there with a commit.
//
// A [Publisher] implements orchestrator.Publisher. It has no work tree: it
// reads the blob at the branch's tip, lets package fleetyaml edit it, writes
// the new blob, the trees above it and the commit, and pushes exactly these
// objects. The cost follows the depth of the path and what is new on the
// branch, not the size of the repository.
//
// Where a service says so, it pushes the commit to a branch of its own instead,
// rollout/APP/RING/ID, and a person merges that; see propose.go.
//
// # What a caller must do
//
//  1. Give every action its own deadline by the context: nothing else ends a
//     call to a server that hangs.
//  2. Record version, nonce and base (Item) before it calls Publish. Calling
//     again with the same item is then always safe: what is on the branch since
//     the base, by whoever's commit, is not published twice.
//  3. After the result Unknown ask for a Survey, never for a blind repetition.
//
// # What it never does
//
// It never forces a push, never overwrites a version that somebody set for the
// ring after the base (orchestrator.CodeManual), never answers a question of
// ancestry that the history at hand cannot decide, never stores or prints a
// credential, and never asks a person anything.
//
// # Mirrors
//
// For every repository and branch there is a bare mirror in Options.Dir. It is
// a cache: it may be deleted at any time, and one that is broken is cloned
// anew. The first clone has depth 1, and no blobs if the server can leave them
// out and hand them in later (filter, allow-reachable-sha1-in-want); they are
// fetched when they are read. Later fetches have no depth, so that what came
// after the first clone is whole. A call holds a lock file beside the mirror
// from its beginning to its end, so calls on one mirror are made one after the
// other, by all processes of the host.
//
// A commit whose parent is not in the mirror is a cut. Where an answer needs
// what lies behind one, the history is deepened in steps (50, 500, then 5,000
// commits and all of it), once: the mirror keeps it. A survey with a question
// goes as far as it takes to find the base, or to know that the tip does not
// descend from it. A survey without one stops at 500 commits: then Commit is
// the oldest commit that is known to hold the file as it is, At its time, and
// Author is "unknown", because whoever made it may not have touched the file.
//
// # What touches a service
//
// The last commit that touched a service's path is the last that changed its
// fleet.yaml, or a values file that the fleet.yaml names: these decide version
// and nonce. A commit that changes only the chart beside it does not count, so
// that Author is who set the version.
package gitrepo
