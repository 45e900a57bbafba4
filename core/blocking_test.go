package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
)

// TestBlocking_HoldsNoWorker: a hundred tasks of one worker wait on a channel for a task
// of the same engine, and only one of them goes on at a time.
func TestBlocking_HoldsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		open := make(chan struct{})
		var running, past, most atomic.Int64
		for range 100 {
			must(t, e, core.Func(func(ctx context.Context) (int, error) {
				core.Blocking(ctx, func() { <-open })
				most.Store(max(most.Load(), running.Add(1)))
				runtime.Gosched()
				running.Add(-1)
				past.Add(1)
				return 0, nil
			}))
		}
		synctest.Wait()
		if s := e.Stats(); s.Running != 100 || s.Waiting != 100 || s.Idle != 1 {
			t.Errorf("%d run, of which %d wait, %d workers are idle; want 100, 100, 1", s.Running, s.Waiting, s.Idle)
		}
		must(t, e, core.Func(func(context.Context) (int, error) { close(open); return 0, nil }))
		idle(t, e)
		if past.Load() != 100 || most.Load() != 1 {
			t.Errorf("%d came through, %d at a time; want 100, 1", past.Load(), most.Load())
		}
	})
}

// What the function does to its goroutine reaches the task, and the slot comes back.
func TestBlocking_PanicAndGoexit(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), quietly())
	for fault, want := range map[string]error{"panic": core.ErrPanicked, "Goexit": core.ErrGoexit, "nil function": core.ErrPanicked} {
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			core.Blocking(ctx, map[string]func(){"panic": func() { panic(1) }, "Goexit": runtime.Goexit}[fault])
			return 0, nil
		}))
		if _, err := f.Await(soon(t)); !errors.Is(err, want) {
			t.Errorf("%s: %v", fault, err)
		}
	}
	fill(t, e, 10)
	idle(t, e)
	allIdle(t, e)
	if s := e.Stats(); s.Workers != 1 || s.Waiting != 0 {
		t.Errorf("after: %+v", s)
	}
}

// Outside a task, and after its end, it is a plain call.
func TestBlocking_Outside(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	calls := 0
	var late context.Context
	if _, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (int, error) { late = ctx; return 0, nil })); err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{nil, context.Background(), soon(t), late} {
		core.Blocking(ctx, func() { calls++ })
	}
	if calls != 4 {
		t.Errorf("%d calls of 4", calls)
	}
}

// Inside it a task may do what it does otherwise: block again, submit, await, from
// several goroutines.
func TestBlocking_Nested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		child := core.Func(func(context.Context) (int, error) { return 1, nil })
		sum, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			var sum atomic.Int64
			core.Blocking(ctx, func() {
				var group sync.WaitGroup
				for range 4 {
					group.Go(func() {
						core.Blocking(ctx, func() {
							n, err := core.Run(ctx, e, child)
							if err != nil {
								t.Error(err)
							}
							sum.Add(int64(n))
						})
					})
				}
				group.Wait()
			})
			return int(sum.Load()), nil
		}))
		if sum != 4 || err != nil {
			t.Errorf("%d, %v", sum, err)
		}
	})
}

// A stop waits for who blocks, a forced one gives it up, and tells.
func TestBlocking_Stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := core.New(core.WithWorkers(1), quietly())
		if err != nil {
			t.Fatal(err)
		}
		open := make(chan struct{})
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			core.Blocking(ctx, func() { <-open })
			return 1, nil
		}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		synctest.Wait()
		if err := e.Close(ctx); !errors.Is(err, core.ErrShutdown) {
			t.Errorf("Close: %v", err)
		}
		if _, err := f.Await(t.Context()); err == nil {
			t.Error("the task was given up, and has no error")
		}
		close(open)
		synctest.Wait()
		if s := e.Stats(); s.Goroutines != 0 {
			t.Errorf("%d goroutines are left", s.Goroutines)
		}
	})
}

// BenchmarkBlocking is a task's call of a function that returns at once.
func BenchmarkBlocking(b *testing.B) {
	e := benchEngine(b, 2)
	b.ReportAllocs()
	_, err := core.Run(b.Context(), e, core.Func(func(ctx context.Context) (int, error) {
		for b.Loop() {
			core.Blocking(ctx, func() {})
		}
		return 0, nil
	}))
	if err != nil {
		b.Fatal(err)
	}
	_ = e.Shutdown(b.Context())
}
