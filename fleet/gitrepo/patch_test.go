package gitrepo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollout/fleet/gitrepo"
)

// What Patch returns makes the one text of the other, by git's own hand.
func TestPatch(t *testing.T) {
	long := strings.Repeat("key: value\n", 20)
	tests := []struct{ name, before, after string }{
		{"a line", fleetYAML, strings.Replace(fleetYAML, "tag: v1", "tag: v2", 1)},
		{"a line more", fleetYAML, says("v2", 7)},
		{"carriage returns", "a: 1\r\nb: 2\r\n", "a: 1\r\nb: 3\r\n"},
		{"no end of line", "a: 1\nb: 2", "a: 1\nb: 3"},
		{"an end of line more", "a: 1\nb: 2", "a: 1\nb: 2\nc: 3\n"},
		{"two hunks", "a: 1\n" + long + "b: 1\n", "a: 2\n" + long + "b: 2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			patch, err := gitrepo.Patch("/db/fleet.yaml", []byte(tt.before), []byte(tt.after))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "db", "fleet.yaml")
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(tt.before), 0o644); err != nil {
				t.Fatal(err)
			}
			git := exec.Command("git", "apply", "-")
			git.Dir, git.Stdin = dir, strings.NewReader(patch)
			if out, err := git.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s\n%s", err, out, patch)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != tt.after {
				t.Errorf("%v: %q, want %q\n%s", err, got, tt.after, patch)
			}
		})
	}
	if patch, err := gitrepo.Patch("fleet.yaml", []byte("a"), []byte("a")); patch != "" || err != nil {
		t.Errorf("nothing changes: %q, %v", patch, err)
	}
}
