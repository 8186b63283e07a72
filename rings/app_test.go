package rings_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

// shop is an application without a fault: db; api and worker need it; web
// needs api.
func shop() *rings.Application {
	service := func(name rings.ServiceName, needs ...rings.ServiceName) rings.Service {
		return rings.Service{Name: name, Repo: "https://git.example/" + string(name), Branch: "main", DependsOn: needs}
	}
	return &rings.Application{Name: "shop", RingLabel: "ring", Selector: map[string]string{"app": "shop"},
		Rings:    []rings.Ring{{Name: "ring-1"}, {Name: "ring-10"}},
		Services: []rings.Service{service("db"), service("api", "db"), service("worker", "db"), service("web", "api")}}
}

func TestApplication_Validate(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct {
		name  string
		fault func(*rings.Application)
		want  string
	}{
		{"none", func(*rings.Application) {}, ""},
		{"empty name", func(a *rings.Application) { a.Name = "" },
			`application "": the name is empty`},
		{"invalid name", func(a *rings.Application) { a.Name = "Shop" },
			`application "Shop": a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit`},
		{"long name", func(a *rings.Application) { a.Name = rings.AppName(long) },
			`application "` + long + `": the name has 64 characters, at most 63 are allowed`},
		{"name of a service ends with a dash", func(a *rings.Application) {
			a.Services[0].Name = "db-"
			a.Services[1].DependsOn = nil
			a.Services[2].DependsOn = nil
		},
			`application "shop": service "db-": a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit`},
		{"duplicate ring", func(a *rings.Application) { a.Rings = append(a.Rings, rings.Ring{Name: "ring-1"}) },
			`application "shop": ring "ring-1" exists already`},
		{"duplicate service", func(a *rings.Application) { a.Services = append(a.Services, a.Services[0]) },
			`application "shop": service "db" exists already`},
		{"ring named as a service", func(a *rings.Application) { a.Rings[0].Name = "db" }, ""},
		{"unknown dependency", func(a *rings.Application) { a.Services[3].DependsOn = []rings.ServiceName{"apo"} },
			`application "shop": service "web" depends on service "apo": not found in application "shop"; did you mean "api"?`},
		{"unknown dependency, nothing near", func(a *rings.Application) { a.Services[3].DependsOn = []rings.ServiceName{"payments"} },
			`application "shop": service "web" depends on service "payments": not found in application "shop"`},
		{"self dependency", func(a *rings.Application) { a.Services[0].DependsOn = []rings.ServiceName{"db"} },
			`application "shop": service "db" depends on itself`},
		{"cycle", func(a *rings.Application) { a.Services[0].DependsOn = []rings.ServiceName{"web"} },
			`dependency cycle: api -> db -> web -> api`},
		{"cycle of two", func(a *rings.Application) { a.Services[0].DependsOn = []rings.ServiceName{"worker"} },
			`dependency cycle: db -> worker -> db`},
		{"short deadline", func(a *rings.Application) { a.Rings[0].Policy.Converge = time.Millisecond },
			`application "shop": ring "ring-1": deadline 1ms: at least 1s is needed`},
		{"negative uptake deadline", func(a *rings.Application) { a.Rings[0].Policy.Uptake = -time.Minute },
			`application "shop": ring "ring-1": uptake deadline -1m0s: at least 1s is needed`},
		{"no repository", func(a *rings.Application) { a.Services[0].Repo = "" },
			`application "shop": service "db": the repository is missing`},
		{"credentials in the URL", func(a *rings.Application) { a.Services[0].Repo = "https://ann:secret@git.example/db" },
			`application "shop": service "db": the repository's URL holds credentials; they are never stored`},
		{"ssh has a user", func(a *rings.Application) { a.Services[0].Repo = "ssh://git@git.example/db" }, ""},
		{"path leaves the repository", func(a *rings.Application) { a.Services[0].Path = "deploy/../../etc" },
			`application "shop": service "db": path "deploy/../../etc" leaves the repository`},
		{"all at once", func(a *rings.Application) { a.Name = "-"; a.Rings[0].Name = ""; a.Services[0].Repo = "" },
			"application \"-\":\n  application \"-\": a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit\n" +
				"  ring \"\": the name is empty\n  service \"db\": the repository is missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := shop()
			test.fault(a)
			if diff := cmp.Diff(test.want, message(a.Validate())); diff != "" {
				t.Errorf("Validate() (-want +got):\n%s", diff)
			}
		})
	}
}

// message is the error's, "" for none.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestApplication_Validate_cycleIsTyped(t *testing.T) {
	a := shop()
	a.Services[0].DependsOn = []rings.ServiceName{"web"}
	err := a.Validate()
	cycle, ok := errors.AsType[*rings.CycleError](err)
	if !ok || !errors.Is(err, rings.ErrCycle) {
		t.Fatalf("err = %v, want a CycleError", err)
	}
	if diff := cmp.Diff([]rings.ServiceName{"api", "db", "web", "api"}, cycle.Path); diff != "" {
		t.Errorf("path (-want +got):\n%s", diff)
	}
}

func TestService_Validate_alone(t *testing.T) {
	s := rings.Service{Name: "db", Repo: "r", DependsOn: []rings.ServiceName{"db"}}
	if got, want := message(s.Validate()), `service "db" depends on itself`; got != want {
		t.Errorf("Validate() = %s, want %s", got, want)
	}
	s.DependsOn, s.Publish = nil, "merge"
	if got, want := message(s.Validate()), `service "db": publish "merge": one of "push", "branch"`; got != want {
		t.Errorf("Validate() = %s, want %s", got, want)
	}
}

func TestApplication_unknown(t *testing.T) {
	a := shop()
	_, ringErr := a.Ring("rng-1")
	_, serviceErr := a.Service("wrker")
	_, farErr := a.Ring("production")
	for _, test := range []struct {
		err  error
		want string
	}{
		{ringErr, `ring "rng-1": not found in application "shop"; did you mean "ring-1"?`},
		{serviceErr, `service "wrker": not found in application "shop"; did you mean "worker"?`},
		{farErr, `ring "production": not found in application "shop"`},
		{&rings.UnknownError{Kind: "application", Name: "shpo", Nearest: "shop"}, `application "shpo": not found; did you mean "shop"?`},
	} {
		if message(test.err) != test.want || !errors.Is(test.err, rings.ErrUnknown) {
			t.Errorf("got %v, want %s", test.err, test.want)
		}
	}
}

func TestNearest(t *testing.T) {
	tests := []struct{ name, want string }{
		{"rng-1", "ring-1"}, {"ring-11", "ring-1"}, {"ring-10", "ring-10"}, {"x", ""}, {"", ""}, {"ringg10", "ring-10"}, {"canary-eu", ""},
	}
	for _, test := range tests {
		if got := rings.Nearest(test.name, []string{"ring-1", "ring-10"}); got != test.want {
			t.Errorf("Nearest(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestApplication_Owns(t *testing.T) {
	a := shop()
	tests := []struct {
		labels map[string]string
		ring   rings.RingName
		owns   bool
	}{
		{map[string]string{"app": "shop", "ring": "ring-1"}, "ring-1", true},
		{map[string]string{"app": "shop", "ring": "elsewhere", "x": "y"}, "elsewhere", true},
		{map[string]string{"app": "shop"}, "", true},
		{map[string]string{"ring": "ring-1"}, "", false},
		{nil, "", false},
	}
	for _, test := range tests {
		ring, owns := a.Owns(test.labels)
		if ring != test.ring || owns != test.owns {
			t.Errorf("Owns(%v) = %q, %t", test.labels, ring, owns)
		}
	}
	labels := a.RingLabels("ring-10")
	if diff := cmp.Diff(map[string]string{"app": "shop", "ring": "ring-10"}, labels); diff != "" {
		t.Errorf("RingLabels (-want +got):\n%s", diff)
	}
	if ring, owns := a.Owns(labels); ring != "ring-10" || !owns {
		t.Errorf("a ring's labels are not owned: %q, %t", ring, owns)
	}
	if len(a.Selector) != 1 {
		t.Error("RingLabels changed the selector")
	}
}

func TestVersion_Check(t *testing.T) {
	for _, good := range []rings.Version{"v1", "1.2.3", "1.10", "latest", "_x", "2026-01-01", "1.2.3-rc.1_amd64", rings.Version(strings.Repeat("a", 128))} {
		if err := good.Check(); err != nil {
			t.Errorf("Check(%q) = %v", good, err)
		}
	}
	for _, bad := range []rings.Version{"", "-1", ".1", "v1 ", "a:b", "a/b", "v1+build", "ä", "v1\n", "${x}", rings.Version(strings.Repeat("a", 129))} {
		want := `version ` + quote(string(bad)) + ` cannot stand in an image tag: up to 128 of A-Z a-z 0-9 _ . - are allowed, not beginning with . or -`
		if got := message(bad.Check()); got != want {
			t.Errorf("Check(%q) = %s, want %s", bad, got, want)
		}
	}
}

func TestPlan_Only(t *testing.T) {
	p := rings.Plan{"db": {Version: "v2"}, "api": {Version: "v3"}}
	some, err := p.Only([]rings.ServiceName{"api"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[rings.ServiceName]rings.Version{"api": "v3"}, some.Versions()); diff != "" {
		t.Errorf("Only(api) (-want +got):\n%s", diff)
	}
	all, err := p.Only(nil)
	if err != nil || !cmp.Equal(p.Versions(), all.Versions()) {
		t.Errorf("Only() = %v, %v", all, err)
	}
	_, err = p.Only([]rings.ServiceName{"web", "db", "docs"})
	want := "plan:\n  service \"web\" has no version in the plan\n  service \"docs\" has no version in the plan"
	if got := message(err); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKnown_Wrote(t *testing.T) {
	k := rings.Known{Version: "v1", Attempted: "v2"}
	if !k.Wrote("v1") || !k.Wrote("v2") || k.Wrote("v3") || (rings.Known{Version: "v1"}).Wrote("") {
		t.Error("Wrote is not about the recorded and the attempted version")
	}
}

func TestService_File(t *testing.T) {
	for path, want := range map[string]string{"": "fleet.yaml", "deploy": "deploy/fleet.yaml", "/a/b/": "a/b/fleet.yaml"} {
		if got := (rings.Service{Path: path}).File(); got != want {
			t.Errorf("File of %q = %q, want %q", path, got, want)
		}
	}
}
