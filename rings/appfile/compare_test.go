package appfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

// carry does a change as the commands do it.
func carry(t *testing.T, s State, c Change) State {
	t.Helper()
	if s.App != nil {
		a := *s.App
		a.Rings, a.Services = slices.Clone(a.Rings), slices.Clone(a.Services)
		s.App = &a
	}
	place := func(ring rings.Ring, after rings.RingName) {
		at := len(s.App.Rings)
		if after != "" {
			at = slices.Index(s.App.RingNames(), after) + 1
		}
		s.App.Rings = slices.Insert(s.App.Rings, at, ring)
	}
	switch c.Kind {
	case CreateApp:
		s.App = &rings.Application{Name: "shop", RingLabel: "ring", Selector: map[string]string{"app": "shop"}}
	case CreateRing:
		place(c.Ring, c.After)
	case UpdateRing:
		r, err := s.App.Ring(c.Ring.Name)
		must(t, err)
		*r = c.Ring
	case MoveRing:
		r, err := s.App.Ring(c.Ring.Name)
		must(t, err)
		ring := *r
		s.App.Rings = slices.DeleteFunc(s.App.Rings, func(r rings.Ring) bool { return r.Name == ring.Name })
		place(ring, c.After)
	case AddCluster, SetRing, RecordCluster:
		s.Clusters = slices.DeleteFunc(slices.Clone(s.Clusters), func(r rings.Cluster) bool { return r.Name == c.Cluster })
		s.Clusters = append(s.Clusters, rings.Cluster{Name: c.Cluster, Ring: c.Ring.Name})
		if s.On != nil {
			s.On[c.Cluster] = c.Ring.Name
		}
	case AddService:
		s.App.Services = append(s.App.Services, c.Service)
	case SetPublish:
		v, err := s.App.Service(c.Service.Name)
		must(t, err)
		v.Publish = c.Service.Publish
	case SetDeps:
		for name, deps := range c.Deps {
			v, err := s.App.Service(name)
			must(t, err)
			v.DependsOn = deps
		}
	case RemoveService:
		if needed := s.App.Dependents(c.Service.Name); len(needed) > 0 {
			t.Fatalf("service %q is still needed by %v", c.Service.Name, needed)
		}
		s.App.Services = slices.DeleteFunc(s.App.Services, func(v rings.Service) bool { return v.Name == c.Service.Name })
	case RemoveRing:
		s.App.Rings = slices.DeleteFunc(s.App.Rings, func(r rings.Ring) bool { return r.Name == c.Ring.Name })
	default:
		t.Fatalf("there is no change %q", c.Kind)
	}
	if s.App != nil {
		must(t, s.App.Validate())
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const head = "apiVersion: rollout/v1\nkind: Application\nname: shop\n"

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("app.yaml", []byte(head+text))
	must(t, err)
	return f
}

func script(d Difference) string {
	var b strings.Builder
	for _, c := range d.Changes {
		fmt.Fprintf(&b, "%s: %s\n", c.Kind, strings.Join(c.Words, "; "))
	}
	for _, f := range d.Fixed {
		fmt.Fprintf(&b, "fixed: %s: %s, not %s\n", f.What, f.Stored, f.Wanted)
	}
	for _, e := range d.Extra {
		fmt.Fprintf(&b, "extra: %s %s %s [%s] [%s]\n", e.Kind, e.Name, e.Words, e.Command, e.Keep)
	}
	return b.String()
}

const three = `rings:
- {name: a, clusters: [c1]}
- {name: b, clusters: [c2]}
- {name: c}
services:
- {name: web, repo: w, dependsOn: [api]}
- {name: api, repo: x, dependsOn: [db]}
- {name: db, repo: y}
`

func TestCompare(t *testing.T) {
	tests := []struct {
		name     string
		from, to string
		on       map[rings.ClusterName]rings.RingName
		want     string
	}{
		{name: "from nothing", to: three, want: `create-app: create application "shop": clusters with app=shop, rings by the label "ring"
create-ring: create ring "a"
create-ring: create ring "b"
create-ring: create ring "c"
add-cluster: add cluster "c1" to ring "a"
add-cluster: add cluster "c2" to ring "b"
add-service: add service "db": fleet.yaml of y, branch "main"
add-service: add service "api": fleet.yaml of x, branch "main", depends on db
add-service: add service "web": fleet.yaml of w, branch "main", depends on api
`},
		{name: "nothing", from: three, to: three},
		{name: "labels are there already, and others", to: "rings: [{name: a, clusters: [c1, c2, c3]}]\n",
			on: map[rings.ClusterName]rings.RingName{"c1": "a", "c2": "b", "c9": "a", "c8": ""}, want: `create-app: create application "shop": clusters with app=shop, rings by the label "ring"
create-ring: create ring "a"
record-cluster: record cluster "c1" on ring "a": it carries the labels
set-ring: move cluster "c2" from ring "b" to ring "a"
add-cluster: add cluster "c3" to ring "a"
extra: cluster c9 on ring "a" by its label, not recorded [] [what runs on it would stay or go: that is for a person to see first]
`},
		{name: "somebody changed labels", from: three, to: three, on: map[rings.ClusterName]rings.RingName{"c1": "b"}, want: `set-ring: move cluster "c1" from ring "b" to ring "a"
add-cluster: add cluster "c2" to ring "b"
`},
		{name: "starts", from: "rings: [{name: a}, {name: b, train: {cron: 0 6 * * *, within: 2h}}]\n",
			to: "rings: [{name: a, onRelease: start, policy: {freezeUpstream: true}}, {name: b, train: {cron: 0 7 * * *, timeZone: Europe/Berlin}}, {name: c, train: {cron: 0 8 * * *}}]\n",
			want: "update-ring: update ring \"a\": freezeUpstream false -> true, onRelease wait -> start\n" +
				"update-ring: update ring \"b\": train 0 6 * * * UTC within 2h -> 0 7 * * * Europe/Berlin\n" +
				"create-ring: create ring \"c\", train 0 8 * * * UTC\n"},
		{name: "policy", from: "rings: [{name: a, policy: {soak: 1h, checks: [{name: x, kind: command, command: x}]}}]\n",
			to:   "rings: [{name: a, policy: {maxFailed: 10%, onFailure: pause, checks: [{name: y, kind: command, command: y}]}}]\n",
			want: "update-ring: update ring \"a\": soak 1h -> 0s, maxFailed 0 -> 10%, onFailure stop -> pause, check y is added, check x is removed\n"},
		{name: "the last ring goes first, and a new one before it", from: "rings: [{name: a}, {name: b}, {name: c}]\n", to: "rings: [{name: n}, {name: c}, {name: a}, {name: b}]\n",
			want: "create-ring: create ring \"n\"\nmove-ring: move ring \"c\" after \"n\"\nmove-ring: move ring \"a\" after \"c\"\nmove-ring: move ring \"b\" after \"a\"\n"},
		{name: "a ring by hand stays in its place", from: "rings: [{name: x}, {name: a}, {name: y}, {name: b}]\n", to: "rings: [{name: b}, {name: a}]\n",
			want: "move-ring: move ring \"b\" after \"x\"\n" +
				"extra: ring x  [rollout ring delete shop x] []\nextra: ring y  [rollout ring delete shop y] []\n"},
		{name: "dependencies turn round", from: three, to: strings.NewReplacer("dependsOn: [api]", "dependsOn: []", "{name: db, repo: y}", "{name: db, repo: y, dependsOn: [n]}\n- {name: n, repo: n, dependsOn: [web]}",
			"dependsOn: [db]", "dependsOn: []").Replace(three), want: `add-service: add service "n": fleet.yaml of n, branch "main", depends on web
set-deps: service "api": depends on db -> nothing; service "db": depends on nothing -> n; service "web": depends on api -> nothing
`},
		{name: "how it is published", from: three, to: strings.Replace(three, "repo: w", "repo: w, publish: branch", 1),
			want: "set-publish: service \"web\": publish push -> branch\n"},
		{name: "pushed as by default", from: three, to: strings.Replace(three, "repo: w", "repo: w, publish: push", 1)},
		{name: "what cannot change", from: three, to: "ringLabel: stage\nselector: {in-shop: 'true'}\n" + strings.Replace(three, "repo: w", "repo: w, branch: dev, fields: [helm.values.tag]", 1),
			want: "fixed: application \"shop\": ringLabel: ring, not stage\nfixed: application \"shop\": selector: app=shop, not in-shop=true\n" +
				"fixed: service \"web\": branch: main, not dev\nfixed: service \"web\": fields: helm.values.image.tag, not helm.values.tag\n"},
		{name: "what is not in the file", from: three, to: "rings: [{name: c}]\n", on: map[rings.ClusterName]rings.RingName{"c1": "a"}, want: `extra: ring a  [rollout ring delete shop a] [clusters are on it that the file does not name: c1]
extra: ring b  [rollout ring delete shop b] []
extra: cluster c1 on ring "a" by its label [rollout cluster remove c1 --app shop] [what runs on it would stay or go: that is for a person to see first]
extra: cluster c2 recorded on ring "b", without the labels [rollout cluster remove c2 --app shop] [what runs on it would stay or go: that is for a person to see first]
extra: service api  [rollout service remove shop api] []
extra: service db  [rollout service remove shop db] []
extra: service web  [rollout service remove shop web] []
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s State
			if tt.from != "" {
				for _, c := range Compare(s, parse(t, tt.from)).Changes {
					s = carry(t, s, c)
				}
			}
			s.On = tt.on
			f := parse(t, tt.to)
			d := Compare(s, f)
			if diff := cmp.Diff(tt.want, script(d)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			continues(t, s, f, d)
		})
	}
}

// continues wants that after any of the changes the rest is left, and nothing
// after all of them; and that pruning leaves what it must keep.
func continues(t *testing.T, s State, f *File, d Difference) {
	t.Helper()
	for i, c := range d.Changes {
		s = carry(t, s, c)
		left := Compare(s, f)
		if got, want := script(Difference{Changes: left.Changes}), script(Difference{Changes: d.Changes[i+1:]}); got != want {
			t.Errorf("after %s:\n%s\nwant\n%s", c.Words[0], got, want)
		}
	}
	var kept []Extra
	for _, e := range d.Extra {
		if e.Keep != "" {
			kept = append(kept, e)
		}
	}
	for _, c := range d.Prune(s) {
		s = carry(t, s, c)
	}
	if got := Compare(s, f); len(got.Changes) > 0 || !reflect.DeepEqual(got.Extra, kept) {
		t.Errorf("after pruning:\n%s\nwant %+v", script(got), kept)
	}
}

// How a repository's URL is written is not a difference.
func TestCompare_sameRepository(t *testing.T) {
	f := parse(t, "services: [{name: db, repo: 'https://git.example.com/db.git'}]\n")
	a, err := f.Application()
	must(t, err)
	a.Services[0].Repo = "ssh://git@git.example.com/db"
	s := State{App: a, SameRepo: func(string, string) bool { return true }}
	if d := Compare(s, f); len(d.Fixed) > 0 {
		t.Errorf("got %+v", d.Fixed)
	}
}
