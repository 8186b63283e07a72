package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		err  error
		exit int
		code string
	}{
		{errors.New("something"), exitUnexpected, "unexpected"},
		{&usageError{what: "x"}, exitUsage, "usage"},
		{context.Canceled, exitInterrupted, "interrupted"},
		{errTimeout, exitUnexpected, "unexpected"},
		{&rings.UnknownError{Kind: "ring"}, exitNotFound, "not-found"},
		{orchestrator.ErrNotFound, exitNotFound, "not-found"},
		{rings.ErrExists, exitConflict, "exists"},
		{rings.ErrInUse, exitConflict, "in-use"},
		{&rings.CycleError{}, exitInvalid, "cycle"},
		{&rings.InvalidError{Faults: []string{"x"}}, exitInvalid, "invalid"},
		{&store.RingBusyError{ID: "shop-1"}, exitConflict, "ring-busy"},
		{&store.HaltedError{Halt: rings.Halt{App: "shop"}}, exitConflict, "halted"},
		{&orchestrator.BarredError{Barriers: rings.Barriers{Locks: []rings.Lock{{App: "shop"}}}}, exitConflict, "locked"},
		{&orchestrator.BarredError{Barriers: rings.Barriers{Frozen: []rings.Freeze{{Ring: "ring-1", By: "ring-2", Rollout: "shop-1"}}}}, exitConflict, "frozen"},
		{&orchestrator.BarredError{Barriers: rings.Barriers{Closed: []rings.Closure{{Ring: "ring-1"}}}}, exitConflict, "closed"},
		{store.ErrBusy, exitConflict, "store-busy"},
		{store.ErrReadOnly, exitUnexpected, "store-read-only"},
		{store.ErrNoSpace, exitUnexpected, "store-no-space"},
		{store.ErrCorrupt, exitUnexpected, "store-corrupt"},
		{store.ErrTooNew, exitConflict, "store-newer"},
		{store.ErrEnded, exitConflict, "ended"},
		{&orchestrator.LeasedError{}, exitConflict, "driven"},
		{fleet.ErrNoKubeconfig, exitUsage, "no-kubeconfig"},
		{fleet.ErrUnreachable, exitUnexpected, "unreachable"},
		{fleet.ErrCredentials, exitUnexpected, "credentials"},
		{fleet.ErrNoFleet, exitUnexpected, "no-fleet"},
		{fleet.ErrNoWorkspace, exitNotFound, "no-workspace"},
		{&fleet.ForbiddenError{}, exitUnexpected, "forbidden"},
		{&fleet.LabelsOwnedError{}, exitConflict, "labels-owned"},
		{fleetyaml.Faults{{Code: fleetyaml.CodeShared}}, exitInvalid, "fleet-yaml"},
		{&gitrepo.Error{Code: orchestrator.CodeAuth}, exitUnexpected, "authentication"},
		{&gitrepo.Error{Code: orchestrator.CodeNotFound}, exitNotFound, "not-found"},
		{&gitrepo.Error{Code: orchestrator.CodeConflict}, exitConflict, "conflict"},
	}
	for _, tt := range tests {
		v := classify(fmt.Errorf("wrapped: %w", tt.err))
		if v.exit != tt.exit || v.code != tt.code {
			t.Errorf("%v (%T) is %d %q, want %d %q", tt.err, tt.err, v.exit, v.code, tt.exit, tt.code)
		}
	}
}

// What can be said of the exit codes in `rollout help exit-codes` is said.
func TestExitCodes_Help(t *testing.T) {
	for _, code := range []int{exitDone, exitUnexpected, exitUsage, exitNotFound, exitConflict, exitInvalid, exitFailed, exitCancelled, exitTimeout, exitInterrupted} {
		if !strings.Contains(exitCodes, fmt.Sprintf("%4d  ", code)) {
			t.Errorf("the help does not name exit code %d", code)
		}
	}
}

func TestEnding(t *testing.T) {
	tests := []struct {
		phase orchestrator.Phase
		code  orchestrator.Code
		want  int
	}{
		{orchestrator.Succeeded, "", exitDone},
		{orchestrator.Cancelled, "", exitCancelled},
		{orchestrator.Failed, orchestrator.CodeNotReady, exitFailed},
		{orchestrator.Failed, orchestrator.CodeSuperseded, exitFailed},
		{orchestrator.Failed, orchestrator.CodeManual, exitConflict},
		{orchestrator.Failed, orchestrator.CodeClaimed, exitConflict},
		{orchestrator.Failed, orchestrator.CodeRollback, exitFailed},
		{orchestrator.RolledBack, orchestrator.CodeNotReady, exitFailed},
	}
	for _, tt := range tests {
		s := &orchestrator.State{ID: "shop-1", Phase: tt.phase, Rings: []*orchestrator.RingState{{Name: "ring-1"}}}
		if tt.code != "" {
			s.Failure = &orchestrator.Failure{Code: tt.code}
		}
		got := exitDone
		if err := ending(s); err != nil {
			got = classify(err).exit
		}
		if got != tt.want {
			t.Errorf("%s %s ends with %d, want %d", tt.phase, tt.code, got, tt.want)
		}
	}
}

// A GitRepo that is not there, or that we may not read, is no reason to try
// again; an API server that does not answer is.
func TestRefusedReach(t *testing.T) {
	tests := []struct {
		err  error
		code orchestrator.Code // "" is not named
	}{
		{nil, ""},
		{&rings.UnknownError{Kind: "GitRepo", Name: "db", Where: `workspace "fleet-default"`}, orchestrator.CodeNotFound},
		{&fleet.ForbiddenError{Verb: "get", Resource: "gitrepos"}, orchestrator.CodeDenied},
		{fleet.ErrUnreachable, ""},
		{errors.New("something"), ""},
	}
	for _, tt := range tests {
		got := refusedReach("db", tt.err)
		var named *gitrepo.Error
		if errors.As(got, &named) != (tt.code != "") || named != nil && (named.Code != tt.code || named.Result != orchestrator.Refused || named.Hint == "") {
			t.Errorf("%v became %#v", tt.err, got)
		}
	}
}

// Faults of the file are said once and not for every ring; each hint is there.
func TestBlockers(t *testing.T) {
	found := []findingView{
		{Ring: "ring-1", Severity: fleetyaml.Blocker, Line: 3, Message: "has imageScans", Hint: "remove imageScans"},
		{Ring: "ring-1", Severity: fleetyaml.Blocker, Line: 9, Entry: "eu", Clusters: []string{"c1"}, Message: "is a template", Hint: "write a version"},
		{Ring: "ring-1", Severity: fleetyaml.Warning, Message: "is strange"},
		{Ring: "ring-2", Severity: fleetyaml.Blocker, Line: 3, Message: "has imageScans", Hint: "remove imageScans"},
	}
	err := blockers(rings.Service{Name: "db", Repo: "https://git.example.com/db.git"}, "fleet.yaml", found)
	const want = "service \"db\": https://git.example.com/db.git:\n  fleet.yaml:3: has imageScans\n" +
		"  fleet.yaml:9: ring \"ring-1\": entry \"eu\": is a template (clusters c1)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if v := classify(err); v.hint != "remove imageScans; write a version" || v.exit != exitInvalid {
		t.Errorf("got %+v", v)
	}
}

func TestTogether(t *testing.T) {
	got := together([]fleet.Missing{
		{Verb: "list", Resource: "bundles", Namespace: "a", For: "x"}, {Verb: "watch", Resource: "bundles", Namespace: "a", For: "x"},
		{Verb: "patch", Resource: "bundles", Namespace: "a", For: "y"}, {Verb: "list", Resource: "bundles", For: "x"}})
	var words []string
	for _, m := range got {
		words = append(words, m.String())
	}
	const want = `list, watch bundles in namespace "a"; patch bundles in namespace "a"; list bundles in all namespaces`
	if s := strings.Join(words, "; "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

// Rancher's cluster names what to type where its labels are set, and where they
// are on Rancher's pages.
func TestMove_Owned(t *testing.T) {
	const place = "\nor in Rancher: Cluster Management > Clusters > eu > Edit Config > Labels & Annotations: app=shop, ring=ring-1"
	for owner, want := range map[string]string{
		`clusters.management.cattle.io "c-m-1"`:          "kubectl label --overwrite clusters.management.cattle.io c-m-1 app=shop ring=ring-1",
		`clusters.provisioning.cattle.io "workspace/eu"`: "kubectl -n workspace label --overwrite clusters.provisioning.cattle.io eu app=shop ring=ring-1",
	} {
		e := &fleet.LabelsOwnedError{Cluster: "eu", Owner: owner}
		mv := move{labels: map[string]string{"app": "shop", "ring": "ring-1"}, before: fleet.Cluster{LabelsOwned: e}}
		v := classify(mv.owned(e))
		if v.hint != want+place || v.exit != exitConflict || v.code != "labels-owned" || !errors.Is(mv.owned(e), fleet.ErrLabelsOwned) {
			t.Errorf("%s: got %+v, want the hint %s", owner, v, want+place)
		}
	}
}
