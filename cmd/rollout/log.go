package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type logOptions struct {
	filter store.LogFilter
	ref    string // APP or ID; "" for all
	limit  int
	follow bool
}

func (p *program) logCommand() *cli.Command {
	return &cli.Command{
		Name: "log", Category: "Look", Usage: "Print the journals of all rollouts as one stream, an event a line", ArgsUsage: "[APP|ID]",
		Description: "Each line is a JSON object with an id that counts up without gaps, in the order in which the events were written. Who\n" +
			"remembers the last one goes on with --after, and misses nothing. Lines only ever get more fields.\n\n" +
			examples("rollout log shop --follow", "rollout log --after 4711 --limit 100"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Usage: "Go on with what is written from now on", DisableDefaultText: true},
			&cli.StringFlag{Name: "after", Usage: "`ID` of the last event that is known already", DefaultText: "from the beginning"},
			&cli.IntFlag{Name: "limit", Usage: "`N` events at most; 0 for all", Value: 0},
		},
		Action: func(c *cli.Context) error {
			o := logOptions{ref: c.Args().Get(0), limit: c.Int("limit"), follow: c.Bool("follow")}
			var err error
			if text := c.String("after"); text != "" {
				if o.filter.After, err = strconv.ParseUint(text, 10, 64); err != nil {
					return &usageError{what: fmt.Sprintf("flag --after: %q is not the id of an event", text), hint: "it is the number in the field \"id\" of a line"}
				}
			}
			return p.runLog(c.Context, o)
		},
	}
}

// loggedView is an event in the log.
type loggedView struct {
	ID  uint64        `json:"id"`
	App rings.AppName `json:"app"`
	eventView
}

// logPage is how many events are read at a time.
const logPage = 1000

func (p *program) runLog(ctx context.Context, o logOptions) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	if err := o.narrow(ctx, db); err != nil {
		return err
	}
	l := &logPrinter{program: p, db: db, states: map[orchestrator.ID]*orchestrator.State{}}
	if o.follow {
		changes := db.Changes(ctx) // from before the first look, so that nothing is missed
		return l.follow(ctx, o, changes)
	}
	_, err = l.catchUp(ctx, o)
	return err
}

// narrow finds out what the argument names: a rollout, else an application.
func (o *logOptions) narrow(ctx context.Context, db *store.DB) error {
	if o.ref == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if strings.Contains(o.ref, "/") { // a rollout, by its ring
		id, err := resolve(ctx, db, o.ref, true)
		o.filter.Rollout = id
		return err
	}
	if _, err := db.Summary(ctx, orchestrator.ID(o.ref)); err == nil {
		o.filter.Rollout = orchestrator.ID(o.ref)
		return nil
	} else if !errors.Is(err, orchestrator.ErrNotFound) {
		return err
	}
	o.filter.App = rings.AppName(o.ref)
	if _, err := db.App(ctx, o.filter.App); err != nil {
		return unknownRef(ctx, db, o.ref, err)
	}
	return nil
}

// logPrinter prints what the log has, and keeps the states of the rollouts that
// are under way, which the words need.
type logPrinter struct {
	*program
	db     *store.DB
	states map[orchestrator.ID]*orchestrator.State
}

// follow prints what there is and then what comes, until it is interrupted or
// the limit is reached.
func (l *logPrinter) follow(ctx context.Context, o logOptions, changes <-chan struct{}) error {
	for {
		rest, err := l.catchUp(ctx, o)
		if err != nil || o.limit > 0 && rest.limit == 0 {
			return err
		}
		o = rest
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
		}
	}
}

// catchUp prints what the log has, and returns what is to be printed after
// that.
func (l *logPrinter) catchUp(ctx context.Context, o logOptions) (logOptions, error) {
	for {
		events, read, err := l.page(ctx, o)
		if err != nil {
			return o, err
		}
		for _, e := range events {
			if err := l.line(ctx, e); err != nil {
				return o, err
			}
		}
		done := read == o.filter.After
		o.filter.After = read
		if o.limit > 0 {
			if o.limit -= len(events); o.limit == 0 {
				return o, nil
			}
		}
		if done {
			return o, nil
		}
	}
}

func (l *logPrinter) page(ctx context.Context, o logOptions) ([]store.Logged, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	f := o.filter
	if f.Limit = logPage; o.limit > 0 {
		f.Limit = min(f.Limit, o.limit)
	}
	return l.db.Log(ctx, f)
}

func (l *logPrinter) line(ctx context.Context, e store.Logged) error {
	s, err := l.after(ctx, e.Event)
	if err != nil {
		return err
	}
	v, err := viewEvent(s, e.Event)
	if err != nil {
		return err
	}
	line := loggedView{ID: e.Number, App: s.Scope.App, eventView: v}
	if l.flags.output == "yaml" {
		text, err := yaml.Marshal(line)
		if err == nil {
			_, err = fmt.Fprintf(l.stdout, "---\n%s", text)
		}
		return err
	}
	encoder := json.NewEncoder(l.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(line)
}

// after is the rollout after the event.
func (l *logPrinter) after(ctx context.Context, e orchestrator.Event) (*orchestrator.State, error) {
	s := l.states[e.Rollout]
	if s == nil && e.Seq > 1 {
		ctx, cancel := context.WithTimeout(ctx, storeWait)
		defer cancel()
		before, err := l.db.Events(ctx, e.Rollout, 1, int(e.Seq-1))
		if err != nil {
			return nil, err
		}
		s = orchestrator.Fold(nil, before)
	}
	s = orchestrator.Apply(s, e)
	if l.states[e.Rollout] = s; s.Phase.Ended() {
		delete(l.states, e.Rollout)
	}
	return s, nil
}
