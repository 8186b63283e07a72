package main

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/urfave/cli/v2"

	"rollout/rings"
)

// shells are the scripts that ask `rollout complete`, by the shell's name.
//
//go:embed shells
var shells embed.FS

func shellNames() []candidate {
	entries, _ := shells.ReadDir("shells") // it is embedded
	var out []candidate
	for _, e := range entries {
		out = append(out, candidate{strings.TrimSuffix(e.Name(), path.Ext(e.Name())), ""})
	}
	return out
}

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Category: "Look after", Usage: "Print what makes a shell complete commands, flags and names", ArgsUsage: "SHELL",
		Description: "SHELL is bash, zsh, fish or powershell. Names of applications, rings, services, clusters and rollouts come from\n" +
			"the store.\n\n" +
			"   bash        in ~/.bashrc:  source <(rollout completion bash)\n" +
			"   zsh         in ~/.zshrc, after compinit:  source <(rollout completion zsh)\n" +
			"   fish        rollout completion fish > ~/.config/fish/completions/rollout.fish\n" +
			"   powershell  in $PROFILE:  rollout completion powershell | Out-String | Invoke-Expression\n\n" +
			examples("rollout completion bash"),
		Action: func(c *cli.Context) error { return p.runCompletion(c.Args().First()) },
	}
}

func (p *program) runCompletion(shell string) error {
	var known []string
	for _, s := range shellNames() {
		known = append(known, s.value)
		if s.value == shell {
			text, err := shells.ReadFile("shells/" + shell + ".script")
			if err != nil {
				return err
			}
			_, err = p.stdout.Write(text)
			return err
		}
	}
	e := &usageError{what: fmt.Sprintf("rollout completion: %q is none of %s", shell, strings.Join(known, ", "))}
	if n := rings.Nearest(shell, known); n != "" {
		e.hint = "rollout completion " + n
	}
	return e
}
