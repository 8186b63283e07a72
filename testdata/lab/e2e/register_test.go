package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// newCluster starts a cluster that Fleet does not know, and takes away what is
// left of it at the end.
func (s *scenario) newCluster(name string) (kubeconfig string) {
	s.Helper()
	s.must(s.lab.AddCluster(s.ctx, name))
	c, err := s.lab.Client()
	s.must(err)
	at := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: lab.Namespace} }
	s.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		for _, o := range []client.Object{&fleetv1.Cluster{ObjectMeta: at(name)}, &fleetv1.ClusterRegistrationToken{ObjectMeta: at(name + "-registration")},
			&corev1.Secret{ObjectMeta: at(name + "-kubeconfig")}} {
			s.must(client.IgnoreNotFound(c.Delete(ctx, o)))
		}
		s.must(s.lab.RemoveCluster(ctx, name))
	})
	return s.lab.DownstreamKubeconfig(name)
}

// spoiled is the kubeconfig with something about it changed.
func (s *scenario) spoiled(kubeconfig string, change func(server, token *string)) string {
	s.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	s.must(err)
	for name := range config.Contexts {
		change(&config.Clusters[name].Server, &config.AuthInfos[name].Token)
	}
	file := s.TempDir() + "/kubeconfig"
	s.must(clientcmd.WriteToFile(*config, file))
	return file
}

// checkedIn reports whether the agent of a cluster has.
func (s *scenario) checkedIn(name string) bool {
	return !s.object(&fleetv1.Cluster{}, name).(*fleetv1.Cluster).Status.Agent.LastSeen.IsZero()
}

// Two clusters that Fleet does not know are registered, one by Fleet with its
// kubeconfig and one from its own side; both are rolled out to, and one is taken off
// again.
func TestRegister(t *testing.T) {
	const byFleet, byItself = "register-a", "register-b"
	s := play(t, "register", 2)
	s.rings = []ring{{"ring-1", []string{"c1"}}, {"ring-2", nil}}
	s.setUp(service{name: "db"})
	kubeconfig := s.newCluster(byFleet)
	s.newCluster(byItself)
	add := func(name string, more ...string) []string {
		return append([]string{"cluster", "add", name, "--app", s.app, "--ring", "ring-2"}, more...)
	}

	// What is wrong everywhere is refused at once; what only Fleet can know is
	// said in its words, with what is left and how it is taken back.
	bad := s.spoiled(kubeconfig, func(_, token *string) { *token = "wrong" })
	s.says(s.ends(5, add(byFleet, "--register", bad, "--yes")...), "does not accept the credentials")
	s.says(s.ends(5, add(byFleet, "--register", s.lab.Kubeconfig(), "--yes")...), "leads to the Fleet manager itself")
	gone := s.spoiled(kubeconfig, func(server, _ *string) { *server = "https://127.0.0.1:1" })
	failed := s.ends(1, add(byFleet, "--register", gone, "--yes")...)
	s.says(failed, "Fleet cannot install its agent", "connection refused", "Fleet goes on trying", "secrets/register-a-kubeconfig",
		"kubectl --namespace fleet-default delete secrets/register-a-kubeconfig clusters.fleet.cattle.io/register-a takes it back")
	if labels := s.labels(byFleet); len(labels) != 0 {
		t.Errorf("a cluster that did not join has the labels %v", labels)
	}

	// With the right one it goes on, and only then is it on its ring.
	s.says(s.ends(2, add(byFleet, "--register", kubeconfig)...), "db: v1, new there", "this needs a yes")
	joined := s.ok(add(byFleet, "--register", kubeconfig, "--yes")...)
	s.says(joined, "db: v1, new there", "has checked in", `cluster "register-a" is on ring "ring-2"`)
	if !s.checkedIn(byFleet) {
		t.Error("its agent has not checked in")
	}
	s.eventually(2*time.Minute, "db on the new cluster at v1", func() bool { return s.live(byFleet, "db") == "v1" })
	s.says(s.ok(add(byFleet, "--register", kubeconfig, "--yes")...), "is registered with Fleet already")

	// From its own side: the printed values are all that the chart needs.
	invited := s.ok(add(byItself, "--token")...)
	s.says(invited, "helm upgrade --install fleet-agent", "--namespace cattle-fleet-system", "rollout cluster add register-b --app register --ring ring-2")
	_, values, _ := strings.Cut(invited.stdout, "<<'END'\n")
	s.must(s.lab.InstallAgent(s.ctx, byItself, []byte(strings.TrimSuffix(values, "END\n"))))
	s.eventually(2*time.Minute, "its agent has checked in", func() bool { return s.checkedIn(byItself) })
	s.ends(4, add(byItself, "--token")...)
	s.ok(add(byItself, "--yes")...)
	s.eventually(2*time.Minute, "db on the other at v1", func() bool { return s.live(byItself, "db") == "v1" })

	s.ok("plan", "set", s.app, "db=v2")
	s.ok("create", s.app, "ring-1", "ring-2")
	s.runs("v2", []service{{name: "db"}}, "c1", byFleet, byItself)

	shown := s.ends(2, "cluster", "remove", byFleet, "--app", s.app, "--uninstall")
	_, confirm, _ := strings.Cut(shown.stderr, "--confirm ")
	s.says(s.ok("cluster", "remove", byFleet, "--app", s.app, "--uninstall", "--confirm", strings.TrimSpace(confirm)), "Fleet has taken away db", "cannot be seen")
	if bd := s.bundleDeployment(byFleet, "db"); bd != nil {
		t.Errorf("Fleet still has %s", bd.Name)
	}
	s.eventually(time.Minute, "db is gone there", func() bool { return s.deployment(byFleet, "db") == nil })
	s.runs("v2", []service{{name: "db"}}, "c1", byItself)
	s.quietAbout(kubeconfig, joined, failed, shown)
}

// quietAbout wants the secret of a kubeconfig nowhere in what was printed.
func (s *scenario) quietAbout(kubeconfig string, all ...result) {
	s.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	s.must(err)
	for _, user := range config.AuthInfos {
		for _, r := range all {
			if strings.Contains(r.stdout+r.stderr, user.Token) {
				s.Errorf("it prints the token:\n%s%s", r.stdout, r.stderr)
			}
		}
	}
}
