package main

import (
	"encoding/base64"
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

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"
)

// scriptFleet is the Fleet manager and the git server of a script that has the
// file fleet.yaml: Fleet's objects, one a document, in the workspace
// fleet-default. $GIT is the git server: it has a repository for each folder of
// repos. Nothing is ever deployed; objects are kept as they are written. The agent
// of a cluster that is registered joins at once, and tokens are answered.
type scriptFleet struct {
	git http.Handler

	mu      sync.Mutex
	objects map[string]map[string]any // by path
	order   []string
}

const workspacePath = "/apis/fleet.cattle.io/v1alpha1/namespaces/fleet-default/"

// startFleet sets KUBECONFIG and GIT for the script, if it has a fleet.yaml.
func startFleet(e *testscript.Env) error {
	text, err := os.ReadFile(filepath.Join(e.WorkDir, "fleet.yaml"))
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	folder, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return err
	}
	served := filepath.Join(e.WorkDir, "served")
	f := &scriptFleet{objects: map[string]map[string]any{}, git: &cgi.Handler{Stderr: io.Discard, Path: filepath.Join(strings.TrimSpace(string(folder)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + served, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + e.WorkDir}}}
	server := httptest.NewServer(f)
	e.Defer(server.Close)
	for _, name := range []string{"kube-system", "fleet-default"} {
		f.put("/api/v1/namespaces/"+name, map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": name, "uid": "uid-of-" + name}})
	}
	for doc := range strings.SplitSeq(strings.ReplaceAll(string(text), "$GIT", server.URL), "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return err
		}
		meta := o["metadata"].(map[string]any)
		o["apiVersion"], meta["namespace"] = "fleet.cattle.io/v1alpha1", "fleet-default"
		f.put(workspacePath+strings.ToLower(o["kind"].(string))+"s/"+meta["name"].(string), o)
	}
	if err := serveRepos(e, served, server.URL); err != nil {
		return err
	}
	kubeconfig := filepath.Join(e.WorkDir, "kubeconfig")
	e.Setenv("KUBECONFIG", kubeconfig)
	e.Setenv("GIT", server.URL)
	return os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], `+
		`clusters: [{name: x, cluster: {server: %q}}], users: [{name: x, user: {token: x}}]}`, server.URL), 0o600)
}

// serveRepos makes a bare repository, branch main, of each folder below repos.
func serveRepos(e *testscript.Env, served, url string) error {
	all, err := os.ReadDir(filepath.Join(e.WorkDir, "repos"))
	if err != nil {
		return err
	}
	for _, r := range all {
		work, bare := filepath.Join(e.WorkDir, "repos", r.Name()), filepath.Join(served, r.Name()+".git")
		if text, err := os.ReadFile(filepath.Join(work, "repo.yaml")); err == nil {
			if err := os.WriteFile(filepath.Join(work, "repo.yaml"), []byte(strings.ReplaceAll(string(text), "$GIT", url)), 0o600); err != nil {
				return err
			}
		}
		for _, args := range [][]string{{"init", "-q", "-b", "main", work}, {"-C", work, "add", "-A"}, {"-C", work, "commit", "-q", "-m", "by hand"},
			{"clone", "-q", "--bare", work, bare}, {"-C", bare, "config", "http.receivepack", "true"}} {
			cmd := exec.Command("git", args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.WorkDir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Eve", "GIT_AUTHOR_EMAIL=eve@example.com",
				"GIT_COMMITTER_NAME=Eve", "GIT_COMMITTER_EMAIL=eve@example.com", "GIT_AUTHOR_DATE=2026-11-19T10:00:00Z", "GIT_COMMITTER_DATE=2026-11-19T10:00:00Z"}
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("git %v: %w: %s", args, err, out)
			}
		}
	}
	return nil
}

func (f *scriptFleet) put(at string, o map[string]any) {
	if f.objects[at] == nil {
		f.order = append(f.order, at)
	}
	f.objects[at] = o
}

func (f *scriptFleet) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.Contains(q.URL.Path, ".git/") {
		f.git.ServeHTTP(w, q)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	o := f.objects[q.URL.Path]
	switch {
	case path.Base(q.URL.Path) == "selfsubjectaccessreviews":
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": true}})
	case q.Method == http.MethodPost:
		o = map[string]any{}
		_ = json.NewDecoder(q.Body).Decode(&o) // a client-go wrote it
		at := q.URL.Path + "/" + o["metadata"].(map[string]any)["name"].(string)
		if f.objects[at] != nil {
			refuse(w, http.StatusConflict, "AlreadyExists", path.Base(at))
			return
		}
		f.put(at, o)
		f.answer(at, o)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(o)
	case q.Method == http.MethodPatch && (o != nil || q.Header.Get("Content-Type") == "application/apply-patch+yaml"):
		if o == nil {
			o = map[string]any{}
			f.put(q.URL.Path, o)
		}
		var patch map[string]any
		_ = json.NewDecoder(q.Body).Decode(&patch)
		mergeObject(o, patch)
		_ = json.NewEncoder(w).Encode(o)
	case o != nil:
		_ = json.NewEncoder(w).Encode(o)
	case strings.HasPrefix(q.URL.Path+"/", workspacePath) && !strings.Contains(strings.TrimPrefix(q.URL.Path, workspacePath), "/"), strings.HasSuffix(q.URL.Path, "/bundledeployments"):
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": listKinds[path.Base(q.URL.Path)], "apiVersion": "fleet.cattle.io/v1alpha1", "metadata": map[string]any{"resourceVersion": "1"}, "items": f.below(q.URL.Path, q.URL.Query().Get("fieldSelector"))})
	default:
		refuse(w, http.StatusNotFound, "NotFound", path.Base(q.URL.Path))
	}
}

// answer plays Fleet's part of a registration.
func (f *scriptFleet) answer(at string, o map[string]any) {
	name := path.Base(at)
	switch path.Base(path.Dir(at)) {
	case "clusters":
		if spec, _ := o["spec"].(map[string]any); spec["kubeConfigSecret"] != nil {
			o["status"] = map[string]any{"namespace": "cluster-" + name, "agentDeployedGeneration": 0, "agent": map[string]any{"lastSeen": "2026-11-20T11:00:00Z"}}
		}
	case "clusterregistrationtokens":
		o["status"] = map[string]any{"secretName": name, "expires": "2026-11-21T11:00:00Z"}
		values := base64.StdEncoding.EncodeToString([]byte("apiServerURL: https://manager.example.com\ntoken: s3cret\n"))
		f.put("/api/v1/namespaces/fleet-default/secrets/"+name, map[string]any{"kind": "Secret", "apiVersion": "v1", "metadata": map[string]any{"name": name}, "data": map[string]any{"values": values}})
	}
}

func refuse(w http.ResponseWriter, code int, reason, name string) {
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"details":{"name":%q}}`, reason, code, name)
}

var listKinds = map[string]string{"clusters": "ClusterList", "clustergroups": "ClusterGroupList", "gitrepos": "GitRepoList", "bundles": "BundleList", "bundledeployments": "BundleDeploymentList"}

// below are the objects in a folder, or the one that a field selector names.
func (f *scriptFleet) below(folder, selector string) []any {
	out := []any{}
	name, one := strings.CutPrefix(selector, "metadata.name=")
	for _, at := range f.order {
		if path.Dir(at) == folder && (!one || path.Base(at) == name) {
			out = append(out, f.objects[at])
		}
	}
	return out
}

// mergeObject is RFC 7386.
func mergeObject(into, patch map[string]any) {
	for k, v := range patch {
		sub, isObject := v.(map[string]any)
		old, there := into[k].(map[string]any)
		switch {
		case v == nil:
			delete(into, k)
		case isObject && there:
			mergeObject(old, sub)
		default:
			into[k] = v
		}
	}
}

// labelsCommand is `labels CLUSTER K=V,...`: the cluster carries just these.
func labelsCommand(ts *testscript.TestScript, neg bool, args []string) {
	r, err := http.Get(ts.Getenv("GIT") + workspacePath + "clusters/" + args[0])
	ts.Check(err)
	defer r.Body.Close()
	var o struct {
		Metadata struct{ Labels map[string]string }
	}
	ts.Check(json.NewDecoder(r.Body).Decode(&o))
	var words []string
	for k, v := range o.Metadata.Labels {
		words = append(words, k+"="+v)
	}
	slices.Sort(words)
	if got := strings.Join(words, ","); (got == args[1]) == neg {
		ts.Fatalf("cluster %s carries %s", args[0], got)
	}
}

// envfileCommand is `envfile FROM TO`: TO is FROM with the variables put in.
func envfileCommand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
