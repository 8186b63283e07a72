package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/rings"
)

// candidate is something that may be typed, with a word about it.
type candidate struct{ value, about string }

// namer answers what there is of a kind: APP, RING, GROUP, SERVICE, SETTING, CLUSTER,
// HOLDER, WINDOW, NUMBER (of a release) or ID; of
// the application, where that is known.
type namer func(kind, app string) []candidate

// complete returns what the last of the words may become, nothing where that is
// a file or free text. The words are those after the program's name.
func complete(app *cli.App, words []string, names namer) []candidate {
	if len(words) == 0 {
		return nil
	}
	before, current := words[:len(words)-1], words[len(words)-1]
	c := &completion{app: app, names: names, kinds: kindsOf(app), current: current}
	c.place(before)
	return slices.DeleteFunc(c.candidates(before), func(v candidate) bool { return !strings.HasPrefix(v.value, current) })
}

// completion is a command line up to the word that is typed.
type completion struct {
	app     *cli.App
	names   namer
	kinds   map[string]cli.Flag
	current string

	command  *cli.Command // nil at the root
	commands []*cli.Command
	args     []string // of the command
	flags    []given
	ended    bool // "--" was said: no flags follow
}

// place follows the words to the command that they name.
func (c *completion) place(before []string) {
	words, flags, _ := split(c.kinds, before) // a flag without its value is being typed
	c.flags, c.ended = flags, slices.Contains(before, "--")
	c.commands, c.args = c.app.Commands, words
	for len(c.args) > 0 && len(c.commands) > 0 {
		i := slices.IndexFunc(c.commands, func(x *cli.Command) bool { return x.HasName(c.args[0]) })
		if i < 0 { // there is no such command
			c.commands, c.command = nil, nil
			return
		}
		c.command = c.commands[i]
		c.commands, c.args = c.command.Subcommands, c.args[1:]
	}
}

func (c *completion) candidates(before []string) []candidate {
	name, value, assigned := strings.Cut(c.current, "=")
	switch f := c.waiting(before); {
	case f != nil:
		return c.values(f, "", c.current)
	case strings.HasPrefix(name, "-") && assigned && !c.ended:
		return c.values(c.flag(name), name+"=", value)
	case strings.HasPrefix(c.current, "-") && !c.ended:
		return c.flagNames()
	case len(c.commands) > 0:
		return c.commandNames()
	case c.command != nil:
		return c.arguments()
	}
	return nil
}

// waiting is the flag that the current word is the value of, or nil.
func (c *completion) waiting(before []string) cli.Flag {
	if len(before) == 0 || c.ended {
		return nil
	}
	last := before[len(before)-1]
	f := c.flag(last)
	if !strings.HasPrefix(last, "-") || f == nil || isBool(f) {
		return nil
	}
	return f
}

// flag is the command's flag of that name, else the one that there is; nil if
// there is none.
func (c *completion) flag(dashed string) cli.Flag {
	name := strings.TrimLeft(dashed, "-")
	if c.command != nil {
		for _, f := range c.command.Flags {
			if slices.Contains(f.Names(), name) {
				return f
			}
		}
	}
	return c.kinds[name]
}

func (c *completion) commandNames() []candidate {
	var out []candidate
	for _, x := range c.commands {
		if !x.Hidden {
			out = append(out, candidate{x.Name, x.Usage})
		}
	}
	return out
}

func (c *completion) flagNames() []candidate {
	flags := slices.Clone(c.app.Flags)
	if c.command != nil {
		flags = append(slices.Clone(c.command.Flags), flags...)
	}
	var out []candidate
	for _, f := range flags {
		out = append(out, candidate{"--" + f.Names()[0], usageOf(f)})
	}
	return out
}

// usageOf is the flag's usage without the quotes of its placeholder.
func usageOf(f cli.Flag) string {
	if d, ok := f.(cli.DocGenerationFlag); ok {
		return strings.ReplaceAll(d.GetUsage(), "`", "")
	}
	return ""
}

var placeholder = regexp.MustCompile("`([^`]*)`")

// values are those of a flag: what its usage lists, or the names that its
// placeholder stands for.
func (c *completion) values(f cli.Flag, prefix, typed string) []candidate {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return nil
	}
	kind := ""
	if m := placeholder.FindStringSubmatch(d.GetUsage()); m != nil {
		kind = m[1]
	}
	var out []candidate
	if kind == "failed" {
		out = []candidate{{"failed", ""}}
	} else if slices.Contains([]string{"FORMAT", "WHAT", "LEVEL"}, kind) {
		out = choices(d.GetUsage())
	} else {
		out = c.named(kind)
	}
	if slices.Contains([]string{"SERVICES", "RINGS", "CLUSTERS"}, kind) { // with commas
		prefix += typed[:strings.LastIndex(typed, ",")+1]
	}
	for i := range out {
		out[i].value = prefix + out[i].value
	}
	return out
}

// choices are what a usage lists after its colon: "...: fail, skip or wait".
func choices(usage string) []candidate {
	_, list, _ := strings.Cut(usage, ": ")
	list, _, _ = strings.Cut(list, ";")
	var out []candidate
	for w := range strings.SplitSeq(strings.ReplaceAll(list, " or ", ", "), ", ") {
		out = append(out, candidate{strings.TrimSpace(w), ""})
	}
	return out
}

// arguments are what may stand at this place of the command's arguments.
func (c *completion) arguments() []candidate {
	usage := strings.Fields(c.command.ArgsUsage)
	at := len(c.args)
	if len(usage) == 0 || at >= len(usage) && !strings.HasSuffix(usage[len(usage)-1], "...]") && !strings.HasSuffix(usage[len(usage)-1], "...") {
		return nil
	}
	return c.named(strings.Trim(usage[min(at, len(usage)-1)], "[]."))
}

// named are the names that a placeholder stands for.
func (c *completion) named(kind string) []candidate {
	switch kind {
	case "APP":
		return c.names("APP", "")
	case "RING", "RINGS":
		return append(c.names("RING", c.application()), c.names("GROUP", c.application())...)
	case "CLUSTERS":
		return c.names("CLUSTER", c.application())
	case "CLUSTER", "GROUP", "HOLDER", "WINDOW", "NUMBER":
		return c.names(kind, c.application())
	case "HOW":
		return []candidate{{wordPush, "to the branch itself"}, {string(rings.PublishBranch), "to one of its own, which a person merges"}}
	case "SERVICE", "SERVICES", "DEP":
		return c.names("SERVICE", c.application())
	case "SERVICE=VERSION", "SERVICE=OLD":
		out := append(c.names("SERVICE", c.application()), c.names("SETTING", c.application())...)
		for i := range out {
			out[i].value += "="
		}
		return out
	case "TIME|ROLLOUT":
		return c.names("ID", "")
	case "ID", "APP|ID":
		return append(c.names("ID", ""), c.names("APP", "")...)
	case "SHELL":
		return shellNames()
	case "COMMAND":
		return c.helpWords()
	}
	return nil
}

// helpWords are the commands and topics that help explains.
func (c *completion) helpWords() []candidate {
	at := &completion{app: c.app, kinds: c.kinds}
	at.place(c.args)
	out := at.commandNames()
	if len(c.args) == 0 {
		for _, t := range topicNames() {
			out = append(out, candidate{t, "a topic"})
		}
	}
	return out
}

// application is the one that the line is about, "" if it does not say.
func (c *completion) application() string {
	for _, g := range c.flags {
		if g.name == "app" {
			return g.value
		}
	}
	if c.command != nil && strings.HasPrefix(strings.Trim(c.command.ArgsUsage, "["), "APP") && len(c.args) > 0 {
		return c.args[0]
	}
	return ""
}

// completeCommand is what the scripts of the shells ask. It says nothing
// instead of an error: somebody is in the middle of typing.
func (p *program) completeCommand() *cli.Command {
	return &cli.Command{
		Name: "complete", Category: "Look after", Hidden: true, Usage: "Say what a word may become", ArgsUsage: "WORD...",
		Description: "For the scripts that \"rollout completion\" prints. The last word is the one that is typed, with a colon before\n" +
			"it, so that it is never empty.\n\n" + examples("rollout complete -- create sh :ri"),
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			words[len(words)-1] = strings.TrimPrefix(words[len(words)-1], ":")
			for _, v := range complete(p.app(), words, p.storedNames(c.Context, words)) {
				if _, err := fmt.Fprintln(p.stdout, strings.TrimRight(v.value+"\t"+v.about, "\t")); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// storedNames reads names from the store that the words name. Without a store
// there are none, and none is made.
func (p *program) storedNames(ctx context.Context, words []string) namer {
	_, flags, _ := split(kindsOf(p.app()), words)
	for _, g := range flags {
		if g.name == "store" {
			p.flags.store = cmp.Or(g.value, p.flags.store)
		}
	}
	return func(kind, app string) []candidate { return p.lookUp(ctx, kind, app) }
}
