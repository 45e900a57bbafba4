package queue

import (
	"math"
	"sync/atomic"

	"github.com/uptutu/goman/queue/internal/point"
)

// Unbounded is a queue without a limit but memory, first in, first out, for any
// number of producers and consumers.
//
// All methods may be called from any number of goroutines. None waits for another,
// and none takes a lock. What a false answer of TryPop promises, and why it is not
// lock-free in the strict sense, is as with [MPMC]. TryPush never reports false.
//
// The items lie in a chain of segments, each a ring: as long as it holds fewer than
// fit into one, it works like an MPMC and allocates nothing. When the last segment
// is full it is sealed and another one added, of twice the size up to 1,024 items,
// so a deep queue allocates once for 1,024 items. An item takes one word of 8 bytes
// and one T. A segment that is drained is left to the garbage collector, unless it
// is the only one: a queue that is drained after a flood keeps one segment. Removed
// items are not kept alive.
//
// If there must be a limit, take MPMC: a queue that may grow without one only hides
// that its consumers are too slow.
//
// A chain of rings that are sealed is the idea of LCRQ (Morrison and Afek, "Fast
// concurrent queues for x86 processors", PPoPP 2013); the ring is Vyukov's.
type Unbounded[T any] struct {
	_    pad
	tail atomic.Pointer[segment[T]] // the last segment, or the last but one
	_    pad
	head atomic.Pointer[segment[T]] // the first one that is not spent, or one before it
	_    pad
	end  *segment[T] // stands behind the last segment of a queue that is sealed
}

// A segment begins at the place at which the one before it was sealed, so places
// go on through the whole chain.
type segment[T any] struct {
	ring ring[T]
	next atomic.Pointer[segment[T]] // set only after ring is sealed, and never changed then
}

// The sizes of the first segment and of the largest.
const (
	minSegment = 32
	maxSegment = 1024
)

// NewUnbounded makes an empty queue.
func NewUnbounded[T any]() *Unbounded[T] { return newUnbounded[T](0) }

// newUnbounded begins at a place of the caller's choice.
func newUnbounded[T any](start uint64) *Unbounded[T] {
	q := &Unbounded[T]{end: new(segment[T])}
	s := new(segment[T])
	s.ring.init(minSegment, start)
	q.tail.Store(s)
	q.head.Store(s)
	return q
}

// TryPush stores an item at the end. It always reports true.
func (q *Unbounded[T]) TryPush(item T) bool {
	for {
		s := q.tail.Load()
		if s.ring.push(item) {
			return true
		}
		if !q.extend(s) {
			return false
		}
	}
}

// PushAll stores all items in their order and returns their number. Items of other
// producers may come between them.
func (q *Unbounded[T]) PushAll(items []T) int {
	n := 0
	for {
		s := q.tail.Load()
		n += s.ring.pushAll(items[n:])
		if n == len(items) || !q.extend(s) {
			return n
		}
	}
}

// extend makes the successor of s the last segment. It reports false if the queue
// is sealed.
func (q *Unbounded[T]) extend(s *segment[T]) bool {
	// First the seal: no item may get into s once there is one behind it.
	s.ring.seal()
	point.At()
	next := s.next.Load()
	if next == nil {
		next = new(segment[T])
		next.ring.init(min(2*len(s.ring.slots), maxSegment), s.ring.tail.Load()&^sealed)
		point.At()
		if !s.next.CompareAndSwap(nil, next) {
			next = s.next.Load()
		}
	}
	if next == q.end {
		return false
	}
	// Before the first push into next, so tail is at most one behind.
	point.At()
	q.tail.CompareAndSwap(s, next)
	return true
}

// TryPop removes the oldest item. It reports false if there is none to be seen.
func (q *Unbounded[T]) TryPop() (item T, ok bool) {
	for {
		s := q.head.Load()
		if item, ok = s.ring.pop(); ok {
			return item, true
		}
		if !q.advance(s) {
			return item, false
		}
	}
}

// PopAll moves the oldest items into the slice, in their order, until it is full or
// there is none to be seen, and returns how many.
func (q *Unbounded[T]) PopAll(into []T) int {
	n := 0
	for {
		s := q.head.Load()
		n += s.ring.popAll(into[n:])
		if n == len(into) || !q.advance(s) {
			return n
		}
	}
}

// advance drops s, from which a pop got nothing, if nothing will ever come out of
// it. Otherwise it reports false: s was the last segment and empty, or the push of
// its oldest item has not returned.
func (q *Unbounded[T]) advance(s *segment[T]) bool {
	point.At()
	next := s.next.Load()
	if next == nil || next == q.end || !s.ring.spent() {
		return false
	}
	point.At()
	q.head.CompareAndSwap(s, next)
	return true
}

// Len returns how many items are stored: those included whose push has taken its place
// and not yet returned, and those not whose pop has.
func (q *Unbounded[T]) Len() int {
	// Places never go back, and a segment that is passed ends where the next one
	// begins: so whatever happens between the two lines, the second is not below
	// the first.
	h := q.head.Load().ring.head.Load()
	point.At()
	t := q.tail.Load().ring.tail.Load() &^ sealed
	return int(min((t-h)/2, math.MaxInt))
}

// Cap returns math.MaxInt.
func (q *Unbounded[T]) Cap() int { return math.MaxInt }

// seal makes all further pushes fail.
func (q *Unbounded[T]) seal() {
	for {
		s := q.tail.Load()
		s.ring.seal()
		point.At()
		if s.next.CompareAndSwap(nil, q.end) || s.next.Load() == q.end {
			return
		}
		q.tail.CompareAndSwap(s, s.next.Load())
	}
}
