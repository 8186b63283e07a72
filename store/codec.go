package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"rollout/orchestrator"
	"rollout/rings"
)

// put writes the value as JSON, unless the bucket holds the same already, and
// reports whether it wrote.
func put(b *bolt.Bucket, key []byte, value any) (bool, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return false, err
	}
	if bytes.Equal(b.Get(key), data) {
		return false, nil
	}
	return true, b.Put(key, data)
}

// get reads what put wrote; false when there is nothing.
func get(b *bolt.Bucket, key []byte, value any) (bool, error) {
	data := b.Get(key)
	if data == nil {
		return false, nil
	}
	return true, decode(b, key, data, value)
}

// decode reads a value that is stored under the key. A value that is no JSON
// means that the file is damaged.
func decode(b *bolt.Bucket, key, data []byte, value any) error {
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%w: key %q: %w", ErrCorrupt, key, err)
	}
	return nil
}

// number is how numbers are stored.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// numberOf is the reverse of number; it is 0 for what is not one.
func numberOf(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// pair is the key <a> 0 <b>; with an empty b, the prefix of all keys of a.
func pair[A, B ~string](a A, b B) []byte {
	return append(append([]byte(a), 0), b...)
}

// rolloutKey is the key of "shop-12"; false for what is no rollout's id.
func rolloutKey(id orchestrator.ID) ([]byte, bool) {
	i := strings.LastIndexByte(string(id), '-')
	if i < 1 {
		return nil, false
	}
	n, err := strconv.ParseUint(string(id[i+1:]), 10, 64)
	if err != nil || makeID(rings.AppName(id[:i]), n) != id || strings.IndexByte(string(id), 0) >= 0 {
		return nil, false
	}
	return append(pair(id[:i], ""), number(n)...), true
}

func makeID(app rings.AppName, n uint64) orchestrator.ID {
	return orchestrator.ID(fmt.Sprintf("%s-%d", app, n))
}

// rolloutOf is the reverse of rolloutKey; "" for what is no such key.
func rolloutOf(key []byte) orchestrator.ID {
	i := len(key) - 9
	if i < 1 || key[i] != 0 {
		return ""
	}
	return makeID(rings.AppName(key[:i]), numberOf(key[i+1:]))
}

// timeSize is the length of what timeKey puts before the rollout.
const timeSize = 12

// timeKey sorts by time, whatever the year, then by rollout.
func timeKey(t time.Time, rollout []byte) []byte {
	key := binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^(1<<63))
	key = binary.BigEndian.AppendUint32(key, uint32(t.Nanosecond()))
	return append(key, rollout...)
}
