package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"rollout/orchestrator"
	"rollout/rings"
)

// Keep says which ended rollouts and which releases stay when the store is
// pruned: those that either field names. Always kept is what is live, what put
// there what a ring runs, what verified it, what withdrew a version, and the
// newest rollout and release of each application.
type Keep struct {
	Newest int       // so many of each application
	Since  time.Time // that ended, or were made, then or later; zero: none for that
}

// Pruned is what pruning takes from an application, and leaves it.
type Pruned struct {
	App      rings.AppName
	Rollouts Share
	Releases Share
}

// Share is how many of something go and how many stay.
type Share struct{ Gone, Kept int }

// add counts one more.
func (s *Share) add(kept bool) {
	if kept {
		s.Kept++
	} else {
		s.Gone++
	}
}

// Prunable returns what [DB.Prune] would take now, by application, and changes
// nothing.
func (db *DB) Prunable(ctx context.Context, k Keep) ([]Pruned, error) {
	var out []Pruned
	err := db.view(ctx, func(tx *bolt.Tx) error {
		p := pruner{tx: tx, keep: k}
		return p.choose(&out)
	})
	return out, err
}

// Prune forgets ended rollouts and releases, and returns how many, by
// application, with those of which nothing goes. What is left is as it was, but
// for one thing: what a ring had before something that is forgotten is not told
// any more, because it would seem to have lasted longer. The file keeps its
// size until [DB.Compact].
func (db *DB) Prune(ctx context.Context, k Keep) ([]Pruned, error) {
	var out []Pruned
	err := db.update(ctx, func(tx *bolt.Tx) error {
		p := pruner{tx: tx, keep: k}
		if err := p.choose(&out); err != nil {
			return err
		}
		if len(p.rollouts) == 0 && len(p.releases) == 0 {
			return errUnchanged
		}
		return p.forget()
	})
	return out, err
}

// pruner chooses what goes, then forgets it.
type pruner struct {
	tx   *bolt.Tx
	keep Keep

	rollouts map[orchestrator.ID]Summary // that go
	releases []rings.Release
}

// choose decides for all applications, those included that are gone.
func (p *pruner) choose(out *[]Pruned) error {
	p.rollouts = map[orchestrator.ID]Summary{}
	apps, err := p.apps()
	if err != nil {
		return err
	}
	for _, app := range apps {
		row := Pruned{App: app}
		kept, err := p.chooseRollouts(app, &row.Rollouts)
		if err != nil {
			return err
		}
		if err := p.chooseReleases(app, kept, &row.Releases); err != nil {
			return err
		}
		*out = append(*out, row)
	}
	return nil
}

// apps are those that ever had a rollout or a release, sorted.
func (p *pruner) apps() ([]rings.AppName, error) {
	seen := map[rings.AppName]bool{}
	for _, bucket := range [][]byte{bucketRollouts, bucketReleases} {
		err := eachGroup(p.tx.Bucket(bucket), nil, 1, func(prefix []byte) error {
			seen[rings.AppName(prefix[:len(prefix)-1])] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// chooseRollouts notes which of the application's rollouts go, and returns
// those that stay.
func (p *pruner) chooseRollouts(app rings.AppName, share *Share) (map[orchestrator.ID]Summary, error) {
	needed, err := p.needed(app)
	if err != nil {
		return nil, err
	}
	kept, ended, first := map[orchestrator.ID]Summary{}, 0, true
	err = eachNewest(p.tx, Filter{App: app}, func(row Summary) (bool, error) {
		stays := first || needed[row.ID] || !row.Phase.Ended() || ended < p.keep.Newest || p.recent(row.FinishedAt)
		first = false
		if row.Phase.Ended() {
			ended++
		}
		if share.add(stays); !stays {
			p.rollouts[row.ID] = row
			return true, nil
		}
		kept[row.ID] = row
		if row.Of != "" {
			needed[row.Of] = true // it is older, so it comes later
		}
		return true, nil
	})
	return kept, err
}

// recent reports whether the time is one since which all is kept.
func (p *pruner) recent(t time.Time) bool {
	return !p.keep.Since.IsZero() && !t.Before(p.keep.Since)
}

// needed are the rollouts by which it is explained what runs.
func (p *pruner) needed(app rings.AppName) (map[orchestrator.ID]bool, error) {
	out, r := map[orchestrator.ID]bool{}, recorder{p.tx}
	err := eachGroup(p.tx.Bucket(bucketPlaced), placePrefix(app, "", ""), 3, func(prefix []byte) error {
		row, _, err := r.newest(prefix, nil)
		out[row.Rollout], out[row.By] = true, true
		return err
	})
	if err != nil {
		return nil, err
	}
	a, err := getApp(p.tx, app)
	if errors.Is(err, rings.ErrUnknown) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, s := range a.Services {
		for _, k := range s.Known {
			out[orchestrator.ID(k.Verified)] = true
		}
		for _, held := range s.Held {
			for _, h := range held {
				out[orchestrator.ID(h.Rollout)] = true
			}
		}
	}
	return out, nil
}

// chooseReleases notes which of the application's releases go.
func (p *pruner) chooseReleases(app rings.AppName, kept map[orchestrator.ID]Summary, share *Share) error {
	rolled := map[int]bool{lastRelease(p.tx, app): true}
	for _, row := range kept {
		rolled[row.Release] = true
	}
	a, err := getApp(p.tx, app)
	if err != nil && !errors.Is(err, rings.ErrUnknown) {
		return err
	}
	b := p.tx.Bucket(bucketReleases)
	c, prefix, newer := b.Cursor(), pair(app, ""), 0
	for key := lastWithPrefix(c, prefix); bytes.HasPrefix(key, prefix); key, _ = c.Prev() {
		var r rings.Release
		if _, err := get(b, key, &r); err != nil {
			return err
		}
		stays := rolled[r.Number] || newer < p.keep.Newest || p.recent(r.At) || a != nil && runs(a, r)
		if newer++; !stays {
			p.releases = append(p.releases, r)
		}
		share.add(stays)
	}
	return nil
}

// runs reports whether a ring is known to have one of the release's versions.
func runs(a *rings.Application, r rings.Release) bool {
	for _, s := range a.Services {
		for _, k := range s.Known {
			if v, ok := r.Versions[s.Name]; ok && v == k.Version {
				return true
			}
		}
	}
	return false
}

// forget takes out what was chosen.
func (p *pruner) forget() error {
	if err := errors.Join(p.forgetPlaces(), p.forgetEvents()); err != nil {
		return err
	}
	for _, row := range p.rollouts {
		if err := p.forgetRollout(row); err != nil {
			return err
		}
	}
	for _, r := range p.releases {
		err := p.tx.Bucket(bucketReleases).Delete(releaseKey(r.App, r.Number))
		if r.Key != "" {
			err = errors.Join(err, p.tx.Bucket(bucketReleaseKeys).Delete(pair(r.App, r.Key)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pruner) forgetRollout(row Summary) error {
	key, _ := rolloutKey(row.ID)
	for _, nested := range [][]byte{bucketJournal, bucketSnapshots} {
		if err := p.tx.Bucket(nested).DeleteBucket(key); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return err
		}
	}
	for _, bucket := range [][]byte{bucketInbox, bucketSteps, bucketTimings} {
		if err := deletePrefix(p.tx.Bucket(bucket), key); err != nil {
			return err
		}
	}
	return errors.Join(p.tx.Bucket(bucketLeases).Delete(key), p.tx.Bucket(bucketRollouts).Delete(key),
		p.tx.Bucket(bucketTimes).Delete(timeKey(row.StartedAt, key)))
}

// forgetPlaces takes out of the record of each place what rollouts that go put
// there, and all before that.
func (p *pruner) forgetPlaces() error {
	cuts, err := p.cuts()
	if err != nil {
		return err
	}
	b := p.tx.Bucket(bucketPlaced)
	for prefix, last := range cuts {
		var keys [][]byte
		c := b.Cursor()
		for key, _ := c.Seek([]byte(prefix)); bytes.HasPrefix(key, []byte(prefix)); key, _ = c.Next() {
			if numberOfStep(key) <= last {
				keys = append(keys, bytes.Clone(key))
			}
		}
		for _, key := range keys {
			if err := b.Delete(key); err != nil {
				return err
			}
		}
	}
	steps := p.tx.Bucket(bucketSteps)
	for _, key := range keysOf(steps) {
		var row StepSummary
		if _, err := get(steps, []byte(key), &row); err != nil {
			return err
		}
		if last, cut := cuts[row.place()]; !cut || numberOfStep([]byte(key)) > last {
			continue
		}
		if err := p.unlist([]byte(key), row); err != nil {
			return err
		}
	}
	return nil
}

// cuts are, for every place, the number of the last rollout there that goes.
func (p *pruner) cuts() (map[string]uint64, error) {
	out := map[string]uint64{}
	for id := range p.rollouts {
		rows, err := recorder{p.tx}.stepsOf(id, false)
		if err != nil {
			return nil, err
		}
		key, _ := rolloutKey(id)
		for _, row := range rows {
			out[row.place()] = max(out[row.place()], numberOf(key[len(key)-8:]))
		}
	}
	return out, nil
}

// place is what the keys of the step in placed begin with.
func (row StepSummary) place() string { return string(placePrefix(row.App, row.Service, row.Ring)) }

// numberOfStep is the number of the rollout in a key that ends with a step's.
func numberOfStep(key []byte) uint64 { return numberOf(key[len(key)-16 : len(key)-8]) }

// unlist takes the step out of the lists by version and commit, and notes that
// it is not listed any more.
func (p *pruner) unlist(key []byte, row StepSummary) error {
	for _, word := range row.words() {
		if listed, ok := wordKey(word, row, key); ok {
			if err := p.tx.Bucket(bucketWords).Delete(listed); err != nil {
				return err
			}
		}
	}
	row.Unlisted = true
	_, err := put(p.tx.Bucket(bucketSteps), key, row)
	return err
}

// forgetEvents leaves the events of what goes as numbers without events in the
// log: those of the others keep theirs.
func (p *pruner) forgetEvents() error {
	b := p.tx.Bucket(bucketLog)
	var gone, merged [][]byte
	before := false // the stretch before has no events any more
	err := eachStretch(p.tx, 1, func(s stretch) (bool, error) {
		_, goes := p.rollouts[s.rollout]
		switch goes = goes || s.rollout == ""; {
		case goes && before:
			merged = append(merged, number(s.first))
		case goes:
			gone = append(gone, number(s.first))
		}
		before = goes
		return true, nil
	})
	for _, key := range gone {
		err = errors.Join(err, b.Put(key, number(1)))
	}
	for _, key := range merged {
		err = errors.Join(err, b.Delete(key))
	}
	return err
}
