package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// window is the time in which all appends of a process share a transaction.
const window = 10 * time.Millisecond

// group collects appends for the next transaction.
type group struct {
	mu      sync.Mutex
	waiting []*request
	running bool      // a goroutine writes them
	last    time.Time // end of the last transaction
}

// request is one Append on its way.
type request struct {
	batches []batch
	err     error
	done    chan struct{} // closed when err is final
}

// enqueue hands the request to the next transaction and waits for it. When ctx
// ends before the transaction has begun, the request is withdrawn.
func (db *DB) enqueue(ctx context.Context, r *request) error {
	g := &db.group
	g.mu.Lock()
	g.waiting = append(g.waiting, r)
	if !g.running {
		g.running = true
		go db.flush()
	}
	g.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	if g.withdraw(r) {
		return db.fault(ctx.Err())
	}
	<-r.done
	return r.err
}

// withdraw takes the request back; false when it is too late.
func (g *group) withdraw(r *request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, r)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// take returns what waits; once nothing does, the goroutine must end.
func (g *group) take() []*request {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.waiting
	g.waiting = nil
	return taken
}

// idle reports that nothing waits, and lets the next request start anew.
func (g *group) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = len(g.waiting) > 0
	return !g.running
}

// flush writes what waits, at most once in a window, until nothing does. It
// takes the requests only when it has the file, so that they can be withdrawn
// and others can join until then.
func (db *DB) flush() {
	for {
		if wait := window - time.Since(db.group.last); wait > 0 && !db.opts.NoWait {
			time.Sleep(wait)
		}
		var taken []*request
		err := db.update(context.Background(), func(tx *bolt.Tx) error {
			taken = db.group.take()
			a := &appender{tx: tx, last: map[orchestrator.ID]uint64{}, apps: map[rings.AppName]*rings.Application{}}
			return a.write(taken)
		})
		db.group.last = time.Now()
		if taken == nil && err != nil {
			taken = db.group.take()
		}
		for _, r := range taken {
			if r.err == nil && err != nil {
				r.err = fmt.Errorf("append: %w", err)
			}
			close(r.done)
		}
		if db.group.idle() {
			return
		}
	}
}
