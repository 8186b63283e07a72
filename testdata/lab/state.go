package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// stateSchema changes when a state file of an older lab can no longer be read.
const stateSchema = 1

// state is what a lab is, as DIR/state.json holds it: all that another program needs to use it and to end it.
type state struct {
	Schema    int            `json:"schema"`
	Clusters  []Cluster      `json:"clusters"`
	Token     string         `json:"token"` // of the administrator, on every API server
	Ports     map[string]int `json:"ports"`
	Charts    string         `json:"charts"`
	Processes []*process     `json:"processes"`
}

// ErrNoLab is returned when a folder holds no lab.
var ErrNoLab = errors.New("no lab here")

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

func readState(dir string) (*state, error) {
	content, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLab)
	}
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := json.Unmarshal(content, s); err != nil {
		return nil, fmt.Errorf("read %s: %w", statePath(dir), err)
	}
	if s.Schema != stateSchema {
		return nil, fmt.Errorf("%s has schema %d, this program knows %d", statePath(dir), s.Schema, stateSchema)
	}
	return s, nil
}

// writeState replaces the file as a whole, so that a reader never sees half of it.
func writeState(dir string, s *state) error {
	return writeJSON(statePath(dir), s)
}

func writeJSON(path string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// updateState changes the state file under its lock; when change fails nothing is written.
func updateState(ctx context.Context, dir string, change func(*state) error) error {
	unlock, err := lockFile(ctx, filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	return errors.Join(changeState(dir, change), unlock())
}

func changeState(dir string, change func(*state) error) error {
	s, err := readState(dir)
	if err != nil {
		return err
	}
	if err := change(s); err != nil {
		return err
	}
	return writeState(dir, s)
}

// part returns the process with this name.
func (s *state) part(name string) (*process, error) {
	i := slices.IndexFunc(s.Processes, func(p *process) bool { return p.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("no part %q; there are %v", name, s.partNames())
	}
	return s.Processes[i], nil
}

func (s *state) partNames() []string {
	var names []string
	for _, p := range s.Processes {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func (s *state) url(server string) string {
	return fmt.Sprintf("https://127.0.0.1:%d", s.Ports[server])
}
