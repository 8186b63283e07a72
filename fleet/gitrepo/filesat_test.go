package gitrepo_test

import (
	"strings"
	"testing"

	"rollout/orchestrator"
)

func TestPublisher_FilesAt(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	behind := s.tip()
	first := s.commit("by hand", "fleet.yaml", says("v2", 1))
	p := s.publisher()
	target := s.job(orchestrator.Item{Service: "db"}).Targets["db"]
	ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
	broken := s.commit("broken", "fleet.yaml", "a: [")
	last := s.commit("mended", "fleet.yaml", says("v3", 2))
	ok(t, p.Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))

	unknown := strings.Repeat("0", 39) + "1"
	files, err := p.FilesAt(t.Context(), target, []string{behind, first, broken, last, unknown})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 || files[behind] == nil || files[first] == nil || files[last] == nil {
		t.Fatalf("files at %d commits, want the three that are at hand and can be read: %v", len(files), files)
	}
	for commit, want := range map[string]int64{behind: 0, first: 1, last: 2} {
		if got := files[commit].MaxNonce(); got != want {
			t.Errorf("at %s the nonce is %d, want %d", commit, got, want)
		}
	}

	if files, err := p.FilesAt(t.Context(), target, nil); err != nil || len(files) != 0 {
		t.Errorf("no commits: %v, %v", files, err)
	}
}
