package fleet

import (
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
)

var webTarget = testWatch.Targets[0]

var webPath = fleetPath("fleet-default", "gitrepos", "shop-web")

func TestHint(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	f.date = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := f.manager(t, Options{})
	hint := func(commit string) orchestrator.Outcome {
		t.Helper()
		out := m.Hint(t.Context(), testScope, webTarget, commit)
		if out.Result != orchestrator.OK {
			t.Errorf("%s: got %+v, want OK", commit, out)
		}
		return out
	}
	hint("B")
	got := f.object(webPath)["status"].(obj)
	if got["webhookCommit"] != "B" || got["commit"] != "A" || !strings.HasPrefix(got["lastWebhookTime"].(string), "2026-01-02T03:04:0") {
		t.Errorf("got status %v, want B at the server's time", got)
	}
	hint("C")
	hint("C")
	hint("B") // older
	if n := len(f.asked("patch gitrepos/status")); n != 2 {
		t.Errorf("got %d patches, want 2", n)
	}
	if got := f.object(webPath)["status"].(obj)["webhookCommit"]; got != "C" {
		t.Errorf("got %v, want C", got)
	}
}

func TestHint_Refused(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	f.deny["patch gitrepos/status"] = true
	m := f.manager(t, Options{})
	out := m.Hint(t.Context(), testScope, webTarget, "B")
	if out.Result != orchestrator.Refused || out.Code != orchestrator.CodeDenied || !strings.Contains(out.Words, "next poll") {
		t.Errorf("got %+v", out)
	}
	out = m.Hint(t.Context(), testScope, orchestrator.Target{GitRepo: "shop-wob"}, "B")
	if out.Code != orchestrator.CodeNotFound || !strings.Contains(out.Words, `did you mean "shop-web"?`) {
		t.Errorf("got %+v", out)
	}
}

func TestNudge(t *testing.T) {
	tests := []struct{ name, before string }{
		{"an own interval", "1h0m0s"},
		{"the default", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeAPI(t)
			repo := obj{"metadata": obj{"labels": obj{ManagedLabel: ManagedValue}, "generation": 3},
				"spec": obj{}, "status": obj{"gitJobStatus": "Current", "observedGeneration": 4}}
			if tt.before != "" {
				repo["spec"].(obj)["pollingInterval"] = tt.before
			}
			repo["status"].(obj)["commit"] = "A"
			populate(f)
			f.put(webPath, repo)
			if out := f.manager(t, Options{}).Nudge(t.Context(), testScope, webTarget); out.Result != orchestrator.OK || out.Words != "" {
				t.Errorf("got %+v, want OK", out)
			}
			got := f.object(webPath)
			interval, _ := got["spec"].(obj)["pollingInterval"].(string)
			if interval != tt.before || got["metadata"].(obj)["generation"] != 5.0 || len(annotations(got)) > 0 {
				t.Errorf("got %v, want it as before, after two changes", got)
			}
		})
	}
}

func annotations(o obj) obj {
	a, _ := o["metadata"].(obj)["annotations"].(obj)
	return a
}

func TestNudge_NotOurs(t *testing.T) {
	f := newFakeAPI(t)
	populate(f)
	out := f.manager(t, Options{}).Nudge(t.Context(), testScope, webTarget)
	if out.Result != orchestrator.Refused || !strings.Contains(out.Hint, `"pollingInterval":"16s"`) {
		t.Errorf("got %+v, want it refused with the command", out)
	}
	if n := len(f.asked("patch ")); n != 0 {
		t.Errorf("got %d patches, want none", n)
	}
}

func TestNudge_Interrupted(t *testing.T) {
	f := newFakeAPI(t)
	f.put(webPath, obj{"metadata": obj{"labels": obj{ManagedLabel: ManagedValue}, "annotations": obj{pollingAnnotation: "1h0m0s"}},
		"spec": obj{"pollingInterval": "1h0m1s"}})
	m := f.manager(t, Options{})
	m.Hint(t.Context(), testScope, webTarget, "B")
	if got := f.object(webPath); got["spec"].(obj)["pollingInterval"] != "1h0m0s" || len(annotations(got)) > 0 {
		t.Errorf("got %v, want the interval put back", got)
	}
}
