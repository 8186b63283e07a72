package store

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// fallback is how often the file is looked at when no event says so: events
// can be missed, and some file systems have none.
const fallback = time.Second

// Changes implements [orchestrator.Store]. Writes of this DB are not reported.
func (db *DB) Changes(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	events, stop := fileEvents(filepath.Dir(db.path))
	known := db.look()
	go func() {
		defer stop()
		db.watch(ctx, events, known, changed)
	}()
	return changed
}

// fileEvents returns what happens to the files of the folder. When that cannot
// be had, the channel is nil, and the look once a second has to do.
func fileEvents(dir string) (events <-chan fsnotify.Event, stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	if err := watcher.Add(dir); err != nil {
		watcher.Close()
		return nil, func() {}
	}
	go func() {
		for range watcher.Errors { // what they say was missed, the look once a second finds
		}
	}()
	return watcher.Events, func() { watcher.Close() }
}

// watch looks at the file whenever something happens to it, and tells changed
// when it saw others' writes beyond those known.
func (db *DB) watch(ctx context.Context, events <-chan fsnotify.Event, known uint64, changed chan<- struct{}) {
	tick := time.NewTicker(fallback)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				events = nil
			}
			if e.Name != db.path {
				continue
			}
		case <-tick.C:
		}
		if n := db.look(); n != known {
			known = n
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// look reads which transaction the file is at, and returns how often others'
// were noticed. It waits for a write of this DB to end.
func (db *DB) look() uint64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	if id, err := lastTransaction(db.path); err == nil {
		db.notice(id)
	}
	return db.foreign
}

// notice is told, with db.mu held, that the file is at transaction id.
func (db *DB) notice(id uint64) {
	if id != db.seen {
		db.seen = id
		db.foreign++
	}
}

// lastTransaction reads the number of the last transaction from the file's two
// meta pages, without waiting for the file: 200 bytes a look, where opening the
// database would cost a turn in the line. bbolt's layout is fixed: a page's
// header of 16 bytes, then in a meta page magic, version, page size and flags,
// 4 bytes each, root (8+8), freelist (8), high-water mark (8), transaction (8),
// all in the machine's order. A page that is being written can give a wrong
// number; that costs one needless look.
func lastTransaction(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var first, second [72]byte
	if _, err := f.ReadAt(first[:], 0); err != nil {
		return 0, err
	}
	pageSize := binary.NativeEndian.Uint32(first[24:])
	if _, err := f.ReadAt(second[:], int64(pageSize)); err != nil {
		return 0, err
	}
	return max(binary.NativeEndian.Uint64(first[64:]), binary.NativeEndian.Uint64(second[64:])), nil
}
