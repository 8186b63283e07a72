package fleetyaml

// Change is what an edit shall bring about.
type Change struct {
	Ring    []Cluster // the ring's clusters: every one that is deployed must end at Version and Nonce
	All     []Cluster // every cluster that the bundle can reach; those outside Ring must not change
	Targets []Target  // the GitRepo's targets
	Fields  []Field   // where the version stands; none: DefaultField
	Version string
	Nonce   int64 // > 0

	// AcceptRedeploy allows helm.version, helm.chart and helm.repo, whose change redeploys the other rings with the same
	// content.
	AcceptRedeploy bool
}

// Edit is the edited file and what it does.
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
	OldNonce int64 // 0: it had none
	Nonce    int64
	Clusters []string // the ring's clusters that get their version from it
}

// FieldEdit is one version scalar.
type FieldEdit struct {
	Field    Field
	Line     int
	Old, New string // without quotes
}

// Outcome is one cluster before and after the edit.
type Outcome struct {
	Cluster       string
	Ring          bool
	Before, After Effect
}

// Edit sets the version and the nonce for the ring. It changes nothing in f. An error is Faults, all of them, and then
// there is no Edit.
func (f *File) Edit(c Change) (*Edit, error) {
	return nil, Faults{f.fault(CodeVerify, 0, "editing is not built yet")}
}
