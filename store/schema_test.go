package store_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// update rewrites the golden files of the present version. Stores and journals
// of older versions must never change. What they fold to must keep its meaning:
// who removes that file has it recorded anew.
var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// present is the version of the schema that the program writes.
const present = 4

// beforeRecord is the last version without a record of steps, and a log.
const beforeRecord = 2

// golden is a file of testdata of a version.
func golden(format string, version int) string {
	return filepath.Join("testdata", fmt.Sprintf(format, version))
}

const (
	goldenStore   = "v%d.db"
	goldenJournal = "journal-v%d.jsonl"
	goldenState   = "journal-v%d.state.json"
)

// placeholders say which keys each name in angle brackets of the schema stands
// for.
var placeholders = map[string]*regexp.Regexp{
	"<app>":                 regexp.MustCompile(`^[a-z0-9-]+$`),
	"<app-cluster>":         regexp.MustCompile(`^[a-z0-9-]+\x00[a-z0-9-]+$`),
	"<app-window>":          regexp.MustCompile(`^[a-z0-9-]+\x00[a-z0-9-]+$`),
	"<app-part-holder>":     regexp.MustCompile(`^[a-z0-9-]+(\x00[a-z0-9-]*){3}\x00.+$`),
	"<app-number>":          regexp.MustCompile(`(?s)^[a-z0-9-]+\x00.{8}$`),
	"<app-key>":             regexp.MustCompile(`^[a-z0-9-]+\x00[!-~]+$`),
	"<app-n>":               regexp.MustCompile(`(?s)^[a-z0-9-]+\x00.{8}$`),
	"<rollout>":             regexp.MustCompile(`(?s)^[a-z0-9-]+\x00.{8}$`),
	"<time-rollout>":        regexp.MustCompile(`(?s)^.{12}[a-z0-9-]+\x00.{8}$`),
	"<rollout-seq>":         regexp.MustCompile(`(?s)^[a-z0-9-]+\x00.{16}$`),
	"<rollout-step>":        regexp.MustCompile(`(?s)^[a-z0-9-]+\x00.{16}$`),
	"<place-time-step>":     regexp.MustCompile(`(?s)^([a-z0-9-]+\x00){3}.{12}[a-z0-9-]+\x00.{16}$`),
	"<word-place-step>":     regexp.MustCompile(`(?s)^[a-z0-9]+\x00([a-z0-9-]+\x00){3}[a-z0-9-]+\x00.{16}$`),
	"<number>":              regexp.MustCompile(`(?s)^.{8}$`),
	"<seq>":                 regexp.MustCompile(`(?s)^.{8}$`),
	"step/<n>":              regexp.MustCompile(`^step/\d{6}$`),
	"members/<n>":           regexp.MustCompile(`^members/\d{6}$`),
	"survey/<n>":            regexp.MustCompile(`^survey/\d{6}$`),
	"counted/<r>":           regexp.MustCompile(`^counted/\d{6}$`),
	"cluster/<n>/<cluster>": regexp.MustCompile(`^cluster/\d{6}/[a-z0-9-]+$`),
}

// TestSchema compares the tree of the package comment with a file that has
// something of everything, both ways.
func TestSchema(t *testing.T) {
	db := openNew(t)
	fill(t, db)
	documented := schemaOfDoc(t)
	found := map[string]bool{}
	inspect(t, db.Path(), func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			walk(t, b, "/"+string(name), documented, found)
			return nil
		})
	})
	if diff := cmp.Diff(slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("schema (-package comment +file):\n%s", diff)
	}
}

// walk notes the documented path of everything below path.
func walk(t *testing.T, b *bolt.Bucket, path string, documented, found map[string]bool) {
	found[path] = true
	err := b.ForEach(func(key, value []byte) error {
		below := path + "/" + placeholder(documented, path, string(key))
		if value == nil {
			walk(t, b.Bucket(key), below, documented, found)
		}
		found[below] = true
		return nil
	})
	must(t, err)
}

// placeholder returns how the package comment calls the key, or the key.
func placeholder(documented map[string]bool, path, key string) string {
	for name, keys := range placeholders {
		if documented[path+"/"+name] && keys.MatchString(key) {
			return name
		}
	}
	return key
}

// schemaOfDoc returns the paths of the tree in the package comment.
func schemaOfDoc(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	must(t, err)
	paths, parents := map[string]bool{}, []string{}
	for line := range strings.Lines(file.Doc.Text()) {
		name, ok := strings.CutPrefix(line, "\t")
		if !ok {
			continue
		}
		indented := strings.TrimRight(name, "\n")
		name = strings.TrimLeft(indented, " ")
		depth := (len(indented) - len(name)) / 2
		name, _, _ = strings.Cut(name, "   ")
		if depth > len(parents) {
			t.Fatalf("schema: %q is indented too far", name)
		}
		parents = append(parents[:depth], name)
		paths["/"+strings.Join(parents, "/")] = true
	}
	if len(paths) == 0 {
		t.Fatal("no schema in doc.go")
	}
	return paths
}

// TestGoldenStore opens a store of each version.
func TestGoldenStore(t *testing.T) {
	if *update {
		path := filepath.Join(t.TempDir(), "rollout.db")
		tape := fill(t, open(t, path))
		t.Log("live rollout:", tape.ID)
		copyFile(t, path, golden(goldenStore, present))
	}
	for version := 1; version <= present; version++ {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rollout.db")
			copyFile(t, golden(goldenStore, version), path)
			testGoldenStore(t, open(t, path), version)
		})
	}
}

func testGoldenStore(t *testing.T, db *store.DB, version int) {
	s, err := db.Rollout(t.Context(), "shop-1")
	must(t, err)
	if s.Phase != orchestrator.Cancelled || s.StartedBy != "ada" {
		t.Errorf("shop-1: %s, started by %s", s.Phase, s.StartedBy)
	}
	events, err := db.Events(t.Context(), "shop-2", 0, 0)
	must(t, err)
	if want := []int{1: 1209, 2: 1210, 3: 1210, 4: 1210}[version]; len(events) != want {
		t.Errorf("shop-2 has %d events, want %d", len(events), want)
	}
	app, err := db.App(t.Context(), "shop")
	must(t, err)
	if got := app.Services[0].Known["ring-1"].Version; got != "v2" {
		t.Errorf("known version of db on ring-1: %q", got)
	}
	if version == 1 {
		return
	}
	s, err = db.Rollout(t.Context(), "web-1")
	must(t, err)
	if s.Phase != orchestrator.Failed || s.Rollback == nil || len(s.Rings) != 2 || len(s.Rings[0].Counted) != 2 {
		t.Errorf("web-1: %s, rollback %+v, on %s", s.Phase, s.Rollback, s.RingNames())
	}
	b, err := db.Barriers(t.Context(), "shop", storetest.Start)
	must(t, err)
	if b.Halt == nil || b.Halt.Reason != "sale" {
		t.Errorf("halt of shop: %+v", b.Halt)
	}
	if barred := len(b.Locks) == 1 && len(b.Closed) == len(app.Rings); barred != (version > 2) {
		t.Errorf("locks and closures of shop: %+v", b)
	}
	if version == 2 {
		return
	}
	r, err := db.ReleaseNumber(t.Context(), "shop", 1)
	must(t, err)
	if r.Key != "build/1" || r.Versions["db"] != "v2" {
		t.Errorf("release 1 of shop: %+v", r)
	}
	notes, _, err := db.Notes(t.Context(), store.NoteFilter{App: "shop"})
	must(t, err)
	if len(notes) != 1 || notes[0].Kind != rings.NoteClusterMoved || notes[0].To != "ring-2" {
		t.Errorf("notes of shop: %+v", notes)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o600))
}

// TestGoldenJournal folds a journal of each version. That of the present one
// has an event of every type, and is written as it was.
func TestGoldenJournal(t *testing.T) {
	if *update {
		must(t, os.WriteFile(golden(goldenJournal, present), encode(t, everything()), 0o644))
	}
	for version := 1; version <= present; version++ {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			testGoldenJournal(t, version)
		})
	}
	data, err := os.ReadFile(golden(goldenJournal, present))
	must(t, err)
	events := decodeAll(t, data)
	types := map[string]bool{}
	for _, e := range events {
		types[strings.TrimPrefix(fmt.Sprintf("%T", e.Body), "orchestrator.")] = true
	}
	if diff := cmp.Diff(bodies(t), slices.Sorted(maps.Keys(types))); diff != "" {
		t.Errorf("types of events (-there are +in the golden journal):\n%s", diff)
	}
	if diff := cmp.Diff(string(data), string(encode(t, events))); diff != "" {
		t.Errorf("journal (-golden +now):\n%s", diff)
	}
}

func testGoldenJournal(t *testing.T, version int) {
	data, err := os.ReadFile(golden(goldenJournal, version))
	must(t, err)
	got := orchestrator.Fold(nil, decodeAll(t, data))
	if _, err := os.Stat(golden(goldenState, version)); *update && (version == present || err != nil) {
		data, err := json.MarshalIndent(got, "", "  ")
		must(t, err)
		must(t, os.WriteFile(golden(goldenState, version), append(data, '\n'), 0o644))
	}
	want := new(orchestrator.State)
	data, err = os.ReadFile(golden(goldenState, version))
	must(t, err)
	must(t, json.Unmarshal(data, want))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("fold (-golden +now):\n%s", diff)
	}
}

// encode returns the events a line each, as a journal holds them.
func encode(t *testing.T, events []orchestrator.Event) []byte {
	t.Helper()
	var buf bytes.Buffer
	for _, e := range events {
		line, err := orchestrator.EncodeEvent(e)
		must(t, err)
		buf.Write(append(line, '\n'))
	}
	return buf.Bytes()
}

// decodeAll is the reverse of encode; the events are those of shop-1.
func decodeAll(t *testing.T, journal []byte) []orchestrator.Event {
	t.Helper()
	var events []orchestrator.Event
	for scan := bufio.NewScanner(bytes.NewReader(journal)); scan.Scan(); {
		e, err := orchestrator.DecodeEvent(scan.Bytes())
		must(t, err)
		e.Rollout, e.Seq = "shop-1", uint64(len(events)+1)
		events = append(events, e)
	}
	return events
}

// bodies returns the names of all types of events, from the source.
func bodies(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../orchestrator/*.go")
	must(t, err)
	var names []string
	for _, f := range files {
		src, err := os.ReadFile(f)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func \((\w+)\) body\(\)`).FindAllSubmatch(src, -1) {
			names = append(names, string(m[1]))
		}
	}
	slices.Sort(names)
	return names
}

func TestTooNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rollout.db")
	db, err := store.Open(t.Context(), path, store.Options{})
	must(t, err)
	setSchema(t, path, 99)
	_, err = store.Open(t.Context(), path, store.Options{})
	wantFault(t, err, store.ErrTooNew, path)
	_, err = db.Apps(t.Context())
	wantFault(t, err, store.ErrTooNew, path)
	wantFault(t, db.CreateApp(t.Context(), storetest.App("shop")), store.ErrTooNew, path)
}

// TestMigrate brings a file up to date that has seen no migration yet. Its
// snapshot, which nobody can read any more, is thrown away.
func TestMigrate(t *testing.T) {
	db := openNew(t)
	live := fill(t, db)
	alter(t, db.Path(), harmFirst("snapshots", "head", []byte(`{"id":"shop-2","rings":["ring-2"]}`)))
	setSchema(t, db.Path(), 0)
	if _, err := db.Apps(t.Context()); err == nil {
		t.Error("an old file was read without migration")
	}
	again := open(t, db.Path())
	s, err := again.Rollout(t.Context(), live.ID)
	must(t, err)
	if s.Version != live.State.Version {
		t.Errorf("after migration %d events, want %d", s.Version, live.State.Version)
	}
}

func setSchema(t *testing.T, path string, version uint64) {
	t.Helper()
	alter(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, version))
	})
}

func wantFault(t *testing.T, err, want error, path string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want %q with %s", err, want, path)
	}
}
