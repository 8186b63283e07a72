package orchestrator_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

// railway is an application with two rings, whose histories are random, and a
// record of its own of what trains have brought.
type railway struct {
	*rand.Rand
	app    *rings.Application
	now    time.Time
	number int
	// verified counts, for each service, how often its version was verified
	// upstream; brought is which of these a train has taken last.
	verified map[rings.ServiceName]int
	brought  map[rings.ServiceName]int
	locked   map[rings.ServiceName]string
}

func newRailway(seed uint64) *railway {
	w := &railway{Rand: rand.New(rand.NewPCG(seed, 0)), app: &rings.Application{Name: "shop"}, now: epoch,
		verified: map[rings.ServiceName]int{}, brought: map[rings.ServiceName]int{}, locked: map[rings.ServiceName]string{}}
	w.app.Rings = []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}}
	for n := range 2 + w.IntN(6) {
		s := rings.Service{Name: rings.ServiceName(fmt.Sprint("s", n)), Known: map[rings.RingName]rings.Known{}, Held: map[rings.RingName]map[rings.Version]rings.Hold{}}
		for d := range n {
			if w.IntN(3) == 0 {
				s.DependsOn = append(s.DependsOn, w.app.Services[d].Name)
			}
		}
		w.app.Services = append(w.app.Services, s)
	}
	w.Shuffle(len(w.app.Services), func(i, j int) { w.app.Services[i], w.app.Services[j] = w.app.Services[j], w.app.Services[i] })
	return w
}

// begin is a rollout that somebody decides on now.
func (w *railway) begin() (id string, at time.Time) {
	w.number++
	w.now = w.now.Add(time.Minute)
	return fmt.Sprint("shop-", w.number), w.now
}

func (w *railway) some() *rings.Service { return &w.app.Services[w.IntN(len(w.app.Services))] }

func (w *railway) version() rings.Version { return rings.Version(fmt.Sprint("v", w.IntN(4))) }

// happens lets one thing happen that is no train.
func (w *railway) happens() {
	s := w.some()
	id, at := w.begin()
	w.now = w.now.Add(time.Duration(w.IntN(10)) * time.Minute)
	switch w.IntN(7) {
	case 0, 1, 2: // a rollout ends well upstream
		s.Known["ring-1"] = rings.Known{Version: w.version(), At: at, DecidedAt: at, Verified: id, VerifiedAt: w.now}
		w.verified[s.Name]++
	case 3: // one does not
		s.Known["ring-1"] = rings.Known{Version: w.version(), At: at, DecidedAt: at}
	case 4: // a person deploys
		k := rings.Known{Version: w.version(), At: at, DecidedAt: at}
		if w.IntN(2) == 0 {
			k.Verified, k.VerifiedAt = id, w.now
		}
		s.Known["ring-2"] = k
	case 5: // a rollback withdraws
		if k := s.Known["ring-2"]; k.Version != "" {
			s.Held["ring-2"] = map[rings.Version]rings.Hold{k.Version: {Rollout: id, Reason: "bad"}}
			s.Known["ring-2"] = rings.Known{Version: "v9", At: at, DecidedAt: at, Verified: id, VerifiedAt: w.now}
		}
	case 6:
		w.locked = map[rings.ServiceName]string{w.some().Name: "kept"}
	}
}

// wanted is what a train may take, worked out from the other end: all that is
// verified and free, less, again and again, what depends on what differs.
func (w *railway) wanted() map[rings.ServiceName]rings.Version {
	out := map[rings.ServiceName]rings.Version{}
	for _, s := range w.app.Services {
		up, here := s.Known["ring-1"], s.Known["ring-2"]
		_, held := s.Held["ring-2"][up.Version]
		same := up.Version == here.Version
		if up.Verified == "" || held || w.locked[s.Name] != "" || same && here.Verified != "" || !up.VerifiedAt.After(here.DecidedAt) {
			continue
		}
		out[s.Name] = up.Version
	}
	for again := true; again; {
		again = false
		for name := range out {
			if w.differs(out, name) {
				delete(out, name)
				again = true
			}
		}
	}
	return out
}

// differs reports whether something that the service depends on, directly or
// not, would not be what it is upstream.
func (w *railway) differs(taken map[rings.ServiceName]rings.Version, name rings.ServiceName) bool {
	s, _ := w.app.Service(name)
	return slices.ContainsFunc(s.DependsOn, func(d rings.ServiceName) bool {
		dep, _ := w.app.Service(d)
		_, comes := taken[d]
		up := dep.Known["ring-1"].Version
		return !comes && up != "" && up != dep.Known["ring-2"].Version || w.differs(taken, d)
	})
}

// train runs one, which may fail in the middle, and checks what it takes.
func (w *railway) train(t *testing.T) {
	t.Helper()
	c, err := orchestrator.NewTrain(w.app, orchestrator.Train{Ring: "ring-2", Locked: w.locked})
	if err != nil && !errors.Is(err, orchestrator.ErrNothing) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.wanted(), c.Plan, cmp.Transformer("copy", func(m map[rings.ServiceName]rings.Version) string { return fmt.Sprint(m) })); diff != "" {
		t.Fatalf("taken (-want +got):\n%s", diff)
	}
	id, at := w.begin()
	fails := w.IntN(3) == 0
	for _, st := range c.Steps {
		if st.Observed {
			continue
		}
		s, _ := w.app.Service(st.Target.Service)
		if s.Known["ring-1"].Verified == "" || s.Known["ring-1"].Version != st.To {
			t.Fatalf("%s %s is taken, upstream has %+v", s.Name, st.To, s.Known["ring-1"])
		}
		if w.brought[s.Name] == w.verified[s.Name] {
			t.Fatalf("%s %s is promoted twice", s.Name, st.To)
		}
		k := rings.Known{Version: st.To, At: w.now, DecidedAt: at}
		if w.brought[s.Name] = w.verified[s.Name]; !fails {
			k.Verified, k.VerifiedAt = id, w.now
		}
		s.Known["ring-2"] = k
	}
}

// A train takes all that is verified upstream and free to go, and never what is
// not verified, is held or locked, or depends on what stays behind; and it
// brings nothing twice.
func TestNewTrain_random(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) {
			w := newRailway(seed)
			for range 60 {
				for range w.IntN(4) {
					w.happens()
				}
				w.train(t)
			}
		})
	}
}

// line has three rings; ring-1 was verified with v2 of everything.
func line() *rings.Application {
	a := &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}, {Name: "ring-3"}}}
	for _, s := range []rings.Service{{Name: "db"}, {Name: "api", DependsOn: []rings.ServiceName{"db"}}, {Name: "web", DependsOn: []rings.ServiceName{"api"}}, {Name: "docs"}} {
		s.Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v2", At: epoch, Verified: "shop-1", VerifiedAt: epoch.Add(time.Hour)},
			"ring-2": {Version: "v1", At: epoch.Add(-time.Hour), Verified: "shop-0"}, "ring-3": {Version: "v1", At: epoch.Add(-time.Hour)}}
		a.Services = append(a.Services, s)
	}
	return a
}

func set(a *rings.Application, name rings.ServiceName, ring rings.RingName, change func(*rings.Known)) {
	s, _ := a.Service(name)
	k := s.Known[ring]
	change(&k)
	s.Known[ring] = k
}

func TestNewTrain(t *testing.T) {
	unverified := func(k *rings.Known) { k.Verified, k.VerifiedAt = "", time.Time{} }
	all := "api=v2 db=v2 docs=v2 web=v2"
	tests := []struct {
		name   string
		change func(*rings.Application)
		train  orchestrator.Train
		plan   string
		left   string
	}{
		{"all", nil, orchestrator.Train{Ring: "ring-2"}, all, ""},
		{"past an empty ring", nil, orchestrator.Train{Ring: "ring-3", Empty: []rings.RingName{"ring-2"}}, all, ""},
		{"not verified", func(a *rings.Application) { set(a, "docs", "ring-1", unverified) }, orchestrator.Train{Ring: "ring-2"}, "api=v2 db=v2 web=v2",
			"docs unverified: v2 is not verified on ring-1"},
		{"not verified below", func(a *rings.Application) { set(a, "db", "ring-1", unverified) }, orchestrator.Train{Ring: "ring-2"}, "docs=v2",
			"db unverified: v2 is not verified on ring-1; api dependency: db stays at v1: v2 is not verified on ring-1; web dependency: db stays at v1: v2 is not verified on ring-1"},
		{"locked", nil, orchestrator.Train{Ring: "ring-2", Locked: map[rings.ServiceName]string{"web": "web is locked by eve"}}, "api=v2 db=v2 docs=v2", "web locked: web is locked by eve"},
		{"changed by hand", nil, orchestrator.Train{Ring: "ring-2", Changed: map[rings.ServiceName]string{"api": "its file says v9"}}, "db=v2 docs=v2",
			"api changed: its file says v9; web dependency: api stays at v1: its file says v9"},
		{"locked, and the same", func(a *rings.Application) { set(a, "db", "ring-1", func(k *rings.Known) { k.Version = "v1" }) },
			orchestrator.Train{Ring: "ring-2", Locked: map[rings.ServiceName]string{"db": "db is locked by eve"}}, "api=v2 docs=v2 web=v2", ""},
		{"held", func(a *rings.Application) {
			s, _ := a.Service("docs")
			s.Held = map[rings.RingName]map[rings.Version]rings.Hold{"ring-2": {"v2": {Rollout: "shop-3", Reason: "typos"}}}
		}, orchestrator.Train{Ring: "ring-2"}, "api=v2 db=v2 web=v2", "docs held: v2 was withdrawn by rollout shop-3: typos"},
		{"decided on since", func(a *rings.Application) {
			set(a, "docs", "ring-2", func(k *rings.Known) { k.Version, k.DecidedAt = "v9", epoch.Add(2*time.Hour) })
		}, orchestrator.Train{Ring: "ring-2"}, "api=v2 db=v2 web=v2", "docs newer: v9 was decided on for ring-2 at 2026-01-01 02:00:00Z, after v2 had been verified"},
		{"begun, and not ended well", func(a *rings.Application) {
			set(a, "docs", "ring-2", func(k *rings.Known) { k.Version, k.DecidedAt, k.Verified = "v2", epoch.Add(2*time.Hour), "" })
		}, orchestrator.Train{Ring: "ring-2"}, "api=v2 db=v2 web=v2", "docs unfinished: v2 was begun on ring-2 at 2026-01-01 02:00:00Z, and no rollout has ended well with it there: retry that one"},
		{"over a ring that has not verified it", nil, orchestrator.Train{Ring: "ring-3", From: "ring-1"}, "",
			"db unverified: v2 is not verified on ring-2; docs unverified: v2 is not verified on ring-2; api unverified: v2 is not verified on ring-2; web unverified: v2 is not verified on ring-2"},
		{"as it was", nil, orchestrator.Train{Ring: "ring-2", From: "ring-1", At: epoch, Then: map[rings.RingName]map[rings.ServiceName]rings.Known{"ring-1": {"db": {Version: "v0", Verified: "shop-0"}, "api": {Version: "v1"}}}}, "db=v0",
			"docs unrecorded: nothing is recorded on ring-1; api unverified: v1 is not verified on ring-1; web unrecorded: nothing is recorded on ring-1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := line()
			if test.change != nil {
				test.change(a)
			}
			c, err := orchestrator.NewTrain(a, test.train)
			taken := c.Train
			if nothing, ok := errors.AsType[*orchestrator.NothingError](err); ok {
				taken, err = &nothing.Taken, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := planWords(c.Plan); got != test.plan {
				t.Errorf("takes %s, want %s", got, test.plan)
			}
			if got := leftWords(taken.Left); got != test.left {
				t.Errorf("leaves %s,\nwant   %s", got, test.left)
			}
			if test.plan != "" && (c.Kind != orchestrator.KindTrain || (c.Rings[0].Upstream == "") != !test.train.At.IsZero()) {
				t.Errorf("kind %q, ring %+v", c.Kind, c.Rings[0])
			}
		})
	}
}

func planWords(plan map[rings.ServiceName]rings.Version) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		out = append(out, fmt.Sprintf("%s=%s", name, plan[name]))
	}
	return strings.Join(out, " ")
}

func leftWords(left []orchestrator.Left) string {
	var out []string
	for _, l := range left {
		out = append(out, fmt.Sprintf("%s %s: %s", l.Service, l.Cause, l.Words))
	}
	return strings.Join(out, "; ")
}

func TestNewTrain_errors(t *testing.T) {
	for want, train := range map[string]orchestrator.Train{
		`ring "ring-1": no ring with clusters comes before it, from which something could be taken`: {Ring: "ring-1"},
		`ring "ring-1": ring "ring-2" comes after it`:                                               {Ring: "ring-1", From: "ring-2"},
		`ring "ring-2": it can take from itself only what it ran at an earlier time`:                {Ring: "ring-2", From: "ring-2"},
		`ring "rng-2": not found in application "shop"; did you mean "ring-2"?`:                     {Ring: "rng-2"},
		`ring "rng-1": not found in application "shop"; did you mean "ring-1"?`:                     {Ring: "ring-2", From: "rng-1"},
	} {
		if _, err := orchestrator.NewTrain(line(), train); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
