package rings_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

func TestApplication_Ahead(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	known := func(v rings.Version, n int) rings.Known {
		return rings.Known{Version: v, At: day(n), DecidedAt: day(n)}
	}
	app := func(known map[rings.RingName]rings.Known, held ...rings.Version) *rings.Application {
		s := rings.Service{Name: "web", Known: known, Held: map[rings.RingName]map[rings.Version]rings.Hold{"ring-1": {}}}
		for _, v := range held {
			s.Held["ring-1"][v] = rings.Hold{}
		}
		return &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}, {Name: "ring-3"}}, Services: []rings.Service{s}}
	}
	type ringsOf = map[rings.RingName]rings.Known
	for _, tt := range []struct {
		name string
		app  *rings.Application
		want []rings.Ahead
	}{
		{"nothing is recorded", app(nil), nil},
		{"all the same", app(ringsOf{"ring-1": known("v1", 1), "ring-2": known("v1", 2)}), nil},
		{"behind, as it should be", app(ringsOf{"ring-1": known("v2", 3), "ring-2": known("v1", 2)}), nil},
		{"adopted, one ring after the other", app(ringsOf{"ring-1": {Version: "v2", At: day(1)}, "ring-2": {Version: "v1", At: day(2)}}), nil},
		{"it went past", app(ringsOf{"ring-1": known("v1", 1), "ring-2": known("v2", 2)}),
			[]rings.Ahead{{App: "shop", Service: "web", Ring: "ring-2", Version: "v2", At: day(2), Upstream: "ring-1", Behind: "v1"}}},
		{"it was taken back before it", app(ringsOf{"ring-1": known("v1", 3), "ring-2": known("v2", 2)}, "v2"),
			[]rings.Ahead{{App: "shop", Service: "web", Ring: "ring-2", Version: "v2", At: day(2), Upstream: "ring-1", Behind: "v1", Withdrawn: true}}},
		{"a ring in between has nothing", app(ringsOf{"ring-1": known("v1", 1), "ring-3": known("v2", 2)}),
			[]rings.Ahead{{App: "shop", Service: "web", Ring: "ring-3", Version: "v2", At: day(2), Upstream: "ring-1", Behind: "v1"}}},
	} {
		if diff := cmp.Diff(tt.want, tt.app.Ahead()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	ahead := app(ringsOf{"ring-1": known("v1", 1), "ring-2": known("v2", 2)}).Ahead()
	for _, tt := range []struct {
		lock rings.Lock
		want int
	}{{rings.Lock{App: "shop", Ring: "ring-2"}, 0}, {rings.Lock{App: "shop", Service: "db"}, 1}, {rings.Lock{App: "blog"}, 1}, {rings.Lock{App: "shop", Cluster: "c1"}, 1}} {
		if got := rings.Unlocked(ahead, []rings.Lock{tt.lock}); len(got) != tt.want {
			t.Errorf("with a lock on %s of %s: %+v", tt.lock.Part(), tt.lock.App, got)
		}
	}
}
