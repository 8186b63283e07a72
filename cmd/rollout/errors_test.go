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
	}
	for _, tt := range tests {
		s := &orchestrator.State{ID: "shop-1", Phase: tt.phase, Rings: []rings.RingName{"ring-1"}}
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
