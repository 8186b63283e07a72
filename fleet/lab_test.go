package fleet_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
)

// labManager connects to the lab (testdata/lab) whose kubeconfig is named by
// ROLLOUT_LAB; without it the test is skipped. The lab has the sample
// application.
func labManager(t *testing.T) *fleet.Manager {
	t.Helper()
	kubeconfig := os.Getenv("ROLLOUT_LAB")
	if kubeconfig == "" {
		t.Skip("ROLLOUT_LAB names no lab's kubeconfig")
	}
	m, err := fleet.Connect(t.Context(), fleet.Options{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var shop = orchestrator.Scope{App: "shop", Workspace: fleet.DefaultWorkspace, RingLabel: "ring", Selector: map[string]string{"app": "shop"}}

func shopTarget(service, path string) orchestrator.Target {
	return orchestrator.Target{Service: rings.ServiceName(service), GitRepo: "shop-" + service, Path: path, Branch: "main"}
}

func TestLab_Reads(t *testing.T) {
	m := labManager(t)
	id, err := m.ID(t.Context())
	t.Logf("ID: %s, %v", id, err)
	missing, err := m.Permissions(t.Context())
	t.Logf("missing: %v, %v", missing, err)
	clusters, err := m.Clusters(t.Context())
	t.Logf("clusters: %+v, %v", clusters, err)
	_, err = m.Cluster(t.Context(), "c9")
	t.Logf("c9: %v", err)
	reach, err := m.Reach(t.Context(), shop, shopTarget("db", "deploy"))
	t.Logf("reach: %+v, %v", reach, err)
	deployed, err := m.Deployed(t.Context(), "shop-db")
	t.Logf("deployed: %+v, %v", deployed, err)
	repo, err := m.GitRepo(t.Context(), "shop-db")
	if err != nil {
		t.Fatal(err)
	}
	found, err := m.FindGitRepos(t.Context(), repo.Spec.Repo+"/", "main", "/deploy/")
	t.Logf("found %d, %v", len(found), err)
	name, err := m.BundleOf(t.Context(), repo, "deploy", "")
	t.Logf("bundle %q, %v", name, err)
}

func TestLab_Watch(t *testing.T) {
	m := labManager(t)
	ctx, cancel := context.WithTimeout(t.Context(), labTime())
	defer cancel()
	var mu sync.Mutex
	began := time.Now()
	w := orchestrator.Watch{Scope: shop, Ring: "ring-1", Targets: []orchestrator.Target{
		shopTarget("db", "deploy"), shopTarget("web", "web"), shopTarget("docs", "docs")}}
	var kinds []string
	err := m.Watch(ctx, w, func(facts []orchestrator.Fact) {
		mu.Lock()
		defer mu.Unlock()
		for _, f := range facts {
			b, _ := json.Marshal(f)
			t.Logf("%6.2fs %s", time.Since(began).Seconds(), b)
			if f.Synced {
				kinds = append(kinds, string(f.Service))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"db", "web", "docs"}; !slices.Equal(kinds, want) {
		t.Errorf("got Synced for %v, want %v", kinds, want)
	}
}

func labTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("ROLLOUT_LAB_TIME")); err == nil {
		return d
	}
	return 3 * time.Second
}

// TestLab_Writes nudges and hints the GitRepo shop-db and takes a claim; it
// leaves the GitRepo with the label of those that were made here.
func TestLab_Writes(t *testing.T) {
	m := labManager(t)
	repo, err := m.GitRepo(t.Context(), "shop-db")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	target := shopTarget("db", "deploy")
	t.Logf("nudge: %+v", m.Nudge(t.Context(), shop, target))
	after, err := m.GitRepo(t.Context(), "shop-db")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: generation %d to %d, observed %d, polling %v to %v, job %s, annotations %v", time.Since(began), repo.Generation, after.Generation,
		after.Status.ObservedGeneration, repo.Spec.PollingInterval, after.Spec.PollingInterval, after.Status.GitJobStatus, after.Annotations)
	t.Logf("hint: %+v", m.Hint(t.Context(), shop, target, os.Getenv("ROLLOUT_LAB_COMMIT")))

	a, b := fleet.NewClaims(m, fleet.ClaimOptions{Store: "a"}), fleet.NewClaims(m, fleet.ClaimOptions{Store: "b"})
	defer a.Close()
	defer b.Close()
	for _, out := range []orchestrator.Outcome{a.Take(t.Context(), shop, "ring-1", "shop-1"), b.Take(t.Context(), shop, "ring-1", "shop-2")} {
		t.Logf("claim: %+v", out)
	}
	if err := a.Confirm(t.Context(), shop, "ring-1"); err != nil {
		t.Error(err)
	}
	if err := a.Release(t.Context(), shop, "ring-1"); err != nil {
		t.Error(err)
	}
	if out := b.Take(t.Context(), shop, "ring-1", "shop-2"); out.Result != orchestrator.OK {
		t.Errorf("got %+v, want OK", out)
	}
	if err := b.Release(t.Context(), shop, "ring-1"); err != nil {
		t.Error(err)
	}
}
