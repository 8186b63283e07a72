package fleetyaml_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pmezard/go-difflib/difflib"
	fleetsyaml "sigs.k8s.io/yaml"

	"rollout/fleet/fleetyaml"
)

var update = flag.Bool("update", false, "write the results into the corpus instead of comparing")

// testCase is the `change` part of a corpus file. What it leaves out is as in newTestCase.
type testCase struct {
	File           string                       `json:"file"`
	Input          []string                     `json:"input"` // what is done to the text before it is parsed, see encode
	Ring           []string                     `json:"ring"`
	Version        string                       `json:"version"`
	Nonce          int64                        `json:"nonce"`
	Fields         []fleetyaml.Field            `json:"fields"`
	AcceptRedeploy bool                         `json:"acceptRedeploy"`
	Clusters       map[string]map[string]string `json:"clusters"` // labels
	Groups         map[string][]fleetyaml.Group `json:"groups"`
	Targets        []fleetyaml.Target           `json:"targets"`
	ValuesFiles    map[string]string            `json:"valuesFiles"`
}

func newTestCase(t testing.TB, text []byte) testCase {
	t.Helper()
	c := testCase{File: "fleet.yaml", Ring: []string{"c1", "c2"}, Version: "v2", Nonce: 7}
	if err := fleetsyaml.UnmarshalStrict(text, &c); err != nil {
		t.Fatal(err)
	}
	if c.Clusters == nil {
		c.Clusters = map[string]map[string]string{"c1": {"ring": "ring-1"}, "c2": {"ring": "ring-1"}, "c3": {"ring": "ring-2"}, "c4": {}}
	}
	if c.Targets == nil {
		if err := fleetsyaml.Unmarshal([]byte(`[{name: all, clusterSelector: {}}]`), &c.Targets); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (tc testCase) change() fleetyaml.Change {
	c := fleetyaml.Change{Targets: tc.Targets, Fields: tc.Fields, Version: tc.Version, Nonce: tc.Nonce, AcceptRedeploy: tc.AcceptRedeploy}
	for _, name := range slices.Sorted(maps.Keys(tc.Clusters)) {
		cl := fleetyaml.Cluster{Name: name, Labels: tc.Clusters[name], Groups: tc.Groups[name]}
		c.All = append(c.All, cl)
		if slices.Contains(tc.Ring, name) {
			c.Ring = append(c.Ring, cl)
		}
	}
	return c
}

func (tc testCase) parse(src []byte) (*fleetyaml.File, error) {
	f, err := fleetyaml.Parse(tc.File, src)
	if err != nil || tc.ValuesFiles == nil {
		return f, err
	}
	contents := map[string][]byte{}
	for name, text := range tc.ValuesFiles {
		contents[name] = []byte(text)
	}
	return f.WithValuesFiles(contents)
}

// encode gives the input what a txtar file cannot hold.
func (tc testCase) encode(src []byte) []byte {
	s := string(src)
	for _, how := range tc.Input {
		switch how {
		case "crlf":
			s = strings.ReplaceAll(s, "\n", "\r\n")
		case "bom":
			s = "\uFEFF" + s
		case "no-final-newline":
			s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
		case "escapes": // \t, \u2028 and the like are written out in the corpus
			s = strings.NewReplacer(`<TAB>`, "\t", `<LS>`, "\u2028", `<CR>`, "\r").Replace(s)
		case "utf16":
			s = "\xFE\xFF" + strings.ReplaceAll(s, "", "\x00")
		case "long-line":
			s = strings.ReplaceAll(s, "<LONG>", strings.Repeat("ü long ", 20_000))
		default:
			panic("unknown input: " + how)
		}
	}
	return []byte(s)
}

// TestCorpus runs every file of testdata/corpus: what Edit changes, or why it refuses, and what Inspect says before.
func TestCorpus(t *testing.T) {
	for _, name := range corpus(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := readArchive(name)
			if err != nil {
				t.Fatal(err)
			}
			tc := newTestCase(t, section(ar, "change"))
			got := map[string]string{"edit": edited(t, tc, section(ar, "input")), "inspect": inspected(tc, section(ar, "input"))}
			if *update {
				writeCorpus(t, name, ar, got)
				return
			}
			for _, part := range []string{"edit", "inspect"} {
				if diff := cmp.Diff(string(section(ar, part)), got[part]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", part, diff)
				}
			}
		})
	}
}

func corpus(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/corpus/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	return names
}

func section(ar *archive, name string) []byte {
	for _, f := range ar.files {
		if f.name == name {
			return f.data
		}
	}
	return nil
}

func writeCorpus(t *testing.T, name string, ar *archive, got map[string]string) {
	t.Helper()
	ar.files = slices.DeleteFunc(ar.files, func(f archivePart) bool { return f.name == "edit" || f.name == "inspect" })
	for _, part := range []string{"edit", "inspect"} {
		ar.files = append(ar.files, archivePart{part, []byte(got[part])})
	}
	if err := os.WriteFile(name, ar.format(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// edited is the edit as a diff, with the cluster's versions and nonces, or the faults.
func edited(t *testing.T, tc testCase, input []byte) string {
	t.Helper()
	src := tc.encode(input)
	f, err := tc.parse(src)
	if err != nil {
		return faults(err)
	}
	edit, err := f.Edit(tc.change())
	if err != nil {
		return faults(err)
	}
	checkOracle(t, f, tc.change(), src, edit)
	checkAgain(t, tc, edit, tc.change())
	var b strings.Builder
	b.WriteString(diffText(t, src, edit.Bytes))
	for _, o := range edit.Effects {
		fmt.Fprintf(&b, "%s: %s -> %s\n", o.Cluster, effect(o.Before), effect(o.After))
	}
	return b.String()
}

func effect(e fleetyaml.Effect) string {
	if !e.Deployed {
		return "(" + e.Why + ")"
	}
	version := fmt.Sprintf("%q", e.Version)
	if !e.Found {
		version = "nothing"
	}
	return fmt.Sprintf("%s nonce %d entries %v", version, e.Nonce, e.Entries)
}

func diffText(t *testing.T, a, b []byte) string {
	t.Helper()
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: lines(a), B: lines(b)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// lines makes the ends of lines visible, and cuts long lines.
func lines(b []byte) []string {
	var out []string
	text := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n").Replace(string(b))
	for _, l := range strings.SplitAfter(text, "\n") {
		if l == "" {
			continue
		}
		text, hasNewline := strings.CutSuffix(l, "\n")
		text = strings.NewReplacer("\r", `\r`, "\uFEFF", `\uFEFF`, "\t", `\t`, "\u2028", `\u2028`).Replace(text)
		if len(text) > 200 {
			text = text[:60] + " ... " + text[len(text)-60:]
		}
		if !hasNewline {
			text += `\(no newline)`
		}
		out = append(out, text+"\n")
	}
	return out
}

func faults(err error) string {
	var b strings.Builder
	for _, e := range fleetyaml.FaultsOf(err) {
		fmt.Fprintf(&b, "%s: %v\n", e.Code, e)
		if e.Hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", e.Hint)
		}
	}
	if b.Len() == 0 {
		return "not a fault of this package: " + err.Error()
	}
	return b.String()
}

func inspected(tc testCase, input []byte) string {
	f, err := tc.parse(tc.encode(input))
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, x := range f.Inspect(tc.change()) {
		fmt.Fprintf(&b, "%s %s line %d entry %q nonce %d %v: %s\n", x.Severity, x.Code, x.Line, x.Entry, x.Nonce, x.Clusters, x.Msg)
		if x.Hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", x.Hint)
		}
	}
	return b.String()
}

// TestError_As asserts that a caller finds single faults in what Edit returns.
func TestError_As(t *testing.T) {
	f, err := fleetyaml.Parse("fleet.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Edit(fleetyaml.Change{})
	var one *fleetyaml.Error
	if !errors.As(err, &one) || one.Code != fleetyaml.CodeVersion {
		t.Errorf("got %v, want a fault of kind %q", err, fleetyaml.CodeVersion)
	}
	if got := len(fleetyaml.FaultsOf(err)); got != 3 {
		t.Errorf("got %d faults, want 3: %v", got, err)
	}
}
