package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// maxTail is how many events after a snapshot there may be.
const maxTail = 1000

// snapshot makes sure that no more than maxTail events are to be folded. What
// it writes grows with the events since the last snapshot, not with the number
// of clusters: only the parts that these events touch are encoded, and of them
// only those that differ are written.
func snapshot(tx *bolt.Tx, s *orchestrator.State, seq uint64) error {
	key, _ := rolloutKey(s.ID)
	all := tx.Bucket(bucketSnapshots)
	var since uint64
	b := all.Bucket(key)
	if b != nil {
		since = numberOf(b.Get(keySeq))
	}
	if seq-since <= maxTail {
		return nil
	}
	t, err := touchedSince(tx, s.ID, b, since)
	if err != nil {
		return err
	}
	if t.all && b != nil {
		err = all.DeleteBucket(key)
	}
	if err == nil {
		b, err = all.CreateBucketIfNotExists(key)
	}
	if err != nil {
		return fmt.Errorf("rollout %q: snapshot: %w", s.ID, err)
	}
	return errors.Join(writeSnapshot(b, s, t), b.Put(keySeq, number(seq)))
}

func writeSnapshot(b *bolt.Bucket, s *orchestrator.State, t *touched) error {
	head := *s
	head.Steps, head.Rings = nil, make([]*orchestrator.RingState, len(s.Rings))
	for i, r := range s.Rings {
		small := *r
		small.Counted, head.Rings[i] = nil, &small
		if t.counts(r.Name) {
			if _, err := put(b, partKey(keyCounted, i, ""), r.Counted); err != nil {
				return err
			}
		}
	}
	if _, err := put(b, keyHead, head); err != nil {
		return err
	}
	for i, st := range s.Steps {
		if err := writeStep(b, i, st, t); err != nil {
			return fmt.Errorf("rollout %q: snapshot: %w", s.ID, err)
		}
	}
	return nil
}

func writeStep(b *bolt.Bucket, i int, st *orchestrator.StepState, t *touched) error {
	small := *st
	small.Members, small.Survey, small.Clusters = nil, nil, nil
	_, err := put(b, partKey(keyStep, i, ""), small)
	if err == nil && t.isWide(st) {
		_, err1 := put(b, partKey(keyMembers, i, ""), st.Members)
		_, err2 := put(b, partKey(keySurvey, i, ""), st.Survey)
		err = errors.Join(err1, err2)
	}
	if err != nil {
		return err
	}
	if t.isWhole(st) {
		return writeClusters(b, i, st)
	}
	for name := range t.clustersOf(st) {
		if c := st.Clusters[name]; c != nil {
			if _, err := put(b, partKey(keyCluster, i, name), c); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeClusters writes all of the step's clusters. None ever goes.
func writeClusters(b *bolt.Bucket, i int, st *orchestrator.StepState) error {
	for name, c := range st.Clusters {
		if _, err := put(b, partKey(keyCluster, i, name), c); err != nil {
			return err
		}
	}
	return nil
}

// partKey is the key of a part of the step or ring with that index; cluster is
// "" but for a cluster's.
func partKey(kind []byte, index int, cluster rings.ClusterName) []byte {
	key := fmt.Appendf(bytes.Clone(kind), "%06d", index)
	if cluster != "" {
		key = append(append(key, '/'), cluster...)
	}
	return key
}

// loadSnapshot returns the rollout's snapshot and the event that it is after;
// nil and 0 when there is none.
func loadSnapshot(tx *bolt.Tx, id orchestrator.ID) (*orchestrator.State, uint64, error) {
	key, ok := rolloutKey(id)
	if !ok {
		return nil, 0, nil
	}
	b := tx.Bucket(bucketSnapshots).Bucket(key)
	if b == nil {
		return nil, 0, nil
	}
	s := new(orchestrator.State)
	if ok, err := get(b, keyHead, s); err != nil || !ok {
		return nil, 0, errors.Join(err, fmt.Errorf("%w: rollout %q: snapshot without head", ErrCorrupt, id))
	}
	if s.Pending == nil {
		s.Pending = map[string]orchestrator.Action{}
	}
	for i, r := range s.Rings {
		if _, err := get(b, partKey(keyCounted, i, ""), &r.Counted); err != nil {
			return nil, 0, fmt.Errorf("rollout %q: snapshot: %w", id, err)
		}
	}
	for i := 0; b.Get(partKey(keyStep, i, "")) != nil; i++ {
		st, err := loadStep(b, i)
		if err != nil {
			return nil, 0, fmt.Errorf("rollout %q: snapshot: %w", id, err)
		}
		s.Steps = append(s.Steps, st)
	}
	return s, numberOf(b.Get(keySeq)), nil
}

func loadStep(b *bolt.Bucket, i int) (*orchestrator.StepState, error) {
	st := &orchestrator.StepState{}
	_, err1 := get(b, partKey(keyStep, i, ""), st)
	_, err2 := get(b, partKey(keyMembers, i, ""), &st.Members)
	_, err3 := get(b, partKey(keySurvey, i, ""), &st.Survey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if st.Counts == nil {
		st.Counts = map[orchestrator.ClusterPhase]int{}
	}
	st.Clusters = map[rings.ClusterName]*orchestrator.ClusterState{}
	prefix := append(partKey(keyCluster, i, ""), '/')
	cur := b.Cursor()
	for k, v := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cur.Next() {
		c := new(orchestrator.ClusterState)
		if err := decode(b, k, v, c); err != nil {
			return nil, err
		}
		st.Clusters[rings.ClusterName(strings.TrimPrefix(string(k), string(prefix)))] = c
	}
	return st, nil
}
