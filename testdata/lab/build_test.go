package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindModuleFromBelow(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{here, filepath.Join(here, "cmd", "lab"), filepath.Dir(filepath.Dir(here))} {
		t.Chdir(from)
		if got, err := findModule(); err != nil || got != here {
			t.Errorf("from %s: %q, %v", from, got, err)
		}
	}
	t.Chdir(t.TempDir())
	if got, err := findModule(); err == nil {
		t.Errorf("found %s outside the repository", got)
	}
}

func TestStampFollowsTheVersions(t *testing.T) {
	dir := t.TempDir()
	gomod, binary, stamp := filepath.Join(dir, "go.mod"), filepath.Join(dir, "etcd"), filepath.Join(dir, ".etcd.stamp")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(gomod, "require a v1")
	first, err := stampOf(gomod)
	if err != nil {
		t.Fatal(err)
	}
	write(stamp, first)
	if isBuilt(binary, stamp, first) {
		t.Error("built without a file")
	}
	write(binary, "")
	if !isBuilt(binary, stamp, first) {
		t.Error("not built with file and stamp")
	}
	write(gomod, "require a v2")
	if second, err := stampOf(gomod); err != nil || isBuilt(binary, stamp, second) {
		t.Errorf("still built after a change of version, %v", err)
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(portNames(Clusters(8)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]string{}
	for name, port := range ports {
		if other, taken := seen[port]; taken || port < firstPort || port >= lastPort {
			t.Errorf("%s has port %d, as has %s", name, port, other)
		}
		seen[port] = name
	}
}

func TestUpRefusesAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkFree(dir); err != nil {
		t.Errorf("old logs: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := checkFree(dir); err == nil || !strings.Contains(err.Error(), "precious") {
		t.Errorf("somebody's folder: %v", err)
	}
	if err := checkFree(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no folder: %v", err)
	}
}

func TestAgentValues(t *testing.T) {
	got, err := agentValues([]byte("token: t\nclientID: other\n"), "c1")
	if err != nil || !strings.Contains(string(got), "clientID: c1\n") || !strings.Contains(string(got), "token: t\n") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := agentValues([]byte("["), "c1"); err == nil {
		t.Error("nonsense was taken")
	}
}

func TestFailingChecks(t *testing.T) {
	got := failingChecks("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")
	if len(got) != 1 || got[0] != "etcd failed: reason withheld" {
		t.Errorf("%q", got)
	}
}
