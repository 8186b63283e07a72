package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/urfave/cli/v2"
)

// manPages are rollout(1) and a page for each command and subcommand, by file
// name: "rollout-plan-set.1".
func manPages(app *cli.App) map[string][]byte {
	pages := map[string][]byte{app.Name + ".1": manPage(app)}
	addManPages(pages, []string{app.Name}, app.Commands)
	return pages
}

func addManPages(pages map[string][]byte, above []string, commands []*cli.Command) {
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		path := append(slices.Clone(above), c.Name)
		pages[strings.Join(path, "-")+".1"] = commandPage(path, c)
		addManPages(pages, path, c.Subcommands)
	}
}

// commandPage is the man page of one command.
func commandPage(path []string, c *cli.Command) []byte {
	r, name := &referee{level: 1}, strings.Join(path, "-")
	fmt.Fprintf(r, "%% %s 1\n\n# NAME\n\n%s - %s\n\n# SYNOPSIS\n\n", name, name, c.Usage)
	words := strings.Join(path, " ")
	if len(c.Subcommands) == 0 {
		r.text(strings.TrimSpace(words + " [FLAGS] " + c.ArgsUsage))
	} else {
		r.text(words + " COMMAND")
	}
	if c.Description != "" {
		r.heading(0, "DESCRIPTION")
		r.text(c.Description)
	}
	if len(c.Flags) > 0 {
		r.heading(0, "OPTIONS")
		r.flags(c.Flags)
	}
	r.heading(0, "SEE ALSO")
	r.WriteString(strings.Join(seeAlso(path, c), ", ") + "\n")
	return md2man.Render([]byte(r.String()))
}

// seeAlso are the pages above and below: rollout(1) has the flags of every
// command, the exit codes and the topics.
func seeAlso(path []string, c *cli.Command) []string {
	var out []string
	for i := 1; i < len(path); i++ {
		out = append(out, strings.Join(path[:i], "-")+"(1)")
	}
	for _, sub := range c.Subcommands {
		if !sub.Hidden {
			out = append(out, strings.Join(path, "-")+"-"+sub.Name+"(1)")
		}
	}
	return out
}

// writtenPages is what `reference --man --dir` prints.
type writtenPages struct {
	Dir   string   `json:"dir"`
	Pages []string `json:"pages"`
}

// writeManPages writes all pages into the folder, which is made if it is not
// there.
func (p *program) writeManPages(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("folder %q: %w", dir, err)
	}
	pages := manPages(p.app())
	names := slices.Sorted(maps.Keys(pages))
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), pages[name], 0o644); err != nil {
			return fmt.Errorf("man page: %w", err)
		}
	}
	return p.print(writtenPages{dir, names}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d man pages are in %s\n", len(names), dir)
		return err
	})
}
