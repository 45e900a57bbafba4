package queue

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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

// While one that was woken is on its way nobody else is woken, however many items come.
// If it gives up, it wakes the next.
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
		b.TryPush(2)
		synctest.Wait()
		if got.Load() != 0 {
			t.Fatal("the second was woken too")
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

// A wait for what is due in an hour that ends before leaves no timer behind.
func TestBlocking_GoneAndNoTimerLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := must(NewBlocking[int](&later{locked: locked{limit: 1}, at: time.Now().Add(time.Hour)}))
		b.TryPush(1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, err := b.Pop(ctx); err == nil {
				t.Error("popped before it was due")
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if w := b.consumers.spare; w == nil || w.timer == nil || w.timer.Stop() {
			t.Error("the timer still runs, or there was none")
		}
	})
}
