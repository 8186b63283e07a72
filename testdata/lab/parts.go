package lab

import (
	"context"
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
	err := updateState(ctx, l.dir, func(s *state) error {
		p, err := s.part(part)
		if err != nil || p.alive() {
			return err
		}
		return p.start(l.dir)
	})
	if err != nil {
		return err
	}
	return l.waitPart(ctx, part)
}

// launch adds a part to the lab and starts it. The record is written before the process is, and again with its pid, so
// that a lab whose start was cut short knows all that it has to end.
func (l *Lab) launch(ctx context.Context, p *process) error {
	return updateState(ctx, l.dir, func(s *state) error {
		s.Processes = append(s.Processes, p)
		return p.start(l.dir)
	})
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
