// Package fleetyaml reads and edits fleet.yaml, the file that says what Rancher Fleet deploys from a folder of a git
// repository, and to which clusters with which options.
//
// It answers two questions and does one thing:
//
//   - what does a cluster get? ([File.Effect], [File.View]): which targetCustomizations entries apply to it, and which
//     version, nonce and other options come out of them;
//   - what stands in the way of rolling out a ring? ([File.Inspect], [File.Strategy]);
//   - the exact edit ([File.Edit]): set a version and a nonce (forceSyncGeneration) on the entries that a ring's clusters
//     get, and change nothing else, for anybody.
//
// # What a caller must do
//
//  1. Parse the bytes as git has them; no conversion of line ends before or after.
//  2. If [File.ValuesFiles] is not empty, read these files beside fleet.yaml and hand them in with [File.WithValuesFiles]:
//     Fleet lets them override the values written in the same block.
//  3. Give every cluster that the bundle can reach in [Change.All], with its labels and its cluster groups. What is not
//     given is not protected.
//  4. Write [Edit.Bytes] as they are, at the commit that was parsed. If the file moved on, parse and edit again: an edit is
//     an intent, not a patch.
//
// # What it promises
//
// An edit finds its place by structure, never by text search, and an entry by Fleet's matching, never by its name. It
// replaces the bytes of the version scalars and of the nonce, or adds the nonce's line; every other byte stays, and so do
// comments, order, quotes, indentation, anchors, CRLF, a byte order mark and a missing final newline. Before it is handed
// out, the new text is parsed again, compared node by node and leaf by leaf with the old one, and every cluster of
// Change.All is computed before and after: the ring's clusters must end at the version and the nonce, all others must be
// unchanged. Otherwise there is no edit but an error that names file, line, entry, clusters and what to do, all faults at
// once ([Faults]).
//
// It never guesses: text that it cannot place is refused. It does no I/O, has no clock, and keeps no state; a [File] is
// immutable and safe for concurrent use, a [View] is not.
//
// # Several documents
//
// Fleet reads the first YAML document of the file and ignores the rest without a word (sigs.k8s.io/yaml, as used by
// bundlereader/read.go:157). A file with a second document that says anything is refused by [Parse]: whoever wrote it
// expects something else than what Fleet does. Empty documents at the end do no harm and stay.
//
// # Where the facts come from
//
// Statements about Fleet were read in github.com/rancher/fleet v0.16.0; comments name the file below internal/ that shows
// it. Two parsers are used on purpose. go.yaml.in/yaml/v3 gives positions. sigs.k8s.io/yaml, which Fleet itself uses, says
// what Fleet understands, YAML 1.1 and JSON's case-insensitive keys included: there `tag: 1.10` is the number 1.1, and a
// label value `yes` is "true".
package fleetyaml
