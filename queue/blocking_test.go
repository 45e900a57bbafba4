package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
func TestBlocking_EQUE16_CloseWithItems(t *testing.T) {
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
func TestBlocking_EQUE16_CloseEndsWaits(t *testing.T) {
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
func TestBlocking_EQUE16_CloseDuringPush(t *testing.T) {
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

// Each push wakes one of those that sleep, the one that has slept longest.
func TestBlocking_WakesOneInOrder(t *testing.T) {
	forEach(t, 1, func(t *testing.T, b *Blocking[int]) {
		var mu sync.Mutex
		var order []int
		for i := range 4 {
			go func() {
				if n, err := b.Pop(t.Context()); err == nil {
					mu.Lock()
					order = append(order, i*10+n)
					mu.Unlock()
				}
			}()
			synctest.Wait()
		}
		for n := range 4 {
			b.TryPush(n)
			synctest.Wait()
			if len(order) != n+1 {
				t.Fatalf("%v after %d pushes", order, n+1)
			}
		}
		if !slices.Equal(order, []int{0, 11, 22, 33}) {
			t.Errorf("woken in the order %v", order)
		}
		if b.consumers.call.Load() || b.consumers.first != nil || b.consumers.woken {
			t.Error("the line is not as at the beginning")
		}
	})
}

// Many pushes while one that was woken has not looked yet: it wakes the next, and so on.
func TestBlocking_WakesAsManyAsThereAreItems(t *testing.T) {
	forEach(t, 8, func(t *testing.T, b *Blocking[int]) {
		var got atomic.Int32
		for range 5 {
			go func() {
				if _, err := b.Pop(t.Context()); err == nil {
					got.Add(1)
				}
			}()
		}
		synctest.Wait()
		for n := range 3 {
			b.put(n)
		}
		b.itemIn() // as if the other two had come when somebody was on its way
		synctest.Wait()
		if got.Load() != 3 {
			t.Errorf("%d of 3 items were popped", got.Load())
		}
		b.Close()
	})
}

// The same for room.
func TestBlocking_WakesAsManyAsThereIsRoom(t *testing.T) {
	forEach(t, 4, func(t *testing.T, b *Blocking[int]) {
		if b.Cap() != 4 {
			t.Skip("there is always room")
		}
		for n := range 4 {
			b.TryPush(n)
		}
		var pushed atomic.Int32
		for range 5 {
			go func() {
				if b.Push(t.Context(), 9) == nil {
					pushed.Add(1)
				}
			}()
		}
		synctest.Wait()
		for range 3 {
			b.queue.TryPop()
		}
		b.itemOut()
		synctest.Wait()
		if pushed.Load() != 3 || b.Len() != 4 {
			t.Errorf("%d pushed into 3 places, Len() = %d", pushed.Load(), b.Len())
		}
		b.Close()
	})
}

// A push that is complete but hidden by another one wakes nobody who could get it.
// When the other one is done, it wakes one for both.
func TestBlocking_HiddenItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := must(NewMPMC[int](4))
		b := must(NewBlocking[int](q))
		first := q.ring.tail.Load()
		q.ring.tail.Store(first + 2) // a push, up to its last step
		var got atomic.Int32
		for range 2 {
			go func() {
				if _, err := b.Pop(t.Context()); err == nil {
					got.Add(1)
				}
			}()
		}
		synctest.Wait()
		b.TryPush(2)
		synctest.Wait()
		if got.Load() != 0 {
			t.Fatal("got an item before the oldest")
		}
		q.ring.slot(first).seq.Store(first + 1)
		b.itemIn()
		synctest.Wait()
		if got.Load() != 2 {
			t.Errorf("%d of 2 items were popped", got.Load())
		}
	})
}

// Who gives up after it was woken wakes the next.
func TestBlocking_WokenAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blockings(4)["MPMC"]
		l := &b.consumers
		gone := l.join()
		var got atomic.Int32
		go func() {
			if _, err := b.Pop(t.Context()); err == nil {
				got.Add(1)
			}
		}()
		synctest.Wait()
		b.TryPush(1)
		synctest.Wait()
		if got.Load() != 0 {
			t.Fatal("the second was woken")
		}
		l.leave(gone, false)
		synctest.Wait()
		if got.Load() != 1 {
			t.Error("nobody was woken in place of the one who left")
		}
	})
}

// Cancelled waits against pushes: what was pushed comes out, and nobody sleeps
// beside an item.
func TestBlocking_CancelAgainstPush(t *testing.T) {
	for kind := range blockings(2) {
		t.Run(kind, func(t *testing.T) {
			for round := range rounds(4000) {
				synctest.Test(t, func(t *testing.T) {
					b := blockings(2)[kind]
					ctx, cancel := context.WithCancel(t.Context())
					var got atomic.Int32
					for i := range 4 {
						ctx := ctx
						if i >= 2 {
							ctx = t.Context()
						}
						go func() {
							if _, err := b.Pop(ctx); err == nil {
								got.Add(1)
							}
						}()
					}
					if round%2 == 0 {
						synctest.Wait()
					}
					go cancel()
					go b.TryPush(1)
					go b.TryPush(2)
					synctest.Wait()
					if got.Load() != 2 || b.Len() != 0 {
						t.Fatalf("round %d: %d of 2 items were popped", round, got.Load())
					}
					b.Close()
				})
			}
		})
	}
}

// Many goroutines through small queues: a lost wake-up would be a hang.
func TestBlocking_Stress(t *testing.T) {
	for _, capacity := range []int{1, 3, 100} {
		for kind := range blockings(capacity) {
			for _, side := range []int{1, 2, 8} {
				t.Run(fmt.Sprintf("%s/%d/%dx%d", kind, capacity, side, side), func(t *testing.T) {
					b := blockings(capacity)[kind]
					stress(t, rounds(40_000)/side+1, same(side, pushingOf(t, b)), same(side, poppingOf(t, b)), b.Close)
				})
			}
		}
	}
	for kind, q := range map[string]Queue[int]{"SPSC": must(NewSPSC[int](5)), "MPSC": NewMPSC[int]()} {
		t.Run(kind, func(t *testing.T) {
			b := must(NewBlocking(q))
			stress(t, rounds(100_000), []pushing{pushingOf(t, b)}, []popping{poppingOf(t, b)}, b.Close)
		})
	}
}

func pushingOf(t *testing.T, b *Blocking[int]) pushing {
	ctx := soon(t)
	return func(n int) bool {
		err := b.Push(ctx, n)
		if err != nil {
			t.Errorf("Push: %v", err)
		}
		return true
	}
}

func poppingOf(t *testing.T, b *Blocking[int]) popping {
	ctx := soon(t)
	return func() (int, bool) {
		n, err := b.Pop(ctx)
		if err != nil && err != ErrClosed {
			t.Errorf("Pop: %v", err)
		}
		return n, err == nil
	}
}

// Close against pushes and pops: all that was accepted comes out, and all consumers
// come to an end.
func TestBlocking_CloseAgainstAll(t *testing.T) {
	for kind := range blockings(2) {
		t.Run(kind, func(t *testing.T) {
			ctx := soon(t)
			for range rounds(20_000) {
				b := blockings(2)[kind]
				var pushed, popped atomic.Int32
				var g sync.WaitGroup
				for range 3 {
					g.Go(func() {
						for range 2 {
							if err := b.Push(ctx, 1); err == nil {
								pushed.Add(1)
							} else if err != ErrClosed {
								t.Errorf("Push: %v", err)
							}
						}
					})
					g.Go(func() {
						for n := range b.All() {
							popped.Add(int32(n))
						}
					})
				}
				runtime.Gosched()
				b.Close()
				g.Wait()
				if pushed.Load() != popped.Load() || b.Len() != 0 {
					t.Fatalf("%d pushed, %d popped, %d left", pushed.Load(), popped.Load(), b.Len())
				}
			}
		})
	}
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

// A lock hands on what the queue under it knows of time.
func TestLocked_Timed(t *testing.T) {
	at := time.Now()
	timed := must(NewLocked[int](&later{locked: locked{limit: 1}, at: at}))
	if _, ok := timed.NextDue(); ok {
		t.Error("an empty queue has something due")
	}
	timed.TryPush(1)
	if due, ok := timed.NextDue(); !ok || !due.Equal(at) {
		t.Errorf("due at %v, %t", due, ok)
	}
	if _, ok := must(NewLocked[int](&locked{limit: 1})).NextDue(); ok {
		t.Error("a queue that knows no time has something due")
	}
	if _, err := NewLocked[int](nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("of nil: %v", err)
	}
}

// After a panic of the queue under it the lock is free.
func TestLocked_Panic(t *testing.T) {
	q := &stuck{locked: locked{limit: 1}, pop: func() { panic("pop") }}
	l := must(NewLocked[int](q))
	if v := recovered(func() { l.TryPop() }); v != "pop" || l.Len() != 0 || !l.TryPush(1) {
		t.Errorf("panicked with %v", v)
	}
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

// Neither the fast way nor sleeping allocates, once there were as many sleepers.
func TestBlocking_Alloc(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for kind, b := range blockings(4) {
		ctx := t.Context()
		if kind == "locked" {
			continue // allocates itself
		}
		if n := testing.AllocsPerRun(1000, func() {
			_ = b.Push(ctx, 1)
			_, _ = b.Pop(ctx)
		}); n != 0 {
			t.Errorf("%s: %v allocations", kind, n)
		}
		quit := make(chan struct{})
		back := must(NewBlocking[int](must(NewMPMC[int](1))))
		go func() {
			defer close(quit)
			for n := range b.All() {
				_ = back.Push(ctx, n)
			}
		}()
		if n := testing.AllocsPerRun(1000, func() {
			_ = b.Push(ctx, 1)
			_, _ = back.Pop(ctx)
		}); n != 0 {
			t.Errorf("%s: %v allocations with sleeps", kind, n)
		}
		b.Close()
		<-quit
	}
}
