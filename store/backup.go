package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"rollout/rings"
)

// Backup writes a copy of the store, as it is at one moment, to a new file at
// path, which can be opened as a store. It wraps [rings.ErrExists] when there
// is a file already. Writers wait meanwhile, readers do not. After an error
// nothing is left at path.
func (db *DB) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("backup %s: %w", path, rings.ErrExists))
	}
	aside, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return fmt.Errorf("backup %s: %w", path, withKind(err))
	}
	defer os.Remove(aside.Name())
	defer aside.Close()
	err = db.view(ctx, func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(aside)
		return err
	})
	if err == nil {
		err = errors.Join(aside.Sync(), aside.Close())
	}
	if err == nil {
		err = publish(aside.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("backup %s: %w", path, withKind(err))
	}
	return nil
}

// publish gives the file its name, unless there is one of that name already.
func publish(aside, path string) error {
	err := os.Link(aside, path)
	if errors.Is(err, fs.ErrExist) {
		return rings.ErrExists
	}
	if err != nil { // no hard links here
		err = os.Rename(aside, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
