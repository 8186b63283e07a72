package store

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
)

// Send puts the command into the rollout's inbox, where its driver finds it;
// Seq is the store's to set. It wraps [ErrEnded] when the rollout has ended.
func (db *DB) Send(ctx context.Context, id orchestrator.ID, c orchestrator.Command) error {
	return db.update(ctx, func(tx *bolt.Tx) error {
		row, err := getRow(tx, id)
		if err != nil {
			return err
		}
		if row.Phase.Ended() {
			return fmt.Errorf("rollout %q is %s: %w", id, row.Phase, ErrEnded)
		}
		b := tx.Bucket(bucketInbox)
		if c.Seq, err = b.NextSequence(); err != nil {
			return err
		}
		_, err = put(b, inboxKey(id, c.Seq), c)
		return err
	})
}

// Commands implements [orchestrator.Store].
func (db *DB) Commands(ctx context.Context, id orchestrator.ID) ([]orchestrator.Command, error) {
	var all []orchestrator.Command
	err := db.view(ctx, func(tx *bolt.Tx) error {
		if _, err := getRow(tx, id); err != nil {
			return err
		}
		prefix, _ := rolloutKey(id)
		b := tx.Bucket(bucketInbox)
		c := b.Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			var cmd orchestrator.Command
			if err := decode(b, k, v, &cmd); err != nil {
				return err
			}
			all = append(all, cmd)
		}
		return nil
	})
	return all, err
}

func inboxKey(id orchestrator.ID, seq uint64) []byte {
	key, _ := rolloutKey(id)
	return append(key, number(seq)...)
}

// consume takes the commands off the rollout's inbox.
func consume(tx *bolt.Tx, id orchestrator.ID, seqs []uint64) error {
	for _, seq := range seqs {
		if err := tx.Bucket(bucketInbox).Delete(inboxKey(id, seq)); err != nil {
			return err
		}
	}
	return nil
}
