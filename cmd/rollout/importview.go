package main

import (
	"fmt"

	"rollout/fleet/discover"
	"rollout/rings/appfile"
)

// importView is the application as a file, what could not be mapped, and what
// the file was held against.
type importView struct {
	File  *appfile.File  `json:"file"`
	Left  []unmappedView `json:"left"`
	Proof proofView      `json:"proof"`
}

// unmappedView is something that is not in the file. hint may be "".
type unmappedView struct {
	Kind string `json:"kind"` // cluster, ring, GitRepo, service, dependency, version
	Name string `json:"name"`
	Why  string `json:"why"`
	Hint string `json:"hint"`
}

func (p *program) imported(f *appfile.File, found *discover.Found, proof proofView) error {
	v := importView{File: f, Left: []unmappedView{}, Proof: proof}
	for _, l := range found.Left {
		v.Left = append(v.Left, unmappedView(l))
	}
	if p.flags.output == "json" {
		return printJSON(p.stdout, v)
	}
	for _, l := range found.Left {
		p.say("%s", leftWords(l))
	}
	p.say("checked: to apply it, and to plan what runs, changes nothing in Fleet or git (%s, %s, %s)",
		counted(proof.Clusters, "cluster"), counted(proof.Services, "service"), counted(proof.Versions, "version"))
	if err := p.printFile(f); err != nil {
		return fmt.Errorf("print the file: %w", err)
	}
	return nil
}
