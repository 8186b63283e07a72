package fleetyaml

import (
	"slices"

	fleetsyaml "sigs.k8s.io/yaml"
)

// base is the index under which the root's own values files are kept.
const base = -1

// ValuesFiles are the names of the values files that Fleet merges into the options, as written, relative to the file's
// folder; sorted, without duplicates, nil if none. Hand their contents to WithValuesFiles: in the same block they override
// `values` (bundlereader/resources.go:184-212).
func (f *File) ValuesFiles() []string {
	names := slices.Clone(f.baseFiles())
	for _, t := range f.spec.TargetCustomizations {
		if t.Helm != nil {
			names = append(names, t.Helm.ValuesFiles...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// WithValuesFiles gives a copy of the file that knows the contents of these values files, by the names that ValuesFiles
// gave. The error is an *Error: a values file that is not a YAML mapping.
func (f *File) WithValuesFiles(contents map[string][]byte) (*File, error) {
	r := *f
	r.values = map[string][]byte{}
	for name, content := range contents {
		var tree map[string]any
		if err := fleetsyaml.Unmarshal(content, &tree); err != nil {
			e := f.syntax(err)
			e.File = name
			return nil, e
		}
		r.values[name] = content
	}
	r.raw, r.spec = nil, spec{}
	if err := r.parseSpec(); err != nil {
		return nil, err
	}
	r.loadValues()
	return &r, nil
}

// baseFiles are the root's values files. Fleet looks at them only if the root names a chart or a repo
// (bundlereader/resources.go:36-44).
func (f *File) baseFiles() []string {
	if h := f.spec.Helm; h != nil && (h.Chart != "" || h.Repo != "") {
		return h.ValuesFiles
	}
	return nil
}

// loadValues merges the values files that are known into the values beside them, and remembers those that are not.
func (f *File) loadValues() {
	f.unread = map[int][]string{}
	if len(f.baseFiles()) > 0 {
		f.loadInto(f.spec.Helm, base)
	}
	for i, t := range f.spec.TargetCustomizations {
		if t.Helm != nil {
			f.loadInto(t.Helm, i)
		}
	}
}

func (f *File) loadInto(h *helm, at int) {
	for _, name := range h.ValuesFiles {
		content, ok := f.values[name]
		if !ok {
			f.unread[at] = append(f.unread[at], name)
			continue
		}
		var tree map[string]any
		if fleetsyaml.Unmarshal(content, &tree) == nil { // WithValuesFiles tried it before
			h.Values = mergeValues(h.Values, tree)
		}
	}
}

// unreadBy are the values files not handed in that could change what these entries give for the fields; the root's count
// only if the entries leave a field to it.
func (f *File) unreadBy(apply []int, custom options, fields []Field) []string {
	var names []string
	tree := toTree(custom)
	for _, fl := range fields {
		if _, ok := lookup(tree, fl.path()); !ok {
			names = slices.Clone(f.unread[base])
			break
		}
	}
	for _, i := range apply {
		names = append(names, f.unread[i]...)
	}
	return names
}
