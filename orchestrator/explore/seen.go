package explore

import "sync"

// seenSet holds the states that were reached, by their hash, and numbers them.
// It is safe for concurrent use.
type seenSet struct {
	shards [64]shard
	mu     sync.Mutex
	next   uint32
}

// shard is a hash table with open addressing; its numbers are 1 too large, so
// that 0 is a free place.
type shard struct {
	mu      sync.Mutex
	keys    []hash
	numbers []uint32
	used    int
}

// add returns the state's number, and whether it is new.
func (s *seenSet) add(h hash) (number uint32, fresh bool) {
	sh := &s.shards[h[1]>>58]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.used*4 >= len(sh.keys)*3 {
		sh.grow()
	}
	i := sh.find(h)
	if sh.numbers[i] != 0 {
		return sh.numbers[i] - 1, false
	}
	s.mu.Lock()
	number = s.next
	s.next++
	s.mu.Unlock()
	sh.keys[i], sh.numbers[i] = h, number+1
	sh.used++
	return number, true
}

func (sh *shard) find(h hash) uint64 {
	mask := uint64(len(sh.keys) - 1)
	i := h[0] & mask
	for sh.numbers[i] != 0 && sh.keys[i] != h {
		i = (i + 1) & mask
	}
	return i
}

func (sh *shard) grow() {
	keys, numbers := sh.keys, sh.numbers
	n := max(256, 2*len(keys))
	sh.keys, sh.numbers = make([]hash, n), make([]uint32, n)
	for i, h := range keys {
		if numbers[i] != 0 {
			at := sh.find(h)
			sh.keys[at], sh.numbers[at] = h, numbers[i]
		}
	}
}
