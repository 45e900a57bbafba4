package queue

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A loop that panics, or ends its goroutine, has the item that it was given, and
// nobody else's; the same sequence can be ranged over again.
func TestBlocking_AllPanicInTheLoop(t *testing.T) {
	forEach(t, 6, func(t *testing.T, b *Blocking[int]) {
		for n := range 6 {
			b.TryPush(n)
		}
		all := b.All()
		var got []int
		v := recovered(func() {
			for n := range all {
				got = append(got, n)
				if n == 1 {
					panic("loop")
				}
			}
		})
		if v != "loop" || b.Len() != 4 {
			t.Errorf("panicked with %v, %d are left", v, b.Len())
		}
		go func() {
			for n := range all {
				got = append(got, n)
				if n == 3 {
					runtime.Goexit()
				}
			}
		}()
		synctest.Wait()
		b.Close()
		for n := range all {
			got = append(got, n)
		}
		for n := range all {
			t.Errorf("%d came after the end", n)
		}
		if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) {
			t.Errorf("got %v", got)
		}
	})
}

// Several loops over one sequence share the items, and leave and come back as they
// like.
func TestBlocking_AllManyRangers(t *testing.T) {
	for kind, b := range blockings(3) {
		t.Run(kind, func(t *testing.T) {
			all, n := b.All(), rounds(20_000)
			var rangers sync.WaitGroup
			var sum, count atomic.Int64
			for range 3 {
				rangers.Go(func() {
					for !b.Closed() || b.Len() > 0 {
						turn := 0
						for item := range all {
							sum.Add(int64(item))
							count.Add(1)
							if turn++; turn == 7 {
								break
							}
						}
					}
				})
			}
			ctx := soon(t)
			for i := range n {
				if err := b.Push(ctx, i); err != nil {
					t.Fatal(err)
				}
			}
			b.Close()
			rangers.Wait()
			if count.Load() != int64(n) || sum.Load() != int64(n)*int64(n-1)/2 {
				t.Errorf("%d of %d items came, their sum is %d", count.Load(), n, sum.Load())
			}
		})
	}
}

// A context that ends in the moment in which its goroutine is woken: either the call
// succeeds, or the item, or the room, is for the next one. No call does both.
func TestBlocking_ContextEndsAtTheWakeUp(t *testing.T) {
	for kind := range blockings(1) {
		t.Run(kind, func(t *testing.T) {
			for round := range rounds(1000) {
				synctest.Test(t, func(t *testing.T) { endAtTheWakeUp(t, blockings(1)[kind], round) })
			}
		})
	}
}

func endAtTheWakeUp(t *testing.T, b *Blocking[int], round int) {
	ctx, cancel := context.WithCancel(t.Context())
	var ended atomic.Int32
	call := func(ctx context.Context) error { _, err := b.Pop(ctx); return err }
	change := func() { b.TryPush(1) }
	left := 0
	if b.Cap() == 1 && round%2 == 0 { // the same for room
		b.TryPush(1)
		call = func(ctx context.Context) error { return b.Push(ctx, 1) }
		change = func() { b.TryPop() }
		left = 1
	}
	for _, ctx := range []context.Context{ctx, t.Context()} {
		go func() {
			if call(ctx) == nil {
				ended.Add(1)
			}
		}()
		synctest.Wait()
	}
	if round/2%2 == 0 {
		cancel() // the first leaves by this, and is woken on its way
		change()
	} else {
		change()
		cancel()
	}
	synctest.Wait()
	if ended.Load() != 1 || b.Len() != left {
		t.Fatalf("round %d: %d calls have succeeded, Len() = %d", round, ended.Load(), b.Len())
	}
	b.Close()
}

// Close against pushes into a queue with room: what was accepted comes out, and
// nothing else; all goroutines end.
func TestBlocking_E_QUE_16_CloseAgainstPushes(t *testing.T) {
	for kind := range blockings(64) {
		t.Run(kind, func(t *testing.T) {
			for round := range rounds(2000) {
				b := blockings(64)[kind]
				ctx := context.Background()
				var accepted, came atomic.Int32
				var all sync.WaitGroup
				for range 3 {
					all.Go(func() {
						for range 40 {
							if b.Push(ctx, 1) != nil {
								return
							}
							accepted.Add(1)
						}
					})
				}
				for range 2 {
					all.Go(func() {
						for n := range b.All() {
							came.Add(int32(n))
						}
					})
				}
				for range round % 8 {
					runtime.Gosched()
				}
				b.Close()
				all.Wait()
				if accepted.Load() != came.Load() || b.Len() != 0 {
					t.Fatalf("%d accepted, %d came, Len() = %d", accepted.Load(), came.Load(), b.Len())
				}
			}
		})
	}
}
