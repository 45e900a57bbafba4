package queue

import (
	"math"
	"sync/atomic"

	"github.com/uptutu/goman/queue/internal/point"
)

// MPSC is a queue without a limit but memory, first in, first out, for any number of
// producers and one consumer: a mailbox.
//
// TryPush, PushAll, Len and Cap may be called from any number of goroutines, TryPop
// and PopAll by one goroutine at a time. Who takes over the consumer's role has to be
// told by the one who gives it up, over a channel or a lock. Two consumers at once
// return items twice; the race detector reports it.
//
// The consumer is wait-free: it never repeats a step because of somebody else, which
// is what it saves compared with [Unbounded]. Producers take no lock and do not wait;
// what "none" promises, and why they are not lock-free in the strict sense, is as
// with [MPMC]. TryPush never reports false.
//
// Items lie in a chain of rings as with Unbounded: no allocation as long as they fit
// into one, then one for 1,024 items, and one segment is left when the queue is
// drained. An item takes one word of 8 bytes and one T. Removed items are not kept
// alive.
//
// It is Vyukov's ring (see [MPMC]) without the consumer's half of the protocol: the
// place up to which the consumer has come tells producers what is free, as in
// Lamport's ring, and they share the last they saw of it.
type MPSC[T any] struct {
	_    pad
	tail atomic.Pointer[mpscSegment[T]] // the last segment, or the last but one
	_    pad
	head atomic.Uint64 // the place of the next pop; written by the consumer
	_    pad
	own  mpscConsumer[T]
	_    pad
	end  *mpscSegment[T] // stands behind the last segment of a queue that is sealed
}

// mpscConsumer is touched by the consumer alone.
type mpscConsumer[T any] struct {
	segment *mpscSegment[T] // the one in which place is, or the one before it
	place   uint64          // the same as head
}

// Places count in steps of two, as in ring, so that tail has a bit for the seal.
type mpscSegment[T any] struct {
	slots []mpscSlot[T]
	mask  uint64
	next  atomic.Pointer[mpscSegment[T]]
	_     pad
	tail  atomic.Uint64 // the next place to push to, and the seal
	freed atomic.Uint64 // a place up to which the consumer has come: all before it are free
	_     pad
}

type mpscSlot[T any] struct {
	full atomic.Uint64 // the place whose item is here, + 1; 0 at first, which none is
	item T
}

// NewMPSC makes an empty queue.
func NewMPSC[T any]() *MPSC[T] { return newMPSC[T](0) }

// newMPSC begins at a place of the caller's choice.
func newMPSC[T any](start uint64) *MPSC[T] {
	q := &MPSC[T]{end: new(mpscSegment[T])}
	s := newMPSCSegment[T](minSegment, start)
	q.own = mpscConsumer[T]{segment: s, place: start}
	q.head.Store(start)
	q.tail.Store(s)
	return q
}

func newMPSCSegment[T any](size int, start uint64) *mpscSegment[T] {
	s := &mpscSegment[T]{slots: make([]mpscSlot[T], size), mask: uint64(size - 1)}
	s.tail.Store(start)
	s.freed.Store(start)
	return s
}

func (s *mpscSegment[T]) slot(place uint64) *mpscSlot[T] { return &s.slots[place>>1&s.mask] }

// room returns how many places from t on are free in s: none if t is no longer the
// tail. The consumer clears a place before it goes on, so all that lies before its
// place may be written again.
func (s *mpscSegment[T]) room(t uint64, head *atomic.Uint64) uint64 {
	lap := 2 * uint64(len(s.slots))
	used := t - s.freed.Load()
	if used >= lap { // full as far as was seen, or t is older than that
		point.At()
		h := head.Load()
		// Another producer may store an older place after this one: then the next one
		// looks again. What is stored was true once, and the consumer never goes back.
		s.freed.Store(h)
		if used = t - h; used > lap {
			return 0 // or the consumer is still in an earlier segment, and this one full
		}
	}
	return (lap - used) / 2
}

// TryPush stores an item at the end. It always reports true.
func (q *MPSC[T]) TryPush(item T) bool {
	for {
		s, t, n := q.take(1)
		if s == nil {
			return false
		}
		if n == 0 {
			continue
		}
		s.fill(t, item)
		return true
	}
}

// PushAll stores all items in their order and returns their number. Items of other
// producers may come between them.
func (q *MPSC[T]) PushAll(items []T) int {
	n := 0
	for n < len(items) {
		s, t, k := q.take(len(items) - n)
		if s == nil {
			break
		}
		for ; k > 0; k-- {
			s.fill(t, items[n])
			t += 2
			n++
		}
	}
	return n
}

// take takes up to most places at the end for the caller: n of them, from t on, in s.
// A push takes effect here. If n is 0 somebody else was first; if s is nil the queue
// is sealed.
func (q *MPSC[T]) take(most int) (s *mpscSegment[T], t uint64, n int) {
	s = q.tail.Load()
	t = s.tail.Load()
	point.At()
	if t&sealed == 0 {
		if room := min(s.room(t, &q.head), uint64(most)); room > 0 {
			point.At()
			// Not before the look for room: places may be taken only if they can be
			// filled. Who has them is alone with them until they are marked full.
			if s.tail.CompareAndSwap(t, t+2*room) {
				return s, t, int(room)
			}
			standBack()
			return s, t, 0
		}
		if s.tail.Load() != t {
			return s, t, 0
		}
	}
	if !q.extend(s) {
		return nil, 0, 0
	}
	return s, t, 0
}

func (s *mpscSegment[T]) fill(place uint64, item T) {
	point.At()
	slot := s.slot(place)
	slot.item = item
	// Not before the item: the consumer reads it as soon as it sees this.
	slot.full.Store(place + 1)
}

// extend makes the successor of s the last segment. It reports false if the queue
// is sealed. It is Unbounded's.
func (q *MPSC[T]) extend(s *mpscSegment[T]) bool {
	s.tail.Or(sealed)
	point.At()
	next := s.next.Load()
	if next == nil {
		next = newMPSCSegment[T](min(2*len(s.slots), maxSegment), s.tail.Load()&^sealed)
		point.At()
		if !s.next.CompareAndSwap(nil, next) {
			next = s.next.Load()
		}
	}
	if next == q.end {
		return false
	}
	point.At()
	q.tail.CompareAndSwap(s, next)
	return true
}

// TryPop removes the oldest item. It reports false if there is none to be seen. Only
// the consumer may call it.
func (q *MPSC[T]) TryPop() (item T, ok bool) {
	slot := q.own.next(q.end)
	if slot == nil {
		return item, false
	}
	item = slot.empty()
	point.At()
	// The pop takes effect here. Not before the slot is emptied: producers write as
	// soon as they see this.
	q.head.Store(q.own.place)
	return item, true
}

// PopAll moves the oldest items into the slice, in their order, until it is full or
// there is none to be seen, and returns how many. Only the consumer may call it.
func (q *MPSC[T]) PopAll(into []T) int {
	n := 0
	for n < len(into) {
		slot := q.own.next(q.end)
		if slot == nil {
			break
		}
		into[n] = slot.empty()
		n++
	}
	if n > 0 {
		point.At()
		q.head.Store(q.own.place) // see TryPop
	}
	return n
}

// next returns the slot of the oldest item and goes on behind it, or returns nil if
// there is none to be seen.
func (c *mpscConsumer[T]) next(end *mpscSegment[T]) *mpscSlot[T] {
	for {
		point.At()
		if slot := c.segment.slot(c.place); slot.full.Load() == c.place+1 {
			c.place += 2
			return slot
		}
		next := c.segment.next.Load()
		// There is a next one only after the seal, so tail says where this one ends.
		if next == nil || next == end || c.segment.tail.Load()&^sealed != c.place {
			return nil
		}
		c.segment = next
	}
}

// empty takes the item out of the slot, which keeps nothing alive then.
func (s *mpscSlot[T]) empty() (item T) {
	var none T
	item, s.item = s.item, none
	return item
}

// Len returns how many items are stored, those included whose push has taken its
// place and not yet returned.
func (q *MPSC[T]) Len() int {
	h := q.head.Load()
	point.At()
	t := q.tail.Load().tail.Load() &^ sealed // never below h: see Unbounded.Len
	return int(min((t-h)/2, math.MaxInt))
}

// Cap returns math.MaxInt.
func (q *MPSC[T]) Cap() int { return math.MaxInt }

// seal makes all further pushes fail.
func (q *MPSC[T]) seal() {
	for {
		s := q.tail.Load()
		s.tail.Or(sealed)
		point.At()
		if s.next.CompareAndSwap(nil, q.end) || s.next.Load() == q.end {
			return
		}
		q.tail.CompareAndSwap(s, s.next.Load())
	}
}
