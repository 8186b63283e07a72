package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"sync"
	"time"

	"rollout/checks"
	"rollout/fleet"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/store"
)

// wallClock is the real time.
type wallClock struct{ now func() time.Time }

// Now is the time of the environment.
func (c wallClock) Now() time.Time { return c.now() }

// After is for orchestrator.Clock.
func (wallClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// engine is a Runner with everything that it needs.
type engine struct {
	*orchestrator.Runner
	claims    *fleet.Claims
	publisher *gitrepo.Publisher
}

// engine connects a Runner to the store and the manager.
func (p *program) engine(db *store.DB, m *fleet.Manager, background bool, log io.Writer) *engine {
	claims, publisher := p.claims(db, m), p.publisher(m)
	return &engine{claims: claims, publisher: publisher, Runner: &orchestrator.Runner{
		Store: p.groupLocks(db, m.Reachable), Publisher: publisher, Fleet: m, Claim: claims, Checker: checks.New(), Clock: wallClock{p.now}, Log: p.log(log),
		Driver: orchestrator.Driver{Name: fmt.Sprintf("%s/%d/%s", p.host, p.pid, rand.Text()[:8]), Host: p.host, PID: p.pid, Background: background},
	}}
}

// claims are taken in the name of the store, so that a process takes over from
// another one of the same store at once.
func (p *program) claims(db *store.DB, m *fleet.Manager) *fleet.Claims {
	name := fmt.Sprintf("%s:%s", p.host, db.Path())
	return fleet.NewClaims(m, fleet.ClaimOptions{Store: name, Holder: userName() + "@" + name})
}

// unclaimed refuses when another store rolls the ring out.
func (p *program) unclaimed(ctx context.Context, db *store.DB, m *fleet.Manager, c orchestrator.Created) error {
	claims := p.claims(db, m)
	defer claims.Close()
	for _, ring := range c.RingNames() {
		if holder, held := claims.Holder(ctx, c.Scope, ring); held {
			return &commandError{exit: exitConflict, code: string(orchestrator.CodeClaimed), hint: "wait until it has ended there, or cancel it there",
				what: fmt.Sprintf("ring %q of application %q is being rolled out by another store: %s", ring, c.Scope.App, holder)}
		}
	}
	return nil
}

func (e *engine) close() {
	e.claims.Close()
	e.publisher.Close()
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// driving is the driving of one rollout beside those who follow it.
type driving struct {
	stop  context.CancelFunc
	wrote chan struct{} // receives after events were written
	ended chan struct{} // closed when driving has ended
	err   error         // then: why; nil when the rollout has ended
}

// drive takes the rollout's lease and moves it on.
func (p *program) drive(ctx context.Context, db *store.DB, m *fleet.Manager, id orchestrator.ID) *driving {
	ctx, stop := context.WithCancel(ctx)
	d := &driving{stop: sync.OnceFunc(stop), wrote: make(chan struct{}, 1), ended: make(chan struct{})}
	log, closeLog := p.logBeside(db)
	e := p.engine(db, m, false, log)
	e.Notify = func(*orchestrator.State, []orchestrator.Event) {
		select {
		case d.wrote <- struct{}{}:
		default:
		}
	}
	go func() {
		defer close(d.ended)
		defer closeLog()
		defer e.close()
		d.err = e.Drive(ctx, orchestrator.UntilEnded, id)
	}()
	return d
}

// logBeside is where the driver logs: stderr, or the background process's log
// while the terminal is being painted.
func (p *program) logBeside(db *store.DB) (io.Writer, func()) {
	if !p.terminal || p.flags.output != "text" {
		return p.stderr, func() {}
	}
	f, err := openLog(db)
	if err != nil {
		return io.Discard, func() {}
	}
	return f, func() { f.Close() }
}

func openLog(db *store.DB) (*os.File, error) {
	return os.OpenFile(logFile(db), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

func logFile(db *store.DB) string { return db.Path() + ".log" }

// halt ends the driving; the lease is free then.
func (d *driving) halt() {
	if d != nil {
		d.stop()
		<-d.ended
	}
}

// elsewhere reports whether driving ended because another process drives.
func elsewhere(err error) bool {
	return errors.Is(err, orchestrator.ErrLeased) || errors.Is(err, orchestrator.ErrFenced)
}

// session is a command that follows a rollout to its end.
type session struct {
	*program
	db      *store.DB
	manager *fleet.Manager // nil until it is needed
	timeout time.Duration  // 0: none
	scope   orchestrator.Scope
	// patient: following goes on while only a person is waited for, who sees it
	// on the terminal.
	patient bool
}

// waitsForPerson reports whether the rollout moves no further until a person
// says so, and nothing of it runs.
func waitsForPerson(s *orchestrator.State) bool {
	_, _, awaits := s.Awaiting()
	if !awaits && s.Pause == nil && len(s.Unmerged()) == 0 {
		return false
	}
	for _, w := range s.Why(s.At) {
		if w.Gate != "approval" && w.Gate != orchestrator.GateMerge && w.Gate != "pause" && w.Gate != "failure" {
			return false
		}
	}
	return true
}

// follow follows the rollout, and drives it while nobody else does. It returns
// nil when the rollout has ended, errTimeout, or the context's error; nobody
// of this process drives then.
func (s *session) follow(ctx context.Context, f *follower) error {
	var timeout <-chan time.Time
	if s.timeout > 0 {
		timeout = time.After(s.timeout)
	}
	changes := s.db.Changes(ctx)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var d *driving
	defer func() { d.halt() }()
	for {
		if err := f.advance(ctx); err != nil || f.state.Phase.Ended() {
			return err
		}
		if !s.patient && waitsForPerson(f.state) {
			return errWaits
		}
		if d == nil && f.undriven() {
			if err := s.connectOnce(ctx); err != nil {
				return err
			}
			d = s.drive(ctx, s.db, s.manager, f.state.ID)
		}
		wrote, ended := d.channels()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return errTimeout
		case <-ended:
			if d.err != nil && !elsewhere(d.err) {
				return s.stranded(ctx, f, d.err)
			}
			d = nil
		case <-wrote:
		case <-changes:
		case <-tick.C:
		}
	}
}

// channels are nil, so that they are never ready, when nobody drives here.
func (d *driving) channels() (wrote, ended <-chan struct{}) {
	if d == nil {
		return nil, nil
	}
	return d.wrote, d.ended
}

func (s *session) connectOnce(ctx context.Context) (err error) {
	if s.manager == nil {
		s.manager, err = s.managerOf(ctx, s.scope)
	}
	return err
}

// stranded is what is said of a rollout that could not be driven on here.
func (s *session) stranded(ctx context.Context, f *follower, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v := classify(err)
	return &commandError{exit: v.exit, code: v.code, err: err, what: fmt.Sprintf("rollout %s is not driven any more: %v", f.state.ID, err),
		hint: cmpHint(v.hint, fmt.Sprintf("\"rollout watch %s\" goes on with it", f.state.ID))}
}
