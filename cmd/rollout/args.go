package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/rings"
)

// line is a command line, taken apart: flags may stand anywhere in what a
// person writes, but urfave/cli stops looking for them at the first argument.
type line struct {
	path    []string // the command's names
	globals []string // --name=value
	flags   []string
	args    []string
	output  string
}

// argv is the line in the order in which urfave/cli reads it.
func (l line) argv() []string {
	out := slices.Concat([]string{"rollout"}, l.globals, l.path, l.flags)
	if len(l.args) > 0 {
		out = append(append(out, "--"), l.args...)
	}
	return out
}

// given is a flag as it was written.
type given struct {
	name, value string
	flag        cli.Flag // nil: no command has one of that name
}

// formats are the values of --output.
var formats = []string{"text", "json", "yaml", "jsonl"}

// streaming commands have a result that comes line by line.
var streaming = []string{"create", "watch", "log"}

// parseLine takes the arguments apart and checks everything about them that
// the declarations of commands and flags say. With an error, the line's output
// is still what was asked for.
func parseLine(app *cli.App, args []string) (line, error) {
	words, flags, err := split(kindsOf(app), args)
	l := line{output: "text"}
	for _, g := range flags {
		if g.flag != nil && g.flag.Names()[0] == "output" && slices.Contains(formats, g.value) {
			l.output = g.value
		}
	}
	if err != nil {
		return l, err
	}
	if err := plainText(words, flags); err != nil {
		return l, err
	}
	if words, flags = rewriteHelp(words, flags); len(words) == 0 {
		return l, l.take(app, nil, flags)
	}
	cmd, rest, err := find(app.Commands, words, &l)
	if err != nil {
		return l, err
	}
	l.args = rest
	if err := l.take(app, cmd, flags); err != nil || l.wantsHelp() {
		l.args = nil
		return l, err
	}
	return l, checkArgs(cmd, l)
}

// prose are the flags whose words people write, over several lines too; what is
// written down is one.
var prose = []string{"reason", "message", "holder", "link", "as"}

// maxProse is how long it may be, in bytes.
const maxProse = 4096

// plainText makes one line of prose, and refuses control characters: what is
// written down once is shown to many.
func plainText(words []string, flags []given) error {
	for _, w := range words {
		if rings.HasControl(w) {
			return &usageError{what: fmt.Sprintf("argument %q has a control character", w)}
		}
	}
	for i, g := range flags {
		if slices.Contains(prose, g.name) {
			flags[i].value = rings.OneLine(g.value)
		}
		switch {
		case rings.HasControl(flags[i].value):
			return &usageError{what: fmt.Sprintf("flag %s: %q has a control character", dashed(g.name), g.value)}
		case slices.Contains(prose, g.name) && len(g.value) > maxProse:
			return &usageError{what: fmt.Sprintf("flag %s: %d bytes are too many", dashed(g.name), len(g.value)), hint: fmt.Sprintf("say it in %d, and give --link for the rest", maxProse)}
		}
	}
	return nil
}

func (l line) wantsHelp() bool { return slices.Contains(l.flags, "--help=true") }

// kindsOf are the flags of all commands by their names. Flags of one name are
// of one kind wherever they are declared.
func kindsOf(app *cli.App) map[string]cli.Flag {
	kinds := map[string]cli.Flag{}
	note := func(flags []cli.Flag) {
		for _, f := range flags {
			for _, n := range f.Names() {
				kinds[n] = f
			}
		}
	}
	walk(app.Commands, func(c *cli.Command) { note(c.Flags) })
	note(app.Flags)
	note([]cli.Flag{cli.HelpFlag})
	return kinds
}

// split tells flags from words. Flags end at "--".
func split(kinds map[string]cli.Flag, args []string) (words []string, flags []given, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return append(words, args[i+1:]...), flags, err
		}
		if len(a) < 2 || a[0] != '-' {
			words = append(words, a)
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(a, "-"), "=")
		g := given{name: name, value: value, flag: kinds[name]}
		if !has && g.flag != nil {
			if isBool(g.flag) {
				g.value = "true"
			} else if i++; i < len(args) && !isFlag(kinds, args[i]) {
				g.value = args[i]
			} else if err == nil {
				err = &usageError{what: fmt.Sprintf("flag %s needs a value", dashed(name))}
			}
		}
		flags = append(flags, g)
	}
	return words, flags, err
}

func isBool(f cli.Flag) bool { _, ok := f.(*cli.BoolFlag); return ok }

// isFlag reports whether the argument is a flag that there is, so that it is
// not meant as another's value.
func isFlag(kinds map[string]cli.Flag, arg string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	return strings.HasPrefix(arg, "-") && kinds[name] != nil || arg == "--"
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// rewriteHelp makes `help COMMAND` of `COMMAND --help`, and the other way
// round for topics.
func rewriteHelp(words []string, flags []given) ([]string, []given) {
	if slices.ContainsFunc(flags, func(g given) bool { return g.name == "version" && g.flag == nil }) && len(words) == 0 {
		return []string{"version"}, nil
	}
	if len(words) > 0 && words[0] == "help" && !slices.Contains(topicNames(), strings.Join(words[1:], " ")) {
		return words[1:], append(flags, given{name: "help", value: "true", flag: cli.HelpFlag})
	}
	return words, flags
}

// find follows the words down the tree of commands.
func find(commands []*cli.Command, words []string, l *line) (*cli.Command, []string, error) {
	where := strings.Join(append([]string{"rollout"}, l.path...), " ")
	names := commandNames(commands)
	if len(words) == 0 {
		return nil, nil, &usageError{what: fmt.Sprintf("%s: a subcommand is missing: %s", where, strings.Join(names, ", ")), hint: usageHint(where)}
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(words[0]) })
	if i < 0 {
		return nil, nil, &usageError{what: fmt.Sprintf("%s: there is no command %q", where, words[0]), hint: nearestHint(where, words[0], names)}
	}
	c := commands[i]
	l.path = append(l.path, c.Name)
	if len(c.Subcommands) > 0 {
		if len(words) == 1 {
			return c, nil, nil
		}
		return find(c.Subcommands, words[1:], l)
	}
	return c, words[1:], nil
}

func commandNames(commands []*cli.Command) []string {
	out := make([]string, len(commands))
	for i, c := range commands {
		out[i] = c.Name
	}
	return out
}

// otherwise are hints for words that are no commands, because they could mean
// several.
var otherwise = map[string]string{
	"rollout stop": `"rollout cancel ID" ends a rollout, "rollout pause ID" holds it until "rollout resume ID", ` +
		`"rollout halt [APP]" lets nothing new start anywhere`,
}

func nearestHint(where, name string, names []string) string {
	if hint, ok := otherwise[where+" "+name]; ok {
		return hint
	}
	if n := rings.Nearest(name, names); n != "" {
		return fmt.Sprintf("did you mean %q?", where+" "+n)
	}
	return usageHint(where)
}

func usageHint(command string) string {
	return fmt.Sprintf("%q shows how it is used", command+" --help")
}

// take sorts the flags into global ones and the command's, and checks them.
func (l *line) take(app *cli.App, cmd *cli.Command, flags []given) error {
	own := map[string]cli.Flag{"help": cli.HelpFlag, "h": cli.HelpFlag}
	if cmd != nil {
		for _, f := range cmd.Flags {
			for _, n := range f.Names() {
				own[n] = f
			}
		}
	}
	global := map[string]cli.Flag{}
	for _, f := range app.Flags {
		for _, n := range f.Names() {
			global[n] = f
		}
	}
	for _, g := range flags {
		to, f := &l.flags, own[g.name]
		if f == nil {
			to, f = &l.globals, global[g.name]
		}
		if f == nil {
			return l.unknownFlag(g.name, slices.Sorted(maps.Keys(own)), slices.Sorted(maps.Keys(global)))
		}
		if err := l.checkValue(f, g); err != nil {
			return err
		}
		*to = append(*to, fmt.Sprintf("--%s=%s", f.Names()[0], g.value))
	}
	return nil
}

func (l *line) unknownFlag(name string, own, global []string) error {
	where := strings.Join(append([]string{"rollout"}, l.path...), " ")
	e := &usageError{what: fmt.Sprintf("%s: there is no flag %s", where, dashed(name)), hint: usageHint(where)}
	if n := rings.Nearest(name, slices.Concat(own, global)); len(n) > 1 {
		e.hint = fmt.Sprintf("did you mean %q?", dashed(n))
	}
	return e
}

func (l *line) checkValue(f cli.Flag, g given) error {
	bad := func(want string) error {
		return &usageError{what: fmt.Sprintf("flag %s: %q is not %s", dashed(g.name), g.value, want)}
	}
	switch f.(type) {
	case *cli.BoolFlag:
		if _, err := strconv.ParseBool(g.value); err != nil {
			return bad("true or false")
		}
	case *cli.IntFlag:
		if n, err := strconv.Atoi(g.value); err != nil || n < 0 {
			return bad("a number")
		}
	case *cli.DurationFlag:
		if d, err := time.ParseDuration(g.value); err != nil || d < 0 {
			return bad("a duration such as 90s, 5m or 1h30m")
		}
	}
	return l.checkWord(f.Names()[0], g.value, bad)
}

func (l *line) checkWord(flag, value string, bad func(string) error) error {
	var level slog.Level
	switch {
	case flag == "log-level" && level.UnmarshalText([]byte(value)) != nil:
		return bad("debug, info, warn or error")
	case flag == "output" && value == "jsonl" && (len(l.path) != 1 || !slices.Contains(streaming, l.path[0])):
		return bad("for this command: only create, watch and log have it")
	case flag == "output" && value == "csv" && len(l.path) == 1 && slices.Contains(tabular, l.path[0]):
		return nil
	case flag == "output" && strings.Join(l.path, " ") == "service graph" && slices.Contains(drawings, value):
		return nil
	case flag == "output" && !slices.Contains(formats, value):
		return bad("text, json or yaml")
	}
	return nil
}

// checkArgs compares the arguments with what ArgsUsage says: "APP [NAME...]".
func checkArgs(cmd *cli.Command, l line) error {
	where := strings.Join(append([]string{"rollout"}, l.path...), " ")
	if len(cmd.Subcommands) > 0 {
		_, _, err := find(cmd.Subcommands, nil, &l)
		return err
	}
	names := strings.Fields(cmd.ArgsUsage)
	for i, name := range names {
		if i >= len(l.args) && !strings.HasPrefix(name, "[") {
			return &usageError{what: fmt.Sprintf("%s: %s is missing", where, strings.TrimSuffix(name, "...")), hint: fmt.Sprintf("usage: %s %s", where, cmd.ArgsUsage)}
		}
		if i < len(l.args) && l.args[i] == "" {
			return &usageError{what: fmt.Sprintf("%s: %s is empty", where, strings.Trim(name, "[].")), hint: fmt.Sprintf("usage: %s %s", where, cmd.ArgsUsage)}
		}
	}
	if len(l.args) > len(names) && !strings.Contains(cmd.ArgsUsage, "...") {
		return &usageError{what: fmt.Sprintf("%s: too many arguments: %q", where, l.args[len(names)]), hint: strings.TrimSpace(fmt.Sprintf("usage: %s %s", where, cmd.ArgsUsage))}
	}
	return nil
}
