package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// evidence is the scenarios in which a real Fleet does what the simulator
// plays, or why none does it.
type evidence struct {
	tests []string
	not   string
}

func by(tests ...string) evidence   { return evidence{tests: tests} }
func notOf(reason string) evidence  { return evidence{not: "not Fleet's: " + reason} }
func ourOwn(reason string) evidence { return evidence{not: "our own: " + reason} }

// agreement has a row for everything that orchestrator/sim can be told to
// play, by its name there.
var agreement = map[string]evidence{
	// Lies: what Fleet says when all is well with it.
	"LabelBeforeContent": by("TestFleetCommits"),
	"ContentBeyondLabel": by("TestLieForeignContent"),
	"CommitSkipped":      by("TestFleetCommits"),
	"JobNotRetried":      by("TestFleetJobs"),
	"JobOfAll":           by("TestBrokenNeighbour"),
	"FailureMasked":      by("TestFleetJobs"),
	"OldTargetingWords":  by("TestFleetWords"),
	"OldErrorWords":      by("TestFleetWords", "TestLieStaleWords"),
	"IdenticalSkipped":   by("TestFleetSkipsIdentical", "TestRollbackIdentical"),
	"ReadyOfBefore":      by("TestFleetSkipsIdentical", "TestFleetCommits"),
	"ReadyLate":          by("TestSoakBeginsAgain"),
	"ReadyOfTheDead":     by("TestOffline"),
	"LabelOfTheHeld":     by("TestMaxUnavailable", "TestOffline"),
	"MovesWithLabel":     by("TestRelabelOut", "TestLieRelabelled"),
	"FolderForAll":       by("TestFleetCommits"),
	"EditBlocks":         by("TestLieChangedByHand", "TestMaxFailed"),

	// What becomes of a version.
	"Good":           by("TestMainJob"),
	"NeverReady":     by("TestNeverReady", "TestRollbackRing"),
	"InstallFails":   by("TestFleetWords"),
	"DeployFails":    by("TestFleetSkipsIdentical", "TestSoftFailure"),
	"WaitsForOthers": by("TestDependsOn"),
	"HiddenConflict": by("TestMaxFailed", "TestSkip"),
	"ReadyThenFails": by("TestSoakBeginsAgain"),
	"FailsChecks":    by("TestCheckFails"),

	// What happens by itself.
	"AgentDies":    by("TestOffline", "TestOutages"),
	"AgentGone":    by("TestOffline"),
	"ClusterJoins": by("TestRelabelIn"),
	"ClusterGoes":  by("TestOutages"),
	"ClusterMoves": by("TestRelabelOut", "TestRelabelIn"),
	"ClusterHeld":  by("TestOffline"),
	"OffSchedule":  by("TestOffline"),
	"HandEdit":     by("TestLieChangedByHand"),
	"GitDown":      by("TestOutages"),
	"PushElse":     by("TestOthersPush"),
	"PushFolder":   by("TestFleetCommits"),
	"PushFile":     by("TestFleetCommits"),
	"PushVersion":  by("TestManualChangeMeanwhile", "TestUpstreamGate"),
	"PushNonce":    by("TestNonceByHand"),
	"PushRevert":   by("TestFleetSkipsIdentical"),
	"PushBroken":   by("TestBrokenNeighbour", "TestFleetRefuses"),
	"Rewritten":    by("TestRewritten"),
	"ClockJumps":   notOf("it is the clock of the host that drives"),

	// How a person merges what is proposed.
	"MergeCommit": by("TestPropose"),
	"MergeSquash": by("TestPropose"),
	"MergeRebase": notOf("to it a commit that was made anew is what a squashed one is"),

	// How often something that is done goes wrong.
	"Faults.Unreachable":      by("TestGitServer", "TestOutages"),
	"Faults.PushRaced":        by("TestOthersPush"),
	"Faults.PushRefused":      by("TestGitServer"),
	"Faults.PushLost":         by("TestLostAnswer"),
	"Faults.PushDropped":      notOf("the network loses a push before the git server has it"),
	"Faults.Outlives":         by("TestKill", "TestKillAtEveryBoundary"),
	"Faults.ClaimRefused":     by("TestSecondStore"),
	"Faults.ClaimUnreachable": by("TestOutages"),
	"Faults.HintRefused":      by("TestPermissions"),
	"Faults.HintLost":         notOf("a hint that is answered and has no effect; Fleet's own polls are in TestFleetCommits"),
	"Faults.NudgeUnreachable": by("TestOutages"),
	"Faults.CheckBad":         by("TestCheckFails"),
	"Faults.CheckSilent":      by("TestPrometheusWithoutData"),
	"Faults.JobFails":         by("TestGitJobFails", "TestFleetJobs"),
	"Faults.JobSlow":          by("TestLieForeignContent"),
	"Faults.AwaitsValues":     by("TestFleetAwaitsValues"),
	"Faults.SoftFailures":     by("TestSoftFailure"),
	"Faults.StatusLags":       by("TestOutages"),
	"Faults.CheckInLost":      by("TestDoctor"),
	"Faults.WatchLate":        notOf("the network between the API server and us"),
	"Faults.WatchDoubled":     notOf("a watch that begins anew tells again what it has told"),
	"Faults.WatchStale":       notOf("an API server that lags behind the others"),
	"Faults.WatchLost":        notOf("the network between the API server and us; TestOutages has the watch begin anew"),
	"Faults.Unrest":           ourOwn("how often the above happen"),
	"Faults.May":              ourOwn("which of the above may happen"),
}

// The lab agrees with the simulator: everything that it plays has a scenario
// here, or a reason why not; and nothing is in the table that is not there.
func TestSimulatorAgrees(t *testing.T) {
	played := playedBySimulator(t)
	scenarios := scenarioNames(t)
	for _, name := range played {
		e, ok := agreement[name]
		if !ok {
			t.Errorf("orchestrator/sim plays %s: no scenario shows it", name)
		}
		for _, test := range e.tests {
			if !slices.Contains(scenarios, test) {
				t.Errorf("%s: there is no scenario %s", name, test)
			}
		}
	}
	for name := range agreement {
		if !slices.Contains(played, name) {
			t.Errorf("orchestrator/sim does not play %s", name)
		}
	}
}

// playedBySimulator reads the names out of orchestrator/sim: its constants of
// the types below, and the fields of Faults.
func playedBySimulator(t *testing.T) []string {
	t.Helper()
	var out []string
	inspect(t, filepath.Join("..", "..", "..", "orchestrator", "sim"), func(n ast.Node) {
		switch n := n.(type) {
		case *ast.ValueSpec:
			kind, ok := n.Type.(*ast.Ident)
			if ok && slices.Contains([]string{"Lie", "BehaviourKind", "Happening", "Merging"}, kind.Name) {
				out = append(out, names(n.Names)...)
			}
		case *ast.TypeSpec:
			if fields, ok := n.Type.(*ast.StructType); ok && n.Name.Name == "Faults" {
				for _, f := range fields.Fields.List {
					for _, name := range names(f.Names) {
						out = append(out, "Faults."+name)
					}
				}
			}
		}
	})
	if len(out) < 50 {
		t.Fatalf("only %d names in orchestrator/sim: %q", len(out), out)
	}
	return out
}

// scenarioNames are the tests of this package.
func scenarioNames(t *testing.T) []string {
	t.Helper()
	var out []string
	inspect(t, ".", func(n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
			out = append(out, f.Name.Name)
		}
	})
	return out
}

// inspect visits every node of a folder's Go files; of another folder than
// this one, tests are left out.
func inspect(t *testing.T, dir string, visit func(ast.Node)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") && dir != "." {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool { visit(n); return true })
	}
}

func names(idents []*ast.Ident) []string {
	var out []string
	for _, i := range idents {
		out = append(out, i.Name)
	}
	return out
}
