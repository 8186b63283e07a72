package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"rollout/rings"
	"rollout/store"
)

// reader is an API server and a git server that only let read, and remember
// what was asked. The API server keeps lists by the last part of their path,
// and everything else by its whole path.
type reader struct {
	*httptest.Server
	git http.Handler

	mu      sync.Mutex
	lists   map[string][]any
	objects map[string]any
	asked   []string // requests to the git server
	refused []string // what would have changed something
}

func newReader(t *testing.T, repos string) *reader {
	t.Helper()
	folder, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{lists: map[string][]any{}, objects: map[string]any{}, git: &cgi.Handler{Stderr: io.Discard, Path: filepath.Join(strings.TrimSpace(string(folder)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + repos, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + repos}}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *reader) serve(w http.ResponseWriter, q *http.Request) {
	if strings.Contains(q.URL.Path, ".git/") {
		r.mu.Lock()
		r.asked = append(r.asked, path.Base(q.URL.Path)+" "+q.URL.Query().Get("service"))
		r.mu.Unlock()
		r.git.ServeHTTP(w, q)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	last := path.Base(q.URL.Path)
	switch {
	case last == "selfsubjectaccessreviews":
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": true}})
	case q.Method != http.MethodGet:
		r.refused = append(r.refused, q.Method+" "+q.URL.Path)
		w.WriteHeader(http.StatusForbidden)
	case r.objects[q.URL.Path] != nil:
		_ = json.NewEncoder(w).Encode(r.objects[q.URL.Path])
	case path.Base(path.Dir(q.URL.Path)) == "fleet-default" || strings.HasSuffix(q.URL.Path, "/bundledeployments"):
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": append([]any{}, r.lists[last]...)})
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

const fleetAPI = "/apis/fleet.cattle.io/v1alpha1/namespaces/fleet-default/"

// deploy makes a GitRepo with a Bundle for each folder.
func (r *reader) deploy(name, repo string, folders ...string) {
	r.objects[fleetAPI+"gitrepos/"+name] = map[string]any{"kind": "GitRepo", "apiVersion": "fleet.cattle.io/v1alpha1", "metadata": map[string]any{"name": name, "namespace": "fleet-default"},
		"spec": map[string]any{"repo": repo, "branch": "main", "paths": folders, "targets": []any{map[string]any{"clusterSelector": map[string]any{}}}}}
	for _, f := range folders {
		r.lists["bundles"] = append(r.lists["bundles"], map[string]any{"metadata": map[string]any{"name": name + "-" + f, "namespace": "fleet-default",
			"labels": map[string]any{"fleet.cattle.io/repo-name": name}}})
	}
}

// runs makes a BundleDeployment that the cluster's agent has acknowledged.
func (r *reader) runs(bundle, repo, cluster, commit string, nonce int64) {
	r.lists["bundledeployments"] = append(r.lists["bundledeployments"], map[string]any{
		"metadata": map[string]any{"name": bundle, "namespace": "cluster-" + cluster, "labels": map[string]any{"fleet.cattle.io/commit": commit, "fleet.cattle.io/repo-name": repo,
			"fleet.cattle.io/bundle-name": bundle, "fleet.cattle.io/bundle-namespace": "fleet-default", "fleet.cattle.io/cluster": cluster, "fleet.cattle.io/cluster-namespace": "fleet-default"}},
		"spec":   map[string]any{"deploymentID": "id", "stagedDeploymentID": "id", "options": map[string]any{"forceSyncGeneration": nonce}},
		"status": map[string]any{"appliedDeploymentID": "id", "syncGeneration": nonce, "ready": true, "nonModified": true}})
}

// gitSite is a bare repository and a clone in which people work.
type gitSite struct {
	t          *testing.T
	bare, work string
}

func newGitSite(t *testing.T, bare string) *gitSite {
	s := &gitSite{t, bare, t.TempDir()}
	s.run(s.work, "init", "-q", "--bare", "-b", "main", bare)
	s.run(s.work, "init", "-q", "-b", "main")
	return s
}

func (s *gitSite) run(dir string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Eve", "GIT_AUTHOR_EMAIL=eve@example.com", "GIT_COMMITTER_NAME=Eve", "GIT_COMMITTER_EMAIL=eve@example.com"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit pushes the file of the folders, and returns the commit.
func (s *gitSite) commit(text string, folders ...string) string {
	s.t.Helper()
	for _, f := range folders {
		if err := os.MkdirAll(filepath.Join(s.work, f), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.work, f, "fleet.yaml"), []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	s.run(s.work, "add", "-A")
	s.run(s.work, "commit", "-q", "-m", "by hand")
	s.run(s.work, "push", "-q", s.bare, "HEAD:main")
	return s.tip()
}

func (s *gitSite) tip() string { return s.run(s.bare, "rev-parse", "main") }

// shopWorld is a Fleet with the application shop on three rings, whose services
// lie in two repositories, and a store that knows it.
type shopWorld struct {
	*reader
	db, site         *gitSite
	before, now, web string // commits: db's last but one and last, site's only one
	store            string
	home             string
	out, complaints  bytes.Buffer
}

func newShopWorld(t *testing.T) *shopWorld {
	t.Helper()
	folder := t.TempDir()
	w := &shopWorld{reader: newReader(t, folder), db: newGitSite(t, filepath.Join(folder, "db.git")), site: newGitSite(t, filepath.Join(folder, "site.git")), home: t.TempDir()}
	w.before = w.db.commit(strings.ReplaceAll(shopFile(2, ""), "tag: v1", "tag: v0"), "deploy")
	w.now = w.db.commit(shopFile(5, ""), "deploy")
	w.web = w.site.commit(shopFile(0, ""), "web", "docs")
	w.objects["/api/v1/namespaces/kube-system"] = map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "kube-system", "uid": "5f2c"}}
	w.objects["/api/v1/namespaces/fleet-default"] = map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "fleet-default", "uid": "1"}}
	for i, name := range []string{"c1", "c2", "c3", "c4"} {
		w.lists["clusters"] = append(w.lists["clusters"], map[string]any{"metadata": map[string]any{"name": name, "namespace": "fleet-default",
			"labels": map[string]any{"app": "shop", "ring": []string{"ring-1", "ring-1", "ring-2", "ring-3"}[i]}}, "status": map[string]any{"namespace": "cluster-" + name}})
	}
	w.deploy("shop-db", w.URL+"/db.git", "deploy")
	w.deploy("shop-site", w.URL+"/site.git", "web", "docs")
	w.runs("shop-db-deploy", "shop-db", "c1", w.now, 5)
	w.runs("shop-db-deploy", "shop-db", "c2", w.before, 2)
	w.runs("shop-db-deploy", "shop-db", "c3", w.now, 6)
	w.runs("shop-site-web", "shop-site", "c1", w.web, 0)
	w.keep(t)
	return w
}

// keep makes the store and the kubeconfig.
func (w *shopWorld) keep(t *testing.T) {
	t.Helper()
	a := shopApp()
	a.Rings = []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}, {Name: "ring-3"}}
	a.Services, a.Plan = nil, rings.Plan{"db": {Version: "v2"}, "web": {Version: "v2"}, "docs": {Version: "v2"}}
	for _, s := range [][3]string{{"db", "db", "deploy"}, {"web", "site", "web"}, {"docs", "site", "docs"}} {
		a.Services = append(a.Services, rings.Service{Name: rings.ServiceName(s[0]), Repo: w.URL + "/" + s[1] + ".git", Branch: "main", Path: s[2], GitRepo: "shop-" + s[1], Fields: []string{rings.DefaultField}})
	}
	w.store = filepath.Join(w.home, "rollout.db")
	kept, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.CreateApp(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], clusters: [{name: x, cluster: {server: %q}}], users: [{name: x, user: {token: x}}]}`, w.URL)
	if err := os.WriteFile(filepath.Join(w.home, "kubeconfig"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rollout runs the program in this world, and returns its exit code. What it
// said stays until the next time.
func (w *shopWorld) rollout(t *testing.T, args ...string) int {
	t.Helper()
	w.out.Reset()
	w.complaints.Reset()
	env := testProgram().environment
	env.stdout, env.stderr = &w.out, &w.complaints
	env.getenv = func(name string) string {
		return map[string]string{"HOME": w.home, "XDG_CACHE_HOME": filepath.Join(w.home, "cache"), "ROLLOUT_ACTOR": "ann@example.com"}[name]
	}
	return run(t.Context(), append(args, "--store", w.store, "--kubeconfig", filepath.Join(w.home, "kubeconfig")), env)
}

// unchanged wants nothing written to Fleet or git.
func (w *shopWorld) unchanged(t *testing.T) {
	t.Helper()
	if len(w.refused) > 0 || slices.ContainsFunc(w.asked, func(q string) bool { return strings.HasPrefix(q, "git-receive-pack") }) {
		t.Errorf("it wrote: %q, %q", w.refused, w.asked)
	}
	if w.db.tip() != w.now || w.site.tip() != w.web {
		t.Error("it pushed")
	}
}

// A dry run reads every repository and Fleet itself, and writes nothing.
func TestDryRun(t *testing.T) {
	w := newShopWorld(t)
	stored, err := os.ReadFile(w.store)
	if err != nil {
		t.Fatal(err)
	}
	if code := w.rollout(t, "create", "shop", "ring-1", "ring-2", "--dry-run", "-o", "json"); code != exitDone {
		t.Fatalf("exit %d: %s", code, w.complaints.String())
	}
	var v previewView
	if err := json.Unmarshal(w.out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	checkDryRun(t, v)
	w.unchanged(t)
	if after, err := os.ReadFile(w.store); err != nil || !bytes.Equal(stored, after) {
		t.Errorf("the store is not as it was: %v", err)
	}
	looks := 0
	for _, q := range w.asked {
		if strings.HasPrefix(q, "refs ") {
			looks++
		}
	}
	if want := 7; looks > want { // two repositories on two rings, and three files
		t.Errorf("%d looks at repositories, want %d at most: %q", looks, want, w.asked)
	}
}

// checkDryRun wants what was found in Fleet and in the repositories.
func checkDryRun(t *testing.T, v previewView) {
	t.Helper()
	var got []string
	for _, r := range v.Rings {
		for _, s := range r.Steps {
			for _, c := range s.Clusters {
				got = append(got, fmt.Sprintf("%s %s %s: %s runs %s, %s", r.Ring, s.Service, c.Name, s.Words, cmpHint(string(c.Runs), "nothing known"), c.Reason))
			}
			if strings.Count(s.Diff, "\n+") != 3 { // the header's, the version's and the nonce's
				t.Errorf("%s %s: the diff is not of two lines:\n%s", r.Ring, s.Service, s.Diff)
			}
			got = append(got, fmt.Sprintf("%s %s: %s -> %s, nonce %d", r.Ring, s.Service, s.From, s.To, s.Nonce))
		}
	}
	want := []string{
		"ring-1 db c1: on 2 clusters runs v1, ", "ring-1 db c2: on 2 clusters runs v0, ", "ring-1 db: v1 -> v2, nonce 8",
		"ring-1 docs c1: on 2 clusters runs nothing known, Fleet has not deployed it there yet", "ring-1 docs c2: on 2 clusters runs nothing known, Fleet has not deployed it there yet", "ring-1 docs: v1 -> v2, nonce 1",
		"ring-1 web c1: on 2 clusters runs v1, ", "ring-1 web c2: on 2 clusters runs nothing known, Fleet has not deployed it there yet", "ring-1 web: v1 -> v2, nonce 1",
		"ring-2 db c3: on 1 cluster runs v1, ", "ring-2 db: v1 -> v2, nonce 9",
		"ring-2 docs c3: on 1 cluster runs nothing known, Fleet has not deployed it there yet", "ring-2 docs: v1 -> v2, nonce 2",
		"ring-2 web c3: on 1 cluster runs nothing known, Fleet has not deployed it there yet", "ring-2 web: v1 -> v2, nonce 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(v.Untouched) != 1 || v.Untouched[0].Ring != "ring-3" || !slices.Equal(v.Untouched[0].Clusters, []rings.ClusterName{"c4"}) {
		t.Errorf("untouched: %+v", v.Untouched)
	}
}
