package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

var (
	// ErrRingBusy is wrapped by [RingBusyError].
	ErrRingBusy = errors.New("another rollout is live on the ring")
	// ErrEnded is wrapped when the rollout has ended and takes no commands.
	ErrEnded = errors.New("the rollout has ended")
)

// RingBusyError says which live rollout drives the ring.
type RingBusyError struct {
	ID   orchestrator.ID
	Ring rings.RingName
}

// Error names the ring and the rollout.
func (e *RingBusyError) Error() string {
	return fmt.Sprintf("ring %q: rollout %q is live on it", e.Ring, e.ID)
}

// Unwrap returns ErrRingBusy.
func (e *RingBusyError) Unwrap() error { return ErrRingBusy }

// unknownRollout is an unknown name and also what the Store port promises.
type unknownRollout struct{ *rings.UnknownError }

// Unwrap returns the rings.UnknownError, and orchestrator.ErrNotFound.
func (e unknownRollout) Unwrap() []error {
	return []error{e.UnknownError, orchestrator.ErrNotFound}
}

// Summary is a rollout in a list, without its steps.
type Summary struct {
	ID        orchestrator.ID                     `json:"id"`
	Kind      orchestrator.Kind                   `json:"kind,omitempty"`
	Of        orchestrator.ID                     `json:"of,omitempty"` // the rollout that it retries or takes back
	Release   int                                 `json:"release,omitempty"`
	App       rings.AppName                       `json:"app"`
	Rings     []rings.RingName                    `json:"rings"`
	Phase     orchestrator.Phase                  `json:"phase"`
	Reason    string                              `json:"reason,omitempty"` // why it failed, was cancelled or is paused
	Versions  map[rings.ServiceName]rings.Version `json:"versions"`         // the plan
	Settings  map[rings.ServiceName]rings.Values  `json:"settings,omitempty"`
	StartedBy string                              `json:"startedBy"`
	Why       string                              `json:"why,omitempty"` // the reason that they gave
	Link      string                              `json:"link,omitempty"`
	// Freezes are the rings that must not begin because of it.
	Freezes    []rings.Freeze `json:"freezes,omitempty"`
	StartedAt  time.Time      `json:"startedAt"`
	FinishedAt time.Time      `json:"finishedAt,omitzero"`
	// Lease is who drives it, or drove it last; nil when it has ended or when
	// nobody ever did. It is not part of what is stored.
	Lease *orchestrator.Lease `json:"-"`
	// Steps are those that have begun or ended, with their clusters, where the
	// filter wants them; else nil. They are stored apart.
	Steps []StepSummary `json:"-"`
}

// Page is a part of a list of rollouts.
type Page struct {
	Rollouts []Summary
	// Next is the Before of the next page; "" when there is none.
	Next orchestrator.ID
}

// CreateRollout starts a rollout of the application and returns its id. first
// gets the id and the application as it is now, and returns the rollout's first
// event; its error is returned and nothing is written. It runs with the file
// locked: it must be quick, must not use the store, and is called once. It is a
// [HaltedError] while a halt of the application or of all stands, an
// [orchestrator.BarredError] while a lock, a closed window or a freeze is in the way, and a
// [RingBusyError] when a live rollout of the application has one of the rings.
// The locks of the event are set with it, as by [DB.Lock].
func (db *DB) CreateRollout(ctx context.Context, app rings.AppName,
	first func(orchestrator.ID, *rings.Application) (orchestrator.Created, error),
	actor string, now time.Time) (orchestrator.ID, error) {
	return db.createRollout(ctx, app, func(orchestrator.ID, *rings.Application) error { return nil }, first, actor, now)
}

// createRollout is CreateRollout that first has note change the application,
// which is written, too. Its error is returned and nothing is written.
func (db *DB) createRollout(ctx context.Context, app rings.AppName, note func(orchestrator.ID, *rings.Application) error,
	first func(orchestrator.ID, *rings.Application) (orchestrator.Created, error),
	actor string, now time.Time) (orchestrator.ID, error) {
	var id orchestrator.ID
	err := db.update(ctx, func(tx *bolt.Tx) error {
		a, err := getApp(tx, app)
		if err != nil {
			return err
		}
		if err := checkHalts(tx, app, now); err != nil {
			return err
		}
		id = makeID(app, lastNumber(tx, app)+1)
		if err := note(id, a); err != nil {
			return err
		}
		created, err := first(id, a)
		if err != nil {
			return err
		}
		a.Began(created.Release, created.RingNames())
		if err := admit(tx, app, &created, now); err != nil {
			return err
		}
		if err := putApp(tx, a); err != nil && err != errUnchanged {
			return err
		}
		return insertRollout(tx, orchestrator.Event{Rollout: id, Seq: 1, At: now, Actor: actor, Body: created})
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// admit refuses a rollout while another one, a lock, a closed window or a freeze
// is in its way, and sets the locks that come with it.
func admit(tx *bolt.Tx, app rings.AppName, created *orchestrator.Created, now time.Time) error {
	if err := checkRings(tx, app, created.RingNames()); err != nil {
		return err
	}
	b, err := barriers(tx, app, now)
	if err != nil {
		return err
	}
	if err := created.Pass(b, nil, now); err != nil {
		return err
	}
	return putLocks(tx, created.Locks)
}

// lastNumber returns the largest number that a rollout of the application has.
func lastNumber(tx *bolt.Tx, app rings.AppName) uint64 {
	key := lastWithPrefix(tx.Bucket(bucketRollouts).Cursor(), pair(app, ""))
	if key == nil {
		return 0
	}
	return numberOf(key[len(app)+1:])
}

// lastWithPrefix moves to the last key that begins with the prefix, whose last
// byte is 0, and returns it; nil when there is none.
func lastWithPrefix(c *bolt.Cursor, prefix []byte) []byte {
	end := bytes.Clone(prefix)
	end[len(end)-1]++
	if key := seekBefore(c, end); bytes.HasPrefix(key, prefix) {
		return key
	}
	return nil
}

// seekBefore moves to the last key that is smaller than end, or with a nil end
// to the last of all, and returns it; nil when there is none.
func seekBefore(c *bolt.Cursor, end []byte) []byte {
	var key []byte
	if end != nil {
		key, _ = c.Seek(end)
	}
	if key == nil {
		key, _ = c.Last()
		if end != nil && bytes.Compare(key, end) >= 0 {
			return nil
		}
		return key
	}
	key, _ = c.Prev()
	return key
}

func checkRings(tx *bolt.Tx, app rings.AppName, wanted []rings.RingName) error {
	live, err := liveOf(tx, app)
	if err != nil {
		return err
	}
	for _, row := range live {
		for _, ring := range wanted {
			if slices.Contains(row.Rings, ring) {
				return &RingBusyError{ID: row.ID, Ring: ring}
			}
		}
	}
	return nil
}

// insertRollout writes a rollout's first event and all that goes with it.
func insertRollout(tx *bolt.Tx, e orchestrator.Event) error {
	data, err := encodeChunk([]orchestrator.Event{e})
	if err != nil {
		return fmt.Errorf("rollout %q: %w", e.Rollout, err)
	}
	row := summarize(orchestrator.Apply(nil, e))
	key, _ := rolloutKey(e.Rollout)
	j, err := tx.Bucket(bucketJournal).CreateBucket(key)
	if err != nil {
		return fmt.Errorf("rollout %q: %w", e.Rollout, err)
	}
	order := timeKey(row.StartedAt, key)
	_, err = put(tx.Bucket(bucketRollouts), key, row)
	return errors.Join(err, j.Put(number(e.Seq), data),
		tx.Bucket(bucketTimes).Put(order, nil), tx.Bucket(bucketLive).Put(order, nil), logged(tx, e.Rollout, e.Seq, 1))
}

// summarize is the row of the rollout.
func summarize(s *orchestrator.State) Summary {
	row := Summary{ID: s.ID, Kind: s.Kind, Of: s.Of, Release: s.Release, App: s.Scope.App, Rings: s.RingNames(), Versions: s.Plan, Settings: s.Settings,
		StartedBy: s.StartedBy, Why: s.Options.Reason, Link: s.Link, StartedAt: s.StartedAt.UTC()}
	row.advance(s)
	return row
}

// advance takes over what changes while the rollout runs. What was the reason
// is none any more after a person resumed it.
func (row *Summary) advance(s *orchestrator.State) {
	row.Phase, row.Reason, row.FinishedAt, row.Freezes = s.Phase, "", s.FinishedAt, s.Freezes()
	if !row.FinishedAt.IsZero() {
		row.FinishedAt = row.FinishedAt.UTC()
	}
	switch {
	case s.Failure != nil:
		row.Reason = s.Failure.Words
	case s.Cancel != nil:
		row.Reason = s.Cancel.Reason
	case s.Pause != nil:
		row.Reason = s.Pause.Reason
	}
}

// Summary returns the rollout as a list shows it.
func (db *DB) Summary(ctx context.Context, id orchestrator.ID) (Summary, error) {
	var row Summary
	err := db.view(ctx, func(tx *bolt.Tx) (err error) {
		if row, err = getRow(tx, id); err == nil && !row.Phase.Ended() {
			row.Lease, err = getLease(tx, id)
		}
		return err
	})
	return row, err
}

// Live returns the rollouts that have not ended, oldest first.
func (db *DB) Live(ctx context.Context) ([]orchestrator.ID, error) {
	var ids []orchestrator.ID
	err := db.view(ctx, func(tx *bolt.Tx) error {
		return tx.Bucket(bucketLive).ForEach(func(key, _ []byte) error {
			ids = append(ids, rolloutOf(key[timeSize:]))
			return nil
		})
	})
	return ids, err
}

// liveOf returns the application's live rollouts, newest first.
func liveOf(tx *bolt.Tx, app rings.AppName) ([]Summary, error) {
	var rows []Summary
	err := eachNewest(tx, Filter{App: app, Live: true}, func(row Summary) (bool, error) {
		rows = append(rows, row)
		return true, nil
	})
	return rows, err
}

// getRow returns the rollout's row, or an unknownRollout.
func getRow(tx *bolt.Tx, id orchestrator.ID) (Summary, error) {
	var row Summary
	if key, ok := rolloutKey(id); ok {
		found, err := get(tx.Bucket(bucketRollouts), key, &row)
		if err != nil || found {
			return row, err
		}
	}
	return row, unknownRollout{&rings.UnknownError{Kind: "rollout", Name: string(id),
		Nearest: rings.Nearest(string(id), recent(tx))}}
}

// recent returns the ids of the newest rollouts.
func recent(tx *bolt.Tx) []string {
	var ids []string
	c := tx.Bucket(bucketTimes).Cursor()
	for k, _ := c.Last(); k != nil && len(ids) < 100; k, _ = c.Prev() {
		ids = append(ids, string(rolloutOf(k[timeSize:])))
	}
	return ids
}
