package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

func testProgram() *program {
	return &program{environment: environment{getenv: func(string) string { return "" }, now: time.Now}}
}

// leaves calls visit with every command that does something, and its path.
func leaves(app *cli.App, visit func(path []string, c *cli.Command)) {
	var down func([]string, []*cli.Command)
	down = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			here := append(slices.Clone(path), c.Name)
			if len(c.Subcommands) > 0 {
				down(here, c.Subcommands)
				continue
			}
			visit(here, c)
		}
	}
	down(nil, app.Commands)
}

// sample is the flag as a person writes it.
func sample(f cli.Flag) []string {
	name := "--" + f.Names()[0]
	switch f.(type) {
	case *cli.BoolFlag:
		return []string{name}
	case *cli.DurationFlag:
		return []string{name, "5m"}
	case *cli.IntFlag:
		return []string{name, "7"}
	}
	switch f.Names()[0] {
	case "output":
		return []string{"-o", "json"}
	case "log-level":
		return []string{name, "info"}
	}
	return []string{name, "some value"}
}

// Every command understands every flag in every position alike.
func TestParseLine_FlagsAnywhere(t *testing.T) {
	p := testProgram()
	app := p.app()
	leaves(app, func(path []string, c *cli.Command) {
		words := slices.Clone(path)
		for _, name := range strings.Fields(c.ArgsUsage) {
			words = append(words, strings.ToLower(strings.Trim(name, "[].")))
			if path[0] == "help" {
				words[1] = "exit-codes"
			}
		}
		for _, f := range slices.Concat(c.Flags, app.Flags) {
			if f == cli.HelpFlag {
				continue
			}
			want, err := parseLine(app, slices.Concat(words, sample(f)))
			if err != nil {
				t.Errorf("%v %v: %v", words, sample(f), err)
				continue
			}
			for i := range words {
				args := slices.Insert(slices.Clone(words), i, sample(f)...)
				got, err := parseLine(app, args)
				if err != nil {
					t.Errorf("%v: %v", args, err)
				}
				if d := cmp.Diff(want.argv(), got.argv()); d != "" {
					t.Errorf("%v is read in another way (-at the end +here):\n%s", args, d)
				}
			}
		}
	})
}

func TestParseLine(t *testing.T) {
	tests := []struct {
		name, args, want string
	}{
		{"command flag first", "--dry-run create shop ring-1", "rollout create --dry-run=true -- shop ring-1"},
		{"global flag last", "app list -o json", "rollout --output=json app list"},
		{"equals sign", "create shop ring-1 --timeout=5m", "rollout create --timeout=5m -- shop ring-1"},
		{"end of flags", "plan set shop -- --db=v1", "rollout plan set -- shop --db=v1"},
		{"off", "create shop ring-1 --no-background=false", "rollout create --no-background=false -- shop ring-1"},
		{"help of a command", "help ring create", "rollout ring create --help=true"},
		{"help anywhere", "ring create --help", "rollout ring create --help=true"},
		{"help of a topic", "help exit-codes", "rollout help -- exit-codes"},
		{"nothing", "", "rollout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := parseLine(testProgram().app(), strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(l.argv(), " "); got != tt.want {
				t.Errorf("%q is %q, want %q", tt.args, got, tt.want)
			}
		})
	}
}

// Flags of one name are of one kind in all commands, because where a flag
// stands does not say yet whose it is.
func TestFlags_OneKindForAName(t *testing.T) {
	app := testProgram().app()
	kinds := map[string]string{}
	note := func(where string, flags []cli.Flag) {
		for _, f := range flags {
			kind := "value"
			if isBool(f) {
				kind = "switch"
			}
			for _, n := range f.Names() {
				if old, ok := kinds[n]; ok && old != kind {
					t.Errorf("%s: --%s is a %s, and a %s elsewhere", where, n, kind, old)
				}
				kinds[n] = kind
			}
		}
	}
	note("rollout", app.Flags)
	walk(app.Commands, func(c *cli.Command) { note(c.Name, c.Flags) })
}
