package orchestrator_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forbidden are the imports that a package, and those below it, must not have:
// the directions of DESIGN section 2. A path ends with "/..." when all below it
// is meant, too. Deep ones are forbidden by way of other packages as well.
var forbidden = []struct {
	from, imports string
	deep          bool
	why           string
}{
	{"rollout/...", "rollout/cmd/...", true, "cmd is the wiring; what others need of it belongs below it"},
	{"rollout/rings", "rollout/...", true, "the model is the bottom: every other package speaks its words"},
	{"rollout/rings", "k8s.io/...", true, "the model knows no Kubernetes type"},
	{"rollout/rings", "net/...", false, "the model does no I/O"},
	{"rollout/rings", "os/...", false, "the model does no I/O"},
	{"rollout/rings/appfile", "rollout/orchestrator/...", true, "a file describes an application, and no rollout"},
	{"rollout/rings/appfile", "rollout/store/...", true, "comparing is pure: what is stored is handed to it"},
	{"rollout/rings/appfile", "rollout/fleet/...", true, "comparing is pure: what Fleet has is handed to it"},
	{"rollout/rings/appfile", "net/...", false, "it gets bytes and returns bytes"},
	{"rollout/rings/appfile", "os/...", false, "it gets bytes and returns bytes"},
	{"rollout/orchestrator", "rollout/store/...", true, "the engine declares the ports that it needs; the store implements them"},
	{"rollout/orchestrator", "rollout/fleet/...", true, "the engine declares the ports that it needs; fleet implements them"},
	{"rollout/orchestrator", "rollout/checks/...", true, "the engine declares the ports that it needs; checks implements them"},
	{"rollout/orchestrator", "k8s.io/...", true, "the engine knows no Kubernetes type"},
	{"rollout/orchestrator", "sigs.k8s.io/...", true, "the engine knows no Kubernetes type"},
	{"rollout/orchestrator", "github.com/go-git/...", true, "git is behind the Publisher"},
	{"rollout/orchestrator", "go.etcd.io/...", true, "the journal is behind the Store"},
	{"rollout/orchestrator", "net/...", false, "what happens next is decided from inputs"},
	{"rollout/orchestrator", "os/...", false, "what happens next is decided from inputs"},
	{"rollout/orchestrator", "math/rand/...", false, "the same inputs must decide the same"},
	{"rollout/orchestrator/sim/...", "rollout/store/...", true, "the simulator plays the world, not the store"},
	{"rollout/orchestrator/sim/...", "rollout/checks/...", true, "the simulator plays the world, not the checks"},
	{"rollout/orchestrator/explore/...", "rollout/orchestrator/sim/...", true, "the explorer has a world of its own, small enough to be explored"},
	{"rollout/orchestrator/explore/...", "rollout/store/...", true, "the explorer plays the world, not the store"},
	{"rollout/orchestrator/explore/...", "rollout/fleet/...", true, "the explorer knows versions and nonces, no files"},
	{"rollout/orchestrator/explore/...", "rollout/checks/...", true, "the explorer plays the world, not the checks"},
	{"rollout/orchestrator/...", "rollout/orchestrator/forecast", true, "no decision is made from a forecast"},
	{"rollout/orchestrator/forecast", "rollout/store/...", true, "a forecast is made from what it is handed"},
	{"rollout/orchestrator/forecast", "rollout/fleet/...", true, "a forecast is made from what it is handed"},
	{"rollout/store/...", "rollout/orchestrator/forecast", true, "no decision is made from a forecast"},
	{"rollout/fleet/...", "rollout/orchestrator/forecast", true, "no decision is made from a forecast"},
	{"rollout/checks/...", "rollout/orchestrator/forecast", true, "no decision is made from a forecast"},
	{"rollout/store/...", "rollout/checks/...", true, "only cmd puts the checks to the engine"},
	{"rollout/fleet/...", "rollout/checks/...", true, "only cmd puts the checks to the engine"},
	{"rollout/checks/...", "rollout/store/...", true, "a check is handed to it with its job"},
	{"rollout/checks/...", "rollout/fleet/...", true, "a check asks what is outside of Fleet"},
	{"rollout/checks/...", "rollout/orchestrator/sim/...", true, "the simulator is for tests of the engine"},
	{"rollout/checks/...", "k8s.io/...", true, "a check asks what is outside of Fleet"},
	{"rollout/store/...", "rollout/fleet/...", true, "store and fleet never import each other"},
	{"rollout/store/...", "k8s.io/...", true, "the store works without a Kubernetes"},
	{"rollout/store/...", "net/...", false, "the store is one file of this host"},
	{"rollout/fleet/...", "rollout/store/...", true, "store and fleet never import each other"},
	{"rollout/fleet/...", "go.etcd.io/...", true, "what is remembered is the store's"},
	{"rollout/fleet/...", "github.com/urfave/...", true, "flags and printing are cmd's"},
	{"rollout/fleet/fleetyaml", "rollout/orchestrator/...", true, "editing a file knows nothing of rollouts"},
	{"rollout/fleet/fleetyaml", "k8s.io/client-go/...", true, "editing a file needs no cluster"},
	{"rollout/fleet/fleetyaml", "net/...", false, "it gets bytes and returns bytes"},
	{"rollout/fleet/fleetyaml", "os/...", false, "it gets bytes and returns bytes"},
	{"rollout/fleet/gitrepo", "k8s.io/client-go/...", true, "git needs no cluster: what it must know of them is handed to it"},
}

type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, f := range forbidden {
			if !covers(f.from, p.ImportPath) || covers("rollout/cmd/...", p.ImportPath) {
				continue
			}
			imports := p.Imports
			if f.deep {
				imports = p.Deps
			}
			for _, i := range imports {
				if covers(f.imports, i) && i != p.ImportPath {
					t.Errorf("%s imports %s: %s", p.ImportPath, i, f.why)
				}
			}
		}
	}
}

// covers reports whether the path is the pattern's.
func covers(pattern, path string) bool {
	above, all := strings.CutSuffix(pattern, "/...")
	return path == above || all && strings.HasPrefix(path, above+"/")
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps", "rollout/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if !slices.ContainsFunc(all, func(p goPackage) bool { return p.ImportPath == "rollout/rings" }) {
		t.Fatalf("the list has no rollout/rings: %v", all)
	}
	return all
}

// TestNoClock: all time comes from an Input or the Clock, so that a test, a
// simulation and a replay decide what the program decides.
func TestNoClock(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
	for _, dir := range []string{".", "../rings"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal("no files", err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, s.Sel.Name) {
					t.Errorf("%s: time.%s: the time comes from the Clock or the Input", set.Position(s.Pos()), s.Sel.Name)
				}
				return true
			})
		}
	}
}
