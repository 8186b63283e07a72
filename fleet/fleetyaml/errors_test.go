package fleetyaml_test

import (
	"testing"

	"rollout/fleet/fleetyaml"
)

func TestError_Error(t *testing.T) {
	for _, tt := range []struct {
		err  fleetyaml.Error
		want string
	}{
		{fleetyaml.Error{File: "a/fleet.yaml", Msg: "is odd"}, "a/fleet.yaml: is odd"},
		{fleetyaml.Error{File: "f", Line: 3, Entry: "x", Msg: "is odd", Clusters: []string{"c1"}}, `f:3: entry "x": is odd (cluster c1)`},
		{fleetyaml.Error{File: "f", Msg: "is odd", Clusters: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}}, "f: is odd (clusters a, b, c, d, e, f, g, h and 2 more)"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
