package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// mode is what an operation needs the file for.
type mode int

const (
	read  mode = syscall.LOCK_SH
	write mode = syscall.LOCK_EX
)

// grant is the outcome of waiting in line: the file, open and locked.
type grant struct {
	file *os.File
	err  error
}

// acquire waits until it is this operation's turn, calls wait, and returns the
// locked file that it returns; the caller calls leave when it has closed it.
// Operations of this process wait for each other in the channel db.turn, so
// that at most one thread of it is blocked in the kernel, however many of them
// give up.
func (db *DB) acquire(ctx context.Context, wait func() (*os.File, error)) (*os.File, error) {
	select {
	case db.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	granted := make(chan grant, 1)
	go func() {
		f, err := wait()
		granted <- grant{f, err}
	}()
	select {
	case g := <-granted:
		if g.err != nil {
			db.leave()
		}
		return g.file, g.err
	case <-ctx.Done():
		go db.decline(granted)
		return nil, ctx.Err()
	}
}

// leave lets the next operation of this process go ahead.
func (db *DB) leave() { <-db.turn }

// decline gives back a turn that nobody waits for any more, when it comes.
func (db *DB) decline(granted <-chan grant) {
	if g := <-granted; g.file != nil {
		g.file.Close()
	}
	db.leave()
}

// file is what acquire waits with for the store's file.
func (db *DB) file(m mode) func() (*os.File, error) {
	return func() (*os.File, error) { return queue(db.path, m) }
}

// queue takes FILE.lock, then FILE's own lock, and gives FILE.lock up. The
// kernel hands a lock to those who wait for it in the order they came, but one
// who asks while it is free overtakes them all: with one lock, a process that
// writes again and again would starve the others. So it cannot be had while
// somebody waits: the first in line holds FILE.lock until FILE is theirs.
func queue(path string, m mode) (*os.File, error) {
	line, f, err := takeBoth(path, m)
	if line != nil {
		line.Close()
	}
	return f, err
}

// takeBoth takes FILE.lock, then FILE's own lock. While the caller keeps the first,
// which is nil where [openLine] says so, nobody else opens FILE.
func takeBoth(path string, m mode) (line, file *os.File, err error) {
	if line, err = openLine(path, m); err != nil {
		return nil, nil, err
	}
	flag := os.O_RDONLY
	if m == write {
		flag = os.O_RDWR
	}
	if file, err = os.OpenFile(path, flag, 0); err == nil {
		if err = flock(file, int(m)); err == nil {
			return line, file, nil
		}
		file.Close()
	}
	if line != nil {
		line.Close()
	}
	return nil, nil, err
}

// openLine opens FILE.lock and takes it. It is nil when there is none and none
// can be made for a reader: a store on a read-only disk has no writers.
func openLine(path string, m mode) (*os.File, error) {
	line, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if m == read && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		line, err = os.Open(path + ".lock")
		if err != nil {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := flock(line, syscall.LOCK_EX); err != nil {
		line.Close()
		return nil, err
	}
	return line, nil
}

// flock blocks until it has the lock; closing the file gives it up.
func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
