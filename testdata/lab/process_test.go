package lab

// The tests of this package are inside it: what they hold is below its API, which needs a running lab.

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0"
	for _, c := range []struct{ stat, want string }{
		{"7 (etcd) S" + tail, "4242"},
		{"7 (a ) b) R" + tail, "4242"},
		{"7 (etcd) Z" + tail, ""},
		{"7 (etcd)", ""},
		{"", ""},
	} {
		got, err := parseStat(c.stat)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("parseStat(%q) = %q, %v; want %q", c.stat, got, err, c.want)
		}
	}
}

func TestProcessLife(t *testing.T) {
	dir := newTestDir(t)
	p := &process{Name: "sleeper", Path: "/bin/sh", Args: []string{"-c", "echo awake; exec sleep 60"}}
	if p.alive() {
		t.Fatal("alive before it was started")
	}
	if err := p.start(dir); err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Fatal("not alive after it was started")
	}
	other := *p
	other.Started = "another boot/1"
	if err := other.end(t.Context(), time.Second); err != nil || !p.alive() {
		t.Fatalf("a process with the same pid and another start was touched: %v", err)
	}
	if err := p.end(t.Context(), 5*time.Second); err != nil || p.alive() {
		t.Fatalf("still alive after its end: %v", err)
	}
}

func TestProcessThatTakesNoHint(t *testing.T) {
	dir := newTestDir(t)
	p := &process{Name: "stubborn", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo set; while :; do sleep 1; done"}}
	if err := p.start(dir); err != nil {
		t.Fatal(err)
	}
	waitForLog(t, dir, p.Name, "set")
	if err := p.end(t.Context(), 50*time.Millisecond); err != nil || p.alive() {
		t.Fatalf("still alive after its end: %v", err)
	}
}

func waitForLog(t *testing.T, dir, name, words string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !strings.Contains(logTail(dir, name), words) {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// newTestDir returns a lab's folder with nothing running.
func newTestDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"logs", "home", "tmp", "git"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
