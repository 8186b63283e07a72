package lab

import (
	_ "embed"
	"os"
)

// Stages is kwok's configuration: how Deployments become ready. The end of the tag of a Deployment's images decides:
//
//	-bad    it takes the new generation up and never becomes ready
//	-slow   it becomes ready 15 seconds after that
//	other   it is ready 0.2 to 1 second after a change
//
// While it is not ready it says so as Kubernetes would: updated, none available.
//
//go:embed stages.yaml
var Stages string

func (l *Lab) writeStages() error { return os.WriteFile(l.path("stages.yaml"), []byte(Stages), 0o644) }

// kwok describes what plays the Deployment controller and the kubelet of a cluster.
func (l *Lab) kwok(cluster string) *process {
	return l.foreign("kwok-"+cluster, "kwok",
		"--kubeconfig", l.kubeconfig(cluster), "--config", l.path("stages.yaml"), "--manage-all-nodes=false",
		"--manage-nodes-with-annotation-selector=rollout.lab/none=none", "--node-lease-duration-seconds=0", "--server-address=")
}
