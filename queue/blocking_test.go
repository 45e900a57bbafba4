package queue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// locked is a queue that knows nothing of this package: a slice under a mutex.
type locked struct {
	mu    sync.Mutex
	items []int
	limit int
}

func (q *locked) TryPush(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == q.limit {
		return false
	}
	q.items = append(q.items, n)
	return true
}

func (q *locked) TryPop() (int, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return 0, false
	}
	n := q.items[0]
	q.items = q.items[1:]
	return n, true
}

func (q *locked) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

func (q *locked) Cap() int { return q.limit }

// blockings makes adapters for queues of all sorts that any goroutine may use.
func blockings(capacity int) map[string]*Blocking[int] {
	return map[string]*Blocking[int]{
		"MPMC":      must(NewBlocking[int](must(NewMPMC[int](capacity)))),
		"Unbounded": must(NewBlocking[int](NewUnbounded[int]())),
		"Locked":    must(NewBlocking[int](must(NewLocked[int](newSPSC[int](capacity, 0))))),
		"locked":    must(NewBlocking[int](&locked{limit: capacity})),
	}
}

// forEach runs a test in a bubble for each of the adapters.
func forEach(t *testing.T, capacity int, test func(t *testing.T, b *Blocking[int])) {
	for kind := range blockings(capacity) {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, blockings(capacity)[kind]) })
		})
	}
}

func TestBlocking_New(t *testing.T) {
	if _, err := NewBlocking[int](nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("of nil: %v", err)
	}
	b := blockings(5)["MPMC"]
	if b.Cap() != 5 || b.Len() != 0 || !b.TryPush(1) || b.Len() != 1 || b.Closed() {
		t.Error("it does not begin as the queue under it is")
	}
	var _ Queue[int] = b
}

// E-QUE-16: items that are stored when the queue is closed can be popped; then, and
// for pushes at once, it says that it is closed.
func TestBlocking_E_QUE_16_CloseWithItems(t *testing.T) {
	forEach(t, 3, func(t *testing.T, b *Blocking[int]) {
		ctx := t.Context()
		for n := range 3 {
			if err := b.Push(ctx, n); err != nil {
				t.Fatal(err)
			}
		}
		b.Close()
		b.Close()
		if !b.Closed() || b.TryPush(3) {
			t.Error("it takes items")
		}
		if err := b.Push(ctx, 3); err != ErrClosed {
			t.Errorf("Push: %v", err)
		}
		for n := range 3 {
			if got, err := b.Pop(ctx); err != nil || got != n {
				t.Errorf("Pop: %d, %v", got, err)
			}
		}
		for range 2 {
			if got, err := b.Pop(ctx); err != ErrClosed || got != 0 {
				t.Errorf("Pop when drained: %d, %v", got, err)
			}
		}
		if _, ok := b.TryPop(); ok {
			t.Error("TryPop got something")
		}
	})
}

// E-QUE-16: closing ends all that wait for an item, or for room.
func TestBlocking_E_QUE_16_CloseEndsWaits(t *testing.T) {
	forEach(t, 1, func(t *testing.T, b *Blocking[int]) {
		var ended atomic.Int32
		for range 3 {
			go func() {
				if _, err := b.Pop(t.Context()); err == ErrClosed {
					ended.Add(1)
				}
			}()
		}
		synctest.Wait()
		b.Close()
		synctest.Wait()
		if ended.Load() != 3 {
			t.Errorf("%d of 3 pops ended", ended.Load())
		}
	})
	forEach(t, 1, func(t *testing.T, b *Blocking[int]) {
		if b.Cap() != 1 {
			t.Skip("there is always room")
		}
		b.TryPush(7)
		var ended atomic.Int32
		for range 3 {
			go func() {
				if b.Push(t.Context(), 1) == ErrClosed {
					ended.Add(1)
				}
			}()
		}
		synctest.Wait()
		b.Close()
		synctest.Wait()
		if ended.Load() != 3 {
			t.Errorf("%d of 3 pushes ended", ended.Load())
		}
		if n, err := b.Pop(t.Context()); n != 7 || err != nil {
			t.Errorf("Pop: %d, %v", n, err)
		}
	})
}

// stuck is a queue in which a push or pop can be held up.
type stuck struct {
	locked
	push, pop func()
}

func (q *stuck) TryPush(n int) bool {
	if q.push != nil {
		q.push()
	}
	return q.locked.TryPush(n)
}

func (q *stuck) TryPop() (int, bool) {
	if q.pop != nil {
		q.pop()
	}
	return q.locked.TryPop()
}

// E-QUE-16: a push that is under way when the queue is closed is waited for, whether
// it succeeds or not.
func TestBlocking_E_QUE_16_CloseDuringPush(t *testing.T) {
	for _, limit := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			hold := make(chan struct{})
			b := must(NewBlocking[int](&stuck{locked: locked{limit: limit}, push: func() { <-hold }}))
			var pushed, popped, ended atomic.Int32
			go func() {
				if b.TryPush(1) {
					pushed.Add(1)
				}
			}()
			synctest.Wait()
			b.Close()
			for range 2 {
				go func() {
					switch _, err := b.Pop(t.Context()); err {
					case nil:
						popped.Add(1)
					case ErrClosed:
						ended.Add(1)
					}
				}()
			}
			synctest.Wait()
			if popped.Load()+ended.Load() != 0 {
				t.Error("Pop did not wait for the push")
			}
			close(hold)
			synctest.Wait()
			if n := int32(limit); pushed.Load() != n || popped.Load() != n || ended.Load() != 2-n {
				t.Errorf("limit %d: %d pushed, %d popped, %d ended", limit, pushed.Load(), popped.Load(), ended.Load())
			}
		})
	}
}

// The context ends a wait, and refuses a call when it has ended before; nothing is
// stored or removed then.
func TestBlocking_Context(t *testing.T) {
	forEach(t, 1, func(t *testing.T, b *Blocking[int]) {
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		go func() {
			_, err := b.Pop(ctx)
			errs <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("Pop: %v", err)
		}
		if err := b.Push(ctx, 1); !errors.Is(err, context.Canceled) || b.Len() != 0 {
			t.Errorf("Push: %v, Len() = %d", err, b.Len())
		}
		b.TryPush(2)
		if _, err := b.Pop(ctx); !errors.Is(err, context.Canceled) || b.Len() != 1 {
			t.Errorf("Pop: %v, Len() = %d", err, b.Len())
		}
		if b.Cap() != 1 {
			return
		}
		ctx, cancel = context.WithCancel(t.Context())
		go func() { errs <- b.Push(ctx, 3) }()
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) || b.Len() != 1 {
			t.Errorf("Push: %v, Len() = %d", err, b.Len())
		}
	})
}

// A loop that is left early loses nothing.
func TestBlocking_AllLeftEarly(t *testing.T) {
	forEach(t, 10, func(t *testing.T, b *Blocking[int]) {
		for n := range 10 {
			b.TryPush(n)
		}
		var got []int
		for n := range b.All() {
			got = append(got, n)
			if n == 3 {
				break
			}
		}
		if b.Len() != 6 {
			t.Errorf("%d are left", b.Len())
		}
		b.Close()
		for n := range b.All() {
			got = append(got, n)
		}
		if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("got %v", got)
		}
	})
}

// later is a queue with one place, whose item can be popped from a time on.
type later struct {
	locked
	at    time.Time
	looks atomic.Int32
}

func (q *later) TryPop() (int, bool) {
	q.looks.Add(1)
	if time.Now().Before(q.at) {
		return 0, false
	}
	return q.locked.TryPop()
}

func (q *later) NextDue() (time.Time, bool) { return q.at, q.Len() > 0 }

// Who waits for an item that is not due sleeps until it is, and is woken earlier if
// that changes; closing does not end the wait before.
func TestBlocking_Timed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		q := &later{locked: locked{limit: 9}, at: began.Add(time.Hour)}
		b := must(NewBlocking[int](q))
		ends := make(chan time.Duration, 3)
		for range 3 {
			go func() {
				if _, err := b.Pop(t.Context()); err == nil {
					ends <- time.Since(began)
				}
			}()
		}
		synctest.Wait()
		b.TryPush(1)
		synctest.Wait()
		q.at = began.Add(time.Minute)
		b.TryPush(2)
		if end := <-ends; end != time.Minute {
			t.Errorf("the first was popped after %v", end)
		}
		if end := <-ends; end != time.Minute {
			t.Errorf("the second was popped after %v", end)
		}
		q.at = began.Add(2 * time.Minute)
		b.TryPush(3)
		b.Close()
		if end := <-ends; end != 2*time.Minute {
			t.Errorf("the third was popped after %v", end)
		}
		if n := q.looks.Load(); n > 60 {
			t.Errorf("%d looks", n)
		}
	})
}

// A queue that panics: the caller gets it, and nobody else is left asleep.
func TestBlocking_PanicOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panicking atomic.Bool
		q := &stuck{locked: locked{limit: 2}}
		q.pop = func() {
			if panicking.CompareAndSwap(true, false) {
				panic("pop")
			}
		}
		q.push = func() {
			if panicking.CompareAndSwap(true, false) {
				panic("push")
			}
		}
		b := must(NewBlocking[int](q))
		var got, panicked atomic.Int32
		for range 2 {
			go func() {
				defer func() {
					if recover() == "pop" {
						panicked.Add(1)
					}
				}()
				if _, err := b.Pop(t.Context()); err == nil {
					got.Add(1)
				}
			}()
		}
		synctest.Wait()
		q.locked.TryPush(1)
		panicking.Store(true)
		b.itemIn()
		synctest.Wait()
		if got.Load() != 1 || panicked.Load() != 1 {
			t.Errorf("%d got the item, %d panicked", got.Load(), panicked.Load())
		}
		panicking.Store(true)
		if v := recovered(func() { b.TryPush(1) }); v != "push" {
			t.Errorf("TryPush panicked with %v", v)
		}
		b.Close()
		if _, err := b.Pop(t.Context()); err != ErrClosed {
			t.Errorf("the push that panicked counts as under way: %v", err)
		}
	})
}

// recovered calls fn and returns what it panicked with.
func recovered(fn func()) (v any) {
	defer func() { v = recover() }()
	fn()
	return nil
}
