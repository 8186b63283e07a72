package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/urfave/cli/v2"
)

// Every command explains itself in the same way.
func TestCommands_Style(t *testing.T) {
	app := testProgram().app()
	walk(app.Commands, func(c *cli.Command) { checkSentence(t, c.Name, c.Usage) })
	leaves(app, func(path []string, c *cli.Command) {
		where := "rollout " + strings.Join(path, " ")
		if !strings.Contains(c.Description, "Examples:\n  "+where) && path[0] != "help" {
			t.Errorf("%s: no example", where)
		}
		for _, name := range strings.Fields(c.ArgsUsage) {
			if name != strings.ToUpper(name) {
				t.Errorf("%s: argument %s is not in capitals", where, name)
			}
		}
		checkFlags(t, where, c.Flags)
	})
	checkFlags(t, "rollout", app.Flags)
}

func checkSentence(t *testing.T, where, s string) {
	t.Helper()
	if s == "" || !unicode.IsUpper(rune(s[0])) || strings.HasSuffix(s, ".") {
		t.Errorf("%s: %q is to begin with a capital and to end without a full stop", where, s)
	}
}

func checkFlags(t *testing.T, where string, flags []cli.Flag) {
	t.Helper()
	for _, f := range flags {
		d := f.(cli.DocGenerationFlag)
		if f == cli.HelpFlag {
			continue
		}
		if d.GetUsage() == "" {
			t.Errorf("%s: --%s has no description", where, f.Names()[0])
		}
		if d.TakesValue() != strings.Contains(d.GetUsage(), "`") {
			t.Errorf("%s: --%s: %q is to have a word for the value, if it takes one", where, f.Names()[0], d.GetUsage())
		}
	}
}

// shellWord is a word of an example, its quotes included.
var shellWord = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)

// The examples are command lines that the program understands.
func TestCommands_Examples(t *testing.T) {
	app := testProgram().app()
	walk(app.Commands, func(c *cli.Command) {
		_, lines, _ := strings.Cut(c.Description, "Examples:\n")
		for l := range strings.Lines(lines) {
			command, _, _ := strings.Cut(strings.TrimSpace(l), " > ")
			if _, err := parseLine(app, shellWord.FindAllString(command, -1)[1:]); err != nil {
				t.Errorf("%s: %v", command, err)
			}
		}
	})
}

func TestHelp_Topics(t *testing.T) {
	for _, topic := range topicNames() {
		var out bytes.Buffer
		p := testProgram()
		p.stdout = &out
		if code := run(t.Context(), []string{"help", topic}, p.environment); code != exitDone || out.Len() == 0 {
			t.Errorf("help %s: code %d, %q", topic, code, out.String())
		}
	}
	if usage := testProgram().helpCommand().Usage; !slices.ContainsFunc(topicNames(), func(s string) bool { return strings.Contains(usage, s) }) {
		t.Errorf("help does not name its topics: %q", usage)
	}
}
