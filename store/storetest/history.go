package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CopyFirst makes n rollouts of the one that the store at path has, which must
// be shop-1, of the application shop, started at [Start]: the others a second
// after each other. It is quick where rolling out n times is not, and writes
// to the file without the package.
func CopyFirst(path string, n uint64) error {
	b, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	err = b.Update(func(tx *bolt.Tx) error {
		source := rolloutKey(1)
		when, _ := tx.Bucket([]byte("times")).Cursor().First()
		for i := uint64(2); i <= n; i++ {
			if err := copyRollout(tx, source, when[:3], i); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, b.Close())
}

func rolloutKey(n uint64) []byte {
	return append([]byte("shop\x00"), binary.BigEndian.AppendUint64(nil, n)...)
}

func copyRollout(tx *bolt.Tx, source, century []byte, n uint64) error {
	key, at := rolloutKey(n), Start.Add(time.Duration(n)*time.Second)
	order := append(bytes.Clone(century), binary.BigEndian.AppendUint64(nil, uint64(at.Unix())<<24)[:5]...)
	order = append(append(order, 0, 0, 0, 0), key...)
	row := bytes.Replace(tx.Bucket([]byte("rollouts")).Get(source), []byte(`"shop-1"`), fmt.Appendf(nil, `"shop-%d"`, n), 1)
	row = bytes.Replace(row, []byte(Start.Format(time.RFC3339)), []byte(at.Format(time.RFC3339)), 1)
	all := tx.Bucket([]byte("journal"))
	journal, err := all.CreateBucket(key)
	if err != nil {
		return err
	}
	journal.FillPercent = 1
	return errors.Join(tx.Bucket([]byte("rollouts")).Put(key, row), tx.Bucket([]byte("times")).Put(order, nil),
		all.Bucket(source).ForEach(journal.Put))
}
