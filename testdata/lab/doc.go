// Package lab runs a real Rancher Fleet on one machine, without Docker and without a kubelet.
//
// What is real: etcd, one Kubernetes API server for the manager and one for each cluster, Fleet's controllers, Fleet's
// agents, which register themselves as agents do, and Helm, which installs into the clusters' own API servers.
//
// What is played: the machines under it. Fleet clones a repository and turns it into Bundles in a Kubernetes Job; RunJobs
// plays the kubelet for those Jobs and runs their commands here. Deployments become ready because kwok says so, and the
// image's tag decides how: see Stages. The git host is ServeGit, git's own HTTP backend behind a door that can be told to
// misbehave (GitFault).
//
// The story of a start: Build compiles the programs that are missing, from the versions that this module's go.mod names,
// into the user's cache folder. Up starts etcd and the API servers, installs Fleet's charts in the manager, starts Fleet's
// controllers as processes, hands each cluster its registration token, starts its agent, and returns when every cluster is
// registered. Down ends exactly what was started. AddCluster adds a cluster that is not registered, to be registered in a
// test; RunAgent plays its kubelet.
//
// A lab outlives the program that started it. Every process has its own session and its log in DIR/logs; DIR/state.json
// holds how each is started, its pid and the time when it started, so that another program can Open the lab, stop and start
// its parts, and end it, without ever touching a process that is not its own. Everything listens on 127.0.0.1, on ports
// that were free; any number of labs run side by side.
//
// The parts have names: etcd, manager-api, manager-kcm, fleetcontroller, agentmanagement, gitjob, git, jobs, and for each
// cluster api-NAME, kwok-NAME and agent-NAME; a cluster that was added has kubelet-NAME, too.
package lab
