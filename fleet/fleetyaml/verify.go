package fleetyaml

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// verify reads the edited text and compares it with the old one in three ways: node by node with positions aside (what a
// person wrote), leaf by leaf as Fleet reads it (aliases filled in), and, by the caller, cluster by cluster.
func (p *plan) verify(edited []byte) (*View, Faults) {
	after, err := p.f.WithBytes(edited)
	if err != nil {
		return nil, p.failed("the edited file would not be readable: " + err.Error())
	}
	if why := p.compareNodes(after); why != "" {
		return nil, p.failed(why)
	}
	if !reflect.DeepEqual(p.expected(), any(after.raw)) {
		return nil, p.failed("Fleet would not read exactly what is to be changed: a merge key after it wins, or something repeats it")
	}
	view, err := after.View(p.c.Targets, p.c.Fields, settingFields(p.c.Settings)...)
	if err != nil {
		return nil, FaultsOf(err)
	}
	return view, nil
}

func (p *plan) failed(why string) Faults {
	e := p.f.fault(CodeVerify, 0, "%s; nothing was changed", why)
	e.Hint = "simplify how the ring's entries are written, or report this file as a bug"
	return Faults{e}
}

// expected is the file as Fleet must read it after the edit: the old leaves with exactly the new ones in place.
func (p *plan) expected() any {
	var tree any = p.f.raw
	for at, ep := range p.edits {
		entry := []string{"targetCustomizations", strconv.Itoa(at)}
		for fl := range ep.values {
			tree = with(tree, slices.Concat(entry, fl.path()), ep.after[fl].leaf)
		}
		tree = with(tree, append(entry, p.mark.key), p.mark.leaf)
	}
	return tree
}

// compareNodes says in what the two files differ beyond the edit; "" if in nothing.
func (p *plan) compareNodes(after *File) string {
	changed := map[*yaml.Node]string{}
	added := map[*yaml.Node]bool{}
	for at, ep := range p.edits {
		for fl, v := range ep.values {
			changed[v.value] = ep.after[fl].text
		}
		if old := child(p.f.entries[at], p.mark.key); old != nil {
			changed[old] = p.mark.text
		} else {
			added[p.f.entries[at]] = true
		}
	}
	return comparison{changed, added, p.mark.key}.nodes(p.f.root, after.root)
}

// comparison knows which nodes of the old file have a new value, and which mappings get a new key.
type comparison struct {
	changed map[*yaml.Node]string
	added   map[*yaml.Node]bool
	key     string
}

// styleMask leaves out of a style what an edit may change: a plain scalar may become quoted.
const styleMask = yaml.FlowStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle

func (c comparison) nodes(a, b *yaml.Node) string {
	want, isChanged := c.changed[a]
	mask := ^yaml.Style(0)
	if isChanged {
		mask = styleMask
	} else {
		want = a.Value
	}
	switch {
	case a.Kind != b.Kind, a.Anchor != b.Anchor, a.Style&mask != b.Style&mask:
		return fmt.Sprintf("line %d would read as something of another kind", a.Line)
	case b.Value != want, !isChanged && a.Tag != b.Tag:
		return fmt.Sprintf("line %d would read as %q", a.Line, b.Value)
	}
	content := b.Content
	if c.added[a] {
		content = withoutKey(b, c.key)
	}
	if len(a.Content) != len(content) {
		return fmt.Sprintf("what begins on line %d would have other items", a.Line)
	}
	for i := range a.Content {
		if why := c.nodes(a.Content[i], content[i]); why != "" {
			return why
		}
	}
	return ""
}

// withoutKey is a mapping's content less one key.
func withoutKey(n *yaml.Node, key string) []*yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return slices.Concat(n.Content[:i], n.Content[i+2:])
		}
	}
	return n.Content
}

// outcomes computes every cluster before and after; a cluster of the ring that is missing in All is added.
func (p *plan) outcomes(after *View) []Outcome {
	ring := map[string]bool{}
	for _, c := range p.c.Ring {
		ring[c.Name] = true
	}
	seen := map[string]bool{}
	var out []Outcome
	for _, c := range slices.Concat(p.c.All, p.c.Ring) {
		if seen[c.Name] && ring[c.Name] {
			continue
		}
		seen[c.Name] = true
		out = append(out, Outcome{c.Name, ring[c.Name], p.before.effect(c), after.effect(c)})
	}
	return out
}

// check holds each outcome against the promise, and gathers clusters with the same fault.
func (p *plan) check(out []Outcome, one func(Outcome) *Error) Faults {
	gathered := map[string]*Error{}
	for _, o := range out {
		e := one(o)
		if e == nil {
			continue
		}
		key := string(e.Code) + e.Entry + e.Msg
		if gathered[key] == nil {
			gathered[key] = e
		}
		gathered[key].Clusters = append(gathered[key].Clusters, o.Cluster)
	}
	var fs Faults
	for _, e := range gathered {
		e.Clusters = sorted(e.Clusters)
		fs = append(fs, e)
	}
	slices.SortFunc(fs, byPlace)
	return fs
}

func (p *plan) checkOne(o Outcome) *Error {
	a, b := o.Before, o.After
	switch {
	case !o.Ring || !b.Deployed:
		if !sameEffect(a, b) {
			return p.outside(a, b)
		}
	case a.Digest != b.Digest || a.Deployed != b.Deployed:
		return p.f.fault(CodeVerify, 0, "more than the version would change; nothing was changed")
	case b.Nonce != p.c.Nonce:
		at := p.lastNonce(b.Entries)
		e := p.f.fault(CodeOverridden, p.f.entryLine(at), "has its own %s and comes later, so that the nonce would be %d, not %d", nonceKey, b.Nonce, p.c.Nonce)
		e.Entry, e.Hint = p.f.entryName(at), "move this entry before the ring's, or remove its "+nonceKey
		return e
	case slices.ContainsFunc(b.versions, func(v string) bool { return v != p.c.Version }):
		return p.overridden(b)
	default:
		return p.checkSettings(b)
	}
	return nil
}

// overridden is the fault of a ring cluster whose entry would say the version, but that would not get it.
func (p *plan) overridden(b Effect) *Error {
	got := fmt.Sprintf("the clusters would still get %q", b.Version)
	if !b.Found {
		got = "the clusters would get no version"
	}
	e := p.f.fault(CodeOverridden, 0, "%s: a values file, helm.templateValues or a later entry overrides the field", got)
	if len(b.Entries) > 0 {
		last := b.Entries[len(b.Entries)-1]
		e.Line, e.Entry = p.f.entryLine(last), p.f.entryName(last)
	}
	e.Hint = "say the version in one place only"
	return e
}

func sameEffect(a, b Effect) bool {
	return a.Deployed == b.Deployed && a.Nonce == b.Nonce && a.Digest == b.Digest && slices.Equal(a.versions, b.versions) &&
		reflect.DeepEqual(a.leaves, b.leaves)
}

// outside is the fault of a cluster that is not in the ring and would change all the same.
func (p *plan) outside(a, b Effect) *Error {
	e := p.f.fault(CodeOutsideRing, 0, "also selects clusters outside the ring, which would go from %q to %q", a.Version, b.Version)
	if b.Version == probe {
		e.Msg = fmt.Sprintf("also selects clusters outside the ring, which run %q and would change with it", a.Version)
	}
	for _, at := range b.Entries {
		if p.edits[at] != nil {
			e.Line, e.Entry = p.f.entryLine(at), p.f.entryName(at)
		}
	}
	e.Hint = "give the ring an entry of its own, before this one"
	if p.f.spec.TargetCustomizationMode == allMatches {
		e.Hint = "give the ring an entry of its own, after this one"
	}
	return e
}

// lastNonce is the last of the entries with a nonce of its own.
func (p *plan) lastNonce(apply []int) int {
	last := 0
	for _, at := range apply {
		if p.f.spec.TargetCustomizations[at].ForceSyncGeneration > 0 || p.edits[at] != nil {
			last = at
		}
	}
	return last
}

func byPlace(a, b *Error) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Entry, b.Entry),
		cmp.Compare(a.Msg, b.Msg), slices.Compare(a.Clusters, b.Clusters))
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func itoa(n int) string { return strconv.Itoa(n) }
