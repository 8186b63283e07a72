package store

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// batch is a batch with its events encoded.
type batch struct {
	orchestrator.Batch
	chunks []chunk
}

// Append implements [orchestrator.Store]. Those who append within 10 ms of each
// other share a transaction, without sharing each other's errors.
func (db *DB) Append(ctx context.Context, batches []orchestrator.Batch) error {
	r := &request{done: make(chan struct{})}
	for _, b := range batches {
		encoded, err := encodeBatch(b)
		if err != nil {
			return err
		}
		r.batches = append(r.batches, encoded)
	}
	return db.enqueue(ctx, r)
}

func encodeBatch(b orchestrator.Batch) (batch, error) {
	for _, e := range b.Events {
		if e.Rollout != b.Lease.Rollout {
			return batch{}, fmt.Errorf("rollout %q: event %d of rollout %q: %w", b.Lease.Rollout, e.Seq, e.Rollout, orchestrator.ErrOutOfOrder)
		}
	}
	chunks, err := encodeChunks(b.Events)
	return batch{Batch: b, chunks: chunks}, err
}

// appender writes batches in one transaction.
type appender struct {
	tx   *bolt.Tx
	last map[orchestrator.ID]uint64 // last event, with what was accepted so far
	apps map[rings.AppName]*rings.Application
}

// write accepts each request or sets its error, and writes those it accepted;
// errUnchanged when there were none. An error means that none is written.
func (a *appender) write(requests []*request) error {
	accepted := 0
	for _, r := range requests {
		if r.err = a.check(r.batches); r.err != nil {
			continue
		}
		accepted++
		for _, b := range r.batches {
			if err := a.writeBatch(b); err != nil {
				return err
			}
		}
	}
	for _, app := range a.apps {
		if err := putApp(a.tx, app); err != nil && err != errUnchanged {
			return err
		}
	}
	return unchangedIf(accepted == 0)
}

// check looks whether all of the batches may be written, and notes the last
// event of each rollout if so.
func (a *appender) check(batches []batch) error {
	var fenced []orchestrator.ID
	last := map[orchestrator.ID]uint64{}
	for _, b := range batches {
		id := b.Lease.Rollout
		if _, err := getRow(a.tx, id); err != nil {
			return err
		}
		if ok, err := holds(a.tx, b.Lease); err != nil {
			return err
		} else if !ok {
			fenced = append(fenced, id)
		}
		if _, ok := last[id]; !ok {
			last[id] = a.lastOf(id)
		}
		for _, e := range b.Events {
			if last[id]++; e.Seq != last[id] {
				return fmt.Errorf("rollout %q: event %d after %d: %w", id, e.Seq, last[id]-1, orchestrator.ErrOutOfOrder)
			}
		}
	}
	if len(fenced) > 0 {
		return &orchestrator.FencedError{Rollouts: fenced}
	}
	for id, seq := range last {
		a.last[id] = seq
	}
	return nil
}

func (a *appender) lastOf(id orchestrator.ID) uint64 {
	if seq, ok := a.last[id]; ok {
		return seq
	}
	return lastSeq(a.tx, id)
}

func (a *appender) writeBatch(b batch) error {
	id := b.Lease.Rollout
	j := journalOf(a.tx, id)
	j.FillPercent = 1 // events are only ever added at the end
	for _, c := range b.chunks {
		if err := j.Put(number(c.first), c.data); err != nil {
			return fmt.Errorf("rollout %q: event %d: %w", id, c.first, err)
		}
	}
	if err := consume(a.tx, id, b.Consumed); err != nil || len(b.Events) == 0 {
		return err
	}
	if err := logged(a.tx, id, b.Events[0].Seq, len(b.Events)); err != nil {
		return err
	}
	s := b.State
	if s == nil {
		var err error
		if s, err = load(a.tx, id); err != nil {
			return err
		}
	}
	if err := a.learn(s, b.Events); err != nil {
		return err
	}
	if err := (recorder{a.tx}).record(s, b.Events); err != nil {
		return fmt.Errorf("rollout %q: %w", id, err)
	}
	return errors.Join(a.writeRow(s), snapshot(a.tx, s, b.Events[len(b.Events)-1].Seq))
}

// writeRow brings the rollout's row up to date, and takes one that has ended
// out of what is live.
func (a *appender) writeRow(s *orchestrator.State) error {
	row, err := getRow(a.tx, s.ID)
	if err != nil {
		return err
	}
	wasLive := !row.Phase.Ended()
	row.advance(s)
	key, _ := rolloutKey(s.ID)
	if _, err := put(a.tx.Bucket(bucketRollouts), key, row); err != nil {
		return err
	}
	if !wasLive || !row.Phase.Ended() {
		return nil
	}
	return errors.Join(a.tx.Bucket(bucketLive).Delete(timeKey(row.StartedAt, key)),
		deletePrefix(a.tx.Bucket(bucketInbox), key))
}
