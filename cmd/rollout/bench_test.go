package main

import (
	"fmt"
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
// then with 100,000 rollouts on 1,000 clusters in it. DESIGN section 9 has the
// marks, and 100 ms is the one of where and find.
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
		{"history=100000,ring", large, []string{"history", "shop", "--ring", "ring-7"}},
		{"history=100000,none-fits", large, []string{"history", "shop", "--by", "nobody"}},
		{"history=100000,cluster", large, []string{"history", "shop", "--cluster", "eu-00042"}},
		{"history=100000,between", large, []string{"history", "--since", "2026-03-01T18:00:00Z", "--until", "2026-03-01T19:00:00Z"}},
		{"where=100000,recorded", large, []string{"where", "shop", "--recorded", "-o", "json"}},
		{"where=100000,at", large, []string{"where", "shop", "--at", storetest.Start.Add(99_999 * time.Second).Format(time.RFC3339)}},
		{"find=100000,version", large, []string{"find", storetest.CopiedVersion(100_000, 100)}},
		{"find=100000,everywhere", large, []string{"find", "v7", "-o", "json"}},
		{"find=100000,commit", large, []string{"find", storetest.Commit(77_001)}},
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
		if err != nil || !strings.Contains(string(out), "shop") && !strings.Contains(string(out), "nothing that was rolled out fits") && args[0] != "version" {
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

// rollOut is the rollout n, as CopyFirst would make it of the one before all
// others, driven: of what happens, so many events are appended at once.
func rollOut(b *testing.B, db *store.DB, app *rings.Application, n uint64, part int) {
	b.Helper()
	app.Plan["db"] = rings.PlanEntry{Version: rings.Version(storetest.CopiedVersion(n+1, 100))}
	ctx, begin := b.Context(), storetest.Start.Add(time.Duration(n)*time.Second)
	ring := app.Rings[n%uint64(len(app.Rings))].Name
	first, d := storetest.Created(app, ring), orchestrator.Driver{Name: "host/7", Host: "host", PID: 7}
	id, err := db.CreateRollout(ctx, app.Name, func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) { return first, nil }, "ada", begin)
	if err != nil {
		b.Fatal(err)
	}
	lease, err := db.Acquire(ctx, id, d, begin, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	tape := storetest.NewTape(id, first, "ada", begin)
	for part := range slices.Chunk(storetest.Whole(app, ring, 10), part) {
		if err := db.Append(ctx, []orchestrator.Batch{tape.Batch(lease, part...)}); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Release(ctx, lease); err != nil {
		b.Fatal(err)
	}
}

// historyStore is a store with rollouts that have succeeded, by turns on 100
// rings of 10 clusters: most are copies of the first, and the last 100 are not,
// because a copy's journal has the first one's times.
func historyStore(b *testing.B, rollouts uint64) string {
	b.Helper()
	ctx, app := b.Context(), storetest.App("shop")
	for n := 3; n <= 100; n++ {
		app.Rings = append(app.Rings, rings.Ring{Name: rings.RingName(fmt.Sprint("ring-", n))})
	}
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "rollout.db"), store.Options{NoSync: true, NoWait: true})
	if err == nil {
		err = db.CreateApp(ctx, app)
	}
	if err != nil {
		b.Fatal(err)
	}
	rollOut(b, db, app, 0, 1000)
	driven := min(rollouts-1, 100)
	if err := storetest.CopyFirst(db.Path(), rollouts-driven, 100); err != nil {
		b.Fatal(err)
	}
	for n := rollouts - driven; n < rollouts; n++ {
		rollOut(b, db, app, n, 8)
	}
	return db.Path()
}
