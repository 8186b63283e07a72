package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// BenchmarkRehearse is the whole process of the first thing that a newcomer
// tries: a thousand clusters on three rings with a soak of an hour each. Its
// mark is 2 s.
func BenchmarkRehearse(b *testing.B) {
	binary := buildProgram(b)
	for b.Loop() {
		c := exec.Command(binary, "rehearse", "--clusters", "1000")
		c.Env = append(os.Environ(), "ROLLOUT_STORE="+b.TempDir()+"/none.db")
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "It would succeed") {
			b.Fatalf("%v: %s", err, out)
		}
	}
}
