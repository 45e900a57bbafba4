package core_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// gauge counts how many bodies execute at the same time. A body that waits
// inside for another task steps out for the time of the wait.
type gauge struct{ now, most, entered atomic.Int64 }

func (g *gauge) in() {
	n := g.now.Add(1)
	g.entered.Add(1)
	for {
		most := g.most.Load()
		if n <= most || g.most.CompareAndSwap(most, n) {
			return
		}
	}
}

func (g *gauge) out() { g.now.Add(-1) }

func (g *gauge) check(t testing.TB, allowed int) {
	t.Helper()
	if most := g.most.Load(); most > int64(allowed) {
		t.Errorf("%d bodies executed at the same time, allowed are %d", most, allowed)
	}
	if now := g.now.Load(); now != 0 {
		t.Errorf("%d bodies have not stepped out", now)
	}
}

// awaitOut awaits f inside a task that is counted by g.
func awaitOut[T any](ctx context.Context, g *gauge, f *core.Future[T]) (T, error) {
	g.out()
	defer g.in()
	return f.Await(ctx)
}

// fibonacci is a task that awaits a child in every node.
func fibonacci(e *core.Engine, g *gauge, n int) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		g.in()
		defer g.out()
		if n < 2 {
			return n, nil
		}
		a, err := core.Submit(ctx, e, fibonacci(e, g, n-1))
		if err != nil {
			return 0, err
		}
		b, err := core.Submit(ctx, e, fibonacci(e, g, n-2))
		if err != nil {
			return 0, err
		}
		x, err := awaitOut(ctx, g, a)
		if err != nil {
			return 0, err
		}
		y, err := awaitOut(ctx, g, b)
		return x + y, err
	})
}

func TestWait_E_CORE_05_Fibonacci(t *testing.T) {
	for workers, n := range map[int]int{1: 16, 2: 22, 3: 18} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			if n > 20 && raceEnabled {
				n = 18
			}
			e, g := engineFor(t, core.WithWorkers(workers)), new(gauge)
			want := map[int]int{16: 987, 18: 2584, 22: 17711}[n]
			got, err := must(t, e, fibonacci(e, g, n)).Await(soon(t))
			if got != want || err != nil {
				t.Fatalf("fib(%d) is %d, %v; want %d", n, got, err, want)
			}
			idle(t, e)
			g.check(t, workers)
		})
	}
}

// tree is a task with two children, each of which is awaited, down to depth.
func tree(e *core.Engine, g *gauge, depth int) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		g.in()
		defer g.out()
		bodies := 1
		if depth == 1 {
			return bodies, nil
		}
		var children []*core.Future[int]
		for range 2 {
			f, err := core.Submit(ctx, e, tree(e, g, depth-1))
			if err != nil {
				return 0, err
			}
			children = append(children, f)
		}
		for _, f := range children {
			n, err := awaitOut(ctx, g, f)
			if err != nil {
				return 0, err
			}
			bodies += n
		}
		return bodies, nil
	})
}

func TestWait_E_CORE_03_BothWorkersWait(t *testing.T) {
	for range 200 {
		e, g := engineFor(t, core.WithWorkers(2)), new(gauge)
		// Both parents run at the same time before either has a child.
		first, second := must(t, e, tree(e, g, 3)), must(t, e, tree(e, g, 3))
		n, err := first.Await(soon(t))
		m, err2 := second.Await(soon(t))
		if n+m != 2*(1+2+4) || err != nil || err2 != nil {
			t.Fatalf("%d and %d bodies, %v, %v", n, m, err, err2)
		}
		g.check(t, 2)
		if g.entered.Load() < 14 {
			t.Fatalf("%d bodies", g.entered.Load())
		}
		endEngine(t, e)
	}
}

// chainTask submits its successor and awaits it, depth times.
func chainTask(e *core.Engine, depth int) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		if depth == 0 {
			return 0, nil
		}
		f, err := core.Submit(ctx, e, chainTask(e, depth-1))
		if err != nil {
			return 0, err
		}
		n, err := f.Await(ctx)
		return n + 1, err
	})
}

func TestWait_Depth10000(t *testing.T) {
	for _, workers := range []int{1, 2, 4} {
		e := engineFor(t, core.WithWorkers(workers), core.WithQueueCapacity(2))
		n, err := must(t, e, chainTask(e, 10_000)).Await(soon(t))
		if n != 10_000 || err != nil {
			t.Errorf("%d workers: depth %d, %v", workers, n, err)
		}
	}
}

// A task may submit far more children than the queue has room for, and await
// them in any order.
func TestWait_Width(t *testing.T) {
	for _, workers := range []int{1, 2} {
		for _, capacity := range []int{1, 16, 20_000} {
			e, g := engineFor(t, core.WithWorkers(workers), core.WithQueueCapacity(capacity)), new(gauge)
			f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
				var children []*core.Future[int]
				for i := range 2000 {
					f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
						g.in()
						defer g.out()
						return i, nil
					}))
					if err != nil {
						return 0, err
					}
					children = append(children, f)
				}
				sum := 0
				for i := range children {
					n, err := children[(i*7)%len(children)].Await(ctx)
					if err != nil {
						return 0, err
					}
					sum += n
				}
				return sum, nil
			}))
			if sum, err := f.Await(soon(t)); sum != 1999*1000 || err != nil {
				t.Errorf("%d workers, capacity %d: %d, %v", workers, capacity, sum, err)
			}
			g.check(t, workers)
		}
	}
}

// E-CORE-06: the submission blocks, not the wait.
func TestWait_E_CORE_06_SubmitIntoOwnFullQueue(t *testing.T) {
	for range 300 {
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
		started, gate := make(chan struct{}), make(chan struct{})
		parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			close(started)
			<-gate
			f, err := core.Submit(ctx, e, value(20)) // the queue is full
			if err != nil {
				return 0, err
			}
			if err := e.GoContext(ctx, func() {}); err != nil {
				return 0, err
			}
			n, err := f.Await(ctx)
			return n + 1, err
		}))
		receive(t, started, "start")
		other := must(t, e, value(1))
		close(gate)
		if n, err := parent.Await(soon(t)); n != 21 || err != nil {
			t.Fatalf("parent: %d, %v", n, err)
		}
		if n, err := other.Await(soon(t)); n != 1 || err != nil {
			t.Fatalf("other: %d, %v", n, err)
		}
		endEngine(t, e)
	}
}

// One worker, a long queue of others' tasks: the child that is awaited does not
// queue behind them, and none of them runs inside the waiter. (P-C12)
func TestWait_ForeignLoad(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	started, gate := make(chan struct{}), make(chan struct{})
	var strangers atomic.Int64
	var held sync.Mutex
	waiter := must(t, e, core.Func(func(ctx context.Context) (int64, error) {
		held.Lock() // a stranger on this stack would wait for it for ever
		defer held.Unlock()
		close(started)
		<-gate
		for range 50 {
			f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
				_, err := core.Run(ctx, e, value(1))
				return 1, err
			}))
			if err != nil {
				return 0, err
			}
			if _, err := f.Await(ctx); err != nil {
				return 0, err
			}
		}
		return strangers.Load(), nil
	}))
	receive(t, started, "start")
	for range 900 {
		if err := e.Go(func() { held.Lock(); strangers.Add(1); held.Unlock() }); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	if n, err := waiter.Await(soon(t)); n != 0 || err != nil {
		t.Errorf("%d strangers ran before the waiter was through, %v", n, err)
	}
	idle(t, e)
	if n := strangers.Load(); n != 900 {
		t.Errorf("%d of 900 strangers ran", n)
	}
}

// A waiter that has handed its slot over gets one again although others' work
// never ends.
func TestWait_ResumesBeforeNewWork(t *testing.T) {
	e, g := engineFor(t, core.WithWorkers(2), core.WithUnboundedQueue()), new(gauge)
	var stop atomic.Bool
	t.Cleanup(func() { stop.Store(true) })
	var feed func()
	feed = func() {
		g.in()
		if !stop.Load() {
			_ = e.Go(feed)
		}
		g.out()
	}
	for round := range 50 {
		// The awaited task runs on the other worker, so that rule two applies.
		running, gate := make(chan struct{}), make(chan struct{})
		awaited := must(t, e, core.Func(func(context.Context) (int, error) {
			g.in()
			defer g.out()
			close(running)
			<-gate
			return 7, nil
		}))
		receive(t, running, "start")
		waits := make(chan struct{})
		waiter := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			g.in()
			defer g.out()
			close(waits)
			return awaitOut(ctx, g, awaited)
		}))
		receive(t, waits, "wait")
		if round == 0 {
			for range 20 {
				if err := e.Go(feed); err != nil {
					t.Fatal(err)
				}
			}
		}
		close(gate)
		if n, err := waiter.Await(soon(t)); n != 7 || err != nil {
			t.Fatalf("round %d: %d, %v; %+v", round, n, err, e.Stats())
		}
	}
	stop.Store(true)
	idle(t, e)
	g.check(t, 2)
}

// The slot of a waiter does other work meanwhile, and the figures say so.
func TestWait_HandsSlotOver(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	running, gate := make(chan struct{}), make(chan struct{})
	awaited := must(t, e, core.Func(func(context.Context) (int, error) { close(running); <-gate; return 3, nil }))
	receive(t, running, "start")
	waiter := must(t, e, core.Func(func(ctx context.Context) (int, error) { return awaited.Await(ctx) }))
	release := occupy(t, e, 1) // runs in the slot of the waiter
	s := e.Stats()
	if s.Running != 3 || s.Waiting != 1 || s.Idle != 0 || s.Workers != 2 {
		t.Errorf("%+v", s)
	}
	close(gate)
	if n, err := waiter.Await(soon(t)); n != 3 || err != nil { // in the slot of the awaited one
		t.Errorf("%d, %v", n, err)
	}
	release()
}
