package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// BenchmarkProcess is the time of whole processes, from their start to their
// end, for commands that need nothing but the store: first with a small one,
// then with 100,000 rollouts in it. DESIGN section 9 has the marks.
func BenchmarkProcess(b *testing.B) {
	binary := buildProgram(b)
	small, large := historyStore(b, 1), historyStore(b, 100_000)
	for _, bench := range []struct {
		name, store string
		args        []string
	}{
		{"version", small, []string{"version"}},
		{"app-list", small, []string{"app", "list"}},
		{"history=1", small, []string{"history"}},
		{"history=100000", large, []string{"history"}},
		{"history=100000,json", large, []string{"history", "shop", "-o", "json"}},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkProcess(b, binary, bench.store, bench.args) })
	}
}

func benchmarkProcess(b *testing.B, binary, path string, args []string) {
	var took []time.Duration
	for b.Loop() {
		c := exec.Command(binary, args...)
		c.Env = append(os.Environ(), "ROLLOUT_STORE="+path)
		begin := time.Now()
		out, err := c.CombinedOutput()
		took = append(took, time.Since(begin))
		if err != nil || !strings.Contains(string(out), "shop") && args[0] != "version" {
			b.Fatalf("%v: %s", err, out)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// buildProgram builds the program as it is released.
func buildProgram(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "rollout")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return binary
}

// historyStore is a store with rollouts that have succeeded.
func historyStore(b *testing.B, rollouts uint64) string {
	b.Helper()
	ctx, app := b.Context(), storetest.App("shop")
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "rollout.db"), store.Options{NoSync: true, NoWait: true})
	if err == nil {
		err = db.CreateApp(ctx, app)
	}
	first, d := storetest.Created(app, "ring-1"), orchestrator.Driver{Name: "host/7", Host: "host", PID: 7}
	if err == nil {
		_, err = db.CreateRollout(ctx, app.Name, func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) { return first, nil }, "ada", storetest.Start)
	}
	if err != nil {
		b.Fatal(err)
	}
	lease, err := db.Acquire(ctx, "shop-1", d, storetest.Start, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	tape := storetest.NewTape("shop-1", first, "ada", storetest.Start)
	if err := db.Append(ctx, []orchestrator.Batch{tape.Batch(lease, storetest.Whole(app, "ring-1", 5)...)}); err != nil {
		b.Fatal(err)
	}
	if err := db.Release(ctx, lease); err != nil {
		b.Fatal(err)
	}
	if err := storetest.CopyFirst(db.Path(), rollouts, 100); err != nil {
		b.Fatal(err)
	}
	return db.Path()
}
