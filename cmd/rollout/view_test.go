package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

var started = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// shopState is a rollout of db, then api and worker, that has come to a phase.
func shopState(t *testing.T, phase orchestrator.Phase) *orchestrator.State {
	t.Helper()
	a := &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}}, Plan: rings.Plan{}, Services: []rings.Service{
		{Name: "db"}, {Name: "api", DependsOn: []rings.ServiceName{"db"}}, {Name: "worker", DependsOn: []rings.ServiceName{"db"}}}}
	for _, s := range a.Services {
		a.Plan[s.Name] = rings.PlanEntry{Version: "v2"}
	}
	created, err := orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{"ring-1"}})
	if err != nil {
		t.Fatal(err)
	}
	s := orchestrator.Apply(nil, orchestrator.Event{Rollout: "shop-12", Seq: 1, At: started, Actor: "ann@example.com", Body: created})
	if phase == orchestrator.Pending {
		return s
	}
	return orchestrator.Fold(s, play(s, started, phase))
}

func TestFrame(t *testing.T) {
	pipe := frame{now: started.Add(time.Minute), driver: "process 7 on host"}
	live := pipe
	live.relative, live.fold, live.clusters, live.width, live.height = true, true, 8, 100, 40
	narrow := live
	narrow.width, narrow.height = 60, 8
	tests := []struct {
		name  string
		phase orchestrator.Phase
		frame frame
	}{
		{"pending", orchestrator.Pending, live},
		{"running-live", orchestrator.Running, live},
		{"running-narrow", orchestrator.Running, narrow},
		{"running-pipe", orchestrator.Running, pipe},
		{"succeeded-live", orchestrator.Succeeded, live},
		{"succeeded-pipe", orchestrator.Succeeded, pipe},
		{"failed-live", orchestrator.Failed, live},
		{"cancelled-pipe", orchestrator.Cancelled, pipe},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			golden(t, tt.name, strings.Join(tt.frame.render(shopState(t, tt.phase)), "\n")+"\n")
		})
	}
}

// ringsState is a rollout of db and api over three rings that has come to a
// state.
func ringsState(t *testing.T, to string) *orchestrator.State {
	t.Helper()
	a := &rings.Application{Name: "shop", Plan: rings.Plan{"db": {Version: "v2"}, "api": {Version: "v2"}},
		Rings:    []rings.Ring{{Name: "ring-1", Policy: rings.Policy{Soak: time.Hour}}, {Name: "ring-2", Policy: rings.Policy{ApproveBefore: true}}, {Name: "ring-3"}},
		Services: []rings.Service{{Name: "auth"}, {Name: "db"}, {Name: "api", DependsOn: []rings.ServiceName{"auth", "db"}}}}
	created, err := orchestrator.New(a, orchestrator.Request{Rings: a.RingNames()})
	if err != nil {
		t.Fatal(err)
	}
	s := orchestrator.Apply(nil, orchestrator.Event{Rollout: "shop-12", Seq: 1, At: started, Actor: "ann@example.com", Body: created})
	return orchestrator.Fold(s, playRings(s, started, to))
}

// Where there are several rings each has a line, and while the rollout is
// followed only those under way are shown in full.
func TestFrame_Rings(t *testing.T) {
	pipe := frame{now: started.Add(10 * time.Minute)}
	live := pipe
	live.relative, live.fold, live.clusters, live.width, live.height = true, true, 8, 120, 40
	for _, state := range []string{"running", "soaking", "awaiting", "paused", "stuck", "rolledback"} {
		t.Run(state, func(t *testing.T) {
			golden(t, "rings-"+state+"-live", strings.Join(live.render(ringsState(t, state)), "\n")+"\n")
		})
	}
	golden(t, "rings-running-pipe", strings.Join(pipe.render(ringsState(t, "running")), "\n")+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "view", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// A large ring shows what is wrong first, and the rest as a number.
func TestFrame_ManyClusters(t *testing.T) {
	s := shopState(t, orchestrator.Running)
	for i := range 1000 {
		s.Steps[0].Clusters[rings.ClusterName(fmt.Sprintf("c-%04d", i))] = &orchestrator.ClusterState{Expected: true, Phase: orchestrator.ClusterReady, Since: started}
	}
	got := strings.Join(frame{now: started, clusters: 8}.render(s), "\n")
	if n := strings.Count(got, " Ready "); n != 7 {
		t.Errorf("%d ready clusters are shown, want 7 beside the one that is not:\n%s", n, got)
	}
	for _, want := range []string{"eu-2             NotReady", "and 994 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not shown:\n%s", want, got)
		}
	}
}

func TestPainter(t *testing.T) {
	var b strings.Builder
	var p painter
	for _, lines := range [][]string{{"one", "two"}, {"three"}} {
		if err := p.paint(&b, lines); err != nil {
			t.Fatal(err)
		}
	}
	want := "one\x1b[K\ntwo\x1b[K\n\x1b[J" + "\r\x1b[2A" + "three\x1b[K\n\x1b[J"
	if got := b.String(); got != want {
		t.Errorf("painted %q, want %q", got, want)
	}
}

func BenchmarkFrame(b *testing.B) {
	s := &orchestrator.State{ID: "shop-1", Rings: []*orchestrator.RingState{{Name: "ring-1"}}}
	for i := range 50 {
		st := &orchestrator.StepState{Ring: "ring-1", Wave: 1 + i/10, Phase: orchestrator.StepConverging, Clusters: map[rings.ClusterName]*orchestrator.ClusterState{}}
		for c := range 1000 {
			st.Clusters[rings.ClusterName(fmt.Sprintf("c-%04d", c))] = &orchestrator.ClusterState{Expected: true, Phase: orchestrator.ClusterApplying}
		}
		s.Steps = append(s.Steps, st)
	}
	f := frame{now: started, clusters: 8, width: 120, height: 40}
	for b.Loop() {
		f.render(s)
	}
}
