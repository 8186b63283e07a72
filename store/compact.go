package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// atOnce is how many bytes are copied in one transaction, to bound the memory.
const atOnce = 16 << 20

// Compact rewrites the file without the room in it that is free, and returns its
// size in bytes before and after. Everybody else waits meanwhile. The copy is
// checked before it takes the file's place, in one step: after an error, or when
// the process dies, the file is as it was.
func (db *DB) Compact(ctx context.Context) (before, after int64, err error) {
	var line *os.File // kept, so that nobody waits for the file that is replaced
	file, err := db.acquire(ctx, func() (f *os.File, err error) {
		line, f, err = takeBoth(db.path, write)
		return f, err
	})
	if err != nil {
		return 0, 0, db.fault(err)
	}
	defer db.leave()
	defer line.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, 0, errors.Join(db.fault(err), file.Close())
	}
	path, err := filepath.EvalSymlinks(db.path)
	if err != nil {
		return 0, 0, errors.Join(db.fault(err), file.Close())
	}
	aside := path + ".new"
	defer os.Remove(aside)
	err = db.with(file, read, func(b *bolt.DB) error {
		after, err = copyTo(aside, b, info)
		if err != nil {
			return err
		}
		if err := os.Rename(aside, path); err != nil { // while nobody else has either file
			return err
		}
		return syncDir(filepath.Dir(path))
	})
	return info.Size(), after, db.fault(err)
}

// copyTo makes a compact copy of the database at path that belongs to whom the
// original does, and returns its size.
func copyTo(path string, from *bolt.DB, original fs.FileInfo) (size int64, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	to, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		return 0, err
	}
	err = errors.Join(from.View(checkSchema), bolt.Compact(to, from, atOnce), to.View(sound))
	if err = errors.Join(err, to.Close()); err != nil {
		return 0, err
	}
	if owner, ok := original.Sys().(*syscall.Stat_t); ok {
		err = os.Chown(path, int(owner.Uid), int(owner.Gid))
	}
	if err = errors.Join(err, os.Chmod(path, original.Mode().Perm())); err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// sound checks all pages.
func sound(tx *bolt.Tx) error {
	var err error
	for fault := range tx.Check() {
		err = errors.Join(err, fmt.Errorf("%w: %w", ErrCorrupt, fault))
	}
	return err
}
