package rings

import (
	"errors"
	"slices"
	"testing"
)

func removable() *Application {
	return &Application{Name: "shop", Rings: []Ring{{Name: "ring-1"}, {Name: "ring-2"}}, Services: []Service{
		{Name: "db", Known: map[RingName]Known{"ring-1": {Version: "v1"}, "ring-2": {Version: "v1"}}, Held: map[RingName]map[Version]Hold{"ring-1": {"v2": {}}}},
		{Name: "api", DependsOn: []ServiceName{"db"}}, {Name: "web", DependsOn: []ServiceName{"api"}}, {Name: "docs"}},
		Plan: Plan{"docs": {Version: "v2"}, "db": {Version: "v2"}}}
}

func TestRemoveService(t *testing.T) {
	a := removable()
	_, err := a.RemoveService("db")
	var used *InUseError
	if !errors.As(err, &used) || !errors.Is(err, ErrInUse) || !slices.Equal(used.By, []string{"api"}) || len(a.Services) != 4 || len(a.Plan) != 2 {
		t.Errorf("db: %v, left %v", err, a.ServiceNames())
	}
	if got, err := a.RemoveService("docs"); err != nil || got.Name != "docs" || len(a.Plan) != 1 || !slices.Equal(a.ServiceNames(), []ServiceName{"db", "api", "web"}) {
		t.Errorf("docs: %q, %v, left %v and the plan %v", got.Name, err, a.ServiceNames(), a.Plan)
	}
	if _, err := a.RemoveService("docs"); !errors.Is(err, ErrUnknown) {
		t.Errorf("docs again: %v", err)
	}
}

func TestRemoveRing(t *testing.T) {
	a := removable()
	if got, err := a.RemoveRing("ring-1"); err != nil || got.Name != "ring-1" || !slices.Equal(a.RingNames(), []RingName{"ring-2"}) {
		t.Errorf("ring-1: %q, %v, left %v", got.Name, err, a.RingNames())
	}
	if db := a.Services[0]; len(db.Known) != 1 || len(db.Held) != 0 {
		t.Errorf("of db there is left: known %v, held %v", db.Known, db.Held)
	}
	if _, err := a.RemoveRing("ring-1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("ring-1 again: %v", err)
	}
}

func TestNeedsIt(t *testing.T) {
	a := removable()
	for name, want := range map[ServiceName][]ServiceName{"db": {"api", "web"}, "api": {"web"}, "web": nil, "docs": nil} {
		if got := a.NeedsIt(name); !slices.Equal(got, want) {
			t.Errorf("%s is needed by %v, want %v", name, got, want)
		}
	}
}
