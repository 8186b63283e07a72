package fleetyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plan is an edit in the making: which scalars of which entries, and what stands in the way.
type plan struct {
	f       *File
	c       Change
	before  *View
	aliased map[*yaml.Node]*yaml.Node
	edits   map[int]*entryPlan // by entry
	mark    mark
	faults  Faults
	splices []splice
}

// mark is the key that every entry of the ring gets beside its versions: the nonce, or doNotDeploy.
type mark struct {
	key, text string
	leaf      any // as Fleet reads it
}

// entryPlan is one entry of the ring.
type entryPlan struct {
	edit   EntryEdit
	values map[Field]place
	after  map[Field]written // what stands there after the edit
}

// written is a scalar's text, and what Fleet reads there.
type written struct {
	text string
	leaf any
}

func newPlan(before *View, c Change) *plan {
	c.Fields = before.fields
	return &plan{f: before.f, c: c, before: before, aliased: aliases(before.f.root), edits: map[int]*entryPlan{},
		mark: mark{nonceKey, strconv.FormatInt(c.Nonce, 10), float64(c.Nonce)}}
}

// collect finds, for each cluster of the ring, the entries that its version comes from: for each field the last entry
// that applies and says it. Entries that miss are gathered, so that each fault is told once with all its clusters.
func (p *plan) collect() {
	deployed := false
	misses := map[miss][]string{}
	unread := map[string][]string{}
	for _, c := range p.c.Ring {
		e := p.before.effect(c)
		if !e.Deployed {
			continue
		}
		deployed = true
		for _, name := range e.Unread {
			unread[name] = append(unread[name], c.Name)
		}
		for _, fl := range p.c.Fields {
			at, v := p.find(e.Entries, fl)
			if v.value == nil {
				m := missOf(e.Entries, fl)
				misses[m] = append(misses[m], c.Name)
				continue
			}
			p.note(at, fl, v, c.Name)
		}
		p.collectSettings(e, c.Name, misses)
	}
	if !deployed {
		p.faults = append(p.faults, p.notDeployed())
		return
	}
	p.missFaults(misses)
	p.unreadFaults(unread)
}

// find is the entry that a field's value comes from: the last one that has it (the only one, with FirstMatch).
func (p *plan) find(apply []int, fl Field) (int, place) {
	for i := len(apply) - 1; i >= 0; i-- {
		if apply[i] < len(p.f.entries) {
			if v := walk(p.f.entries[apply[i]], fl.path()); v.value != nil {
				return apply[i], v
			}
		}
	}
	return 0, place{}
}

func (p *plan) note(at int, fl Field, v place, cluster string) {
	ep := p.edits[at]
	if ep == nil {
		ep = &entryPlan{values: map[Field]place{}, after: map[Field]written{}, edit: EntryEdit{
			Index: at, Name: p.f.entryName(at), Line: p.f.entryLine(at), Nonce: p.c.Nonce,
			OldNonce: p.f.spec.TargetCustomizations[at].ForceSyncGeneration,
		}}
		p.edits[at] = ep
	}
	ep.values[fl] = v
	if !slices.Contains(ep.edit.Clusters, cluster) {
		ep.edit.Clusters = append(ep.edit.Clusters, cluster)
	}
}

// miss is a field that is not said for some clusters, by the last entry that applies to them (-1: by none).
type miss struct {
	entry int
	field Field
}

func missOf(apply []int, fl Field) miss {
	if len(apply) == 0 {
		return miss{entry: base}
	}
	return miss{entry: apply[len(apply)-1], field: fl}
}

func (p *plan) missFaults(misses map[miss][]string) {
	for m, clusters := range misses {
		var e *Error
		if m.entry == base {
			e = p.f.fault(CodeNoEntry, 0, "no targetCustomizations entry selects clusters of the ring: they get the base values")
			e.Hint = "add an entry for this ring to targetCustomizations, with what it runs now"
		} else {
			e = p.f.fault(CodeMissingField, p.f.entryLine(m.entry), "does not say %s, so that the base value reaches the ring", m.field.Path())
			e.Entry, e.Field = p.f.entryName(m.entry), m.field
			e.Hint = "add to the entry, with the version that the ring runs now: " + flowText(m.field, "VERSION")
			if !slices.Contains(p.c.Fields, m.field) {
				e.Hint = "add to the entry, with the value that the ring has now: " + flowText(m.field, "VALUE")
			}
		}
		e.Clusters = sorted(clusters)
		p.faults = append(p.faults, e)
	}
}

// flowText writes a path as a person would add it: `helm: {values: {image: {tag: VERSION}}}`.
func flowText(fl Field, what string) string {
	path, value := fl.path(), fl.render(what)
	if !plainSafe(value, true) {
		value = strconv.Quote(value)
	}
	return strings.Join(path, ": {") + ": " + value + strings.Repeat("}", len(path)-1)
}

func (p *plan) unreadFaults(unread map[string][]string) {
	for name, clusters := range unread {
		e := p.f.fault(CodeValuesFile, 0, "values file %s was not read, and may override the version", name)
		e.Clusters, e.Hint = sorted(clusters), "put it into the folder of "+p.f.name+", or take it out of helm.valuesFiles"
		p.faults = append(p.faults, e)
	}
}

// notDeployed says why no cluster of the ring gets the bundle.
func (p *plan) notDeployed() *Error {
	e := p.f.fault(CodeNotDeployed, 0, "no cluster of the ring gets this bundle")
	for _, c := range p.c.Ring {
		e.Clusters = append(e.Clusters, c.Name)
	}
	e.Clusters = sorted(e.Clusters)
	e.Hint = p.c.Ring[0].Name + " is " + p.before.effect(p.c.Ring[0]).Why
	return e
}

// write turns what was collected into splices, with a fault for each scalar that cannot be edited.
func (p *plan) write() {
	for _, at := range p.order() {
		ep := p.edits[at]
		slices.Sort(ep.edit.Clusters)
		for _, fl := range p.c.Fields {
			if v, ok := ep.values[fl]; ok {
				p.writeField(ep, fl, v)
			}
		}
		for _, s := range p.c.Settings {
			if v, ok := ep.values[s.Field]; ok {
				p.writeSetting(ep, s, v)
			}
		}
		p.writeNonce(at, ep)
	}
	slices.SortFunc(p.splices, func(a, b splice) int { return cmp.Compare(a.start, b.start) })
	p.splices = slices.Compact(p.splices) // one scalar that two fields name
	p.sameNonce()
}

// order is the entries to edit, in file order.
func (p *plan) order() []int {
	var order []int
	for at := range p.edits {
		order = append(order, at)
	}
	slices.Sort(order)
	return order
}

func (p *plan) refuse(ep *entryPlan, code Code, fl Field, line int, msg, hint string) {
	e := p.f.fault(code, line, "%s", msg)
	e.Entry, e.Field, e.Clusters, e.Hint = ep.edit.Name, fl, ep.edit.Clusters, hint
	p.faults = append(p.faults, e)
}

func (p *plan) writeField(ep *entryPlan, fl Field, v place) {
	const onOneLine = "write the version on one line, plain or in quotes"
	n := v.value
	start, end, ok := p.editable(ep, fl, v, onOneLine)
	if !ok {
		return
	}
	if tag := n.ShortTag(); tag == "!!bool" || n.Style&yaml.TaggedStyle != 0 && tag != "!!str" {
		p.refuse(ep, CodeScalar, fl, n.Line, fl.Path()+" is not a string or a number", onOneLine)
		return
	}
	old, ok := fl.versionIn(n.Value)
	if !ok {
		p.refuse(ep, CodeFormat, fl, n.Line, fmt.Sprintf("%s is %q, which is not of the format %q", fl.Path(), n.Value, fl.render(placeholder)),
			"repair the value, or name the field with the format that it has")
		return
	}
	ep.edit.Fields = append(ep.edit.Fields, FieldEdit{Field: fl, Line: n.Line, Old: old, New: p.c.Version})
	value := fl.render(p.c.Version)
	ep.after[fl] = written{value, value}
	if n.Value == value && p.isString(ep.edit.Index, fl) {
		return
	}
	p.splices = append(p.splices, splice{start, end, quoteLike(n, value, inFlow(v.chain))})
}

// editable finds the bytes of a scalar that an edit may replace; it refuses one that has no such bytes, or another writer.
func (p *plan) editable(ep *entryPlan, fl Field, v place, ifOdd string) (start, end int, ok bool) {
	n := v.value
	if why, line := p.shared(v); why != "" {
		p.refuse(ep, CodeShared, fl, line, fl.Path()+" "+why, "write the value out in this entry")
		return 0, 0, false
	}
	start, end, why := p.f.locate(n)
	if why == "" && n.ShortTag() == "!!null" {
		why = "has no value"
	}
	switch {
	case why != "":
		p.refuse(ep, CodeScalar, fl, n.Line, fl.Path()+" "+why, ifOdd)
	case isTemplate(n.Value):
		p.refuse(ep, CodeTemplate, fl, n.Line, fl.Path()+" is a template, which Fleet fills in for each cluster", "write a plain version, or name another field")
	case p.imageScan(v):
		p.refuse(ep, CodeImageScan, fl, n.Line, fl.Path()+" has an $imagescan marker: Fleet writes it, too", "remove the marker; a version has one writer")
	default:
		return start, end, true
	}
	return 0, 0, false
}

// isString reports whether Fleet reads the field as a string. A version that it reads as a number is written anew even if
// the text is the same: 1.10 would reach the chart as 1.1.
func (p *plan) isString(at int, fl Field) bool {
	entry, _ := lookup(p.f.raw, []string{"targetCustomizations"})
	list, _ := entry.([]any)
	if at >= len(list) {
		return false
	}
	value, _ := lookup(list[at], fl.path())
	_, ok := value.(string)
	return ok
}

// shared says how a value is tied to another place in the file: reached through an alias or a merge key, or part of
// something that an alias repeats elsewhere. Changing it would change that place, too.
func (p *plan) shared(v place) (why string, line int) {
	if v.shared != nil {
		return "is reached through an alias or a merge key, which other places may share", v.shared.Line
	}
	chain := append([]*yaml.Node{p.f.root, child(p.f.root, "targetCustomizations")}, v.chain...)
	for _, n := range chain {
		if n == nil {
			continue
		}
		if a := p.aliased[n]; a != nil {
			return "is part of the anchor &" + n.Anchor + ", which line " + itoa(a.Line) + " repeats", v.value.Line
		}
		if n.Kind == yaml.AliasNode {
			return "is an alias, which other places may share", n.Line
		}
	}
	return "", 0
}

// imageScan looks for the marker of Fleet's image scanning in the comments around the value; it is read from the value's
// line comment (controller/imagescan/update/setters.go).
func (p *plan) imageScan(v place) bool {
	n := v.value
	return strings.Contains(string(p.f.lines.line(n.Line)), "$imagescan") ||
		strings.Contains(n.HeadComment+n.LineComment+n.FootComment, "$imagescan")
}

func inFlow(chain []*yaml.Node) bool {
	return slices.ContainsFunc(chain, func(n *yaml.Node) bool {
		return n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0
	})
}

func (p *plan) writeNonce(at int, ep *entryPlan) {
	entry := p.f.entries[at]
	if entry.Kind != yaml.MappingNode {
		return // an alias: writeField refused it
	}
	top, _ := pair(entry, p.firstOf(ep).path()[0])
	if top == nil {
		return // a merge key: writeField refused it
	}
	p.writeMark(ep, entry, top, "write a plain number", "write the number out in this entry")
}

// firstOf is the first of the fields and settings that the entry says.
func (p *plan) firstOf(ep *entryPlan) Field {
	all := append(slices.Clone(p.c.Fields), settingFields(p.c.Settings)...)
	for _, fl := range all {
		if _, ok := ep.values[fl]; ok {
			return fl
		}
	}
	return all[0]
}

// writeMark writes the mark into an entry, beside its key `top`.
func (p *plan) writeMark(ep *entryPlan, entry, top *yaml.Node, ifOdd, ifShared string) {
	line := ep.edit.Line
	if _, old := pair(entry, p.mark.key); old != nil {
		line = old.Line
		if why, _ := p.shared(place{value: old, chain: []*yaml.Node{old}}); why != "" {
			p.refuse(ep, CodeShared, "", line, p.mark.key+" "+why, ifShared)
			return
		}
	}
	s, why := p.f.setKey(entry, top, p.mark.key, p.mark.text)
	if why != "" {
		p.refuse(ep, CodeScalar, "", line, p.mark.key+" "+why, ifOdd)
		return
	}
	p.splices = append(p.splices, s...)
}

// sameNonce refuses a nonce that another entry has: a cluster that moves from one entry to the other would seem to have
// acknowledged what it never saw.
func (p *plan) sameNonce() {
	for i, t := range p.f.spec.TargetCustomizations {
		if t.ForceSyncGeneration == p.c.Nonce && p.edits[i] == nil {
			e := p.f.fault(CodeVersion, p.f.entryLine(i), "has the nonce %d already", p.c.Nonce)
			e.Entry, e.Hint = p.f.entryName(i), "take a nonce above "+itoa(int(p.f.MaxNonce()))
			p.faults = append(p.faults, e)
		}
	}
}

// entries are the edits for the caller.
func (p *plan) entries() []EntryEdit {
	var es []EntryEdit
	for _, at := range p.order() {
		es = append(es, p.edits[at].edit)
	}
	return es
}
