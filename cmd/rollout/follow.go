package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/forecast"
	"rollout/store"
)

// errTimeout says that --timeout passed before the rollout's end.
var errTimeout = errors.New("the timeout passed")

// errWaits says that only a person can let the rollout go on.
var errWaits = errors.New("waits for a person")

// sink shows a rollout while it is followed.
type sink interface {
	event(*orchestrator.State, orchestrator.Event) error
	// look is called when something happened, and once a second.
	look(*orchestrator.State, *orchestrator.Lease) error
	end(*orchestrator.State, *orchestrator.Lease) error
}

// sink shows as --output and the terminal ask for.
func (p *program) sink() sink {
	switch {
	case p.flags.output == "jsonl":
		return eventSink{p}
	case p.flags.output != "text":
		return objectSink{p}
	case p.terminal:
		return &liveSink{program: p}
	}
	return lineSink{p}
}

// follower follows a rollout by its journal, whoever drives it.
type follower struct {
	db    *store.DB
	sink  sink
	now   func() time.Time
	state *orchestrator.State
	lease *orchestrator.Lease
}

func (p *program) follower(ctx context.Context, db *store.DB, id orchestrator.ID) (*follower, error) {
	f := &follower{db: db, sink: p.sink(), now: p.now}
	first, err := db.Events(ctx, id, 1, 1)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, fmt.Errorf("rollout %q: %w", id, orchestrator.ErrNotFound)
	}
	f.state = orchestrator.Fold(nil, first)
	if live, ok := f.sink.(*liveSink); ok {
		if live.past, err = pastOf(ctx, db, f.state.Scope.App); err != nil {
			return nil, err
		}
	}
	return f, f.sink.event(f.state, first[0])
}

// advance takes in what was written since, and shows it.
func (f *follower) advance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	events, err := f.db.Events(ctx, f.state.ID, f.state.Version+1, 0)
	if err != nil {
		return err
	}
	for _, e := range events {
		f.state = orchestrator.Apply(f.state, e)
		if err := f.sink.event(f.state, e); err != nil {
			return err
		}
	}
	if f.lease, err = f.db.LeaseOf(ctx, f.state.ID); err != nil {
		return err
	}
	return f.sink.look(f.state, f.lease)
}

// finish shows the end.
func (f *follower) finish() error { return f.sink.end(f.state, f.lease) }

// undriven reports whether nobody holds the lease.
func (f *follower) undriven() bool {
	return f.lease == nil || !f.lease.Expires.After(f.now())
}

// ending is what the program makes of a rollout that has ended.
func ending(s *orchestrator.State) error {
	e := &commandError{exit: exitFailed, code: "failed", what: fmt.Sprintf("rollout %s failed: %s", s.ID, s.Explain(s.FinishedAt))}
	switch s.Phase {
	case orchestrator.Succeeded:
		return nil
	case orchestrator.Cancelled:
		e.exit, e.code, e.what = exitCancelled, "cancelled", fmt.Sprintf("rollout %s was %s", s.ID, s.Explain(s.FinishedAt))
		return e
	}
	if s.Failure == nil {
		return e
	}
	if s.Phase == orchestrator.RolledBack {
		e.code, e.what = "rolled-back", fmt.Sprintf("rollout %s was %s", s.ID, s.Explain(s.FinishedAt))
		e.hint = cmpHint(s.Failure.Hint, fmt.Sprintf("\"rollout show %s\" shows what failed, and what was taken back", s.ID))
		return e
	}
	e.code, e.hint = string(s.Failure.Code), cmpHint(s.Failure.Hint, again(s))
	e.what = fmt.Sprintf("rollout %s failed (%s): %s", s.ID, s.Failure.Code, s.Explain(s.FinishedAt))
	if s.Failure.Code == orchestrator.CodeClaimed || s.Failure.Code == orchestrator.CodeManual {
		e.exit = exitConflict
	}
	return e
}

// again is what to do after a failure that has no remedy of its own.
func again(s *orchestrator.State) string {
	return fmt.Sprintf("\"rollout show %s\" shows the clusters; \"rollout retry %s\" tries again once it is repaired, \"rollout rollback %s\" takes back what it changed", s.ID, s.ID, s.ID)
}

// lineSink prints an event a line.
type lineSink struct{ *program }

func (l lineSink) event(s *orchestrator.State, e orchestrator.Event) error {
	if line := eventLine(s, e); line != "" {
		_, err := fmt.Fprintln(l.stdout, line)
		return err
	}
	return nil
}

func (lineSink) look(*orchestrator.State, *orchestrator.Lease) error { return nil }
func (lineSink) end(*orchestrator.State, *orchestrator.Lease) error  { return nil }

// eventSink prints an event a line, as JSON.
type eventSink struct{ *program }

func (j eventSink) event(s *orchestrator.State, e orchestrator.Event) error {
	v, err := viewEvent(s, e)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(j.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (eventSink) look(*orchestrator.State, *orchestrator.Lease) error { return nil }
func (eventSink) end(*orchestrator.State, *orchestrator.Lease) error  { return nil }

// objectSink prints the rollout at the end.
type objectSink struct{ *program }

func (objectSink) event(*orchestrator.State, orchestrator.Event) error { return nil }
func (objectSink) look(*orchestrator.State, *orchestrator.Lease) error { return nil }

func (o objectSink) end(s *orchestrator.State, l *orchestrator.Lease) error {
	return o.print(o.viewRollout(s, l), func(io.Writer) error { return nil })
}

// liveSink paints the rollout over what it painted before.
type liveSink struct {
	*program
	painter painter
	painted time.Time

	past     forecast.Past
	forecast *forecastView
	foretold time.Time
}

const (
	// repaint is how often a person can take in what changed.
	repaint = 100 * time.Millisecond
	// foretell is how often the end is forecast anew.
	foretell = 5 * time.Second
)

func (*liveSink) event(*orchestrator.State, orchestrator.Event) error { return nil }

func (l *liveSink) look(s *orchestrator.State, lease *orchestrator.Lease) error {
	if l.now().Sub(l.painted) < repaint {
		return nil // the next tick shows it
	}
	l.painted = l.now()
	f := l.frame(lease)
	f.fold, f.clusters = true, 8
	f.width, f.height = l.size()
	if l.painted.Sub(l.foretold) >= foretell {
		l.foretold, l.forecast = l.painted, viewForecast(s, l.past, l.painted)
	}
	f.forecast = f.forecastLine(l.forecast)
	return l.painter.paint(l.stdout, f.render(s))
}

func (l *liveSink) end(s *orchestrator.State, lease *orchestrator.Lease) error {
	f := l.frame(lease)
	f.width, _ = l.size()
	f.fold = s.Phase == orchestrator.Succeeded
	return l.painter.paint(l.stdout, f.render(s))
}
