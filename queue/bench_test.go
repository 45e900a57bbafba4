package queue

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// Each benchmark is named kind/shape, the shape being producers x consumers; a
// nanosecond is one of wall time for one item that goes through from end to end.
// The baselines are a buffered channel and a ring under a mutex. Compare ratios of
// runs that take turns (-count=6), not figures of two runs.

const benchSlots = 1024

// mutexRing is the plain way to write a queue.
type mutexRing struct {
	mu    sync.Mutex
	items [benchSlots]int
	first int
	count int
}

func (q *mutexRing) TryPush(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == len(q.items) {
		return false
	}
	q.items[(q.first+q.count)%len(q.items)] = n
	q.count++
	return true
}

func (q *mutexRing) TryPop() (n int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		return 0, false
	}
	n = q.items[q.first]
	q.first = (q.first + 1) % len(q.items)
	q.count--
	return n, true
}

func (q *mutexRing) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

func (q *mutexRing) Cap() int { return len(q.items) }

// through moves b.N items from producers to consumers.
func through(b *testing.B, producers, consumers int, push func(n int), pop func(n int)) {
	b.ReportAllocs()
	var g sync.WaitGroup
	for i := range producers {
		g.Go(func() { push(share(b.N, producers, i)) })
	}
	for i := range consumers {
		g.Go(func() { pop(share(b.N, consumers, i)) })
	}
	g.Wait()
}

func share(n, parts, i int) int { return n*(i+1)/parts - n*i/parts }

func benchChannel(b *testing.B, producers, consumers int) {
	ch := make(chan int, benchSlots)
	through(b, producers, consumers, func(n int) {
		for i := range n {
			ch <- i
		}
	}, func(n int) {
		for range n {
			<-ch
		}
	})
}

// benchTry lets others run when it is refused.
func benchTry(b *testing.B, q Queue[int], producers, consumers int) {
	through(b, producers, consumers, func(n int) {
		for i := range n {
			for !q.TryPush(i) {
				runtime.Gosched()
			}
		}
	}, func(n int) {
		for range n {
			for _, ok := q.TryPop(); !ok; _, ok = q.TryPop() {
				runtime.Gosched()
			}
		}
	})
}

// benchBatch does it with up to 64 items at a time.
func benchBatch(b *testing.B, q batcher[int], producers, consumers int) {
	through(b, producers, consumers, func(n int) {
		var items [64]int
		for n > 0 {
			k := q.PushAll(items[:min(n, len(items))])
			if n -= k; k == 0 {
				runtime.Gosched()
			}
		}
	}, func(n int) {
		var items [64]int
		for n > 0 {
			k := q.(popAller[int]).PopAll(items[:min(n, len(items))])
			if n -= k; k == 0 {
				runtime.Gosched()
			}
		}
	})
}

func benchBlocking(b *testing.B, q Queue[int], producers, consumers int) {
	ctx, a := context.Background(), must(NewBlocking(q))
	through(b, producers, consumers, func(n int) {
		for i := range n {
			_ = a.Push(ctx, i)
		}
	}, func(n int) {
		for range n {
			_, _ = a.Pop(ctx)
		}
	})
}

func shapes(b *testing.B, sizes []int, run func(b *testing.B, producers, consumers int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("%dx%d", n, n), func(b *testing.B) { run(b, n, n) })
	}
}

var allShapes = []int{1, 2, 4, 8, 64}

// BenchmarkTry is the queue alone: who is refused lets others run and tries again.
func BenchmarkTry(b *testing.B) {
	b.Run("channel", func(b *testing.B) { shapes(b, allShapes, benchChannel) })
	for _, c := range []struct {
		kind  string
		sizes []int
		make  func() Queue[int]
	}{
		{"mutex", allShapes, func() Queue[int] { return new(mutexRing) }},
		{"MPMC", allShapes, func() Queue[int] { return must(NewMPMC[int](benchSlots)) }},
		{"Unbounded", allShapes, func() Queue[int] { return NewUnbounded[int]() }},
		{"MPSC", []int{1}, func() Queue[int] { return NewMPSC[int]() }},
		{"SPSC", []int{1}, func() Queue[int] { return must(NewSPSC[int](benchSlots)) }},
	} {
		b.Run(c.kind, func(b *testing.B) {
			shapes(b, c.sizes, func(b *testing.B, p, n int) { benchTry(b, c.make(), p, n) })
		})
	}
	b.Run("channel/8x1", func(b *testing.B) { benchChannel(b, 8, 1) })
	b.Run("MPSC/8x1", func(b *testing.B) { benchTry(b, NewMPSC[int](), 8, 1) })
}

// BenchmarkBatch is the same with PushAll and PopAll of 64 items.
func BenchmarkBatch(b *testing.B) {
	b.Run("channel", func(b *testing.B) { shapes(b, allShapes, benchChannel) })
	b.Run("MPMC", func(b *testing.B) {
		shapes(b, allShapes, func(b *testing.B, p, n int) { benchBatch(b, must(NewMPMC[int](benchSlots)), p, n) })
	})
	b.Run("Unbounded", func(b *testing.B) {
		shapes(b, allShapes, func(b *testing.B, p, n int) { benchBatch(b, NewUnbounded[int](), p, n) })
	})
	b.Run("SPSC/1x1", func(b *testing.B) { benchBatch(b, must(NewSPSC[int](benchSlots)), 1, 1) })
	b.Run("MPSC/1x1", func(b *testing.B) { benchBatch(b, NewMPSC[int](), 1, 1) })
}

// BenchmarkBlocking is the adapter: who is refused sleeps until it is woken.
func BenchmarkBlocking(b *testing.B) {
	b.Run("channel", func(b *testing.B) { shapes(b, allShapes, benchChannel) })
	for _, c := range []struct {
		kind  string
		sizes []int
		make  func() Queue[int]
	}{
		{"mutex", allShapes, func() Queue[int] { return new(mutexRing) }},
		{"MPMC", allShapes, func() Queue[int] { return must(NewMPMC[int](benchSlots)) }},
		{"Unbounded", allShapes, func() Queue[int] { return NewUnbounded[int]() }},
		{"SPSC", []int{1}, func() Queue[int] { return must(NewSPSC[int](benchSlots)) }},
	} {
		b.Run(c.kind, func(b *testing.B) {
			shapes(b, c.sizes, func(b *testing.B, p, n int) { benchBlocking(b, c.make(), p, n) })
		})
	}
}

// BenchmarkPair is a push and a pop by one goroutine, alone: the price of the
// instructions, without other processors.
func BenchmarkPair(b *testing.B) {
	b.Run("channel", func(b *testing.B) {
		ch := make(chan int, benchSlots)
		for i := range b.N {
			ch <- i
			<-ch
		}
	})
	kinds := map[string]Queue[int]{"mutex": new(mutexRing)}
	for kind, make := range all[int](benchSlots) {
		kinds[kind] = make(0)
		kinds["Blocking/"+kind] = must(NewBlocking[int](make(0)))
	}
	kinds["Blocking/mutex"] = must(NewBlocking[int](new(mutexRing)))
	kinds["MPMC of 1000"] = must(NewMPMC[int](1000))
	for kind, q := range kinds {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				q.TryPush(i)
				q.TryPop()
			}
		})
	}
}

// BenchmarkSteal is a push by the owner and a steal of it by another goroutine.
func BenchmarkSteal(b *testing.B) {
	d := NewDeque[int]()
	through(b, 1, 1, func(n int) {
		for i := range n {
			for d.Len() >= benchSlots/2 {
				runtime.Gosched()
			}
			d.TryPush(i)
		}
	}, func(n int) {
		var into [64]int
		for n > 0 {
			k := d.StealHalf(into[:min(n, len(into))])
			if n -= k; k == 0 {
				runtime.Gosched()
			}
		}
	})
}
