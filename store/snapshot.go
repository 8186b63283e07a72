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
	if b := all.Bucket(key); b != nil {
		since = numberOf(b.Get(keySeq))
	}
	if seq-since <= maxTail {
		return nil
	}
	b, err := all.CreateBucketIfNotExists(key)
	if err != nil {
		return fmt.Errorf("rollout %q: snapshot: %w", s.ID, err)
	}
	t := newTouched(since == 0)
	err = eachEvent(tx, s.ID, since+1, func(e orchestrator.Event) (bool, error) {
		t.note(e)
		return true, nil
	})
	if err != nil {
		return err
	}
	return errors.Join(writeSnapshot(b, s, t), b.Put(keySeq, number(seq)))
}

// touched is what events may have changed of a state, beyond the rollout's and
// the steps' own small records.
type touched struct {
	all      bool                       // everything
	wide     map[rings.ServiceName]bool // members and surveys of the service's steps
	clusters map[rings.ServiceName]map[rings.ClusterName]bool
}

func newTouched(all bool) *touched {
	return &touched{all: all, wide: map[rings.ServiceName]bool{},
		clusters: map[rings.ServiceName]map[rings.ClusterName]bool{}}
}

// note must know every type of event; of one that it does not know it expects
// the worst.
func (t *touched) note(e orchestrator.Event) {
	switch b := e.Body.(type) {
	case orchestrator.Observed:
		if b.Deployment != nil {
			t.cluster(b.Service, b.Deployment.Cluster)
		} else {
			t.wide[b.Service] = true
		}
	case orchestrator.ClusterTurned:
		t.cluster(b.Service, b.Cluster)
	case orchestrator.Answered:
		for _, v := range b.Surveys {
			t.wide[v.Service] = true
		}
	case orchestrator.StepStarted:
		t.wide[b.Service] = true
	case orchestrator.StepHeld:
		t.wide[b.Service] = true
	case orchestrator.Commanded, orchestrator.Driven, orchestrator.Started, orchestrator.Asked,
		orchestrator.Dropped, orchestrator.AttemptDecided, orchestrator.Published,
		orchestrator.TakenUp, orchestrator.StepEnded, orchestrator.Warned, orchestrator.Ended:
	default:
		t.all = true
	}
}

func (t *touched) cluster(svc rings.ServiceName, name rings.ClusterName) {
	if t.clusters[svc] == nil {
		t.clusters[svc] = map[rings.ClusterName]bool{}
	}
	t.clusters[svc][name] = true
}

func writeSnapshot(b *bolt.Bucket, s *orchestrator.State, t *touched) error {
	head := *s
	head.Steps = nil
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
	if svc := st.Target.Service; err == nil && (t.all || t.wide[svc]) {
		_, err1 := put(b, partKey(keyMembers, i, ""), st.Members)
		_, err2 := put(b, partKey(keySurvey, i, ""), st.Survey)
		err = errors.Join(err1, err2)
	}
	if err != nil {
		return err
	}
	return writeClusters(b, i, st, t)
}

// writeClusters writes the step's clusters that were touched. None ever goes.
func writeClusters(b *bolt.Bucket, i int, st *orchestrator.StepState, t *touched) error {
	if !t.all {
		for name := range t.clusters[st.Target.Service] {
			if c := st.Clusters[name]; c != nil {
				if _, err := put(b, partKey(keyCluster, i, name), c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for name, c := range st.Clusters {
		if _, err := put(b, partKey(keyCluster, i, name), c); err != nil {
			return err
		}
	}
	return nil
}

func partKey(kind []byte, step int, cluster rings.ClusterName) []byte {
	key := fmt.Appendf(bytes.Clone(kind), "%06d", step)
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
