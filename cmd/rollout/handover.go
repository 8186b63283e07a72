package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"rollout/orchestrator"
	"rollout/store"
)

const (
	// takeoverWait is how long a `run` that is up has to take a rollout over.
	takeoverWait = 1500 * time.Millisecond
	// startWait is how long a `run` that was started has.
	startWait = 15 * time.Second
)

// handOver leaves a rollout, which nobody drives here any more, to a background
// process: one that is up, else one that is started. It returns who drives
// now, in words.
func (s *session) handOver(ctx context.Context, id orchestrator.ID, background bool) (string, error) {
	if words := s.takenOver(ctx, id, takeoverWait, nil); words != "" {
		return words, nil
	}
	if !background {
		return undrivenHint(id), nil
	}
	exited, err := s.startRun()
	if err != nil {
		return "", fmt.Errorf("%s: start a background process: %w", undrivenHint(id), err)
	}
	if words := s.takenOver(ctx, id, startWait, exited); words != "" {
		return words + ", log " + logFile(s.db), nil
	}
	return "", &commandError{exit: exitUnexpected, code: "unexpected", what: "the background process did not take it over; " + undrivenHint(id),
		hint: "see " + logFile(s.db)}
}

// takenOver waits until somebody else drives the rollout, or it has ended.
func (s *session) takenOver(ctx context.Context, id orchestrator.ID, wait time.Duration, exited <-chan struct{}) string {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if words := s.drivenNow(ctx, id); words != "" {
			return words
		}
		select {
		case <-ctx.Done():
			return ""
		case <-exited:
			return s.drivenNow(ctx, id)
		case <-tick.C:
		}
	}
}

func (s *session) drivenNow(ctx context.Context, id orchestrator.ID) string {
	row, err := s.db.Summary(ctx, id)
	switch {
	case err != nil:
		return ""
	case row.Phase.Ended():
		return fmt.Sprintf("%s has ended: %s", id, row.Phase)
	}
	if v := s.driver(row.Lease); v != nil && v.Alive {
		return fmt.Sprintf("%s goes on in the background: %s", id, s.driverWords(v))
	}
	return ""
}

// startRun starts `rollout run --until-idle` in a session of its own, so that
// neither Ctrl-C nor the terminal's end reaches it.
func (s *session) startRun() (exited <-chan struct{}, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := openLog(s.db)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(self, s.runArgs()...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its log says how it ended
	}()
	return done, nil
}

// runArgs make the background process use what this one uses.
func (s *session) runArgs() []string {
	args := []string{"run", "--until-idle", "--store=" + s.db.Path(), "--namespace=" + s.scope.Workspace, "--log-level=" + s.flags.logLevel}
	if s.flags.kubeconfig != "" {
		args = append(args, "--kubeconfig="+s.flags.kubeconfig)
	}
	if s.flags.context != "" {
		args = append(args, "--context="+s.flags.context)
	}
	return args
}

// hold is a store that shows a Runner only the rollouts of one manager.
type hold struct {
	*store.DB
	manager string
	foreign map[orchestrator.ID]bool
}

// Live leaves out the rollouts of other managers.
func (h *hold) Live(ctx context.Context) ([]orchestrator.ID, error) {
	live, err := h.DB.Live(ctx)
	if err != nil {
		return nil, err
	}
	var out []orchestrator.ID
	for _, id := range live {
		theirs, known := h.foreign[id]
		if !known {
			first, err := h.DB.Events(ctx, id, 1, 1)
			if err != nil || len(first) == 0 {
				return nil, err
			}
			theirs = orchestrator.Fold(nil, first).Scope.Manager != h.manager
			h.foreign[id] = theirs
		}
		if !theirs {
			out = append(out, id)
		}
	}
	return out, nil
}
