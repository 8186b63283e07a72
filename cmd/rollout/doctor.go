package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Category: "Look after", Usage: "Look at everything that a rollout needs, and say what is wrong and how it is repaired", ArgsUsage: "[APP]",
		Description: "The store, the connection, permissions, Fleet itself, the right to push to every repository, every fleet.yaml, strategies\n" +
			"that can never finish, clusters without a ring, and clusters whose agent is silent. Nothing is changed. The exit code is\n" +
			"0 only when nothing is wrong.\n\n" + examples("rollout doctor", "rollout doctor shop -o json"),
		Action: func(c *cli.Context) error { return p.runDoctor(c.Context, rings.AppName(c.Args().Get(0))) },
	}
}

// ailmentView is something that doctor found.
type ailmentView struct {
	Area     string              `json:"area"`     // store, connection, permissions, fleet, git, file, clusters or rollouts
	Severity fleetyaml.Severity  `json:"severity"` // blocker, warning, or info: nothing is wrong
	App      rings.AppName       `json:"app"`
	Service  rings.ServiceName   `json:"service"`
	Ring     rings.RingName      `json:"ring"`
	Clusters []rings.ClusterName `json:"clusters"`
	Message  string              `json:"message"`
	Repair   string              `json:"repair"` // "" for info
}

// Areas of an ailmentView.
const (
	areaStore       = "store"
	areaConnection  = "connection"
	areaPermissions = "permissions"
	areaFleet       = "fleet"
	areaGit         = "git"
	areaFile        = "file"
	areaClusters    = "clusters"
	areaRollouts    = "rollouts"
)

func (v ailmentView) lines(s style) []string {
	word := s.bad("wrong")
	switch v.Severity {
	case fleetyaml.Warning:
		word = s.warn("warning")
	case fleetyaml.Info:
		word = s.dim("info")
	}
	line := fmt.Sprintf("%s: %s: ", word, v.Area)
	for _, name := range []string{string(v.App), string(v.Ring), string(v.Service)} {
		if name != "" {
			line += name + ": "
		}
	}
	if len(v.Clusters) > 0 {
		line += shortNames(v.Clusters) + ": "
	}
	out := []string{line + v.Message}
	if v.Repair != "" {
		out = append(out, "    repair: "+v.Repair)
	}
	return out
}

func (p *program) runDoctor(ctx context.Context, app rings.AppName) error {
	d := &doctor{program: p}
	if err := d.examine(ctx, app); err != nil {
		return err
	}
	if err := p.printAilments(d.found); err != nil {
		return err
	}
	return notClean(d.found)
}

func (p *program) printAilments(found []ailmentView) error {
	return p.print(listOf(found), func(w io.Writer) error {
		for _, v := range found {
			if err := printLines(w, v.lines(p.style(p.terminal))); err != nil {
				return err
			}
		}
		if notClean(found) == nil {
			return printLines(w, []string{"nothing is wrong"})
		}
		return nil
	})
}

// notClean is an error unless nothing is wrong.
func notClean(found []ailmentView) error {
	wrong := slices.DeleteFunc(slices.Clone(found), func(v ailmentView) bool { return v.Severity == fleetyaml.Info })
	if len(wrong) == 0 {
		return nil
	}
	return &commandError{exit: exitUnexpected, code: "unwell", what: counted(len(wrong), "thing") + " to repair", hint: "each finding says how; then run this again"}
}
