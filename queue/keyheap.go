package queue

import (
	"cmp"
	"math"
)

// KeyHeap is a priority queue in the order of a key: the item of the smallest key
// leaves first, and of equal keys the one that was pushed first. NaN comes before
// all other keys, and NaN equals NaN. It is the fastest priority queue here for
// keys of any number; [Heap] takes any order and can remove in the middle,
// [Levels] is faster where there are few priorities.
//
// It is a heap of four children (D. B. Johnson, Priority queues with update and
// finding minimum spanning trees, IPL 1975) that keeps each key beside its item in
// one slice, and chooses the smallest child without a branch. A pop takes about
// 4·log4(n) comparisons; a push one or two if its key is random, log4(n) at most.
// BenchmarkOrder shows the time.
//
// It is not safe for concurrent use: one goroutine at a time, each call ends. It
// has no limit but memory. An item takes its size, that of its key and 8 bytes, at
// most twice that while the slice grows; a slice that is three quarters empty is
// replaced by one of half the size. A heap whose length stays the same allocates
// nothing.
type KeyHeap[K cmp.Ordered, T any] struct {
	key     func(T) K
	entries []keyEntry[K, T]
	pushed  uint64 // counts pushes, modulo 2^64
	touched uint64 // see sink
}

// keyEntry is an item, its key, and when it was pushed.
type keyEntry[K cmp.Ordered, T any] struct {
	key  K
	seq  uint64
	item T
}

// heapArity is how many children an entry of a heap has.
const heapArity = 4

// NewKeyHeap returns an empty heap. key tells the key of an item, once, as it is
// pushed.
func NewKeyHeap[K cmp.Ordered, T any](key func(item T) K) (*KeyHeap[K, T], error) {
	if key == nil {
		return nil, invalidf("the key function of KeyHeap is nil")
	}
	return &KeyHeap[K, T]{key: key}, nil
}

// TryPush stores an item by its key. It always succeeds. If the key function
// panics, nothing is stored.
func (h *KeyHeap[K, T]) TryPush(item T) bool {
	h.Push(h.key(item), item)
	return true
}

// Push stores an item by a key that is given, without asking the key function.
func (h *KeyHeap[K, T]) Push(key K, item T) {
	entry := keyEntry[K, T]{key, h.pushed, item}
	h.pushed++
	h.entries = append(h.entries, entry)
	i := len(h.entries) - 1
	for i > 0 {
		parent := (i - 1) / heapArity
		// Of equal keys the new one is the later one.
		if !cmp.Less(key, h.entries[parent].key) {
			break
		}
		h.entries[i] = h.entries[parent]
		i = parent
	}
	h.entries[i] = entry
}

// TryPop removes the item with the smallest key.
func (h *KeyHeap[K, T]) TryPop() (item T, ok bool) {
	n := len(h.entries) - 1
	if n < 0 {
		return item, false
	}
	item = h.entries[0].item
	last := h.entries[n]
	h.entries[n] = keyEntry[K, T]{}
	if n > 0 {
		h.sink(h.entries[:n], last)
	}
	h.entries = shrunk(h.entries[:n])
	return item, true
}

// sink finds the place of last in entries, whose first is gone. At each level it also
// reads something of all grandchildren, which come next, so that the misses of the
// cache for two levels overlap: at a depth of 100,000 that takes a third to a half off
// a pop. What is read is stored, or the compiler would leave the reading out.
func (h *KeyHeap[K, T]) sink(entries []keyEntry[K, T], last keyEntry[K, T]) {
	var touched uint64
	i := 0
	for {
		child := heapArity*i + 1
		best := child
		if below := heapArity*child + 1; below+16 <= len(entries) {
			next := entries[below : below+16 : below+16]
			touched += next[0].seq + next[2].seq + next[4].seq + next[6].seq +
				next[8].seq + next[10].seq + next[12].seq + next[14].seq
		}
		if child+heapArity <= len(entries) {
			// Two semi-finals and a final, each result a number and not a branch:
			// half of such branches would be guessed wrong.
			four := entries[child : child+heapArity : child+heapArity]
			a, b := earlier(&four[1], &four[0]), 2+earlier(&four[3], &four[2])
			best += a + (b-a)*earlier(&four[b&3], &four[a&3])
		} else {
			for c := child + 1; c < len(entries); c++ {
				best += (c - best) * earlier(&entries[c], &entries[best])
			}
		}
		if best >= len(entries) || earlier(&entries[best], &last) == 0 {
			break
		}
		entries[i] = entries[best]
		i = best
	}
	entries[i] = last
	h.touched = touched
}

// earlier returns 1 if a leaves before b, else 0. The difference of the counters is
// right across their wrap-around.
func earlier[K cmp.Ordered, T any](a, b *keyEntry[K, T]) int {
	older := int64(a.seq-b.seq) < 0
	return bit(cmp.Less(a.key, b.key)) | bit(!cmp.Less(b.key, a.key))&bit(older)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Peek returns the item that TryPop would remove.
func (h *KeyHeap[K, T]) Peek() (item T, ok bool) {
	if len(h.entries) == 0 {
		return item, false
	}
	return h.entries[0].item, true
}

// Len returns the number of items.
func (h *KeyHeap[K, T]) Len() int { return len(h.entries) }

// Cap returns math.MaxInt: there is no limit but memory.
func (h *KeyHeap[K, T]) Cap() int { return math.MaxInt }

// shrinkAbove is the capacity below which a slice is not replaced by a smaller one.
const shrinkAbove = 64

// shrunk returns the slice, moved to a smaller array if three quarters are empty.
func shrunk[E any](s []E) []E {
	if cap(s) <= shrinkAbove || len(s) > cap(s)/4 {
		return s
	}
	smaller := make([]E, len(s), cap(s)/2)
	copy(smaller, s)
	return smaller
}
