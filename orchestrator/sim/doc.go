// Package sim is a Fleet, its git server and its clusters in virtual time. They
// behave as real ones do, their lies included, and can be told to misbehave.
//
// # The world
//
// A [World] has repositories with real fleet.yaml files in them, which are
// edited by the real editor (fleet/fleetyaml) and matched to clusters by the
// real rule. Nothing in it is decided by anything but its seed and what it is
// told: one seed replays exactly. Time is a queue of what is due; [World.Step]
// runs the next of it.
//
//	w := sim.NewWorld(17)
//	w.AddRepo("https://git.example/web", "main")
//	w.AddCluster("eu-1", map[string]string{"ring": "ring-1"})
//	w.AddService(service, yaml)
//	stop := w.Watch(spec, sink)     // facts, as the port Fleet sends them
//	w.Do(job, answer)               // an action, as the other ports do them
//	for w.Step() { ... }
//
// [Play] plays the scenario of a seed: a rollout in such a world, and in some of
// them another one beside it (play_judge.go) or after it, and then days in which keepers start what is due
// (play_keeper.go), with everything held against what must always hold.
// [Rehearse] plays one rollout of an application in such a world, for people who
// want to know how it would go.
//
// # A change on its way
//
//  1. [World.Do] fetches, edits and pushes (git_publish.go). Between the fetch
//     and the push somebody else may push: then it is rejected, and done again.
//  2. Fleet learns of the new tip by a hint or at its next poll, notes it in
//     the GitRepo's status, and makes a git job (fleet_job.go). The job clones
//     what is the tip when it runs, and labels it with the commit that it was
//     made for: the label comes before the content, and the content may be
//     beyond the label. Commits in between are skipped.
//  3. The job writes the Bundles of all services of the GitRepo, or, if any
//     file is broken, none. A failed one is not run again.
//  4. The Bundle's controller computes the targets, 5 s later if values changed
//     (fleet_bundle.go): until then old labels and old words stand. Every
//     BundleDeployment gets the label; what it is told to run is let go by
//     pauses and the Bundle's rolloutStrategy.
//  5. The agent upgrades if spec.deploymentID is not the last applied one, and
//     does nothing if it is, whatever a failed upgrade left behind
//     (agent_apply.go). It acknowledges the nonce; later it notices that the
//     workload is ready, or is not.
//  6. The watch sends what changed, together and the latest only (watch.go).
//
// # How it misbehaves
//
// What a Fleet does when all is well with it, and what is still not the truth,
// it always does: each has a name, a [Lie]. The rest it is told:
//
//   - [World.Versions] and [World.Behave]: what becomes of a version;
//   - [Faults]: how often something that is done goes wrong;
//   - [Happening]: what happens by itself, as [Faults].Unrest says or when
//     [World.Happen] is called;
//   - methods for one thing at one place, as [World.KillAgent],
//     [World.BreakJobs] or [World.Rewrite];
//   - [World.Calm] ends all faults and what would last of them.
//
// The truth, which no adapter could know, is for those who check:
// [World.Running] and [World.History].
package sim
