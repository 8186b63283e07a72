package main

import (
	"fmt"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/urfave/cli/v2"
)

func (p *program) referenceCommand() *cli.Command {
	return &cli.Command{
		Name: "reference", Category: "Look after", Usage: "Print the reference of all commands, or the man page",
		Description: "What --help says of every command, and the topics of \"rollout help\", in Markdown.\n\n" +
			examples("rollout reference > reference.md", "rollout reference --man > rollout.1", "rollout reference --man --dir /usr/share/man/man1"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "man", Usage: "Print the man page rollout(1) instead", DisableDefaultText: true},
			&cli.StringFlag{Name: "dir", Usage: "With --man: write rollout.1, and a page for each command, into `FOLDER`"},
		},
		Action: func(c *cli.Context) error {
			if dir := c.String("dir"); dir != "" && !c.Bool("man") {
				return &usageError{what: "rollout reference: --dir is for man pages", hint: "rollout reference --man --dir " + dir}
			} else if dir != "" {
				return p.writeManPages(dir)
			}
			text := reference(p.app())
			if c.Bool("man") {
				text = manPage(p.app())
			}
			_, err := p.stdout.Write(text)
			return err
		},
	}
}

// reference is the program's help as one page of Markdown.
func reference(app *cli.App) []byte {
	r := &referee{level: 2}
	fmt.Fprintf(r, "# %s\n\n%s.\n\nThis page is made by `rollout reference`.\n\n```text\n%s\n```\n\n", app.Name, app.Usage, app.UsageText)
	r.text(app.Description)
	r.all(app)
	return []byte(r.String())
}

// manPage is the same as rollout(1).
func manPage(app *cli.App) []byte {
	r := &referee{level: 2}
	fmt.Fprintf(r, "%% rollout 1\n\n# NAME\n\n%s - %s\n\n# SYNOPSIS\n\n```\n%s\n```\n\n# DESCRIPTION\n\n", app.Name, app.Usage, app.UsageText)
	r.text(app.Description)
	r.all(app)
	return md2man.Render([]byte(r.String()))
}

// referee writes the reference; its headings begin at the level.
type referee struct {
	strings.Builder
	level int
}

func (r *referee) heading(below int, words string) {
	fmt.Fprintf(r, "%s %s\n\n", strings.Repeat("#", r.level+below), words)
}

// text is what was laid out for a terminal.
func (r *referee) text(words string) {
	if words != "" {
		fmt.Fprintf(r, "```text\n%s\n```\n\n", words)
	}
}

func (r *referee) all(app *cli.App) {
	r.heading(0, "Flags of every command")
	r.flags(app.Flags)
	r.heading(0, "Commands")
	r.commands("rollout", app.Commands)
	r.heading(0, "Topics")
	for _, name := range topicNames() {
		r.heading(1, name)
		r.text(topics[name])
	}
}

func (r *referee) commands(above string, commands []*cli.Command) {
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		name := above + " " + c.Name
		r.heading(1, name)
		fmt.Fprintf(r, "%s.\n\n", c.Usage)
		if len(c.Subcommands) == 0 {
			fmt.Fprintf(r, "```text\n%s\n```\n\n", strings.TrimSpace(name+" "+c.ArgsUsage))
		}
		r.text(c.Description)
		r.flags(c.Flags)
		r.commands(name, c.Subcommands)
	}
}

func (r *referee) flags(flags []cli.Flag) {
	for _, f := range flags {
		names, usage, _ := strings.Cut(cli.FlagStringer(f), "\t")
		fmt.Fprintf(r, "- `%s`: %s\n", strings.TrimSpace(names), escaped(strings.TrimSpace(usage)))
	}
	if len(flags) > 0 {
		r.WriteString("\n")
	}
}

// escaped is the text without what Markdown would take for its own.
func escaped(text string) string {
	return strings.NewReplacer("<", "\\<", "*", "\\*", "_", "\\_", "[", "\\[").Replace(text)
}
