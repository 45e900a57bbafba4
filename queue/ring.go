package queue

import (
	"math/bits"
	"sync/atomic"

	"github.com/uptutu/goman/queue/internal/point"
)

// ring is the bounded ring of MPMC, and a segment of Unbounded. It is Dmitry
// Vyukov's bounded MPMC queue (1024cores.net, 2010): each slot has a sequence
// word of its own that says whose turn it is, so producers and consumers do not
// read each other's index.
//
// A place is a number that only grows, in steps of two; place p lives in the slot
// p/2 modulo the number of slots, which is a power of two. All arithmetic is modulo
// 2^64, which that number divides, so nothing happens when places wrap around.
// The sequence word of the slot of p is
//
//	p           free: the producer that gets p may write
//	p + 1       full: the consumer that gets p may read
//	p + lap     free for the place one lap later, p + 2 * slots
//
// Steps of two keep "full" apart from "free one lap later" even in a ring of one
// slot, where they would be the same number, and leave the lowest bit of tail for
// the seal: a sealed tail equals no free slot, so the fast path pays nothing for it.
//
// A push takes effect (is linearized) when it advances tail, a pop when it
// advances head. What is between that and the store of the sequence word is
// where an answer can be early: see MPMC.
type ring[T any] struct {
	slots []slot[T]
	mask  uint64
	lap   uint64 // 2 * slots
	bound uint64 // 2 * capacity; at most lap

	_    pad
	tail atomic.Uint64 // the next place to push to, and the seal
	_    pad
	head atomic.Uint64 // the next place to pop from
	_    pad
}

type slot[T any] struct {
	seq  atomic.Uint64
	item T
}

// sealed in tail means that no push succeeds any more.
const sealed = 1

// init makes the zero ring an empty one that begins at the place start.
func (r *ring[T]) init(capacity int, start uint64) {
	n := ceilPow2(capacity)
	r.slots = make([]slot[T], n)
	r.mask, r.lap, r.bound = uint64(n-1), 2*uint64(n), 2*uint64(capacity)
	for p := start; p != start+r.lap; p += 2 {
		r.slot(p).seq.Store(p)
	}
	r.tail.Store(start)
	r.head.Store(start)
}

func ceilPow2(n int) int { return 1 << bits.Len(uint(n-1)) }

func (r *ring[T]) slot(place uint64) *slot[T] { return &r.slots[place>>1&r.mask] }

// room reports whether place p is within the capacity, if that is not a power of
// two: whether the item that lay capacity places before it has left. The slot of p
// itself may be free much earlier.
func (r *ring[T]) room(p uint64) bool {
	return r.bound == r.lap || r.slot(p-r.bound).seq.Load() == p-r.bound+r.lap
}

func (r *ring[T]) push(item T) bool {
	for {
		t := r.tail.Load()
		s := r.slot(t)
		point.At()
		if s.seq.Load() == t && r.room(t) {
			point.At()
			// Not before the look at the slot: the place may be taken only if it can
			// be filled. Who has it is alone with the slot until the word is stored.
			if r.tail.CompareAndSwap(t, t+2) {
				point.At()
				s.item = item
				// Not before the item: a consumer reads it as soon as it sees this.
				s.seq.Store(t + 1)
				return true
			}
			standBack()
			continue
		}
		// The slot is not free for t: either t is no longer the next place, or the
		// item of one lap ago is still in it, or the ring is sealed.
		if t&sealed != 0 || r.tail.Load() == t {
			return false
		}
	}
}

func (r *ring[T]) pop() (item T, ok bool) {
	for {
		h := r.head.Load()
		s := r.slot(h)
		point.At()
		if s.seq.Load() == h+1 {
			point.At()
			if r.head.CompareAndSwap(h, h+2) {
				point.At()
				item = s.item
				var none T
				s.item = none // the ring keeps nothing alive
				// Not before the two lines above: a producer writes as soon as it sees this.
				s.seq.Store(h + r.lap)
				return item, true
			}
			standBack()
			continue
		}
		if r.head.Load() == h {
			return item, false
		}
	}
}

// standBack is what a call does that has lost a race for a place: it stays away for
// about half a microsecond. Two that go on at once take turns in taking the cache lines
// from each other, for which an item costs up to six times as much; so one of them moves
// a few dozen items meanwhile (BenchmarkTry, 64x64). Batches do without: they lose seldom.
func standBack() {
	for range 2000 {
	}
}

// pushAll takes as many places at once as are free, and fills them. Between the
// look and the compare-and-swap nobody can take them: only who advances tail may.
func (r *ring[T]) pushAll(items []T) (n int) {
	for len(items) > n {
		t := r.tail.Load()
		most := uint64(len(items) - n)
		free := uint64(0)
		point.At()
		for free < most && r.slot(t+2*free).seq.Load() == t+2*free && r.room(t+2*free) {
			free++
		}
		if free == 0 {
			if t&sealed != 0 || r.tail.Load() == t {
				break
			}
			continue
		}
		point.At()
		if !r.tail.CompareAndSwap(t, t+2*free) {
			continue
		}
		for p := t; p != t+2*free; p += 2 {
			point.At()
			s := r.slot(p)
			s.item = items[n]
			n++
			s.seq.Store(p + 1)
		}
	}
	return n
}

// popAll takes as many items at once as are visible, the oldest first.
func (r *ring[T]) popAll(into []T) (n int) {
	for len(into) > n {
		h := r.head.Load()
		most := uint64(len(into) - n)
		full := uint64(0)
		point.At()
		for full < most && r.slot(h+2*full).seq.Load() == h+2*full+1 {
			full++
		}
		if full == 0 {
			if r.head.Load() == h {
				break
			}
			continue
		}
		point.At()
		if !r.head.CompareAndSwap(h, h+2*full) {
			continue
		}
		for p := h; p != h+2*full; p += 2 {
			point.At()
			s := r.slot(p)
			into[n] = s.item
			n++
			var none T
			s.item = none
			s.seq.Store(p + r.lap)
		}
	}
	return n
}

// seal makes all further pushes fail. The places that were taken before are all
// below tail, and will be filled.
func (r *ring[T]) seal() { r.tail.Or(sealed) }

// spent reports whether the ring is sealed and each of its places was taken by a
// pop: nothing will ever come out of it again.
func (r *ring[T]) spent() bool {
	t := r.tail.Load()
	return t&sealed != 0 && r.head.Load() == t&^sealed
}

// size counts the places between head and tail. Head is read first and both only
// grow, so the difference is never negative; it is above the capacity only if many
// items went through between the two reads.
func (r *ring[T]) size() int {
	h := r.head.Load()
	point.At()
	t := r.tail.Load()
	return int(min(t&^sealed-h, r.bound) / 2)
}
