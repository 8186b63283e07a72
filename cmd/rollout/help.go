package main

import (
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func topicNames() []string { return slices.Sorted(maps.Keys(topics)) }

func (p *program) helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Category: "Look after", Usage: "Explain a command, or a topic: " + strings.Join(topicNames(), ", "), ArgsUsage: "[COMMAND...]",
		Description: examples("rollout help create", "rollout help exit-codes"),
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintln(p.stdout, topics[c.Args().First()])
			return err
		},
	}
}

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Category: "Look after", Usage: "Print the version", Description: examples("rollout version"),
		Action: func(*cli.Context) error { return p.runVersion() },
	}
}

type versionView struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func (p *program) runVersion() error {
	v := versionView{Version: version}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Go = info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return p.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "rollout %s\n", v.Version)
		return err
	})
}
