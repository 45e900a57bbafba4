package queue

import (
	"math"
	"time"
)

// DelayQueue holds items until they are due. It has no clock of its own and starts
// no goroutine: the caller says what time it is, and asks when the next item is due.
//
// Time is cut into ticks, counted from the creation of the queue. An item leaves
// with the first tick that begins at its due time or later: never early, and late
// by less than one tick. Items leave in the order of their ticks, those of one tick
// in the order in which they came. An item whose tick has passed as it is added
// counts as due in the tick to which the queue has come: that of the item that left
// last, or of the time at which none was due. Times may be 292 years (the range of a
// time.Duration) after the creation; an item that is due later never leaves but by
// Cancel. Time does not go back: what is earlier than the tick to which the queue
// has come counts as that one. All times must be of one clock: with a monotonic
// clock reading, as time.Now gives them, or all without.
//
// It is a hierarchical timing wheel (G. Varghese and A. Lauck, Hashed and
// Hierarchical Timing Wheels, SOSP 1987) of 11 levels of 64 slots, enough for all
// times, so there is no list of overflows. An item is moved one level down at most
// 10 times, 1 or 2 times if it is due in the next minutes and a tick is a
// millisecond. Add and Cancel take the same time however many items there are, but
// for the misses of the processor's caches; BenchmarkDelay shows it. One PopDue may
// have to move all items of a slot; an empty stretch of time costs nothing.
//
// It is not safe for concurrent use: one goroutine at a time, each call ends. It
// holds nearly 2^32 items at most; then a push is refused. An item takes its size
// and 24 bytes, in chunks of 64 that are given back as soon as none of the 64 is
// left, also by Cancel; the empty queue takes 6 kB. A queue whose length stays the
// same allocates next to nothing.
type DelayQueue[T any] struct {
	now   func() time.Time
	due   func(T) time.Time
	start time.Time
	tick  time.Duration
	wheel wheel[T]
}

// DelayConfig tells how a [DelayQueue] is made. The zero value works.
type DelayConfig[T any] struct {
	// Tick is the length of a tick; 0 is a millisecond. A shorter one is more
	// exact, and moves items more often.
	Tick time.Duration
	// Now tells the time: once as the queue is made, and then in TryPop and PopAll,
	// and in TryPush if Due is nil. The default is time.Now. Give a function that
	// tells a time of your own in a test, or use a testing/synctest bubble. With
	// Blocking it has to be the bubble: that sleeps by the clock of package time.
	Now func() time.Time
	// Due tells when an item that comes by TryPush is due. The default is at once.
	Due func(item T) time.Time
}

// NewDelayQueue returns an empty queue, with ticks counted from cfg.Now(). A negative
// Tick is an error that matches ErrInvalid.
func NewDelayQueue[T any](cfg DelayConfig[T]) (*DelayQueue[T], error) {
	if cfg.Tick < 0 {
		return nil, invalidf("a tick of %v of DelayQueue, allowed are 1ns and more, or 0 for 1ms", cfg.Tick)
	}
	if cfg.Tick == 0 {
		cfg.Tick = time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	q := &DelayQueue[T]{now: cfg.Now, due: cfg.Due, start: cfg.Now(), tick: cfg.Tick}
	q.wheel.init()
	return q, nil
}

// Add stores an item until it is due, and returns its handle. It reports false if
// the queue is full.
func (q *DelayQueue[T]) Add(item T, due time.Time) (Handle, bool) {
	return q.wheel.add(item, q.dueTick(due))
}

// Cancel removes the item that the handle names. It reports false if it has left.
func (q *DelayQueue[T]) Cancel(handle Handle) (item T, ok bool) {
	return q.wheel.cancel(handle)
}

// PopDue removes the first item that is due at the time now. It reports false if
// there is none.
func (q *DelayQueue[T]) PopDue(now time.Time) (item T, ok bool) {
	return q.wheel.pop(q.tickAt(now))
}

// NextDue returns the earliest time at which PopDue will return an item, which is
// past if one is due. It reports false if there is none. If none is due within 64
// ticks it may have to look at all items of the first slot that has some, once: it
// remembers the answer until that item leaves.
func (q *DelayQueue[T]) NextDue() (time.Time, bool) {
	next, ok := q.wheel.next()
	if !ok {
		return time.Time{}, false
	}
	return q.start.Add(time.Duration(next) * q.tick), true
}

// TryPush stores an item until the time that Due tells of it. It reports false if
// the queue is full. If Due or Now panics, nothing is stored.
func (q *DelayQueue[T]) TryPush(item T) bool {
	due := q.wheel.current
	if q.due != nil {
		due = q.dueTick(q.due(item))
	} else {
		due = max(due, q.tickAt(q.now()))
	}
	_, ok := q.wheel.add(item, due)
	return ok
}

// TryPop removes the first item that is due now, as Now tells it. It reports false
// if there is none, though there may be some that are not due yet.
func (q *DelayQueue[T]) TryPop() (item T, ok bool) {
	return q.PopDue(q.now())
}

// PopAll removes up to len(into) items that are due now, stores them in into, and
// returns how many. It asks for the time once.
func (q *DelayQueue[T]) PopAll(into []T) int {
	now := q.tickAt(q.now())
	for i := range into {
		item, ok := q.wheel.pop(now)
		if !ok {
			return i
		}
		into[i] = item
	}
	return len(into)
}

// Len returns the number of items, due or not.
func (q *DelayQueue[T]) Len() int { return q.wheel.count }

// Cap returns how many items there may be: nearly 2^32, or math.MaxInt where an int
// has 32 bits.
func (q *DelayQueue[T]) Cap() int { return q.wheel.entries.capacity() }

// tickAt returns the last tick that has begun at a time.
func (q *DelayQueue[T]) tickAt(t time.Time) uint64 {
	return uint64(max(t.Sub(q.start), 0) / q.tick)
}

// dueTick returns the first tick that begins at a time or later.
func (q *DelayQueue[T]) dueTick(t time.Time) uint64 {
	d := max(t.Sub(q.start), 0)
	tick := (uint64(d) + uint64(q.tick) - 1) / uint64(q.tick)
	if d == math.MaxInt64 || tick > uint64(math.MaxInt64/q.tick) {
		return never // Sub says no more than that it is this far away
	}
	return tick
}
