package gitrepo_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
)

// scaledYAML is fleetYAML with a setting on each ring.
var scaledYAML = strings.NewReplacer("          tag: v1\n", "          tag: v1\n        replicas: 2   # two\n", `tag: "v1"}`, `tag: "v1"}, replicas: 2`).Replace(fleetYAML)

// setJob is a job whose services have the setting.
func (s *site) setJob(i orchestrator.Item, values rings.Values) orchestrator.Job {
	i.Settings = values
	j := s.job(i)
	t := j.Targets[i.Service]
	t.Settings = []rings.Setting{{Name: "replicas", Field: "helm.values.replicas", Type: rings.SettingInt}}
	j.Targets[i.Service] = t
	return j
}

// Version, setting and nonce are one commit, found again by all three; what
// somebody else sets after us supersedes it.
func TestPublisher_Publish_settings(t *testing.T) {
	s := newSite(t, "fleet.yaml", scaledYAML)
	p, ctx := s.publisher(), t.Context()
	three := rings.Values{"replicas": "3"}
	first := ok(t, p.Survey(ctx, s.setJob(orchestrator.Item{Service: "db"}, nil)))
	if d := cmp.Diff(rings.Values{"replicas": "2"}, first.Settings); d != "" {
		t.Fatalf("settings (-want +got):\n%s", d)
	}
	in := item("db", "v1", 1, first.Tip)
	got := ok(t, p.Publish(ctx, s.setJob(in, three)))
	if got.Commit != s.tip() || got.Settings["replicas"] != "3" || got.Version != "v1" {
		t.Errorf("survey %+v", got)
	}
	if subject := s.run(s.bare, "log", "-1", "--format=%s", "main"); subject != "shop ring-1: db replicas 2 -> 3" {
		t.Errorf("subject %q", subject)
	}
	want := strings.Replace(strings.Replace(scaledYAML, "replicas: 2   # two", "replicas: 3   # two", 1), "    helm:\n      values:\n", "    forceSyncGeneration: 1\n    helm:\n      values:\n", 1)
	if d := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(s.show("fleet.yaml"))); d != "" {
		t.Errorf("file (-want +got):\n%s", d)
	}
	if again := ok(t, p.Publish(ctx, s.setJob(in, three))); again.Commit != got.Commit || s.count() != "2" {
		t.Errorf("again: commit %s, %s commits", again.Commit, s.count())
	}
	both := ok(t, p.Publish(ctx, s.setJob(item("db", "v2", 2, s.tip()), rings.Values{"replicas": "4"})))
	if subject := s.run(s.bare, "log", "-1", "--format=%s", "main"); subject != "shop ring-1: db v1 -> v2, replicas 3 -> 4" {
		t.Errorf("subject %q", subject)
	}
	eve := s.commit("by hand", "fleet.yaml", strings.Replace(s.show("fleet.yaml")+"\n", "replicas: 4", "replicas: 9", 1))
	in = item("db", "v2", 2, both.Tip)
	in.Commit = both.Commit
	late := ok(t, p.Survey(ctx, s.setJob(in, rings.Values{"replicas": "4"})))
	if late.Superseded == nil || late.Superseded.Commit != eve || late.Superseded.Settings["replicas"] != "9" {
		t.Errorf("superseded by %+v, want %s", late.Superseded, eve)
	}
}

// What somebody else set after the attempt was decided is not overwritten, and
// values that the clusters do not share are told.
func TestPublisher_Publish_settingsByHand(t *testing.T) {
	s := newSite(t, "fleet.yaml", scaledYAML)
	p, ctx := s.publisher(), t.Context()
	base := s.tip()
	s.commit("by hand", "fleet.yaml", strings.Replace(scaledYAML, "replicas: 2   # two", "replicas: 7   # seven", 1))
	refused(t, p.Publish(ctx, s.setJob(item("db", "v1", 1, base), rings.Values{"replicas": "3"})), orchestrator.Refused, orchestrator.CodeManual,
		"by Eve", "from v1 replicas=2 to v1 replicas=7 meanwhile")
	s.commit("gone", "fleet.yaml", fleetYAML)
	got := ok(t, p.Survey(ctx, s.setJob(orchestrator.Item{Service: "db"}, nil)))
	if _, there := got.Unsettled["replicas"]; !there || len(got.Settings) != 0 {
		t.Errorf("settings %v, unsettled %v", got.Settings, got.Unsettled)
	}
	refused(t, p.Publish(ctx, s.setJob(item("db", "v1", 1, s.tip()), rings.Values{"replicas": "3"})), orchestrator.Refused, orchestrator.CodeFile,
		"does not say helm.values.replicas", "helm: {values: {replicas: VALUE}}")
}
