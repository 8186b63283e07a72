package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// What is published is what the program says; -update writes it anew.
func TestReference_isCurrent(t *testing.T) {
	app := testProgram().app()
	for name, want := range map[string][]byte{"../../docs/reference.md": reference(app), "../../docs/rollout.1": manPage(app)} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the commands say (%v): go test ./cmd/rollout -run TestReference -update", name, err)
		}
	}
}

// Every command and every flag of it is in both.
func TestReference_whole(t *testing.T) {
	app := testProgram().app()
	page, man := string(reference(app)), strings.ReplaceAll(string(manPage(app)), `\-`, "-")
	leaves(app, func(path []string, c *cli.Command) {
		if c.Hidden {
			return
		}
		name := "rollout " + strings.Join(path, " ")
		if !strings.Contains(page, "# "+name+"\n") || !strings.Contains(man, name) {
			t.Errorf("%s is missing", name)
		}
		_, part, _ := strings.Cut(page, "# "+name+"\n")
		part, _, _ = strings.Cut(part, "\n### ")
		for _, f := range c.Flags {
			if flag := "--" + f.Names()[0]; !strings.Contains(part, "`"+flag) || !strings.Contains(man, flag) {
				t.Errorf("%s: %s is missing", name, flag)
			}
		}
	})
}

// Every command has a man page of its own with its flags, and each page leads
// to others that are there.
func TestManPages(t *testing.T) {
	app := testProgram().app()
	pages := manPages(app)
	leaves(app, func(path []string, c *cli.Command) {
		if c.Hidden {
			return
		}
		name := "rollout-" + strings.Join(path, "-")
		page := strings.ReplaceAll(string(pages[name+".1"]), `\-`, "-")
		if !strings.HasPrefix(page, ".nh") || !strings.Contains(page, ".TH "+name+" 1") || !strings.Contains(page, name+" - "+c.Usage) {
			t.Errorf("page of %s:\n%.200s", name, page)
		}
		for _, f := range c.Flags {
			if !strings.Contains(page, "--"+f.Names()[0]) {
				t.Errorf("%s: --%s is missing", name, f.Names()[0])
			}
		}
	})
	for name, page := range pages {
		_, also, _ := strings.Cut(strings.ReplaceAll(string(page), `\-`, "-"), "SEE ALSO")
		for _, other := range regexp.MustCompile(`rollout[a-z-]*\(1\)`).FindAllString(also, -1) {
			if pages[strings.TrimSuffix(other, "(1)")+".1"] == nil {
				t.Errorf("%s leads to %s, which is not there", name, other)
			}
		}
	}
}
