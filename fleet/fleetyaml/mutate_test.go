package fleetyaml_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rollout/fleet/fleetyaml"
)

// fragments are pieces of YAML that a mutation puts into a line.
var fragments = []string{"#", " # x", ":", ": ", "- ", "{", "}", "[", "]", ",", "'", `"`, "&a ", "*a", "<<: *a", "!!str ", "|", ">-", "? ",
	"\t", "  ", "\r", "\u0085", "\u2028", "\uFEFF", "ü", "---", "...", "v1", "1.10", "null", "${x}", "tag: v3", "forceSyncGeneration: 4",
	"helm: {values: {image: {tag: v1}}}", "clusterSelector: {}", "clusterName: c1"}

// TestFile_Edit_mutations does what FuzzEdit does, with mutations that know lines and YAML, so that more of them parse.
// ROLLOUT_MUTATIONS sets how many.
func TestFile_Edit_mutations(t *testing.T) {
	n := 2_000
	if s := os.Getenv("ROLLOUT_MUTATIONS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	var seeds [][]byte
	for _, name := range corpus(t) {
		ar, err := readArchive(name)
		if err != nil {
			t.Fatal(err)
		}
		tc := newTestCase(t, section(ar, "change"))
		if src := tc.encode(section(ar, "input")); len(src) < 1<<14 {
			seeds = append(seeds, src)
		}
	}
	edits := 0
	for i := range n {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		src := mutate(r, seeds)
		version := []string{"v2", "1.2", "v1", "a b", "x:y", "'", `"\`, "2024-01-02"}[r.IntN(8)]
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			if mutated(t, src, fuzzChange(version, 1+r.Int64N(9), uint8(8*r.IntN(2)+max(0, r.IntN(10)-6)))) {
				edits++
			}
		})
		if !ok {
			t.Fatalf("seed %d, version %q:\n%q", i, version, src)
		}
	}
	t.Logf("%d of %d mutations were edited", edits, n)
}

// mutated runs one case and reports whether there was an edit.
func mutated(t *testing.T, src []byte, c fleetyaml.Change) bool {
	t.Helper()
	file, err := fleetyaml.Parse("fleet.yaml", src)
	if err != nil {
		mustBeFaults(t, err)
		return false
	}
	file.Inspect(c)
	fuzzAdd(t, file, c)
	edit, err := file.Edit(c)
	if err != nil {
		mustBeFaults(t, err)
		return false
	}
	checkOracle(t, file, c, src, edit)
	checkEffects(t, edit, c)
	checkAgain(t, testCase{File: "fleet.yaml"}, edit, c)
	return true
}

// mutate changes a few lines of a corpus file, some of them with lines of another.
func mutate(r *rand.Rand, seeds [][]byte) []byte {
	pick := func() []string { return strings.SplitAfter(string(seeds[r.IntN(len(seeds))]), "\n") }
	lines := pick()
	for range 1 + r.IntN(4) {
		i := r.IntN(len(lines))
		switch r.IntN(7) {
		case 0:
			lines = slices.Delete(lines, i, i+1)
		case 1:
			lines = slices.Insert(lines, i, lines[r.IntN(len(lines))])
		case 2:
			other := pick()
			lines = slices.Insert(lines, i, other[r.IntN(len(other))])
		case 3:
			lines[i] = "  " + lines[i]
		case 4:
			lines[i] = strings.TrimPrefix(lines[i], "  ")
		default:
			at := r.IntN(len(lines[i]) + 1)
			lines[i] = lines[i][:at] + fragments[r.IntN(len(fragments))] + lines[i][at:]
		}
		if len(lines) == 0 {
			break
		}
	}
	return []byte(strings.Join(lines, ""))
}
