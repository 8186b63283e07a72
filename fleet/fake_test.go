package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// fakeAPI is an API server that behaves, as far as this package asks, and can
// be told to misbehave: it keeps any objects, lists them by pages, streams
// their changes, refuses a write to an object that changed, and speaks JSON
// merge patch; what is applied is merged, unless it is not managed from here.
type fakeAPI struct {
	*httptest.Server

	mu       sync.Mutex
	version  int
	objects  map[string]map[string]any // by path: /apis/G/V/namespaces/NS/PLURAL/NAME
	watches  map[*fakeWatch]bool
	deny     map[string]bool // "VERB PLURAL" that are forbidden
	gone     map[string]bool // resources whose next watch is 410
	requests []string        // "VERB PLURAL?QUERY"
	onWrite  func()          // called before each update, once, without the lock
	date     time.Time       // of the answers; zero means now
	more     int             // objects that are counted besides those there are
}

type fakeWatch struct {
	resource string
	folder   string // begins the paths of what is watched
	query    url.Values
	events   chan string
	done     chan struct{}
	stop     func()
}

func newFakeAPI(t testing.TB) *fakeAPI {
	t.Helper()
	f := &fakeAPI{version: 100, objects: map[string]map[string]any{}, watches: map[*fakeWatch]bool{},
		deny: map[string]bool{}, gone: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.drop()
		f.Server.CloseClientConnections()
		f.Close()
	})
	f.put("/api/v1/namespaces/fleet-default", obj{"metadata": obj{"uid": "u-1"}})
	return f
}

type obj = map[string]any

// manager connects to the fake.
func (f *fakeAPI) manager(t testing.TB, o Options) *Manager {
	t.Helper()
	m, err := newManager(&rest.Config{Host: f.URL, QPS: 1000, Burst: 1000}, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func fleetPath(namespace, plural, name string) string {
	return "/apis/fleet.cattle.io/v1alpha1/namespaces/" + namespace + "/" + plural + "/" + name
}

// put creates or replaces an object, as somebody else would.
func (f *fakeAPI) put(path string, o obj) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store(path, o)
}

func (f *fakeAPI) store(path string, o obj) obj {
	f.version++
	o = clone(o)
	kind := "ADDED"
	if _, there := f.objects[path]; there {
		kind = "MODIFIED"
	}
	parts := strings.Split(path, "/")
	meta, _ := o["metadata"].(obj)
	if meta == nil {
		meta = obj{}
	}
	meta["name"], meta["resourceVersion"] = parts[len(parts)-1], strconv.Itoa(f.version)
	if i := slices.Index(parts, "namespaces"); i >= 0 && i+2 < len(parts) {
		meta["namespace"] = parts[i+1]
	}
	o["metadata"] = meta
	f.objects[path] = o
	f.emit(path, kind, o)
	return o
}

func (f *fakeAPI) remove(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[path]
	if o == nil {
		return
	}
	delete(f.objects, path)
	f.version++
	o["metadata"].(obj)["resourceVersion"] = strconv.Itoa(f.version)
	f.emit(path, "DELETED", o)
}

func (f *fakeAPI) emit(path, kind string, o obj) {
	for w := range f.watches {
		if w.sees(path) {
			f.send(w, kind, o)
		}
	}
}

func (w *fakeWatch) sees(path string) bool {
	return w.resource == pluralOf(path) && strings.HasPrefix(path, w.folder)
}

func (f *fakeAPI) send(w *fakeWatch, kind string, o obj) {
	b, _ := json.Marshal(o)
	w.events <- fmt.Sprintf(`{"type":%q,"object":%s}`, kind, b) // in the order of an API server
}

// again sends every object once more, as it is, to all watches: duplicates.
func (f *fakeAPI) again(plural string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, o := range f.objects {
		if pluralOf(path) == plural {
			f.emit(path, "MODIFIED", o)
		}
	}
}

// raw sends an event that no object stands behind.
func (f *fakeAPI) raw(plural, kind string, o obj) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watches {
		if w.resource == plural {
			f.send(w, kind, o)
		}
	}
}

// drop breaks all watches.
func (f *fakeAPI) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watches {
		w.stop()
	}
}

// watching is the number of watches that are open.
func (f *fakeAPI) watching() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watches)
}

func (f *fakeAPI) object(path string) obj {
	f.mu.Lock()
	defer f.mu.Unlock()
	return clone(f.objects[path])
}

// asked returns the requests that begin so.
func (f *fakeAPI) asked(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.requests), func(r string) bool { return !strings.HasPrefix(r, prefix) })
}

func clone(o obj) obj {
	if o == nil {
		return nil
	}
	b, _ := json.Marshal(o)
	var out obj
	_ = json.Unmarshal(b, &out)
	return out
}

// pluralOf is the resource of an object's path.
func pluralOf(path string) string {
	parts := strings.Split(path, "/")
	return parts[len(parts)-2]
}

var collections = []string{"bundledeployments", "bundles", "clusters", "gitrepos", "clustergroups", "leases", "selfsubjectaccessreviews", "secrets", "clusterregistrationtokens"}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if !f.date.IsZero() {
		w.Header().Set("Date", f.date.UTC().Format(http.TimeFormat))
	}
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path, sub := strings.CutSuffix(r.URL.Path, "/status")
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	plural := last
	isList := slices.Contains(collections, last)
	if !isList {
		plural = pluralOf(path)
	}
	verb := map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}[r.Method]
	if isList && verb == "get" {
		verb = "list"
		if r.URL.Query().Get("watch") != "" {
			verb = "watch"
		}
	}
	if sub {
		plural += "/status"
	}
	f.mu.Lock()
	if strings.HasPrefix(path, "/apis/provisioning.cattle.io/") {
		plural += ".provisioning"
	}
	f.requests = append(f.requests, verb+" "+plural+"?"+r.URL.RawQuery)
	denied := f.deny[verb+" "+plural]
	f.mu.Unlock()
	if denied {
		status(w, http.StatusForbidden, "Forbidden", last)
		return
	}
	switch verb {
	case "watch":
		f.serveWatch(w, r, last)
	case "list":
		f.serveList(w, r, path)
	case "get":
		f.serveGet(w, path)
	default:
		f.serveWrite(w, r, verb, path)
	}
}

func status(w http.ResponseWriter, code int, reason, name string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(obj{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
		"message": reason, "details": obj{"name": name}})
}

func (f *fakeAPI) serveGet(w http.ResponseWriter, path string) {
	o := f.object(path)
	if o == nil {
		parts := strings.Split(path, "/")
		status(w, http.StatusNotFound, "NotFound", parts[len(parts)-1])
		return
	}
	_ = json.NewEncoder(w).Encode(o)
}

func (f *fakeAPI) serveList(w http.ResponseWriter, r *http.Request, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	items := []any{}
	for _, p := range slices.Sorted(maps.Keys(f.objects)) {
		plural := path[strings.LastIndex(path, "/")+1:]
		if pluralOf(p) == plural && (strings.HasPrefix(p, path+"/") || !strings.Contains(path, "/namespaces/")) && selected(f.objects[p], r.URL.Query()) {
			items = append(items, f.objects[p])
		}
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	next := ""
	items = items[min(from, len(items)):]
	remaining := len(items) - limit + f.more
	if limit > 0 && limit < len(items) {
		items, next = items[:limit], strconv.Itoa(from+limit)
	}
	meta := obj{"resourceVersion": strconv.Itoa(f.version), "continue": next}
	if q := r.URL.Query(); next != "" && q.Get("labelSelector")+q.Get("fieldSelector") == "" {
		meta["remainingItemCount"] = remaining
	}
	_ = json.NewEncoder(w).Encode(obj{"kind": listKinds[path[strings.LastIndex(path, "/")+1:]], "apiVersion": "fleet.cattle.io/v1alpha1", "metadata": meta, "items": items})
}

var listKinds = map[string]string{"gitrepos": "GitRepoList", "clusters": "ClusterList"}

// selected understands "K=V" and "K in (A,B)" of a label selector, and
// metadata.name of a field selector.
func selected(o obj, q url.Values) bool {
	meta := o["metadata"].(obj)
	labels, _ := meta["labels"].(obj)
	if name, ok := strings.CutPrefix(q.Get("fieldSelector"), "metadata.name="); ok && name != meta["name"] {
		return false
	}
	selector := q.Get("labelSelector")
	if key, rest, ok := strings.Cut(selector, " in ("); ok {
		values, more, _ := strings.Cut(rest, ")")
		value, _ := labels[key].(string)
		if !slices.Contains(strings.Split(values, ","), value) {
			return false
		}
		selector = strings.TrimPrefix(more, ",")
	}
	for _, term := range strings.Split(selector, ",") {
		if key, value, ok := strings.Cut(term, "="); ok && labels[key] != value {
			return false
		}
	}
	return true
}

// folder is the namespace's part of a path, "" for all namespaces.
func folder(path string) string {
	if !strings.Contains(path, "/namespaces/") {
		return ""
	}
	return path + "/"
}

func (f *fakeAPI) serveWatch(w http.ResponseWriter, r *http.Request, plural string) {
	f.mu.Lock()
	if f.gone[plural] {
		delete(f.gone, plural)
		f.mu.Unlock()
		fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"reason":"Expired","message":"too old"}}`)
		return
	}
	done := make(chan struct{})
	fw := &fakeWatch{resource: plural, folder: folder(r.URL.Path), query: r.URL.Query(), events: make(chan string, 4096), done: done, stop: sync.OnceFunc(func() { close(done) })}
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	for _, p := range slices.Sorted(maps.Keys(f.objects)) {
		o := f.objects[p]
		version, _ := strconv.Atoi(o["metadata"].(obj)["resourceVersion"].(string))
		if fw.sees(p) && version > from {
			f.send(fw, "MODIFIED", o)
		}
	}
	f.watches[fw] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watches, fw)
		f.mu.Unlock()
	}()
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-fw.done:
			return
		case e := <-fw.events:
			fmt.Fprintln(w, e)
			w.(http.Flusher).Flush()
		}
	}
}

func (f *fakeAPI) serveWrite(w http.ResponseWriter, r *http.Request, verb, path string) {
	var body obj
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		status(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	f.mu.Lock()
	hook := f.onWrite
	f.onWrite = nil
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	meta, _ := body["metadata"].(obj)
	if verb == "create" {
		if strings.HasSuffix(path, "selfsubjectaccessreviews") {
			f.review(body)
			_ = json.NewEncoder(w).Encode(body)
			return
		}
		path += "/" + meta["name"].(string)
	}
	there := f.objects[path]
	version, _ := meta["resourceVersion"].(string)
	applied := r.Header.Get("Content-Type") == string(types.ApplyPatchType)
	if there == nil && applied {
		there = obj{"metadata": obj{"labels": obj{ManagedLabel: ManagedValue}}}
	}
	switch {
	case applied && there["metadata"].(obj)["labels"].(obj)[ManagedLabel] != ManagedValue:
		status(w, http.StatusConflict, "Conflict", "x")
		return
	case verb == "create" && there != nil:
		status(w, http.StatusConflict, "AlreadyExists", "x")
		return
	case verb != "create" && there == nil:
		status(w, http.StatusNotFound, "NotFound", "x")
		return
	case version != "" && version != there["metadata"].(obj)["resourceVersion"]:
		status(w, http.StatusConflict, "Conflict", "x")
		return
	}
	if verb == "patch" {
		body = merge(clone(there), body)
		if !strings.HasSuffix(r.URL.Path, "/status") {
			generation, _ := body["metadata"].(obj)["generation"].(float64)
			body["metadata"].(obj)["generation"] = generation + 1
		}
	}
	_ = json.NewEncoder(w).Encode(f.store(path, body))
}

// review allows what deny does not forbid.
func (f *fakeAPI) review(body obj) {
	a := body["spec"].(obj)["resourceAttributes"].(obj)
	name := fmt.Sprint(a["verb"], " ", a["resource"])
	if sub, ok := a["subresource"].(string); ok {
		name += "/" + sub
	}
	if a["group"] == "provisioning.cattle.io" {
		name += ".provisioning"
	}
	body["status"] = obj{"allowed": !f.deny[name]}
}

// merge is RFC 7386.
func merge(into, patch obj) obj {
	if into == nil {
		into = obj{}
	}
	for k, v := range patch {
		if v == nil {
			delete(into, k)
		} else if o, ok := v.(obj); ok {
			old, _ := into[k].(obj)
			into[k] = merge(old, o)
		} else {
			into[k] = v
		}
	}
	return into
}
