// Package fleet speaks with a Fleet manager: it watches what Fleet does with the services of a rollout, tells Fleet of new
// commits, holds the claim that keeps two stores apart, and reads and labels clusters for the commands.
//
// # How a fact comes from an object to Step
//
//  1. A client-go Reflector lists and watches BundleDeployments, Bundles, GitRepos and Clusters, each narrowed by label
//     or field selector to what the rollout needs (watch.go). Its ListerWatcher reads the bytes itself and decodes only
//     the fields of the design's section 4 into a small record (wire.go, record.go); everything else, managedFields and
//     status.resources above all, is skipped in the stream and never held. Strings are interned.
//  2. A sink (reflector.go) drops what is not newer than what was seen, and hands the record to the tracker.
//  3. The tracker (tracker.go) is pure: records in, facts out. It notes which facts an event touches, so an event costs
//     the same in a fleet of any size; several events of one cluster become one fact, the latest.
//  4. The goroutine that called [Manager.Watch] takes the touched facts and gives them to the Runner's sink, which feeds
//     them to orchestrator.Step.
//
// Facts are levels. Nothing is sent before every kind was listed once; then come all the facts there are, and Synced.
//
// # Whose BundleDeployments are watched
//
// Usually those of all clusters of the GitRepos, by label, in all namespaces: one list and one watch. In a fleet of
// thousands of clusters that reads thousands of objects to learn about a few, so for a small ring of a large fleet
// each cluster's own namespace is watched instead (narrow.go), also after the cluster left the ring. A ring that
// outgrows this is watched the wide way from then on.
//
// The other rings are of interest for one thing only: the nonce of a new attempt must be one that no cluster of our
// ring can show for anything but that attempt. What must be larger than every nonce that is known is then the largest of
//
//   - every entry of the file (orchestrator.Survey) and every target of the Bundle, which is what Fleet has of the
//     file: whatever a cluster of another ring, or one that is moved between rings, is told to show;
//   - what the ring's own clusters show and acknowledged, those that join included, and the store's last nonce.
//
// That leaves out only what a cluster of another ring shows, is in no entry any more (a revert), and was forgotten by
// the store. Should it join our ring during the attempt with the very same number, the number alone proves nothing; but
// it counts only with the commit's label, not paused and with nothing staged. Fleet computes label and staged options
// of all BundleDeployments from one Bundle, in one go (internal/cmd/controller/target), so its options are an entry's of
// our commit or a later one, and it counts as ours only if it applied just these. What is given up is the forced upgrade of
// such a cluster, should it have applied exactly this content under exactly this number before.
//
// # What a caller must do
//
//  1. [Connect], once; a [Manager] is safe for concurrent use.
//  2. Compare [Manager.ID] with the manager that the application recorded.
//  3. [NewClaims] for the claim; [Claims.Close] at the end, which stops the renewing.
//
// # Which Bundle is a service's
//
// Nothing in a Bundle names the folder that it was made from. Fleet names it `name:` of the fleet.yaml, else after the
// GitRepo and the path (internal/cmd/cli/apply/apply.go:459-475). So a service's Bundle is chosen among the Bundles that
// exist and carry the GitRepo's label: the one with the target's name, if it has one, and no other; else the one whose name
// is exactly what Fleet would derive; else, if the GitRepo lists the
// service's folder among its paths, the only Bundle there is (of several paths: the only one whose name is not derived
// from the GitRepo's). If that finds none among Bundles that are there, it is not known which one is the service's: no
// fact about a deployment is sent, and the Bundle's fact says so ([BundleError]). It is never guessed, because another
// service's deployments could look ready for ours.
//
// # What it never does
//
// It never reads Secrets, but for the one of a registration token that it made itself (token.go), and never status.display. It changes no GitRepo that `rollout` did not make, except for the
// two status fields of [Manager.Hint]. It changes no label of a Fleet Cluster that Rancher would write back: it changes it
// where Rancher takes it from.
//
// Statements about Fleet were read in github.com/rancher/fleet v0.16.0; comments name the file that shows it.
package fleet
