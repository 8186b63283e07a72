package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/orchestrator"
)

const (
	// pollingAnnotation holds the polling interval that a nudge changed, or
	// "default" if there was none, until it is put back.
	pollingAnnotation = "rollout/polling-interval"
	noInterval        = "default"

	// nudgeWait bounds the wait for the new Job's end: Fleet makes it 10 s after
	// the change, because it deletes the old one first and waits 5 s twice; then
	// its images may have to be pulled.
	nudgeWait  = 2 * time.Minute
	nudgeLook  = time.Second
	nudgeTidy  = 10 * time.Second // for putting the interval back, also after ctx ended
	nudgeDelta = time.Second
)

// Nudge implements orchestrator.Fleet. Fleet never runs a failed git job again
// by itself; it does after a change of the GitRepo's spec
// (gitjob_controller.go, shouldCreateJob). So the polling interval is made one
// second longer, and put back once the new Job ended; both run the same commit
// again and redeploy nothing that is as it should be. The original is kept in
// an annotation, so that the next Hint or Nudge puts it back if we are
// interrupted.
// Only GitRepos that were made here are changed.
func (m *Manager) Nudge(ctx context.Context, s orchestrator.Scope, t orchestrator.Target) orchestrator.Outcome {
	repo, err := m.lengthenPolling(ctx, s.Workspace, t.GitRepo)
	if err != nil {
		return Outcome(err)
	}
	if !Managed(repo) {
		return orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeDenied,
			Words: fmt.Sprintf("GitRepo %q was not made by rollout, so its spec is not changed", repo.Name),
			Hint: fmt.Sprintf(`kubectl -n %s patch gitrepo %s --type merge -p '{"spec":{"pollingInterval":"%s"}}'`,
				repo.Namespace, repo.Name, pollingOf(repo)+nudgeDelta)}
	}
	if !m.awaitJob(ctx, repo) {
		return orchestrator.Outcome{Result: orchestrator.OK, Words: fmt.Sprintf(
			"the git job is not done; GitRepo %q keeps a polling interval of %s until the next commit", repo.Name, pollingOf(repo)+nudgeDelta)}
	}
	// The change must not stay because our time is up.
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), nudgeTidy)
	defer cancel()
	if err := m.restoreLatest(tidy, repo); err != nil {
		return orchestrator.Outcome{Result: orchestrator.OK, Words: fmt.Sprintf(
			"the polling interval could not be put back yet: %v", err)}
	}
	return orchestrator.Outcome{Result: orchestrator.OK}
}

func pollingOf(repo *fleetv1.GitRepo) time.Duration {
	if repo.Spec.PollingInterval == nil {
		return defaultPolling
	}
	return cmp.Or(repo.Spec.PollingInterval.Duration, defaultPolling)
}

// lengthenPolling reads the GitRepo and, if it was made here, makes its polling
// interval longer and remembers the original, unless an earlier nudge's is
// still to be put back.
func (m *Manager) lengthenPolling(ctx context.Context, namespace, name string) (*fleetv1.GitRepo, error) {
	for {
		repo, err := m.gitRepo(ctx, namespace, name)
		if err != nil || !Managed(repo) {
			return repo, err
		}
		original := repo.Annotations[pollingAnnotation]
		if original == "" && repo.Spec.PollingInterval == nil {
			original = noInterval
		}
		if original == "" {
			original = repo.Spec.PollingInterval.Duration.String()
		}
		err = m.patchPolling(ctx, repo, (pollingOf(repo) + nudgeDelta).String(), original)
		if !isConflict(err) || !sleep(ctx, nudgeLook/4) {
			return repo, err
		}
	}
}

// restoreLatest puts the interval back on the GitRepo as it is now; a change at
// the same time is tried again.
func (m *Manager) restoreLatest(ctx context.Context, repo *fleetv1.GitRepo) error {
	for {
		now, err := m.gitRepo(ctx, repo.Namespace, repo.Name)
		if err == nil {
			err = m.restorePolling(ctx, now)
		}
		if err == nil || !sleep(ctx, nudgeLook/4) || !conflictOrUnreachable(err) {
			return err
		}
	}
}

// restorePolling puts the interval back if a nudge changed it. An interval that
// somebody set since then stays.
func (m *Manager) restorePolling(ctx context.Context, repo *fleetv1.GitRepo) error {
	original, ok := repo.Annotations[pollingAnnotation]
	if !ok {
		return nil
	}
	want, err := time.ParseDuration(original)
	if err != nil { // noInterval, or somebody's own words
		want = defaultPolling
	}
	if d := pollingOf(repo) - want; d <= 0 || d > time.Minute {
		original = pollingOf(repo).String()
	}
	if original == noInterval {
		return m.patchPolling(ctx, repo, nil, nil)
	}
	return m.patchPolling(ctx, repo, original, nil)
}

// patchPolling writes only if the GitRepo is as it was read; nil removes.
func (m *Manager) patchPolling(ctx context.Context, repo *fleetv1.GitRepo, interval, annotation any) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": repo.ResourceVersion, "annotations": map[string]any{pollingAnnotation: annotation}},
		"spec":     map[string]any{"pollingInterval": interval},
	})
	if err != nil {
		return fmt.Errorf("GitRepo %q: %w", repo.Name, err)
	}
	obj := &fleetv1.GitRepo{}
	obj.Namespace, obj.Name = repo.Namespace, repo.Name
	err = m.client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch))
	if err == nil {
		repo.Generation = obj.Generation
	}
	return request{verb: "patch", resource: resource("gitrepos"), namespace: repo.Namespace, name: repo.Name}.fail(err)
}

// awaitJob reports whether the new Job ended before nudgeWait or ctx were over:
// it failed again (Stalled was updated), or the Bundles carry the commit, which the failed Job had not
// brought about. Another change while it runs would make Fleet delete it. Its
// status alone does not tell: a Job that runs is "Current" too (kstatus).
func (m *Manager) awaitJob(ctx context.Context, repo *fleetv1.GitRepo) bool {
	ctx, cancel := context.WithTimeout(ctx, nudgeWait)
	defer cancel()
	for sleep(ctx, nudgeLook) {
		now, err := m.gitRepo(ctx, repo.Namespace, repo.Name)
		if err != nil || now.Status.ObservedGeneration < repo.Generation {
			continue
		}
		failed := now.Status.GitJobStatus == "Failed"
		if failed && stalledSince(now) != stalledSince(repo) || !failed && m.brought(ctx, now) {
			return true
		}
	}
	return false
}

func stalledSince(repo *fleetv1.GitRepo) string {
	for _, c := range repo.Status.Conditions {
		if c.Type == "Stalled" {
			return c.LastUpdateTime
		}
	}
	return ""
}

// brought reports whether all Bundles of the GitRepo carry its commit; there is
// at least one.
func (m *Manager) brought(ctx context.Context, repo *fleetv1.GitRepo) bool {
	n, behind := 0, 0
	err := listAll(ctx, m, "bundles", repo.Namespace, fleetv1.RepoLabel+"="+repo.Name, func(w *wireBundle) {
		n++
		if w.Metadata.Labels.Commit != repo.Status.Commit {
			behind++
		}
	})
	return err == nil && n > 0 && behind == 0
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func conflictOrUnreachable(err error) bool { return errors.Is(err, ErrUnreachable) || isConflict(err) }
