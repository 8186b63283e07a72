package fleetyaml

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// NewEntry is a targetCustomizations entry to be written for a ring that has none.
type NewEntry struct {
	Target  Target    // its name and criteria
	Ring    []Cluster // the clusters that must get it
	Version string    // what to pin; "": what the clusters get now, which must be one version
}

// Addition is a file with entries added.
type Addition struct {
	Bytes []byte // the whole file
	Text  string // what was put in, for showing
	Line  int    // where, counted in the new file
}

// AddEntries writes entries for rings that have none, at the end of targetCustomizations, each pinned to a version, so
// that afterwards Edit has something to edit. It is for preparing a file, not for rolling out: no cluster of c.All may
// get anything else than before. Of c it uses All, Targets, Fields and AcceptRedeploy. It writes block style only: where
// entries are written in flow style, or through an alias, it refuses. The error is Faults, and then nothing was changed.
func (f *File) AddEntries(entries []NewEntry, c Change) (*Addition, error) {
	before, err := f.View(c.Targets, c.Fields)
	if err != nil {
		return nil, f.viewFaults(err)
	}
	c.Fields = before.fields
	fs := append(f.fieldFaults(c), f.fileFaults()...)
	a := addition{f: f, c: c, before: before}
	for _, n := range entries {
		if n.Version, err = a.pin(n); err != nil {
			fs = append(fs, FaultsOf(err)...)
			continue
		}
		a.entries = append(a.entries, n)
	}
	at, indent, why := f.endOfEntries()
	if why != "" {
		fs = append(fs, f.fault(CodeScalar, f.keyLine("targetCustomizations"), "%s", why))
	}
	if len(fs) > 0 {
		return nil, fs
	}
	return a.write(at, indent)
}

// addition is an AddEntries in the making.
type addition struct {
	f       *File
	c       Change
	before  *View
	entries []NewEntry
}

// pin is the version to write for a new entry: the one that is given, else the one that all its clusters get now.
func (a *addition) pin(n NewEntry) (string, error) {
	version := n.Version
	for _, c := range n.Ring {
		e, err := a.before.Effect(c)
		if err != nil {
			return "", err
		}
		if !e.Deployed || version == e.Version {
			continue
		}
		if version != "" || !e.Found || len(e.Unread) > 0 {
			fault := a.f.fault(CodeDisagree, 0, "cannot pin the ring to %q: the cluster gets %q", or(version, "its version"), e.Version)
			fault.Entry, fault.Clusters, fault.Hint = n.Target.Name, []string{c.Name}, "say which version the ring runs"
			return "", fault
		}
		version = e.Version
	}
	if why := checkVersion(version); why != "" {
		fault := a.f.fault(CodeVersion, 0, "cannot pin the ring: %s", why)
		fault.Entry = n.Target.Name
		return "", fault
	}
	return version, nil
}

// endOfEntries is the line before which entries go, with their indentation: after the last entry, above blank lines and
// the comments that stand at the margin before the next key. why says why there is no such line. indent is -1 if the key
// has to be written, too.
func (f *File) endOfEntries() (line, indent int, why string) {
	if f.root != nil && f.root.Style&yaml.FlowStyle != 0 {
		return 0, 0, "the file is in flow style; write the entries by hand"
	}
	key, list := pair(f.root, "targetCustomizations")
	line = len(f.lines.starts) + 1
	if f.root != nil {
		line = f.endOfDocument()
	}
	switch {
	case list == nil:
		return line, -1, ""
	case list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0:
		return 0, 0, "targetCustomizations is not a list in block style; write the entries by hand"
	}
	if i := slices.Index(f.root.Content, key); i+2 < len(f.root.Content) {
		line = f.root.Content[i+2].Line
	}
	for line > 1 && isMargin(f.lines.line(line-1)) {
		line--
	}
	return line, list.Column - 1, ""
}

// isMargin reports whether a line is blank or a comment at the left margin.
func isMargin(line []byte) bool {
	return len(bytes.TrimSpace(line)) == 0 || line[0] == '#'
}

// endOfDocument is the line of the first `...` or `---` after the root began, else the one after the last.
func (f *File) endOfDocument() int {
	for n := f.root.Line + 1; n <= len(f.lines.starts); n++ {
		if l := string(f.lines.line(n)); strings.HasPrefix(l, "...") || strings.HasPrefix(l, "---") {
			return n
		}
	}
	return len(f.lines.starts) + 1
}

// write puts the entries in and proves that nobody gets anything else.
func (a *addition) write(line, indent int) (*Addition, error) {
	text, err := a.text(indent)
	if err != nil {
		return nil, Faults{a.f.fault(CodeVerify, 0, "cannot write the entries: %v", err)}
	}
	at := len(a.f.src)
	if line <= len(a.f.lines.starts) {
		at = a.f.lines.starts[line-1]
	}
	eol := a.f.lineEnd(2)
	insert := strings.ReplaceAll(text, "\n", eol)
	line = slices.Index(a.f.lines.starts, at) + 1
	if line == 0 { // the last line has no line break
		line = len(a.f.lines.starts) + 1
		insert = eol + strings.TrimSuffix(insert, eol)
	}
	r := &Addition{Text: text, Line: line, Bytes: apply(a.f.src, []splice{{at, at, insert}})}
	if fs := a.verify(r.Bytes); len(fs) > 0 {
		return nil, fs
	}
	return r, nil
}

// text is the entries in block style, at an indentation; with their key if it is -1.
func (a *addition) text(indent int) (string, error) {
	var b strings.Builder
	if indent < 0 {
		b.WriteString("targetCustomizations:\n")
		indent = 0
	}
	margin := strings.Repeat(" ", indent)
	for _, n := range a.entries {
		var out bytes.Buffer
		enc := yaml.NewEncoder(&out)
		enc.SetIndent(2)
		node, err := a.node(n)
		if err == nil {
			err = enc.Encode(node)
		}
		if err != nil {
			return "", err
		}
		for i, l := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			lead := "  "
			if i == 0 {
				lead = "- "
			}
			b.WriteString(margin + lead + l + "\n")
		}
	}
	return b.String(), nil
}

// node is one entry: its criteria as Fleet names them, then the version in each field.
func (a *addition) node(n NewEntry) (*yaml.Node, error) {
	entry := &yaml.Node{Kind: yaml.MappingNode}
	criteria, _ := toTree(n.Target).(map[string]any)
	for _, key := range []string{"name", "clusterName", "clusterGroup", "clusterGroupSelector", "clusterSelector"} {
		value, ok := criteria[key]
		if !ok {
			continue
		}
		var v yaml.Node
		if err := v.Encode(value); err != nil {
			return nil, err
		}
		entry.Content = append(entry.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &v)
	}
	for _, fl := range a.c.Fields {
		set(entry, fl.path(), fl.render(n.Version))
	}
	return entry, nil
}

// set puts a string into nested mappings, making those that are not there. The first item of a list makes the list.
func set(n *yaml.Node, path []string, value string) {
	leaf := stringNode(value)
	if last := len(path) - 1; path[0] == "yaml" && path[last] == "0" {
		path, leaf = path[:last], &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{leaf}}
	}
	for _, key := range path[:len(path)-1] {
		next := child(n, key)
		if next == nil {
			next = &yaml.Node{Kind: yaml.MappingNode}
			n.Content = append(n.Content, stringNode(key), next)
		}
		n = next
	}
	n.Content = append(n.Content, stringNode(path[len(path)-1]), leaf)
}

func stringNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !plainSafe(s, false) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// verify parses the new text, and asserts that the old entries and keys are as they were, that every cluster gets what it
// got, and that the rings get the new entries.
func (a *addition) verify(edited []byte) Faults {
	p := &plan{f: a.f, c: a.c}
	after, err := Parse(a.f.name, edited)
	if err == nil && a.f.values != nil {
		after, err = after.WithValuesFiles(a.f.values)
	}
	if err != nil {
		return p.failed("the edited file would not be readable: " + err.Error())
	}
	if len(after.entries) != len(a.f.entries)+len(a.entries) || !a.sameNodes(after) {
		return p.failed("the entries would not stand where they should")
	}
	view, err := after.View(a.c.Targets, a.c.Fields)
	if err != nil {
		return FaultsOf(err)
	}
	return a.compareClusters(view)
}

// sameNodes compares the files with the new entries, or the new key, left out.
func (a *addition) sameNodes(after *File) bool {
	if a.f.root == nil {
		return true
	}
	root := *after.root
	_, list := pair(&root, "targetCustomizations")
	if child(a.f.root, "targetCustomizations") == nil {
		root.Content = withoutKey(&root, "targetCustomizations")
	} else {
		list.Content = list.Content[:len(a.f.entries)]
	}
	return comparison{}.nodes(a.f.root, &root) == ""
}

func (a *addition) compareClusters(view *View) Faults {
	var fs Faults
	for _, c := range a.c.All {
		if before, now := a.before.effect(c), view.effect(c); !sameEffect(before, now) {
			e := a.f.fault(CodeOutsideRing, 0, "the new entries would change what a cluster gets: %q to %q", before.Version, now.Version)
			e.Clusters = []string{c.Name}
			fs = append(fs, e)
		}
	}
	for i, n := range a.entries {
		at := len(a.f.entries) + i
		for _, c := range n.Ring {
			if e := view.effect(c); e.Deployed && (len(e.Entries) == 0 || e.Entries[len(e.Entries)-1] != at) {
				fault := a.f.fault(CodeOverridden, 0, "the cluster would not get the new entry: it %s", e.Why)
				fault.Entry, fault.Clusters, fault.Hint = n.Target.Name, []string{c.Name}, "check the entry's selector, and the entries before it"
				fs = append(fs, fault)
			}
		}
	}
	return fs
}
