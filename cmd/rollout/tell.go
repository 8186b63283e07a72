package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// order is a command for a rollout, and how it is told of.
type order struct {
	command orchestrator.Command
	wish    string // "rollout shop-3 is to be paused"
	done    string // "rollout shop-3 is paused: ..."
	// obeyed reports whether the rollout, which took the command, did what it
	// asks for.
	obeyed func(*orchestrator.State) bool
}

// standing is a live rollout as a command finds it, with the commands that
// nobody has taken yet.
type standing struct {
	*orchestrator.State
	pending []orchestrator.Command
}

// said returns the last command that nobody has taken yet and that one of the
// kinds is of; nil when there is none.
func (s standing) said(kinds ...orchestrator.CommandKind) *orchestrator.Command {
	for i := len(s.pending) - 1; i >= 0; i-- {
		if slices.Contains(kinds, s.pending[i].Kind) {
			return &s.pending[i]
		}
	}
	return nil
}

// held returns the last pending word on whether the rollout is paused.
func (s standing) held() *orchestrator.Command {
	return s.said(orchestrator.CommandPause, orchestrator.CommandResume)
}

// again refuses a command that somebody has given already.
func (s standing) again(wish string, c *orchestrator.Command) error {
	return conflict(fmt.Sprintf("\"rollout show %s\" says who drives it", s.ID), "%s: %s has said so already, and no driver has taken that up yet", wish, c.By)
}

// same returns the pending command that asks for the same.
func (s standing) same(c orchestrator.Command) *orchestrator.Command {
	i := slices.IndexFunc(s.pending, func(o orchestrator.Command) bool {
		return o.Kind == c.Kind && o.Ring == c.Ring && o.Service == c.Service && o.Cluster == c.Cluster && o.Gate == c.Gate && o.Content == c.Content
	})
	if i < 0 {
		return nil
	}
	return &s.pending[i]
}

func reasonFlag() cli.Flag {
	return &cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record"}
}

const (
	// tellWait is how long a driver has to take a command.
	tellWait = 10 * time.Second
	// lonely is how long a rollout that nobody drives may wait for a driver
	// before it is said that there is none.
	lonely = 1500 * time.Millisecond
)

// tell gives a live rollout a command, waits until its driver has taken it, and
// says what came of it. make makes the command from what stands, or refuses.
func (p *program) tell(ctx context.Context, ref, reason string, make func(context.Context, *store.DB, standing) (order, error)) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	o, s, err := p.send(ctx, db, ref, reason, make)
	if err != nil {
		return err
	}
	w := &watchman{command: o.command}
	f := &follower{db: db, sink: w, now: p.now, state: s}
	if err := p.await(ctx, f, w); err != nil {
		return err
	}
	return p.told(f, w, o)
}

// send puts the command into the rollout's inbox.
func (p *program) send(ctx context.Context, db *store.DB, ref, reason string, make func(context.Context, *store.DB, standing) (order, error)) (order, *orchestrator.State, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	id, err := resolve(ctx, db, ref, false)
	if err != nil {
		return order{}, nil, err
	}
	s, err := db.Rollout(ctx, id)
	if err != nil {
		return order{}, nil, err
	}
	if s.Phase.Ended() {
		return order{}, nil, fmt.Errorf("rollout %q is %s: %w", id, s.Phase, store.ErrEnded)
	}
	pending, err := db.Commands(ctx, id)
	if err != nil {
		return order{}, nil, err
	}
	stands := standing{s, pending}
	o, err := make(ctx, db, stands)
	if err != nil {
		return order{}, nil, err
	}
	o.command.By, o.command.Reason, o.command.At = p.actor(ctx), reason, p.now().UTC()
	return o, s, db.Send(ctx, id, o.command)
}

// watchman notes when a driver has taken the command, and what it warned of
// then.
type watchman struct {
	command orchestrator.Command
	taken   bool
	warned  string
}

func (w *watchman) event(_ *orchestrator.State, e orchestrator.Event) error {
	switch b := e.Body.(type) {
	case orchestrator.Commanded:
		w.taken = w.taken || b.Kind == w.command.Kind && b.By == w.command.By && b.At.Equal(w.command.At)
	case orchestrator.Warned:
		if w.taken {
			w.warned = b.Words
		}
	}
	return nil
}

func (*watchman) look(*orchestrator.State, *orchestrator.Lease) error { return nil }
func (*watchman) end(*orchestrator.State, *orchestrator.Lease) error  { return nil }

// await follows the rollout until a driver has taken the command, the rollout
// has ended, or it is plain that nobody will take it soon.
func (p *program) await(ctx context.Context, f *follower, w *watchman) error {
	ctx, stop := context.WithTimeout(ctx, tellWait)
	defer stop()
	changes := f.db.Changes(ctx)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	alone := time.After(lonely)
	for waited := false; ; {
		if err := f.advance(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if w.taken || f.state.Phase.Ended() || waited && !p.driven(f) {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return nil
		case <-alone:
			waited = true
		case <-changes:
		case <-tick.C:
		}
	}
}

func (p *program) driven(f *follower) bool {
	v := p.driver(f.lease)
	return v != nil && v.Alive
}

// told says what came of the command.
func (p *program) told(f *follower, w *watchman, o order) error {
	s := f.state
	switch {
	case w.taken && o.obeyed(s):
		return p.done(p.viewRollout(s, f.lease), "%s", o.done)
	case w.taken && w.warned != "":
		return conflict(fmt.Sprintf("\"rollout explain %s\" says where it stands", s.ID), "rollout %s: %s", s.ID, w.warned)
	case s.Phase.Ended():
		return conflict(fmt.Sprintf("\"rollout show %s\" shows it", s.ID), "rollout %s ended before it could be told: %s", s.ID, s.Phase)
	case w.taken:
		return conflict(fmt.Sprintf("\"rollout explain %s\" says where it stands", s.ID), "rollout %s has gone on: the command changes nothing", s.ID)
	case p.driven(f):
		return &commandError{exit: exitTimeout, code: "timeout", what: fmt.Sprintf("%s, but %s has not taken that up after %s", o.wish, p.driverWords(p.driver(f.lease)), orchestrator.Duration(tellWait)),
			hint: fmt.Sprintf("\"rollout show %s\" shows when it does", s.ID)}
	}
	p.say("hint: %s", undrivenHint(s.ID))
	return p.done(p.viewRollout(s, f.lease), "%s", o.wish)
}

// unknownIn says that a rollout has nothing of that name.
func unknownIn(s *orchestrator.State, kind, name string, known []string) error {
	e := &rings.UnknownError{Kind: kind, Name: name, Where: fmt.Sprintf("rollout %s", s.ID), Nearest: rings.Nearest(name, known)}
	return &commandError{exit: exitNotFound, code: "not-found", what: e.Error(), hint: fmt.Sprintf("\"rollout show %s\" shows what there is", s.ID), err: e}
}

// names are strings, for a search.
func names[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, n := range all {
		out[i] = string(n)
	}
	return out
}
