package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	stopGrace  = 5 * time.Second
	readyLimit = 60 * time.Second
)

// Stop ends a part as a machine would that is shut down: politely, then by force after 5 s. It returns when the part is gone.
// A part that does not run is left as it is.
func (l *Lab) Stop(ctx context.Context, part string) error {
	return l.endPart(ctx, part, func(p *process) error { return p.end(ctx, stopGrace) })
}

// Kill9 ends a part without warning, as a power cut would. It returns when the part is gone.
func (l *Lab) Kill9(ctx context.Context, part string) error {
	return l.endPart(ctx, part, func(p *process) error { return p.kill(ctx) })
}

func (l *Lab) endPart(ctx context.Context, part string, end func(*process) error) error {
	return updateState(ctx, l.dir, func(s *state) error {
		p, err := s.part(part)
		if err != nil {
			return err
		}
		if err := end(p); err != nil {
			return err
		}
		p.PID, p.Started = 0, ""
		return nil
	})
}

// Start starts a part that was stopped, killed, or ended by itself, and returns when it answers. A part that runs is left as it is.
func (l *Lab) Start(ctx context.Context, part string) error {
	err := l.started(ctx, func(s *state) (*process, error) { return s.part(part) })
	if err != nil {
		return err
	}
	return l.waitPart(ctx, part)
}

// launch adds a part to the lab and starts it.
func (l *Lab) launch(ctx context.Context, p *process) error {
	return l.started(ctx, func(s *state) (*process, error) {
		s.Processes = append(s.Processes, p)
		return p, nil
	})
}

// started starts the part that choose returns and records it. What cannot be recorded could never be ended, so it is ended here.
func (l *Lab) started(ctx context.Context, choose func(*state) (*process, error)) error {
	var fresh process
	err := updateState(ctx, l.dir, func(s *state) error {
		p, err := choose(s)
		if err != nil || p.alive() {
			return err
		}
		err = p.start(l.dir)
		fresh = *p
		return err
	})
	if err != nil {
		return errors.Join(err, fresh.kill(context.WithoutCancel(ctx)))
	}
	return nil
}

// waitPart returns when the part answers requests, or, for one that takes none, when it has started.
func (l *Lab) waitPart(ctx context.Context, part string) error {
	server, isAPI := strings.CutPrefix(part, "api-")
	switch {
	case part == manager+"-api":
		return l.waitAPI(ctx, manager)
	case isAPI:
		return l.waitAPI(ctx, server)
	case part == "git":
		return l.waitGit(ctx)
	}
	return nil
}

// cluster returns an error for a cluster that the lab does not have.
func (s *state) cluster(name string) error {
	for _, c := range s.Clusters {
		if c.Name == name {
			return nil
		}
	}
	return fmt.Errorf("no cluster %q", name)
}
