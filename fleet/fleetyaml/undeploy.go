package fleetyaml

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Undeploy takes the bundle off the ring: the entry that its clusters get says doNotDeploy, and Fleet uninstalls it there.
// Version and nonce stay as they are: no nonce that a cluster may have acknowledged is given to another entry later. The
// promises are those of Edit, with this one for the ring: no cluster of it is deployed to afterwards. Of c it uses Ring,
// All and Targets. If no cluster of the ring gets the bundle, Changed is false. An error is Faults, and then there is no
// Edit.
func (f *File) Undeploy(c Change) (*Edit, error) {
	before, err := f.View(c.Targets, c.Fields)
	if err != nil {
		return nil, f.viewFaults(err)
	}
	p := newPlan(before, c)
	p.mark = mark{"doNotDeploy", "true", true}
	p.faults = f.fileFaults()
	p.collectDeployed()
	for _, at := range p.order() {
		slices.Sort(p.edits[at].edit.Clusters)
		p.writeOff(at, p.edits[at])
	}
	slices.SortFunc(p.splices, func(a, b splice) int { return a.start - b.start })
	return p.conclude(p.checkOff)
}

// collectDeployed finds the last entry that each deployed cluster of the ring gets.
func (p *plan) collectDeployed() {
	var bare []string
	for _, c := range p.c.Ring {
		e := p.before.effect(c)
		switch n := len(e.Entries); {
		case !e.Deployed:
		case n == 0:
			bare = append(bare, c.Name)
		default:
			p.noteEntry(e.Entries[n-1], c.Name)
		}
	}
	if len(bare) > 0 {
		e := p.f.fault(CodeNoEntry, 0, "no targetCustomizations entry selects clusters of the ring: they get the base values")
		e.Clusters, e.Hint = sorted(bare), "add an entry for this ring to targetCustomizations; it can say doNotDeploy: true"
		p.faults = append(p.faults, e)
	}
}

// noteEntry adds an entry to those to be edited, for a cluster that gets it.
func (p *plan) noteEntry(at int, cluster string) {
	ep := p.edits[at]
	if ep == nil {
		nonce := p.f.spec.TargetCustomizations[at].ForceSyncGeneration
		ep = &entryPlan{edit: EntryEdit{Index: at, Name: p.f.entryName(at), Line: p.f.entryLine(at), OldNonce: nonce, Nonce: nonce}}
		p.edits[at] = ep
	}
	ep.edit.Clusters = append(ep.edit.Clusters, cluster)
}

// writeOff writes doNotDeploy into an entry, before its first option.
func (p *plan) writeOff(at int, ep *entryPlan) {
	if at >= len(p.f.entries) {
		return // fileFaults has refused the file
	}
	entry := p.f.entries[at]
	why, line := p.shared(place{value: entry, chain: []*yaml.Node{entry}})
	if why != "" {
		p.refuse(ep, CodeShared, "", line, why, "write the entry out")
		return
	}
	if entry.Kind != yaml.MappingNode || len(entry.Content) == 0 {
		p.refuse(ep, CodeScalar, "", entry.Line, "the entry is not a mapping", "write the entry out")
		return
	}
	p.writeMark(ep, entry, firstOption(entry), "write true", "write the value out in this entry")
}

// firstOption is the first key of an entry that is none of its criteria; the first of all if there is none.
func firstOption(entry *yaml.Node) *yaml.Node {
	for i := 0; i < len(entry.Content); i += 2 {
		if !slices.Contains(criteriaKeys, entry.Content[i].Value) {
			return entry.Content[i]
		}
	}
	return entry.Content[0]
}

// checkOff holds a cluster against the promise of Undeploy.
func (p *plan) checkOff(o Outcome) *Error {
	switch {
	case !o.Ring || !o.Before.Deployed:
		if !sameEffect(o.Before, o.After) {
			return p.outsideOff(o)
		}
	case o.After.Deployed:
		e := p.f.fault(CodeOverridden, 0, "the clusters would still get the bundle: it %s", o.After.Why)
		e.Hint = "say doNotDeploy: true in the entry that they get"
		return e
	}
	return nil
}

// outsideOff is the fault of a cluster that is not in the ring and would lose the bundle with it, or change.
func (p *plan) outsideOff(o Outcome) *Error {
	e := p.outside(o.Before, o.After)
	if o.Before.Deployed && !o.After.Deployed {
		e.Msg = "also selects clusters outside the ring, where it would be uninstalled, too"
	}
	return e
}
