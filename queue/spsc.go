package queue

import (
	"sync/atomic"

	"github.com/uptutu/goman/queue/internal/point"
)

// SPSC is a bounded queue, first in, first out, for one producer and one consumer:
// the fastest way to hand items from one goroutine to another.
//
// TryPush and PushAll may be called by one goroutine at a time, TryPop and PopAll by
// one goroutine at a time, which may be another one; Len and Cap by any. Who takes
// over one of the roles has to be told by the one who gives it up, over a channel or
// a lock. Two producers at once, or two consumers, lose items and return some
// twice. The race detector reports it; without it, nothing does.
//
// Every method is wait-free, and every answer exact: the queue is linearizable.
// Each side keeps the last it saw of the other's position, and looks again only if
// that says "full" or "empty"; no step is a read-modify-write. The first such answer after
// others takes about half a microsecond, in which the other side gets ahead. PushAll and PopAll
// move many items for the price of one.
//
// Memory is allocated once: one T for each item, for a number of items rounded up to
// a power of two. The capacity itself is exact. Removed items are not kept alive. No
// method allocates.
//
// It is Lamport's ring (1977), with cached positions as in MCRingBuffer (Lee, Bu and
// Chandranmenon, IPDPS 2010).
type SPSC[T any] struct {
	items    []T // a power of two of them
	capacity uint64

	// Each side has what it writes on a cache line of its own, and nothing elsewhere.
	_        pad
	tail     atomic.Uint64 // pushes so far; written by the producer. A push takes effect here
	producer cursor
	_        pad
	head     atomic.Uint64 // pops so far; written by the consumer. A pop takes effect here
	consumer cursor
	_        pad
}

// A cursor is one side's own view. Nobody else touches it.
type cursor struct {
	done   uint64 // what this side has stored last: tail or head
	other  uint64 // the last it saw of the other side
	waited bool   // it has stood back since it could last go on
}

// look reads the position of the other side, and reports whether this one may go on:
// not if they are just limit apart. The first time it may not, it stands back and looks
// again. A side that is faster would else follow the other at a distance of one item, and
// fetch two cache lines for each; now it finds a few dozen (BenchmarkTry, SPSC).
func (c *cursor) look(position *atomic.Uint64, limit uint64) bool {
	point.At()
	c.other = position.Load()
	if c.done-c.other == limit && !c.waited {
		c.waited = true
		standBack()
		point.At()
		c.other = position.Load()
	}
	if c.done-c.other == limit {
		return false
	}
	c.waited = false
	return true
}

// NewSPSC makes a queue for at most capacity items, 1 to 2^30, and allocates the memory
// for all of them. Any other capacity, or one that no memory could hold, is an error
// that matches ErrCapacity.
func NewSPSC[T any](capacity int) (*SPSC[T], error) {
	if err := checkCapacity[T]("SPSC", capacity); err != nil {
		return nil, err
	}
	return newSPSC[T](capacity, 0), nil
}

// newSPSC begins to count at a number of the caller's choice.
func newSPSC[T any](capacity int, start uint64) *SPSC[T] {
	q := &SPSC[T]{items: make([]T, ceilPow2(capacity)), capacity: uint64(capacity)}
	q.producer = cursor{done: start, other: start}
	q.consumer = cursor{done: start, other: start}
	q.tail.Store(start)
	q.head.Store(start)
	return q
}

// TryPush stores an item at the end. It reports false if the queue is full. Only the
// producer may call it.
func (q *SPSC[T]) TryPush(item T) bool {
	p := &q.producer
	if p.done-p.other == q.capacity && !p.look(&q.head, q.capacity) {
		return false
	}
	*q.place(p.done) = item
	p.done++
	point.At()
	// Not before the item: the consumer reads it as soon as it sees this.
	q.tail.Store(p.done)
	return true
}

func (q *SPSC[T]) place(n uint64) *T { return &q.items[n&uint64(len(q.items)-1)] }

// TryPop removes the oldest item. It reports false if there is none. Only the
// consumer may call it.
func (q *SPSC[T]) TryPop() (item T, ok bool) {
	c := &q.consumer
	if c.done == c.other && !c.look(&q.tail, 0) {
		return item, false
	}
	place := q.place(c.done)
	item = *place
	var none T
	*place = none // the queue keeps nothing alive
	c.done++
	point.At()
	// Not before the lines above: the producer writes as soon as it sees this.
	q.head.Store(c.done)
	return item, true
}

// PushAll stores items from the front of the slice until it is stored or the queue is
// full, and returns how many. Only the producer may call it.
func (q *SPSC[T]) PushAll(items []T) int {
	p := &q.producer
	if q.capacity-(p.done-p.other) < uint64(len(items)) {
		point.At()
		p.other = q.head.Load()
	}
	n := int(min(q.capacity-(p.done-p.other), uint64(len(items))))
	if n == 0 {
		return 0
	}
	front, back := q.places(p.done, n)
	copy(back, items[copy(front, items):n])
	p.done += uint64(n)
	point.At()
	q.tail.Store(p.done)
	return n
}

// PopAll moves the oldest items into the slice, in their order, until it is full or
// the queue is empty, and returns how many. Only the consumer may call it.
func (q *SPSC[T]) PopAll(into []T) int {
	c := &q.consumer
	if c.other-c.done < uint64(len(into)) {
		point.At()
		c.other = q.tail.Load()
	}
	n := int(min(c.other-c.done, uint64(len(into))))
	if n == 0 {
		return 0
	}
	front, back := q.places(c.done, n)
	copy(into[copy(into, front):], back)
	clear(front)
	clear(back)
	c.done += uint64(n)
	point.At()
	q.head.Store(c.done)
	return n
}

// places returns n places from number first on: those up to the end of items, and
// those that go on at its beginning.
func (q *SPSC[T]) places(first uint64, n int) (front, back []T) {
	i := int(first & uint64(len(q.items)-1))
	front = q.items[i:min(i+n, len(q.items))]
	return front, q.items[:n-len(front)]
}

// Len returns how many items are stored.
func (q *SPSC[T]) Len() int {
	h := q.head.Load()
	point.At()
	t := q.tail.Load()
	return int(min(t-h, q.capacity))
}

// Cap returns the capacity given to NewSPSC.
func (q *SPSC[T]) Cap() int { return int(q.capacity) }
