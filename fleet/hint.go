package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/orchestrator"
	"rollout/rings"
)

// hintsKept bounds how many hinted commits of a GitRepo are remembered.
const hintsKept = 64

// Hint implements orchestrator.Fleet. It patches webhookCommit and
// lastWebhookTime of the GitRepo's status, as Fleet's own webhook receiver does
// (pkg/webhook/webhook.go:168-170), and only these. The time is the API
// server's, never ours: a clock that is ahead blinds the GitRepo until then
// (manageGitJob in gitjob_controller.go waits while the time is less than 30 s
// ago). A commit that this process hinted before a newer one is not hinted
// again.
func (m *Manager) Hint(ctx context.Context, s orchestrator.Scope, t orchestrator.Target, commit string) orchestrator.Outcome {
	if m.hintedEarlier(s.Workspace, t.GitRepo, commit) {
		return orchestrator.Outcome{Result: orchestrator.OK, Words: "a newer commit was hinted already"}
	}
	repo, err := m.gitRepo(ctx, s.Workspace, t.GitRepo)
	if err != nil {
		return Outcome(err)
	}
	// An interrupted Nudge may have left its change: put it back when we pass by.
	if err := m.restorePolling(ctx, repo); err != nil && !errors.Is(err, ErrForbidden) {
		m.log.V(1).Info("polling interval was not put back", "gitrepo", repo.Name, "error", err.Error())
	}
	if repo.Status.WebhookCommit == commit || repo.Status.Commit == commit {
		return orchestrator.Outcome{Result: orchestrator.OK}
	}
	if err := m.patchStatus(ctx, repo, commit); err != nil {
		out := Outcome(err)
		if errors.Is(err, ErrForbidden) {
			out.Words += "; Fleet sees the commit at its next poll"
		}
		return out
	}
	return orchestrator.Outcome{Result: orchestrator.OK}
}

// hintedEarlier notes the commit, and reports whether another one was hinted
// after it.
func (m *Manager) hintedEarlier(namespace, name, commit string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := namespace + "/" + name
	if i := slices.Index(m.hints[k], commit); i >= 0 {
		return i < len(m.hints[k])-1
	}
	m.hints[k] = append(m.hints[k], commit)
	if n := len(m.hints[k]); n > hintsKept {
		m.hints[k] = slices.Clone(m.hints[k][n-hintsKept:])
	}
	return false
}

func (m *Manager) patchStatus(ctx context.Context, repo *fleetv1.GitRepo, commit string) error {
	status := map[string]any{"webhookCommit": commit}
	if now, ok := m.clock.Now(); ok {
		status["lastWebhookTime"] = now.UTC().Format(time.RFC3339)
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("GitRepo %q: %w", repo.Name, err)
	}
	obj := &fleetv1.GitRepo{}
	obj.Namespace, obj.Name = repo.Namespace, repo.Name
	err = m.client.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch))
	return request{verb: "patch", resource: resource("gitrepos") + "/status", namespace: repo.Namespace, name: repo.Name}.fail(err)
}

// Outcome is the answer that an error of this package makes of an action.
func Outcome(err error) orchestrator.Outcome {
	out := orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeUnexpected, Words: err.Error()}
	switch {
	case errors.Is(err, ErrForbidden):
		out.Code = orchestrator.CodeDenied
	case errors.Is(err, ErrCredentials):
		out.Code = orchestrator.CodeAuth
	case errors.Is(err, rings.ErrUnknown), errors.Is(err, ErrNoFleet):
		out.Code = orchestrator.CodeNotFound
	case errors.Is(err, ErrUnreachable), errors.Is(err, context.Canceled):
		out.Result, out.Code = orchestrator.Unreachable, orchestrator.CodeUnreach
	}
	return out
}
