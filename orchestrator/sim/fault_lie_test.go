package sim_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rollout/orchestrator/sim"
)

// shownBy names the test that shows each lie as an engine sees it.
var shownBy = map[sim.Lie]string{
	sim.LabelBeforeContent: "TestWorld_happyPath",
	sim.ContentBeyondLabel: "TestJob_contentBeyondTheLabel",
	sim.CommitSkipped:      "TestJob_commitSkipped",
	sim.JobNotRetried:      "TestFaults_jobFails",
	sim.JobOfAll:           "TestJob_brokenFileOfAnother",
	sim.FailureMasked:      "TestHint_masksAFailure",
	sim.OldTargetingWords:  "TestTargetingError_oldWords",
	sim.OldErrorWords:      "TestBehaviour_deployFails",
	sim.IdenticalSkipped:   "TestAgent_skipsIdenticalDeployment",
	sim.ReadyOfBefore:      "TestBehaviour_deployFails",
	sim.ReadyLate:          "TestBehaviour_readyThenFails",
	sim.ReadyOfTheDead:     "TestKillAgent_staleReady",
	sim.LabelOfTheHeld:     "TestSetMaxUnavailable",
	sim.MovesWithLabel:     "TestRelabel_equalNonces",
	sim.FolderForAll:       "TestPushFolder_redeploysAll",
	sim.EditBlocks:         "TestEditByHand",
}

func TestLies_areShown(t *testing.T) {
	tests := source(t)
	for _, lie := range sim.Lies {
		if name := shownBy[lie]; !strings.Contains(tests, "func "+name+"(") {
			t.Errorf("no test shows %q: there is no %q", lie, name)
		}
	}
	if len(shownBy) != len(sim.Lies) {
		t.Errorf("%d lies are shown, there are %d", len(shownBy), len(sim.Lies))
	}
}

// Every field of Faults, every kind of Behaviour and every Happening is used in
// a test.
func TestFaults_areShown(t *testing.T) {
	tests := source(t)
	for f := range reflect.TypeFor[sim.Faults]().Fields() {
		if f.Name == "May" {
			continue // it chooses what Unrest may bring
		}
		if !strings.Contains(tests, "Faults."+f.Name+" =") && !strings.Contains(tests, "Faults{"+f.Name+":") {
			t.Errorf("no test is about Faults.%s alone", f.Name)
		}
	}
	for _, kind := range constants(t, "fault.go", "BehaviourKind") {
		if kind != "Good" && !strings.Contains(tests, "Kind: sim."+kind) {
			t.Errorf("no test is about %s", kind)
		}
	}
	happenings := constants(t, "fault_happening.go", "Happening")
	if len(happenings) != len(sim.Happenings) {
		t.Errorf("%d happenings are listed, there are %q", len(sim.Happenings), happenings)
	}
	if lies := constants(t, "fault_lie.go", "Lie"); len(lies) != len(sim.Lies) {
		t.Errorf("%d lies are listed, there are %q", len(sim.Lies), lies)
	}
}

// source is the text of the package's tests of the world.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"world", "git", "fleet", "agent", "fault", "watch"} {
		b, err := os.ReadFile(name + "_test.go")
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// constants are the names of a file's constants of the type.
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Clean(file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok {
			if id, ok := s.Type.(*ast.Ident); ok && id.Name == typ {
				out = append(out, s.Names[0].Name)
			}
		}
		return true
	})
	slices.Sort(out)
	return out
}
