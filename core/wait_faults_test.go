package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// throwaway makes an engine that is thrown away at the end, whatever hangs.
func throwaway(t testing.TB, options ...core.Option) *core.Engine {
	t.Helper()
	e, err := core.New(append(options, core.WithCancelGrace(time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		go e.Close(context.Background())
	})
	return e
}

// A task awaits two children in goroutines of its own, each with the task's
// context, as with errgroup. One worker.
func TestWaitFaults_AwaitInGoroutines(t *testing.T) {
	e := throwaway(t, core.WithWorkers(1))
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				_, _ = core.Run(ctx, e, value(1))
			})
		}
		group.Wait()
		return 1, nil
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("%v: %+v", err, e.Stats())
	}
}

// The same with a single goroutine: the task itself awaits the other child.
func TestWaitFaults_AwaitBesideOwnGoroutine(t *testing.T) {
	e := throwaway(t, core.WithWorkers(1))
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		inFirst, second := make(chan struct{}), make(chan struct{})
		go func() {
			_, _ = core.Run(ctx, e, core.Func(func(context.Context) (int, error) {
				close(inFirst)
				<-second
				return 1, nil
			}))
		}()
		<-inFirst
		child, err := core.Submit(ctx, e, value(2))
		if err != nil {
			return 0, err
		}
		close(second)
		return child.Await(ctx)
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("%v: %+v", err, e.Stats())
	}
}

// A task asks to be run again while a goroutine of its own still waits with its
// context. The context of the run ends, so that wait ends.
func TestWaitFaults_AgainWhileOwnGoroutineWaits(t *testing.T) {
	e := throwaway(t, core.WithWorkers(2))
	gate := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(gate) }))
	never := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		if core.Attempt(ctx) > 0 {
			return 7, nil
		}
		go func() { _, _ = never.Await(ctx) }()
		for e.Stats().Waiting == 0 {
			runtime.Gosched()
		}
		return 0, core.Again(0, nil)
	}))
	if v, err := f.Await(soon(t)); err != nil || v != 7 {
		t.Errorf("%v %v: %+v", v, err, e.Stats())
	}
}

// The same, cancelled meanwhile: Cancel must return.
func TestWaitFaults_AgainWhileOwnGoroutineWaitsCancel(t *testing.T) {
	e := throwaway(t, core.WithWorkers(2))
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	never := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
	returning := make(chan struct{}, 2)
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		go func() { _, _ = never.Await(ctx) }()
		for e.Stats().Waiting == 0 {
			runtime.Gosched()
		}
		defer func() { returning <- struct{}{} }()
		return 0, core.Again(time.Hour, nil)
	}))
	receive(t, returning, "return")
	for ctx := soon(t); e.Stats().Delayed == 0 && ctx.Err() == nil; {
		runtime.Gosched()
	}
	done := make(chan bool, 1)
	go func() { done <- f.Cancel() }()
	select {
	case <-done:
	case <-soon(t).Done():
		t.Error("Cancel does not return (and spins)")
	}
	open()
}

// -race: the end of a task, and that of a child which a goroutine of the task
// runs inline, change worker.nested under different mutexes.
func TestWaitFaults_RaceOfNested(t *testing.T) {
	e := throwaway(t, core.WithWorkers(3))
	for range 200 {
		gate := make(chan struct{})
		other := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
		task := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			ready := make(chan struct{})
			go func() {
				_, _ = core.Run(ctx, e, core.Func(func(ctx context.Context) (int, error) {
					close(ready)
					return other.Await(ctx)
				}))
			}()
			<-ready
			<-gate
			return 1, nil
		}))
		for e.Stats().Waiting == 0 {
			runtime.Gosched()
		}
		close(gate)
		_, _ = task.Get()
		idle(t, e)
	}
}

// DESIGN: every call that blocks and is given a task's context hands the slot
// over. A task waits for room in the full queue of another engine, whose only
// task waits for a task queued behind the waiter.
func TestWaitFaults_RoomInOtherEngine(t *testing.T) {
	a := throwaway(t, core.WithName("a"), core.WithWorkers(1))
	b := throwaway(t, core.WithName("b"), core.WithWorkers(1), core.WithQueueCapacity(1))
	second := make(chan *core.Future[int], 1)
	must(t, b, core.Func(func(context.Context) (int, error) { return (<-second).Get() }))
	for b.Stats().Running == 0 {
		runtime.Gosched()
	}
	fill(t, b, 1)
	f := must(t, a, core.Func(func(ctx context.Context) (int, error) {
		go func() {
			for b.Stats().Blocked == 0 {
				runtime.Gosched()
			}
			second <- must(t, a, value(1))
		}()
		_, err := core.Submit(ctx, b, value(3))
		return 1, err
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("%v: a %+v", err, a.Stats())
	}
}

// The same with WaitIdle of the other engine.
func TestWaitFaults_WaitIdleOfOtherEngine(t *testing.T) {
	a := throwaway(t, core.WithName("a"), core.WithWorkers(1))
	b := throwaway(t, core.WithName("b"), core.WithWorkers(1))
	second := make(chan *core.Future[int], 1)
	must(t, b, core.Func(func(ctx context.Context) (int, error) { return (<-second).Await(ctx) }))
	f := must(t, a, core.Func(func(ctx context.Context) (int, error) {
		second <- must(t, a, value(1))
		return 1, b.WaitIdle(ctx)
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("%v: a %+v", err, a.Stats())
	}
}

// A Worker hook that takes its time, or uses the engine, holds the seat: no other
// worker is woken meanwhile.
func TestWaitFaults_WorkerHookHoldsSeat(t *testing.T) {
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	inHook := make(chan struct{})
	e := throwaway(t, core.WithWorkers(4), core.WithHooks(core.Hooks{Worker: func(id int, started bool) {
		if id == 0 && started {
			close(inHook)
			<-gate
		}
	}}))
	must(t, e, value(1))
	<-inHook
	var all []*core.Future[int]
	for range 8 {
		all = append(all, must(t, e, value(2)))
	}
	for _, f := range all[:7] {
		if _, err := f.Await(soon(t)); err != nil {
			t.Errorf("3 of 4 workers are idle: %v: %+v", err, e.Stats())
			break
		}
	}
	open()
}

// The same, and the hook waits for a task: hooks may call the engine.
func TestWaitFaults_WorkerHookRuns(t *testing.T) {
	var e *core.Engine
	ready := make(chan struct{})
	e = throwaway(t, core.WithWorkers(4), core.WithHooks(core.Hooks{Worker: func(id int, started bool) {
		<-ready
		if id == 0 && started {
			_, _ = core.Run(context.Background(), e, value(1))
		}
	}}))
	close(ready)
	f := must(t, e, value(1))
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("%v: %+v", err, e.Stats())
	}
}

// At a forced stop a task that obeys, and cannot get its slot back because the
// task that it waited for ignores the stop, is reported as ignoring it.
func TestWaitFaults_ObeyingWaiterIsBlamed(t *testing.T) {
	e, err := core.New(core.WithWorkers(1), core.WithCancelGrace(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	defer close(gate)
	started := make(chan struct{})
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		child, err := core.SubmitWith(ctx, e, core.Attributes{Name: "stubborn"}, core.Func(func(context.Context) (int, error) {
			close(started)
			<-gate
			return 0, nil
		}))
		if err != nil {
			return 0, err
		}
		derived, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		return child.Await(derived)
	}))
	<-started
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	err = e.Shutdown(ended)
	var report *core.ShutdownError
	if !errors.As(err, &report) || len(report.Ignoring) != 1 || report.Ignoring[0].Name != "stubborn" || report.Canceled != 1 {
		t.Errorf("%v", err)
	}
	if _, err := f.Get(); errors.Is(err, core.ErrAbandoned) {
		t.Errorf("the obeying task: %v", err)
	}
}

// An Ended hook ends the worker's goroutine by Goexit while a child still runs in the
// task's slot, on a goroutine of the task's: the slot must not be used twice.
func TestWaitFaults_GoexitInEndedHookSlotTwice(t *testing.T) {
	e := throwaway(t, core.WithWorkers(1), core.WithHooks(core.Hooks{Ended: func(i core.EndInfo) {
		if i.Job.Name() == "outer" {
			runtime.Goexit()
		}
	}}))
	gate, inside := make(chan struct{}), make(chan struct{})
	f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "outer"}, core.Func(func(ctx context.Context) (int, error) {
		go func() {
			_, _ = core.Run(ctx, e, core.Func(func(context.Context) (int, error) {
				close(inside)
				<-gate
				return 1, nil
			}))
		}()
		<-inside
		return 1, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Get()
	second := must(t, e, core.Func(func(context.Context) (int, error) {
		select {
		case <-gate:
		default:
			t.Error("two tasks run at a time on one worker")
		}
		return 2, nil
	}))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, _ = second.Await(ctx) // it has to wait for the gate
	close(gate)
	if _, err := second.Await(soon(t)); err != nil {
		t.Error(err)
	}
}

// AwaitAny inside a task whose other goroutine is in the middle of a wait: when that
// is over the task has its slot again, and AwaitAny must not sleep on it.
func TestWaitFaults_AwaitAnyBesideOwnGoroutine(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		gate, inside := make(chan struct{}), make(chan struct{})
		a, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
			close(inside)
			<-gate
			return 1, nil
		}))
		if err != nil {
			return 0, err
		}
		go func() { _, _ = a.Await(ctx) }()
		<-inside
		b, err := core.Submit(ctx, e, value(2))
		if err != nil {
			return 0, err
		}
		time.AfterFunc(20*time.Millisecond, func() { close(gate) })
		wait, stop := context.WithTimeout(ctx, 2*time.Second)
		defer stop()
		return core.AwaitAny(wait, b)
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("the engine stood still: %v", err)
	}
}
