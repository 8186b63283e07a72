package fleetyaml

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind a fault or finding is. It is a contract: callers classify by it, and a code never changes its meaning.
type Code string

// The kinds of faults.
const (
	CodeSyntax       Code = "syntax"        // not YAML, or YAML that Fleet itself cannot read
	CodeDocuments    Code = "documents"     // more than one YAML document with content
	CodeFileName     Code = "file-name"     // fleet.yml: every edit of it redeploys every cluster
	CodeField        Code = "field"         // the field is not one that can carry a ring's version
	CodeFormat       Code = "format"        // the field's format is none, or the field's value has another
	CodeRedeploys    Code = "redeploys"     // the field is not ring-isolated: a change redeploys all rings
	CodeVersion      Code = "version"       // the version or the nonce asked for cannot be written
	CodeSelector     Code = "selector"      // a label selector that Fleet refuses, and with it the whole bundle
	CodeTargets      Code = "targets"       // targets written in fleet.yaml so that entries lose their meaning
	CodeNotDeployed  Code = "not-deployed"  // no cluster of the ring gets the bundle at all
	CodeNoEntry      Code = "no-entry"      // a cluster of the ring matches no entry and falls to the base values
	CodeMissingField Code = "missing-field" // the ring's entry does not say the field
	CodeDuplicateKey Code = "duplicate-key" // a mapping has a key twice
	CodeKeyCase      Code = "key-case"      // a key that Fleet takes for another: it ignores upper and lower case
	CodeTemplate     Code = "template"      // the field holds a ${ } template or a cluster label reference
	CodeImageScan    Code = "imagescan"     // Fleet's image scanning writes this file, too
	CodeScalar       Code = "scalar"        // the field's value is not one plain or quoted scalar on one line
	CodeShared       Code = "shared"        // the value is reached through an anchor, alias or merge key
	CodeValuesFile   Code = "values-file"   // a values file that was not handed in may override the field
	CodeOverridden   Code = "overridden"    // a ring cluster would not end at the version and nonce
	CodeOutsideRing  Code = "outside-ring"  // a cluster outside the ring would change
	CodeDisagree     Code = "disagree"      // the fields of one cluster carry different versions
	CodeVerify       Code = "verify"        // the edited text did not read back as intended; nothing was changed
)

// The kinds of findings that are not faults.
const (
	CodeSetting    Code = "setting"     // a setting of the ring's entry
	CodeEntry      Code = "entry"       // an entry of the ring: what `service add` shows
	CodeUnknownKey Code = "unknown-key" // Fleet ignores this key
	CodeNumber     Code = "number"      // a version that Fleet reads as a number, a bool or a date
	CodeStrategy   Code = "strategy"    // the bundle's own rolloutStrategy
	CodePaused     Code = "paused"      // the bundle is paused: nothing moves
	CodeValuesFrom Code = "values-from" // a ConfigMap or Secret may override the field on the cluster
)

// Error is one fault in a file, or in what was asked of it. The zero value of a place means that the fault has none.
type Error struct {
	Code     Code
	File     string   // as given to Parse
	Line     int      // from 1
	Entry    string   // the entry's name, else its position ("#3")
	Field    Field    // the version's or setting's field concerned
	Clusters []string // every cluster concerned, sorted; Error() names the first of them
	Msg      string   // what is wrong
	Hint     string   // what to do, one sentence or a command; may be empty
}

// namedClusters is how many clusters a message spells out; Error.Clusters has them all.
const namedClusters = 8

// Error says where and what, without the hint: `fleet.yaml:12: entry "ring-1": ... (clusters a, b)`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Entry != "" {
		fmt.Fprintf(&b, ": entry %q", e.Entry)
	}
	b.WriteString(": " + e.Msg)
	if len(e.Clusters) > 0 {
		b.WriteString(" (" + clusterList(e.Clusters) + ")")
	}
	return b.String()
}

// clusterList says "cluster a" or "clusters a, b and 3 more".
func clusterList(names []string) string {
	if len(names) == 1 {
		return "cluster " + names[0]
	}
	return "clusters " + shortened(names)
}

// shortened is a list that a person can read.
func shortened(names []string) string {
	if len(names) <= namedClusters {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:namedClusters], ", "), len(names)-namedClusters)
}

// Faults are all the faults that were found, in the order of the file. errors.As finds the first *Error in it.
type Faults []*Error

// Error has one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, e := range fs {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As look at every fault.
func (fs Faults) Unwrap() []error {
	errs := make([]error, len(fs))
	for i, e := range fs {
		errs[i] = e
	}
	return errs
}

// FaultsOf gives every fault in an error of this package; nil if there is none in it.
func FaultsOf(err error) Faults {
	var fs Faults
	if errors.As(err, &fs) {
		return fs
	}
	var e *Error
	if errors.As(err, &e) {
		return Faults{e}
	}
	return nil
}
