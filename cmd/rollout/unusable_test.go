package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// appList runs `rollout app list` on the store and returns the exit code and
// what it says on stderr.
func appList(t *testing.T, path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	env := environment{stdin: &bytes.Buffer{}, stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	return run(ctx, []string{"app", "list", "--store", path}, env), stderr.String()
}

// newStore makes an empty store.
func newStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rollout.db")
	if code, said := appList(t, path); code != exitDone {
		t.Fatalf("exit code %d: %s", code, said)
	}
	return path
}

func TestStore_Busy(t *testing.T) {
	path := newStore(t)
	f, err := os.Open(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	code, said := appList(t, path)
	want := "error: store " + path + ": busy: other processes are using it\nhint: try again; \"rollout list\" shows who drives what\n"
	if code != exitConflict || said != want {
		t.Errorf("got %d %q, want %d %q", code, said, exitConflict, want)
	}
}

func TestStore_Newer(t *testing.T) {
	path := newStore(t)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 99))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	code, said := appList(t, path)
	want := "error: store " + path + ": written by a newer version of rollout: schema 99, this one knows 4\n" +
		"hint: use the version of rollout that wrote it, or a newer one\n"
	if code != exitConflict || said != want {
		t.Errorf("got %d %q, want %d %q", code, said, exitConflict, want)
	}
}
