package gitrepo_test

import (
	"strings"
	"testing"

	"rollout/orchestrator"
)

// folders has its version in the name of a folder.
const folders = `targetCustomizations:
- name: first
  clusterSelector: {matchLabels: {ring: ring-1}}
  kustomize: {dir: overlays/v1}
- name: second
  clusterSelector: {matchLabels: {ring: ring-2}}
  kustomize: {dir: overlays/v1}
`

// A version whose folder is not there is refused; when it is, only the name
// changes.
func TestPublisher_Publish_folder(t *testing.T) {
	s := newSite(t, "db/fleet.yaml", folders, "db/overlays/v1/kustomization.yaml", "{}")
	p := s.publisher()
	publish := func(version string) orchestrator.Outcome {
		j := s.job(item("db", version, 1, ""))
		target := j.Targets["db"]
		target.Path, target.Fields = "db", []string{"kustomize.dir=overlays/{version}"}
		j.Targets["db"] = target
		return p.Publish(t.Context(), j)
	}
	o := publish("v2")
	refused(t, o, orchestrator.Refused, orchestrator.CodeFile)
	if !strings.Contains(o.Words, "db/overlays/v2/kustomization.yaml") || o.Hint == "" || s.count() != "1" {
		t.Errorf("%q, hint %q, %s commits", o.Words, o.Hint, s.count())
	}
	s.commit("the folder", "db/overlays/v2/kustomization.yaml", "{}")
	if got := ok(t, publish("v2")); got.Version != "v2" || got.Nonce != 1 {
		t.Errorf("got %+v", got)
	}
	want := strings.Replace(folders, "  kustomize: {dir: overlays/v1}", "  forceSyncGeneration: 1\n  kustomize: {dir: overlays/v2}", 1)
	if got := s.show("db/fleet.yaml"); got+"\n" != want {
		t.Errorf("file:\n%s", got)
	}
	for path, want := range map[string]bool{"db/overlays/v2": true, "/db/overlays/v2/kustomization.yaml": true, "db/overlays/v3": false, "": true} {
		if got, err := p.Exists(t.Context(), s.url, "main", path); err != nil || got != want {
			t.Errorf("exists %q: %t, %v", path, got, err)
		}
	}
}
