package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
)

// bigFleet is a tracker of the given numbers of services and clusters, all of
// them watched, the ring holding the first 100 clusters.
func bigFleet(services, clusters int) *tracker {
	var targets []orchestrator.Target
	for s := range services {
		targets = append(targets, shopService(s))
	}
	tr := newTracker("ring-1", targets)
	for s := range services {
		tr.setBundle(bundle{name: intern(fmt.Sprint("svc-", s)), repo: intern(targets[s].GitRepo)})
		tr.setGitRepo(gitRepo{name: targets[s].GitRepo, paths: "deploy"})
	}
	for c := range min(clusters, 100) {
		tr.setMember(member{name: clusterName(c)})
	}
	for s := range services {
		for c := range clusters {
			tr.setDeployment(key{intern(fmt.Sprint("svc-", s)), clusterName(c)}, benchDeployment(c), time.Time{})
		}
	}
	tr.facts(true)
	return tr
}

func shopService(n int) orchestrator.Target {
	return orchestrator.Target{Service: "s", GitRepo: fmt.Sprint("repo-", n), Path: "deploy"}
}

func clusterName(n int) text { return intern(fmt.Sprintf("cluster-%05d", n)) }

func benchDeployment(n int) deployment {
	return deployment{commit: intern("54f86c59227e05583f751e6708e0c1211c25de2d"), specNonce: 7, statusNonce: 7,
		words: intern(fmt.Sprintf("deployment shop/db: %d/5 replicas", n%5)), status: uint64(n), readyAt: 1763648306 + uint32(n), flags: ready | staged | applied}
}

// BenchmarkTrackerMemory reports the heap for each watched BundleDeployment.
// The mark is 400 bytes.
func BenchmarkTrackerMemory(b *testing.B) {
	const services, clusters = 50, 10_000
	for b.Loop() {
		before := heap()
		tr := bigFleet(services, clusters)
		b.ReportMetric(float64(heap()-before)/(services*clusters), "B/record")
		runtime.KeepAlive(tr)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkTrackerEvent is one event of a BundleDeployment of the ring, and the
// fact that comes out. The mark is 5 us in a fleet of any size.
func BenchmarkTrackerEvent(b *testing.B) {
	for _, clusters := range []int{100, 10_000} {
		b.Run(fmt.Sprint(clusters), func(b *testing.B) {
			tr := bigFleet(50, clusters)
			var keys []key
			var records []deployment
			for c := range 100 {
				keys, records = append(keys, key{intern("svc-7"), clusterName(c)}), append(records, benchDeployment(c))
			}
			now, n := time.Now(), 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				d := records[n%100]
				d.specNonce, d.status = int64(n/100%2), uint64(n)
				tr.setDeployment(keys[n%100], d, now)
				if len(tr.facts(false)) == 0 {
					b.Fatal("no fact")
				}
			}
		})
	}
}

// BenchmarkTrackerOtherRing is an event of a cluster that is not of the ring.
func BenchmarkTrackerOtherRing(b *testing.B) {
	tr := bigFleet(50, 10_000)
	now, n := time.Now(), 0
	for b.Loop() {
		n++
		d := benchDeployment(n)
		d.status = uint64(n)
		tr.setDeployment(key{intern("svc-7"), clusterName(5000)}, d, now)
		tr.facts(false)
	}
}

// BenchmarkDecode is one BundleDeployment of a running Fleet, from bytes to record.
func BenchmarkDecode(b *testing.B) {
	text, err := os.ReadFile("testdata/ready.json")
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(compact.Len()))
	b.ReportAllocs()
	var w, zero wireDeployment
	for b.Loop() {
		w = zero
		if err := json.Unmarshal(compact.Bytes(), &w); err != nil {
			b.Fatal(err)
		}
		_ = placed{w.key(), w.record()}
	}
}

// BenchmarkReadList is a page of 500 of them, for each one.
func BenchmarkReadList(b *testing.B) {
	text, err := os.ReadFile("testdata/ready.json")
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		b.Fatal(err)
	}
	list := `{"metadata":{},"items":[` + strings.TrimSuffix(strings.Repeat(compact.String()+",", pageSize), ",") + `]}`
	b.SetBytes(int64(len(list)))
	n := 0
	for b.Loop() {
		if _, err := readList(strings.NewReader(list), func(w *wireDeployment) { _ = placed{w.key(), w.record()}; n++ }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "us/object")
}
