package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"rollout/orchestrator"
)

var (
	// ErrBusy is wrapped when the ctx's deadline passed while other processes
	// were using the file.
	ErrBusy = errors.New("busy: other processes are using it")
	// ErrReadOnly is wrapped when the file, or its folder, must not be written.
	ErrReadOnly = errors.New("read-only")
	// ErrNoSpace is wrapped when the disk, or the quota, is full. Nothing of
	// the operation was written.
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrCorrupt is wrapped when the file is no store, or is damaged.
	ErrCorrupt = errors.New("damaged, or not a store")
	// ErrTooNew is wrapped when a newer version of the program has written the
	// file.
	ErrTooNew = errors.New("written by a newer version of rollout")
)

// Options are for tests and simulations; the zero value is for use.
type Options struct {
	// NoSync leaves it to the operating system when writes reach the disk.
	NoSync bool
	// NoWait lets every Append begin at once, where a driver's appends
	// otherwise share a transaction every 10 ms.
	NoWait bool
}

// DB is a store. It is safe for concurrent use, holds no open file between
// operations and needs no closing.
type DB struct {
	path  string
	opts  Options
	turn  chan struct{} // holds an element while an operation of this process has, or waits for, the file
	group group

	mu      sync.Mutex // held around every write, so that watchers see it whole
	seen    uint64     // the file's last transaction that this process made or noticed
	foreign uint64     // how often others' transactions were noticed
}

var _ orchestrator.Store = (*DB)(nil)

// Open returns the store at path. It makes the file, and the folders that lead
// to it, when there is none, and brings an older file up to date. Files and
// folders that it makes are the owner's only.
func Open(ctx context.Context, path string, opts Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	db := &DB{path: path, opts: opts, turn: make(chan struct{}, 1)}
	err = db.view(ctx, func(*bolt.Tx) error { return nil })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnmade) {
		if err = db.create(ctx); err == nil {
			err = db.view(ctx, func(*bolt.Tx) error { return nil })
		}
	}
	if errors.Is(err, errOutdated) {
		err = db.update(ctx, func(*bolt.Tx) error { return nil })
	}
	if err != nil {
		return nil, err
	}
	db.look()
	return db, nil
}

// Path returns the absolute path of the file.
func (db *DB) Path() string { return db.path }

// errUnchanged makes update drop a transaction in which there was nothing to
// write; update then returns nil.
var errUnchanged = errors.New("unchanged")

// view runs fn in a transaction that sees one state of the file.
func (db *DB) view(ctx context.Context, fn func(*bolt.Tx) error) error {
	file, err := db.acquire(ctx, db.file(read))
	if err != nil {
		return db.fault(err)
	}
	defer db.leave()
	return db.fault(db.with(file, read, func(b *bolt.DB) error {
		return b.View(func(tx *bolt.Tx) error {
			if err := checkSize(tx, file); err != nil {
				return err
			}
			if err := checkSchema(tx); err != nil {
				return err
			}
			return fn(tx)
		})
	}))
}

// update runs fn in a transaction; all that it writes is on disk when update
// returns nil, and nothing else.
func (db *DB) update(ctx context.Context, fn func(*bolt.Tx) error) error {
	file, err := db.acquire(ctx, db.file(write))
	if err != nil {
		return db.fault(err)
	}
	defer db.leave()
	db.mu.Lock()
	defer db.mu.Unlock()
	var id uint64
	err = db.with(file, write, func(b *bolt.DB) error {
		return b.Update(func(tx *bolt.Tx) error {
			id = uint64(tx.ID())
			db.notice(id - 1)
			if err := checkSize(tx, file); err != nil {
				return err
			}
			if err := migrate(tx); err != nil {
				return err
			}
			return fn(tx)
		})
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err == nil {
		db.seen = id
	}
	return db.fault(err)
}

// checkSize refuses a file that ends before its last page: touching what is
// not there is fatal in goroutines that bbolt starts.
func checkSize(tx *bolt.Tx, file *os.File) error {
	info, err := file.Stat()
	if err == nil && info.Size() < tx.Size() {
		err = fmt.Errorf("%w: %d of %d bytes are there", ErrCorrupt, info.Size(), tx.Size())
	}
	return err
}

// with opens the locked file as a database, and closes both. A damaged file
// can make bbolt panic or touch memory that is not there.
func (db *DB) with(file *os.File, m mode, fn func(*bolt.DB) error) (err error) {
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return err
	} else if info.Size() == 0 {
		return errUnmade
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverDamage(&err)
	b, err := bolt.Open(db.path, 0o600, &bolt.Options{
		ReadOnly:     m == read,
		NoSync:       db.opts.NoSync,
		FreelistType: bolt.FreelistMapType, // on disk: without, opening to write would read the whole file
		NoStatistics: true,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return file, nil },
	})
	if err != nil {
		return err
	}
	defer b.Close()
	return fn(b)
}

// recoverDamage turns the panics of a damaged file into ErrCorrupt: bbolt's own
// assertions, which are text, and faults of memory. Others go on.
func recoverDamage(err *error) {
	switch p := recover().(type) {
	case nil:
	case string:
		*err = fmt.Errorf("%w: %s", ErrCorrupt, p)
	case interface {
		error
		Addr() uintptr
	}:
		*err = fmt.Errorf("%w: %w", ErrCorrupt, p)
	default:
		panic(p)
	}
}

// fault names what kind of trouble the file is in. Errors that are not about
// the file are returned as they are.
func (db *DB) fault(err error) error {
	kind := kindOf(err)
	if kind == ErrBusy {
		return fmt.Errorf("store %s: %w", db.path, kind) // that a deadline passed is no news to anybody
	}
	if kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("store %s: %w: %w", db.path, kind, err)
	}
	if kind != nil || errors.As(err, new(*fs.PathError)) {
		return fmt.Errorf("store %s: %w", db.path, err)
	}
	return err
}

var kinds = []struct{ cause, kind error }{
	{ErrCorrupt, ErrCorrupt},
	{ErrTooNew, ErrTooNew},
	{context.DeadlineExceeded, ErrBusy},
	{berrors.ErrTimeout, ErrBusy},
	{syscall.ENOSPC, ErrNoSpace},
	{syscall.EDQUOT, ErrNoSpace},
	{syscall.EFBIG, ErrNoSpace},
	{syscall.EROFS, ErrReadOnly},
	{fs.ErrPermission, ErrReadOnly},
	{berrors.ErrInvalid, ErrCorrupt},
	{berrors.ErrChecksum, ErrCorrupt},
	{berrors.ErrVersionMismatch, ErrCorrupt},
}

func kindOf(err error) error {
	if err == nil {
		return nil
	}
	if strings.HasPrefix(err.Error(), "file size too small") { // bbolt has no name for it
		return ErrCorrupt
	}
	for _, k := range kinds {
		if errors.Is(err, k.cause) || isGrowth(err, k.cause) {
			return k.kind
		}
	}
	return nil
}

// isGrowth reports whether bbolt could not make the file longer because of the
// cause: of that error it keeps only the text.
func isGrowth(err, cause error) bool {
	text := err.Error()
	return (strings.Contains(text, "file resize error: ") || strings.Contains(text, "file sync error: ")) &&
		strings.HasSuffix(text, cause.Error())
}

// withKind adds what kind of trouble a file is in to the error, if it says so.
func withKind(err error) error {
	if kind := kindOf(err); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}
