package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// codeLine is a line of a code block of the README: indented, or inside a
// fence, where nothing else begins so.
var codeLine = regexp.MustCompile(`(?m)^ *((?:rollout|make) .+)$`)

// comment is what follows a command on its line, where its output goes included.
var comment = regexp.MustCompile(`( {2,}| +#| > ).*$`)

func readmeCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range codeLine.FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.TrimSpace(comment.ReplaceAllString(m[1], "")))
	}
	return out
}

// The README's commands are there, and take these arguments and flags.
func TestREADME_commands(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, line := range readmeCommands(t) {
		words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
		if words[0] == "make" {
			if len(words) > 1 && !strings.Contains(string(makefile), "\n"+words[1]+":") {
				t.Errorf("README: %s: the Makefile has no such target", line)
			}
			continue
		}
		seen++
		if strings.Contains(line, `"`) {
			words = append(strings.Fields(line[:strings.Index(line, `"`)]), "words")
		}
		if _, err := parseLine(testProgram().app(), words[1:]); err != nil {
			t.Errorf("README: %s: %v", line, err)
		}
	}
	if seen < 15 {
		t.Errorf("found %d commands in the README, want at least 15", seen)
	}
}
