package store

import (
	"bytes"
	"fmt"
	"slices"

	"rollout/orchestrator"
)

// steps compares the summaries of the rollout's steps with what its journal
// says. What the fold forgets when a step is tried again is not compared.
func (c *checker) steps(s *orchestrator.State) error {
	b := c.tx.Bucket(bucketSteps)
	for i, st := range s.Steps {
		var row StepSummary
		there, err := get(b, stepKey(s.ID, i), &row)
		if err != nil {
			return err
		}
		want := summarizeStep(s, st)
		if st.Observed || !there && want.StartedAt.IsZero() && !want.Phase.Ended() {
			continue
		}
		want.keep(row)
		if !same(row, want) {
			return fmt.Errorf("the summary of step %s of %s differs from the journal", st.Target.Service, st.Ring)
		}
	}
	return nil
}

// placed checks that exactly the steps that were seen on a branch are listed as
// placed, and in whose place.
func (c *checker) placed() {
	b, listed := c.tx.Bucket(bucketPlaced), map[string]bool{}
	for _, key := range keysOf(b) {
		row, step, err := (recorder{c.tx}).listed([]byte(key), timeSize)
		if err != nil {
			c.fault("placed: %w", err)
			continue
		}
		listed[string(step)] = row.isListed()
	}
	steps := c.tx.Bucket(bucketSteps)
	for _, key := range keysOf(steps) {
		var row StepSummary
		if _, err := get(steps, []byte(key), &row); err != nil {
			c.fault("step %q: %w", key, err)
		} else if _, ok := c.rows[key[:max(len(key)-8, 0)]]; !ok {
			c.fault("step of rollout %q, which is not listed", row.Rollout)
		} else if row.isListed() != listed[key] {
			c.fault("rollout %q: step %s of %s is on the branch and not pruned: %v, listed as placed: %v", row.Rollout, row.Service, row.Ring, row.isListed(), listed[key])
		}
	}
}

// words checks that what is listed under a version or a commit has it.
func (c *checker) words() {
	for _, key := range keysOf(c.tx.Bucket(bucketWords)) {
		word, place, _ := bytes.Cut([]byte(key), []byte{0})
		row, _, err := (recorder{c.tx}).listed(place, 0)
		if err != nil {
			c.fault("words: %w", err)
		} else if !slices.Contains(row.words(), string(word)) {
			c.fault("rollout %q: step %s of %s is listed under %q", row.Rollout, row.Service, row.Ring, word)
		}
	}
}
