package appfile

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

// shop is stored with everything that a file can say.
func shop() (*rings.Application, []rings.Cluster) {
	a := &rings.Application{Name: "shop", Workspace: "fleet-default", Manager: "5f2c", RingLabel: "ring", Selector: map[string]string{"app": "shop"},
		Rings: []rings.Ring{{Name: "ring-1", Policy: rings.Policy{Converge: 90 * time.Second, Uptake: time.Hour, Merge: 2 * time.Hour, ApproveBefore: true, ApproveAfter: true, ApprovalExpires: 8 * time.Hour,
			Soak: 90 * time.Minute, MaxFailed: rings.Amount{N: 10, Percent: true}, OnOffline: rings.OfflineSkip, MaxOffline: rings.Amount{N: 2},
			OnFailure: rings.FailureRollback, OnJoin: rings.JoinLater, FreezeUpstream: true, Checks: []rings.Check{
				{Name: "smoke", Kind: rings.CheckCommand, Command: "./smoke.sh", Interval: 30 * time.Second, Samples: 3},
				{Name: "errors", Kind: rings.CheckPrometheus, URL: "http://prom:9090", Query: "sum(rate(errors[5m]))", Threshold: "<= 0.01", Timeout: 1500 * time.Millisecond, FailureLimit: 1}}},
			Starts: rings.Starts{OnRelease: rings.ReleaseStart}, Kept: rings.Kept{Release: 7}},
			{Name: "ring-2", Starts: rings.Starts{Train: rings.Schedule{Cron: "0 6 * * 1-5", Zone: "Europe/Berlin", Within: 2 * time.Hour}}, Kept: rings.Kept{Until: time.Unix(1, 0)}}},
		Services: []rings.Service{
			{Name: "db", Repo: "https://git.example.com/shop/db.git", Branch: "2026-11-29", Path: "deploy", GitRepo: "shop-db", Bundle: "db", Fields: []string{rings.DefaultField}},
			{Name: "api", Repo: "https://git.example.com/shop/api.git", Branch: "main", GitRepo: "shop-api", Secret: "git-auth", Fields: []string{"helm.values.on", "helm.version"},
				DependsOn: []rings.ServiceName{"db"}, AcceptRedeploy: true, Publish: rings.PublishBranch, Managed: true, LastNonce: 7}},
		Plan: rings.Plan{"db": {Version: "v2"}}, CreatedBy: "bob", CreatedAt: time.Unix(1, 0)}
	clusters := []rings.Cluster{{Name: "eu-1", App: "shop", Ring: "ring-1"}, {Name: "eu-2", App: "shop", Ring: "ring-2"}, {Name: "yes", App: "shop", Ring: "ring-2"}}
	return a, clusters
}

const shopText = `apiVersion: rollout/v1
kind: Application
name: shop
workspace: fleet-default
ringLabel: ring
selector:
  app: shop
rings:
- name: ring-1
  policy:
    deadline: 1m30s
    uptakeDeadline: 1h
    mergeDeadline: 2h
    approveBefore: true
    approveAfter: true
    approvalExpires: 8h
    soak: 1h30m
    maxFailed: 10%
    onOffline: skip
    maxOffline: 2
    onFailure: rollback
    onJoin: later
    freezeUpstream: true
    checks:
    - name: smoke
      kind: command
      command: ./smoke.sh
      interval: 30s
      samples: 3
    - name: errors
      kind: prometheus
      url: http://prom:9090
      query: sum(rate(errors[5m]))
      threshold: <= 0.01
      timeout: 1.5s
      failures: 1
  onRelease: start
  clusters:
  - eu-1
- name: ring-2
  train:
    cron: 0 6 * * 1-5
    timeZone: Europe/Berlin
    within: 2h
  clusters:
  - eu-2
  - "yes"
services:
- name: db
  repo: https://git.example.com/shop/db.git
  branch: "2026-11-29"
  path: deploy
  gitRepo: shop-db
- name: api
  repo: https://git.example.com/shop/api.git
  branch: main
  gitRepo: shop-api
  clientSecret: git-auth
  fields:
  - helm.values.on
  - helm.version
  dependsOn:
  - db
  acceptRedeploy: true
  publish: branch
`

func TestFile_Bytes(t *testing.T) {
	text, err := Of(shop()).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(shopText, string(text)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// What is written and read again differs from what is stored in nothing.
func TestCompare_sameAsWritten(t *testing.T) {
	a, clusters := shop()
	f, err := Parse("app.yaml", []byte(shopText))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Of(a, clusters), f); d != "" {
		t.Errorf("read: -want +got:\n%s", d)
	}
	if d := Compare(State{App: a, Clusters: clusters}, f); !reflect.DeepEqual(d, Difference{}) {
		t.Errorf("it differs: %+v", d)
	}
}

// JSON is YAML, too, and comments, anchors and words for defaults are fine.
func TestParse_ways(t *testing.T) {
	text, err := json.Marshal(Of(shop()))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Parse("app.json", text); err != nil || cmp.Diff(Of(shop()), f) != "" {
		t.Errorf("JSON: %v", err)
	}
	f, err := Parse("app.yaml", []byte("# hello\napiVersion: rollout/v1\nkind: Application\nname: shop\nrings:\n- name: a\n  policy: &p {onFailure: stop, onOffline: fail, onJoin: include, maxFailed: '2', soak: '0'}\n- {name: b, policy: *p}\n---\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.Application()
	if err != nil {
		t.Fatal(err)
	}
	want := &rings.Application{Name: "shop", RingLabel: "ring", Selector: map[string]string{"app": "shop"},
		Rings: []rings.Ring{{Name: "a", Policy: rings.Policy{MaxFailed: rings.Amount{N: 2}}}, {Name: "b", Policy: rings.Policy{MaxFailed: rings.Amount{N: 2}}}}}
	if d := cmp.Diff(want, a); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestParse_faults(t *testing.T) {
	const head = "apiVersion: rollout/v1\nkind: Application\nname: shop\n"
	tests := []struct{ name, text, want string }{
		{"empty", "# nothing\n", "a.yaml: it is empty"},
		{"not YAML", head + "rings: [\n", "a.yaml:4: it cannot be read: did not find expected node content"},
		{"key twice", head + "name: shop\n", "a.yaml:4: it cannot be read: mapping key \"name\" already defined at line 3"},
		{"two documents", head + "---\n" + head, "a.yaml:5: a second document begins here: one file is one application"},
		{"a list", "- a\n", "a.yaml:1: it is of type array, and must be of type object"},
		{"something else", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "a.yaml:1: name is missing\n" +
			"  a.yaml:1: apiVersion: \"v1\": it must be \"rollout/v1\"\n  a.yaml:2: kind: \"Pod\": it must be \"Application\"\n" +
			"  a.yaml:3: there is no key \"metadata\" here: apiVersion, kind, name, workspace, ringLabel, selector, rings, groups, services, locks, windows"},
		{"unknown keys", head + "ringz: []\nservices:\n- name: db\n  repo: x\n  dependOn: [a]\nrings:\n- name: a\n  policy:\n    sook: 1h\n", "a.yaml:4: there is no key \"ringz\" here; did you mean \"rings\"?\n" +
			"  a.yaml:8: services[0]: there is no key \"dependOn\" here; did you mean \"dependsOn\"?\n  a.yaml:12: rings[0].policy: there is no key \"sook\" here; did you mean \"soak\"?"},
		{"not text", head + "selector: {in-shop: true}\n", "a.yaml:4: selector.in-shop: it is of type boolean, and must be of type string; put it in quotes"},
		{"choice", head + "rings: [{name: a, policy: {onFailure: explode}}]\n", "a.yaml:4: rings[0].policy.onFailure: \"explode\" is none of stop pause rollback-ring rollback"},
		{"duration", head + "rings: [{name: a, policy: {soak: 5 minutes}}]\n", "a.yaml:4: rings[0].policy.soak: \"5 minutes\" is not a duration such as 90s, 5m or 1h30m"},
		{"amount", head + "rings: [{name: a, policy: {maxFailed: -1}}]\n", "a.yaml:4: rings[0].policy.maxFailed: -1 is less than 0"},
		{"share", head + "rings: [{name: a, policy: {maxFailed: 101%}}]\n", "a.yaml: it cannot be read: \"101%\" is neither a number of clusters nor a percentage of them"},
		{"name", head + "rings:\n- name: Ring_1\n", "a.yaml:5: rings[0].name: \"Ring_1\" is not a name: it has only a-z, 0-9 and '-', and begins and ends with a letter or digit"},
		{"missing", head + "services: [{name: db}]\n", "a.yaml:4: services[0]: repo is missing"},
		{"the model's", head + "rings: [{name: a, policy: {onOffline: skip}}, {name: a}]\nservices: [{name: db, repo: x, dependsOn: [dbb]}]\n",
			"a.yaml: ring \"a\" exists already\n  a.yaml: ring \"a\": on offline \"skip\": max offline is needed, to say how many may be left out\n" +
				"  a.yaml: service \"db\" depends on service \"dbb\": not found in application \"shop\"; did you mean \"db\"?"},
		{"cycle", head + "services: [{name: a, repo: x, dependsOn: [b]}, {name: b, repo: y, dependsOn: [a]}]\n", "a.yaml: dependency cycle: a -> b -> a"},
		{"cluster on two rings", head + "rings: [{name: a, clusters: [eu-1]}, {name: b, clusters: [eu-1]}]\n", "a.yaml: cluster \"eu-1\" is on ring \"a\" and on ring \"b\""},
		{"ring label in the selector", head + "selector: {ring: x}\n", "a.yaml: selector: ring=x: that label carries the ring"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("a.yaml", []byte(tt.text))
			if err == nil {
				t.Fatal("it is taken")
			}
			if d := cmp.Diff(tt.want, err.Error()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// What grows when it is read is not taken apart for ever.
func TestParse_bomb(t *testing.T) {
	text := "apiVersion: rollout/v1\nkind: Application\nname: shop\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		before := "*a" + string(rune('0'+i-1))
		text += "a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.Repeat(before+",", 10) + "]\n"
	}
	if _, err := Parse("a.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "excessive aliasing") {
		t.Errorf("got %v", err)
	}
}

// The schema and the types say the same keys, types and required keys.
func TestSchema_agreesWithFile(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	agree(t, root, root, reflect.TypeFor[File](), "file")
}

func agree(t *testing.T, root, s map[string]any, typ reflect.Type, where string) {
	t.Helper()
	if ref, ok := s["$ref"].(string); ok {
		s = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch {
	case typ == reflect.TypeFor[Span](), typ == reflect.TypeFor[Amount](), typ == reflect.TypeFor[time.Time]():
		if s["pattern"] == nil {
			t.Errorf("%s: the schema has no pattern", where)
		}
	case typ.Kind() == reflect.Pointer:
		agree(t, root, s, typ.Elem(), where)
	case typ.Kind() == reflect.Slice:
		agree(t, root, s["items"].(map[string]any), typ.Elem(), where+"[]")
	case typ.Kind() == reflect.Struct:
		agreeObject(t, root, s, typ, where)
	default:
		agreeScalar(t, s, typ, where)
	}
}

func agreeObject(t *testing.T, root, s map[string]any, typ reflect.Type, where string) {
	t.Helper()
	properties := s["properties"].(map[string]any)
	if want, got := keysOf(typ), slices.Collect(maps.Keys(properties)); !equalSets(want, got) {
		t.Errorf("%s: the type has %v, the schema %v", where, want, got)
	}
	if s["additionalProperties"] != false {
		t.Errorf("%s: the schema lets other keys in", where)
	}
	var required []string
	for f := range fields(typ) {
		if !strings.Contains(f.Tag.Get("json"), ",omit") {
			required = append(required, jsonName(f))
		}
		if p, ok := properties[jsonName(f)].(map[string]any); ok {
			agree(t, root, p, f.Type, where+"."+jsonName(f))
		}
	}
	var got []string
	list, _ := s["required"].([]any)
	for _, r := range list {
		got = append(got, r.(string))
	}
	if !equalSets(required, got) {
		t.Errorf("%s: without omitempty are %v, the schema requires %v", where, required, got)
	}
}

func agreeScalar(t *testing.T, s map[string]any, typ reflect.Type, where string) {
	t.Helper()
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Float64: "number", reflect.Map: "object"}[typ.Kind()]
	if s["const"] != nil || s["enum"] != nil {
		if want != "string" {
			t.Errorf("%s: a choice is not of type %s", where, typ)
		}
		return
	}
	if s["type"] != want {
		t.Errorf("%s: %s is of type %v in the schema", where, typ, s["type"])
	}
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
