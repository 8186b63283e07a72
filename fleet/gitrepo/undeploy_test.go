package gitrepo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
)

// off is the file with ring-1 taken off.
var off = strings.Replace(fleetYAML, "    helm:\n      values:\n        image:\n          tag: v1\n",
	"    doNotDeploy: true\n    helm:\n      values:\n        image:\n          tag: v1\n", 1)

func TestPublisher_Undeploy(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	p := s.publisher()
	j := s.job(orchestrator.Item{Service: "db"})
	j.Rollout, j.Action.Reason = "", "no db here"

	look, err := p.Undeploy(t.Context(), j, nil)
	if err != nil || !look.Changed || look.Commit != "" || s.count() != "1" {
		t.Fatalf("looking: %v, %+v, %s commits", err, look, s.count())
	}
	no := errors.New("no")
	if _, err := p.Undeploy(t.Context(), j, func(gitrepo.Undeployment) error { return no }); !errors.Is(err, no) || s.count() != "1" {
		t.Fatalf("not agreed: %v, %s commits", err, s.count())
	}

	asked := 0
	got, err := p.Undeploy(t.Context(), j, func(u gitrepo.Undeployment) error {
		if asked++; asked == 1 {
			s.commit("somebody else", "docs", "x")
		}
		return nil
	})
	if err != nil || got.Commit != s.tip() || s.count() != "3" || asked != 2 {
		t.Fatalf("%v, commit %s, tip %s, %s commits, asked %d times", err, got.Commit, s.tip(), s.count(), asked)
	}
	if d := cmp.Diff(strings.TrimSpace(off), s.show("fleet.yaml")); d != "" {
		t.Errorf("file (-want +got):\n%s", d)
	}
	want := `shop ring-1: undeploy db v1

no db here

Ring: ring-1
Service: db
Actor: ann@example.com
Link: https://ci.example.com/7`
	if d := cmp.Diff(want, s.run(s.bare, "log", "-1", "--format=%B", "main")); d != "" {
		t.Errorf("message (-want +got):\n%s", d)
	}

	s.commit("elsewhere", "docs", "y")
	j.Actor = "bob"
	again, err := p.Undeploy(t.Context(), j, func(gitrepo.Undeployment) error { t.Error("asked again"); return nil })
	if err != nil || again.Changed || again.Commit != got.Commit || again.Actor != "ann@example.com" || s.count() != "4" {
		t.Errorf("again: %v, %+v, %s commits", err, again, s.count())
	}
	if o := p.Survey(t.Context(), j); len(o.Surveys) != 1 || len(o.Surveys[0].Expected) != 0 || len(o.Surveys[0].Excluded) != 2 {
		t.Errorf("a rollout sees %+v", o)
	}
}

// Where nobody may push, it is proposed: once, again after the file has changed, and
// no more after somebody has merged it.
func TestPublisher_Undeploy_proposes(t *testing.T) {
	const name = "rollout/shop/ring-1/undeploy-db"
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.protect()
	p := s.publisher()
	j := s.proposing(orchestrator.Item{Service: "db"})
	j.Rollout = ""
	agree := func(gitrepo.Undeployment) error { return nil }
	proposes := func(branch string) {
		t.Helper()
		u, err := p.Undeploy(t.Context(), j, agree)
		if err != nil || u.Commit != "" || u.Proposal == nil || u.Proposal.Branch != branch {
			t.Fatalf("%v, %+v, want it on %s", err, u, branch)
		}
		if d := cmp.Diff(strings.TrimSpace(string(u.Bytes)), s.run(s.bare, "show", branch+":fleet.yaml")); d != "" {
			t.Errorf("the branch's file (-want +got):\n%s", d)
		}
	}
	proposes(name)
	proposes(name)
	if got := s.branches(); len(got) != 1 {
		t.Errorf("branches %q, want one", got)
	}
	s.hook("pre-receive", "exit 0")
	s.commit("theirs", "fleet.yaml", "# theirs\n"+fleetYAML)
	s.protect()
	proposes(name + "-2")
	s.merge("squash", name+"-2")
	u, err := p.Undeploy(t.Context(), j, func(gitrepo.Undeployment) error { t.Error("asked when it says so"); return nil })
	if err != nil || u.Changed || u.Proposal != nil || u.Commit != s.tip() || u.Actor != "" { // they wrote the message of the squashed one
		t.Errorf("merged: %v, %+v", err, u)
	}

	j = s.job(orchestrator.Item{Service: "db"})
	j.Action.Ring = "ring-2"
	var refused *gitrepo.Error
	if _, err = p.Undeploy(t.Context(), j, agree); !errors.As(err, &refused) || refused.Code != orchestrator.CodeProtected || !strings.Contains(refused.Hint, "set-publish shop db branch") {
		t.Errorf("pushing: %v", err)
	}
}

func TestPublisher_Undeploy_refused(t *testing.T) {
	s := newSite(t, "fleet.yaml", "helm: {values: {image: {tag: v1}}}\n")
	_, err := s.publisher().Undeploy(t.Context(), s.job(orchestrator.Item{Service: "db"}), nil)
	var refused *gitrepo.Error
	if !errors.As(err, &refused) || refused.Code != orchestrator.CodeFile || refused.Hint == "" {
		t.Errorf("got %v", err)
	}
}
