package explore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// catcher is a test that finds what is wrong with an engine.
type catcher struct {
	pkg  string
	args []string
}

// explored is a small size, explored until something is broken.
func explored(shape string) catcher {
	return catcher{"rollout/orchestrator/explore", []string{"-test.run=^TestExplore$", "-shape=" + shape}}
}

// played are the first seeds of the simulator.
func played(seeds int) catcher {
	return catcher{"rollout/orchestrator/sim", []string{"-test.run=^TestSeeds$", fmt.Sprintf("-seeds=%d", seeds)}}
}

// mutants are engines with one line changed, and which invariant that breaks.
// peer names the published failure of another system that it replays.
var mutants = []struct {
	invariant     int
	name, peer    string
	file, old, by string
	catcher       catcher
}{
	{1, "dependents start while a dependency converges", "Fleet #1094", "step.go",
		"if n.Phase != StepDone && (n", "if n.Phase != StepDone && n.Phase != StepConverging && (n", explored("small")},
	{2, "a ring is done when nothing of it moves", "OCM #1201", "gate.go",
		"ended = ended && st.Phase.Ended()", "ended = ended && (st.Phase.Ended() || st.Phase == StepWaiting)", explored("small")},
	{3, "done on a status that is not bound to our commit", "Argo CD #29410", "judge.go",
		"	if v, held := st.judgeUptake(d); held {", "	if v, held := st.judgeUptake(d); held && d.Ready {\n\t\treturn verdict{phase: ClusterReady}\n\t} else if held {", explored("small")},
	{4, "a failure does not stop new starts", "OCM #327", "step.go",
		"return t.held() || failure != nil", "return t.held() || failure != nil && undo", explored("sharing")},
	{5, "nothing soaks", "Kargo #5342", "soak.go",
		"if r.Policy.Soak == 0 {", "if r.Policy.Soak >= 0 {", played(60)},
	{6, "the deadlines of a step do not end it", "", "converge.go",
		"if by.IsZero() || t.now.Before(by) {", "if by.IsZero() || t.now.Before(by) || true {", explored("small")},
	{7, "a new driver pushes before it has the claim", "KubeFleet preemption", "publish.go",
		"t.s.ring(st.Ring).Claimed && !st.Doubt", "!st.Doubt", explored("small")},
	{8, "what is pushed is not what was recorded", "", "publish.go",
		"= a.Version, a.Nonce, a.From,", "= a.Version, a.Nonce + 1, a.From,", explored("small")},
	{9, "a push changes more than the version and the nonce", "", "sim/git_publish.go",
		"d.files[name] = e.Bytes", "d.files[name] = append(e.Bytes, 10)", played(20)},
	{10, "a cluster that left is waited for", "KubeFleet #733", "judge.go",
		"if !has(st.Members, name) || st.Survey == nil {", "if st.Survey == nil {", played(200)},
	{11, "taken back in the order of going forward", "", "rollback.go",
		"out[need] = append(out[need], st.Target.Service)", "out[st.Target.Service] = append(out[st.Target.Service], need)", explored("back")},
	{11, "what may have been pushed is not taken back", "", "rollback.go",
		"(st.Changed || maybe)", "(st.Changed || maybe && false)", explored("back")},
	{12, "a version that somebody set is overwritten", "", "publish.go",
		"foreign && (st.Undo || !t.s.Options.Override) {", "foreign && !t.s.Options.Override && st.Undo {", explored("small")},
	{12, "a rollback overwrites a version that somebody set", "Kargo #6334", "publish.go",
		"foreign && (st.Undo || !t.s.Options.Override) {", "foreign && !t.s.Options.Override && !st.Undo {", explored("back")},
	{12, "a version that somebody set meanwhile goes unnoticed", "Flux #4676", "converge.go",
		"	case v.Superseded != nil:\n", "	case v.Superseded != nil && v.Rewritten:\n", explored("small")},
	{13, "what is known already is written again", "Argo CD #29044", "step.go",
		"	return was != is\n", "	return was != is || !is.Gone\n", explored("small")},
	{14, "a ring begins in spite of a lock or a closed window", "", "barred.go",
		"return !t.s.bars(ring, \"\", nil, t.now).Empty()", "return t.s.bars(ring, \"\", nil, t.now).Empty() && false", played(150)},
	{14, "a window that closes in the middle holds no step", "", "barred.go",
		"	if st.Undo {\n", "	if st.Undo || st.Attempt.Number == 0 {\n", played(150)},
	{14, "who went over one lock goes over all later ones", "", "barred.go",
		"b = b.Without(*s.Over)", "b = rings.Barriers{}", played(150)},
	{14, "a ring begins while a later one freezes it", "", "barred.go",
		"Frozen: t.s.others(told.Frozen)}", "Frozen: t.s.others(nil)}", played(150)},
}

// TestMutants builds engines with one line changed, and demands that the
// simulator or the explorer finds the invariant that each breaks.
func TestMutants(t *testing.T) {
	if testing.Short() || slow {
		t.Skip("it builds many programs")
	}
	had := map[int]bool{}
	for _, m := range mutants {
		had[m.invariant] = true
	}
	for n := 1; n <= 14; n++ {
		if !had[n] {
			t.Errorf("no engine breaks invariant %d", n)
		}
	}
	two := make(chan bool, 2)
	for _, m := range mutants {
		t.Run(fmt.Sprintf("%d %s", m.invariant, m.name), func(t *testing.T) {
			t.Parallel()
			two <- true
			defer func() { <-two }()
			out := catch(t, m.catcher, m.file, m.old, m.by)
			if !regexp.MustCompile(fmt.Sprintf(`invariant %d\b`, m.invariant)).MatchString(out) {
				t.Errorf("it is not caught by invariant %d:\n%s", m.invariant, head(out))
			}
		})
	}
}

func head(out string) string {
	return out[:min(len(out), 3000)]
}

// catch runs the catcher with the changed engine, and returns what it says. It
// must fail.
func catch(t *testing.T, c catcher, file, old, by string) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "catcher")
	build := exec.Command("go", "test", "-c", "-overlay", overlay(t, dir, file, old, by), "-ldflags=-s -w", "-o", bin, c.pkg)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, bin, c.args...)
	run.Dir = dir
	run.Env = append(os.Environ(), "GOMAXPROCS=1") // with more, chance says which broken invariant is found first
	out, err := run.CombinedOutput()
	if err == nil {
		t.Fatalf("nobody notices:\n%s", head(string(out)))
	}
	if ctx.Err() != nil {
		t.Fatalf("it takes too long:\n%s", head(string(out)))
	}
	return string(out)
}

// overlay writes the changed file, and what tells the compiler to take it.
func overlay(t *testing.T, dir, file, old, by string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("%s has %d lines with %q, not one", file, n, old)
	}
	changed := filepath.Join(dir, filepath.Base(file))
	write(t, changed, []byte(strings.Replace(string(source), old, by, 1)))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	write(t, name, list)
	return name
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
