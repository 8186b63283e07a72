package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CopyFirst makes n rollouts of the one that the store at path has, which must
// be shop-1, of the application shop on ring-1 with at most 10 clusters, started
// at [Start]: the others a second after each other, on so many rings by turns,
// with a new version of db in every round. It is quick where rolling out n times
// is not, and writes to the file without the package. Journals are copied as
// they are.
func CopyFirst(path string, n, rings uint64) error {
	b, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	var c copier
	err = b.View(func(tx *bolt.Tx) error {
		c = copier{n: 2, rings: rings, placed: keys(tx, "placed"), words: keys(tx, "words")}
		return nil
	})
	for err == nil && c.n <= n { // in parts: bbolt is slow with many new keys in one transaction
		err = b.Update(func(tx *bolt.Tx) error {
			c.tx = tx
			for end := min(c.n+1000, n+1); c.n < end; c.n++ {
				if err := c.rollout(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(err, b.Close())
}

// CopiedVersion is the version of db that the copy with the number rolls out.
func CopiedVersion(n, rings uint64) string { return fmt.Sprintf("v%d", 2+(n-1)/rings) }

// copier makes rollout n.
type copier struct {
	tx            *bolt.Tx
	n, rings      uint64
	placed, words [][]byte // the keys of the first
}

func keys(tx *bolt.Tx, bucket string) [][]byte {
	var out [][]byte
	c := tx.Bucket([]byte(bucket)).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		out = append(out, bytes.Clone(k))
	}
	return out
}

func rolloutKey(n uint64) []byte {
	return append([]byte("shop\x00"), binary.BigEndian.AppendUint64(nil, n)...)
}

func (c copier) rollout() error {
	source, key := rolloutKey(1), rolloutKey(c.n)
	all := c.tx.Bucket([]byte("journal"))
	journal, err := all.CreateBucket(key)
	if err != nil {
		return err
	}
	journal.FillPercent = 1
	first, _ := c.tx.Bucket([]byte("times")).Cursor().First()
	return errors.Join(all.Bucket(source).ForEach(journal.Put),
		c.tx.Bucket([]byte("rollouts")).Put(key, c.text(c.tx.Bucket([]byte("rollouts")).Get(source))),
		c.tx.Bucket([]byte("times")).Put(append(c.time(first[:12]), key...), nil),
		c.steps("steps"), c.steps("timings"), c.list("placed", c.placed, 12), c.list("words", c.words, 0))
}

// steps copies what is kept for each step.
func (c copier) steps(bucket string) error {
	b, source := c.tx.Bucket([]byte(bucket)), rolloutKey(1)
	copies := map[string][]byte{}
	cur := b.Cursor()
	for k, v := cur.Seek(source); bytes.HasPrefix(k, source); k, v = cur.Next() {
		copies[string(rolloutKey(c.n))+string(k[len(source):])] = c.text(v)
	}
	for k, v := range copies {
		if err := b.Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}

// list copies the first's keys in a list; these end with the step, after a time
// of so many bytes.
func (c copier) list(bucket string, first [][]byte, stamp int) error {
	b, step := c.tx.Bucket([]byte(bucket)), len(rolloutKey(1))+8
	for _, k := range first {
		end := len(k) - step
		copied := append(c.text(k[:end-stamp]), c.time(k[end-stamp:end])...)
		if err := b.Put(append(append(copied, rolloutKey(c.n)...), k[len(k)-8:]...), nil); err != nil {
			return err
		}
	}
	return nil
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// text is a text about shop-1 as it is about the copy.
func (c copier) text(of []byte) []byte {
	ring := (c.n - 1) % c.rings
	out := times.ReplaceAllFunc(bytes.Clone(of), func(at []byte) []byte {
		t, _ := time.Parse(time.RFC3339, string(at))
		return []byte(t.Add(c.later()).Format(time.RFC3339))
	})
	for old, with := range map[string]string{
		`"shop-1"`: fmt.Sprintf(`"shop-%d"`, c.n), "ring-1": fmt.Sprintf("ring-%d", ring+1), `"eu-0000`: fmt.Sprintf(`"eu-%04d`, ring),
		`"v2"`: `"` + CopiedVersion(c.n, c.rings) + `"`, "v2\x00": CopiedVersion(c.n, c.rings) + "\x00",
		Commit(2): Commit(int(c.n) + 1),
	} {
		out = bytes.ReplaceAll(out, []byte(old), []byte(with))
	}
	return out
}

// time is a time in a key as it is of the copy.
func (c copier) time(of []byte) []byte {
	out := bytes.Clone(of)
	if len(out) == 0 {
		return out
	}
	binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(of)+uint64(c.later()/time.Second))
	return out
}

// later is how long after shop-1 the copy began.
func (c copier) later() time.Duration { return time.Duration(c.n-1) * time.Second }
