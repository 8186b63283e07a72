package rings_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

func quote(s string) string { return strconv.Quote(s) }

func graphOf(tb testing.TB, a *rings.Application) *rings.Graph {
	tb.Helper()
	g, err := a.Graph()
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func TestGraph_Waves(t *testing.T) {
	type waves = [][]rings.ServiceName
	tests := []struct {
		name   string
		subset []rings.ServiceName
		want   waves
	}{
		{"all", []rings.ServiceName{"db", "api", "worker", "web"}, waves{{"db"}, {"api", "worker"}, {"web"}}},
		{"none", nil, nil},
		{"one", []rings.ServiceName{"web"}, waves{{"web"}}},
		{"what lies between is not planned", []rings.ServiceName{"web", "db"}, waves{{"db"}, {"web"}}},
		{"independent", []rings.ServiceName{"web", "worker"}, waves{{"web", "worker"}}},
		{"named twice", []rings.ServiceName{"db", "api", "db"}, waves{{"db"}, {"api"}}},
	}
	g := graphOf(t, shop())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, g.Waves(test.subset)); diff != "" {
				t.Errorf("Waves(%v) (-want +got):\n%s", test.subset, diff)
			}
		})
	}
}

func TestGraph_Needs(t *testing.T) {
	got := graphOf(t, shop()).Needs([]rings.ServiceName{"web", "worker", "db"})
	want := map[rings.ServiceName][]rings.ServiceName{"db": {}, "worker": {"db"}, "web": {"db"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Needs (-want +got):\n%s", diff)
	}
}

func TestApplication_Graph_errors(t *testing.T) {
	a := shop()
	a.Services[3].DependsOn = []rings.ServiceName{"apii"}
	_, err := a.Graph()
	if got, want := message(err), `service "apii": not found in application "shop"; did you mean "api"?`; got != want || !errors.Is(err, rings.ErrUnknown) {
		t.Errorf("got %s, want %s", got, want)
	}
	a = shop()
	a.Services = append(a.Services, a.Services[0])
	if _, err := a.Graph(); !errors.Is(err, rings.ErrExists) {
		t.Errorf("err = %v, want ErrExists", err)
	}
	a = shop()
	a.Services[0].DependsOn = []rings.ServiceName{"db"}
	if _, err := a.Graph(); err == nil {
		t.Error("a service that depends on itself has a graph")
	}
}

// dag is a random application without a cycle, and a part of its services.
type dag struct {
	app    *rings.Application
	subset []rings.ServiceName
}

// randomDAG makes services of which each may need earlier ones.
func randomDAG(r *rand.Rand, services, edges int) dag {
	a := &rings.Application{Name: "random"}
	for i := range services {
		a.Services = append(a.Services, rings.Service{Name: rings.ServiceName(fmt.Sprintf("s%04d", i)), Repo: "r"})
	}
	for range edges {
		i := 1 + r.IntN(services-1)
		need := a.Services[r.IntN(i)].Name
		if s := &a.Services[i]; !slices.Contains(s.DependsOn, need) {
			s.DependsOn = append(s.DependsOn, need)
		}
	}
	r.Shuffle(len(a.Services), func(i, j int) { a.Services[i], a.Services[j] = a.Services[j], a.Services[i] })
	d := dag{app: a}
	for _, s := range a.Services {
		if r.IntN(3) > 0 {
			d.subset = append(d.subset, s.Name)
		}
	}
	return d
}

// TestGraph_Waves_obvious compares Waves with what is obvious and slow: a
// service's wave is one more than the longest way down to a service of the
// subset below it, through whatever lies between.
func TestGraph_Waves_obvious(t *testing.T) {
	property := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 0))
		d := randomDAG(r, 2+r.IntN(12), r.IntN(25))
		var want [][]rings.ServiceName
		for _, s := range slices.Sorted(slices.Values(d.subset)) {
			n := d.depth(s)
			for len(want) < n {
				want = append(want, nil)
			}
			want[n-1] = append(want[n-1], s)
		}
		diff := cmp.Diff(want, graphOf(t, d.app).Waves(d.subset))
		if diff != "" {
			t.Log(diff)
		}
		return diff == ""
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 500}); err != nil {
		t.Error(err)
	}
}

// depth counts the services of the subset on the longest way down from s.
func (d dag) depth(s rings.ServiceName) int {
	deepest := 0
	for _, service := range d.app.Services {
		if service.Name == s {
			for _, need := range service.DependsOn {
				deepest = max(deepest, d.depth(need))
			}
		}
	}
	if slices.Contains(d.subset, s) {
		deepest++
	}
	return deepest
}

// A cycle is found wherever it lies, and its path is one.
func TestApplication_Graph_findsCycles(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := randomDAG(r, 3+r.IntN(10), 4+r.IntN(20))
		needs := map[rings.ServiceName][]rings.ServiceName{}
		for _, s := range d.app.Services {
			needs[s.Name] = s.DependsOn
		}
		i := slices.IndexFunc(d.app.Services, func(s rings.Service) bool { return len(s.DependsOn) > 0 })
		bottom, top := d.app.Services[i].DependsOn[0], d.app.Services[i].Name
		j := slices.IndexFunc(d.app.Services, func(s rings.Service) bool { return s.Name == bottom })
		d.app.Services[j].DependsOn = append(d.app.Services[j].DependsOn, top)
		needs[bottom] = d.app.Services[j].DependsOn
		_, err := d.app.Graph()
		cycle, ok := errors.AsType[*rings.CycleError](err)
		if !ok {
			t.Fatalf("seed %d: err = %v, want a CycleError", seed, err)
		}
		for n := range len(cycle.Path) - 1 {
			if !slices.Contains(needs[cycle.Path[n]], cycle.Path[n+1]) {
				t.Fatalf("seed %d: %v is no path", seed, err)
			}
		}
		if cycle.Path[0] != cycle.Path[len(cycle.Path)-1] {
			t.Fatalf("seed %d: %v is no cycle", seed, err)
		}
	}
}

// BenchmarkWaves is the graph and the waves of 1,000 services with 5,000
// dependencies; the mark is 20 ms.
func BenchmarkWaves(b *testing.B) {
	d := randomDAG(rand.New(rand.NewPCG(1, 0)), 1000, 5000)
	all := d.app.ServiceNames()
	for b.Loop() {
		if len(graphOf(b, d.app).Waves(all)) == 0 {
			b.Fatal("no waves")
		}
	}
}
