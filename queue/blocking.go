package queue

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/queue/internal/point"
)

// Blocking lets goroutines wait for an item of a queue, or for room in it, and lets
// the queue be closed.
//
// Its methods may be called from as many goroutines as the queue under it allows:
// Push and TryPush where that allows TryPush, Pop, TryPop and All where it allows
// TryPop, the others from any. For a queue that is not safe for concurrent use, put a
// [Locked] in between. It needs a queue whose Len may be called by any goroutine and
// is not 0 if an item is stored during the whole call, and whose TryPop reports false
// only if there is none, if a push or pop that is under way hides it, or if it is not
// yet due (see [Timed]): as the kinds of this package do. It is of no use around a
// [Deque], where the one goroutine that pops is the one that pushes. Once the adapter
// is made the queue itself must not be used any more.
//
// Order and memory are those of the queue. Nothing polls: a goroutine that waits
// sleeps until it is woken by exactly the push or pop that it needs, longest waiting
// first; but it is no promise that it gets the item before one that has just come. As long
// as nobody sleeps no lock is taken, and a Push or Pop costs what the queue's own
// does and about 3 ns (BenchmarkPair); with SPSC, or a queue of another package, a
// Push costs about 6 ns more, because it is counted so that none gets lost when the
// queue is closed. No method allocates, but for about 200 bytes for each goroutine that
// sleeps at the same time, which are kept.
//
// If a method of the queue panics, for example in an order that the user has given
// to it, the call of Blocking panics with that; nobody else is left asleep for it, and
// the adapter can be used as long as the queue can. It must not have stored or removed
// an item then: no method of this package's kinds does.
type Blocking[T any] struct {
	queue  Queue[T]
	sealer sealer                   // the queue, if it can do that
	due    func() (time.Time, bool) // its NextDue, if it has that

	closed atomic.Bool

	_       pad
	pushing atomic.Int64 // calls of the queue's TryPush under way; not counted with a sealer
	_       pad

	consumers line // those that wait for an item
	_         pad
	producers line // those that wait for room
	_         pad
}

// sealer is a queue that can refuse pushes by itself: after seal, TryPush reports
// false for ever, and Len includes all pushes that have succeeded or will.
type sealer interface{ seal() }

// Timed is a queue whose items may be popped only from a time of their own on.
// Blocking then also wakes who waits for an item at that time.
type Timed interface {
	// NextDue returns from when on, by time.Now, TryPop will find an item, if none is
	// pushed or popped before. It reports false if there is none that ever will be due.
	// Any goroutine may call it.
	NextDue() (at time.Time, ok bool)
}

// NewBlocking makes an adapter for a queue, which may hold items already. Nil, or a
// nil pointer, is an error that matches ErrInvalid.
func NewBlocking[T any](queue Queue[T]) (*Blocking[T], error) {
	if isNil(queue) {
		return nil, fmt.Errorf("%w: NewBlocking of nil, allowed is any queue", ErrInvalid)
	}
	b := &Blocking[T]{queue: queue}
	b.sealer, _ = queue.(sealer)
	if timed, ok := queue.(Timed); ok {
		b.due = timed.NextDue
	}
	return b, nil
}

// Push stores an item, and waits for room until the context ends. It returns
// ErrClosed if the queue is closed, and the context's error if that has ended, before
// the call or during it; a nil context is an error that matches ErrInvalid. If there
// is an error, the item was not stored.
func (b *Blocking[T]) Push(ctx context.Context, item T) error {
	if ctx == nil {
		return errNilContext
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// TryPush by hand: two calls less where it matters.
	if b.sealer != nil && b.queue.TryPush(item) || b.sealer == nil && b.putCounted(item) {
		b.itemIn()
		return nil
	}
	return b.waitPush(ctx, item)
}

func (b *Blocking[T]) waitPush(ctx context.Context, item T) error {
	stored := false
	err := b.producers.wait(ctx, func() bool {
		stored = b.put(item)
		return stored || b.closed.Load()
	}, nil)
	switch {
	case err != nil:
		return err
	case !stored:
		return ErrClosed
	}
	b.itemIn()
	if b.queue.Len() < b.queue.Cap() {
		b.producers.wake()
	}
	return nil
}

// TryPush stores an item if there is room and the queue is not closed, and reports
// whether it did.
func (b *Blocking[T]) TryPush(item T) bool {
	if !b.put(item) {
		return false
	}
	b.itemIn()
	return true
}

// put is the queue's TryPush, but refuses when the queue is closed.
func (b *Blocking[T]) put(item T) bool {
	if b.sealer != nil {
		return b.queue.TryPush(item)
	}
	return b.putCounted(item)
}

func (b *Blocking[T]) putCounted(item T) bool {
	b.pushing.Add(1)
	defer b.pushed()
	point.At()
	// Not before the count: who has seen the queue closed and then nobody pushing can
	// rely on it that no push will succeed.
	return !b.closed.Load() && b.queue.TryPush(item)
}

func (b *Blocking[T]) pushed() {
	b.pushing.Add(-1)
	point.At()
	if b.closed.Load() {
		b.checkDrained()
	}
}

// Pop removes the next item, and waits for one until the context ends. When the
// queue is closed it goes on until no item is left, and then returns ErrClosed. It
// returns the context's error if that has ended, before the call or during it; a nil
// context is an error that matches ErrInvalid. If there is an error, no item was
// removed.
func (b *Blocking[T]) Pop(ctx context.Context) (item T, err error) {
	if ctx == nil {
		return item, errNilContext
	}
	if err = ctx.Err(); err != nil {
		return item, err
	}
	item, ok := b.queue.TryPop()
	if ok {
		b.itemOut()
		return item, nil
	}
	return b.waitPop(ctx)
}

func (b *Blocking[T]) waitPop(ctx context.Context) (item T, err error) {
	ok := false
	err = b.consumers.wait(ctx, func() bool {
		item, ok = b.queue.TryPop()
		return ok || b.drained()
	}, b.due)
	switch {
	case err != nil:
		return item, err
	case !ok:
		return item, ErrClosed
	}
	b.itemOut()
	if b.queue.Len() > 0 {
		b.consumers.wake()
	}
	return item, nil
}

// TryPop removes the next item. It reports false if there is none to be seen.
func (b *Blocking[T]) TryPop() (item T, ok bool) {
	item, ok = b.queue.TryPop()
	if ok {
		b.itemOut()
	}
	return item, ok
}

// All returns a sequence of the items as they come, each removed from the queue. It
// ends when the queue is closed and no item is left; where it has to end for another
// reason, use Pop, which takes a context. A loop may be left at any time: no item is
// taken out of the queue that the loop does not get.
func (b *Blocking[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			item, err := b.Pop(context.Background())
			if err != nil || !yield(item) {
				return
			}
		}
	}
}

// Close refuses all further pushes, and ends those that wait for room, with
// ErrClosed. Items that are stored can still be popped, those of a [Timed] queue when
// they are due. Closing again does nothing.
func (b *Blocking[T]) Close() {
	if b.sealer != nil {
		b.sealer.seal() // before closed: who sees that relies on it that no push succeeds
	}
	point.At()
	b.closed.Store(true)
	b.producers.wakeAll()
	b.consumers.wakeAll()
}

// Closed reports whether Close was called.
func (b *Blocking[T]) Closed() bool { return b.closed.Load() }

// Len returns how many items are stored.
func (b *Blocking[T]) Len() int { return b.queue.Len() }

// Cap returns how many items the queue can hold.
func (b *Blocking[T]) Cap() int { return b.queue.Cap() }

// itemIn follows each push: it wakes who waits for an item.
func (b *Blocking[T]) itemIn() {
	point.At()
	if b.consumers.call.Load() {
		b.consumers.wake()
	}
}

// itemOut follows each pop: it wakes who waits for room, and those who wait for an
// item that will not come.
func (b *Blocking[T]) itemOut() {
	point.At()
	if b.producers.call.Load() {
		b.producers.wake()
		b.checkDrained()
	}
}

// drained reports whether no push will succeed any more, and no item is left of those
// that did. The order matters: what Len counts is final only if nobody pushes.
func (b *Blocking[T]) drained() bool {
	return b.closed.Load() && b.pushing.Load() == 0 && b.queue.Len() == 0
}

// checkDrained tells those that wait for an item when none will come. It is called
// after each step that may make it so.
func (b *Blocking[T]) checkDrained() {
	point.At()
	if b.drained() {
		b.consumers.wakeAll()
	}
}
