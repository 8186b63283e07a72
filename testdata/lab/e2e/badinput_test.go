package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

var update = flag.Bool("update", false, "rewrite testdata/badinput.txt; read the difference before you commit it")

// badInput is a command that must be refused. What it prints stands in
// testdata/badinput.txt under its name.
type badInput struct {
	name  string
	given func(*scenario) // what is wrong; nil: the arguments alone
	args  []string        // APP and GIT stand for the application and the git server
	code  int
}

// What only a Fleet or a git server can tell is wrong; cmd/rollout's scripts
// have the rest. Every command is refused with these very words, and nothing
// is half-done.
func TestBadInput(t *testing.T) {
	s := play(t, "badinput", 0)
	s.describe()
	said := readTranscript(t)
	cases := slices.Concat(badManagers, badClusters, badRepositories, badFiles(), badRollouts)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { s.refused(t, c, said) })
	}
	if *update {
		said.write(t, cases)
	}
	s.nothingDone()
}

// describe makes the application with one service: c1 and c2 are on ring-1, c3
// is on ring-2.
func (s *scenario) describe() {
	s.Helper()
	s.repositories([]service{{name: "db"}})
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	for _, ring := range []string{"ring-1", "ring-2"} {
		s.ok("ring", "create", s.app, ring)
	}
	for cluster, ring := range map[string]string{"c1": "ring-1", "c2": "ring-1", "c3": "ring-2"} {
		s.ok("cluster", "add", cluster, "--app", s.app, "--ring", ring, "--yes")
	}
	s.addService(service{name: "db"})
	s.ok("plan", "set", s.app, "db=v2")
}

// nothingDone wants nothing to be left of all the refusals.
func (s *scenario) nothingDone() {
	s.Helper()
	if history := s.ok("history", s.app).stdout; history != "" {
		s.Errorf("history:\n%s", history)
	}
	if services := s.ok("service", "list", s.app).stdout; !strings.HasPrefix(services, "db\t") || strings.Count(services, "\n") != 1 {
		s.Errorf("services:\n%s", services)
	}
	if n := s.commits("db"); n != 0 {
		s.Errorf("%d commits", n)
	}
	c, err := s.lab.Client()
	s.must(err)
	repos := &fleetv1.GitRepoList{}
	s.must(c.List(s.ctx, repos, client.InNamespace(lab.Namespace)))
	for _, r := range repos.Items {
		if strings.HasPrefix(r.Name, s.app+"-") && r.Name != s.app+"-db" {
			s.Errorf("GitRepo %s was made", r.Name)
		}
	}
}

// refused plays one case and compares what is said.
func (s *scenario) refused(t *testing.T, c badInput, said transcript) {
	own := *s
	own.T, own.env = t, slices.Clone(s.env)
	if c.given != nil {
		c.given(&own)
	}
	git, err := own.lab.GitServer()
	own.must(err)
	var args []string
	for _, a := range c.args {
		args = append(args, strings.NewReplacer("APP", s.app, "GIT", git).Replace(a))
	}
	r := own.run(args...)
	if r.code != c.code {
		t.Errorf("exit code %d, want %d", r.code, c.code)
	}
	got := fmt.Sprintf("$ rollout %s\n%s", strings.Join(c.args, " "), own.anonymous(r.stderr))
	if *update {
		said[c.name] = got
	}
	if got != said[c.name] {
		t.Errorf("it says\n%s\nwant\n%s", got, said[c.name])
	}
}

var (
	commitHash = regexp.MustCompile(`\b[0-9a-f]{7,40}\b`)
	somePort   = regexp.MustCompile(`127\.0\.0\.1:\d{2,}`)
)

// anonymous puts names in the place of what is different in every run.
func (s *scenario) anonymous(text string) string {
	s.Helper()
	git, err := s.lab.GitServer()
	s.must(err)
	config, err := clientcmd.BuildConfigFromFlags("", s.lab.Kubeconfig())
	s.must(err)
	downstream, err := clientcmd.BuildConfigFromFlags("", s.lab.DownstreamKubeconfig("c1"))
	s.must(err)
	text = strings.NewReplacer(git, "GIT", config.Host, "MANAGER", downstream.Host, "DOWNSTREAM", s.home(), "HOME",
		s.managerID(), "MANAGER-ID").Replace(text)
	text = somePort.ReplaceAllString(text, "127.0.0.1:PORT")
	return commitHash.ReplaceAllString(text, "HASH")
}

// home is an empty home folder beside the store.
func (s *scenario) home() string { return filepath.Join(filepath.Dir(s.store), "home") }

// managerID is what the application remembers its manager by.
func (s *scenario) managerID() string {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	ns := &corev1.Namespace{}
	s.must(c.Get(s.ctx, client.ObjectKey{Name: "kube-system"}, ns))
	return string(ns.UID)
}

// setenv changes the environment of the commands that follow.
func (s *scenario) setenv(pairs ...string) { s.env = append(s.env, pairs...) }

var badManagers = []badInput{
	{"no kubeconfig", func(s *scenario) { s.setenv("KUBECONFIG=", "HOME="+s.home()) }, []string{"create", "APP", "ring-1"}, 2},
	{"a kubeconfig that is not there", func(s *scenario) { s.setenv("KUBECONFIG=") }, []string{"create", "APP", "ring-1", "--kubeconfig", "nowhere.yaml"}, 2},
	{"a context that is not there", nil, []string{"create", "APP", "ring-1", "--context", "prod"}, 2},
	{"a manager that does not answer", func(s *scenario) { s.manager("http://127.0.0.1:1") }, []string{"create", "APP", "ring-1"}, 1},
	{"a manager that does not know us", func(s *scenario) { s.stranger() }, []string{"create", "APP", "ring-1"}, 1},
	{"a cluster without Fleet", func(s *scenario) { s.setenv("KUBECONFIG=" + s.lab.DownstreamKubeconfig("c1")) }, []string{"app", "create", "other"}, 1},
	{"a workspace that is not there", nil, []string{"app", "create", "other", "--namespace", "fleet-nowhere"}, 3},
	{"a workspace that is not the application's", nil, []string{"create", "APP", "ring-1", "--namespace", "fleet-local"}, 5},
	{"another manager than the application's", func(s *scenario) { s.manager(s.double()) }, []string{"create", "APP", "ring-1"}, 5},
	{"another manager for a cluster", func(s *scenario) { s.manager(s.double()) }, []string{"cluster", "add", "c4", "--app", "APP", "--ring", "ring-1", "--yes"}, 5},
}

// manager points the commands that follow to another API server.
func (s *scenario) manager(address string) {
	s.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["other"] = &clientcmdapi.Cluster{Server: address}
	config.Contexts["other"] = &clientcmdapi.Context{Cluster: "other"}
	config.CurrentContext = "other"
	s.useKubeconfig(config)
}

// stranger makes the commands that follow use a token that nobody gave out.
func (s *scenario) stranger() {
	s.Helper()
	config, err := clientcmd.LoadFromFile(s.lab.Kubeconfig())
	s.must(err)
	config.AuthInfos[lab.Context] = &clientcmdapi.AuthInfo{Token: "nobody's"}
	s.useKubeconfig(config)
}

func (s *scenario) useKubeconfig(config *clientcmdapi.Config) {
	s.Helper()
	file := filepath.Join(s.TempDir(), "kubeconfig")
	s.must(clientcmd.WriteToFile(*config, file))
	s.setenv("KUBECONFIG=" + file)
}

// double is the manager under another identity: all is the same but the uid of
// kube-system.
func (s *scenario) double() string {
	s.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.lab.Kubeconfig())
	s.must(err)
	target, err := url.Parse(config.Host)
	s.must(err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport, err = rest.TransportFor(config)
	s.must(err)
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	mux.HandleFunc("/api/v1/namespaces/kube-system", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"ANOTHER-ID"}}`))
	})
	server := httptest.NewServer(mux)
	s.Cleanup(server.Close)
	return server.URL
}

var badClusters = []badInput{
	{"a cluster that is not there", nil, []string{"cluster", "add", "c11", "--app", "APP", "--ring", "ring-1", "--yes"}, 3},
	{"nobody to ask", nil, []string{"cluster", "add", "c4", "--app", "APP", "--ring", "ring-1"}, 2},
	{"a cluster that another application uses", (*scenario).otherApplication, []string{"cluster", "add", "c3", "--app", "badinput-other", "--ring", "ring-1", "--yes"}, 4},
	{"a cluster whose labels are Rancher's", (*scenario).ranchersCluster, []string{"cluster", "add", "c-m-1", "--app", "badinput-owned", "--ring", "ring-1", "--yes"}, 4},
}

// otherApplication shares the ring's label with the scenario's, and not the
// selector. The cluster's labels must not change.
func (s *scenario) otherApplication() {
	s.Helper()
	s.ok("app", "create", "badinput-other", "--ring-label", s.ringLabel(), "--selector", "in-badinput-other=true")
	s.ok("ring", "create", "badinput-other", "ring-1")
	before := s.labels("c3")
	s.Cleanup(func() {
		if after := s.labels("c3"); fmt.Sprint(after) != fmt.Sprint(before) {
			s.Errorf("the labels of c3 are %v, were %v", after, before)
		}
	})
}

func (s *scenario) labels(cluster string) map[string]string {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	object := &fleetv1.Cluster{}
	s.must(c.Get(s.ctx, client.ObjectKey{Namespace: lab.Namespace, Name: cluster}, object))
	labels := object.Labels
	for key := range labels { // other scenarios are at work
		if !strings.Contains(key, s.app) {
			delete(labels, key)
		}
	}
	return labels
}

// ranchersCluster is a Cluster as Rancher generates it, in a workspace of its
// own, and an application there.
func (s *scenario) ranchersCluster() {
	s.Helper()
	const workspace = "badinput"
	c, err := s.lab.Client()
	s.must(err)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: workspace}}
	s.must(c.Create(s.ctx, ns))
	s.Cleanup(func() { s.must(c.Delete(context.WithoutCancel(s.ctx), ns)) })
	s.must(c.Create(s.ctx, &fleetv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "c-m-1", Namespace: workspace,
		Labels: map[string]string{"management.cattle.io/cluster-name": "c-m-1"}}}))
	s.ok("app", "create", "badinput-owned", "--namespace", workspace)
	s.ok("ring", "create", "badinput-owned", "ring-1")
}

// add is the arguments of service add.
func add(name, repo string, more ...string) []string {
	return append([]string{"service", "add", "APP", name, "--repo", repo, "--path", "deploy"}, more...)
}

var badRepositories = []badInput{
	{"a git server that is not there", nil, add("x", "http://127.0.0.1:1/x.git"), 1},
	{"a repository that is not there", nil, add("x", "GIT/badinput-nowhere.git"), 3},
	{"a branch that is not there", nil, add("x", "GIT/badinput-db.git", "--branch", "release"), 3},
	{"a path that is not there", nil, []string{"service", "add", "APP", "x", "--repo", "GIT/badinput-db.git", "--path", "deploi"}, 3},
	{"no credentials for git", func(s *scenario) { s.credentials("", "") }, add("x", "GIT/badinput-any.git"), 1},
	{"wrong credentials for git", func(s *scenario) { s.credentials("ann", "guessed") }, add("x", "GIT/badinput-any.git"), 1},
	{"no right to push", func(s *scenario) { s.fault("push", lab.GitFault{Only: lab.Push, Status: 403}) }, add("x", "GIT/badinput-push.git"), 1},
	{"no GitRepo and no repo.yaml", func(s *scenario) {
		s.repository("bare", map[string]string{"deploy/fleet.yaml": "name: bare\n", "deploy/Chart.yaml": emptyChart})
	}, add("x", "GIT/badinput-bare.git"), 3},
	{"a repo.yaml without a GitRepo", func(s *scenario) {
		s.repository("kinds", map[string]string{"deploy/fleet.yaml": "name: kinds\n", "deploy/Chart.yaml": emptyChart, "repo.yaml": "apiVersion: v1\nkind: Secret\n"})
	}, add("x", "GIT/badinput-kinds.git"), 5},
	{"a repo.yaml for other folders", func(s *scenario) {
		s.made("folders", func(files map[string]string) {
			files["repo.yaml"] = strings.Replace(files["repo.yaml"], "[deploy]", "[elsewhere]", 1)
		})
	}, add("x", "GIT/badinput-folders.git"), 3},
	{"a GitRepo that is not there", nil, add("x", "GIT/badinput-folders.git", "--gitrepo", "badinput-dp"), 3},
	{"a GitRepo that deploys something else", nil, add("x", "GIT/badinput-folders.git", "--gitrepo", "badinput-db"), 5},
	{"a GitRepo of that name with other content", func(s *scenario) {
		s.made("taken", func(files map[string]string) {
			files["repo.yaml"] = strings.Replace(files["repo.yaml"], "name: badinput-taken", "name: badinput-db", 1)
		})
	}, add("x", "GIT/badinput-taken.git"), 4},
}

// credentials are all that the commands that follow have for git.
func (s *scenario) credentials(user, password string) {
	s.setenv("HOME="+s.home(), "ROLLOUT_GIT_USERNAME="+user, "ROLLOUT_GIT_PASSWORD="+password, "ROLLOUT_GIT_TOKEN=",
		"NETRC=", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
}

// emptyChart makes a folder one of helm style.
const emptyChart = "apiVersion: v2\nname: chart\nversion: 0.1.0\n"

func (s *scenario) repository(name string, files map[string]string) {
	s.Helper()
	s.must(s.lab.CreateRepo(s.ctx, s.app+"-"+name, files))
}

// fault makes a repository that the git server answers for as told.
func (s *scenario) fault(name string, f lab.GitFault) {
	s.Helper()
	s.made(name, func(map[string]string) {})
	s.must(s.lab.SetGitFault(s.ctx, s.app+"-"+name, f))
}

// made makes the repository of a good service, with its files changed.
func (s *scenario) made(name string, change func(files map[string]string)) {
	s.Helper()
	files, err := lab.HelmService(s.app+"-"+name, lab.Service{Namespace: s.app, RingLabel: s.ringLabel()})
	s.must(err)
	files["repo.yaml"] = s.gitRepo(service{name: name})
	change(files)
	s.repository(name, files)
}

// The parts of the good fleet.yaml that the cases change.
const (
	ring1Entry = "- name: ring-1\n  clusterSelector:\n    matchLabels:\n      ring-badinput: ring-1\n  helm:\n    values:\n      image:\n        tag: v1\n"
	ring2Entry = "- name: ring-2\n  clusterSelector:\n    matchLabels:\n      ring-badinput: ring-2\n  helm:\n    values:\n      image:\n        tag: v1\n"
	everyone   = "- name: everyone\n  clusterSelector: {matchLabels: {in-badinput: \"true\"}}\n  helm: {values: {image: {tag: v1}}}\n"
	entries    = "targetCustomizations:\n"
)

// badFiles are what the editor refuses, seen from service add: the words from
// become the words to in a fleet.yaml that is good.
func badFiles() []badInput {
	var out []badInput
	refuse := func(name, what, from, to string) {
		out = append(out, badInput{"fleet.yaml: " + what, func(s *scenario) {
			s.made(name, func(files map[string]string) {
				good := files["deploy/fleet.yaml"]
				bad := strings.Replace(good, from, to, 1)
				if bad == good {
					s.Fatalf("no %q in\n%s", from, good)
				}
				files["deploy/fleet.yaml"] = bad
			})
		}, add(name, "GIT/badinput-"+name+".git"), 5})
	}
	entry := func(name, what, from, to string) { // of ring-1
		refuse(name, what, ring1Entry, strings.Replace(ring1Entry, from, to, 1))
	}
	refuse("no-entry", "no entry for a ring", ring2Entry, "")
	refuse("alias", "the value is another ring's, too", ring1Entry+ring2Entry,
		strings.Replace(ring1Entry, "tag: v1", "tag: &version v1", 1)+strings.Replace(ring2Entry, "tag: v1", "tag: *version", 1))
	entry("template", "a template in the field", "tag: v1", `tag: "${ .ClusterLabels.version }"`)
	entry("marker", "an image scan's marker on the field", "tag: v1", `tag: v1 # {"$imagescan": "web:tag"}`)
	refuse("scans", "image scans", entries, "imageScans:\n- tagName: web\n  image: registry.example.com/web\n"+entries)
	refuse("shadowed", "an entry before the ring's", entries, entries+everyone)
	entry("no-field", "an entry without the field", "        tag: v1\n", "        pullPolicy: Always\n")
	entry("twice", "a key that stands there twice", "        tag: v1\n", "        tag: v1\n        tag: v1\n")
	refuse("all", "a later entry goes over the ring's", ring2Entry, ring2Entry+everyone+"targetCustomizationMode: AllMatches\n")
	refuse("targets", "targets", entries, "targets:\n- clusterName: c1\n"+entries)
	refuse("case", "a key in other letters", entries, "TargetCustomizations:\n")
	entry("selector", "a selector that Fleet refuses", "matchLabels:\n      ring-badinput: ring-1", "matchExpressions:\n    - {key: ring-badinput, operator: Is, values: [ring-1]}")
	entry("block", "a version on a line of its own", "tag: v1", "tag: |\n          v1")
	refuse("documents", "two documents", "name: badinput-documents\n", "name: badinput-documents\n---\nname: second\n")
	refuse("syntax", "no YAML", "defaultNamespace: badinput", "defaultNamespace: [badinput")
	refuse("values", "a values file that is not there", ring1Entry, strings.Replace(ring1Entry, "helm:\n", "helm:\n    valuesFiles: [ring-1.yaml]\n", 1))
	out = append(out, badInput{"fleet.yaml: called fleet.yml", func(s *scenario) {
		s.made("yml", func(files map[string]string) {
			files["deploy/fleet.yml"] = files["deploy/fleet.yaml"]
			delete(files, "deploy/fleet.yaml")
		})
	}, add("yml", "GIT/badinput-yml.git"), 5})
	return out
}

var badRollouts = []badInput{
	{"create: no entry for the ring", changed(ring1Entry, ""), []string{"create", "APP", "ring-1"}, 5},
	{"create: a template in the field", changed("tag: v1\n- name: ring-2", "tag: \"${ .ClusterLabels.version }\"\n- name: ring-2"), []string{"create", "APP", "ring-1"}, 5},
	{"create: an entry before the ring's", changed(entries, entries+everyone), []string{"create", "APP", "ring-1", "--dry-run"}, 5},
	{"create: no YAML", changed("defaultNamespace: badinput", "defaultNamespace: [badinput"), []string{"create", "APP", "ring-1", "-o", "json"}, 5},
	{"create: the repository is gone", func(s *scenario) { s.must(s.lab.SetGitFault(s.ctx, "badinput-db", lab.GitFault{Status: 404})) }, []string{"create", "APP", "ring-1"}, 3},
	{"create: wrong credentials for git", func(s *scenario) {
		s.must(s.lab.SetGitFault(s.ctx, "badinput-db", lab.GitFault{}))
		s.credentials("ann", "guessed")
	}, []string{"create", "APP", "ring-1"}, 1},
	{"create: a ring without clusters", func(s *scenario) { s.ok("ring", "create", s.app, "ring-3") }, []string{"create", "APP", "ring-3", "--override", "--reason", "ring-2 is not used"}, 5},
	{"create: a GitRepo that is gone", (*scenario).deleteGitRepo, []string{"create", "APP", "ring-1", "--timeout", "30s"}, 3},
}

// changed pushes db's fleet.yaml with other words in it, by hand, and puts it
// back afterwards.
func changed(from, to string) func(*scenario) {
	return func(s *scenario) {
		good := s.fleetYAML("db")
		bad := strings.Replace(good, from, to, 1)
		if bad == good {
			s.Fatalf("no %q in\n%s", from, good)
		}
		s.commitFile("db", "deploy/fleet.yaml", bad)
		s.Cleanup(func() { s.commitFile("db", "deploy/fleet.yaml", good) })
	}
}

func (s *scenario) deleteGitRepo() {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	repo := &fleetv1.GitRepo{ObjectMeta: metav1.ObjectMeta{Name: s.app + "-db", Namespace: lab.Namespace}}
	s.must(c.Delete(s.ctx, repo))
	s.eventually(30*time.Second, "the GitRepo is gone", func() bool {
		return apierrors.IsNotFound(c.Get(s.ctx, client.ObjectKeyFromObject(repo), &fleetv1.GitRepo{}))
	})
}

// transcript is what the program says, by the case's name.
type transcript map[string]string

const transcriptFile = "testdata/badinput.txt"

// readTranscript reads the file's parts, each below a line "-- NAME --".
func readTranscript(t *testing.T) transcript {
	t.Helper()
	out := transcript{}
	text, err := os.ReadFile(transcriptFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq("\n"+string(text), "\n-- ") {
		if name, said, ok := strings.Cut(part, " --\n"); ok {
			out[name] = strings.TrimRight(said, "\n") + "\n"
		}
	}
	return out
}

// write keeps the order of the cases.
func (said transcript) write(t *testing.T, cases []badInput) {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "-- %s --\n%s\n", c.name, said[c.name])
	}
	if err := os.WriteFile(transcriptFile, []byte(strings.TrimRight(b.String(), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
