package gitrepo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes the exclusive lock on a file, which is made when it is not there,
// and waits for it until ctx ends. The lock is free again when the process
// ends, however it ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("folder of mirrors: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	taken := make(chan error, 1)
	go func() { taken <- flock(f) }()
	release := func() { _ = f.Close() } // which also unlocks
	select {
	case err := <-taken:
		if err != nil {
			release()
			return nil, fmt.Errorf("lock file %s: %w", path, err)
		}
		return release, nil
	case <-ctx.Done():
		// The system call cannot be called off: give back what it gets.
		go func() {
			<-taken
			release()
		}()
		return nil, fmt.Errorf("another rollout works on this mirror: %w", ctx.Err())
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}
