package fleetyaml

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Field is the place of a version in an entry: keys joined by dots, `helm.values.image.tag`. A dot that belongs to a key
// is written `\.`; a number is also the index in a list.
type Field string

// DefaultField is where most charts keep the image's tag.
const DefaultField Field = "helm.values.image.tag"

// nonceKey is the option that forces a redeployment and that the agent acknowledges.
const nonceKey = "forceSyncGeneration"

// orDefault is the fields without repetitions, or the default one if there are none.
func orDefault(fields []Field) []Field {
	if len(fields) == 0 {
		return []Field{DefaultField}
	}
	var unique []Field
	for _, fl := range fields {
		if !slices.Contains(unique, fl) {
			unique = append(unique, fl)
		}
	}
	return unique
}

// path is the field's keys, unescaped.
func (f Field) path() []string {
	var keys []string
	var key strings.Builder
	for i := 0; i < len(f); i++ {
		switch {
		case f[i] == '\\' && i+1 < len(f) && f[i+1] == '.':
			i++
			key.WriteByte('.')
		case f[i] == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(f[i])
		}
	}
	return append(keys, key.String())
}

// Check says whether the field can carry a ring's version; nil if so. The fault, which has no File, is CodeRedeploys for a
// field that can only be used with Change.AcceptRedeploy, and CodeField for one that cannot be used at all.
func (f Field) Check() *Error {
	p := f.path()
	for _, k := range p {
		if k == "" {
			return f.refuse(CodeField, "has an empty key", `write the path from the entry on, such as "`+string(DefaultField)+`"`)
		}
	}
	switch {
	case len(p) > 2 && p[0] == "helm" && p[1] == "values":
		return nil
	case f == "helm.version" || f == "helm.chart" || f == "helm.repo":
		return f.refuse(CodeRedeploys, "is not ring-isolated: Fleet puts the charts of all entries into the one bundle, "+
			"so a change redeploys every ring, hooks included", "keep the version in helm.values, or accept the redeployment (--accept-redeploy)")
	case p[0] == "kustomize" || p[0] == "yaml":
		return f.refuse(CodeField, "is not ring-isolated: it names files that are part of the bundle's content, "+
			"and new content redeploys every ring", "keep the version in helm.values")
	}
	return f.refuse(CodeField, "cannot carry a version", `use a field below helm.values, such as "`+string(DefaultField)+`"`)
}

func (f Field) refuse(code Code, msg, hint string) *Error {
	return &Error{Code: code, Field: f, Msg: "field " + string(f) + " " + msg, Hint: hint}
}

// lookup gives the value at a path in a decoded tree; ok is false if it leads nowhere.
func lookup(tree any, path []string) (value any, ok bool) {
	for _, k := range path {
		switch t := tree.(type) {
		case map[string]any:
			if tree, ok = t[k]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(k)
			if err != nil || i < 0 || i >= len(t) || strconv.Itoa(i) != k {
				return nil, false
			}
			tree = t[i]
		default:
			return nil, false
		}
	}
	return tree, true
}

// with is the tree with the value at an existing path replaced, or with the last key added to an existing map. Only the
// maps and lists on the way are copied. A path that leads nowhere gives the tree back.
func with(tree any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	switch t := tree.(type) {
	case map[string]any:
		if _, ok := t[path[0]]; !ok && len(path) > 1 {
			return tree
		}
		r := maps.Clone(t)
		r[path[0]] = with(t[path[0]], path[1:], value)
		return r
	case []any:
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(t) {
			r := append([]any(nil), t...)
			r[i] = with(t[i], path[1:], value)
			return r
		}
	}
	return tree
}
