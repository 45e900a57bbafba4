package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

func TestPause_E_STOP_11_NoStarts(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithUnboundedQueue())
	running, gate := make(chan struct{}), make(chan struct{})
	runs := must(t, e, core.Func(func(ctx context.Context) (error, error) {
		close(running)
		<-gate
		return ctx.Err(), nil
	}))
	receive(t, running, "start")
	var order []int
	add := func(from, to int) {
		for i := from; i < to; i++ {
			if err := e.Go(func() { order = append(order, i) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(0, 5000) // a backlog
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := e.Pause(); err != nil || !e.IsPaused() || !e.IsRunning() {
		t.Errorf("second Pause: %v; paused %v, running %v", err, e.IsPaused(), e.IsRunning())
	}
	add(5000, 5100)
	close(gate)
	if failure, err := runs.Await(soon(t)); failure != nil || err != nil {
		t.Errorf("the running task was disturbed: %v, %v", failure, err)
	}
	synchronise(t, "idle worker", func() bool { return e.Stats().Idle == 1 })
	if s := e.Stats(); s.Queued != 5100 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := e.Resume(); err != nil || e.IsPaused() {
		t.Errorf("second Resume: %v, paused %v", err, e.IsPaused())
	}
	idle(t, e)
	want := make([]int, 5100)
	for i := range want {
		want[i] = i
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error("the order changed")
	}
}

// A task that awaits a queued one waits until Resume, and does not run it.
func TestPause_AwaitInsideTask(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	running, gate := make(chan struct{}), make(chan struct{})
	var started atomic.Bool
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		close(running)
		<-gate
		child, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) { started.Store(true); return 2, nil }))
		if err != nil {
			return 0, err
		}
		return child.Await(ctx)
	}))
	receive(t, running, "start")
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	close(gate)
	synchronise(t, "wait", func() bool { return e.Stats().Waiting == 1 })
	allIdle(t, e)
	if s := e.Stats(); started.Load() || s.Queued != 1 {
		t.Errorf("started %v; %+v", started.Load(), s)
	}
	// Outside it is the same, also for a waiter that cannot be cancelled.
	outside := must(t, e, value(3))
	got := make(chan int, 1)
	go func() { n, _ := outside.Get(); got <- n }()
	if outside.IsDone() || e.Stats().Succeeded != 0 {
		t.Error("a task ran while the engine was paused")
	}
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Await(soon(t)); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n := receive(t, got, "value"); n != 3 {
		t.Errorf("%d", n)
	}
}

// No start may fall between the return of Pause and the call of Resume, by
// whatever way tasks start: workers, waiters, submitters. (P-C13)
func TestPause_FlipsUnderLoad(t *testing.T) {
	for _, policy := range []core.RejectPolicy{core.RejectWait, core.RejectCallerRuns} {
		t.Run(policy.String(), func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(8), core.WithReject(policy))
			quit := make(chan struct{})
			var load sync.WaitGroup
			for range 3 {
				load.Go(func() {
					for {
						select {
						case <-quit:
							return
						default:
						}
						_ = e.Go(func() {})
						_, _ = core.Run(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
							return core.Run(ctx, e, value(1))
						}))
					}
				})
			}
			for range rounds(500) {
				if err := e.Pause(); err != nil {
					t.Fatal(err)
				}
				before := e.Stats()
				for range 20 {
					after := e.Stats()
					if n, m := before.Running+int(before.Ended()), after.Running+int(after.Ended()); m > n {
						t.Fatalf("%d tasks started while the engine was paused:\n%+v\n%+v", m-n, before, after)
					}
				}
				if err := e.Resume(); err != nil {
					t.Fatal(err)
				}
				synchronise(t, "progress", func() bool { return e.Stats().Ended() > before.Ended() })
			}
			close(quit)
			load.Wait()
			idle(t, e)
		})
	}
}

// Of Shutdown, Pause and Resume at the same time none hangs and nothing is lost.
func TestPause_RaceWithShutdown(t *testing.T) {
	outcomes := map[bool]int{}
	for i := range 1000 {
		e := freshEngine(t, core.WithWorkers(2))
		futures := make([]*core.Future[int], 10)
		for i := range futures {
			futures[i] = must(t, e, value(i))
		}
		start := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			<-start
			for range i % 7 {
				runtime.Gosched()
			}
			err := e.Pause()
			if err != nil && !errors.Is(err, core.ErrClosed) {
				t.Error(err)
			}
			outcomes[err == nil]++
		})
		var verdict error
		wg.Go(func() {
			<-start
			for range i % 11 {
				runtime.Gosched()
			}
			verdict = e.Shutdown(soon(t))
		})
		close(start)
		wg.Wait()
		if verdict != nil {
			t.Fatal(verdict)
		}
		for i, f := range futures {
			if n, err := f.GetWithTimeout(0); n != i || err != nil {
				t.Fatalf("task %d: %d, %v", i, n, err)
			}
		}
		over(t, e)
	}
	if len(outcomes) != 2 {
		unseen(t, "an outcome never occurred: %v", outcomes)
	}
}

// Tasks are accepted while the engine is paused, up to the capacity.
func TestPause_FullQueue(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(2))
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	fill(t, e, 2)
	if err := e.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
		t.Errorf("%v", err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Go(func() {}) }()
	synchronise(t, "blocked submitter", func() bool { return e.Stats().Blocked == 1 })
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, done, "room"); err != nil {
		t.Error(err)
	}
	idle(t, e)
	if s := e.Stats(); s.Succeeded != 3 || s.Rejected.Full != 1 {
		t.Errorf("%+v", s)
	}
}

// P-C13: once Pause has returned nothing starts: what runs may end, and the sum of
// what runs and what has ended stays.
func TestPause_NothingStartsAfterwards(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	stop := make(chan struct{})
	var producer sync.WaitGroup
	producer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := e.GoContext(t.Context(), func() {}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for range rounds(3000) {
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		before := started(e)
		for range 10 {
			runtime.Gosched()
		}
		if after := started(e); after != before {
			t.Errorf("%d functions started while the engine was paused", after-before)
		}
		if err := e.Resume(); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	close(stop)
	producer.Wait()
}

// started returns how many tasks have ever started; none was removed.
func started(e *core.Engine) uint64 {
	s := e.Stats()
	return s.Ended() + uint64(s.Running)
}

// Close of a paused engine starts nothing of what is queued: it is handed back.
func TestPause_CloseStartsNothing(t *testing.T) {
	for range rounds(1000) {
		e, err := core.New(core.WithWorkers(2))
		if err != nil {
			t.Fatal(err)
		}
		// A worker that is awake is faster than one that has to be started.
		if _, err := core.Run(t.Context(), e, value(1)); err != nil {
			t.Fatal(err)
		}
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		must(t, e, value(2))
		var report *core.ShutdownError
		if err := e.Close(soon(t)); !errors.As(err, &report) || len(report.Undone) != 1 {
			t.Fatalf("Close of a paused engine with one queued task: %v", err)
		}
	}
}
