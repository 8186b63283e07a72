package main

import (
	"context"
	"sync"
	"time"
)

// departure is an uninstalling that several watches tell of what they see.
type departure struct {
	*uninstalling
	now     func() time.Time
	wake    chan struct{} // something changed
	running sync.WaitGroup

	mu     sync.Mutex // guards uninstalling, and what follows
	broken error      // why a watch cannot go on
}

// watch runs a watch beside; it must end with ctx.
func (d *departure) watch(ctx context.Context, run func() error) {
	d.running.Go(func() {
		if err := run(); err != nil && ctx.Err() == nil {
			d.change(func() { d.broken = err })
		}
	})
}

// change lets do change what is known.
func (d *departure) change(do func()) {
	d.mu.Lock()
	do()
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// follow returns when all is uninstalled, when ctx's deadline has passed, or
// with the error of a watch, or of an ended ctx. It says what is waited for when
// that changes.
func (d *departure) follow(ctx context.Context, say func(string), commit string) error {
	said := ""
	for {
		d.mu.Lock()
		done, broken, words := d.done(), d.broken, d.waiting(commit)
		d.mu.Unlock()
		if done || broken != nil {
			return broken
		}
		if words != said {
			say(words)
			said = words
		}
		select {
		case <-d.wake:
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return nil
			}
			return ctx.Err()
		}
	}
}
