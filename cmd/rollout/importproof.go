package main

import (
	"fmt"
	"strings"

	"rollout/fleet"
	"rollout/fleet/discover"
	"rollout/fleet/fleetyaml"
	"rollout/rings"
	"rollout/rings/appfile"
)

// proofView is how much was compared: clusters that carry the labels of their
// rings, services whose GitRepos are there, versions that the rings get.
type proofView struct {
	Clusters int `json:"clusters"`
	Services int `json:"services"`
	Versions int `json:"versions"`
}

// prove reads the file as apply would, and holds it against what there is: no
// label changes, no GitRepo is made, and what each ring gets of each service,
// computed anew from the file alone, is what was found. Then the plan that says
// what runs now changes nothing.
func prove(f *appfile.File, w discover.World, found *discover.Found) (proofView, error) {
	text, err := f.Bytes()
	if err != nil {
		return proofView{}, err
	}
	again, err := appfile.Parse("what was found", text)
	if err != nil {
		return proofView{}, err
	}
	a, err := again.Application()
	if err != nil {
		return proofView{}, err
	}
	p := &prover{world: w, app: a}
	p.labels(again)
	for _, s := range a.Services {
		p.service(s, found.Versions[s.Name])
	}
	if len(p.faults) == 0 {
		return p.proof, nil
	}
	return p.proof, invalid("this is a fault of rollout: describe the application by hand, and report it", "application %q: what was found does not agree with what runs:\n  %s", a.Name, strings.Join(p.faults, "\n  "))
}

type prover struct {
	world  discover.World
	app    *rings.Application
	proof  proofView
	faults []string
}

func (p *prover) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// labels wants applying the file to an empty store to change no label.
func (p *prover) labels(f *appfile.File) {
	on := map[rings.ClusterName]rings.RingName{}
	for _, c := range p.world.Clusters {
		if ring, ours := p.app.Owns(c.Labels); ours {
			on[rings.ClusterName(c.Name)] = ring
		}
	}
	for _, c := range appfile.Compare(appfile.State{On: on, SameRepo: fleet.SameRepository}, f).Changes {
		switch c.Kind {
		case appfile.RecordCluster:
			p.proof.Clusters++
		case appfile.AddCluster, appfile.SetRing:
			p.fault("it would %s", c.Words[0])
		}
	}
}

// service wants the GitRepo and the folder to be there, and every ring to get
// the version that was found.
func (p *prover) service(s rings.Service, want map[rings.RingName]rings.Version) {
	for _, g := range p.world.GitRepos {
		for _, folder := range g.Folders {
			if g.Name == s.GitRepo && fleet.SameRepository(g.Repo, s.Repo) && g.Branch == s.Branch && folder.Path == s.Path && folder.File != nil {
				p.proof.Services++
				p.read(s, folder)
				p.versions(s, manifest{File: folder.File}, fleet.Reach{Clusters: p.world.Clusters, Targets: g.Targets}, want)
				return
			}
		}
	}
	p.fault("service %q: GitRepo %q does not deploy %s of %s", s.Name, s.GitRepo, s.File(), s.Repo)
}

// read wants something to read the version, as apply does.
func (p *prover) read(s rings.Service, folder discover.Folder) {
	for _, f := range fieldsOf(s) {
		if f.ReadByChart() && !folder.Chart {
			p.fault("service %q: there is no chart in %q, so nothing reads %s", s.Name, folder.Path, f.Path())
		}
	}
}

func (p *prover) versions(s rings.Service, file manifest, reach fleet.Reach, want map[rings.RingName]rings.Version) {
	for _, ring := range p.app.RingNames() {
		got, err := runsOn(file, p.app, s, ring, reach)
		if err != nil {
			p.fault("service %q on ring %q: %v", s.Name, ring, err)
		}
		if got != want[ring] {
			p.fault("service %q on ring %q: it runs %q, not %q", s.Name, ring, got, want[ring])
		}
		if got != "" {
			p.proof.Versions++
			p.plan(s, file, ring, got, reach)
		}
	}
}

// plan wants an edit to the version that the ring gets to leave it everywhere.
func (p *prover) plan(s rings.Service, file manifest, ring rings.RingName, v rings.Version, reach fleet.Reach) {
	edit, err := file.Edit(fleetyaml.Change{Ring: clustersOn(p.app, ring, reach.Clusters), All: reach.Clusters, Targets: reach.Targets,
		Fields: fieldsOf(s), Version: string(v), Nonce: file.MaxNonce() + 1})
	if err != nil {
		p.fault("service %q on ring %q: %v", s.Name, ring, err)
		return
	}
	for _, e := range edit.Effects {
		if e.Before.Version != e.After.Version || e.Before.Deployed != e.After.Deployed {
			p.fault("service %q on ring %q: planning %q would give cluster %q %q instead of %q", s.Name, ring, v, e.Cluster, e.After.Version, e.Before.Version)
		}
	}
}
