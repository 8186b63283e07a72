package rings_test

import (
	"fmt"
	"strings"
	"testing"

	"rollout/rings"
)

func grouped() *rings.Application {
	a := &rings.Application{Name: "shop", Groups: []rings.Group{{Name: "prod", Rings: []rings.RingName{"ring-3", "ring-2"}}, {Name: "late", Rings: []rings.RingName{"ring-3"}}}}
	for n := range 4 {
		a.Rings = append(a.Rings, rings.Ring{Name: rings.RingName(fmt.Sprint("ring-", n+1))})
	}
	return a
}

func TestApplication_Expand(t *testing.T) {
	for _, c := range []struct{ named, want string }{
		{"", "[]"},
		{"ring-1", "[ring-1]"},
		{"prod", "[ring-2 ring-3]"},
		{"prod late ring-4", "[ring-2 ring-3 ring-4]"},
		{"ring-2 prod", "[ring-2 ring-3]"},
		{"ring-1 ring-1", "[ring-1 ring-1]"}, // whoever says so is told
		{"prd", `ring "prd": not found in application "shop"; did you mean "prod"?`},
		{"prod rng-4", `ring "rng-4": not found in application "shop"; did you mean "ring-4"?`},
	} {
		var named []rings.RingName
		for _, w := range strings.Fields(c.named) {
			named = append(named, rings.RingName(w))
		}
		out, err := grouped().Expand(named)
		if got := fmt.Sprint(out); err != nil && err.Error() != c.want || err == nil && got != c.want {
			t.Errorf("%q: %s, %v, want %s", c.named, got, err, c.want)
		}
	}
}

func TestApplication_Ring_group(t *testing.T) {
	_, err := grouped().Ring("prod")
	if want := `ring "prod": it is a group of rings (ring-3, ring-2), and one ring is needed here`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestApplication_Validate_groups(t *testing.T) {
	if err := grouped().Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		group rings.Group
		want  string
	}{
		{rings.Group{Name: "prod", Rings: []rings.RingName{"ring-1"}}, `"prod" exists already`},
		{rings.Group{Name: "ring-1", Rings: []rings.RingName{"ring-1"}}, `"ring-1" exists already`},
		{rings.Group{Name: "Prod", Rings: []rings.RingName{"ring-1"}}, `ring group "Prod": a name has only`},
		{rings.Group{Name: "none"}, `ring group "none" has no rings`},
		{rings.Group{Name: "far", Rings: []rings.RingName{"ring-9"}}, `ring group "far": ring "ring-9": not found`},
		{rings.Group{Name: "two", Rings: []rings.RingName{"ring-1", "ring-1"}}, `ring "ring-1" stands there twice`},
		{rings.Group{Name: "deep", Rings: []rings.RingName{"prod"}}, `ring group "deep": ring "prod": not found`},
	} {
		a := grouped()
		a.Groups = append(a.Groups, c.group)
		if err := a.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.group, err, c.want)
		}
	}
}
