package forecast_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/orchestrator/forecast"
	"rollout/rings"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// nature makes durations as a kind of service does.
type nature func(*rand.Rand) float64

var natures = []nature{
	func(r *rand.Rand) float64 { return 60 * math.Exp(0.4*r.NormFloat64()) },                      // usual
	func(r *rand.Rand) float64 { return 20 + 10*r.ExpFloat64() },                                  // quick, with a tail
	func(r *rand.Rand) float64 { return 30 + 60*r.Float64() },                                     // even
	func(r *rand.Rand) float64 { return []float64{40, 300}[r.IntN(2)] * (0.9 + 0.2*r.Float64()) }, // slow now and then
}

// tale is an application's rollout that has just begun, with its history, and
// how it really goes on.
type tale struct {
	state *orchestrator.State
	past  forecast.Past
	ends  time.Time
}

// tell makes one up: some rings that may soak, and services that depend on each
// other.
func tell(r *rand.Rand, histories int) tale {
	t := tale{state: &orchestrator.State{Phase: orchestrator.Running}, past: forecast.Past{}}
	at := 0.0
	services := 1 + r.IntN(4)
	for ring := range 1 + r.IntN(3) {
		name := rings.RingName(fmt.Sprint("ring-", ring+1))
		rs := &orchestrator.RingState{Name: name, Phase: orchestrator.RingWaiting, Policy: rings.Policy{Soak: time.Duration(r.IntN(3)) * time.Minute}}
		t.state.Rings = append(t.state.Rings, rs)
		done, converged := map[rings.ServiceName]float64{}, at
		for n := range services {
			st := &orchestrator.StepState{Ring: name, Target: orchestrator.Target{Service: rings.ServiceName(fmt.Sprint("s", n))}, Phase: orchestrator.StepWaiting}
			start := at
			if n > 0 && r.IntN(2) == 0 {
				need := rings.ServiceName(fmt.Sprint("s", r.IntN(n)))
				st.Needs, start = []rings.ServiceName{need}, done[need]
			}
			t.state.Steps = append(t.state.Steps, st)
			kind := natures[r.IntN(len(natures))]
			for range histories {
				ref := orchestrator.Ref{Ring: name, Service: st.Target.Service}
				t.past[ref] = append(t.past[ref], time.Duration(kind(r)*float64(time.Second)))
			}
			done[st.Target.Service] = start + kind(r)
			converged = max(converged, done[st.Target.Service])
		}
		at = converged + rs.Policy.Soak.Seconds()
	}
	t.ends = noon.Add(time.Duration(at * float64(time.Second)))
	return t
}

// TestForecast_Calibrated: the range holds 80 % of the time, give or take 5,
// with much history and with little.
func TestForecast_Calibrated(t *testing.T) {
	for _, histories := range []int{5, 8, 10, 20, 50} {
		const tales = 800
		r, held := rand.New(rand.NewPCG(7, uint64(histories))), 0
		for range tales {
			tale := tell(r, histories)
			f, why := forecast.Of(tale.state, tale.past, noon)
			if why != "" {
				t.Fatalf("no forecast: %s", why)
			}
			if !tale.ends.Before(f.Earliest) && !tale.ends.After(f.Latest) {
				held++
			}
		}
		share := 100 * float64(held) / tales
		t.Logf("%d steps of history: the range holds %.1f %% of the time", histories, share)
		if share < 75 || share > 85 {
			t.Errorf("%d steps of history: the range holds %.1f %% of the time, want 80 give or take 5", histories, share)
		}
	}
}

// halfMinute is a rollout of db, then api, on one ring that soaks for a
// minute; db began half a minute ago.
func halfMinute() *orchestrator.State {
	return &orchestrator.State{Phase: orchestrator.Running, Rings: []*orchestrator.RingState{{Name: "ring-1", Phase: orchestrator.RingRunning, StartedAt: noon, Policy: rings.Policy{Soak: time.Minute}}}, Steps: []*orchestrator.StepState{
		{Ring: "ring-1", Target: orchestrator.Target{Service: "db"}, Phase: orchestrator.StepConverging, StartedAt: noon.Add(-30 * time.Second)},
		{Ring: "ring-1", Target: orchestrator.Target{Service: "api"}, Phase: orchestrator.StepWaiting, Needs: []rings.ServiceName{"db"}}}}
}

func durations(seconds ...int) []time.Duration {
	var out []time.Duration
	for _, s := range seconds {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

var steady = forecast.Past{{Ring: "ring-1", Service: "db"}: durations(50, 50, 50, 50, 50), {Ring: "ring-1", Service: "api"}: durations(20, 20, 20, 20, 20)}

func TestForecast(t *testing.T) {
	s := halfMinute()
	f, why := forecast.Of(s, steady, noon)
	want := noon.Add(20*time.Second + 20*time.Second + time.Minute)
	for _, got := range []time.Time{f.Earliest, f.Likely, f.Latest} {
		if got.Round(time.Second) != want {
			t.Errorf("got %s, want %s (%s)", got, want, why)
		}
	}
	if f.Steps != 10 || f.Approvals || !f.Signs {
		t.Errorf("got %+v", f)
	}
	s.Rings[0].Policy.ApproveAfter = true
	if f, _ := forecast.Of(s, steady, noon); !f.Approvals {
		t.Error("the approval ahead is not said")
	}
	if again, _ := forecast.Of(s, steady, noon); again.Latest != f.Latest {
		t.Error("it is another one the second time")
	}
}

// TestForecast_Wider takes what is near when there is too little of its own.
func TestForecast_Wider(t *testing.T) {
	for name, test := range map[string]struct {
		past forecast.Past
		want time.Duration // of db and api, db having run for 30 s
		why  string
	}{
		"of other rings":     {forecast.Past{{Ring: "ring-1", Service: "db"}: durations(90), {Ring: "ring-2", Service: "db"}: durations(90, 90, 90, 90), {Ring: "ring-3", Service: "api"}: durations(10, 10, 10, 10, 10)}, 70 * time.Second, ""},
		"of other services":  {forecast.Past{{Ring: "ring-2", Service: "web"}: durations(40, 40, 40, 40, 40)}, 50 * time.Second, ""},
		"of nothing":         {forecast.Past{}, 0, "no history"},
		"of nearly nothing":  {forecast.Past{{Ring: "ring-1", Service: "db"}: durations(90, 90)}, 0, "no history"},
		"longer than it did": {forecast.Past{{Ring: "ring-1", Service: "db"}: durations(20, 20, 20, 20, 20)}, 0, "db on ring-1 takes longer than it ever did"},
	} {
		f, why := forecast.Of(halfMinute(), test.past, noon)
		if why != test.why {
			t.Errorf("%s: %q, want %q", name, why, test.why)
		} else if got := f.Likely.Sub(noon).Round(time.Second) - time.Minute; why == "" && got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestForecast_None: what a person or a failure decides is not forecast, and
// nothing is changed by asking.
func TestForecast_None(t *testing.T) {
	for want, set := range map[string]func(*orchestrator.State){
		"it has ended":           func(s *orchestrator.State) { s.Phase = orchestrator.Succeeded },
		"it is being taken back": func(s *orchestrator.State) { s.Rollback = &orchestrator.Rollback{} },
		"it is about to end":     func(s *orchestrator.State) { s.Failure = &orchestrator.Failure{} },
		"it is paused":           func(s *orchestrator.State) { s.Pause = &orchestrator.Word{} },
		"it is halted":           func(s *orchestrator.State) { s.Halt = &rings.Halt{} },
	} {
		s := halfMinute()
		set(s)
		if _, why := forecast.Of(s, steady, noon); why != want {
			t.Errorf("got %q, want %q", why, want)
		}
	}
	s := halfMinute()
	forecast.Of(s, steady, noon)
	if diff := cmp.Diff(halfMinute(), s); diff != "" {
		t.Errorf("the state is changed:\n%s", diff)
	}
}
