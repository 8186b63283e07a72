package orchestrator_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rollout/orchestrator"
	"rollout/rings"
)

// Of a group the locked rings are left out, and with them those that may not
// begin before them; what is named itself, passed through or gone over is not.
func TestNew_groupWithLocks(t *testing.T) {
	verified := map[rings.RingName]rings.Known{"ring-1": {Version: "v2", Verified: "shop-1"}}
	app := &rings.Application{Name: "shop", Rings: []rings.Ring{{Name: "ring-1"}, {Name: "ring-2"}, {Name: "ring-3"}},
		Groups:   []rings.Group{{Name: "prod", Rings: []rings.RingName{"ring-2", "ring-3"}}},
		Services: []rings.Service{{Name: "db", Known: verified}, {Name: "web"}}, Plan: rings.Plan{"db": {Version: "v2"}}}
	on := func(ring rings.RingName, service rings.ServiceName) map[rings.RingName][]rings.Lock {
		return map[rings.RingName][]rings.Lock{ring: {{App: "shop", Ring: ring, Service: service, Holder: "ann", Reason: "the fair"}}}
	}
	both := on("ring-2", "")
	both["ring-3"] = on("ring-3", "db")["ring-3"]
	prod, deploy := []rings.RingName{"prod"}, rings.Plan{"db": {Version: "v9"}}
	overridden := orchestrator.Options{GoOver: true, Override: true, Reason: "it must"}
	tests := []struct {
		name  string
		req   orchestrator.Request
		goes  string // the rings
		left  string // the words, each
		fails error
	}{
		{"nothing locked", orchestrator.Request{Rings: prod}, "ring-2 ring-3", "", nil},
		{"the last one", orchestrator.Request{Rings: prod, Locked: on("ring-3", "")}, "ring-2", "ring-3 is locked by ann", nil},
		{"its service", orchestrator.Request{Rings: prod, Locked: on("ring-3", "db")}, "ring-2", "service db on ring-3 is locked by ann", nil},
		{"another service", orchestrator.Request{Rings: prod, Locked: on("ring-3", "web")}, "ring-2 ring-3", "", nil},
		{"the first one, which the next needs", orchestrator.Request{Rings: prod, Locked: on("ring-2", "")}, "", "", orchestrator.ErrBarred},
		{"the first one, of a deploy", orchestrator.Request{Rings: prod, Locked: on("ring-2", ""), Deploy: deploy}, "ring-3", "ring-2 is locked by ann", nil},
		{"all", orchestrator.Request{Rings: prod, Locked: both, Deploy: deploy}, "", "", orchestrator.ErrBarred},
		{"one that is named", orchestrator.Request{Rings: []rings.RingName{"ring-2", "prod"}, Locked: on("ring-2", "")}, "ring-2 ring-3", "", nil},
		{"the next one after one that is named", orchestrator.Request{Rings: []rings.RingName{"ring-1", "prod"}, Locked: on("ring-2", "")},
			"ring-1", `ring-2 is locked by ann|ring "ring-2" comes before it and was not verified`, nil},
		{"passed through", orchestrator.Request{Rings: prod, Through: true, Locked: on("ring-2", "")}, "ring-1 ring-2 ring-3", "", nil},
		{"gone over", orchestrator.Request{Rings: prod, Locked: on("ring-2", ""), Options: overridden}, "ring-2 ring-3", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := orchestrator.New(app, test.req)
			if !errors.Is(err, test.fails) || err == nil && test.fails != nil {
				t.Fatalf("err = %v, want %v", err, test.fails)
			}
			var goes []string
			for _, r := range c.RingNames() {
				goes = append(goes, string(r))
			}
			if strings.Join(goes, " ") != test.goes {
				t.Errorf("goes %v, want %s", goes, test.goes)
			}
			for _, st := range c.Steps {
				if !slices.Contains(c.RingNames(), st.Ring) {
					t.Errorf("a step on %s, which is left", st.Ring)
				}
			}
			want := strings.FieldsFunc(test.left, func(r rune) bool { return r == '|' })
			if len(c.Left) != len(want) {
				t.Fatalf("left %v, want %v", c.Left, want)
			}
			for i, l := range c.Left {
				if !strings.Contains(l.Words, want[i]) {
					t.Errorf("left %v, want %v", l, want[i])
				}
			}
			if err == nil && len(orchestrator.Apply(nil, orchestrator.Event{Rollout: "shop-2", Seq: 1, Body: c}).Left) != len(want) {
				t.Error("the state does not know")
			}
		})
	}
}
