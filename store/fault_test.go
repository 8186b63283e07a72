package store_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

func TestOpenMakesPrivateFiles(t *testing.T) {
	db := openNew(t)
	for path, want := range map[string]os.FileMode{
		filepath.Dir(db.Path()): 0o700, db.Path(): 0o600, db.Path() + ".lock": 0o600,
	} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

// TestCorrupt damages a filled store in every way that a disk, a crash of the
// machine or a mistaken path could.
func TestCorrupt(t *testing.T) {
	healthy := filepath.Join(t.TempDir(), "rollout.db")
	fill(t, open(t, healthy))
	data, err := os.ReadFile(healthy)
	must(t, err)
	noise := func(from, to int) []byte {
		bad := append([]byte(nil), data...)
		for i := from; i < to; i++ {
			bad[i] = byte(i*7 + 3)
		}
		return bad
	}
	for name, bad := range map[string][]byte{
		"text":            []byte("this is no database\n"),
		"zeros":           make([]byte, 64<<10),
		"both-metas":      noise(0, 2*4096),
		"all-but-metas":   noise(2*4096, len(data)),
		"truncated":       data[:2*4096],
		"truncated-later": data[:len(data)/3],
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rollout.db")
			must(t, os.WriteFile(path, bad, 0o600))
			db, err := store.Open(t.Context(), path, store.Options{})
			if err == nil {
				err = errors.Join(db.Check(t.Context())...)
			}
			wantFault(t, err, store.ErrCorrupt, path)
		})
	}
}

func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	alter(t, path, func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	_, err := store.Open(t.Context(), path, store.Options{})
	wantFault(t, err, store.ErrCorrupt, path)
	inspect(t, path, func(tx *bolt.Tx) error {
		if tx.Bucket([]byte("theirs")) == nil || tx.Bucket([]byte("meta")) != nil {
			t.Error("the foreign file was altered")
		}
		return nil
	})
}

func TestEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rollout.db")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, open(t, path).CreateApp(t.Context(), storetest.App("shop")))
}

func TestLostFile(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rollout.db"), store.Options{})
	must(t, err)
	must(t, os.Remove(db.Path()))
	err = db.CreateApp(t.Context(), storetest.App("shop"))
	wantFault(t, err, os.ErrNotExist, db.Path())
}

// TestBusy holds the store's file, then the place in line, like another process
// that hangs.
func TestBusy(t *testing.T) {
	for _, suffix := range []string{"", ".lock"} {
		t.Run("file"+suffix, func(t *testing.T) {
			db := openShop(t)
			other, err := os.OpenFile(db.Path()+suffix, os.O_RDWR, 0)
			must(t, err)
			defer other.Close()
			must(t, syscall.Flock(int(other.Fd()), syscall.LOCK_EX))
			threads := runtime.NumGoroutine()
			for range 5 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				_, err = db.Apps(ctx)
				wantFault(t, err, store.ErrBusy, db.Path())
				wantFault(t, db.Append(ctx, nil), store.ErrBusy, db.Path())
				cancel()
			}
			if n := runtime.NumGoroutine() - threads; n > 4 {
				t.Errorf("%d goroutines are left waiting", n)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err = db.Apps(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrBusy) {
				t.Errorf("interrupted: %v, want context.Canceled", err)
			}
			must(t, other.Close())
			_, err = db.Apps(t.Context())
			must(t, err)
		})
	}
}

func TestBackup(t *testing.T) {
	db := openNew(t)
	live := fill(t, db)
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, db.Backup(t.Context(), path))
	wantIs(t, db.Backup(t.Context(), path), rings.ErrExists)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	s, err := open(t, path).Rollout(t.Context(), live.ID)
	must(t, err)
	if s.Version != live.State.Version {
		t.Errorf("the copy has %d events of %d", s.Version, live.State.Version)
	}
	if err := db.Backup(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestCheck finds what was broken behind the store's back.
func TestCheck(t *testing.T) {
	for want, harm := range map[string]func(*bolt.Tx) error{
		"snapshot differs":          harmFirst("snapshots", "head", []byte(`{"id":"shop-2"}`)),
		"event 1 is missing":        harmFirst("journal", "\x00\x00\x00\x00\x00\x00\x00\x01", nil),
		"unknown kind of journal":   harmFirst("journal", "\x00\x00\x00\x00\x00\x00\x00\x02", []byte("?")),
		"(published) does not fold": strangeEvent,
		"is missing in times":       func(tx *bolt.Tx) error { return deleteFirst(tx.Bucket([]byte("times"))) },
		"is missing in live":        func(tx *bolt.Tx) error { return deleteFirst(tx.Bucket([]byte("live"))) },
		"leases has a rollout": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("leases")).Put([]byte("shop\x00\x00\x00\x00\x00\x00\x00\x00\x09"), []byte("{}"))
		},
		"is not live": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("inbox")).Put([]byte("shop\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"), []byte("{}"))
		},
		`halt "blog": application "blog"`: func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("halts")).Put([]byte("blog"), []byte(`{"app":"blog"}`))
		},
		`halt "*" is stored as "shop"`: func(tx *bolt.Tx) error { return tx.Bucket([]byte("halts")).Put([]byte("shop"), []byte("{}")) },
		`application "shop"`:           func(tx *bolt.Tx) error { return tx.Bucket([]byte("apps")).Put([]byte("shop"), []byte("{")) },
		"listed as placed: false":      func(tx *bolt.Tx) error { return deleteFirst(tx.Bucket([]byte("placed"))) },
		"is listed and not there":      func(tx *bolt.Tx) error { return deleteFirst(tx.Bucket([]byte("steps"))) },
		"listed under \"v9\"":          func(tx *bolt.Tx) error { return renameFirst(tx.Bucket([]byte("words")), "v9") },
		"is listed in another place": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("placed")).Put([]byte("shop\x00api\x00ring-1\x00............shop\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), nil)
		},
		"summary of step db of ring-1 differs": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("steps")).Put([]byte("shop\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), []byte(`{"rollout":"shop-1","app":"shop","ring":"ring-1","service":"db","to":"v9"}`))
		},
		`application "shop": not fou`: func(tx *bolt.Tx) error { return deleteFirst(tx.Bucket([]byte("apps"))) },
	} {
		t.Run(want, func(t *testing.T) {
			db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rollout.db"), store.Options{NoSync: true, NoWait: true})
			must(t, err)
			fill(t, db)
			alter(t, db.Path(), harm)
			if err := errors.Join(db.Check(t.Context())...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// strangeEvent gives every rollout an event about a step that it does not have.
func strangeEvent(tx *bolt.Tx) error {
	var buf bytes.Buffer
	buf.WriteString("\x01\x00\x01")
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, `{"t":"published","at":"2026-01-01T00:00:00Z","d":{"ring":"no","service":"no"}}`)
	w.Close()
	return harmFirst("journal", "\x00\x00\x00\x00\x00\x00\x00\x02", buf.Bytes())(tx)
}

// harmFirst overwrites a key, or removes it, in every bucket of a bucket that
// has it.
func harmFirst(bucket, key string, value []byte) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		all := tx.Bucket([]byte(bucket))
		return all.ForEachBucket(func(name []byte) error {
			b := all.Bucket(name)
			if value == nil {
				return b.Delete([]byte(key))
			}
			if b.Get([]byte(key)) == nil {
				return nil
			}
			return b.Put([]byte(key), value)
		})
	}
}

// renameFirst gives the first word of the list another name.
func renameFirst(b *bolt.Bucket, word string) error {
	key, _ := b.Cursor().First()
	_, place, _ := bytes.Cut(key, []byte{0})
	return b.Put(append([]byte(word+"\x00"), place...), nil)
}

func deleteFirst(b *bolt.Bucket) error {
	key, _ := b.Cursor().First()
	return b.Delete(append([]byte(nil), key...))
}
