package main

import (
	"fmt"
	"slices"

	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/rings"
)

// edits are the files as the steps before have left them, by repository,
// branch and path: the rings of a rollout change one file one after the other.
type edits map[[3]string]edited

// edited is a file after some edits.
type edited struct {
	*fleetyaml.File
	bytes []byte
}

// apply notes what the step's commit changes, and proves that it can be made.
func (e edits) apply(s *stepLook, v *previewStepView) error {
	if v.Words == wordsAbsent || v.Words == wordsLive {
		return nil
	}
	key := [3]string{s.step.Target.Repo, s.step.Target.Branch, s.look.file.source.Name}
	before, known := e[key]
	if !known {
		before = edited{s.look.file.File, s.look.file.source.Bytes}
	}
	v.Nonce = s.nextNonce(before.File)
	edit, err := before.Edit(s.change(v.Nonce))
	if err != nil {
		return fmt.Errorf("service %q: %s: %w", s.look.service.Name, s.look.service.Repo, err)
	}
	after, err := before.WithBytes(edit.Bytes)
	if err != nil {
		return fmt.Errorf("service %q: %s: %w", s.look.service.Name, s.look.service.Repo, err)
	}
	e[key] = edited{after, edit.Bytes}
	v.Redeployed = append(v.Redeployed, s.redeployed(edit)...)
	v.Diff, err = gitrepo.Patch(s.look.file.source.Name, before.bytes, edit.Bytes)
	return err
}

// nextNonce is larger than every one that is known, as the engine's will be.
func (s *stepLook) nextNonce(file *fleetyaml.File) int64 {
	n := max(file.MaxNonce(), s.survey.MaxNonce, s.step.Floor)
	for _, d := range s.look.deployed {
		n = max(n, d.SpecNonce, d.StatusNonce)
	}
	return n + 1
}

// change is what the step's commit shall bring about.
func (s *stepLook) change(nonce int64) fleetyaml.Change {
	t, reach := s.step.Target, s.look.reach
	return fleetyaml.Change{Ring: clustersOn(s.app, s.step.Ring, reach.Clusters), All: reach.Clusters, Targets: reach.Targets,
		Fields: fieldsOf(s.look.service), Version: string(s.step.To), Nonce: nonce, AcceptRedeploy: t.AcceptRedeploy,
		Settings: fleetyaml.SettingsOf(s.look.service.Settings, s.step.Settings)}
}

// redeployed are the clusters of other rings that get the bundle's new chart,
// too, when the version is the chart's.
func (s *stepLook) redeployed(edit *fleetyaml.Edit) []rings.ClusterName {
	if !slices.ContainsFunc(fieldsOf(s.look.service), func(f fleetyaml.Field) bool {
		e := f.Check()
		return e != nil && e.Code == fleetyaml.CodeRedeploys
	}) {
		return nil
	}
	var out []rings.ClusterName
	for _, o := range edit.Effects {
		if !o.Ring && o.After.Deployed {
			out = append(out, rings.ClusterName(o.Cluster))
		}
	}
	return out
}
