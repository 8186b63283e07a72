package fleetyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	fleetsyaml "sigs.k8s.io/yaml"
)

// File is one fleet.yaml, parsed. It is immutable and safe for concurrent use.
type File struct {
	name    string // as given, for messages
	src     []byte
	lines   lineTable
	root    *yaml.Node   // the root mapping; nil in an empty file
	entries []*yaml.Node // the items of targetCustomizations, in order; an item may be an alias
	spec    spec
	raw     map[string]any    // the whole file as Fleet reads it
	values  map[string][]byte // values files handed in
	unread  map[int][]string  // entry index (base: -1) -> values files that were not handed in
}

// Parse reads the bytes of a fleet.yaml. name is the file's name or path, used in messages and to tell fleet.yml, which
// reads well but cannot be edited. An empty file is a valid one: Fleet deploys the folder with no options. The error is
// always an *Error: not YAML (with the line), a second document, or YAML that Fleet cannot read. src is not kept or changed.
func Parse(name string, src []byte) (*File, error) {
	f := &File{name: name, src: bytes.Clone(src)}
	if !utf8.Valid(src) {
		return nil, f.fault(CodeSyntax, 0, "is not UTF-8 text")
	}
	f.lines = newLineTable(f.src)
	doc, err := f.parseNodes()
	if err != nil {
		return nil, err
	}
	if doc != nil && doc.Kind == yaml.MappingNode {
		f.root = doc
	} else if doc != nil && doc.Tag != "!!null" {
		return nil, f.fault(CodeSyntax, doc.Line, "must be a mapping (key: value)")
	}
	f.entries = items(child(f.root, "targetCustomizations"))
	if e := f.checkNonces(); e != nil {
		return nil, e
	}
	if err := f.parseSpec(); err != nil {
		return nil, err
	}
	f.loadValues()
	return f, nil
}

// Bytes are the whole file as it was parsed. They must not be changed.
func (f *File) Bytes() []byte { return f.src }

// WithBytes gives the file with other bytes in its place, and with the same values files: what an Edit of it made. The
// error is as of Parse. src is not kept or changed.
func (f *File) WithBytes(src []byte) (*File, error) {
	after, err := Parse(f.name, src)
	if err != nil || f.values == nil {
		return after, err
	}
	return after.WithValuesFiles(f.values)
}

// parseNodes gives the first document's content, nil if there is none, and refuses a later document with content.
func (f *File) parseNodes() (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(f.src))
	var first *yaml.Node
	for i := 0; ; i++ {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return first, nil
		}
		if err != nil {
			return nil, f.syntax(err)
		}
		content := doc.Content[0]
		if i == 0 {
			first = content
		} else if content.Tag != "!!null" {
			e := f.fault(CodeDocuments, content.Line, "holds several YAML documents; Fleet reads only the first and ignores the rest")
			e.Hint = "move what the later documents say into the first, or into files of their own"
			return nil, e
		}
	}
}

// parseSpec reads the file the way Fleet does.
func (f *File) parseSpec() error {
	if err := fleetsyaml.Unmarshal(f.src, &f.raw); err != nil {
		return f.syntax(err)
	}
	if err := fleetsyaml.Unmarshal(f.src, &f.spec); err != nil {
		return f.syntax(err)
	}
	f.spec.propagateChart()
	return nil
}

// propagateChart gives an entry with a helm block the root's chart, repo and version where it has none of its own
// (bundlereader/read.go:324-344). With AllMatches that lets a later entry undo an earlier entry's chart version.
func (s *spec) propagateChart() {
	if s.Helm == nil {
		return
	}
	for _, t := range s.TargetCustomizations {
		if t.Helm != nil {
			t.Helm.Repo = or(t.Helm.Repo, s.Helm.Repo)
			t.Helm.Chart = or(t.Helm.Chart, s.Helm.Chart)
			t.Helm.Version = or(t.Helm.Version, s.Helm.Version)
		}
	}
}

// checkNonces finds a forceSyncGeneration that is not a whole number, with its line; Fleet then fails on the whole file
// (the field is an int64), and its own message has no line.
func (f *File) checkNonces() *Error {
	for i, n := range f.entries {
		v := child(resolve(n), nonceKey)
		if v == nil {
			continue
		}
		v = resolve(v)
		if v.Kind == yaml.ScalarNode && (v.Tag == "!!int" || v.Tag == "!!null") {
			continue
		}
		e := f.fault(CodeSyntax, v.Line, "forceSyncGeneration must be a plain whole number, without quotes; Fleet cannot read this file")
		e.Entry = f.entryName(i)
		return e
	}
	return nil
}

// BundleName is the bundle's name if the file gives it one, else "": then Fleet derives it from the GitRepo and the path.
func (f *File) BundleName() string { return f.spec.Name }

// MaxNonce is the largest forceSyncGeneration of all entries, 0 if none has one.
func (f *File) MaxNonce() int64 {
	var n int64
	for _, t := range f.spec.TargetCustomizations {
		n = max(n, t.ForceSyncGeneration)
	}
	return n
}

// fleetYML reports whether the file has the fallback name. Fleet accepts it, but keeps only "fleet.yaml" itself out of
// the bundle's content (bundlereader/resources.go:107-108), so that an edit changes the content for every cluster.
func (f *File) fleetYML() bool { return path.Base(f.name) == "fleet.yml" }

// entryName is how messages call an entry: its name, else its position, counted from 1.
func (f *File) entryName(i int) string {
	if i < len(f.entries) {
		if n := resolve(child(f.entries[i], "name")); n != nil && n.Value != "" {
			return n.Value
		}
	}
	return "#" + strconv.Itoa(i+1)
}

// entryLine is the line on which an entry begins; 0 if it cannot be placed.
func (f *File) entryLine(i int) int {
	if i >= len(f.entries) {
		return 0
	}
	return f.entries[i].Line
}

func (f *File) fault(code Code, line int, format string, args ...any) *Error {
	return &Error{Code: code, File: f.name, Line: line, Msg: fmt.Sprintf(format, args...)}
}

var (
	lineInMessage = regexp.MustCompile(`line (\d+): `)
	wrapping      = regexp.MustCompile(`^(yaml: |error converting YAML to JSON: |error unmarshaling JSON: |while decoding JSON: |json: )+`)
	embedded      = regexp.MustCompile(`\b(bundleSpec|options)\.`)
)

// syntax turns a parser's error into a fault: its line as a number, its words without the names of libraries.
func (f *File) syntax(err error) *Error {
	msg, line := wrapping.ReplaceAllString(err.Error(), ""), 0
	if m := lineInMessage.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = strings.Replace(msg, m[0], "", 1)
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		msg = "Fleet cannot put a value of type " + wrong.Value + " into " + embedded.ReplaceAllString(wrong.Field, "")
	}
	e := f.fault(CodeSyntax, line, "cannot be read: %s", wrapping.ReplaceAllString(msg, ""))
	e.Hint = "repair it; Fleet cannot read it either"
	return e
}
