package queue

import (
	"math"
	"sync/atomic"

	"github.com/uptutu/goman/queue/internal/point"
)

// Deque is a work-stealing deque without a limit but memory: its owner pushes and
// pops at one end, last in, first out, and thieves take from the other end what has
// lain there longest.
//
// TryPush, TryPop and PushAll may be called by one goroutine at a time, the owner;
// Steal, StealHalf, Len and Cap by any number of goroutines. Who takes over from the
// owner has to be told by it, over a channel or a lock. Two owners at once lose items
// and return some twice; the race detector reports it.
//
// TryPush and TryPop are wait-free. Steal is lock-free: it repeats a step only if
// another goroutine got the item. All answers are exact, and the deque is
// linearizable.
//
// Items lie in a chain of rings. A ring that is full gets a successor, of twice the
// size up to 1,024 items; nothing is copied. No method allocates as long as the
// items fit into a ring or two. An item takes one word of 8 bytes and one T. Rings
// are left to the garbage collector as they become empty, at either end: one or two
// are kept. Removed items are not kept alive.
//
// It is the deque of Chase and Lev ("Dynamic circular work-stealing deque", SPAA
// 2005) with the order of steps that Lê, Pop, Cohen and Zappa Nardelli proved
// ("Correct and efficient work-stealing for weak memory models", PPoPP 2013); atomic
// operations of Go are sequentially consistent, which is more than it needs. Two
// things differ. A thief takes an item out of its slot after it has won it and not
// before, so that an item of any size can be read without a race; a word in each
// slot tells the owner when that is done. And the deque grows by a chain, as that of
// Hendler, Lev, Moir and Shavit ("A dynamic-sized nonblocking work stealing deque",
// 2006), because a copy would have to be cleared too.
type Deque[T any] struct {
	_       pad
	top     atomic.Uint64 // the place of the oldest item: only grows. Steals take effect here
	oldest  atomic.Pointer[dequeRing[T]]
	_       pad
	bottom  atomic.Uint64 // the place of the next push; written by the owner. Pushes take effect here
	current *dequeRing[T] // the owner's: bottom lies in it, or is where the next one begins
	_       pad
}

// A dequeRing holds the places from start on, up to the start of the next one if
// there is one. A place that is popped by the owner may be pushed to again.
type dequeRing[T any] struct {
	slots []dequeSlot[T]
	mask  uint64
	start uint64
	next  atomic.Pointer[dequeRing[T]] // written by the owner
	prev  atomic.Pointer[dequeRing[T]] // for the owner; nil once somebody saw top in this ring
}

type dequeSlot[T any] struct {
	turn atomic.Uint64 // the place that may be pushed to this slot
	item T
}

// NewDeque makes an empty deque.
func NewDeque[T any]() *Deque[T] { return newDeque[T](0) }

// newDeque begins at a place of the caller's choice.
func newDeque[T any](start uint64) *Deque[T] {
	d := new(Deque[T])
	r := newDequeRing[T](minSegment, start)
	d.top.Store(start)
	d.bottom.Store(start)
	d.oldest.Store(r)
	d.current = r
	return d
}

func newDequeRing[T any](size int, start uint64) *dequeRing[T] {
	r := &dequeRing[T]{slots: make([]dequeSlot[T], size), mask: uint64(size - 1), start: start}
	for p := start; p != start+uint64(size); p++ {
		r.slot(p).turn.Store(p)
	}
	return r
}

func (r *dequeRing[T]) slot(place uint64) *dequeSlot[T] { return &r.slots[place&r.mask] }

// before reports whether place a lies before b. Places wrap around.
func before(a, b uint64) bool { return int64(a-b) < 0 }

// take empties the slot of a place that the caller has won.
func (r *dequeRing[T]) take(place uint64) (item T) {
	s := r.slot(place)
	item = s.item
	var none T
	s.item = none // the deque keeps nothing alive
	return item
}

// TryPush stores an item at the owner's end. It always reports true. Only the owner
// may call it.
func (d *Deque[T]) TryPush(item T) bool {
	b := d.bottom.Load()
	d.put(b, item)
	point.At()
	// Not before the item: a thief may win it as soon as it sees this.
	d.bottom.Store(b + 1)
	return true
}

// PushAll stores all items, the last one outermost, and returns their number. To
// thieves they appear at once. Only the owner may call it.
func (d *Deque[T]) PushAll(items []T) int {
	b := d.bottom.Load()
	for _, item := range items {
		d.put(b, item)
		b++
	}
	point.At()
	d.bottom.Store(b)
	return len(items)
}

// put writes an item to the place b, which nobody sees yet.
func (d *Deque[T]) put(b uint64, item T) {
	r := d.current
	if next := r.next.Load(); next != nil && b == next.start {
		r, d.current = next, next
	}
	point.At()
	// In a ring that has a next one each place was pushed to before, and taken back by
	// the owner: its slot is free.
	if r.slot(b).turn.Load() != b {
		r = d.grow(r, b)
	}
	r.slot(b).item = item
}

// grow adds a ring that begins at b, because the slot for it in r still holds an
// older item, or is being emptied by a thief.
func (d *Deque[T]) grow(r *dequeRing[T], b uint64) *dequeRing[T] {
	t := d.top.Load()
	d.ringOf(t) // drops rings that all have left, if thieves did not
	size := ceilPow2(int(min(max(2*(b-t), minSegment), maxSegment)))
	next := newDequeRing[T](size, b)
	next.prev.Store(r)
	point.At()
	r.next.Store(next)
	d.current = next
	return next
}

// ringOf returns the ring of the place t, which was read from top, and drops those
// before it. If top has moved on since, it may be another one.
func (d *Deque[T]) ringOf(t uint64) *dequeRing[T] {
	r := d.oldest.Load()
	for {
		next := r.next.Load()
		if next == nil || before(t, next.start) {
			return r
		}
		point.At()
		if d.oldest.CompareAndSwap(r, next) {
			next.prev.Store(nil) // the owner never goes back there: top has passed
		}
		r = next
	}
}

// TryPop removes the item that was pushed last. It reports false if there is none.
// Only the owner may call it.
func (d *Deque[T]) TryPop() (item T, ok bool) {
	b := d.bottom.Load()
	if !before(d.top.Load(), b) {
		return item, false // only the owner can make that untrue
	}
	b--
	d.bottom.Store(b)
	point.At()
	// Not before the store: a thief reads top first and then bottom, so either it sees
	// that this place is no longer for it, or top has its number here.
	t := d.top.Load()
	r := d.current
	if before(b, r.start) {
		r = r.prev.Load() // nil if thieves were faster
	}
	if before(t, b) {
		// There are others before it: no thief can come as far as b. The pop took
		// effect at the store.
		if r != d.current {
			d.current.next.Store(nil) // one empty ring is enough
			d.current = r
		}
		return r.take(b), true
	}
	// It is the last one, or already gone: who advances top has it.
	point.At()
	won := t == b && d.top.CompareAndSwap(t, t+1)
	d.bottom.Store(b + 1)
	if !won {
		return item, false
	}
	item = r.take(b)
	r.pass(b)
	return item, true
}

// pass frees the slot of a place that has left for good.
func (r *dequeRing[T]) pass(place uint64) {
	r.slot(place).turn.Store(place + uint64(len(r.slots)))
}

// Steal removes the oldest item. It reports false if there is none.
func (d *Deque[T]) Steal() (item T, ok bool) {
	for {
		t := d.top.Load()
		point.At()
		// Not before top: see TryPop.
		if !before(t, d.bottom.Load()) {
			return item, false
		}
		// As long as top is t, the item in place t stays what and where it is: the
		// owner would have to advance top to pop it.
		r := d.ringOf(t)
		point.At()
		if d.top.CompareAndSwap(t, t+1) {
			point.At()
			item = r.take(t)
			// Not before the item is taken: the owner writes as soon as it sees this.
			r.pass(t)
			return item, true
		}
	}
}

// StealHalf moves the oldest items into the slice, in their order, up to half of what
// is there when it begins, rounded up, and returns how many. Each is won by itself: the
// owner may take items that lie before it without asking, so nobody else can take
// several in one step.
func (d *Deque[T]) StealHalf(into []T) int {
	most := min((d.Len()+1)/2, len(into))
	for n := range most {
		item, ok := d.Steal()
		if !ok {
			return n
		}
		into[n] = item
	}
	return most
}

// Len returns how many items are stored.
func (d *Deque[T]) Len() int {
	t := d.top.Load()
	point.At()
	// An owner that is popping the last item has bottom below top for a moment.
	return int(max(int64(d.bottom.Load()-t), 0))
}

// Cap returns math.MaxInt.
func (d *Deque[T]) Cap() int { return math.MaxInt }
