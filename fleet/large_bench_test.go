package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"rollout/orchestrator"
	"rollout/rings"
)

// TestMain runs a test binary that was started by a benchmark as its child.
func TestMain(m *testing.M) {
	if host := os.Getenv("FLEET_BENCH_CHILD"); host != "" {
		if err := listAsChild(host); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// largeFleet is an API server of a fleet whose objects are made when they are
// asked for: every service has a GitRepo and a Bundle, and a BundleDeployment
// on every cluster. Nothing ever changes.
type largeFleet struct {
	clusters, services int
	ring               int // clusters that carry the ring's labels: the first ones

	parts  []string     // of a BundleDeployment, between what differs
	listed atomic.Int64 // BundleDeployments
}

const largeServices, largeClusters = 50, 10_000

// serveLarge starts the server.
func serveLarge(b *testing.B, clusters, ring int) (*largeFleet, string) {
	b.Helper()
	text, err := os.ReadFile("testdata/ready.json")
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		b.Fatal(err)
	}
	marked := strings.NewReplacer(`/bundle-name":"web"`, "/bundle-name\":\"\x00b\x00\"", `/cluster":"c1"`, "/cluster\":\"\x00c\x00\"",
		`/repo-name":"shop-web"`, "/repo-name\":\"\x00r\x00\"").Replace(compact.String())
	f := &largeFleet{clusters: clusters, services: largeServices, ring: ring, parts: strings.Split(marked, "\x00")}
	if len(f.parts) != 7 {
		b.Fatalf("ready.json has %d parts, want 7", len(f.parts))
	}
	server := httptest.NewServer(f)
	b.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return f, server.URL
}

func (f *largeFleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	q := r.URL.Query()
	if q.Get("watch") != "" {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	from, _ := strconv.Atoi(q.Get("continue"))
	_, rest, namespaced := strings.Cut(r.URL.Path, "/namespaces/")
	namespace, plural, _ := strings.Cut(rest, "/")
	switch {
	case plural == "clusters" && q.Get("labelSelector") == "":
		f.list(w, from, min(from+1, f.clusters), f.clusters, f.cluster)
	case plural == "clusters":
		f.list(w, 0, f.ring, f.ring, f.cluster)
	case strings.HasPrefix(plural, "clusters/"):
		c, _ := strconv.Atoi(strings.TrimPrefix(plural, "clusters/c-"))
		f.cluster(w, c)
	case plural == "gitrepos":
		f.list(w, 0, f.services, f.services, f.gitRepo)
	case plural == "bundles":
		f.list(w, 0, f.services, f.services, f.bundle)
	case namespaced:
		c, _ := strconv.Atoi(strings.TrimPrefix(namespace, "cluster-"))
		f.listed.Add(int64(f.services))
		f.list(w, 0, f.services, f.services, func(w io.Writer, i int) { f.deployment(w, c, i) })
	default:
		total := f.clusters * f.services
		to := min(from+pageSize, total)
		f.listed.Add(int64(to - from))
		f.list(w, from, to, total, func(w io.Writer, i int) { f.deployment(w, i/f.services, i%f.services) })
	}
}

// list writes the items from up to to.
func (f *largeFleet) list(w io.Writer, from, to, total int, item func(io.Writer, int)) {
	more := ""
	if to < total {
		more = fmt.Sprintf(`,"continue":"%d","remainingItemCount":%d`, to, total-to)
	}
	fmt.Fprintf(w, `{"metadata":{"resourceVersion":"1000"%s},"items":[`, more)
	for i := from; i < to; i++ {
		if i > from {
			io.WriteString(w, ",")
		}
		item(w, i)
	}
	io.WriteString(w, "]}")
}

func (f *largeFleet) cluster(w io.Writer, i int) {
	fmt.Fprintf(w, `{"metadata":{"name":"c-%05d","resourceVersion":"1000"},"status":{"namespace":"cluster-%d"}}`, i, i)
}

func (f *largeFleet) gitRepo(w io.Writer, i int) {
	fmt.Fprintf(w, `{"metadata":{"name":"repo-%d","resourceVersion":"1000"},"spec":{"paths":["deploy"]}}`, i)
}

func (f *largeFleet) bundle(w io.Writer, i int) {
	fmt.Fprintf(w, `{"metadata":{"name":"svc-%d","resourceVersion":"1000","labels":{"fleet.cattle.io/repo-name":"repo-%d"}},`+
		`"spec":{"targets":[{"forceSyncGeneration":7},{"forceSyncGeneration":8}]}}`, i, i)
}

func (f *largeFleet) deployment(w io.Writer, cluster, service int) {
	for _, part := range f.parts {
		switch part {
		case "b":
			part = fmt.Sprintf("svc-%d", service)
		case "c":
			part = fmt.Sprintf("c-%05d", cluster)
		case "r":
			part = fmt.Sprintf("repo-%d", service)
		}
		io.WriteString(w, part)
	}
}

// watchUntilSynced connects as a command does and watches all services until
// the first facts are there; it returns how many are about deployments.
func watchUntilSynced(ctx context.Context, host string) (deployments int, err error) {
	m, err := newManager(&rest.Config{Host: host, QPS: defaultQPS, Burst: defaultBurst}, Options{})
	if err != nil {
		return 0, err
	}
	w := orchestrator.Watch{Scope: testScope, Ring: "ring-1"}
	for i := range largeServices {
		w.Targets = append(w.Targets, orchestrator.Target{Service: rings.ServiceName(fmt.Sprint("svc-", i)), GitRepo: fmt.Sprint("repo-", i), Path: "deploy"})
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err = m.Watch(ctx, w, func(facts []orchestrator.Fact) {
		for _, f := range facts {
			if f.Deployment != nil {
				deployments++
			}
			if f.Synced {
				stop()
			}
		}
	})
	return deployments, err
}

// BenchmarkWatch_start is from the start to the facts of the first Step, for a
// ring of 10 clusters and 50 services in a fleet of 10,000 clusters. The mark
// is 2 s. The API server takes no time to find what it is asked for.
func BenchmarkWatch_start(b *testing.B) {
	f, host := serveLarge(b, largeClusters, 10)
	n := 0
	for b.Loop() {
		n++
		got, err := watchUntilSynced(b.Context(), host)
		if err != nil || got != 10*largeServices {
			b.Fatalf("got %d facts about deployments, %v, want %d", got, err, 10*largeServices)
		}
	}
	b.ReportMetric(float64(f.listed.Load())/float64(n), "objects")
}

// BenchmarkDeployedOn is what a preview reads of the same ring, one service after
// the other, before the rollout is created.
func BenchmarkDeployedOn(b *testing.B) {
	_, host := serveLarge(b, largeClusters, 10)
	var names []rings.ClusterName
	for i := range 10 {
		names = append(names, rings.ClusterName(fmt.Sprintf("c-%05d", i)))
	}
	for b.Loop() {
		m, err := newManager(&rest.Config{Host: host, QPS: defaultQPS, Burst: defaultBurst}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range largeServices {
			got, err := m.DeployedOn(b.Context(), fmt.Sprint("repo-", i), names)
			if err != nil || len(got) != len(names) {
				b.Fatalf("got %d, %v, want %d", len(got), err, len(names))
			}
		}
	}
}

// BenchmarkWatch_hundred is 100 rollouts of one service on 100 clusters that
// one process takes up, until there are facts about all.
func BenchmarkWatch_hundred(b *testing.B) {
	f, host := serveLarge(b, 100, 100)
	f.services = 1
	w := orchestrator.Watch{Scope: testScope, Ring: "ring-1", Targets: []orchestrator.Target{{Service: "svc-0", GitRepo: "repo-0", Path: "deploy"}}}
	for b.Loop() {
		m, err := newManager(&rest.Config{Host: host, QPS: defaultQPS, Burst: defaultBurst}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				ctx, stop := context.WithCancel(b.Context())
				defer stop()
				if err := m.Watch(ctx, w, func([]orchestrator.Fact) { stop() }); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// BenchmarkWatch_listAll reports the peak memory of a process that watches a
// ring of 100 clusters in a fleet of 500,000 BundleDeployments, with all there
// is listed. The mark is 1 GiB. -short makes the fleet a tenth of that.
func BenchmarkWatch_listAll(b *testing.B) {
	clusters := largeClusters
	if testing.Short() {
		clusters /= 10
	}
	f, host := serveLarge(b, clusters, 100)
	n, peak := 0, 0
	for b.Loop() {
		n++
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "FLEET_BENCH_CHILD="+host)
		out, err := child.CombinedOutput()
		kib, errNumber := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil || errNumber != nil {
			b.Fatalf("%v: %s", err, out)
		}
		peak = max(peak, kib)
	}
	b.ReportMetric(float64(f.listed.Load())/float64(n), "objects")
	b.ReportMetric(float64(peak)/1024, "peak-MiB")
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(f.listed.Load()), "us/object")
}

// listAsChild prints the peak of its own memory, in KiB.
func listAsChild(host string) error {
	got, err := watchUntilSynced(context.Background(), host)
	if err != nil || got != 100*largeServices {
		return fmt.Errorf("got %d facts about deployments, %v, want %d", got, err, 100*largeServices)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(after, "kB")
	fmt.Println(strings.TrimSpace(line))
	return nil
}
