package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// keptShop has a train to ring-2 every minute and starts releases on ring-1; all
// is handled until storetest.Start.
func keptShop() *rings.Application {
	a := storetest.App("shop")
	a.Rings[0].Starts = rings.Starts{OnRelease: rings.ReleaseStart}
	a.Rings[1].Starts = rings.Starts{Train: rings.Schedule{Cron: "* * * * *", Zone: "UTC"}}
	a.Rings[1].Kept.Until = storetest.Start
	return a
}

func minute(n int) orchestrator.Due {
	return orchestrator.Due{Ring: "ring-2", Moment: storetest.Start.Add(time.Duration(n) * time.Minute)}
}

// on is a rollout on the ring, whose link says what it is for.
func on(ring rings.RingName, link string) func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) {
	return func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		c := storetest.Created(a, ring)
		c.Link = link
		return c, nil
	}
}

func TestCreateDue(t *testing.T) {
	db := openNew(t)
	must(t, db.CreateApp(t.Context(), keptShop()))
	now := storetest.Start.Add(time.Minute)
	id, err := db.CreateDue(t.Context(), "shop", minute(1), on("ring-2", ""), "keeper", now)
	must(t, err)
	a, err := db.App(t.Context(), "shop")
	must(t, err)
	last := rings.LastStart{At: now, Moment: now, Rollout: string(id)}
	if k := a.Rings[1].Kept; !k.Until.Equal(now) || k.Last == nil || *k.Last != last {
		t.Errorf("it is noted as %+v", k)
	}
	_, err = db.CreateDue(t.Context(), "shop", minute(1), on("ring-2", ""), "keeper", now)
	wantIs(t, err, orchestrator.ErrHandled)
	_, err = db.CreateDue(t.Context(), "shop", minute(2), on("ring-2", ""), "keeper", now)
	wantIs(t, err, store.ErrRingBusy)
	if a, err = db.App(t.Context(), "shop"); err != nil || !a.Rings[1].Kept.Until.Equal(now) {
		t.Errorf("what was refused is noted: %+v, %v", a.Rings[1].Kept, err)
	}
	must(t, db.PassDue(t.Context(), "shop", minute(2), "another rollout is live", true, now))
	wantIs(t, db.PassDue(t.Context(), "shop", minute(2), "another rollout is live", true, now), orchestrator.ErrHandled)
	must(t, db.PassDue(t.Context(), "shop", minute(3), "there is nothing to take", false, now))
	notes, _, err := db.Notes(t.Context(), store.NoteFilter{App: "shop"})
	must(t, err)
	want := rings.Note{App: "shop", Number: 1, At: now, Kind: rings.NoteStartSkipped, By: "keeper (train ring-2, * * * * * UTC)", Ring: "ring-2",
		Moment: minute(2).Moment, Reason: "another rollout is live"}
	if d := cmp.Diff([]rings.Note{want}, notes); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

// A release that somebody has begun to roll out does not start by itself, too.
func TestCreateRollout_began(t *testing.T) {
	db := openNew(t)
	must(t, db.CreateApp(t.Context(), keptShop()))
	_, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		c := storetest.Created(a, "ring-1")
		c.Kind, c.Release = orchestrator.KindRelease, 4
		return c, nil
	}, "ann", storetest.Start)
	must(t, err)
	wantIs(t, db.PassDue(t.Context(), "shop", orchestrator.Due{Ring: "ring-1", Release: 4}, "x", false, storetest.Start), orchestrator.ErrHandled)
	must(t, db.PassDue(t.Context(), "shop", orchestrator.Due{Ring: "ring-1", Release: 5}, "x", false, storetest.Start))
}

// Nothing is written of a schedule in a zone that no program finds again.
func TestUpdateApp_zone(t *testing.T) {
	db := openShop(t)
	err := db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Rings[1].Starts.Train = rings.Schedule{Cron: "0 6 * * *", Zone: "Mars/Base"}
		return nil
	})
	if !isInvalid(err) {
		t.Errorf("got %v", err)
	}
}

// A ring whose rollout is under way freezes the one that it takes from, until
// it has ended there.
func TestBarriers_frozen(t *testing.T) {
	db := openShop(t)
	var first orchestrator.Created
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		first = storetest.Created(a, "ring-2")
		first.Rings[0].Upstream, first.Rings[0].Policy.FreezeUpstream = "ring-1", true
		return first, nil
	}, "ann", storetest.Start)
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
	must(t, err)
	tape := storetest.NewTape(id, first, "ann", storetest.Start)
	frozen := func() []rings.Freeze {
		b, err := db.Barriers(t.Context(), "shop", storetest.Start)
		must(t, err)
		return b.Frozen
	}
	if f := frozen(); len(f) != 0 {
		t.Errorf("before it begins: %+v", f)
	}
	appendAll(t, db, tape.Batch(lease, orchestrator.Started{}, orchestrator.RingStarted{Ring: "ring-2"}))
	want := rings.Freeze{Ring: "ring-1", By: "ring-2", Rollout: string(id), Since: storetest.Start.Add(2 * time.Second)}
	if f := frozen(); len(f) != 1 || !f[0].Same(want) {
		t.Errorf("under way: %+v, want %+v", f, want)
	}
	_, err = db.CreateRollout(t.Context(), "shop", on("ring-1", ""), "bob", storetest.Start)
	wantIs(t, err, orchestrator.ErrBarred)
	over, err := db.CreateRollout(t.Context(), "shop", func(id orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		c, err := on("ring-1", "")(id, a)
		c.Options = orchestrator.Options{GoOver: true, Reason: "an incident"}
		return c, err
	}, "bob", storetest.Start)
	must(t, err)
	if s, err := db.Rollout(t.Context(), over); err != nil || s.Over == nil || len(s.Over.Frozen) != 1 {
		t.Errorf("what is gone over is not on record: %+v, %v", s.Over, err)
	}
	appendAll(t, db, tape.Batch(lease, orchestrator.RingEnded{Ring: "ring-2", Phase: orchestrator.RingDone}))
	if f := frozen(); len(f) != 0 {
		t.Errorf("after its end: %+v", f)
	}
}

// keepForEver starts every minute's train, one after the other, and ends each
// rollout at once, until it is killed.
func keepForEver(path string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return err
	}
	me := orchestrator.Driver{Name: fmt.Sprint("child/", os.Getpid())}
	for {
		a, err := db.App(ctx, "shop")
		if err != nil {
			return err
		}
		d := orchestrator.Due{Ring: "ring-2", Moment: a.Rings[1].Kept.Until.Add(time.Minute)}
		_, err = db.CreateDue(ctx, "shop", d, on("ring-2", d.Moment.Format(time.RFC3339)), "keeper", storetest.Start)
		if err != nil && !errors.Is(err, orchestrator.ErrHandled) && !errors.Is(err, store.ErrRingBusy) {
			return err
		}
		if err := endAll(ctx, db, me); err != nil {
			return err
		}
	}
}

// endAll ends what is live. Another process may be faster.
func endAll(ctx context.Context, db *store.DB, me orchestrator.Driver) error {
	live, err := db.Live(ctx)
	for _, id := range live {
		lease, err := db.Acquire(ctx, id, me, time.Now(), 0)
		if errors.Is(err, orchestrator.ErrLeased) {
			continue
		}
		if err != nil {
			return err
		}
		s, err := db.Rollout(ctx, id)
		if err != nil {
			return err
		}
		if s.Phase.Ended() {
			continue
		}
		err = db.Append(ctx, []orchestrator.Batch{storetest.Resume(s, "keeper").Batch(lease, orchestrator.Ended{Phase: orchestrator.Cancelled})})
		if err != nil && !errors.Is(err, orchestrator.ErrFenced) && !errors.Is(err, orchestrator.ErrOutOfOrder) {
			return err
		}
	}
	return err
}

// started is how many rollouts there are.
func started(t *testing.T, db *store.DB) int {
	t.Helper()
	page, err := db.Rollouts(t.Context(), store.Filter{})
	must(t, err)
	return len(page.Rollouts)
}

// Two processes start what is due, and both are killed again and again at any
// point: every moment has exactly one rollout.
func TestCreateDue_once(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "rollout.db"))
	must(t, db.CreateApp(t.Context(), keptShop()))
	changed := db.Changes(t.Context())
	for round := range 8 {
		one, two := child(t, "keeper", db.Path()), child(t, "keeper", db.Path())
		must(t, one.Start())
		must(t, two.Start())
		for started(t, db) < 2*(round+1) {
			<-changed
		}
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // they die at a random moment
		must(t, one.Process.Kill())
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		must(t, two.Process.Kill())
		for _, c := range []interface{ Wait() error }{one, two} {
			if err := c.Wait(); err == nil || err.Error() != "signal: killed" {
				t.Fatalf("a keeper ended by itself: %v", err)
			}
		}
	}
	page, err := db.Rollouts(t.Context(), store.Filter{})
	must(t, err)
	seen := map[string]bool{}
	for _, row := range page.Rollouts {
		if seen[row.Link] {
			t.Errorf("the train of %s has two rollouts", row.Link)
		}
		seen[row.Link] = true
	}
	a, err := db.App(t.Context(), "shop")
	must(t, err)
	if want := int(a.Rings[1].Kept.Until.Sub(storetest.Start) / time.Minute); len(seen) != want || want < 16 {
		t.Errorf("%d trains have a rollout, of %d that are handled", len(seen), want)
	}
}
