package fleetyaml

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollout/rings"
)

// Field is the place of a version in an entry: keys joined by dots, `helm.values.image.tag`. A dot that belongs to a key
// is written `\.`; a number is also the index in a list. Where the value is more than the version, its format follows after
// a `=`: `helm.values.image=reg/web:{version}`.
type Field string

// placeholder stands for the version in a format.
const placeholder = "{version}"

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

// Path is the field without its format.
func (f Field) Path() string {
	path, _, _ := strings.Cut(string(f), "=")
	return path
}

// format is what stands before and after the version; whole says that there is nothing else, as nothing was said.
func (f Field) format() (before, after string, whole bool) {
	_, format, given := strings.Cut(string(f), "=")
	if !given {
		return "", "", true
	}
	before, after, _ = strings.Cut(format, placeholder)
	return before, after, false
}

// render is the value that says the version.
func (f Field) render(version string) string {
	before, after, _ := f.format()
	return before + version + after
}

// versionIn is the version that a value says; ok is false if the value has another format. What is cut out of a format
// must be able to stand in an image tag, so that a digest or a second folder is never taken for a part of the version.
func (f Field) versionIn(value string) (version string, ok bool) {
	before, after, whole := f.format()
	if whole {
		return value, true
	}
	if len(value) <= len(before)+len(after) || !strings.HasPrefix(value, before) || !strings.HasSuffix(value, after) {
		return "", false
	}
	version = value[len(before) : len(value)-len(after)]
	return version, rings.Version(version).Check() == nil
}

// Needs is what must be in the folder of fleet.yaml for a version: the kustomization or the overlay that the field names.
// "" if the version needs nothing there.
func (f Field) Needs(version string) string {
	switch p := f.path(); {
	case f.Path() == "kustomize.dir":
		return path.Join(strings.Trim(f.render(version), "/"), "kustomization.yaml")
	case p[0] == "yaml":
		return path.Join("overlays", f.render(version))
	}
	return ""
}

// path is the field's keys, unescaped.
func (f Field) path() []string {
	f = Field(f.Path())
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
	if e := f.checkFormat(); e != nil {
		return e
	}
	_, _, whole := f.format()
	switch at := f.Path(); {
	case len(p) > 2 && p[0] == "helm" && p[1] == "values":
		return nil
	case at == "helm.version" || at == "helm.chart" || at == "helm.repo":
		return f.refuse(CodeRedeploys, "is not ring-isolated: Fleet puts the charts of all entries into the one bundle, "+
			"so a change redeploys every ring, hooks included", "keep the version in helm.values, or accept the redeployment (--accept-redeploy)")
	case at == "kustomize.dir" && whole:
		return f.refuse(CodeField, "names a folder, and does not say where in its name the version is", "kustomize.dir=overlays/{version}")
	case at == "kustomize.dir" || overlayItem.MatchString(at) && !whole:
		return nil // an option of the ring's entry: the folders of all versions are in the bundle already
	case p[0] == "kustomize" || p[0] == "yaml":
		return f.refuse(CodeField, "cannot carry a version: what kustomize and overlays read are files of the bundle's content, which all rings share",
			"name the folder of a version, kustomize.dir=overlays/{version} or yaml.overlays.0={version}, or keep the version in helm.values")
	}
	return f.refuse(CodeField, "cannot carry a version", `use a field below helm.values, such as "`+string(DefaultField)+`"`)
}

// overlayItem is one of an entry's overlays.
var overlayItem = regexp.MustCompile(`^yaml\.overlays\.\d+$`)

// checkFormat says what is wrong with the format; nil if nothing is, or there is none.
func (f Field) checkFormat() *Error {
	_, format, given := strings.Cut(string(f), "=")
	switch {
	case !given:
		return nil
	case strings.Count(format, placeholder) != 1:
		return f.refuse(CodeFormat, "must have "+placeholder+" in its format once", f.Path()+"=registry/image:"+placeholder)
	case isTemplate(format):
		return f.refuse(CodeFormat, "has a template in its format, which Fleet would fill in for each cluster", "write a plain format")
	}
	return nil
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
