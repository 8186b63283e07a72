package fleetyaml_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"rollout/fleet/fleetyaml"
)

// checkOracle judges an edit without the package's own means: it decodes both texts into plain maps with yaml/v3, puts the
// new values in by hand, and compares; and it compares the bytes line by line.
func checkOracle(t *testing.T, f *fleetyaml.File, c fleetyaml.Change, src []byte, e *fleetyaml.Edit) {
	t.Helper()
	before, after := decode(t, src), decode(t, e.Bytes)
	list, _ := before["targetCustomizations"].([]any)
	for _, entry := range e.Entries {
		m := list[entry.Index]
		put(t, m, []string{"forceSyncGeneration"}, int(c.Nonce))
		for _, fe := range entry.Fields {
			place, format, given := strings.Cut(string(fe.Field), "=")
			if !given {
				format = "{version}"
			}
			put(t, m, strings.Split(place, "."), strings.Replace(format, "{version}", c.Version, 1))
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("more or less than the edit changed (-want +got):\n%s", diff)
	}
	checkLines(t, src, e)
	if e.Changed == bytes.Equal(src, e.Bytes) {
		t.Errorf("Changed is %v, but the bytes say otherwise", e.Changed)
	}
}

func decode(t *testing.T, src []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal(src, &m); err != nil {
		t.Fatalf("the oracle cannot read the file: %v", err)
	}
	return m
}

// put sets a value in nested maps that are there already, except for the last key of a list.
func put(t *testing.T, tree any, path []string, value any) {
	t.Helper()
	for i, key := range path {
		switch m := tree.(type) {
		case map[string]any:
			if i == len(path)-1 {
				m[key] = value
				return
			}
			tree = m[key]
		case map[any]any: // a mapping with a key that is no string
			if i == len(path)-1 {
				m[key] = value
				return
			}
			tree = m[key]
		case []any:
			var at int
			if _, err := fmt.Sscan(key, &at); err != nil {
				t.Fatalf("%v: %v", path, err)
			}
			if i == len(path)-1 {
				m[at] = value
				return
			}
			tree = m[at]
		default:
			t.Fatalf("%v does not lead to a value", path)
		}
	}
}

// nonceLine is a line that begins with a nonce, in block style; anyNonce is one that has a nonce, not commented out.
var (
	nonceLine = regexp.MustCompile(`^\s*(- +)?forceSyncGeneration *:`)
	anyNonce  = regexp.MustCompile(`^[^#]*forceSyncGeneration"? *:`)
)

// inlineNonce is a nonce that was added in flow style.
var inlineNonce = regexp.MustCompile(`"?forceSyncGeneration"?: \d+, `)

// checkLines asserts that the only lines that differ are those that the edit names, and those with a nonce.
func checkLines(t *testing.T, src []byte, e *fleetyaml.Edit) {
	t.Helper()
	named := map[int]bool{}
	for _, entry := range e.Entries {
		for _, fe := range entry.Fields {
			named[fe.Line-1] = true
		}
	}
	old, at := splitLines(src), 0
	for _, line := range splitLines(e.Bytes) {
		switch {
		case at < len(old) && (line == old[at] || inlineNonce.ReplaceAllString(line, "") == old[at]):
			at++
		case at < len(old) && named[at] && (!nonceLine.MatchString(line) || inlineNonce.MatchString(line)):
			at++
		case at < len(old) && anyNonce.MatchString(line) && anyNonce.MatchString(old[at]):
			at++
		case nonceLine.MatchString(line): // added
		default:
			t.Fatalf("line %q is not where it was, nor is it named", line)
		}
	}
	if at != len(old) {
		t.Errorf("line %q is gone", old[at])
	}
}

// splitLines splits as YAML does, empty lines included.
func splitLines(b []byte) []string {
	text := strings.ReplaceAll(strings.TrimPrefix(string(b), "\uFEFF"), "\r\n", "\n")
	for _, br := range []string{"\r", "\u0085", "\u2028", "\u2029"} {
		text = strings.ReplaceAll(text, br, "\n")
	}
	return strings.Split(text, "\n")
}
