package main

import (
	"strings"
	"testing"

	"rollout/rings"
)

// Two applications share a service when it is one file, and a cluster is of
// both: not when only one of these holds.
func TestSharing(t *testing.T) {
	app := func(name, selector, repo string) *rings.Application {
		return &rings.Application{Name: rings.AppName(name), Workspace: "w", Manager: "m", RingLabel: "ring", Selector: map[string]string{selector: "true"},
			Services: []rings.Service{{Name: "db", Repo: repo, Branch: "main", Path: "deploy"}}}
	}
	shop, twin := app("shop", "shop", "https://git/db"), app("twin", "shop", "https://git/db.git")
	apart, other, elsewhere := app("apart", "apart", "https://git/db"), app("other", "shop", "https://git/other"), app("elsewhere", "shop", "https://git/db")
	elsewhere.Manager = "another"
	labels := map[rings.ClusterName]map[string]string{"eu-1": {"shop": "true", "ring": "ring-1"}, "eu-2": {"apart": "true", "ring": "ring-1"}}
	got := sharing([]*rings.Application{shop, twin, apart, other, elsewhere}, shop, shop.Services[0], labels)
	if len(got) != 1 || !strings.HasPrefix(got[0], `service "db" of application "twin" is the same file, on eu-1, too`) {
		t.Errorf("got %q", got)
	}
}
