package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// scenario is an application of its own in a lab.
type scenario struct {
	*testing.T
	lab   *lab.Lab
	ctx   context.Context
	app   string
	store string
	env   []string
	rings []ring
	begun time.Time
	waves int // of what it rolls out, for the floor
}

// ring is one ring of a scenario, with the clusters that it begins with.
type ring struct {
	name     string
	clusters []string
}

// What most scenarios have, and those that go further.
var (
	twoRings   = []ring{{"ring-1", []string{"c1", "c2"}}, {"ring-2", []string{"c3", "c4"}}}
	threeRings = []ring{{"ring-1", []string{"c1", "c2"}}, {"ring-2", []string{"c3"}}, {"ring-3", []string{"c4"}}}
)

// service is one service of a scenario: its repository is APP-NAME and its
// folder "deploy", unless they are given.
type service struct {
	name  string
	needs []string
	repo  string
	path  string
	tail  string // of its fleet.yaml
}

// slots bounds how many scenarios are played at once: more wait for each other's
// Fleet, and for the machine.
var slots = make(chan struct{}, 7)

// play begins a scenario, side by side with the others, when it has a place. Its
// rings are twoRings, unless it says otherwise before setUp.
func play(t *testing.T, app string, waves int) *scenario {
	t.Parallel()
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
	return playIn(t, shared, app, waves)
}

// playFirst is play for a scenario that takes minutes even alone: it waits for no
// place, so that it is not the last one to begin.
func playFirst(t *testing.T, app string, waves int) *scenario {
	t.Parallel()
	return playIn(t, shared, app, waves)
}

func playIn(t *testing.T, l *lab.Lab, app string, waves int) *scenario {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	s := &scenario{T: t, lab: l, ctx: ctx, app: app, store: filepath.Join(t.TempDir(), "rollout.db"), rings: twoRings, begun: time.Now(), waves: waves}
	s.env = append(os.Environ(), "KUBECONFIG="+l.Kubeconfig(), "ROLLOUT_STORE="+s.store, "ROLLOUT_ACTOR=e2e@"+app,
		"ROLLOUT_GIT_USERNAME="+lab.GitUser, "ROLLOUT_GIT_PASSWORD="+lab.GitPassword,
		"XDG_CACHE_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "CI=")
	t.Cleanup(func() {
		if t.Failed() {
			s.dump()
		} else {
			s.leave()
		}
		cancel()
		note(t, waves, time.Since(s.begun))
	})
	return s
}

// selector and ringLabel are the labels that the scenario's clusters carry.
func (s *scenario) selector() string  { return "in-" + s.app }
func (s *scenario) ringLabel() string { return "ring-" + s.app }

// setUp makes the repositories and describes the application to rollout.
func (s *scenario) setUp(services ...service) {
	s.Helper()
	s.repositories(services)
	s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true")
	for _, r := range s.rings {
		s.ok("ring", "create", s.app, r.name, "--deadline", "2m", "--uptake-deadline", "90s")
	}
	for _, r := range s.rings {
		for _, c := range r.clusters {
			s.ok("cluster", "add", c, "--app", s.app, "--ring", r.name, "--yes")
		}
	}
	for _, v := range services {
		s.addService(v)
	}
	s.waitLive(services)
	s.begun = time.Now()
}

// ringNames are the names of the scenario's rings, in order.
func (s *scenario) ringNames() []string {
	var out []string
	for _, r := range s.rings {
		out = append(out, r.name)
	}
	return out
}

// clusters are all of the scenario's.
func (s *scenario) clusters() []string {
	var out []string
	for _, r := range s.rings {
		out = append(out, r.clusters...)
	}
	return out
}

func (s *scenario) repoOf(v service) string {
	if v.repo != "" {
		return s.app + "-" + v.repo
	}
	return s.app + "-" + v.name
}

func (v service) folder() string {
	if v.path != "" {
		return v.path
	}
	return "deploy"
}

// repositories makes one repository for each name, with all its services and
// a repo.yaml that holds a GitRepo for each.
func (s *scenario) repositories(services []service) {
	s.Helper()
	files := map[string]map[string]string{}
	for _, v := range services {
		repo := s.repoOf(v)
		if files[repo] == nil {
			files[repo] = map[string]string{}
		}
		made, err := lab.HelmService(s.app+"-"+v.name, lab.Service{Path: v.folder(), Namespace: s.app, RingLabel: s.ringLabel(), Rings: s.ringNames()})
		s.must(err)
		made[v.folder()+"/fleet.yaml"] += v.tail
		maps.Copy(files[repo], made)
		manifest := s.gitRepo(v)
		if old := files[repo]["repo.yaml"]; old != "" {
			manifest = old + "---\n" + manifest
		}
		files[repo]["repo.yaml"] = manifest
	}
	for _, repo := range slices.Sorted(maps.Keys(files)) {
		s.must(s.lab.CreateRepo(s.ctx, repo, files[repo]))
	}
}

// gitRepo is the manifest of a service's GitRepo.
func (s *scenario) gitRepo(v service) string {
	return fmt.Sprintf(`apiVersion: fleet.cattle.io/v1alpha1
kind: GitRepo
metadata: {name: %s-%s, namespace: %s}
spec:
  repo: REPO_URL
  branch: main
  paths: [%s]
  pollingInterval: 15s
  clientSecretName: git-auth
  targets:
  - name: all
    clusterSelector: {matchLabels: {%s: "true"}}
`, s.app, v.name, lab.Namespace, v.folder(), s.selector())
}

func (s *scenario) addService(v service) {
	s.Helper()
	url, err := s.lab.GitURL(s.repoOf(v))
	s.must(err)
	args := []string{"service", "add", s.app, v.name, "--repo", url, "--path", v.folder()}
	if len(v.needs) > 0 {
		args = append(args, "--depends-on", strings.Join(v.needs, ","))
	}
	s.ok(args...)
}

// waitLive waits until v1 of every service is available on all clusters.
func (s *scenario) waitLive(services []service) {
	s.Helper()
	for _, v := range services {
		for _, c := range s.clusters() {
			s.eventually(2*time.Minute, fmt.Sprintf("%s on %s at v1", v.name, c), func() bool { return s.live(c, v.name) == "v1" })
		}
	}
}

// must fails the scenario on an error.
func (s *scenario) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// eventually asks until it is so. What it asks has no event of its own.
func (s *scenario) eventually(within time.Duration, what string, is func() bool) {
	s.Helper()
	s.eventuallyBy(100*time.Millisecond, within, what, is)
}

// patience is how much longer things may take than on a machine that has
// nothing else to do.
const patience = 4

// aLook is how often something is asked for which the program must be run: that
// costs more than all that Fleet does meanwhile.
const aLook = time.Second

// eventuallyBy asks so often.
func (s *scenario) eventuallyBy(every, within time.Duration, what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(patience * within); time.Now().Before(end); time.Sleep(every) {
		if is() {
			return
		}
	}
	s.Fatalf("not within %s: %s", within, what)
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

func (s *scenario) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, binary, args...)
	cmd.Env = s.env
	return cmd
}

// run runs the program to its end.
func (s *scenario) run(args ...string) result {
	s.Helper()
	r := s.look(args...)
	s.Logf("$ rollout %s\n%s%s[%d]", strings.Join(args, " "), r.stdout, r.stderr, r.code)
	return r
}

// look is run for what is asked again and again: it is not logged.
func (s *scenario) look(args ...string) result {
	s.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.Fatalf("rollout %s: %v", strings.Join(args, " "), err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ok runs the program and wants it to succeed.
func (s *scenario) ok(args ...string) result {
	s.Helper()
	return s.ends(0, args...)
}

// ends runs the program and wants the exit code.
func (s *scenario) ends(code int, args ...string) result {
	s.Helper()
	r := s.run(args...)
	if r.code != code {
		s.Fatalf("rollout %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// says wants the words in what a command printed.
func (s *scenario) says(r result, words ...string) {
	s.Helper()
	for _, w := range words {
		if !strings.Contains(r.stdout+r.stderr, w) {
			s.Errorf("it does not say %q:\n%s%s", w, r.stdout, r.stderr)
		}
	}
}

// running is a command that runs beside the scenario.
type running struct {
	*exec.Cmd
	s      *scenario
	out    output
	exited chan struct{}
}

// output is what a command has said so far. It may be read while it is written.
type output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

// begin starts the program beside the scenario; it is ended with it.
func (s *scenario) begin(args ...string) *running {
	s.Helper()
	r := &running{Cmd: s.command(args...), s: s, exited: make(chan struct{})}
	r.Stdout, r.Stderr = &r.out, &r.out
	s.must(r.Start())
	go func() {
		defer close(r.exited)
		_ = r.Wait() // the code is in ProcessState
	}()
	s.Cleanup(func() {
		_ = r.Process.Signal(syscall.SIGKILL) // it may have ended
		<-r.exited
		s.Logf("$ rollout %s &\n%s[%d]", strings.Join(args, " "), r.out.String(), r.ProcessState.ExitCode())
	})
	return r
}

// long is how long a command may take at most that takes a minute or two when
// it is alone.
const long = 6 * time.Minute

// code waits for the command's end.
func (r *running) code(within time.Duration) int {
	r.s.Helper()
	select {
	case <-r.exited:
	case <-time.After(within):
		r.s.Fatalf("rollout %s runs still after %s", strings.Join(r.Args[1:], " "), within)
	}
	return r.ProcessState.ExitCode()
}

// rollout is what `show -o json` says.
type rollout struct {
	ID         string            `json:"id"`
	Kind       string            `json:"kind"`
	Of         string            `json:"of"`
	Phase      string            `json:"phase"`
	Reason     string            `json:"reason"`
	Plan       map[string]string `json:"plan"`
	RingStates []struct {
		Name, Phase, Reason                string
		StartedAt, ConvergedAt, FinishedAt time.Time
	} `json:"ringStates"`
	Steps                 []step `json:"steps"`
	StartedAt, FinishedAt time.Time
}

// step is what `show -o json` says of one.
type step struct {
	Ring, Service, Phase, Reason, From, To, Commit string
	Undo                                           bool
	StartedAt, FinishedAt                          time.Time
	Clusters                                       []struct{ Name, Phase, Reason string }
}

// step returns the rollout's step of the service on the ring, the one forward;
// an empty one when there is none.
func (r rollout) step(ring, service string) step {
	for _, st := range r.Steps {
		if st.Ring == ring && st.Service == service && !st.Undo {
			return st
		}
	}
	return step{}
}

// cluster returns the phase and the reason of a cluster within the step; "" of
// one that it does not name.
func (st step) cluster(name string) (phase, reason string) {
	for _, c := range st.Clusters {
		if c.Name == name {
			return c.Phase, c.Reason
		}
	}
	return "", ""
}

// ring returns the phase of the rollout's ring; "" of one that it does not have.
func (r rollout) ring(name string) string {
	for _, one := range r.RingStates {
		if one.Name == name {
			return one.Phase
		}
	}
	return ""
}

// show returns the application's latest rollout.
func (s *scenario) show() rollout {
	s.Helper()
	return s.decode(s.ok("show", s.app, "-o", "json"))
}

func (s *scenario) decode(r result) rollout {
	s.Helper()
	var out rollout
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		s.Fatalf("%v in %s", err, r.stdout)
	}
	return out
}

// live returns the version that a cluster's own API server says is available:
// the image tag of the service's Deployment, or "" when it is not available.
func (s *scenario) live(cluster, service string) string {
	d := s.deployment(cluster, service)
	if d == nil || d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < 1 || d.Status.UpdatedReplicas < 1 {
		return ""
	}
	return tag(d)
}

// image returns the image tag of the service's Deployment, ready or not.
func (s *scenario) image(cluster, service string) string {
	d := s.deployment(cluster, service)
	if d == nil {
		return ""
	}
	return tag(d)
}

func tag(d *appsv1.Deployment) string {
	image := d.Spec.Template.Spec.Containers[0].Image
	return image[strings.LastIndex(image, ":")+1:]
}

func (s *scenario) deployment(cluster, service string) *appsv1.Deployment {
	c, err := s.lab.DownstreamClient(cluster)
	if err != nil {
		return nil
	}
	d := &appsv1.Deployment{}
	if err := c.Get(s.ctx, client.ObjectKey{Namespace: s.app, Name: s.app + "-" + service}, d); err != nil {
		return nil
	}
	return d
}

// release returns what the service's BundleDeployment says of its Helm release
// on a cluster, with the revision.
func (s *scenario) release(cluster, service string) string {
	s.Helper()
	bd := s.bundleDeployment(cluster, service)
	if bd == nil {
		return ""
	}
	return bd.Status.Release
}

// bundleDeployment returns the service's BundleDeployment for a cluster, nil
// when there is none.
func (s *scenario) bundleDeployment(cluster, service string) *fleetv1.BundleDeployment {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	list := &fleetv1.BundleDeploymentList{}
	s.must(c.List(s.ctx, list, client.MatchingLabels{
		"fleet.cattle.io/repo-name": s.app + "-" + service, "fleet.cattle.io/cluster": cluster}))
	if len(list.Items) != 1 {
		return nil
	}
	return &list.Items[0]
}

// images wants the versions on the clusters' own API servers.
func (s *scenario) images(service string, want map[string]string) {
	s.Helper()
	for _, c := range slices.Sorted(maps.Keys(want)) {
		if got := s.image(c, service); got != want[c] {
			s.Errorf("%s on %s runs %q, want %q", service, c, got, want[c])
		}
	}
}

// runs wants the version of each service on the clusters, and that it is
// available there.
func (s *scenario) runs(version string, services []service, clusters ...string) {
	s.Helper()
	for _, v := range services {
		for _, c := range clusters {
			if got := s.live(c, v.name); got != version {
				s.Errorf("%s on %s: %q is available (%q is deployed), want %q", v.name, c, got, s.image(c, v.name), version)
			}
		}
	}
}

// commits returns how many commits of the repository are rollout's own.
func (s *scenario) commits(repo string) int {
	s.Helper()
	out, err := s.lab.Git(s.ctx, s.app+"-"+repo, "log", "--format=%H", "--grep=^Rollout: ", "main")
	s.must(err)
	return len(strings.Fields(out))
}

// awaits waits until the application's latest rollout is as is says.
func (s *scenario) awaits(within time.Duration, what string, is func(rollout) bool) {
	s.Helper()
	var last result
	defer func() {
		if s.Failed() {
			s.Logf("the last look:\n%s%s", last.stdout, last.stderr)
		}
	}()
	s.eventuallyBy(aLook, within, what, func() bool {
		last = s.look("show", s.app, "-o", "json")
		return last.code == 0 && is(s.decode(last))
	})
}

// phase waits until the latest rollout's first step of the service is in the
// phase.
func (s *scenario) phase(service, phase string, within time.Duration) {
	s.Helper()
	s.awaits(within, service+" "+phase, func(r rollout) bool {
		for _, st := range r.Steps {
			if st.Service == service {
				return st.Phase == phase
			}
		}
		return false
	})
}
