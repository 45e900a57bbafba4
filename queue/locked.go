package queue

import (
	"fmt"
	"sync"
	"time"
)

// Locked lets any number of goroutines use a queue that is for one at a time, by a
// mutex around each call. For goroutines that wait, put a [Blocking] around it.
//
// Order, capacity and memory are those of the queue; every method may wait for the
// mutex, which is held as long as the queue's own method takes. All answers are
// exact, and it is linearizable, if the queue's own answers are right. Where several
// processors use it all the time it is slower than [MPMC], which needs no lock.
//
// If a method of the queue panics, the mutex is released and the caller gets the
// panic; what a batch has moved before stays moved. The queue under it must not be used
// in any other way any more, nor may the functions that were given to it use this one.
// Who needs methods that Locked does not have, such as Heap's Remove or DelayQueue's
// Cancel, takes a mutex of his own instead.
type Locked[T any] struct {
	capacity int
	timed    Timed // the queue, if it is that

	mu     sync.Mutex
	queue  Queue[T]
	sealed bool
}

// NewLocked puts a lock around a queue. Nil, or a nil pointer, is an error that matches
// ErrInvalid.
func NewLocked[T any](queue Queue[T]) (*Locked[T], error) {
	if isNil(queue) {
		return nil, fmt.Errorf("%w: NewLocked of nil, allowed is any queue", ErrInvalid)
	}
	q := &Locked[T]{capacity: queue.Cap(), queue: queue}
	q.timed, _ = queue.(Timed)
	return q, nil
}

// TryPush stores an item. It reports false if the queue is full.
func (q *Locked[T]) TryPush(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.sealed && q.queue.TryPush(item)
}

// TryPop removes the next item. It reports false if there is none.
func (q *Locked[T]) TryPop() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.TryPop()
}

// PushAll stores items from the front of the slice until it is stored or the queue is
// full, and returns how many. No item of another goroutine comes between them.
func (q *Locked[T]) PushAll(items []T) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, item := range items {
		if q.sealed || !q.queue.TryPush(item) {
			return n
		}
	}
	return len(items)
}

// PopAll moves the next items into the slice until it is full or the queue is empty,
// and returns how many.
func (q *Locked[T]) PopAll(into []T) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range into {
		item, ok := q.queue.TryPop()
		if !ok {
			return n
		}
		into[n] = item
	}
	return len(into)
}

// NextDue returns from when on TryPop will find an item, if the queue is [Timed]. It
// reports false if it is not, or no item is stored.
func (q *Locked[T]) NextDue() (at time.Time, ok bool) {
	if q.timed == nil {
		return at, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.timed.NextDue()
}

// Len returns how many items are stored.
func (q *Locked[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.Len()
}

// Cap returns what the queue's own Cap was when the lock was put around it.
func (q *Locked[T]) Cap() int { return q.capacity }

// seal makes all further pushes fail.
func (q *Locked[T]) seal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sealed = true
}
