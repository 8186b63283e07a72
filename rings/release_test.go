package rings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

func TestRelease_Difference(t *testing.T) {
	r := rings.Release{App: "shop", Number: 3, Versions: map[rings.ServiceName]rings.Version{"db": "v2", "api": "v7"}, Commit: "c0ffee", Message: "faster"}
	again := r
	again.Number, again.By, again.At, again.Link, again.From = 4, "bob", time.Unix(1, 0), "https://ci/2", "plan"
	if d := r.Difference(again); d != nil {
		t.Errorf("the same content differs: %q", d)
	}
	other := rings.Release{Versions: map[rings.ServiceName]rings.Version{"db": "v3", "web": "v1"}, Commit: "c0ffee", Author: "eve"}
	want := []string{`api: "v7" there, none here`, `db: "v2" there, "v3" here`, `web: none there, "v1" here`, `author: none there, "eve" here`, `message: "faster" there, none here`}
	if diff := cmp.Diff(want, r.Difference(other)); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func TestRelease_Validate(t *testing.T) {
	good := rings.Release{App: "shop", Key: "build/17", Versions: map[rings.ServiceName]rings.Version{"db": "v2"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := rings.Release{App: "shop", Key: "a b", Versions: map[rings.ServiceName]rings.Version{"db": "-2", "api": ":x"}}
	err := bad.Validate()
	for _, part := range []string{`service "api"`, `service "db"`, `key "a b"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if (rings.Release{App: "shop"}).Validate() == nil {
		t.Error("a release without versions is valid")
	}
}
