package queue

// MPMC is a bounded queue, first in, first out, for any number of producers and
// consumers: the one to take if there is no reason for another.
//
// All methods may be called from any number of goroutines. None waits for another,
// and none takes a lock. Strictly it is not lock-free, though: a goroutine that is
// interrupted in the few instructions between taking a place and filling it hides
// the items behind it, and one that is interrupted while it empties a place keeps
// the places behind it from being used. The others go on up to there, and are told
// "empty" or "full" instead of having to wait.
//
// So a refusal means this:
//
//   - TryPop reports false if there was a moment during the call at which the queue
//     held no item, or the push of its oldest one had not returned. "Empty" does not
//     mean that no push has returned.
//   - TryPush reports false if there was a moment during the call at which Cap items
//     were stored, or the pop of an earlier one had not returned.
//
// Without such answers it is linearizable. Who sleeps when it is told "empty" has to
// announce that first and look again, and must be woken by every push that returns
// after that: [Blocking] does so.
//
// Memory is allocated once: one word of 8 bytes and one T for each item, for a
// number of items rounded up to a power of two. The capacity itself is exact.
// Removed items are not kept alive. No method allocates.
//
// The algorithm is Dmitry Vyukov's bounded MPMC queue (1024cores.net, 2010), with
// exact capacities and batches.
type MPMC[T any] struct {
	ring ring[T]
}

// NewMPMC makes a queue for at most capacity items, 1 to 2^30, and allocates the memory
// for all of them. Any other capacity, or one that no memory could hold, is an error
// that matches ErrCapacity.
func NewMPMC[T any](capacity int) (*MPMC[T], error) {
	if err := checkCapacity[slot[T]]("MPMC", capacity); err != nil {
		return nil, err
	}
	return newMPMC[T](capacity, 0), nil
}

// newMPMC begins at a place of the caller's choice.
func newMPMC[T any](capacity int, start uint64) *MPMC[T] {
	q := new(MPMC[T])
	q.ring.init(capacity, start)
	return q
}

// TryPush stores an item at the end. It reports false if the queue is full.
func (q *MPMC[T]) TryPush(item T) bool { return q.ring.push(item) }

// TryPop removes the oldest item. It reports false if there is none to be seen.
func (q *MPMC[T]) TryPop() (item T, ok bool) { return q.ring.pop() }

// PushAll stores items from the front of the slice until it is stored or the queue is
// full, and returns how many. They enter in their order, but items of other
// producers may come between them. Several places are taken in one step, which is
// cheaper than that many calls of TryPush.
func (q *MPMC[T]) PushAll(items []T) int { return q.ring.pushAll(items) }

// PopAll moves the oldest items into the slice, in their order, until it is full or
// there is none to be seen, and returns how many.
func (q *MPMC[T]) PopAll(into []T) int { return q.ring.popAll(into) }

// Len returns how many items are stored: those included whose push has taken its place
// and not yet returned, and those not whose pop has.
func (q *MPMC[T]) Len() int { return q.ring.size() }

// Cap returns the capacity given to NewMPMC.
func (q *MPMC[T]) Cap() int { return int(q.ring.bound / 2) }

func (q *MPMC[T]) seal() { q.ring.seal() }
