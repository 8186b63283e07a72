package lab

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
)

func TestOpenWithoutALab(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNoLab) {
		t.Errorf("Open of an empty folder: %v, want ErrNoLab", err)
	}
}

func TestStateOfAnotherSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := writeState(dir, &state{Schema: stateSchema + 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("Open: %v, want an error about the schema", err)
	}
}

func TestUpdateStateLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := writeState(dir, &state{Schema: stateSchema}); err != nil {
		t.Fatal(err)
	}
	const writers = 20
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			err := updateState(t.Context(), dir, func(s *state) error {
				s.Processes = append(s.Processes, &process{Name: "p"})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s, err := readState(dir)
	if err != nil || len(s.Processes) != writers {
		t.Errorf("%d processes after %d updates, %v", len(s.Processes), writers, err)
	}
}

func TestFailedUpdateWritesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := writeState(dir, &state{Schema: stateSchema}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(statePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = updateState(t.Context(), dir, func(s *state) error { s.Token = "x"; return broken })
	if !errors.Is(err, broken) {
		t.Errorf("updateState: %v, want the change's error", err)
	}
	after, err := os.ReadFile(statePath(dir))
	if err != nil || string(after) != string(before) {
		t.Errorf("the file changed: %s %v", after, err)
	}
}

func TestPartsByName(t *testing.T) {
	s := &state{Processes: []*process{{Name: "git"}, {Name: "etcd"}}, Clusters: Clusters(2)}
	if p, err := s.part("git"); err != nil || p.Name != "git" {
		t.Errorf("part(git) = %v, %v", p, err)
	}
	if _, err := s.part("gut"); err == nil || !strings.Contains(err.Error(), "[etcd git]") {
		t.Errorf("part(gut): %v, want an error with the names", err)
	}
	if s.cluster("c2") != nil || s.cluster("c3") == nil {
		t.Error("cluster: want c2 and no c3")
	}
}

func TestDownEndsWhatStandsInTheState(t *testing.T) {
	dir := newTestDir(t)
	p := &process{Name: "sleeper", Path: "/bin/sleep", Args: []string{"60"}}
	stranger := &process{Name: "gone", Path: "/bin/sleep", PID: os.Getpid(), Started: "another boot/1"}
	if err := p.start(dir); err != nil {
		t.Fatal(err)
	}
	if err := writeState(dir, &state{Schema: stateSchema, Processes: []*process{p, stranger}}); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Down(t.Context()); err != nil || p.alive() {
		t.Errorf("after Down alive=%v, %v", p.alive(), err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}
