package gitrepo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
)

func TestPublisher_Folders(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML, "apps/web/fleet.yaml", fleetYAML, "apps/db/fleet.yml", fleetYAML, "apps/both/fleet.yaml", fleetYAML, "apps/both/fleet.yml", fleetYAML,
		"apps/README.md", "x", "deep/er/still/fleet.yaml", fleetYAML, "trap/fleet.yaml/inside", "a folder of that name", "not/fleet.yaml.bak", "x")
	got, err := s.publisher().Folders(t.Context(), s.url, "main")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"", "apps/both", "apps/db", "apps/web", "deep/er/still"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	_, err = s.publisher().Folders(t.Context(), s.url, "no-such")
	if e, ok := err.(*gitrepo.Error); !ok || e.Code != orchestrator.CodeNotFound {
		t.Errorf("a branch that is not there: %v", err)
	}
}
