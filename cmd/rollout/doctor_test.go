package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
	"rollout/store"
)

// doctor returns what doctor finds, in short, and its exit code.
func (w *shopWorld) doctor(t *testing.T) ([]string, int) {
	t.Helper()
	code := w.rollout(t, "doctor", "-o", "json")
	var l list[ailmentView]
	if err := json.Unmarshal(w.out.Bytes(), &l); err != nil {
		t.Fatalf("%v: exit %d: %s", err, code, w.complaints.String())
	}
	var out []string
	for _, v := range l.Items {
		if v.Severity != fleetyaml.Info && v.Repair == "" {
			t.Errorf("no repair: %+v", v)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %v: %s", v.Area, v.Severity, v.Ring, v.Service, v.Clusters, v.Message))
	}
	return out, code
}

// make the clusters of the world those of a Fleet that is well.
func (w *shopWorld) heal() {
	for _, s := range []*gitSite{w.db, w.site} {
		s.run(s.bare, "config", "http.receivepack", "true")
	}
	for _, c := range w.lists["clusters"] {
		c.(map[string]any)["status"].(map[string]any)["agent"] = map[string]any{"lastSeen": time.Now().UTC().Format(time.RFC3339)}
	}
	w.objects["/apis/apps/v1/namespaces/cattle-fleet-system/deployments/fleet-controller"] = map[string]any{"spec": map[string]any{"template": map[string]any{
		"spec": map[string]any{"containers": []any{map[string]any{"image": "registry:5000/rancher/fleet:v0.16.0"}}}}}}
}

// Everything is looked at, every finding has a repair, and nothing is written.
func TestDoctor(t *testing.T) {
	w := newShopWorld(t)
	w.heal()
	found, code := w.doctor(t)
	if len(found) != 0 || code != exitDone {
		t.Fatalf("exit %d for a world that is well: %s", code, strings.Join(found, "\n"))
	}
	w.unchanged(t)

	w.lists["clusters"][1].(map[string]any)["status"].(map[string]any)["agent"] = map[string]any{"lastSeen": "2026-01-01T00:00:00Z"}
	w.lists["clusters"][2].(map[string]any)["metadata"].(map[string]any)["labels"] = map[string]any{"app": "shop", "ring": "ring-7"}
	w.lists["clusters"][3].(map[string]any)["metadata"].(map[string]any)["labels"] = map[string]any{"app": "shop"}
	w.objects["/apis/apps/v1/namespaces/cattle-fleet-system/deployments/fleet-controller"] = nil
	db, err := store.Open(t.Context(), w.store, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Services[0].Known = map[rings.RingName]rings.Known{"ring-1": {Version: "v9"}}
		a.Services[1].Repo = w.URL + "/gone.git"
		return nil
	})
	if err == nil {
		err = db.PutCluster(t.Context(), rings.Cluster{Name: "c9", App: "shop", Ring: "ring-1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	got, code := w.doctor(t)
	if code != exitUnexpected {
		t.Errorf("exit %d", code)
	}
	var short []string
	for _, line := range got {
		line = strings.ReplaceAll(line, w.URL, "URL")
		short = append(short, line[:min(len(line), 75)])
	}
	want := []string{
		`fleet info   []: its version is not known: there is no Deployment "fleet-co`,
		"clusters blocker   [c3]: its label ring=ring-7 names no ring of the applica",
		"clusters blocker   [c4]: it is of the application and on no ring: the label",
		"clusters blocker ring-1  [c9]: it was added, and Fleet does not have it any",
		"clusters blocker ring-1  [c2]: offline: no sign of its agent since 2026-01-",
		"git blocker  web []: URL/gone.git: repository not found",
		`fleet blocker  web []: GitRepo "shop-site" does not deploy web/fleet.yaml o`,
		`file blocker ring-1 db []: service "db": its fleet.yaml says v1 for ring-1,`,
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
