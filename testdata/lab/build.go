package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	modulePath = "rollout/testdata/lab"

	// An API server without a version says v0.0.0, and Fleet and Helm refuse charts for it.
	linkFlags = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3" +
		" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
)

// program is a command that a lab runs, and the package that it is built from.
type program struct{ name, pkg string }

// programs are the foreign commands; their versions are those of go.mod.
var programs = []program{
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{"fleetcontroller", "github.com/rancher/fleet/cmd/fleetcontroller"},
	{"fleetagent", "github.com/rancher/fleet/cmd/fleetagent"},
	{"fleetcli", "github.com/rancher/fleet/cmd/fleetcli"},
	{"helm", "helm.sh/helm/v4/cmd/helm"},
	{"kwok", "sigs.k8s.io/kwok/cmd/kwok"},
}

// own is our own command: a lab runs it as its git server and its Job runner.
var own = program{"lab", "./cmd/lab"}

// BinDir returns the folder that the programs are built into. It lies in the user's cache folder and is shared by all labs.
func BinDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(cache, "rollout-lab", "bin"), nil
}

// Build compiles every program that is missing, or was built from another go.mod, and writes one line for each to out.
// The first build takes about ten minutes on two cores; afterwards it takes a second. It must be called from within the
// repository, because the versions are those of the lab's go.mod. Several processes may call it at once: one builds, the
// others wait for it.
func Build(ctx context.Context, out io.Writer) error {
	module, err := findModule()
	if err != nil {
		return err
	}
	bin, err := BinDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, filepath.Join(bin, ".lock"))
	if err != nil {
		return err
	}
	return errors.Join(buildAll(ctx, out, module, bin), unlock())
}

func buildAll(ctx context.Context, out io.Writer, module, bin string) error {
	want, err := stampOf(filepath.Join(module, "go.mod"))
	if err != nil {
		return err
	}
	for _, p := range programs {
		stamp := filepath.Join(bin, "."+p.name+".stamp")
		if isBuilt(filepath.Join(bin, p.name), stamp, want) {
			continue
		}
		if err := buildOne(ctx, out, module, bin, p); err != nil {
			return err
		}
		if err := os.WriteFile(stamp, []byte(want), 0o644); err != nil {
			return err
		}
	}
	return compile(ctx, module, bin, own)
}

// stampOf says what a program is built from: the module's versions, the toolchain and the flags.
func stampOf(gomod string) (string, error) {
	content, err := os.ReadFile(gomod)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(content, runtime.Version()+linkFlags...))
	return hex.EncodeToString(sum[:]), nil
}

func isBuilt(binary, stamp, want string) bool {
	if _, err := os.Stat(binary); err != nil {
		return false
	}
	got, err := os.ReadFile(stamp)
	return err == nil && string(got) == want
}

func buildOne(ctx context.Context, out io.Writer, module, bin string, p program) error {
	start := time.Now()
	fmt.Fprintf(out, "building %s ...\n", p.name)
	if err := compile(ctx, module, bin, p); err != nil {
		return err
	}
	fmt.Fprintf(out, "built %s in %.0f s\n", p.name, time.Since(start).Seconds())
	return nil
}

func compile(ctx context.Context, module, bin string, p program) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", linkFlags, "-o", filepath.Join(bin, p.name), p.pkg}
	_, err := goCommand(ctx, module, args...)
	if err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	return nil
}

// goCommand runs the go command in the lab's module, whatever workspace the caller works in.
func goCommand(ctx context.Context, module string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return output(cmd)
}

// output runs cmd and returns what it printed; an error carries the words that the command ended with.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, tail(stderr.String(), 2048))
	}
	return stdout.String(), nil
}

// tail returns the last bytes of s, without the line that it would begin in the middle of.
func tail(s string, size int) string {
	s = strings.TrimSpace(s)
	if len(s) <= size {
		return s
	}
	s = s[len(s)-size:]
	return s[strings.IndexByte(s, '\n')+1:]
}

// findModule returns the folder of the lab's module: the working folder or a parent of it, or testdata/lab under one.
func findModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{dir, filepath.Join(dir, "testdata", "lab")} {
			if found, err := isModule(candidate); found || err != nil {
				return candidate, err
			}
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the repository: module " + modulePath + " not found in the working folder or above")
		}
	}
}

func isModule(dir string) (bool, error) {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.HasPrefix(string(content), "module "+modulePath+"\n"), err
}
