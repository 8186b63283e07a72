package fleetyaml

import "slices"

// Change is what an edit shall bring about.
type Change struct {
	Ring    []Cluster // the ring's clusters: every one that is deployed must end at Version and Nonce
	All     []Cluster // every cluster that the bundle can reach; those outside Ring must not change
	Targets []Target  // the GitRepo's targets
	Fields  []Field   // where the version stands; none: DefaultField
	Version string
	Nonce   int64 // > 0
	// Settings are what else is to be set for the ring, in the same edit.
	Settings []Setting

	// AcceptRedeploy allows helm.version, helm.chart and helm.repo, whose change redeploys the other rings with the same
	// content.
	AcceptRedeploy bool
}

// Edit is the edited file and what it does. Its slices are the caller's, but the Effects share theirs among each other:
// read them only.
type Edit struct {
	Bytes   []byte      // the whole file; equal to the parsed one if Changed is false
	Changed bool        // false: the file says version and nonce already
	Entries []EntryEdit // the ring's entries, in file order
	Effects []Outcome   // every cluster of Change.All and Change.Ring, in that order
}

// EntryEdit is one entry of the ring, and what changes in it.
type EntryEdit struct {
	Index    int    // in targetCustomizations, from 0
	Name     string // as in Error.Entry
	Line     int    // where the entry begins, before the edit
	Fields   []FieldEdit
	Settings []FieldEdit // the settings that the entry says
	OldNonce int64       // 0: it had none
	Nonce    int64
	Clusters []string // the ring's clusters that get their version from it
}

// FieldEdit is one scalar: a version's, or a setting's.
type FieldEdit struct {
	Field    Field
	Line     int
	Old, New string // without quotes; equal if only the nonce moves
}

// Outcome is one cluster before and after the edit.
type Outcome struct {
	Cluster       string
	Ring          bool
	Before, After Effect
}

// Edit sets the version, the settings and the nonce on the entries that the ring's clusters get, and proves that nothing else changes:
// see the package comment. It changes nothing in f. If the file already says version and nonce, the Edit says so
// (Changed is false) and Bytes are the file's. An error is Faults, every one that was found, and then there is no Edit.
func (f *File) Edit(c Change) (*Edit, error) {
	if fs := f.changeFaults(c); len(fs) > 0 {
		return nil, append(fs, f.fileFaults()...)
	}
	before, err := f.View(c.Targets, c.Fields, settingFields(c.Settings)...)
	if err != nil {
		return nil, f.viewFaults(err)
	}
	p := newPlan(before, c)
	p.faults = append(p.faults, f.fileFaults()...)
	p.collect()
	p.write()
	return p.conclude(p.checkOne)
}

// conclude makes the Edit of what was planned, and holds it against the plan: what the file says, and by check what each
// cluster gets.
func (p *plan) conclude(check func(Outcome) *Error) (*Edit, error) {
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, byPlace)
		return nil, p.faults
	}
	edited := apply(p.f.src, p.splices)
	after, fs := p.verify(edited)
	if len(fs) > 0 {
		return nil, fs
	}
	e := &Edit{Bytes: edited, Changed: len(p.splices) > 0, Entries: p.entries(), Effects: p.outcomes(after)}
	if fs := p.check(e.Effects, check); len(fs) > 0 {
		return nil, fs
	}
	return e, nil
}

// viewFaults are the file's own faults, with the one that kept View from being made, once.
func (f *File) viewFaults(err error) Faults {
	fs := f.fileFaults()
	for _, e := range FaultsOf(err) {
		if e.Code != CodeTargets {
			fs = append(fs, e)
		}
	}
	return fs
}

// changeFaults are what is wrong with the change itself, before looking into the file.
func (f *File) changeFaults(c Change) Faults {
	fs := append(f.fieldFaults(c), f.settingFaults(c)...)
	if why := checkVersion(c.Version); why != "" {
		fs = append(fs, f.fault(CodeVersion, 0, "%s", why))
	}
	if c.Nonce <= 0 {
		fs = append(fs, f.fault(CodeVersion, 0, "the nonce %d is not positive; Fleet would ignore it", c.Nonce))
	}
	if len(c.Ring) == 0 {
		fs = append(fs, f.fault(CodeNotDeployed, 0, "the ring has no clusters"))
	}
	return fs
}

// fieldFaults are the fields that cannot be used.
func (f *File) fieldFaults(c Change) Faults {
	var fs Faults
	for _, fl := range orDefault(c.Fields) {
		if e := fl.Check(); e != nil && (e.Code != CodeRedeploys || !c.AcceptRedeploy) {
			e.File = f.name
			fs = append(fs, e)
		}
	}
	return fs
}

// apply puts the splices into the text; they must be sorted and must not overlap.
func apply(src []byte, splices []splice) []byte {
	var out []byte
	at := 0
	for _, s := range splices {
		out = append(out, src[at:s.start]...)
		out = append(out, s.text...)
		at = s.end
	}
	return append(out, src[at:]...)
}
