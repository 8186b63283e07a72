package fleetyaml

import (
	"cmp"
	"slices"

	"rollout/rings"
)

// Severity says what a finding means for a rollout.
type Severity string

// The severities.
const (
	Info    Severity = "info"    // as it is
	Warning Severity = "warning" // works, but probably not as its writer thinks
	Blocker Severity = "blocker" // Edit would refuse, or the rollout could never finish
)

// Finding is something that a person who sets a service up should see.
type Finding struct {
	Severity Severity
	Code     Code
	Line     int    // 0: no single place
	Entry    string // as in Error.Entry
	Field    Field
	Version  string            // CodeEntry, CodeNumber: what the field says now
	Nonce    int64             // CodeEntry: the entry's nonce, 0 if none
	Clusters []string          // sorted; for CodeEntry the ring's clusters that get the entry
	Type     rings.SettingType // CodeSetting: of the value, Version
	Msg      string
	Hint     string
}

// probe is the version that Inspect tries to write.
const probe = "v0-rollout-probe"

// Inspect tells what a rollout to the ring would find, for a person who sets a service up: the entries of the ring
// (CodeEntry), every fault that would make Edit refuse (Blocker), and what probably is not meant: keys that Fleet ignores,
// versions that are read as numbers, a strategy or a pause that holds clusters back. Version and Nonce of the change are
// not looked at. nil never comes back for a ring that is deployed.
func (f *File) Inspect(c Change) []Finding {
	c.Version, c.Nonce = probe, f.MaxNonce()+1
	var found []Finding
	if view, err := f.View(c.Targets, c.Fields, settingFields(c.Settings)...); err == nil {
		c.Settings = f.probes(view, c)
		found = append(found, f.ringEntries(view, c)...)
		found = append(found, f.notDeployed(view, c)...)
	}
	if _, err := f.Edit(c); err != nil {
		for _, e := range FaultsOf(err) {
			found = append(found, Finding{Severity: Blocker, Code: e.Code, Line: e.Line, Entry: e.Entry, Field: e.Field,
				Clusters: e.Clusters, Msg: e.Msg, Hint: e.Hint})
		}
	}
	found = append(found, f.unknownKeys()...)
	found = append(found, f.valuesFrom()...)
	found = append(found, f.Strategy(c)...)
	if f.spec.Paused {
		found = append(found, Finding{Severity: Warning, Code: CodePaused, Line: f.keyLine("paused"),
			Msg: "the bundle is paused: no cluster is updated", Hint: "remove `paused: true` before a rollout"})
	}
	return found
}

// ringEntries shows each version scalar of the ring, with a warning beside it if Fleet reads it as something else.
func (f *File) ringEntries(view *View, c Change) []Finding {
	p := newPlan(view, c)
	p.collect()
	p.write()
	var found []Finding
	for _, e := range p.entries() {
		for _, fe := range e.Fields {
			entry := Finding{Severity: Info, Code: CodeEntry, Line: fe.Line, Entry: e.Name, Field: fe.Field, Version: fe.Old,
				Nonce: e.OldNonce, Clusters: e.Clusters, Msg: fe.Field.Path() + " is " + fe.Field.render(fe.Old)}
			found = append(found, entry)
			if !p.isString(e.Index, fe.Field) {
				w := entry
				w.Severity, w.Code = Warning, CodeNumber
				w.Msg = "version " + fe.Old + " is not a string to Fleet: the chart gets " + f.read(e.Index, fe.Field)
				w.Hint = `write it in quotes: "` + fe.Old + `"`
				found = append(found, w)
			}
		}
		for _, fe := range e.Settings {
			found = append(found, Finding{Severity: Info, Code: CodeSetting, Line: fe.Line, Entry: e.Name, Field: fe.Field, Version: fe.Old,
				Type: typeOf(f.rawLeaf(e.Index, fe.Field)), Clusters: e.Clusters, Msg: string(fe.Field) + " is " + fe.Old})
		}
	}
	return found
}

// read is what Fleet makes of a field in an entry.
func (f *File) read(at int, fl Field) string {
	v, _ := lookup(toTree(f.spec.TargetCustomizations[at].options), fl.path())
	return text(v)
}

// notDeployed shows the ring's clusters that do not get the bundle, by the reason.
func (f *File) notDeployed(view *View, c Change) []Finding {
	byReason := map[string][]string{}
	for _, cl := range c.Ring {
		if e := view.effect(cl); !e.Deployed {
			byReason[e.Why] = append(byReason[e.Why], cl.Name)
		}
	}
	var found []Finding
	for why, names := range byReason {
		found = append(found, Finding{Severity: Info, Code: CodeNotDeployed, Clusters: sorted(names), Msg: why})
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Compare(a.Msg, b.Msg) })
	return found
}

// valuesFrom warns of values that the agent fetches on the cluster: they override all others, unseen.
func (f *File) valuesFrom() []Finding {
	var found []Finding
	warn := func(h *helm, entry string, line int) {
		if h != nil && len(h.ValuesFrom) > 0 {
			found = append(found, Finding{Severity: Warning, Code: CodeValuesFrom, Entry: entry, Line: line,
				Msg:  "helm.valuesFrom takes values from a ConfigMap or Secret on the cluster; they override the version if they have it",
				Hint: "keep the version out of them"})
		}
	}
	warn(f.spec.Helm, "", f.keyLine("helm"))
	for i, t := range f.spec.TargetCustomizations {
		warn(t.Helm, f.entryName(i), f.entryLine(i))
	}
	return found
}
