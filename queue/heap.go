package queue

import (
	"math"
	"math/rand/v2"
)

// Heap is a priority queue in an order of the user's, from which any item can be
// removed and in which any can be changed: the smallest item leaves first, and of
// equal ones the one that was pushed first. Where the order is that of a number or
// a string and items leave at the front alone, [KeyHeap] is faster.
//
// It is a heap of four children (D. B. Johnson, Priority queues with update and
// finding minimum spanning trees, IPL 1975) that keeps the items themselves, not
// pointers to them, in one slice, and for each handle the place of its item. TryPop
// walks to a leaf first and then up (I. Wegener, Bottom-up heapsort, TCS 1993),
// which saves a comparison for each level: a pop takes about 3·log4(n), a push one
// or two if its place is random and log4(n) at most, a removal or change as much as
// a pop. BenchmarkOrder shows the time, much of which is compare's: for small items it
// is about that of container/heap, which has no handles and no order among equals.
//
// It is not safe for concurrent use: one goroutine at a time, each call ends. It
// holds nearly 2^32 items at most; then a push is refused. An item takes its size
// and 20 bytes, at most twice that while the slice grows; a slice that is three
// quarters empty is replaced by one of half the size. A heap whose length stays the
// same allocates nothing. The 4 bytes of a handle are used again, and given back when
// the heap is empty.
//
// All comparisons of a call are made before anything is changed. So if compare
// panics, the heap is what it was before the call. compare must not use the heap,
// and must be an order: if a < b and b < c then a < c, and the same pair always has
// the same answer. cmp.Compare is one for floating-point numbers too: NaN comes
// before all others. With a function that is not an order nothing is lost, but the
// items leave in any order.
type Heap[T any] struct {
	compare func(a, b T) int
	entries []heapEntry[T]
	places  []uint32 // for each handle the place of its item, or the next vacant one
	vacant  uint32   // the first handle without an item, or none
	limit   int      // of handles
	pushed  uint64   // counts pushes, modulo 2^64
	touched uint64   // see settle
}

// heapEntry is an item, when it was pushed, and the number of its handle.
type heapEntry[T any] struct {
	item  T
	seq   uint64
	index uint32
}

const (
	// heapDepth is more than the levels of a heap of 2^32 items.
	heapDepth = 20
	// maxHandles is how many items a heap holds at most; none is not among them.
	maxHandles = int(min(1<<32-1, uint64(math.MaxInt)))
)

// Handle names an item in the queue that gave the handle, and means nothing to
// another queue. Once its item has left, by whatever way, it names nothing, and
// never will again. The zero Handle names nothing.
type Handle struct {
	seq   uint64
	index uint32
}

// firstSeq is where a queue begins to count the items that it gives handles for. It
// is drawn by lot, so that no other queue is likely to have the same handles, and is
// never 0, which the zero Handle has.
func firstSeq() uint64 { return max(rand.Uint64(), 1) }

// NewHeap returns an empty heap. compare is negative if a leaves before b, positive
// if after, and zero if the one leaves first that was pushed first: the convention
// of cmp.Compare. Do not subtract numbers to compare them, since that overflows. No
// function is an error that matches ErrInvalid.
func NewHeap[T any](compare func(a, b T) int) (*Heap[T], error) {
	if compare == nil {
		return nil, invalidf("the compare function of Heap is nil")
	}
	return &Heap[T]{compare: compare, vacant: none, limit: maxHandles, pushed: firstSeq()}, nil
}

// TryPush stores an item. It reports false if the heap is full.
func (h *Heap[T]) TryPush(item T) bool {
	_, ok := h.Push(item)
	return ok
}

// Push stores an item and returns its handle. It reports false if the heap is full.
func (h *Heap[T]) Push(item T) (Handle, bool) {
	entry := heapEntry[T]{item: item, seq: h.pushed}
	n := len(h.entries)
	place := h.above(n, &entry)
	index := h.vacant
	switch {
	case index != none:
		h.vacant = h.places[index]
	case len(h.places) < h.limit:
		index = uint32(len(h.places))
		h.places = append(h.places, 0)
	default:
		return Handle{}, false
	}
	entry.index = index
	h.entries = append(h.entries, entry)
	h.raise(n, place, entry)
	if h.pushed++; h.pushed == 0 {
		h.pushed = 1 // the zero Handle has 0
	}
	return Handle{entry.seq, index}, true
}

// TryPop removes the smallest item. It reports false if there is none.
func (h *Heap[T]) TryPop() (item T, ok bool) {
	if len(h.entries) == 0 {
		return item, false
	}
	return h.remove(0), true
}

// Peek returns the item that TryPop would remove. It reports false if there is none.
func (h *Heap[T]) Peek() (item T, ok bool) {
	if len(h.entries) == 0 {
		return item, false
	}
	return h.entries[0].item, true
}

// Get returns the item that the handle names. It reports false if it has left.
func (h *Heap[T]) Get(handle Handle) (item T, ok bool) {
	i, ok := h.find(handle)
	if !ok {
		return item, false
	}
	return h.entries[i].item, true
}

// Update puts another item in the place of the one that the handle names, which
// then names the new one. Among equals it counts as pushed when the first was. It
// reports false if that has left.
func (h *Heap[T]) Update(handle Handle, item T) bool {
	i, ok := h.find(handle)
	if !ok {
		return false
	}
	h.settle(i, len(h.entries), heapEntry[T]{item, handle.seq, handle.index})
	return true
}

// Remove removes the item that the handle names. It reports false if it has left.
func (h *Heap[T]) Remove(handle Handle) (item T, ok bool) {
	i, ok := h.find(handle)
	if !ok {
		return item, false
	}
	return h.remove(i), true
}

// Len returns the number of items.
func (h *Heap[T]) Len() int { return len(h.entries) }

// Cap returns how many items there may be: nearly 2^32, or math.MaxInt where an int
// has 32 bits.
func (h *Heap[T]) Cap() int { return h.limit }

// find returns the place of the handle's item. What a handle without an item has for
// a place is a number too, but no entry has the same seq.
func (h *Heap[T]) find(handle Handle) (int, bool) {
	if uint64(handle.index) >= uint64(len(h.places)) {
		return 0, false
	}
	place := uint64(h.places[handle.index])
	if place >= uint64(len(h.entries)) || h.entries[place].seq != handle.seq {
		return 0, false
	}
	return int(place), true
}

// remove takes the entry at i out; the last entry fills the gap.
func (h *Heap[T]) remove(i int) T {
	n := len(h.entries) - 1
	gone := h.entries[i]
	if i < n {
		h.settle(i, n, h.entries[n])
	}
	h.entries[n] = heapEntry[T]{}
	h.entries = shrunk(h.entries[:n])
	h.places[gone.index], h.vacant = h.vacant, gone.index
	if n == 0 && len(h.places) > shrinkAbove {
		h.places, h.vacant = nil, none
	}
	return gone.item
}

// settle stores an entry into the gap at i, or above or below, in a heap of n.
func (h *Heap[T]) settle(i, n int, entry heapEntry[T]) {
	if place := h.above(i, &entry); place != i {
		h.raise(i, place, entry)
		return
	}
	// Find the way down to a leaf along the smallest children, then how far up it
	// the entry belongs. Until then nothing is changed. The grandchildren are read
	// for the reason that KeyHeap's sink has.
	path := [heapDepth]int{i}
	depth := 0
	var touched uint64
	for child := heapArity*i + 1; child < n; child = heapArity*path[depth] + 1 {
		if below := heapArity*child + 1; below+16 <= n {
			next := h.entries[below : below+16 : below+16]
			touched += next[0].seq + next[2].seq + next[4].seq + next[6].seq +
				next[8].seq + next[10].seq + next[12].seq + next[14].seq
		}
		best := child
		for c := child + 1; c < min(child+heapArity, n); c++ {
			best += (c - best) * bit(h.before(&h.entries[c], &h.entries[best]))
		}
		depth++
		path[depth] = best
	}
	for depth > 0 && h.before(&entry, &h.entries[path[depth]]) {
		depth--
	}
	for d := range depth {
		h.put(path[d], h.entries[path[d+1]])
	}
	h.put(path[depth], entry)
	h.touched = touched
}

// above returns the place that entry has on the way up from a gap at i.
func (h *Heap[T]) above(i int, entry *heapEntry[T]) int {
	for i > 0 {
		parent := (i - 1) / heapArity
		if !h.before(entry, &h.entries[parent]) {
			break
		}
		i = parent
	}
	return i
}

// raise stores an entry at place, above the gap at i or there.
func (h *Heap[T]) raise(i, place int, entry heapEntry[T]) {
	for i != place {
		parent := (i - 1) / heapArity
		h.put(i, h.entries[parent])
		i = parent
	}
	h.put(place, entry)
}

func (h *Heap[T]) put(i int, entry heapEntry[T]) {
	h.entries[i] = entry
	h.places[entry.index] = uint32(i)
}

// before reports whether a leaves before b: of equal ones the older, for which a 0 of
// compare is enough. The difference of the counters is right across their wrap-around.
func (h *Heap[T]) before(a, b *heapEntry[T]) bool {
	return h.compare(a.item, b.item) < bit(int64(a.seq-b.seq) < 0)
}
