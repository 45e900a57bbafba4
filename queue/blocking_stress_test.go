package queue

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

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

// Neither the fast way nor sleeping allocates, once there were as many sleepers.
func TestBlocking_Alloc(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself: bash .ci/run allocs")
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
